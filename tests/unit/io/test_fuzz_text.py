"""Readers of text: the right array, or an error that names the file."""

import json

import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopecho.config_text import load_yaml
from hopecho.io.abinit_efg import read_abinit_efg
from hopecho.io.extxyz import count_frames, read_frames, write_frames
from hopecho.io.gipaw import format_block, read_gipaw
from hopecho.io.magres import read_magres, write_magres
from hopecho.io.results import read_json
from hopecho.io.uf3 import (
    PairSpline,
    TripletSpline,
    Uf3Potential,
    read_uf3,
    write_sidecar,
    write_uf3,
)
from hopecho.io.uf3_json import read_uf3_json, write_uf3_json
from hopecho.labels.quality import efg_reasons
from hopecho.md.harvest import read_dump

FUZZ = settings(
    settings.get_profile("fuzz"),
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
RNG = np.random.default_rng(5)
ATOMS = Atoms("Li2SP", positions=RNG.uniform(0, 6, (4, 3)), cell=np.diag([6.0, 7, 8]), pbc=True)
TENSORS = RNG.normal(size=(4, 3, 3)).round(6)
TENSORS = TENSORS + TENSORS.transpose(0, 2, 1)
TENSORS -= np.trace(TENSORS, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3

FORCES = RNG.normal(size=(4, 3))


def knots(end: float, n: int) -> np.ndarray:
    return np.concatenate([[0.0] * 3, np.linspace(0.0, end, n), [end] * 3])


def potential() -> Uf3Potential:
    def faded(*shape):
        values = RNG.normal(size=shape)
        for axis in range(len(shape)):
            np.moveaxis(values, axis, 0)[-3:] = 0.0
        return values

    def triplet(same):
        grid = faded(5, 5, 6)
        grid = grid + grid.transpose(1, 0, 2) if same else grid
        return TripletSpline(knots(3.0, 3), knots(3.0, 3), knots(6.0, 4), grid)

    pairs = [("Li", "Li"), ("Li", "S"), ("S", "S")]
    return Uf3Potential(
        ("Li", "S"),
        {pair: PairSpline(knots(5.0, 6), faded(8)) for pair in pairs},
        {(centre, a, b): triplet(a == b) for centre in ("Li", "S") for a, b in pairs},
        {"Li": -1.0, "S": -2.5},
    )


TRUE = potential()


def dump_text() -> bytes:
    frames = []
    for step in (0, 10, 20):
        rows = "".join(
            f"{i + 1} {1 + i % 2} {x:.6f} {y:.6f} {z:.6f}\n"
            for i, (x, y, z) in enumerate(ATOMS.positions + 0.01 * step)
        )
        frames.append(
            f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n4\nITEM: BOX BOUNDS pp pp pp\n"
            f"0.0 6.0\n0.0 7.0\n0.0 8.0\nITEM: ATOMS id type xu yu zu\n{rows}"
        )
    return "".join(frames).encode()


def labelled(path):
    frames = [ATOMS.copy() for _ in range(3)]
    for frame in frames:
        frame.info = {"REF_energy": -3.25, "REF_stress": np.arange(6) * 0.01, "source": "a test"}
        frame.arrays["REF_forces"] = FORCES
        frame.arrays["efg"] = TENSORS
    write_frames(path, frames)


def abinit_text() -> str:
    lines = [" Electric Field Gradient Calculation"]
    for number, tensor in enumerate(TENSORS, start=1):
        lines.append(f" Atom {number:3d}, typat   1: Cq = 1.0 MHz eta = 0.1")
        lines += ["      total efg : " + " ".join(f"{x:12.6f}" for x in row) for row in tensor]
    return "\n".join(lines) + "\n"


def content(fuzz, write) -> bytes:
    path = fuzz.folder / "good"
    write(path)
    return path.read_bytes()


@given(data=st.data())
@FUZZ
def test_extended_xyz(fuzz, data):
    raw = content(fuzz, labelled)
    kind, hurt = data.draw(fuzz.damages(raw))
    frames = fuzz.read(read_frames, "a.extxyz", hurt, intact=kind == "ends")
    count = fuzz.read(count_frames, "a.extxyz", hurt, intact=kind == "ends")
    if frames is None:
        return
    assert count == len(frames)
    for atoms in frames:
        assert atoms.positions.shape == (len(atoms), 3)
        assert np.isfinite(atoms.positions).all()
        assert np.isfinite(atoms.cell.array).all()
        for name, shape in (("REF_forces", (3,)), ("efg", (3, 3))):
            assert name not in atoms.arrays or atoms.arrays[name].shape == (len(atoms), *shape)
    if kind in ("ends", "cut"):
        assert np.array_equal(frames[0].positions, ATOMS.positions)
        assert np.array_equal(frames[-1].arrays["efg"], TENSORS)
        assert kind == "cut" or len(frames) == 3


@pytest.mark.parametrize("head", ["1000000000000", "-2", "-1", "0x4", "4 4", "", "nan", "9" * 5000])
def test_claimed_numbers_of_atoms(fuzz, head):
    text = content(fuzz, labelled).decode().replace("4\n", f"{head}\n", 1).encode()
    assert fuzz.read(read_frames, "a.extxyz", text) is None
    assert fuzz.read(count_frames, "a.extxyz", text) is None
    dump = dump_text().replace(b"ATOMS\n4\n", f"ATOMS\n{head}\n".encode(), 1)
    assert fuzz.read(lambda path: list(read_dump(path)), "a.dump", dump) is None


@pytest.mark.parametrize("size", ["1000000000", "-1", "0", "x"])
def test_claimed_columns(fuzz, size):
    text = content(fuzz, labelled).replace(b"pos:R:3", f"pos:R:{size}".encode(), 1)
    assert fuzz.read(read_frames, "a.extxyz", text) is None


@given(data=st.data())
@FUZZ
def test_dumps(fuzz, data):
    kind, hurt = data.draw(fuzz.damages(dump_text()))
    frames = fuzz.read(lambda path: list(read_dump(path)), "run.dump", hurt, intact=kind == "ends")
    if frames is None:
        return
    for frame in frames:
        assert frame.positions.shape == (len(frame.types), 3)
        assert frame.types.min() >= 1
        assert np.isfinite(frame.cell).all()
    if kind in ("ends", "cut", "swap"):
        # A torn last frame is left out; rows in another order are sorted by id.
        assert kind == "cut" or len(frames) == 3
        for step, frame in zip((0, 10, 20), frames):
            if kind != "swap" or frame.step == step:
                assert np.allclose(frame.positions, ATOMS.positions + 0.01 * step, atol=1e-6) or (
                    kind == "swap"
                )


@given(data=st.data())
@FUZZ
def test_magres(fuzz, data):
    raw = content(fuzz, lambda p: write_magres(p, ATOMS, TENSORS, comment="x", version="24.1"))
    kind, hurt = data.draw(fuzz.damages(raw))
    found = fuzz.read(read_magres, "a.magres", hurt, intact=kind == "ends")
    if found is None:
        return
    n = len(found.numbers)
    assert found.efg.shape == (n, 3, 3)
    assert found.positions.shape == (n, 3)
    if kind in ("cut", "ends"):
        assert np.array_equal(found.efg, TENSORS)
    if kind in ("swap", "drop", "double"):
        # Tensors belong to atoms by name, whatever the order of lines.
        order = [np.abs(ATOMS.positions - x).sum(axis=1).argmin() for x in found.positions]
        assert np.array_equal(found.efg, TENSORS[order])


@given(data=st.data())
@FUZZ
def test_output_of_gipaw(fuzz, data):
    block = format_block(ATOMS.get_chemical_symbols(), TENSORS)
    kind, hurt = data.draw(fuzz.damages(block.encode()))

    def read(path):
        return read_gipaw(path.read_text(errors="replace"), where=str(path))

    found = fuzz.read(read, "gipaw.out", hurt, intact=kind == "ends")
    if found is not None:
        n = len(found.symbols)
        reasons = efg_reasons(found.efg, n_atoms=n)
        assert found.efg.shape == (n, 3, 3)
        assert reasons or n == 4 or kind != "cut"
        if kind in ("cut", "ends"):
            assert np.allclose(found.efg, TENSORS, atol=1e-6)


@given(data=st.data())
@FUZZ
def test_field_gradients_of_abinit(fuzz, data):
    kind, hurt = data.draw(fuzz.damages(abinit_text().encode()))
    found = fuzz.read(
        lambda path: read_abinit_efg(path, n_atoms=4), "run.abo", hurt, intact=kind == "ends"
    )
    if found is not None:
        assert found.shape == (4, 3, 3)
        if kind in ("cut", "ends") and not efg_reasons(found, n_atoms=4):
            assert np.allclose(found, TENSORS, atol=1e-6)


def terms(found):
    return {
        **{k: v.coefficients for k, v in found.two_body.items()},
        **{k: v.coefficients for k, v in found.three_body.items()},
    }


@given(data=st.data())
@FUZZ
def test_uf3(fuzz, data):
    sidecar = fuzz.folder / "a.json"
    write_sidecar(sidecar, TRUE)
    kind, hurt = data.draw(fuzz.damages(content(fuzz, lambda path: write_uf3(path, TRUE))))
    found = fuzz.read(
        lambda path: read_uf3(path, sidecar=sidecar), "a.uf3", hurt, intact=kind == "ends"
    )
    if found is None:
        return
    for name, values in terms(found).items():
        assert np.isfinite(values).all()
        if kind in ("cut", "ends", "double", "drop"):
            assert values.shape == terms(TRUE)[name].shape
            assert kind == "double" or np.array_equal(values, terms(TRUE)[name])


@given(data=st.data())
@FUZZ
def test_json_of_uf3_and_sidecar(fuzz, data):
    kind, hurt = data.draw(fuzz.damages(content(fuzz, lambda path: write_uf3_json(path, TRUE))))
    found = fuzz.read(read_uf3_json, "model.json", hurt, intact=kind == "ends")
    if found is not None:
        assert all(np.isfinite(values).all() for values in terms(found).values())
        if kind in ("cut", "ends"):
            assert all(np.array_equal(v, terms(TRUE)[k]) for k, v in terms(found).items())
    uf3 = fuzz.folder / "a.uf3"
    write_uf3(uf3, TRUE)
    raw = content(fuzz, lambda path: write_sidecar(path, TRUE))
    kind, hurt = data.draw(fuzz.damages(raw))
    found = fuzz.read(
        lambda path: read_uf3(uf3, sidecar=path), "side.json", hurt, intact=kind == "ends"
    )
    assert found is None or kind != "cut" or found.one_body == TRUE.one_body


@given(data=st.data())
@FUZZ
def test_json(fuzz, data):
    record = {"a": [1.0, 2.5, {"b": None}], "name": "x", "n": 3}
    kind, hurt = data.draw(fuzz.damages((json.dumps(record) + "\n").encode()))
    found = fuzz.read(read_json, "a.json", hurt, intact=kind == "ends")
    assert found is None or isinstance(found, dict)
    assert found is None or kind not in ("cut", "ends") or found == record
    nested = b"[" * 100_000
    assert fuzz.read(read_json, "a.json", nested) is None


@given(data=st.data())
@FUZZ
def test_configuration(fuzz, data):
    raw = b"results: out\nseed: 1\nrun: {m: [beta, amorphous]}\nmd:\n  length_ps: {300: 5}\n"
    kind, hurt = data.draw(fuzz.damages(raw))
    found = fuzz.read(load_yaml, "config.yaml", hurt, intact=kind == "ends")
    assert found is None or isinstance(found, dict)
    assert found is None or kind != "ends" or found["run"] == {"m": ["beta", "amorphous"]}


BOMBS = {
    "aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
    "itself": "a: &a [*a]\n",
    "depth": "a: " + "[" * 5000,
    "merged": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)),
    "long list": "a: [" + "1, a, " * 20_000 + "]\n",
    "large": "# x\n" * 100_000 + "a: 1\n",
    "twice": "md: {dt_fs: 1.0}\nmd: {stride_ps: 1.0}\n",
    "date": "a: 2026-13-45\n",
    "object": "a: !!python/object/apply:os.system ['touch owned']\n",
    "binary": "a: \x00\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_would_hurt(fuzz, name):
    assert fuzz.read(load_yaml, "config.yaml", BOMBS[name].encode()) is None
