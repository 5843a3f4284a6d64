"""Van Hove functions of an ideal gas, of diffusing ions, and of a lattice."""

import itertools

import numpy as np
import pytest

from hopecho.dynamics.rdf import rdf
from hopecho.dynamics.van_hove import van_hove
from hopecho.errors import HopechoError

CELL = np.array([[9.0, 0.0, 0.0], [3.0, 8.0, 0.0], [-2.0, 2.0, 10.0]])


def test_an_ideal_gas_has_no_distinct_correlation_at_any_lag():
    rng = np.random.default_rng(0)
    x = rng.random((1500, 6, 3)) @ CELL
    result = van_hove([x], cell=CELL, stride_ps=0.5, lags=[0, 1, 40], n_bins=8, n_origins=1400)
    np.testing.assert_allclose(result.van_hove_distinct[:, 2:], 1.0, atol=0.08)
    assert list(result.lag_ps) == [0.0, 0.5, 20.0]


def test_at_lag_zero_the_distinct_part_is_g_of_r():
    rng = np.random.default_rng(1)
    x = rng.normal(scale=6.0, size=(30, 20, 3))
    result = van_hove([x], cell=CELL, stride_ps=1.0, lags=[0], n_bins=25, n_origins=30)
    expected = rdf(x, np.full(20, 3), CELL, n_bins=25)
    np.testing.assert_allclose(result.van_hove_distinct[0], expected.g["Li-Li"], rtol=1e-12)
    assert result.van_hove_self[0, 0] > 0
    assert (result.van_hove_self[0, 1:] == 0).all()


def test_the_self_part_of_a_walk_is_a_gaussian_of_area_one():
    step, lag = 0.3, 9
    rng = np.random.default_rng(2)
    x = np.cumsum(rng.normal(scale=step, size=(800, 60, 3)), axis=0)
    cell = np.eye(3) * 20.0
    result = van_hove([x], cell=cell, stride_ps=1.0, lags=[lag], n_bins=50, n_origins=700)
    variance = step**2 * lag
    expected = np.exp(-(result.r**2) / (2 * variance)) / (2 * np.pi * variance) ** 1.5
    near = (result.r > 0.4) & (result.r < 2.0)
    np.testing.assert_allclose(result.van_hove_self[0][near], expected[near], rtol=0.08)
    shells = 4 / 3 * np.pi * np.diff(result.edges**3)
    assert (result.van_hove_self[0] * shells).sum() == pytest.approx(1.0)


def test_ions_that_take_each_others_place_fill_the_origin():
    """Concerted motion along a chain: an ion follows the one before it."""
    grid = np.array(list(itertools.product(range(4), repeat=3))) * 3.0
    cell = np.eye(3) * 12.0
    x = np.array([grid, grid + np.array([3.0, 0.0, 0.0])])
    result = van_hove([x], cell=cell, stride_ps=1.0, lags=[0, 1], n_bins=60)
    assert result.van_hove_distinct[0, 0] == 0.0
    assert result.van_hove_distinct[1, 0] > 10.0
    table = result.columns()
    assert len(table["lag_ps"]) == len(table["van_hove_distinct"]) == 120
    assert table["r_angstrom"][60] == table["r_angstrom"][0]


def test_impossible_lags_and_distances_are_refused():
    x = np.zeros((10, 3, 3))
    with pytest.raises(HopechoError, match="shortest run"):
        van_hove([x], cell=CELL, stride_ps=1.0, lags=[10])
    with pytest.raises(HopechoError, match="half the shortest"):
        van_hove([x], cell=CELL, stride_ps=1.0, lags=[1], r_max=9.0)
    with pytest.raises(HopechoError, match="two ions"):
        van_hove([x[:, :1]], cell=CELL, stride_ps=1.0, lags=[1])
