import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames, write_frames
from hopecho.labels.batch import Rules, backend_key, label_batch, read_labels
from hopecho.labels.interface import Label, LabelFailure, settings_hash, structure_hash
from hopecho.labels.quality import Limits
from hopecho.labels.store import LabelStore, _checksum

ROOT = Path(__file__).resolve().parents[3]


def frame(seed: int, n: int = 8) -> Atoms:
    rng = np.random.default_rng(seed)
    return Atoms(
        numbers=rng.choice([3, 15, 16], n),
        positions=rng.normal(size=(n, 3)) * 4,
        cell=np.eye(3) * 8,
        pbc=True,
    )


def label_of(atoms: Atoms, *, efg: bool = True) -> Label:
    rng = np.random.default_rng(len(atoms))
    n = len(atoms)
    return Label(
        structure=structure_hash(atoms),
        energy=float(rng.normal()),
        forces=rng.normal(size=(n, 3)),
        stress=rng.normal(size=6),
        efg=rng.normal(size=(n, 3, 3)) if efg else None,
        code="castep",
        version="24.1",
        settings="s",
        dataset="C19",
        source="CASTEP 24.1",
        cpu_s=1.5,
    )


class Planned:
    """Backend that does for each structure what the test planned for it."""

    code, version, source, settings, dataset = "castep", "24.1", "CASTEP 24.1", "s", "C19"

    in_process = False

    def __init__(self, plan=None, attempts=({},)):
        self.plan = plan or {}
        self.attempts = attempts
        self.calls = []
        self.tried = []

    def compute(self, atoms, directory, *, efg=True, base=None, tried=()):
        self.calls.append((structure_hash(atoms), efg, base is not None))
        self.tried.append(set(tried))
        action = self.plan.get(structure_hash(atoms))
        (directory / "file").write_text("x")
        if isinstance(action, OSError):
            raise action
        if action is not None:
            part, reasons = action
            if part == "energy" or efg:
                partial = label_of(atoms, efg=False) if part == "efg" else None
                failure = LabelFailure(reasons, log="the log", part=part, partial=partial)
                failure.attempts = [{"changes": c, "reasons": reasons} for c in self.attempts]
                raise failure
        return base_with_efg(base, atoms) if base else label_of(atoms, efg=efg)


def base_with_efg(base, atoms):
    return replace(base, efg=label_of(atoms).efg)


def same(a: Label, b: Label) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in Label.__dataclass_fields__
    )


def test_round_trip_is_exact(tmp_path):
    store, atoms = LabelStore(tmp_path / "store"), frame(0)
    label = label_of(atoms)
    assert store.get(label.key) is None
    key = store.put(label, atoms)
    assert same(store.get(key), label)
    assert np.array_equal(store.atoms(key).positions, atoms.positions)
    assert store.keys() == [key]
    assert store.verify() == []
    assert (tmp_path / "store" / key[:2] / key[2:4] / f"{key}.json").exists()


def test_label_of_another_structure_is_refused(tmp_path):
    with pytest.raises(HopechoError, match="does not belong"):
        LabelStore(tmp_path).put(label_of(frame(0)), frame(1))


def test_field_gradients_are_never_lost(tmp_path):
    store, atoms = LabelStore(tmp_path), frame(0)
    key = store.put(label_of(atoms, efg=False), atoms)
    assert store.get(key).efg is None
    store.put(label_of(atoms), atoms)
    store.put(label_of(atoms, efg=False), atoms)
    assert store.get(key).efg is not None


def test_quarantine_drop_and_listing(tmp_path):
    store, atoms = LabelStore(tmp_path), frame(0)
    key = label_of(atoms).key
    store.quarantine(
        key, atoms, part="energy", reasons=["not_finite"], log="why" + "y" * 9000 + "end"
    )
    record = store.quarantined(key)
    assert record.reasons == ("not_finite",)
    assert record.log.endswith("end")
    assert record.log.startswith("why")
    assert len(record.log) < 4020
    assert store.keys() == []
    assert store.keys(quarantined=True) == [key]
    assert store.atoms(key) == atoms
    assert store.drop(key)
    assert not store.drop(key)
    assert store.quarantined(key) is None


