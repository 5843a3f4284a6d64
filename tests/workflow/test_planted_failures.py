"""Labels that fail in every way: each is set aside, none is trained on, the round completes."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from hopecho.io.extxyz import read_frames
from hopecho.labels.store import LabelStore
from tests.workflow.planted import FAULTS, REASONS

OVERLAY = """
labels:
  max_failed_share: {share}
{code}
learning:
  {{initial_per_phase: 14, heldout_every: 3, max_rounds: 1, md_ps: 0.4, seeds: 1, quenches: 1}}
"""
CODES = {
    "castep": "  command: {planted} castep",
    "espresso": """  code: espresso
  command: {planted} pw
  efg_command: {planted} gipaw
  version: 6.7MaX
  espresso: {{input_data: {{system: {{ecutwfc: 60}}}}, gipaw: {{}}}}""",
}
SAID = {
    "charged_cell": "net charge",
    "kpoint_warning": "k-point",
    "io_error": "No space left",
    "code_error": "Error in",
}
"""What the kept end of the log must show."""
FAULTS_OF = {"castep": FAULTS["castep"], "espresso": FAULTS["pw"] + FAULTS["gipaw"]}


@pytest.fixture
def planted(project, tmp_path):
    """Run targets of the quick campaign with a code that fails; returns the finished process."""

    def run(*targets: str, code: str = "castep", share: float = 0.5):
        script = Path(__file__).with_name("planted.py")
        command = f"{sys.executable} {script} {tmp_path / 'planted'}"
        overlay = OVERLAY.format(code=CODES[code].format(planted=command), share=share)
        (project.folder / "planted.yaml").write_text(overlay)
        quick = ["--configfile", "campaigns/quick.yaml", "planted.yaml"]
        return project.run("--cores", "2", *targets, *quick, configfile=None)

    return run


@pytest.mark.parametrize("code", CODES)
def test_every_failure_is_set_aside_and_the_round_completes(planted, project, code):
    faults = FAULTS_OF[code]
    status = "results-quick/li3ps4/al/0/status.json"
    done = planted(status, code=code)
    assert done.returncode == 0, done.stdout[-5000:]
    material = project.results / "li3ps4"
    census = json.loads((material / "al/0/candidates/labelled.json").read_text())
    expected = Counter(REASONS.get(fault, "nan") for fault in faults)
    found = Counter("nan" if r == "not_finite" else r for r in census["quarantined"].values())
    assert found == expected
    # None of them is in what was trained on, withheld or measured.
    used = [
        str(frame.info["hash"])
        for name in ("dataset", "withheld", "audit/labelled")
        for frame in read_frames(material / f"al/0/{name}.extxyz")
    ]
    assert len(used) == 28 + 8 - len(faults)
    assert not set(used) & set(census["quarantined"])
    assert json.loads((project.folder / status).read_text())["round"] == 0
    # What is needed to see why is kept: log, structure, and how often it was tried.
    store = LabelStore(project.folder / "store/labels")
    for key, reason in census["quarantined"].items():
        record = store.quarantined(key)
        assert SAID.get(reason, "") in record.log
        assert len(store.atoms(key)) in (64, 128)
        assert record.failures == (3 if record.transient else 1), reason
    assert store.verify() == []
    # Finished again from the store: nothing is computed, nothing is tried a fourth time.
    for path in (material / "al/0/candidates").glob("labels*.json"):
        path.unlink()
    before = sorted(p.stat().st_mtime_ns for p in (project.folder / "store").rglob("*.json"))
    assert planted(status, code=code).returncode == 0
    after = sorted(p.stat().st_mtime_ns for p in (project.folder / "store").rglob("*.json"))
    assert after == before


def test_too_many_failures_stop_the_campaign_with_advice(planted, project):
    done = planted("results-quick/li3ps4/al/0/dataset.extxyz", share=0.1)
    assert done.returncode != 0
    for part in (
        "11 of 28 labels failed, more than labels.max_failed_share = 0.1",
        "add labels.retries",
        "hopecho labels list",
        "hopecho labels retry",
    ):
        assert part in done.stdout
    # The good labels are kept for the run after the cure.
    assert len(LabelStore(project.folder / "store/labels").keys()) >= 17
    assert not (project.results / "li3ps4/al/0/dataset.extxyz").exists()
