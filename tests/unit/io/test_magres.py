import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.magres import read_magres, write_magres


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    atoms = Atoms("Li2SP", positions=rng.normal(size=(4, 3)), cell=np.eye(3) * 7, pbc=True)
    efg = rng.normal(size=(4, 3, 3))
    return atoms, efg + efg.transpose(0, 2, 1)


def test_round_trip_is_exact(tmp_path, case):
    atoms, efg = case
    write_magres(tmp_path / "a.magres", atoms, efg, comment="test", version="24.1")
    read = read_magres(tmp_path / "a.magres")
    assert np.array_equal(read.efg, efg)
    assert np.array_equal(read.numbers, atoms.numbers)
    assert np.array_equal(read.positions, atoms.positions)
    assert np.array_equal(read.cell, atoms.cell.array)


def test_form_of_castep(tmp_path):
    # The layout that CASTEP writes: angle brackets, total and partial tensors, ms beside efg.
    path = tmp_path / "a.magres"
    path.write_text(
        "#$magres-abinitio-v1.0\n<calculation>\ncalc_code CASTEP\ncalc_cutoffenergy 50 Hartree\n"
        "</calculation>\n<atoms>\nunits lattice Angstrom\nlattice 4 0 0 0 4 0 0 0 4\n"
        "units atom Angstrom\natom Li Li 1 0 0 0\natom S S 1 2 2 2\n</atoms>\n<magres>\n"
        "units efg au\nefg Li 1  1.0 0 0 0 -0.5 0 0 0 -0.5\nefg S 1 2 0 0 0 -1 0 0 0 -1\n"
        "units ms ppm\nms Li 1 90 0 0 0 90 0 0 0 90\nms S 1 90 0 0 0 90 0 0 0 90\n</magres>\n"
    )
    assert np.allclose(read_magres(path).efg[:, 0, 0], [1.0, 2.0])


def test_planted_damage(tmp_path, case):
    atoms, efg = case
    path = tmp_path / "a.magres"
    write_magres(path, atoms, efg, comment="test", version="24.1")
    text = path.read_text()
    line = next(row for row in text.splitlines() if row.startswith("  efg S"))
    for damaged in (
        text[: len(text) // 3],
        text[:-12],
        text.replace(line + "\n", ""),
        text.replace("units efg au", "units efg MHz"),
        text.replace(line, line[:-30]),
        text.replace("magres-abinitio", "something"),
        "",
    ):
        assert damaged != text
        path.write_text(damaged)
        with pytest.raises(HopechoError, match="Cannot read field gradients"):
            read_magres(path)
    with pytest.raises(HopechoError, match="FileNotFound"):
        read_magres(tmp_path / "none")
