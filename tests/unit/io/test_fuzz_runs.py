"""Trajectories and tables of somebody else's: the right run, or an error that names the file."""

import h5py
import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopecho.errors import HopechoError
from hopecho.io.efg_table import read_efg
from hopecho.io.extxyz import write_frames
from hopecho.io.h5md import Segment, write_segment
from hopecho.own_data import read_run

FUZZ = settings(
    settings.get_profile("fuzz"),
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
RNG = np.random.default_rng(7)
ELEMENTS = ["Li", "S"]
NUMBERS = np.array([3, 3, 16, 16])
CELL = np.array([[6.0, 0, 0], [1.0, 7.0, 0], [0.5, -0.5, 8.0]])
X = RNG.random((1, 4, 3)) @ CELL + np.cumsum(RNG.normal(0, 0.1, (6, 4, 3)), axis=0)
X = X.round(6)
TIME = np.arange(6) * 0.1


def dump(path):
    text = ""
    for k, frame in enumerate(X):
        text += f"ITEM: TIMESTEP\n{50 * k}\nITEM: NUMBER OF ATOMS\n4\n"
        text += "ITEM: BOX BOUNDS xy xz yz pp pp pp\n0 7.5 1.0\n-0.5 7 0.5\n0 8 -0.5\n"
        text += "ITEM: ATOMS id type xu yu zu\n"
        for i, row in enumerate(frame):
            text += f"{i + 1} {1 + i // 2} {row[0]:.6f} {row[1]:.6f} {row[2]:.6f}\n"
    path.write_text(text)


def xyz(path):
    frames = [Atoms(numbers=NUMBERS, positions=x, cell=CELL, pbc=True) for x in X]
    for frame, time in zip(frames, TIME, strict=True):
        frame.info["time_ps"] = float(time)
    write_frames(path, frames)


def h5md(path):
    write_segment(path, Segment(TIME, X, CELL, NUMBERS))


KINDS = {"run.lammpstrj": dump, "run.extxyz": xyz, "run.h5md": h5md}


def read(path):
    stride = 0.1 if path.suffix == ".lammpstrj" else None
    return read_run([path], elements=ELEMENTS, stride_ps=stride)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, bytes]:
    """One run in every format."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name, write in KINDS.items():
        write(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
@FUZZ
def test_damaged_runs(fuzz, runs, name, data):
    kind, hurt = data.draw(fuzz.damages(runs[name]))
    text = name != "run.h5md"
    found = fuzz.read(read, name, hurt, intact=text and kind == "ends")
    if found is None:
        return
    n, atoms = len(found.time_ps), len(found.numbers)
    assert found.positions.shape == (n, atoms, 3)
    assert np.isfinite(found.positions).all()
    assert abs(np.linalg.det(found.cell)) > 0
    if kind in ("cut", "ends"):
        assert np.allclose(found.positions, X[:n], atol=1e-6)
        assert np.allclose(found.time_ps, TIME[:n])
        assert np.array_equal(found.numbers, NUMBERS)
        assert np.allclose(found.cell, CELL, atol=1e-6)


BAD = {
    "a step beyond all numbers": ("run.lammpstrj", b"\n50\n", b"\n" + b"9" * 30 + b"\n"),
    "no atoms": ("run.lammpstrj", b"ATOMS\n4\n", b"ATOMS\n0\n"),
    "a type beyond all numbers": ("run.lammpstrj", b"\n1 1 ", b"\n1 1e30 "),
    "a tilt larger than the box": ("run.lammpstrj", b"0 7.5 1.0", b"0 7.5 9.0"),
    "a word for a time": ("run.extxyz", b"time_ps=0.1", b"time_ps=soon"),
    "several times": ("run.extxyz", b"time_ps=0.1", b'time_ps="0.1 0.2"'),
    "an element that is none": ("run.extxyz", b"\nS ", b"\nXx "),
}


@pytest.mark.parametrize("name", BAD)
def test_planted_runs(fuzz, runs, name):
    file, old, new = BAD[name]
    assert old in runs[file]
    assert fuzz.read(read, file, runs[file].replace(old, new, 1)) is None


def test_runs_without_a_frame_or_with_one(fuzz, tmp_path):
    first = fuzz.folder / "run.h5md"
    write_segment(first, Segment(TIME[:1], X[:1], CELL, NUMBERS))
    with pytest.raises(HopechoError, match=r"two frames: .*run\.h5md"):
        read(first)
    with h5py.File(first, "a") as file:
        for name in ("position/value", "position/time", "position/step"):
            shape = (0, 4, 3) if name.endswith("value") else (0,)
            del file[f"particles/all/{name}"]
            file[f"particles/all/{name}"] = np.zeros(shape, "f4")
    with pytest.raises(HopechoError, match=r"run\.h5md"):
        read(first)


def matrices(path, unit="V/m^2"):
    full = np.random.default_rng(1).normal(size=(6, 3, 3, 3))
    full = full + full.swapaxes(2, 3)
    full -= np.trace(full, axis1=2, axis2=3)[..., None, None] * np.eye(3) / 3
    with h5py.File(path, "w") as file:
        file.attrs["unit"] = unit
        file["time_ps"], file["ion_id"], file["efg"] = TIME, [0, 1, 5], full


@given(data=st.data())
@FUZZ
def test_tables_of_matrices(fuzz, data):
    path = fuzz.folder / "seed.h5"
    matrices(path)
    raw = path.read_bytes()
    _, hurt = data.draw(fuzz.damages(raw))
    found = fuzz.read(read_efg, "own.h5", hurt)
    if found is not None:
        assert found.efg.shape == (len(found.time_ps), len(found.ion_id), 5)
        assert np.isfinite(found.efg).all()


def test_a_gap_in_time_names_the_table(fuzz):
    path = fuzz.folder / "gap.h5"
    matrices(path)
    with h5py.File(path, "a") as file:
        file["time_ps"][3:] += 1.0
    assert fuzz.read(read_efg, "gap.h5", path.read_bytes()) is None