def test_success_ends_a_quarantine(tmp_path):
    store, atoms = LabelStore(tmp_path), frame(0)
    key = label_of(atoms).key
    store.quarantine(key, atoms, part="efg", reasons=["efg_trace"], log="")
    store.put(label_of(atoms, efg=False), atoms)
    assert store.quarantined(key) is not None
    store.put(label_of(atoms), atoms)
    assert store.quarantined(key) is None


@pytest.mark.parametrize("damage", ["truncate", "digit", "empty", "list"])
def test_damage_is_found(tmp_path, damage):
    store, atoms = LabelStore(tmp_path), frame(0)
    key = store.put(label_of(atoms), atoms)
    path = next(tmp_path.rglob("*.json"))
    text = path.read_text()
    position = text.index('"energy": ') + 15
    digit = "1" if text[position] != "1" else "2"
    path.write_text(
        {
            "truncate": text[:-100],
            "digit": text[:position] + digit + text[position + 1 :],
            "empty": "",
            "list": "[1]",
        }[damage]
    )
    with pytest.raises(HopechoError, match="damaged") as caught:
        store.get(key)
    assert "delete the file" in caught.value.fix
    assert len(store.verify()) == 1


def test_file_under_a_wrong_name_is_found(tmp_path):
    store, atoms = LabelStore(tmp_path), frame(0)
    store.put(label_of(atoms), atoms)
    path = next(tmp_path.rglob("*.json"))
    path.rename(path.with_name("f" * 64 + ".json"))
    assert "holds" in store.verify()[0]
    place = tmp_path / "ff/ff" / f"{'f' * 64}.json"
    place.parent.mkdir(parents=True)
    next(tmp_path.rglob("*.json")).rename(place)
    with pytest.raises(HopechoError, match=r"damaged: .*ffff\.json"):
        store.get("f" * 64)


BAD_CONTENT = {
    "no label": lambda data: data.pop("label"),
    "unknown field": lambda data: data["label"].update(colour="red"),
    "fewer forces": lambda data: data["label"]["forces"].pop(),
    "forces in another shape": lambda data: data["label"].update(forces=[1.0, 2.0]),
    "ragged tensors": lambda data: data["label"]["efg"][0].pop(),
    "words for forces": lambda data: data["label"].update(forces=[["x", "y", "z"]]),
    "energy of no size": lambda data: data["label"].update(energy=float("inf")),
    "no energy": lambda data: data["label"].update(energy=None),
    "another structure": lambda data: data["structure"]["positions"][0].reverse(),
    "no structure": lambda data: data.pop("structure"),
    "structure of another kind": lambda data: data.update(structure=[1]),
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_content_that_cannot_be_is_refused_whatever_its_checksum(tmp_path, name):
    """Whoever writes a file can write its checksum too."""
    store, atoms = LabelStore(tmp_path), frame(0)
    key = store.put(label_of(atoms), atoms)
    path = next(tmp_path.rglob("*.json"))
    data = json.loads(path.read_text())
    del data["checksum"]
    BAD_CONTENT[name](data)
    path.write_text(json.dumps({"checksum": _checksum(data)} | data))
    with pytest.raises(HopechoError, match="damaged") as caught:
        store.get(key)
    assert str(path) in caught.value.what
    assert len(store.verify()) == 1
    assert [aside.name for aside in store.set_aside_damaged(key)] == [f"{path.name}.damaged"]
    assert store.get(key) is None


def test_a_record_of_a_failure_that_cannot_be_is_refused(tmp_path):
    store, atoms = LabelStore(tmp_path), frame(0)
    key = label_of(atoms).key
    store.quarantine(key, atoms, part="efg", reasons=["efg_trace"], log="")
    path = next(tmp_path.rglob("*.json"))
    good = json.loads(path.read_text())
    del good["checksum"]
    for change in ({"reasons": 3}, {"reasons": [[1]]}, {"key": "f" * 64}, {"structure": None}):
        data = good | change
        path.write_text(json.dumps({"checksum": _checksum(data)} | data))
        with pytest.raises(HopechoError, match="damaged"):
            _ = store.quarantined(key), store.atoms(key)


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "", "..", "a b", "x\0"])
def test_a_key_is_no_path(tmp_path, key):
    store = LabelStore(tmp_path)
    for use in (store.get, store.quarantined, store.drop, store.atoms):
        with pytest.raises(HopechoError, match="letters and digits"):
            use(key)


