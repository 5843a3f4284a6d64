"""A potential made elsewhere in place of the fits."""

import json

from hopecho.io.uf3 import read_uf3
from hopecho.io.uf3_json import write_uf3_json

OVERLAY = """
results: results-foreign
run: {li3ps4: [beta]}
learning: {phases: [beta], initial_per_phase: 8}
md: {bursts: {count: 0}, step_test: {dt_fs: []}}
potential: {file: elsewhere.json}
"""


def test_a_potential_from_a_file_runs_the_campaign(copy_of_finished):
    project = copy_of_finished
    made = project.results / "li3ps4/potential"
    original = read_uf3(made / "potential.uf3", sidecar=made / "potential.json")
    write_uf3_json(project.folder / "elsewhere.json", original)
    (project.folder / "foreign.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "foreign.yaml"]
    done = project.run("--cores", "2", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "one round tests elsewhere.json" in done.stdout
    assert done.stdout.count("rule import_potential:") == 1
    assert not any(f"rule {name}:" in done.stdout for name in ("fit_potential", "learning_curve"))
    results = project.folder / "results-foreign"
    used = results / "li3ps4/potential"
    potential = read_uf3(used / "potential.uf3", sidecar=used / "potential.json")
    assert potential.one_body == original.one_body
    for key, term in original.three_body.items():
        assert (potential.three_body[key].coefficients == term.coefficients).all()
    summary = json.loads((results / "summary.json").read_text())
    assert summary["fit"]["li3ps4"]["one_body_from"] == "file"
    assert summary["fit"]["li3ps4"]["file"] == "elsewhere.json"
    assert len(summary["learning"]["li3ps4"]) == 1
    assert "training data" in summary["uncertainty"]["li3ps4"]["reason"]
    assert "read from elsewhere.json" in (results / "report.html").read_text()
    assert "Nothing to be done" in project.run("-n", *files, configfile=None).stdout
    refused = project.run("-n", "gap", *files, configfile=None)
    assert refused.returncode != 0
    assert "potential.file is set" in refused.stdout
