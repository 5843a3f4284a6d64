"""Density expansion of the EFG model chosen by cross-validation jobs; sparse SA-GPR by one key."""

import json

OVERLAY = """
efg:
  model: sa_gpr
  inducing: 40
  l_max: 2
  grid: {cutoff_angstrom: [3.5, 4.5]}
"""


def test_the_grid_is_scattered_gathered_and_used(copy_of_finished):
    project = copy_of_finished
    (project.folder / "grid.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "grid.yaml"]
    done = project.run("--cores", "2", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule efg_candidate:") == 2
    # Nothing before the model runs again.
    assert "rule segment:" not in done.stdout
    assert "rule label_batch:" not in done.stdout
    material = project.results / "li3ps4"
    grid = json.loads((material / "efg/grid/grid.json").read_text())
    fit = json.loads((material / "efg/fit.json").read_text())
    assert len(grid["rows"]) == 2
    assert fit["settings"] == grid["chosen"]["settings"]
    assert (fit["model"], fit["n_inducing"], fit["zeta"]) == ("sa_gpr", 40, 2)
    page = (project.results / "report.html").read_text()
    assert "The density expansion was chosen by cross-validation" in page
    assert "sparse SA-GPR with 40 inducing environments" in page
    again = project.run("-n", *files, configfile=None)
    assert "Nothing to be done" in again.stdout
