"""The optional comparison of the potential and the EFG model with the model surface itself."""

import json
import re

OVERLAY = """
validation: {replicas: 2, length_ps: 7.0, echo_stride_ps: 0.25, burst_ps: 1.0, in_report: true}
"""
REAL = """
labels: {source: PBE}
phases: {amorphous: {build: {engine: model_pes}}}
"""


def test_validation_compares_both_sides_and_nothing_else_runs(copy_of_finished):
    project = copy_of_finished
    (project.folder / "validation.yaml").write_text(OVERLAY)
    files = ["--configfile", "campaigns/quick.yaml", "validation.yaml"]
    done = project.run("--cores", "2", "validation", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    # Two phases, two sides, two runs; exact tensors of both sides, predicted ones of one.
    assert done.stdout.count("rule validation_run:") == 8
    assert done.stdout.count("rule validation_tensors:") == 12
    assert "rule segment:" not in done.stdout
    for phase in ("beta", "amorphous"):
        record = json.loads((project.results / f"li3ps4/validation/{phase}.json").read_text())
        assert record["provenance"]["labels"] == "model PES"
        assert {"d_tracer", "rdf Li-S", "vdos Li", "tetrahedral_angle"} <= set(record["battery"])
        assert set(record["echo"]["sets"]) == {"ufp_model", "ufp_exact", "reference_exact"}
        assert record["echo"]["shifts"]["last_lag"]["total"]["difference"]["stderr"] > 0
    page = (project.results / "validation.html").read_text()
    assert "labels: model PES" in page
    assert not re.search(r"\bNaN\b|\binf\b", page)
    assert "Nothing to be done" in project.run("-n", "validation", *files, configfile=None).stdout
    # The campaign's report shows it where the config asks for that.
    done = project.run("--cores", "1", *files, configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "surface MD, exact EFG" in (project.results / "report.html").read_text()


def test_labels_of_a_real_code_cannot_be_validated_and_the_error_says_what_it_would_take(project):
    (project.folder / "real.yaml").write_text(REAL)
    files = ["--configfile", "campaigns/quick.yaml", "real.yaml"]
    done = project.run("-n", "validation", *files, configfile=None)
    assert done.returncode != 0
    assert "labels.source is PBE" in done.stdout
    assert "2 runs of 8 ps of each phase" in done.stdout
