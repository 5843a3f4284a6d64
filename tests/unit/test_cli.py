"""The ``hopecho`` command as a user types it."""

import json

import numpy as np
import pytest

from hopecho.__main__ import main
from hopecho.config_text import PROJECT_ROOT
from hopecho.io.efg_table import EfgTrajectory, write_efg
from hopecho.io.extxyz import read_frames
from hopecho.io.h5md import Segment, write_segment
from hopecho.io.results import read_json, write_json
from hopecho.labels.interface import Label, structure_hash
from hopecho.labels.store import LabelStore
from hopecho.structures.crystals import load_crystal

QUICK = str(PROJECT_ROOT / "campaigns/quick.yaml")


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """An empty folder with an overlay whose store and results are in it."""
    monkeypatch.chdir(tmp_path)
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("results: out\nlabels: {store: labels}\n")
    return str(overlay)


@pytest.fixture
def keys(campaign, tmp_path):
    """Two labels and a quarantined structure."""
    store = LabelStore(tmp_path / "labels")
    found = []
    for seed in (0, 1):
        atoms = load_crystal("beta-Li3PS4")
        atoms.rattle(0.1, seed=seed)
        n = len(atoms)
        label = Label(
            structure=structure_hash(atoms), energy=-12.5 - seed, forces=np.zeros((n, 3)),
            stress=np.zeros(6), efg=np.zeros((n, 3, 3)) if seed else None, code="castep",
            version="1", settings="s", dataset="d", source="model PES", cpu_s=0.0,
        )  # fmt: skip
        found.append(store.put(label, atoms))
    bad = "ff" * 32
    store.quarantine(bad, atoms, part="energy", reasons=["force"], log="too large")
    return [*found, bad]


def test_check_forecasts_the_campaign(campaign, capsys):
    assert main(["check"]) == 0
    whole = capsys.readouterr().out
    assert main(["--configfile", QUICK, "check"]) == 0
    quick = capsys.readouterr().out
    assert main(["check", "--configfile", QUICK, campaign]) == 0
    assert capsys.readouterr().out == quick
    assert "labels: model PES" in whole
    assert quick != whole


def test_a_mistake_is_one_message_and_status_one(campaign, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("md: {dt_fs: -1}")
    for argv in (["--configfile", "bad.yaml", "check"], ["check", "--configfile", "bad.yaml"]):
        assert main(argv) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "hopecho: error: bad.yaml: 'md.dt_fs'" in captured.err


def test_the_config_of_the_folder_comes_before_the_embedded_one(campaign, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("seed: 1")
    assert main(["check"]) == 1
    assert "config.yaml" in capsys.readouterr().err


def test_status_of_nothing_yet(campaign, capsys):
    assert main(["status", "--configfile", campaign]) == 0
    out = capsys.readouterr().out
    assert "no round of learning finished" in out
    assert "li3ps4 beta 300 K: 0.000 of 0.900 ns" in out  # 3 replicas of 300 ps
    assert "report: not yet" in out


def test_labels_list_and_verify(keys, campaign, tmp_path, capsys):
    assert main(["labels", "list", "--configfile", campaign]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert any(x.startswith(keys[0][:16]) and "-12.500000 eV" in x and "no efg" in x for x in lines)
    assert any(x.startswith("ffff") and "quarantined (energy): force" in x for x in lines)
    assert main(["labels", "verify", "--configfile", campaign]) == 0
    assert "2 labels, 0 damaged" in capsys.readouterr().out
    path = next((tmp_path / "labels").glob(f"*/*/{keys[0]}.json"))
    path.write_text(path.read_text().replace("-12.5", "-12.6"))
    assert main(["labels", "verify", "--configfile", campaign]) == 0
    out = capsys.readouterr().out
    assert keys[0] in out
    assert "1 damaged" in out


def test_labels_export(keys, campaign, tmp_path, capsys):
    assert main(["labels", "export", "all.extxyz", "--configfile", campaign]) == 0
    assert "2 labels -> all.extxyz" in capsys.readouterr().out
    frames = read_frames(tmp_path / "all.extxyz")
    assert sorted(f.info["REF_energy"] for f in frames) == [-13.5, -12.5]


def test_show_tells_what_was_tried_and_what_to_do(keys, campaign, tmp_path, capsys):
    store = LabelStore(tmp_path / "labels")
    atoms = store.atoms(keys[0])
    tried = [{"changes": {"param": {"mix_charge_amp": 0.1}}, "reasons": ["scf_unconverged"]}]
    bad = "ee" * 32
    store.quarantine(
        bad, atoms, part="efg", reasons=["scf_unconverged"], log="last line", attempts=tried
    )
    assert main(["labels", "show", "eeee", "--configfile", campaign]) == 0
    said = capsys.readouterr().out
    for part in (bad, "Li12P4S16", "scientific", "mix_charge_amp", "labels.retries", "last line"):
        assert part in said


def test_retry_forgets_transient_failures_only(keys, campaign, tmp_path, capsys):
    store = LabelStore(tmp_path / "labels")
    killed = "dd" * 32
    for _ in range(3):
        store.quarantine(
            killed, store.atoms(keys[0]), part="energy", reasons=["killed"], log="signal 9"
        )
    out = tmp_path / "out/li3ps4"
    write_json(out / "heldout/labels0.json", {"keys": [keys[0], killed]})
    write_json(out / "heldout/labels1.json", {"keys": [keys[2]]})
    assert main(["labels", "retry", "--configfile", campaign]) == 0
    assert "snakemake --cores 1 out/li3ps4/heldout/labels0.json" in capsys.readouterr().out
    assert store.keys(quarantined=True) == [keys[2]]
    assert len(store.keys()) == 2
    assert [p.name for p in out.rglob("*.json")] == ["labels1.json"]


def test_retry_names_what_a_new_retry_may_cure(keys, campaign, tmp_path, capsys):
    store = LabelStore(tmp_path / "labels")
    old, new = {"param": {"mix_charge_amp": 0.2}}, {"param": {"mix_charge_amp": 0.1}}
    bad = {"dd" * 32: "scf_unconverged", "ee" * 32: "atom_order"}
    for key, reason in bad.items():
        tried = [{"changes": changes, "reasons": [reason]} for changes in ({}, old)]
        store.quarantine(
            key, store.atoms(keys[0]), part="energy", reasons=[reason], log="", attempts=tried
        )
    out = tmp_path / "out/li3ps4"
    overlay = tmp_path / "retries.yaml"
    for retries, left in (
        ([old], ["labels0.json", "labels1.json"]),
        ([old, new], ["labels1.json"]),
    ):
        for number, key in enumerate(bad):
            write_json(out / f"heldout/labels{number}.json", {"keys": [key]})
        overlay.write_text(f"labels: {{retries: {json.dumps(retries)}}}")
        assert main(["labels", "retry", "--configfile", campaign, str(overlay)]) == 0
        assert sorted(p.name for p in out.rglob("*.json")) == left
    assert "1 structures that labels.retries has not been tried on" in capsys.readouterr().out
    # The record stays: what failed before is not tried again.
    assert set(store.keys(quarantined=True)) == {*bad, keys[2]}


def test_drop_removes_one_label_and_the_indices_that_name_it(keys, campaign, tmp_path, capsys):
    first, second = keys[:2]
    out = tmp_path / "out/li3ps4"
    indices = {"al/0/audit/labels0.json": [first, second], "heldout/labels0.json": [second],
               "al/0/candidates/labels3.json": [first]}  # fmt: skip
    for name, named in indices.items():
        write_json(out / name, {"keys": named})
    write_json(out / "al/0/audit/labelled.json", {"quarantined": {}})
    assert main(["labels", "drop", first[:20], "--configfile", campaign]) == 0
    assert f"dropped {first}" in capsys.readouterr().out
    store = LabelStore(tmp_path / "labels")
    assert store.keys() == [second]
    assert store.keys(quarantined=True) == [keys[2]]
    left = {str(p.relative_to(out)) for p in out.rglob("*.json")}
    assert left == {"heldout/labels0.json", "al/0/audit/labelled.json"}
    # A quarantined structure is dropped in the same way, so that it is tried again.
    assert main(["labels", "drop", "ffff", "--configfile", campaign]) == 0
    assert store.keys(quarantined=True) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["drop"], "give the hash of a label"),
        (["export"], "give a file to export to"),
        (["show"], "give the hash of a structure"),
        (["drop", ""], "fits 3 labels"),
        (["drop", "no"], "fits 0 labels"),
    ],
)
def test_incomplete_requests_change_nothing(keys, campaign, tmp_path, capsys, argv, said):
    assert main(["labels", *argv, "--configfile", campaign]) == 1
    assert said in capsys.readouterr().err
    store = LabelStore(tmp_path / "labels")
    assert len(store.keys()) == 2
    assert len(store.keys(quarantined=True)) == 1


