import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.structures import build, crystals
from hopecho.structures.disorder import disorder, strongest_peak, structure_vectors


def naive_peak(atoms: Atoms, k_max: float) -> float:
    """Largest |rho_k|^2/N by three explicit loops over all k, both signs."""
    reciprocal = 2 * np.pi * atoms.cell.reciprocal().array / 1.0
    best = 0.0
    for h in range(-8, 9):
        for k in range(-8, 9):
            for m in range(-8, 9):
                vector = np.array([h, k, m]) @ reciprocal
                if 0 < np.linalg.norm(vector) <= k_max:
                    rho = np.exp(1j * atoms.positions @ vector).sum()
                    best = max(best, abs(rho) ** 2 / len(atoms))
    return best


def test_peak_equals_the_naive_sum() -> None:
    rng = np.random.default_rng(3)
    cell = np.array([[9.0, 0, 0], [1.5, 8.0, 0], [-1.0, 2.0, 10.0]])
    atoms = Atoms("P9", cell=cell, scaled_positions=rng.random((9, 3)), pbc=True)
    vectors = structure_vectors(cell, k_max=3.0)
    assert strongest_peak(atoms.positions, vectors) == pytest.approx(naive_peak(atoms, 3.0))


def test_crystal_is_one() -> None:
    beta = build.supercell(crystals.load_crystal("beta-Li3PS4"), (1, 2, 2))
    found = disorder(beta, element="P")
    assert found.n_atoms == 16
    assert found.order_parameter > 0.8
    simple = Atoms("P", cell=[4.0] * 3, pbc=True).repeat((3, 3, 3))
    assert disorder(simple, element="P").order_parameter == pytest.approx(1.0)


def test_random_points_average_to_zero() -> None:
    rng = np.random.default_rng(4)
    cell = np.eye(3) * 13.854
    points = [rng.random((16, 3)) @ cell for _ in range(40)]
    values = [disorder(Atoms("P16", cell=cell, positions=p, pbc=True), element="P") for p in points]
    orders = np.array([value.order_parameter for value in values])
    assert values[0].random == pytest.approx(6.3, abs=0.4)
    # Scatter of one value is about 0.1.
    assert abs(orders.mean()) < 4 * orders.std() / np.sqrt(len(orders)) + 0.03


def test_invariant_under_translation() -> None:
    gamma = build.supercell(crystals.load_crystal("gamma-Li3PS4"), (2, 2, 2))
    moved = gamma.copy()
    moved.positions += [0.3, 1.7, 5.0]
    assert disorder(moved, element="P").peak == pytest.approx(disorder(gamma, element="P").peak)


def test_single_atom_is_refused() -> None:
    with pytest.raises(HopechoError, match="two atoms"):
        disorder(Atoms("P", cell=[9.0] * 3, pbc=True), element="P")
