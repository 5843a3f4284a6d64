"""Claims with their paths, and costs from the workflow's benchmark files."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.results import write_csv, write_json
from hopecho.labels.interface import Label, structure_hash
from hopecho.labels.store import LabelStore
from hopecho.report.ledger import COLUMNS, by_rule, ledger, md_costs
from hopecho.report.summary import CLAIMS, summarise
from hopecho.units import Quantity


def census(**quarantined):
    known = {"labelled": [], "n_labelled": 0, "checks": []}
    return known | {"quarantined": quarantined}


DETAIL = ("fits", "headline_fit", "regime", "reason", "smallest_decay", "run_ps")
LIMIT = Quantity(None, None, (1.0, None), "ns", 9, 0.95, "bound").to_dict()


@pytest.fixture
def results(tmp_path):
    """A finished campaign of two phases and one temperature; values name where they are from."""
    m = tmp_path / "li3ps4"
    for phase in ("beta", "glass"):
        folder = m / "phases" / phase
        for name in {n for n, _ in CLAIMS}:
            keys = [k for n, k in CLAIMS if n == name]
            record = {k: LIMIT | {"where": f"{phase} {name} {k}"} for k in keys}
            if "band_centre" in record:
                record["band_centre"] = {"Li": record["band_centre"]}
            record |= dict.fromkeys(DETAIL, "d")
            write_json(folder / "300K" / name, record)
        write_json(folder / "300K/extrapolation.json", {"share_beyond": 0.25, "provenance": {}})
        write_json(folder / "quench0/structure.json", {"density_g_cm3": 1.8, "provenance": {}})
        write_json(folder / "quench0/300K/replica0/segment0.json", {"temperature": 301.0})
        for number, flagged in ((0, 0), (1, 3)):
            write_json(
                folder / f"quench0/300K/replica0/efg{number}.json",
                {"temperature_k": 300, "n_frames": 10, "n_ions": 5, "n_flagged": flagged,
                 "sigma_khz": 3.0 + number, "worst": {"frame": 2, "atom": 1, "score": flagged},
                 "provenance": {}},
            )  # fmt: skip
    for number, accepted in ((0, False), (1, True), (2, False), (10, True)):
        write_json(m / f"al/{number}/status.json", {"round": number, "accepted": accepted})
        write_json(m / f"al/{number}/fit.json", {"n_columns": number})
    write_json(
        m / "heldout/errors.json",
        {"phases": {"beta": 1}, "uncertainty": {}, "provenance": {"seed": 1}},
    )
    write_json(m / "efg/fit.json", {"ridge": 0.1, "provenance": {"seed": 1}})
    write_json(m / "heldout/labelled.json", census(k1="force"))
    write_json(m / "al/0/audit/labelled.json", census(k1="force", k2="scf"))
    return tmp_path


def summary(results, **changes):
    known = {"run": {"li3ps4": ["beta", "glass"]}, "temperatures_k": [300], "source": "model PES"}
    return summarise(results, store=LabelStore(results / "labels"), **(known | changes))


def test_every_claim_stands_with_its_file(results):
    said = summary(results)
    assert said["labels"] == "model PES"
    assert len(said["claims"]) == 2 * len(CLAIMS)
    for claim in said["claims"]:
        name = claim["path"].rsplit("/", 1)[1]
        assert claim["quantity"]["where"] == f"{claim['phase']} {name} {claim['claim']}"
        assert claim["curve"] == (name.removesuffix(".json") if name.startswith("acf") else None)
        assert (claim["claim"] == "tau_sae") == ("regime" in claim)
        assert claim.get("element") == ("Li" if claim["claim"] == "band_centre" else None)


def test_without_bursts_no_claim_is_made_of_velocities(results):
    folder = results / "li3ps4/phases/beta/300K"
    for name in ("vibrations", "current"):
        (folder / f"{name}.json").unlink()
    write_json(folder / "rotation.json", {"tilt_angle_width": LIMIT, "bond_life": LIMIT})
    said = {c["claim"] for c in summary(results, run={"li3ps4": ["beta"]}, bursts=False)["claims"]}
    assert {"tilt_angle_width", "bond_life", "sigma_distinct"} <= said
    assert not said & {"band_centre", "sigma_gk", "angular_velocity_width", "rotation_width"}


def test_the_phases_of_the_run_are_summarised_and_no_others(results):
    said = summary(results, run={"li3ps4": ["glass"]})
    assert {c["phase"] for c in said["claims"]} == {"glass"}
    assert list(said["structures"]["li3ps4"]) == ["glass/quench0"]
    assert [s["phase"] for s in said["segments"]["li3ps4"]] == ["glass"]


def test_the_reach_of_the_training_data_is_repeated_for_every_phase(results):
    share = {"share_beyond": 0.25}
    assert summary(results)["extrapolation"]["li3ps4"] == {"beta/300K": share, "glass/300K": share}
    for number in range(3):
        path = results / f"li3ps4/al/{number}/fit.json"
        write_json(path, {"file": "elsewhere.uf3"})
    assert summary(results)["extrapolation"] == {}


def test_bursts_and_step_tests_stand_with_their_files(results):
    beta = results / "li3ps4/phases/beta"
    write_json(beta / "quench0/300K/replica0/burst0.json", {"passed": True})
    write_json(beta / "quench0/300K/replica0/burst1.json", {"passed": False})
    write_json(beta / "300K/step_test.json", {"largest_passing_fs": 2.0})
    write_json(beta / "400K/step_test.json", {"largest_passing_fs": 1.0})
    said = summary(results)
    assert [b["passed"] for b in said["bursts"]["li3ps4"]] == [True, False]
    assert [s["temperature"] for s in said["segments"]["li3ps4"]] == [301.0, 301.0]
    # What is left from other settings does not count.
    kept = ("al/0/status.json", "al/1/status.json", "phases/beta/300K/step_test.json")
    said = summary(results, members={str(results / "li3ps4" / name) for name in kept})
    (test,) = said["step_tests"]["li3ps4"]
    assert (test["phase"], test["largest_passing_fs"]) == ("beta", 2.0)
    assert test["path"].endswith("beta/300K/step_test.json")
    assert said["bursts"] == {"li3ps4": []}


def test_rounds_end_with_the_accepted_one(results):
    """Later rounds are left from stricter targets; a glance at names would put 10 before 2."""
    said = summary(results)
    assert [s["round"] for s in said["learning"]["li3ps4"]] == [0, 1]
    assert said["fit"] == {"li3ps4": {"n_columns": 1}}
    assert said["grid"] == {}


def test_errors_quarantine_and_reference(results):
    said = summary(results)
    assert said["heldout"] == {"li3ps4": {"beta": 1}}
    assert said["efg"] == {"li3ps4": {"ridge": 0.1}}
    quarantine = said["label_sets"]["li3ps4"]["quarantine"]
    assert {key: entry["reason"] for key, entry in quarantine.items()} == {
        "k1": "force",
        "k2": "scf",
    }
    assert said["label_sets"]["li3ps4"]["sets"]["al/0/audit"]["n_quarantined"] == 2
    assert said["structures"]["li3ps4"]["beta/quench0"] == {"density_g_cm3": 1.8}
    assert said["reference"]["li3ps4"]
    assert summary(results, run={}, temperatures_k=[], source="x")["claims"] == []
    without = summary(results, efg=False)
    assert without["efg"] == {}
    assert {c["claim"] for c in without["claims"]} == {k for n, k in CLAIMS if "acf" not in n}


def test_tensors_are_joined_over_the_segments_of_a_phase(results):
    said = summary(results, run={"li3ps4": ["glass"]})["efg_segments"]["li3ps4"]
    (own,) = said
    assert (own["phase"], own["temperature_k"], own["n_tensors"]) == ("glass", 300, 100)
    assert own["flagged_share"] == pytest.approx(0.03)
    assert own["sigma_khz"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert own["worst"]["score"] == 3
    assert own["worst"]["path"].endswith("glass/quench0/300K/replica0/efg1.h5")
    members = {str(path) for path in results.glob("**/*.json") if path.name != "efg1.json"}
    (first,) = summary(results, members=members, run={"li3ps4": ["glass"]})["efg_segments"][
        "li3ps4"
    ]
    assert (first["n_tensors"], first["n_flagged"]) == (50, 0)


def test_a_missing_product_is_named(results):
    (results / "li3ps4/phases/beta/300K/hops.json").unlink()
    with pytest.raises(HopechoError, match=r"hops\.json"):
        summary(results)


HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(results, name, *rows):
    path = results / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(rows))


def test_ledger_has_one_row_a_job(tmp_path):
    row = "12.5\t0:00:12\t200.25\t1\t1\t1\t0.0\t0.0\t99.0\t11.0\n"
    benchmark(tmp_path, "segment/li3ps4-beta-0-300K-0-1.tsv", row)
    benchmark(
        tmp_path,
        "segment/li3ps4-beta-0-300K-0-0.tsv",
        "1\t0:00:01\t900\t1\t1\t1\t0\t0\t9\t1\n",
        row,
    )
    # Snakemake writes NA or - for a job too short to be sampled.
    benchmark(tmp_path, "fit/al/0.tsv", "0.2\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    benchmark(tmp_path, "dash/a.tsv", "0.1\t0:00:00\t-\t-\t-\t-\t-\t-\t0.00\t-\n")
    table = ledger(tmp_path, LabelStore(tmp_path / "labels"))
    assert tuple(table.columns) == COLUMNS
    rows = {(r.rule, r.wildcards): r for r in table.itertuples()}
    assert len(rows) == 4
    first = rows["segment", "li3ps4-beta-0-300K-0-0"]
    assert (first.wall_s, first.cpu_s, first.max_rss_mb) == (12.5, 11.0, 200.25)  # the last try
    short = rows["fit", "al/0"]
    assert (short.wall_s, short.cpu_s, short.max_rss_mb) == (0.2, 0.0, 0.0)


def test_ledger_knows_what_a_label_cost(tmp_path):
    store, keys = LabelStore(tmp_path / "labels"), []
    for seed, cpu_s, imported in ((0, 3.0, ""), (1, 5.0, ""), (2, 0.0, "old.extxyz")):
        atoms = Atoms("Li", positions=[[seed, 0, 0]], cell=[9, 9, 9], pbc=True)
        label = Label(
            structure=structure_hash(atoms), energy=0.0, forces=np.zeros((1, 3)), stress=None,
            efg=None, code="c", version="1", settings="s", dataset="d", source="C 1",
            cpu_s=cpu_s, imported=imported,
        )  # fmt: skip
        keys.append(store.put(label, atoms))
    index = {"labels": [[key, "labelled"] for key in keys] + [["f" * 64, "quarantined:x"]]}
    write_json(tmp_path / "li3ps4/al/0/audit/labels4.json", index)
    row = "9\t0:00:09\t1\t1\t1\t1\t0\t0\t9\t8\n"
    benchmark(tmp_path, "label_batch/li3ps4/al/0/audit-4.tsv", row)
    benchmark(tmp_path, "fit/li3ps4.tsv", row)
    rows = {r.rule: r for r in ledger(tmp_path, store).itertuples()}
    assert (rows["label_batch"].labels, rows["label_batch"].cpu_s_per_label) == (3, 4.0)
    assert (rows["fit"].labels, rows["fit"].cpu_s_per_label) == (0, 0.0)
    write_csv(tmp_path / "ledger.csv", ledger(tmp_path, store), provenance={})


def test_ledger_knows_what_md_cost(tmp_path):
    row = "9\t0:00:09\t1\t1\t1\t1\t0\t0\t9\t2.0\n"
    for k, (cpu_s, atom_steps) in enumerate([(6.0, 2_000_000), (3.0, 4_000_000)]):
        name = f"segment/m-a-b-0-300K-0-{k}"
        benchmark(tmp_path, f"{name}.tsv", row)
        us = cpu_s * 1e6 / atom_steps
        record = {"wall_s": 7.0, "cpu_s": cpu_s, "atom_steps": atom_steps, "us_per_atom_step": us}
        write_json(tmp_path / f"logs/{name}.json", record | {"ns_per_day": 10.0 * k})
    benchmark(tmp_path, "segment/m-b-0-300K-0-0.tsv", row)  # of an older version
    table = ledger(tmp_path, LabelStore(tmp_path / "labels"))
    assert table["cpu_s"].tolist() == [6.0, 3.0, 2.0]  # Snakemake's samples had missed some
    assert table["atom_steps"].tolist() == [2_000_000, 4_000_000, 0]
    assert md_costs(table, "m-a-b-.*") == pytest.approx((9.0, 1.5, 5.0))
    assert md_costs(table, "m-b-.*") is None


def test_costs_by_rule_dearest_first(tmp_path):
    for k, cpu in enumerate((1.0, 2.0)):
        benchmark(tmp_path, f"a/{k}.tsv", f"3.0\t0:00:03\t{10 * k}\t1\t1\t1\t0\t0\t9\t{cpu}\n")
    benchmark(tmp_path, "b/0.tsv", "1.0\t0:00:01\t5\t1\t1\t1\t0\t0\t9\t40\n")
    table = by_rule(ledger(tmp_path, LabelStore(tmp_path / "labels")))
    assert table["rule"].tolist() == ["b", "a"]
    assert table["jobs"].tolist() == [1, 2]
    assert table["cpu_s"].tolist() == [40.0, 3.0]
    assert table["wall_s"].tolist() == [1.0, 6.0]
    assert table["max_rss_mb"].tolist() == [5.0, 10.0]


def test_no_benchmarks_give_an_empty_ledger(tmp_path):
    assert len(ledger(tmp_path, LabelStore(tmp_path / "labels"))) == 0
    assert len(by_rule(ledger(tmp_path, LabelStore(tmp_path / "labels")))) == 0
