"""The compiled pair style and LAMMPS's own: which one ran is said, and a switch reruns nothing."""

import json
import shutil

LONGER = "\nmd:\n  length_ps: {beta: {300: 12.0}}\n"
RUN = "li3ps4/phases/beta/quench0/300K/replica0"


def test_without_a_compiler_lammps_own_style_goes_on(copy_of_finished, monkeypatch):
    project = copy_of_finished
    first = json.loads((project.results / RUN / "segment0.json").read_text())
    if shutil.which("g++"):
        assert first["pair_style"] == "uf3/fast"
        assert first["pair_style_reason"].startswith("compiled by ")
        assert list((project.folder / "store/plugins").glob("uf3-fast-*/uf3fastplugin.so"))
    monkeypatch.setenv("CXX", "/no/compiler")
    (project.folder / "longer.yaml").write_text(LONGER)
    files = ["--configfile", "campaigns/quick.yaml", "longer.yaml"]
    target = str((project.results / RUN / "segment2.json").relative_to(project.folder))
    done = project.run("--cores", "2", target, *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    why = "there is no C++ compiler /no/compiler (set CXX, or install g++)"
    assert f"hopecho: pair style uf3, not uf3/fast: {why}" in done.stdout  # before it starts
    assert f"pair_style uf3 is used, not uf3/fast: {why}" in done.stdout  # by the job
    assert done.stdout.count("rule segment:") == 1
    record = json.loads((project.results / RUN / "segment2.json").read_text())
    assert record["passed"]
    assert (record["pair_style"], record["pair_style_reason"]) == ("uf3", why)


def test_another_style_reruns_nothing(copy_of_finished):
    project = copy_of_finished
    (project.folder / "stock.yaml").write_text("md:\n  lammps: {pair_style: uf3}\n")
    files = ["--configfile", "campaigns/quick.yaml", "stock.yaml"]
    assert "Nothing to be done" in project.run("-n", *files, configfile=None).stdout
