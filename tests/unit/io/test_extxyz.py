import math

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames, write_frames


def labelled(seed: int = 0, n: int = 5) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms(
        numbers=rng.choice([3, 15, 16], n),
        positions=rng.normal(size=(n, 3)) * 10,
        cell=rng.normal(size=(3, 3)) + 8 * np.eye(3),
        pbc=True,
    )
    atoms.info |= {
        "REF_energy": float(rng.normal()),
        "REF_stress": rng.normal(size=6),
        "source": "model PES",
        "hash": "0a" * 32,
        "round": 3,
        "selected": True,
    }
    atoms.arrays["REF_forces"] = rng.normal(size=(n, 3))
    atoms.arrays["efg"] = rng.normal(size=(n, 3, 3))
    atoms.arrays["site"] = np.arange(n)
    return atoms


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_round_trip_is_exact(tmp_path_factory, seed, n):
    path = tmp_path_factory.mktemp("x") / "a.extxyz"
    frames = [labelled(seed, n), labelled(seed + 1, n + 1)]
    write_frames(path, frames)
    again = read_frames(path)
    assert len(again) == 2
    for a, b in zip(frames, again):
        assert np.array_equal(a.numbers, b.numbers)
        assert np.array_equal(a.cell.array, b.cell.array)
        assert b.pbc.all()
        assert a.info.keys() == b.info.keys()
        assert b.info["REF_energy"] == a.info["REF_energy"]
        assert np.array_equal(b.info["REF_stress"], a.info["REF_stress"])
        assert b.info["source"] == "model PES"
        assert b.info["selected"] == True  # noqa: E712 - numpy bool
        for name in a.arrays:
            assert np.array_equal(a.arrays[name], b.arrays[name]), name
        assert b.arrays["efg"].shape == (len(b), 3, 3)


def test_bytes_depend_on_content_only(tmp_path):
    frames = [labelled(1)]
    write_frames(tmp_path / "a", frames)
    frames[0].info = dict(reversed(frames[0].info.items()))
    write_frames(tmp_path / "b", frames)
    write_frames(tmp_path / "c", read_frames(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_plain_extended_xyz_of_others(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(
        '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T F"\n'
        "Li 0 0 0\nS 2 2 2\n\n"
    )
    (atoms,) = read_frames(path)
    assert atoms.get_chemical_symbols() == ["Li", "S"]
    assert atoms.pbc.tolist() == [True, True, False]


def test_every_truncation_is_an_error(tmp_path):
    path = tmp_path / "a.extxyz"
    write_frames(path, [labelled(0, 3), labelled(1, 3)])
    lines = path.read_text().splitlines(keepends=True)
    for n in [0, 1, 2, 3, 4, 6, 7, 8, 9]:
        path.write_text("".join(lines[:n]))
        with pytest.raises(HopechoError, match="Cannot read structures") as caught:
            read_frames(path)
        assert caught.value.fix
    path.write_text("".join(lines)[:-40])
    with pytest.raises(HopechoError):
        read_frames(path)


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "2\nx\nLi 0 0 zero\nS 1 1 1\n"])
def test_unreadable_file(tmp_path, text):
    path = tmp_path / "a.extxyz"
    path.write_text(text)
    with pytest.raises(HopechoError, match=r"a.extxyz"):
        read_frames(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(HopechoError, match="FileNotFound"):
        read_frames(tmp_path / "none")
    (tmp_path / "b").write_bytes(bytes(range(256)))
    with pytest.raises(HopechoError):
        read_frames(tmp_path / "b")


@pytest.mark.parametrize("value", [{"a": 1}, None, np.eye(3), 'say "hi"', [1, "a"], 1j])
def test_values_that_do_not_fit_are_named(tmp_path, value):
    atoms = labelled()
    atoms.info["odd"] = value
    with pytest.raises(HopechoError, match="info 'odd'"):
        write_frames(tmp_path / "a", [atoms])


def test_extreme_numbers(tmp_path):
    atoms = labelled()
    atoms.positions[0] = [1e-300, -math.pi * 1e20, np.nextafter(1.0, 2.0)]
    write_frames(tmp_path / "a", [atoms])
    assert np.array_equal(read_frames(tmp_path / "a")[0].positions, atoms.positions)
