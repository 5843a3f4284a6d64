"""Production with the compiled pair style: a switch that reruns nothing that is there."""

import json
import shutil

import pytest

OVERLAY = """
md:
  lammps: {pair_style: uf3/fast}
"""


def test_more_segments_with_the_fast_pair_style(copy_of_finished):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    project = copy_of_finished
    (project.folder / "fast.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "fast.yaml"]
    assert "Nothing to be done" in project.run("-n", *files, configfile=None).stdout
    (project.folder / "fast.yaml").write_text(f"{OVERLAY}  length_ps: {{beta: {{300: 12.0}}}}\n")
    run = "results-quick/li3ps4/phases/beta/quench0/300K/replica0"
    done = project.run("--cores", "2", f"{run}/segment2.json", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule segment:") == 1
    record = json.loads((project.folder / run / "segment2.json").read_text())
    assert record["passed"]
    assert list((project.folder / "store/plugins").glob("uf3-fast-*/uf3fastplugin.so"))
