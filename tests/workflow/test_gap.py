"""The optional comparison with a Gaussian approximation potential."""

import json

OVERLAY = """
gap:
  {max_frames: 4, cutoff_angstrom: 3.5, n_max: 3, l_max: 2, n_sparse_soap: 30, md_ps: 0.4, runs: 1}
"""


def test_gap_is_compared_and_nothing_else_runs(copy_of_finished):
    project = copy_of_finished
    (project.folder / "gap.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "gap.yaml"]
    assert "Nothing to be done" in project.run("-n", *files, configfile=None).stdout
    done = project.run("--cores", "2", "gap", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule gap_comparison:") == 1
    assert "rule segment:" not in done.stdout
    record = json.loads((project.results / "li3ps4/gap/gap.json").read_text())
    assert record["provenance"]["labels"] == "model PES"
    assert record["n_train_frames"]["gap"] == 4
    assert record["settings"]["n_sparse_soap"] == 30
