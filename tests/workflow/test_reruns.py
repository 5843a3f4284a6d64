"""What runs again after an edit: exactly what depends on it."""

import json
import os

QUICK = "campaigns/quick.yaml"
END = {"summary": 1, "report_page": 1}
ECHO = {"correlation": 2, **END}


def test_edits_rerun_what_depends_on_them(copy_of_finished):
    project = copy_of_finished
    quick = project.folder / "campaigns/quick.yaml"
    original = quick.read_text()

    def planned(extra: str) -> dict[str, int]:
        quick.write_text(original + extra)
        plan = project.planned()
        quick.write_text(original)
        return plan

    assert planned("") == {}
    assert planned("# a comment\n") == {}
    assert planned("transport: {hop_window_ps: 0.8}\n") == {
        "transport_analysis": 2,
        "polyanions": 2,
        "temperature_series": 2,
        "sites": 2,
        **END,
    }


def test_fit_window_reruns_the_echo_only(copy_of_finished):
    copy_of_finished.edit("campaigns/quick.yaml", "t_min_ps: 0.3", "t_min_ps: 0.4")
    assert copy_of_finished.planned() == ECHO


def test_a_longer_run_adds_segments_and_computes_none_again(copy_of_finished):
    copy_of_finished.edit("campaigns/quick.yaml", "beta: {300: 8.0}", "beta: {300: 12.0}")
    assert copy_of_finished.planned() == {
        "segment": 2,
        "predict_efg": 2,
        "correlation": 1,
        "sites": 1,
        "transport_analysis": 1,
        "extrapolation": 1,
        "polyanions": 1,
        "temperature_series": 1,
        **END,
    }


def test_another_burst_changes_what_is_made_of_velocities_only(copy_of_finished):
    copy_of_finished.edit(
        "campaigns/quick.yaml", "bursts: {length_ps: 1.0}", "bursts: {length_ps: 1.0, count: 2}"
    )
    assert copy_of_finished.planned() == {"burst": 4, "vibrations": 2, "polyanions": 2, **END}


def test_without_bursts_nothing_is_made_of_velocities(copy_of_finished):
    copy_of_finished.edit(
        "campaigns/quick.yaml", "bursts: {length_ps: 1.0}", "bursts: {length_ps: 1.0, count: 0}"
    )
    assert copy_of_finished.planned() == {"polyanions": 2, **END}


def test_another_replica_touches_no_potential(copy_of_finished):
    copy_of_finished.edit("campaigns/quick.yaml", "\n    replicas: 2", "\n    replicas: 3")
    plan = copy_of_finished.planned()
    assert plan == {
        "equilibrate": 1,
        "segment": 2,
        "burst": 1,
        "predict_efg": 2,
        "correlation": 1,
        "sites": 1,
        "transport_analysis": 1,
        "extrapolation": 1,
        "polyanions": 1,
        "vibrations": 1,
        "temperature_series": 1,
        **END,
    }


def test_another_quench_touches_no_potential(copy_of_finished):
    copy_of_finished.edit("campaigns/quick.yaml", "    quenches: 2", "    quenches: 3")
    assert copy_of_finished.planned() == {
        "start_structure": 1,
        "structure": 1,
        "equilibrate": 1,
        "segment": 2,
        "burst": 1,
        "predict_efg": 2,
        "correlation": 1,
        "sites": 1,
        "transport_analysis": 1,
        "extrapolation": 1,
        "polyanions": 1,
        "vibrations": 1,
        "temperature_series": 1,
        **END,
    }


def test_how_programs_are_started_is_no_part_of_a_result(copy_of_finished):
    copy_of_finished.edit("config.yaml", "command: lmp ", "command: env lmp ")
    copy_of_finished.edit("config.yaml", "command: hopecho-castep ", "command: env hopecho-castep ")
    copy_of_finished.edit("config.yaml", "max_wall_min: 0             # a", "max_wall_min: 5 # a")
    copy_of_finished.edit(
        "config.yaml", "max_wall_min: 0             # longest", "max_wall_min: 5 #"
    )
    copy_of_finished.edit(
        "config.yaml", "mem_mb: 1000, runtime_min: 1440", "mem_mb: 900, runtime_min: 9"
    )
    copy_of_finished.edit(
        "config.yaml", "retries: [] ", "retries: [{param: {mix_charge_amp: 0.2}}] "
    )
    assert copy_of_finished.planned() == {}


def test_swapped_values_are_seen(copy_of_finished):
    copy_of_finished.edit("config.yaml", "weight_energy: 0.5", "weight_energy: 1.0")
    copy_of_finished.edit("config.yaml", "weight_force: 1.0", "weight_force: 0.5")
    assert "fit_potential" in copy_of_finished.planned()


def test_touched_and_edited_sources(copy_of_finished):
    project = copy_of_finished
    for path in project.folder.glob("hopecho/**/*.py"):
        os.utime(path)
    for path in project.folder.glob("scripts/*.py"):
        os.utime(path)
    assert project.planned() == {}
    decay = project.folder / "hopecho/correlation/decay.py"
    decay.write_text(decay.read_text() + "\n# edited\n")
    assert project.planned() == {"sites": 2, **ECHO}
    engine = project.folder / "hopecho/md/segments.py"
    engine.write_text(engine.read_text() + "\n# edited\n")
    assert project.planned() == {"sites": 2, **ECHO}


def test_a_dropped_label_is_the_only_one_computed_again(copy_of_finished):
    project = copy_of_finished
    store = project.folder / "store/labels"
    before = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()}
    index = project.results / "li3ps4/heldout/labels0.json"
    key = json.loads(index.read_text())["keys"][0]
    target = str(index.relative_to(project.folder))
    said = project.hopecho("labels", "drop", key)
    again = f"snakemake --cores 1 {target} --configfile {QUICK}"
    assert said.splitlines()[-1] == f"to compute it again: {again}"
    assert project.planned(target) == {"label_batch": 1}
    done = project.run("--cores", "1", target)
    assert done.returncode == 0, done.stdout[-3000:]
    after = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()}
    assert set(before) == set(after)
    assert sum(before[p] != after[p] for p in before) == 1
    # The label is what it was: nothing that was made from it runs again.
    assert project.planned() == {}
