"""Data sets made elsewhere: taken over, checked against the code, refused when they differ."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.labels.batch import Rules, label_batch, read_labels
from hopecho.labels.imported import Differences, read_dataset, require_checks
from hopecho.labels.interface import make_backend
from hopecho.labels.store import LabelStore
from hopecho.learning.frames import TRAIN, WITHHELD, imported_frames
from hopecho.structures.crystals import load_crystal


@pytest.fixture(scope="module")
def surface():
    return make_backend("model_pes", dataset="d")


@pytest.fixture(scope="module")
def labelled(surface, tmp_path_factory):
    """Five structures with the surface's own labels."""
    frames = []
    for seed in range(5):
        atoms = load_crystal("gamma-Li3PS4")
        atoms.rattle(0.05, seed=seed)
        frames.append((atoms, surface.compute(atoms, tmp_path_factory.mktemp("c"))))
    return frames


def dataset(
    path, labelled, *, energy=0.0, force=0.0, stress=1.0, tensor=1.0, efg=True, names="ref"
):
    """Write the file of a data set, with errors if they are wanted."""
    frames = []
    for atoms, label in labelled:
        frame = atoms.copy()
        if efg:
            frame.arrays["efg"] = tensor * label.efg.reshape(len(frame), 9)
        forces = label.forces.copy()
        forces[0, 0] += force
        values = {
            "energy": label.energy + energy * len(frame),
            "forces": forces,
            "stress": stress * label.stress,
        }
        if names == "ase":
            frame.calc = SinglePointCalculator(frame, **values)
        else:
            frame.info |= {"REF_energy": values["energy"], "REF_stress": values["stress"]}
            frame.arrays["REF_forces"] = values["forces"]
        frames.append(frame)
    write(path, frames, format="extxyz")
    return path


@pytest.mark.parametrize("names", ["ref", "ase"])
def test_labels_are_taken_over_and_two_are_computed_again(
    surface, labelled, tmp_path, names, monkeypatch
):
    frames = read_dataset(dataset(tmp_path / "aimd.extxyz", labelled, names=names), n_check=2)
    assert [f.info["checked"] for f in frames] == [True, False, False, False, True]
    calls = []
    monkeypatch.setattr(
        surface,
        "run_energy",
        lambda *a, run=surface.run_energy, **k: calls.append(1) or run(*a, **k),
    )
    store = LabelStore(tmp_path / "store")
    result = label_batch(frames, surface, store, tmp_path / "s")
    assert (result.count("labelled"), len(calls), result.computed) == (5, 2, 2)
    imported = [store.get(key).imported for key in result.keys]
    assert imported == ["", "aimd.extxyz", "aimd.extxyz", "aimd.extxyz", ""]
    for key, (_, label) in zip(result.keys, labelled):
        got = store.get(key)
        # Written with eight digits by ASE.
        assert got.energy == pytest.approx(label.energy, abs=1e-6)
        assert np.abs(got.forces - label.forces).max() < 1e-7
        assert np.abs(got.stress - label.stress).max() < 1e-7
        assert np.abs(got.efg - label.efg).max() < 1e-7
    assert [check["file"] for check in result.checks] == ["aimd.extxyz"] * 2
    assert all(check["force_ev_a"] < 1e-7 for check in result.checks)
    assert result.to_dict()["checks"]
    train = read_labels(result.keys, store)
    assert len({atoms.info["label_set"] for atoms in train}) == 1
    # Again: nothing is computed, and the comparison stands.
    again = label_batch(frames, surface, store, tmp_path / "s")
    assert again.to_dict() == result.to_dict()
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"energy": 0.01}, "energy_ev_atom differs by 0.01"),
        ({"force": 0.13}, "force_ev_a differs"),
        ({"stress": -1.0}, "stress_ev_a3 differs"),
        ({"tensor": -1.0}, "efg_au differs"),
    ],
)
def test_a_dataset_of_another_code_is_refused(surface, labelled, tmp_path, error, said):
    frames = read_dataset(dataset(tmp_path / "other.extxyz", labelled, **error), n_check=1)
    store = LabelStore(tmp_path / "store")
    with pytest.raises(HopechoError, match=r"not those of this code and settings") as caught:
        label_batch(frames, surface, store, tmp_path / "s")
    assert said in str(caught.value)
    assert "learning.initial_files" in str(caught.value)
    loose = Rules(differences=Differences(1.0, 1.0, 1.0, 1.0))
    checks = label_batch(frames, surface, store, tmp_path / "s", rules=loose).checks
    assert len(checks) == 1


def test_a_check_that_is_wanted_later_asks_the_code(surface, labelled, tmp_path):
    path = dataset(tmp_path / "d.extxyz", labelled[:2])
    store = LabelStore(tmp_path / "store")
    label_batch(read_dataset(path, n_check=0), surface, store, tmp_path / "s")
    assert all(store.get(key).imported for key in sorted(store.keys()))
    result = label_batch(read_dataset(path, n_check=2), surface, store, tmp_path / "s")
    assert result.computed == len(result.checks) == 2
    assert not any(store.get(key).imported for key in sorted(store.keys()))


