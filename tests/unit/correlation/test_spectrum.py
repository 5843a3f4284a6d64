"""Spectral densities against closed forms, and T1 against the values of the formula."""

import numpy as np
import pytest

from hopecho.correlation.acf import acf_replicas, log_spaced_lags
from hopecho.correlation.regime import quadrupolar_t1_s
from hopecho.correlation.spectrum import (
    cosine_transform,
    decay_density_ps,
    density_columns,
    measured_density_ps,
    relaxation,
    t1_from_density_s,
)
from hopecho.correlation.verdict import AcfSettings, analyse_acf

OMEGA = np.array([0.0, 0.01, 0.3, 2.0, 40.0])


def test_the_transform_of_an_exponential_is_a_lorentzian():
    t = np.linspace(0.0, 60.0, 60_001)
    exact = 2.0 / (1.0 + 4.0 * OMEGA**2)
    assert cosine_transform(t, np.exp(-t / 2.0), OMEGA) == pytest.approx(exact, rel=1e-3)


def test_straight_pieces_are_exact_however_fast_the_cosine():
    t, y = np.array([0.0, 1.0, 4.0]), np.array([1.0, 3.0, 0.0])
    fine = np.linspace(0.0, 4.0, 2_000_001)
    for w in (1e-4, 0.7, 90.0):
        exact = np.trapezoid(np.interp(fine, t, y) * np.cos(w * fine), fine)
        assert cosine_transform(t, y, [w])[0] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.4, 0.99999, 1.5])
def test_the_stretched_density_has_the_right_limits(gamma):
    from scipy.special import gamma as euler

    density = decay_density_ps(3.0, gamma, OMEGA / 3.0)
    assert density[0] == pytest.approx(3.0 / gamma * euler(1 / gamma), rel=1e-4)
    assert np.all(np.diff(density) < 0)
    if gamma == 0.99999:
        assert density == pytest.approx(decay_density_ps(3.0, 1.0, OMEGA / 3.0), rel=1e-2)


def test_t1_is_that_of_the_formula_and_of_the_published_numbers():
    """100 kHz, eta 0, tau 46 ns: 1.6 s at 7.05 T, 4.3 s at 11.7 T."""
    for field, published in ((7.05, 1.6), (11.7, 4.3)):
        w = 2e-6 * np.pi * 16.5484 * field * np.array([1, 2])
        j = decay_density_ps(46e3, 1.0, w)
        ours = t1_from_density_s(100.0**2 / 20.0, *j)
        assert ours == pytest.approx(published, abs=0.05)
        direct = quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=16.5484 * field)
        assert ours == pytest.approx(direct, rel=1e-9)


def powder(jumps, tau=20.0, b2=0.4):
    rng = np.random.default_rng(4)
    series = [9.0 * jumps(4000, 40, tau=tau, rng=rng, plateau_b2=b2) for _ in range(3)]
    lags = log_spaced_lags(4000, stride_ps=1.0, max_lag_ps=400.0)
    return analyse_acf(
        acf_replicas(series, lags=lags), lags * 1.0, groups=[0, 1, 2], run_ps=[4000.0] * 3,
        settings=AcfSettings(t_min_ps=1.0, stretch="exponential", n_resamples=120), rng=rng,
    )  # fmt: skip


def test_the_relaxation_of_a_known_jump_process(jumps):
    result = powder(jumps)
    assert result.verdict == "resolved"
    (one, two) = relaxation(result, isotope="7Li", fields_t=[7.05, 11.7])
    exact = t1_from_density_s(5 * 81.0, 0.6 * 20.0, 0.6 * 20.0)  # omega tau = 0.015: flat
    low, high = one.t1.interval
    assert low < one.t1.value < high
    assert one.t1.value == pytest.approx(exact, rel=0.1)
    assert abs(one.t1.value - exact) < 4 * one.t1.stderr
    assert one.t1_numeric_s["none"] == pytest.approx(exact, rel=0.2)
    assert one.t1_numeric_s["hann"] == pytest.approx(exact, rel=0.25)
    assert two.larmor_mhz == pytest.approx(193.6, abs=0.1)
    assert two.t1.value >= one.t1.value
    columns = density_columns(result)
    assert columns["j_fit_ps"][0] == pytest.approx(12.0, rel=0.1)
    assert columns["j_none_ps"][0] == pytest.approx(12.0, rel=0.2)


def test_without_a_resolved_decay_there_is_no_t1(jumps):
    result = powder(jumps, tau=1e9)
    (one,) = relaxation(result, isotope="7Li", fields_t=[7.05])
    assert one.t1.value is None
    assert one.t1_numeric_s == {"none": None, "hann": None}
    assert one.to_dict()["t1"]["verdict"] == "bound"


def test_a_window_takes_away_what_the_run_does_not_resolve():
    lag = np.linspace(0.0, 10.0, 101)
    flat = measured_density_ps(lag, np.ones(101), [0.0], plateau=0.0, window="hann")
    assert flat[0] == pytest.approx(5.0, rel=1e-3)
    assert measured_density_ps(lag, np.ones(101), [0.0], plateau=1.0, window="none")[0] == 0.0


def test_a_decay_that_is_not_one_exponential_gives_an_upper_bound(jumps):
    rng = np.random.default_rng(5)
    series = [
        np.concatenate([jumps(4000, 30, tau=t, rng=rng) for t in (4.0, 30.0, 300.0)], axis=1)
        for _ in range(3)
    ]
    lags = log_spaced_lags(4000, stride_ps=1.0, max_lag_ps=1000.0)
    result = analyse_acf(
        acf_replicas(series, lags=lags), lags * 1.0, groups=[0, 1, 2], run_ps=[4000.0] * 3,
        settings=AcfSettings(t_min_ps=1.0, stretch="exponential", n_resamples=120), rng=rng,
    )  # fmt: skip
    assert result.verdict == "resolved"
    (one,) = relaxation(result, isotope="7Li", fields_t=[7.05])
    exact = t1_from_density_s(result.zero_lag, *[(4 + 30 + 300) / 3] * 2)
    assert one.t1.value is None
    assert one.t1.interval[0] is None
    assert one.t1.interval[1] > exact
    assert one.t1_stretched_s == pytest.approx(exact, rel=0.5)
