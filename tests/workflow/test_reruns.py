"""What runs again after an edit of the settings, job by job: exactly what depends on it."""

import pytest

from tests.workflow.conftest import plan_of

END = {"summary": 1, "report_page": 1}
# The analysis of one phase at one temperature.
ANALYSIS = {
    "correlation": 1, "sites": 1, "transport_analysis": 1, "extrapolation": 1, "polyanions": 1,
    "temperature_series": 1, **END,
}  # fmt: skip
ANALYSIS_OF_BOTH = {name: 2 * count for name, count in ANALYSIS.items()} | END
ONE_RUN = {"equilibrate": 1, "segment": 2, "burst": 1, "predict_efg": 2, "vibrations": 1}
NEW_PHASE = """
run: {li3ps4: [beta, amorphous, gamma]}
phases:
  gamma: {kind: crystal, structure: gamma-Li3PS4, supercell: [1, 1, 2], quenches: 1, replicas: 2}
md: {length_ps: {gamma: {300: 8.0}}}
"""
ANOTHER_TEMPERATURE = """
md: {temperatures_k: [300, 400], length_ps: {beta: {400: 8.0}, amorphous: {400: 8.0}}}
"""
HOW_PROGRAMS_RUN = """
md:
  lammps: {command: env lmp, pair_style: uf3}
  max_wall_min: 5
  resources: {mem_mb: 900, runtime_min: 9}
labels: {command: env hopecho-castep, max_wall_min: 5, retries: [{param: {mix_charge_amp: 0.2}}]}
"""
BETA = "results-quick/li3ps4/phases/beta/300K"
EDITS = {
    "nothing": (("",), {}),
    "the fit's window": (
        ("correlation: {t_min_ps: 0.4}",),
        {"correlation": 2, **END},
    ),
    "the fit's window, for one file": (
        ("correlation: {t_min_ps: 0.4}", f"{BETA}/acf_omega_q.csv"),
        {"correlation": 1},
    ),
    "what counts as a hop": (
        ("transport: {hop_window_ps: 0.8}",),
        {"transport_analysis": 2, "polyanions": 2, "temperature_series": 2, "sites": 2, **END},
    ),
    "a longer run": (
        ("md: {length_ps: {beta: {300: 12.0}}}",),
        {"segment": 2, "predict_efg": 2, **ANALYSIS},
    ),
    "a longer run, for one file": (
        ("md: {length_ps: {beta: {300: 12.0}}}", f"{BETA}/conductivity.json"),
        {"segment": 2, "transport_analysis": 1},
    ),
    "a length that is rounded up to as many segments": (
        ("md: {length_ps: {beta: {300: 6.0}}}",),
        {},
    ),
    "another replica": (
        ("phases: {beta: {replicas: 3}}",),
        {**ONE_RUN, **ANALYSIS},
    ),
    "another quench": (
        ("phases: {amorphous: {quenches: 3}}",),
        {"start_structure": 1, "structure": 1, **ONE_RUN, **ANALYSIS},
    ),
    "another temperature": (
        (ANOTHER_TEMPERATURE,),
        {"equilibrate": 4, "segment": 8, "burst": 4, "predict_efg": 8, "vibrations": 2,
         "step_test": 2, **ANALYSIS_OF_BOTH},
    ),
    "another phase": (
        (NEW_PHASE,),
        {"start_structure": 1, "structure": 1, "equilibrate": 2, "segment": 4, "burst": 2,
         "predict_efg": 4, "vibrations": 1, "step_test": 1, **ANALYSIS},
    ),
    "another ensemble, for one file": (
        ("md: {ensemble: nvt}", f"{BETA}/acf_omega_q.csv"),
        {"equilibrate": 2, "segment": 4, "predict_efg": 4, "correlation": 1},
    ),
    "another burst": (
        ("md: {bursts: {count: 2}}",),
        {"burst": 4, "vibrations": 2, "polyanions": 2, **END},
    ),
    "no burst": (
        ("md: {bursts: {count: 0}}",),
        {"polyanions": 2, **END},
    ),
    "how programs are started": ((HOW_PROGRAMS_RUN,), {}),
}  # fmt: skip
"""What is edited, for which targets, and the jobs that follow on the finished campaign."""
FINISHED = ("labels", "potential", "production", "bursts", "efg", "sae", "transport", "report")
FILES = (
    f"{BETA}/acf_omega_q.csv",
    "results-quick/li3ps4/potential/potential.uf3",
    "results-quick/li3ps4/phases/amorphous/quench1/300K/replica0/segment1.h5md",
)


@pytest.fixture(scope="module")
def plans(edited):
    """Every case of this file, in one go."""
    cases = [case for case, _ in EDITS.values()]
    cases += [("", target) for target in (*FINISHED, *FILES, "gap", "validation")]
    found = edited.dry_runs(cases)
    names = (*EDITS, *FINISHED, *FILES, "gap", "validation")
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_depends_on_it(plans, name):
    status, output = plans[name]
    assert status == 0, output
    assert plan_of(output) == EDITS[name][1]


@pytest.mark.parametrize("target", [*FINISHED, *FILES])
def test_a_target_that_is_there_is_not_made_again(plans, target):
    status, output = plans[target]
    assert status == 0, output
    assert plan_of(output) == {}


def test_targets_that_are_no_part_of_a_campaign_are_made_of_it(plans):
    assert plan_of(plans["gap"][1]) == {"gap_comparison": 1, "gap": 1}
    assert plan_of(plans["validation"][1]) == {
        "validation_run": 8, "validation_tensors": 12, "validation_phase": 2, "validation_page": 1,
        "validation": 1,
    }  # fmt: skip


def test_targets_of_a_fresh_checkout_need_no_more_than_they_are_made_of(project):
    first = {"start_structure": 3, "initial_frames": 1}
    labels = {**first, "label_batch": 3, "collect_labels": 1, "dataset": 1, "labels": 1}
    beta = "results-quick/li3ps4/phases/beta/start0.extxyz"
    wanted = {"labels": labels, beta: {"start_structure": 1}}
    found = project.dry_runs(("", target) for target in wanted)
    assert {t: plan_of(output) for t, (_, output) in zip(wanted, found, strict=True)} == wanted
