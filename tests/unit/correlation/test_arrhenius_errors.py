"""Activation energies with honest errors, and what tensor errors of known size do to a fit."""

import numpy as np
import pytest

from hopecho.correlation.acf import autocorrelation, log_spaced_lags
from hopecho.correlation.arrhenius import fit_arrhenius
from hopecho.correlation.error_effect import error_effect
from hopecho.units import BOLTZMANN_EV_K, Quantity


def tau(t_k, *, energy=0.25, noise=0.0, error=0.05):
    value = 1e-4 * np.exp(energy / (BOLTZMANN_EV_K * t_k) + noise)
    return Quantity(value, error * value, (value * (1 - error), value * (1 + error)), "ns", 50)


LIMIT = Quantity(None, None, (3.0, None), "ns", 50, 0.95, "bound")


def test_exact_times_give_the_energy_and_the_prefactor():
    result = fit_arrhenius([300, 350, 400], [tau(t) for t in (300, 350, 400)])
    assert result.activation_energy.value == pytest.approx(0.25)
    assert result.tau0_ns == pytest.approx(1e-4)
    low, high = result.activation_energy.interval
    assert low < 0.25 < high


def test_two_temperatures_are_not_tested_and_one_is_no_slope():
    two = fit_arrhenius([300, 400, 500], [tau(300), LIMIT, tau(500)])
    assert two.activation_energy.value == pytest.approx(0.25)
    spread = 1 / BOLTZMANN_EV_K * (1 / 300 - 1 / 500)
    assert two.activation_energy.stderr == pytest.approx(0.05 * np.sqrt(2) / spread)
    assert "not tested" in two.reason
    assert two.temperatures_k == (300.0, 500.0)
    one = fit_arrhenius([300, 400], [tau(300), LIMIT])
    assert one.activation_energy.value is None
    assert "1 of 2" in one.reason
    assert one.to_dict()["tau0_ns"] is None


def test_the_interval_of_the_energy_covers_the_truth():
    rng = np.random.default_rng(1)
    temperatures = (300, 340, 380, 420)
    hits = 0
    for _ in range(400):
        taus = [tau(t, noise=0.1 * rng.normal(), error=0.1) for t in temperatures]
        low, high = fit_arrhenius(temperatures, taus).activation_energy.interval
        hits += low <= 0.25 <= high
    assert 0.66 < hits / 400 < 0.86  # the larger of two errors covers a little more than 68 %


def test_scatter_beyond_the_errors_widens_them():
    noise = (0.4, -0.5, 0.5, -0.4)
    taus = [tau(t, noise=n, error=0.01) for t, n in zip((300, 340, 380, 420), noise, strict=True)]
    wide = fit_arrhenius((300, 340, 380, 420), taus).activation_energy
    narrow = fit_arrhenius((300, 420), [taus[0], taus[3]]).activation_energy
    assert wide.stderr > 10 * narrow.stderr


def curve(jumps, seed, *, static=0.0, white=0.0, n_ions=150):
    """ACF of redrawn tensors with errors: static ones are redrawn with the tensor (per site)."""
    rng = np.random.default_rng(seed)
    values = jumps(2500, n_ions, tau=25.0, rng=rng, plateau_b2=0.3)
    # A projection fixed by the tensor: the same site always has the same error.
    moving = values @ rng.normal(size=(5, 5)) / np.sqrt(5)
    noisy = values + static * moving + white * rng.normal(size=values.shape)
    lags = log_spaced_lags(2500, stride_ps=1.0, max_lag_ps=500.0)
    mean = autocorrelation(noisy, lags=lags).mean(axis=0)
    return lags * 1.0, mean / mean[0], mean[0] / 5


def effect(lag, acf, zero_lag, *, static=0.0, white=0.0):
    return error_effect(
        lag, acf, zero_lag_khz2=zero_lag, t_min_ps=1.0, gamma=1.0, static_khz=static,
        fluctuating_khz=white,
    )  # fmt: skip


def test_white_errors_change_the_amplitude_and_nothing_else(jumps):
    lag, acf, zero_lag = curve(jumps, 3, white=0.5)
    found = effect(lag, acf, zero_lag, white=0.5)
    assert found.fluctuating_share == pytest.approx(0.25 / 1.25, rel=0.03)
    assert found.tau_shift == pytest.approx((0.0, 0.0), abs=1e-6)
    assert found.plateau_shift == pytest.approx((0.0, 0.0), abs=1e-6)
    assert found.amplitude_shift[0] == pytest.approx(0.2, abs=0.01)


def test_static_errors_move_tau_by_no_more_than_is_said(jumps):
    """The same noise with and without errors that belong to the site; 30 % of the amplitude."""
    from hopecho.correlation.decay import fit_decay

    clean, wrong = curve(jumps, 4), curve(jumps, 4, static=0.3)
    taus = [fit_decay(c[0][1:], c[1][1:]).tau_ps[0] for c in (clean, wrong)]
    found = effect(*wrong, static=0.3)
    low, high = found.tau_shift
    assert low < 0.0 < high
    assert low - 0.01 <= taus[0] / taus[1] - 1.0 <= high + 0.01
    assert found.to_dict()["static_share"] == pytest.approx(0.09 / wrong[2], rel=1e-6)


def test_an_error_that_stays_with_the_ion_is_plateau(jumps):
    rng = np.random.default_rng(5)
    values = jumps(2500, 150, tau=25.0, rng=rng, plateau_b2=0.0)
    stuck = values + 0.4 * rng.normal(size=(1, 150, 5))
    lags = log_spaced_lags(2500, stride_ps=1.0, max_lag_ps=500.0)
    mean = autocorrelation(stuck, lags=lags).mean(axis=0)
    found = effect(lags * 1.0, mean / mean[0], mean[0] / 5, static=0.4)
    assert found.plateau_shift[0] == pytest.approx(-0.16 / 1.16, abs=0.02)
