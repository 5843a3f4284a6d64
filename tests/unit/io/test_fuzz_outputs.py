"""Outputs of CASTEP, pw.x and Abinit, and the label store: right numbers, or a named failure."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopecho.io.extxyz import write_frames
from hopecho.labels import abinit, castep, espresso
from hopecho.labels.espresso_output import espresso_reasons
from hopecho.labels.imported import read_dataset
from hopecho.labels.interface import make_backend
from hopecho.labels.program import text_of
from hopecho.labels.quality import results_reasons
from hopecho.labels.store import LabelStore

LABELS = Path(__file__).parents[1] / "labels"
FUZZ = settings(
    settings.get_profile("fuzz"),
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def neighbour(name: str):
    """A test module beside this one, for its structure and its text of a real run."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", LABELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASTEP, ABINIT = neighbour("test_castep_backend"), neighbour("test_abinit_backend")
ATOMS = CASTEP.structure()


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What the stand-ins write for one structure, and its label."""
    folder = tmp_path_factory.mktemp("outputs")
    codes = {
        "castep": {"settings": {"param": {"cut_off_energy": "500 eV"}}},
        "espresso": {
            "command": "hopecho-pw",
            "settings": {"input_data": {"system": {"ecutwfc": 60}}, "gipaw": {"q_efg": {}}},
        },
    }
    label = {}
    for code, options in codes.items():
        options["efg_command"] = "hopecho-gipaw" if code == "espresso" else ""
        label[code] = make_backend(code, **options).compute(ATOMS, folder / code)
    return {
        "castep": next((folder / "castep").rglob("energy/label.castep")).read_bytes(),
        "espresso": next((folder / "espresso").rglob(espresso.OUTPUT)).read_bytes(),
        "label": label,
    }


def judged(results, truth, kind):
    """Text has no checksum: a changed digit is a number. Everything else must be as it was."""
    energy, forces, stress = results
    if results_reasons(energy, forces, stress, n_atoms=len(truth.forces)):
        return
    assert np.shape(forces) == truth.forces.shape
    if kind == "ends":
        assert np.allclose(forces, truth.forces, atol=1e-3)
        assert np.isclose(energy, truth.energy, atol=1e-3)


def read_castep(path):
    text = text_of(path)
    reasons = castep.castep_reasons(text, version="24.1")
    if reasons:
        raise castep.LabelFailure(reasons, log="-")
    printed, found = castep._read_castep(path.parent)
    order, reasons = castep.match_atoms(
        ATOMS, numbers=printed.numbers, cell=printed.cell.array, positions=printed.positions
    )
    if reasons:
        raise castep.LabelFailure(reasons, log="-")
    return found["free_energy"], found["forces"][order], found["stress"]


@given(data=st.data())
@FUZZ
def test_castep(fuzz, outputs, data):
    kind, hurt = data.draw(fuzz.damages(outputs["castep"]))
    found = fuzz.read(read_castep, "label.castep", hurt, intact=kind == "ends")
    if found is not None:
        judged(found, outputs["label"]["castep"], kind)


def read_pw(path):
    text = text_of(path)
    reasons = espresso_reasons(text)
    if reasons:
        raise espresso.LabelFailure(reasons, log="-")
    found = espresso._results(ATOMS, text, path.parent, stress=True)
    return found.energy, found.forces, found.stress


@given(data=st.data())
@FUZZ
def test_pw(fuzz, outputs, data):
    kind, hurt = data.draw(fuzz.damages(outputs["espresso"]))
    found = fuzz.read(read_pw, espresso.OUTPUT, hurt, intact=kind == "ends")
    if found is not None:
        judged(found, outputs["label"]["espresso"], kind)


def read_abinit(path):
    text = text_of(path)
    reasons = abinit.abinit_reasons(text)
    if reasons:
        raise abinit.LabelFailure(reasons, log="-")
    found = abinit._results(ABINIT.structure(), path.parent, text, efg=True)
    return found.energy, found.forces, found.stress


@given(data=st.data())
@FUZZ
def test_abinit(fuzz, data):
    raw = ABINIT.OUTPUT.encode()
    truth = fuzz.read(read_abinit, abinit._OUTPUT, raw, intact=True)
    kind, hurt = data.draw(fuzz.damages(raw))
    found = fuzz.read(read_abinit, abinit._OUTPUT, hurt, intact=kind == "ends")
    if found is not None and kind == "ends":
        assert np.array_equal(found[1], truth[1])


@pytest.fixture(scope="module")
def stored(outputs, tmp_path_factory):
    store, label = LabelStore(tmp_path_factory.mktemp("store")), outputs["label"]["castep"]
    key = store.put(label, ATOMS)
    return store, label, key, store._path(key).read_bytes()


@given(data=st.data())
@FUZZ
def test_label_store(fuzz, stored, data):
    store, label, key, raw = stored
    _, hurt = data.draw(fuzz.damages(raw))
    path = store._path(key)
    path.write_bytes(hurt)
    found = fuzz.read(lambda _: store.get(key), path.name, hurt)
    if found is not None:
        assert np.array_equal(found.forces, label.forces)
        assert np.array_equal(found.efg, label.efg)


@given(data=st.data())
@FUZZ
def test_imported_data_sets(fuzz, outputs, data):
    label = outputs["label"]["castep"]
    frame = ATOMS.copy()
    frame.info = {"REF_energy": label.energy, "REF_stress": label.stress}
    frame.arrays |= {"REF_forces": label.forces, "efg": label.efg}
    path = fuzz.folder / "good.extxyz"
    write_frames(path, [frame, frame])
    kind, hurt = data.draw(fuzz.damages(path.read_bytes()))
    read = functools.partial(read_dataset, n_check=1)
    frames = fuzz.read(read, "brought.extxyz", hurt, intact=kind == "ends")
    for atoms in frames or []:
        forces, stress = atoms.arrays["REF_forces"], atoms.info.get("REF_stress")
        energy = atoms.info["REF_energy"]
        bad = results_reasons(energy, forces, stress, n_atoms=len(atoms))
        assert bad or forces.shape == (len(atoms), 3)
        if kind in ("cut", "ends"):
            assert np.array_equal(forces, label.forces)


def test_an_endless_line_takes_no_endless_time(fuzz):
    """Searches for k-point warnings and tables would take minutes on such a line."""
    for word in (b"warning k", b" ", b"x"):
        raw = b"Program PWSCF v.7.0\nForces acting on atoms\n\n" + word * 200_000
        fuzz.read(lambda path: espresso_reasons(text_of(path)), "pw.out", raw, intact=True)
