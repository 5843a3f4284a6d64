"""The powder quadrature, and exchange between sites, against closed forms."""

import numpy as np
import pytest

from hopecho.correlation.acf import POWDER_FACTOR
from hopecho.correlation.exchange import (
    Exchange,
    exchange_from_counts,
    exchange_from_rates,
    lump,
    propagators,
    stationary_correlation,
    tensor_correlation,
)
from hopecho.correlation.powder import directions, largest_frequency, powder_average
from hopecho.errors import HopechoError
from hopecho.tensors import matrix_from_isometric


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_the_quadrature_gives_the_exact_second_and_fourth_moments(rng):
    v, w = rng.normal(size=(2, 5))
    dyads, weights = directions(4)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ (dyads @ v) == pytest.approx(0.0, abs=1e-14)
    assert weights @ ((dyads @ v) * (dyads @ w)) == pytest.approx(POWDER_FACTOR * (v @ w))


def test_an_axial_tensor_gives_the_fresnel_integral():
    """<cos x (3 z^2 - 1)/2> over the sphere, by a fine one-dimensional integral."""
    axial = np.array([0.0, 0.0, np.sqrt(1.5), 0.0, 0.0])  # V = diag(-1/2, -1/2, 1)
    z = np.linspace(0.0, 1.0, 200_001)
    for x in (0.3, 7.0, 60.0):
        exact = np.trapezoid(np.cos(x * (1.5 * z**2 - 0.5)), z)
        value, order = powder_average(lambda d, x=x: np.cos(x * (d @ axial)), largest_phase=x)
        assert value == pytest.approx(exact, abs=2e-6)
        assert order >= x


def test_the_largest_frequency_is_that_of_an_axial_tensor_and_bounds_the_others(rng):
    axial = np.array([0.0, 0.0, np.sqrt(1.5), 0.0, 0.0])
    assert largest_frequency(axial) == pytest.approx(1.0)
    t = rng.normal(size=(200, 5))
    seen = np.abs(np.linalg.eigvalsh(matrix_from_isometric(t))).max()
    assert seen <= largest_frequency(t) <= 1.2 * seen


def test_a_phase_beyond_all_quadratures_is_an_error():
    with pytest.raises(HopechoError, match="does not converge"):
        powder_average(lambda d: d[:, 0], largest_phase=5000.0)


def test_two_sites_decay_with_the_sum_of_both_rates():
    k12, k21, w1, w2 = 0.3, 0.7, 25.0, -15.0
    pair = exchange_from_rates([[0, k12], [k21, 0]], [k21, k12])
    p1, p2 = pair.population
    t = np.array([0.0, 0.4, 2.0, 9.0])
    mean = p1 * w1 + p2 * w2
    exact = mean**2 + p1 * p2 * (w1 - w2) ** 2 * np.exp(-(k12 + k21) * t)
    assert tensor_correlation(pair, [w1, w2], t) == pytest.approx(exact)
    assert stationary_correlation(pair, [w1, w2]) == pytest.approx(mean**2)


def test_uniform_jumps_among_n_sites_decay_faster_than_ions_hop(rng):
    n, hops = 6, 0.5
    tensors = rng.normal(size=(n, 5))
    tensors -= tensors.mean(axis=0)
    sites = exchange_from_rates(np.full((n, n), hops / (n - 1)), np.ones(n))
    t = np.linspace(0.0, 5.0, 7)
    exact = (tensors**2).sum() / n * np.exp(-hops * n / (n - 1) * t)
    assert tensor_correlation(sites, tensors, t) == pytest.approx(exact)


def test_sites_that_are_not_connected_keep_their_own_means():
    pairs = np.zeros((4, 4))
    pairs[0, 1] = pairs[1, 0] = pairs[2, 3] = pairs[3, 2] = 1.0
    exchange = exchange_from_rates(pairs, np.ones(4))
    values = [1.0, 3.0, -2.0, 0.0]
    assert stationary_correlation(exchange, values) == pytest.approx(0.5 * 2.0**2 + 0.5 * 1.0**2)
    late = tensor_correlation(exchange, values, [50.0])[0]
    assert late == pytest.approx(stationary_correlation(exchange, values))


def test_counts_give_rates_whose_populations_are_the_shares_of_time():
    counts, time = [[0, 6], [4, 0]], [100.0, 25.0]
    exchange = exchange_from_counts(counts, time)
    assert exchange.population == pytest.approx([0.8, 0.2])
    assert exchange.rates == pytest.approx(np.array([[-0.05, 0.05], [0.2, -0.2]]))
    late = propagators(exchange, [1e4])[0]
    assert late == pytest.approx(np.array([[0.8, 0.2], [0.8, 0.2]]))
    with pytest.raises(HopechoError, match="no time was spent"):
        exchange_from_counts(counts, [100.0, 0.0])


def test_rates_that_are_none_are_refused():
    with pytest.raises(HopechoError, match="square matrix"):
        Exchange(np.zeros((2, 3)), np.ones(2) / 2)
    with pytest.raises(HopechoError, match="no rates and stationary"):
        exchange_from_rates([[0, 1.0], [2.0, 0]], [0.5, 0.5])


def test_jumps_between_equal_tensors_do_not_count(rng):
    a, b = rng.normal(size=(2, 5))
    tensors = [a, b, a + 1e-4, b]
    counts = np.arange(16).reshape(4, 4)
    joined, time, mean, class_of = lump(counts, [10, 20, 30, 0], tensors, tolerance=0.01)
    assert class_of.tolist() == [0, 1, 0, 1]
    assert joined.tolist() == [[0, 1 + 3 + 9 + 11], [4 + 6 + 12 + 14, 0]]
    assert time.tolist() == [40.0, 20.0]
    assert mean[0] == pytest.approx(a + 0.75e-4)
    assert mean[1] == pytest.approx(b)
