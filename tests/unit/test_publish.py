"""``hopecho clean`` and ``hopecho freeze``."""

import json

import pytest
import yaml

from hopecho.__main__ import main
from hopecho.config import load
from hopecho.config_text import PROJECT_ROOT

PRODUCTS = (
    "report.html", "summary.json", "ledger.csv", "li3ps4/potential/potential.uf3",
    "li3ps4/potential/potential.json", "li3ps4/heldout/errors.json", "li3ps4/efg/model.npz",
    "li3ps4/efg/fit.json",
)  # fmt: skip


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """Products and a label of a campaign, and another campaign beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("results: out\nlabels: {store: labels}\n")
    for name in (*(f"out/{p}" for p in PRODUCTS), "other/report.html", "labels/a.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_clean_removes_the_results_and_nothing_else(finished, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert main(["clean", "--configfile", "mine.yaml"]) == 1
    assert "nothing was removed" in capsys.readouterr().err
    assert (finished / "out/report.html").exists()
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    assert main(["clean", "--configfile", "mine.yaml"]) == 0
    assert "removed out (8 files); labels stay in labels" in capsys.readouterr().out
    assert sorted(p.name for p in finished.iterdir()) == ["labels", "mine.yaml", "other"]
    assert (finished / "labels/a.json").exists()
    assert main(["clean", "--yes", "--configfile", "mine.yaml"]) == 1
    assert "no results to remove" in capsys.readouterr().err


@pytest.mark.parametrize("edit", ["labels: {store: out/labels}", "results: ."])
def test_clean_never_removes_what_is_not_results(finished, capsys, edit):
    (finished / "bad.yaml").write_text(edit)
    files = sorted(finished.rglob("*"))
    assert main(["clean", "--yes", "--configfile", "mine.yaml", "bad.yaml"]) == 1
    assert "error" in capsys.readouterr().err
    assert sorted(finished.rglob("*")) == files


def test_clean_follows_no_link(finished, capsys):
    (finished / "linked").symlink_to("other")
    (finished / "link.yaml").write_text("results: linked")
    assert main(["clean", "--yes", "--configfile", "mine.yaml", "link.yaml"]) == 1
    assert (finished / "other/report.html").exists()


def test_a_frozen_campaign_is_whole_and_verified(finished, capsys):
    assert main(["freeze", "frozen", "--configfile", "mine.yaml"]) == 0
    frozen = finished / "frozen"
    names = {str(p.relative_to(frozen)) for p in frozen.rglob("*") if p.is_file()}
    assert names == {*PRODUCTS, "config.yaml", "requirements.lock", "manifest.json"}
    # Its configuration is the campaign's, complete in one file.
    config = load(PROJECT_ROOT / "config.yaml", finished / "mine.yaml")
    assert load(frozen / "config.yaml") == config
    assert json.loads((frozen / "manifest.json").read_text())["labels"] == "model PES"
    assert main(["freeze", "--verify", "frozen"]) == 0
    assert main(["freeze", "frozen", "--configfile", "mine.yaml"]) == 1  # never over another
    capsys.readouterr()
    (frozen / "summary.json").write_text("edited")
    (frozen / "report.html").unlink()
    (frozen / "new.txt").write_text("")
    assert main(["freeze", "--verify", "frozen"]) == 1
    said = capsys.readouterr().err
    for problem in ("missing report.html", "unknown new.txt", "changed summary.json"):
        assert problem in said


def test_only_a_finished_campaign_is_frozen(finished, capsys):
    (finished / "out/li3ps4/efg/model.npz").unlink()
    assert main(["freeze", "frozen", "--configfile", "mine.yaml"]) == 1
    assert "no out/li3ps4/efg/model.npz" in capsys.readouterr().err
    assert not (finished / "frozen").exists()
    without = yaml.safe_dump({"labels": {"efg": False}})
    (finished / "without.yaml").write_text(without)
    assert main(["freeze", "frozen", "--configfile", "mine.yaml", "without.yaml"]) == 0
    assert main(["freeze", "--verify", "other"]) == 1