WRITER = """
import sys
sys.path.insert(0, {folder!r})
from test_store_batch import frame, label_of
from hopecho.labels.store import LabelStore
store = LabelStore(sys.argv[1])
print("ready", flush=True)
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    atoms = frame(seed, 60)
    store.put(label_of(atoms), atoms)
"""


def writer(store: Path, first: int, last: int) -> subprocess.Popen:
    code = WRITER.format(folder=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store), str(first), str(last)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_write_the_same_labels(tmp_path):
    processes = [writer(tmp_path, 0, 30), writer(tmp_path, 10, 40)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = LabelStore(tmp_path)
    assert len(store.keys()) == 40
    assert store.verify() == []
    assert not list(tmp_path.rglob(".tmp-*"))


def test_kill_9_leaves_a_valid_store(tmp_path):
    store = LabelStore(tmp_path)
    for attempt in range(3):
        process = writer(tmp_path, 0, 100_000)
        process.stdout.readline()
        while not store.keys():
            time.sleep(0.01)
        time.sleep(0.021 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert store.verify() == []
    assert store.keys()
    for key in sorted(store.keys()):
        assert store.get(key).efg.shape == (60, 3, 3)


def test_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    store, atoms = LabelStore(tmp_path), frame(0)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put(label_of(atoms), atoms)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_batch_goes_on_past_failures(tmp_path):
    frames = [frame(seed) for seed in range(6)]
    keys = [structure_hash(f) for f in frames]
    backend = Planned(
        {
            keys[1]: ("energy", ["incomplete", "scf_unconverged"]),
            keys[2]: ("energy", ["killed"]),
            keys[3]: OSError(28, "No space left on device"),
            keys[4]: ("efg", ["efg_trace"]),
        }
    )
    store, seen = LabelStore(tmp_path / "store"), []
    result = label_batch(
        [*frames, frames[0]],
        backend,
        store,
        tmp_path / "scratch",
        progress=lambda *args: seen.append(args),
    )
    by_key = dict(result.states)
    assert [by_key[k] for k in result.keys] == [
        "labelled",
        "quarantined:scf_unconverged",
        "missing",
        "missing",
        "quarantined:efg_trace",
        "labelled",
        "labelled",
    ]
    assert list(result.states) == sorted(result.states)
    assert len(backend.calls) == 6
    assert result.computed == 2
    assert (result.count("labelled"), result.count("quarantined"), result.count("missing")) == (
        2,
        2,
        2,
    )
    assert [s[0] for s in seen] == [1, 2, 3, 4, 5, 6]
    assert store.quarantined(result.keys[1]).log == "the log"
    assert {k for k, _ in result.problems} == set(result.keys[1:5])
    assert "No space left" in dict(result.problems)[result.keys[3]]
    # Files of a failed run stay for transient failures only.
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == [result.keys[2]]


def test_folders_of_a_killed_job_are_removed(tmp_path):
    left = tmp_path / "s" / ("a" * 16 + ".x1")
    kept = tmp_path / "s" / ("b" * 64)
    for folder in (left, kept):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    label_batch([frame(0)], Planned(), LabelStore(tmp_path / "store"), tmp_path / "s")
    assert not left.exists()
    assert kept.exists()


def test_next_run_retries_transient_failures_only(tmp_path):
    frames = [frame(seed) for seed in range(3)]
    keys = [structure_hash(f) for f in frames]
    store = LabelStore(tmp_path / "store")
    plan = {keys[1]: ("energy", ["not_finite"]), keys[2]: ("energy", ["killed"])}
    label_batch(frames, Planned(plan), store, tmp_path / "scratch")
    again = Planned()
    result = label_batch(frames, again, store, tmp_path / "scratch")
    assert [c[0] for c in again.calls] == [keys[2]]
    assert result.count("labelled") == 2
    assert result.count("quarantined") == 1
    # Other settings, another key: nothing of the old quarantine is left.
    other = Planned()
    other.settings = "t"
    assert backend_key(frames[1], other) != result.keys[1]
    assert store.quarantined(backend_key(frames[1], other)) is None


def test_a_structure_that_is_killed_every_time_is_set_aside(tmp_path):
    frames, store = [frame(seed) for seed in range(2)], LabelStore(tmp_path / "store")
    plan = {structure_hash(frames[0]): ("energy", ["killed"])}
    states = []
    for _ in range(4):
        backend = Planned(plan)
        result = label_batch(frames, backend, store, tmp_path / "s", rules=Rules(max_failures=3))
        states.append(dict(result.states)[result.keys[0]])
        assert dict(result.states)[result.keys[1]] == "labelled"
    assert states == ["missing", "missing", "quarantined:killed", "quarantined:killed"]
    assert not backend.calls
    record = store.quarantined(result.keys[0])
    assert (record.failures, record.transient) == (3, True)
    # Another kind of failure is counted on its own: it says something else.
    other = Planned({structure_hash(frames[0]): ("energy", ["scf_unconverged"])})
    store.release(result.keys[0])
    label_batch(frames, other, store, tmp_path / "s")
    assert store.quarantined(result.keys[0]).failures == 1


def test_a_new_retry_is_tried_and_the_old_ones_are_not(tmp_path):
    atoms, store = frame(0), LabelStore(tmp_path / "store")
    plan, mixing = {structure_hash(atoms): ("energy", ["scf_unconverged"])}, {"mixing": 0.1}
    label_batch([atoms], Planned(plan), store, tmp_path / "s")
    again = Planned(plan)
    assert label_batch([atoms], again, store, tmp_path / "s").count("quarantined") == 1
    assert again.calls == []
    gentler = Planned(attempts=({}, mixing))
    result = label_batch([atoms], gentler, store, tmp_path / "s")
    assert gentler.tried == [{settings_hash({})}]
    assert result.count("labelled") == 1
    assert store.quarantined(result.keys[0]) is None


def test_only_failures_that_settings_may_cure_are_tried_with_others(tmp_path):
    atoms, store = frame(0), LabelStore(tmp_path / "store")
    label_batch(
        [atoms],
        Planned({structure_hash(atoms): ("energy", ["atom_order"])}),
        store,
        tmp_path / "s",
    )
    backend = Planned(attempts=({}, {"mixing": 0.1}))
    assert label_batch([atoms], backend, store, tmp_path / "s").count("quarantined") == 1
    assert backend.calls == []


def test_a_retry_that_is_taken_back_leaves_the_failure_as_it_was(tmp_path):
    atoms, store = frame(0), LabelStore(tmp_path / "store")
    key = backend_key(atoms, Planned())
    tried = [
        {"changes": {}, "reasons": ["scf_unconverged"]},
        {"changes": {"mixing": 0.1}, "reasons": ["killed"]},
    ]
    store.quarantine(key, atoms, part="energy", reasons=["killed"], log="", attempts=tried)
    backend = Planned()
    result = label_batch([atoms], backend, store, tmp_path / "s")
    assert dict(result.states) == {key: "quarantined:scf_unconverged"}
    assert backend.calls == []


def test_a_crash_of_the_job_is_counted_before_it_happens(tmp_path):
    frames, store = [frame(0), frame(1)], LabelStore(tmp_path / "store")

    class Crashing(Planned):
        in_process = True

        def compute(self, atoms, directory, **options):
            if structure_hash(atoms) == structure_hash(frames[0]):
                raise SystemExit(134)  # nothing in the batch catches it
            return super().compute(atoms, directory, **options)

    for _ in range(3):
        with pytest.raises(SystemExit):
            label_batch(frames, Crashing(), store, tmp_path / "s")
    result = label_batch(frames, Crashing(), store, tmp_path / "s")
    assert [dict(result.states)[k] for k in result.keys] == ["quarantined:killed", "labelled"]
    assert store.quarantined(result.keys[1]) is None


def test_damaged_files_are_set_aside_and_computed_again(tmp_path):
    frames, store = [frame(0), frame(1)], LabelStore(tmp_path / "store")
    keys = label_batch(frames, Planned(), store, tmp_path / "s").keys
    path = store.root / keys[0][:2] / keys[0][2:4] / f"{keys[0]}.json"
    path.write_text(path.read_text()[:-50])
    result = label_batch(frames, Planned(), store, tmp_path / "s")
    assert result.count("labelled") == 2
    assert result.computed == 1
    assert "damaged" in dict(result.problems)[keys[0]]
    assert path.with_name(path.name + ".damaged").exists()
    assert store.verify() == []


def test_a_full_disk_of_the_store_leaves_every_label_missing(tmp_path, monkeypatch):
    frames, store = [frame(seed) for seed in range(3)], LabelStore(tmp_path / "store")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = label_batch(frames, Planned(), store, tmp_path / "s")
    assert result.count("missing") == 3
    assert all("No space left" in problem for _, problem in result.problems)


def test_a_position_that_is_not_a_number_is_an_error_that_names_the_frame(tmp_path):
    atoms = frame(0)
    atoms.positions[2, 1] = np.nan
    atoms.info["trajectory"] = "al0-beta-300K-seed1"
    with pytest.raises(HopechoError, match="not finite") as caught:
        label_batch([atoms], Planned(), LabelStore(tmp_path / "store"), tmp_path / "s")
    assert "al0-beta-300K-seed1" in caught.value.got


def test_limits_are_judged_on_the_stored_label(tmp_path):
    frames, store = [frame(seed, 4 + seed) for seed in range(3)], LabelStore(tmp_path / "store")
    label_batch(frames, Planned(), store, tmp_path / "s")
    largest = [np.linalg.norm(store.get(k).forces, axis=1).max() for k in sorted(store.keys())]
    limit = float(np.sort(largest)[1] + 1e-9)
    backend = Planned()
    rules = Rules(limits=Limits(max_force_ev_a=limit))
    strict = label_batch(frames, backend, store, tmp_path / "s", rules=rules)
    assert (strict.count("labelled"), strict.count("quarantined")) == (2, 1)
    bad = next(k for k, state in strict.states if state == "quarantined:force_limit")
    assert f"limits {limit:g}" in store.quarantined(bad).log
    loose = label_batch(frames, backend, store, tmp_path / "s")
    assert loose.count("labelled") == 3
    assert store.quarantined(bad) is None
    assert backend.calls == []


def test_field_gradients_complete_a_label(tmp_path):
    atoms, store = frame(0), LabelStore(tmp_path / "store")
    backend = Planned()
    label_batch([atoms], backend, store, tmp_path / "s", rules=Rules(efg=False))
    result = label_batch([atoms], backend, store, tmp_path / "s")
    assert [call[1:] for call in backend.calls] == [(False, False), (True, True)]
    assert store.get(result.keys[0]).efg is not None


def test_failed_field_gradients_leave_the_energy(tmp_path):
    atoms, store = frame(0), LabelStore(tmp_path / "store")
    backend = Planned({structure_hash(atoms): ("efg", ["efg_trace"])})
    first = label_batch([atoms], backend, store, tmp_path / "s")
    assert first.count("quarantined") == 1
    second = label_batch([atoms], backend, store, tmp_path / "s", rules=Rules(efg=False))
    assert second.count("labelled") == 1
    third = label_batch([atoms], backend, store, tmp_path / "s")
    assert third.count("quarantined") == 1
    assert len(backend.calls) == 1


def test_result_file_is_the_same_for_whoever_computed(tmp_path):
    frames = [frame(seed) for seed in range(4)]
    store = LabelStore(tmp_path / "store")
    first = label_batch(frames, Planned(), store, tmp_path / "s")
    second = label_batch(frames[::-1], Planned(), store, tmp_path / "s")
    assert first.to_dict() == second.to_dict()
    assert second.computed == 0


def test_read_labels_as_training_frames(tmp_path):
    frames = [frame(seed, 5 + seed) for seed in range(3)]
    store = LabelStore(tmp_path / "store")
    result = label_batch(frames, Planned(), store, tmp_path / "s")
    read = read_labels(result.keys, store)
    write_frames(tmp_path / "a.extxyz", read)
    for original, atoms, key in zip(frames, read_frames(tmp_path / "a.extxyz"), result.keys):
        label = store.get(key)
        assert np.array_equal(atoms.positions, original.positions)
        assert atoms.info["REF_energy"] == label.energy
        assert np.array_equal(atoms.info["REF_stress"], label.stress)
        assert np.array_equal(atoms.arrays["REF_forces"], label.forces)
        assert np.array_equal(atoms.arrays["efg"], label.efg)
        assert atoms.info["hash"] == key
        assert atoms.info["source"] == "CASTEP 24.1"
    with pytest.raises(HopechoError, match="no such label"):
        read_labels(["0" * 64], store)
