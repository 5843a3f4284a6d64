"""A campaign whose code gives no field gradients: potential and transport, no echo."""

import json


def test_no_field_gradients_no_echo(copy_of_finished):
    project = copy_of_finished
    overlay = project.folder / "no-efg.yaml"
    overlay.write_text("labels: {efg: false}\n")
    files = ["--configfile", "campaigns/quick.yaml", "no-efg.yaml"]
    refused = project.run("-n", "sae", *files, configfile=None)
    assert refused.returncode != 0
    assert "labels.efg is false" in refused.stdout
    # The rounds of the finished campaign stand for those of one without tensors, which are equal.
    touched = project.run(
        "--cores", "1", "--touch", "transport", "potential", *files, configfile=None
    )
    assert touched.returncode == 0, touched.stdout[-4000:]
    (project.results / "li3ps4/heldout/errors.json").unlink()
    done = project.run("--cores", "2", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    for rule in ("label_batch", "fit_potential", "segment", "fit_efg", "correlation"):
        assert f"rule {rule}:" not in done.stdout
    errors = json.loads((project.results / "li3ps4/heldout/errors.json").read_text())
    assert all(set(phase) == {"potential", "trajectories"} for phase in errors["phases"].values())
    summary = json.loads((project.results / "summary.json").read_text())
    assert {claim["claim"] for claim in summary["claims"]} >= {"d_tracer", "haven_ratio"}
    assert not [claim for claim in summary["claims"] if claim["curve"]]
    page = (project.results / "report.html").read_text()
    assert "has no field gradients, and so no echo" in page
