"""What fails does not stop the rest with ``--keep-going``, and what is missing runs afterwards."""

import json

from hopecho.io.extxyz import read_frames

QUICK = "campaigns/quick.yaml"
LONGER = """
phases: {beta: {replicas: 4}}
md: {length_ps: {beta: {300: 12.0}}}
"""
# The third segment of replica 0 and the whole of replica 2 meet a broken node.
FLAKY = """#!/bin/sh
case "$PWD" in
    */beta/0-300K-0/segment2 | */beta/0-300K-2/equilibrate) exit 3 ;;
esac
exec lmp "$@"
"""
# A code that is killed at every structure.
DYING = """#!/bin/sh
[ "$1" = --version ] && exec python -m hopecho.standins.castep --version
kill -9 $$
"""
RUNS = "li3ps4/phases/beta/quench0/300K"


def program(folder, text):
    folder.write_text(text)
    folder.chmod(0o755)
    return folder


def stamps(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_segment_and_a_replica_that_fail(copy_of_finished):
    project = copy_of_finished
    lmp = program(project.folder / "flaky-lmp", FLAKY)
    (project.folder / "longer.yaml").write_text(LONGER)
    (project.folder / "flaky.yaml").write_text(f"md: {{lammps: {{command: {lmp}}}}}\n")
    files = ["--configfile", QUICK, "longer.yaml"]
    done = project.run("--cores", "2", "--keep-going", *files, "flaky.yaml", configfile=None)
    assert done.returncode != 0
    assert "md.lammps.command did not start LAMMPS" in done.stdout
    runs = project.results / RUNS
    there = {
        (r, s) for r in range(4) for s in range(3) if (runs / f"replica{r}/efg{s}.h5").exists()
    }
    assert there == {(r, s) for r in (0, 1, 3) for s in range(3)} - {(0, 2)}
    assert (runs / "replica3/burst0.h5md").exists()
    missing = {"equilibrate": 1, "segment": 4, "burst": 1, "predict_efg": 4}
    analysis = {
        "correlation": 1, "sites": 1, "transport_analysis": 1, "extrapolation": 1,
        "polyanions": 1, "vibrations": 1, "temperature_series": 1, "summary": 1, "report_page": 1,
    }  # fmt: skip
    assert project.planned(*files, configfile=None) == missing | analysis
    before = stamps(project.results / RUNS)
    done = project.run("--cores", "2", "production", "bursts", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule segment:") == 4
    after = stamps(project.results / RUNS)
    assert {p: after[p] for p in before} == before
    assert project.planned(*files, configfile=None) == {"predict_efg": 4} | analysis


def test_a_label_that_fails(copy_of_finished):
    project = copy_of_finished
    store, heldout = project.folder / "store/labels", project.results / "li3ps4/heldout"
    before, labelled = stamps(store), (heldout / "labelled.extxyz").read_bytes()
    key = json.loads((heldout / "labels0.json").read_text())["keys"][0]
    index = str((heldout / "labels0.json").relative_to(project.folder))
    target = str((heldout / "labelled.extxyz").relative_to(project.folder))
    again = f"to compute it again: snakemake --cores 1 {index} --configfile {QUICK}"
    assert project.hopecho("labels", "drop", key).splitlines()[-1] == again
    assert project.planned(index) == {"label_batch": 1}
    # The structure is set aside, the others are there.
    code = program(project.folder / "dying-code", DYING)
    (project.folder / "dying.yaml").write_text(f"labels: {{command: {code}}}\n")
    files = ["--configfile", QUICK, "dying.yaml"]
    done = project.run("--cores", "1", "--keep-going", index, target, *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("localrule label_batch:") == 3  # it may be the machine: tried again
    report = json.loads((heldout / "labelled.json").read_text())
    assert report["quarantined"] == {key: "killed"}
    frames = [str(frame.info["hash"]) for frame in read_frames(heldout / "labelled.extxyz")]
    assert len(frames) == 11
    assert key not in frames
    # Asked for again, it alone is computed, and is what it was: nothing else follows.
    project.hopecho("labels", "retry")
    assert project.planned(index) == {"label_batch": 1}
    done = project.run("--cores", "1", index, target)
    assert done.returncode == 0, done.stdout[-4000:]
    after = stamps(store)
    assert sum(before.get(p) != after[p] for p in after) == 1
    assert set(before) == set(after)
    assert (heldout / "labelled.extxyz").read_bytes() == labelled
    assert project.planned() == {}