def test_missing_tensors_are_computed_and_the_energy_is_kept(surface, labelled, tmp_path):
    path = dataset(tmp_path / "d.extxyz", labelled[:2], efg=False, energy=0.001)
    store = LabelStore(tmp_path / "store")
    result = label_batch(read_dataset(path, n_check=0), surface, store, tmp_path / "s")
    atoms, label = labelled[0]
    got = store.get(result.keys[0])
    assert got.energy == pytest.approx(label.energy + 0.001 * len(atoms), abs=1e-6)
    assert np.abs(got.efg - label.efg).max() < 1e-8


def test_a_file_that_was_mended_replaces_what_was_taken_from_it(surface, labelled, tmp_path):
    store = LabelStore(tmp_path / "store")
    wrong = read_dataset(dataset(tmp_path / "d.extxyz", labelled, force=0.13), n_check=1)
    with pytest.raises(HopechoError):
        label_batch(wrong, surface, store, tmp_path / "s")
    right = read_dataset(dataset(tmp_path / "d.extxyz", labelled), n_check=1)
    result = label_batch(right, surface, store, tmp_path / "s")
    for key, (_, label) in zip(result.keys, labelled):
        assert np.abs(store.get(key).forces - label.forces).max() < 1e-7


def test_checks_that_could_not_be_made_stop_the_campaign(labelled, tmp_path):
    frames = read_dataset(dataset(tmp_path / "d.extxyz", labelled), n_check=1)
    require_checks(frames, [{"file": "d.extxyz"}])
    require_checks(read_dataset(tmp_path / "d.extxyz", n_check=0), [])
    with pytest.raises(HopechoError, match="could not be compared"):
        require_checks(frames, [])


def test_exports_of_another_kind_are_refused(surface, labelled, tmp_path):
    frames = read_dataset(dataset(tmp_path / "d.extxyz", labelled), n_check=0)
    store = LabelStore(tmp_path / "store")
    keys = label_batch(frames, surface, store, tmp_path / "s").keys
    exported = read_labels(keys, store)
    write_frames(tmp_path / "own.extxyz", exported)
    own = read_dataset(tmp_path / "own.extxyz", n_check=0)
    assert label_batch(own, surface, store, tmp_path / "s").count("labelled") == 5
    other = make_backend("model_pes", dataset="other")
    with pytest.raises(HopechoError, match="another code, settings or dataset"):
        label_batch(own, other, store, tmp_path / "s")
    exported[2].info["label_set"] = "castep/0/d"
    write_frames(tmp_path / "mixed.extxyz", exported)
    with pytest.raises(HopechoError, match="different code, settings or dataset stand in"):
        read_dataset(tmp_path / "mixed.extxyz", n_check=0)


def test_the_energy_of_the_forces_and_a_full_stress_are_taken(labelled, tmp_path):
    atoms, label = labelled[0]
    frame = atoms.copy()
    xx, yy, zz, yz, xz, xy = label.stress
    full = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    frame.calc = SinglePointCalculator(
        frame, energy=1.0, free_energy=0.9, forces=label.forces, stress=label.stress
    )
    write(tmp_path / "a.extxyz", frame, format="extxyz")
    assert read_dataset(tmp_path / "a.extxyz", n_check=0)[0].info["REF_energy"] == 0.9
    frame.calc = None
    frame.info |= {"REF_energy": 1.0, "REF_stress": full}
    frame.arrays["REF_forces"] = label.forces
    write(tmp_path / "b.extxyz", frame, format="extxyz")
    got = read_dataset(tmp_path / "b.extxyz", n_check=0)[0].info["REF_stress"]
    assert np.abs(got - label.stress).max() < 1e-7


def test_what_cannot_be_a_label_is_quarantined(surface, labelled, tmp_path):
    frames = read_dataset(dataset(tmp_path / "d.extxyz", labelled[:3]), n_check=0)
    frames[0].arrays["REF_forces"][2, 1] = np.nan
    frames[1].arrays["efg"][0] += np.eye(3)
    result = label_batch(frames, surface, LabelStore(tmp_path / "store"), tmp_path / "s")
    states = dict(result.states)
    assert [states[key] for key in result.keys] == [
        "quarantined:not_finite",
        "quarantined:efg_trace",
        "labelled",
    ]


def test_frames_without_a_label_or_a_cell_are_named(labelled, tmp_path):
    write(tmp_path / "bare.extxyz", [labelled[0][0]], format="extxyz")
    with pytest.raises(HopechoError, match=r"Frame 0 of .*bare.extxyz has no energy"):
        read_dataset(tmp_path / "bare.extxyz", n_check=0)
    free = Atoms("Li", info={"REF_energy": 1.0})
    free.arrays["REF_forces"] = np.zeros((1, 3))
    write(tmp_path / "free.extxyz", free, format="extxyz")
    with pytest.raises(HopechoError, match="no periodic cell"):
        read_dataset(tmp_path / "free.extxyz", n_check=0)


def test_imported_frames_have_phases_and_roles(labelled, tmp_path):
    path = dataset(tmp_path / "aimd.extxyz", labelled)
    frames = imported_frames({"gamma": [str(path)]}, n_check=1, heldout_every=2)
    assert [f.info["role"] for f in frames] == [TRAIN, WITHHELD, TRAIN, WITHHELD, TRAIN]
    assert {f.info["phase"] for f in frames} == {"gamma"}
    assert {f.info["trajectory"] for f in frames} == {"imported-gamma-aimd"}
