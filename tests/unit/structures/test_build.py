import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.structures import build, crystals


@pytest.fixture(scope="module")
def gamma():
    return crystals.load_crystal("gamma-Li3PS4")


def test_supercell_keeps_order_provenance_and_density(gamma) -> None:
    big = build.supercell(gamma, (2, 2, 2))
    assert len(big) == 128
    assert big.info == gamma.info
    assert big.get_chemical_symbols()[:16] == gamma.get_chemical_symbols()
    assert np.allclose(big.positions[:16], gamma.positions)
    assert big.get_volume() == pytest.approx(8 * gamma.get_volume())


@pytest.mark.parametrize("repeat", [(0, 1, 1), (1, 2), (1.5, 1, 1)])
def test_supercell_refuses_nonsense(gamma, repeat) -> None:
    with pytest.raises(HopechoError, match="positive integers"):
        build.supercell(gamma, repeat)


def test_rattle_has_the_asked_spread_and_no_drift(gamma) -> None:
    big = build.supercell(gamma, (5, 5, 5))
    moved = build.rattle(big, stdev_angstrom=0.1, rng=np.random.default_rng(1))
    shift = moved.positions - big.positions
    assert np.abs(shift.mean(axis=0)).max() < 1e-12
    # 6 000 components: the standard error of the spread is 1 %.
    assert shift.std() == pytest.approx(0.1, rel=0.04)
    again = build.rattle(big, stdev_angstrom=0.1, rng=np.random.default_rng(1))
    assert np.array_equal(again.positions, moved.positions)


def test_rattle_of_zero_is_the_identity_and_negative_is_refused(gamma) -> None:
    rng = np.random.default_rng(1)
    assert np.array_equal(
        build.rattle(gamma, stdev_angstrom=0.0, rng=rng).positions, gamma.positions
    )
    with pytest.raises(HopechoError, match="negative"):
        build.rattle(gamma, stdev_angstrom=-0.1, rng=rng)


def test_strain_is_symmetric_bounded_and_homogeneous(gamma) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        moved = build.strain(gamma, amplitude=0.05, rng=rng)
        epsilon = np.linalg.solve(gamma.cell.array, moved.cell.array) - np.eye(3)
        assert np.allclose(epsilon, epsilon.T, atol=1e-12)
        assert 0 < np.abs(epsilon).max() <= 0.05
        assert np.allclose(moved.get_scaled_positions(), gamma.get_scaled_positions(), atol=1e-12)


def test_strain_refuses_a_collapsing_amplitude(gamma) -> None:
    with pytest.raises(HopechoError, match="amplitude"):
        build.strain(gamma, amplitude=0.5, rng=np.random.default_rng(0))
