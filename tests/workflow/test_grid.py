"""Settings of the potential chosen by cross-validation jobs."""

import json

OVERLAY = """
potential:
  intervals_2b: 8
  intervals_3b: 2
  intervals_jk: 2
  grid: {cutoff_3b_angstrom: [3.0, 4.0], ridge_3b: [1.0e-6, 1.0e+8]}
  grid_folds: 3
"""


def test_the_grid_is_scattered_gathered_and_used(copy_of_finished):
    project = copy_of_finished
    (project.folder / "grid.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "grid.yaml"]
    target = "results-quick/li3ps4/al/0/fit.json"
    done = project.run("--cores", "2", target, *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule grid_candidate:") == 2
    grid = json.loads((project.results / "li3ps4/grid/grid.json").read_text())
    fit = json.loads((project.folder / target).read_text())
    assert len(grid["rows"]) == 4
    assert fit["settings"] == grid["chosen"]["settings"]
    # A ridge that forbids three-body terms loses against one that does not.
    loss = {(r["settings"]["cutoff_3b_angstrom"], r["settings"]["ridge_3b"]): r["loss"]
            for r in grid["rows"]}  # fmt: skip
    assert loss[4.0, 1e-6] < loss[4.0, 1e8]
    assert fit["settings"]["ridge_3b"] == 1e-6
    again = project.run("-n", target, *files, configfile=None)
    assert "Nothing to be done" in again.stdout
