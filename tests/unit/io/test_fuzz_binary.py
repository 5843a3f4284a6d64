"""Readers of HDF5 files and NumPy archives: the right array, or an error that names the file."""

import io
import os
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopecho.errors import HopechoError
from hopecho.io.arrays import read_arrays
from hopecho.io.efg_table import EfgTrajectory, read_efg, write_efg
from hopecho.io.h5md import Segment, n_frames, read_segment, write_segment
from hopecho.io.results import write_arrays

FUZZ = settings(
    settings.get_profile("fuzz"), max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
RNG = np.random.default_rng(3)
TIME = np.arange(40) * 0.05
SEGMENT = Segment(
    TIME,
    RNG.normal(size=(40, 5, 3)).astype(np.float32).astype(float),
    np.diag([6.0, 7.0, 8.0]),
    np.array([3, 3, 15, 16, 16]),
    np.arange(40),
    {"temperature": RNG.uniform(250, 350, 40)},
    RNG.normal(size=(40, 5, 3)).astype(np.float32),
)
TABLE = EfgTrajectory(TIME, np.array([0, 2, 3]), RNG.normal(size=(40, 3, 5)).astype(np.float32))
ARRAYS = {"a": RNG.normal(size=(20, 3)), "n": np.array(7), "word": np.array("Li")}


def file_of(write) -> bytes:
    path = f"/tmp/fuzz-{os.getpid()}.npz"
    try:
        write(path)
        with open(path, "rb") as stream:
            return stream.read()
    finally:
        os.unlink(path)


H5MD = file_of(lambda path: write_segment(path, SEGMENT))
EFG = file_of(lambda path: write_efg(path, TABLE))
NPZ = file_of(lambda path: write_arrays(path, ARRAYS))


@st.composite
def blows(draw, raw: bytes):
    """Truncation, bit flips, or a number of eight bytes that claims the world."""
    kind = draw(st.sampled_from(["cut", "flip", "claim", "zeros"]))
    # The structure of an HDF5 file stands at its beginning.
    end = draw(st.sampled_from([len(raw), min(len(raw), 6200)]))
    place = draw(st.integers(0, end - 1))
    hurt = bytearray(raw)
    if kind == "cut":
        del hurt[place:]
    elif kind == "flip":
        for bit in draw(st.lists(st.integers(0, 8 * end - 1), min_size=1, max_size=4)):
            hurt[bit // 8] ^= 1 << bit % 8
    elif kind == "claim":
        number = draw(st.sampled_from([10**12, 2**31, 2**63 - 1, 2**64 - 1, 5]))
        hurt[place : place + 8] = number.to_bytes(8, "little")
    else:
        hurt[place : place + 64] = b"\0" * 64
    return kind, bytes(hurt)


@given(data=st.data())
@FUZZ
def test_trajectories(fuzz, data):
    _, hurt = data.draw(blows(H5MD))
    found = fuzz.read(read_segment, "segment0.h5md", hurt)
    fuzz.read(n_frames, "segment0.h5md", hurt)
    if found is None:
        return
    n, atoms = len(found.time_ps), len(found.numbers)
    assert found.positions.shape == (n, atoms, 3)
    assert np.isfinite(found.positions).all()
    # Packed data carry a checksum of their own.
    if found.positions.shape == SEGMENT.positions.shape:
        assert np.array_equal(found.positions, SEGMENT.positions)
        assert found.velocities is None or np.array_equal(found.velocities, SEGMENT.velocities)


@given(data=st.data())
@FUZZ
def test_tables(fuzz, data):
    _, hurt = data.draw(blows(EFG))
    found = fuzz.read(read_efg, "efg0.h5", hurt)
    if found is not None:
        assert found.efg.shape == (len(found.time_ps), len(found.ion_id), 5)
        assert np.array_equal(found.efg, TABLE.efg)


@given(data=st.data())
@FUZZ
def test_archives(fuzz, data):
    _, hurt = data.draw(blows(NPZ))
    found = fuzz.read(read_arrays, "model.npz", hurt)
    for name, array in (found or {}).items():
        assert name not in ARRAYS or np.array_equal(array, ARRAYS[name])


def h5(fuzz, build) -> bytes:
    path = fuzz.folder / "built.h5"
    with h5py.File(path, "w") as file:
        file.attrs["unit"] = "a.u."
        file.attrs["convention"] = "isometric"
        file["time_ps"] = np.arange(3.0)
        file["ion_id"] = np.arange(2)
        build(file, path)
    return path.read_bytes()


def claimed(file, path):
    file.create_dataset("efg", (10**9, 2, 5), "f4", chunks=(100, 2, 5))


def unwritten(file, path):
    data = file.create_dataset("efg", (3, 2, 5), "f4", chunks=(1, 2, 5), compression="gzip")
    data[0] = 1.0


def packed(file, path):
    file.create_dataset("efg", data=np.zeros((2000, 200, 5), "f4"), compression="gzip")
    file["efg"].resize  # noqa: B018 - the dataset is there
    del file["time_ps"]
    file.create_dataset("time_ps", (10**11,), "f8", chunks=(10**6,), compression="gzip")


def wide_chunks(file, path):
    file.create_dataset("efg", (3, 2, 5), "f4", chunks=(3, 2, 5), maxshape=(None, 2, 5))
    del file["ion_id"]
    file.create_dataset(
        "ion_id", (2,), "i8", maxshape=(None,), chunks=(2**27,), compression="gzip"
    )[:0] = 0


def elsewhere(file, path):
    file["efg"] = h5py.ExternalLink("/etc/passwd", "/efg")


def external(file, path):
    file.create_dataset("efg", (3, 2, 5), "f4", external=[("/etc/passwd", 0, 120)])


def circles(file, path):
    file["efg"] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/efg")


def virtual(file, path):
    layout = h5py.VirtualLayout((3, 2, 5), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "efg", (3, 2, 5))
    file.create_virtual_dataset("efg", layout)


def words(file, path):
    file["efg"] = np.full((3, 2, 5), b"1.0")


def group(file, path):
    file.create_group("efg")


def not_finite(file, path):
    file["efg"] = np.full((3, 2, 5), np.nan, "f4")


def twice(file, path):
    file["efg"] = np.zeros((3, 2, 5), "f4")
    file["ion_id"][:] = 1


BAD = [claimed, unwritten, packed, wide_chunks, elsewhere, external, circles, virtual, words, group]
BAD += [not_finite, twice]


@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
def test_planted_tables(fuzz, build):
    assert fuzz.read(read_efg, "efg0.h5", h5(fuzz, build)) is None


@pytest.mark.parametrize("length", [0, 1, 8, 10**12])
def test_a_heap_of_text_that_would_be_walked_for_ever(fuzz, length):
    start = EFG.find(b"GCOL")
    assert start > 0
    place = start + 16
    while EFG[place : place + 2] != b"\0\0":
        place += 16 + -(-int.from_bytes(EFG[place + 8 : place + 16], "little") // 8) * 8
    hurt = EFG[: place + 8] + length.to_bytes(8, "little") + EFG[place + 16 :]
    assert fuzz.read(read_efg, "efg0.h5", hurt) is None


def test_links_inside_a_file_are_followed(fuzz):
    def build(file, path):
        file["data/efg"] = np.ones((3, 2, 5), "f4")
        file["efg"] = h5py.SoftLink("/data/efg")

    assert fuzz.read(read_efg, "efg0.h5", h5(fuzz, build), intact=True).efg.shape == (3, 2, 5)


def npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def header(shape: str, descr: str = "'<f8'", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


ARCHIVES = {
    "claim": npz(a=header("(1000000000000,)") + b"\0" * 8),
    "overflow": npz(a=header("(4294967296, 4294967296, 2)") + b"\0" * 8),
    "negative": npz(a=header("(-1, -8)") + b"\0" * 64),
    "objects": npz(a=npy(np.array([{}, print], dtype=object), allow_pickle=True)),
    "code": npz(a=header("__import__('os').system('touch owned')")),
    "records": npz(a=npy(np.zeros(3, dtype=[("x", "f8")]))),
    "version": npz(a=header("(1,)", version=b"\x09\x00") + b"\0" * 8),
    "torn header": npz(a=b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f8', ("),
    "short": npz(a=header("(4,)") + b"\0" * 31),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00.",
    "array": npy(np.zeros(3)),
    "empty": b"",
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_planted_archives(fuzz, name):
    assert fuzz.read(read_arrays, "model.npz", ARCHIVES[name]) is None


def test_a_bomb_is_not_unpacked(fuzz):
    raw = npz(a=header("(67108864,)") + bytes(1 << 20))
    assert fuzz.read(read_arrays, "model.npz", raw) is None
    found = fuzz.read(read_arrays, "model.npz", npz(a=npy(np.zeros(1 << 16))), intact=True)
    assert found["a"].shape == (1 << 16,)


def test_archives_come_back_as_they_were(fuzz):
    found = fuzz.read(read_arrays, "model.npz", NPZ, intact=True)
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    found = fuzz.read(read_arrays, "model.npz", npz(a=npy(fortran)), intact=True)
    assert np.array_equal(found["a"], fortran)


def test_a_missing_file_is_named(tmp_path):
    for reader in (read_arrays, read_segment, n_frames, read_efg):
        with pytest.raises(HopechoError, match=r"nowhere\.h5"):
            reader(tmp_path / "nowhere.h5")
