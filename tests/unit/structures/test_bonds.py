import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.structures import build, crystals
from hopecho.structures.bonds import bond_report

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
CELL = 20.0


def ps4(at: tuple[float, float, float]) -> Atoms:
    centre = np.array(at)
    return Atoms("PS4", positions=[centre, *(centre + 2.05 * TETRAHEDRON)])


def p2s7(at: tuple[float, float, float]) -> Atoms:
    """Two tetrahedra that share the corner at `at`: inversion images of each other."""
    corner = np.array(at)
    first = corner - 2.05 * TETRAHEDRON[0]
    arms = first + 2.05 * TETRAHEDRON[1:]
    return Atoms(
        "PS3PS3S", positions=[first, *arms, 2 * corner - first, *(2 * corner - arms), corner]
    )


def p2s6(at: tuple[float, float, float]) -> Atoms:
    middle = np.array(at)
    first = middle - 1.13 * TETRAHEDRON[0]
    arms = first + 2.05 * TETRAHEDRON[1:] * [1, 1, 1]
    arms = first - 2.05 * TETRAHEDRON[0] + (arms - first) - (-2.05 * TETRAHEDRON[0])
    return Atoms("PS3PS3", positions=[first, *arms, 2 * middle - first, *(2 * middle - arms)])


def box(*units: Atoms) -> Atoms:
    whole = units[0].copy()
    for unit in units[1:]:
        whole += unit
    whole.set_cell([CELL] * 3)
    whole.pbc = True
    return whole


def report(atoms: Atoms):
    return bond_report(atoms, centre="P", ligand="S", cutoff=2.8)


def test_crystals_are_whole() -> None:
    for name in ("beta-Li3PS4", "gamma-Li3PS4"):
        found = report(build.supercell(crystals.load_crystal(name), (1, 2, 2)))
        assert found.whole
        assert found.coordination == {4: found.n_centres}
        assert found.largest_unit == 1


def test_units_across_the_boundary_are_whole() -> None:
    assert report(box(ps4((0, 0, 0)), ps4((10, 10, 10)))).whole


def test_planted_p2s7() -> None:
    found = report(box(ps4((3, 3, 3)), p2s7((12, 12, 12))))
    assert not found.whole
    assert (found.isolated, found.corner_pairs, found.bridging_ligands) == (1, 1, 1)
    assert (found.direct_pairs, found.edge_pairs, found.free_ligands) == (0, 0, 0)
    assert found.coordination == {4: 3}
    assert found.largest_unit == 2


def test_planted_p2s6() -> None:
    found = report(box(p2s6((10, 10, 10)), ps4((3, 3, 3))))
    assert (found.direct_pairs, found.corner_pairs, found.isolated) == (1, 0, 1)
    assert found.coordination == {3: 2, 4: 1}
    assert found.largest_unit == 2


def test_broken_unit_and_free_sulfur() -> None:
    atoms = box(ps4((5, 5, 5)), ps4((14, 14, 14)))
    atoms.positions[1] += 2.0 * TETRAHEDRON[0]
    found = report(atoms)
    assert found.coordination == {3: 1, 4: 1}
    assert (found.free_ligands, found.isolated, found.whole) == (1, 1, False)


def test_edge_sharing_pair() -> None:
    first = ps4((10, 10, 10))
    mirror = first.positions[1] + first.positions[2] - first.positions[0]
    atoms = box(first, Atoms("P", positions=[mirror]))
    found = report(atoms)
    assert (found.edge_pairs, found.corner_pairs, found.bridging_ligands) == (1, 0, 2)


def test_no_centre_is_an_error() -> None:
    with pytest.raises(HopechoError, match="no Ge atom"):
        bond_report(box(ps4((5, 5, 5))), centre="Ge", ligand="S", cutoff=2.8)