def test_export_of_segments(tmp_path, capsys):
    x = np.zeros((4, 2, 3))
    x[:, 1, 0] = [1.0, 1.5, 2.0, 2.5]
    for k in range(2):
        part = slice(2 * k, 2 * k + 2)
        write_segment(
            tmp_path / f"segment{k}.h5md",
            Segment(np.arange(4.0)[part], x[part], np.eye(3) * 9, np.array([3, 16])),
        )
    paths = [str(tmp_path / f"segment{k}.h5md") for k in range(2)]
    target = tmp_path / "all.extxyz"
    assert main(["export", *paths, "--output", str(target)]) == 0
    assert "4 frames" in capsys.readouterr().out
    frames = read_frames(target)
    assert [f.positions[1, 0] for f in frames] == [1.0, 1.5, 2.0, 2.5]
    assert [f.info["time_ps"] for f in frames] == [0, 1, 2, 3]
    assert main(["export", *reversed(paths), "--output", str(target)]) == 1
    assert "hopecho: error" in capsys.readouterr().err


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2


def test_tables_of_field_gradients_of_ones_own(tmp_path, monkeypatch, capsys):
    """Redrawn tensors, one table a run: the decay time is found without any campaign."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for run in range(2):
        redraw = rng.random((1500, 30)) < 0.05
        redraw[0] = True
        drawn = np.maximum.accumulate(np.where(redraw, np.arange(1500)[:, None], 0), axis=0)
        efg = 0.005 * rng.normal(size=(1500, 30, 5))[drawn, np.arange(30)]
        table = EfgTrajectory(np.arange(1500) * 0.5, np.arange(30), efg.astype(np.float32))
        write_efg(f"run{run}.h5", table)
    assert main(["echo", "run0.h5", "run1.h5", "--output", "out", "--source", "mine"]) == 0
    assert "out/relaxation.json" in capsys.readouterr().out
    record = read_json("out/acf_powder.json")
    assert record["tau_sae"]["verdict"] == "resolved"
    assert record["tau_sae"]["value"] == pytest.approx(0.5e-3 / -np.log(0.95), rel=0.15)
    assert record["provenance"]["labels"] == "mine"
    assert read_json("out/sae.json")["routes"]["frozen"]["basis"]
    assert main(["echo", "run0.h5", "run1.h5", "--output", "out", "--quench", "0"]) == 1
    assert "one quench" in capsys.readouterr().err
