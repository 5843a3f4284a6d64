import json

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.ufp.calibration import Calibration, Residuals, calibrate, fit_term
from hopecho.ufp.coverage import coverage, error_against_leverage


def synthetic(rng, sigma, h, elements=("Li", "S"), n_frames=20):
    """Gaussian errors of given widths; energies with sigma^2 = 0.01^2 + 0.1^2 h."""
    n_atoms = len(h)
    energy_h = rng.lognormal(-4, 0.5, n_frames)
    energy = rng.normal(size=n_frames) * np.sqrt(1e-4 + 1e-2 * energy_h)
    return Residuals(
        elements,
        np.arange(n_atoms) % len(elements),
        np.arange(n_atoms) % n_frames,
        rng.normal(size=(n_atoms, 3)) * sigma,
        h,
        energy,
        energy_h,
    )


@pytest.mark.parametrize(("floor", "slope"), [(0.02, 0.3), (0.02, 0.0), (0.0, 0.3), (1e-4, 40.0)])
def test_calibration_recovers_floor_and_slope(floor, slope):
    rng = np.random.default_rng(2)
    h = rng.lognormal(-5, 1.2, 40000)
    errors = rng.normal(size=h.size) * np.sqrt(floor**2 + slope**2 * h)
    term = fit_term(errors, h)
    assert term.slope == pytest.approx(slope, rel=0.03, abs=0.02)
    assert term.floor == pytest.approx(floor, rel=0.03, abs=2e-3 * max(slope, 0.1))
    assert term.width_68 == pytest.approx(1.0, abs=0.02)
    # At the maximum of the likelihood chi2 is exactly 1.
    assert np.mean((errors / term.sigma(h)) ** 2) == pytest.approx(1.0, rel=1e-6)


def test_calibration_follows_the_unit_of_the_errors():
    rng = np.random.default_rng(3)
    h = rng.lognormal(-5, 1.0, 2000)
    errors = rng.normal(size=h.size) * np.sqrt(1e-4 + 0.1 * h)
    ev, mev = fit_term(errors, h), fit_term(1e3 * errors, h)
    for name in ("floor", "slope", "constant"):
        assert getattr(mev, name) == pytest.approx(1e3 * getattr(ev, name), rel=1e-5)
    assert mev.width_68 == pytest.approx(ev.width_68, rel=1e-5)


def test_without_spread_of_the_leverage_the_width_is_the_root_mean_square():
    errors = np.random.default_rng(4).normal(size=500)
    term = fit_term(errors, np.full(500, 0.01))
    np.testing.assert_allclose(term.sigma(np.array([0.01])), term.constant)
    assert term.slope == 0.0
    zero = fit_term(errors, np.zeros(500))
    assert (zero.floor, zero.slope) == (pytest.approx(term.constant), 0.0)


def test_heavy_tails_show_in_the_68_percent_width():
    errors = np.random.default_rng(5).standard_t(3, size=20000)
    assert fit_term(errors, np.ones(20000)).width_68 < 0.85


def test_coverage_of_right_widths_is_the_nominal_level():
    rng = np.random.default_rng(6)
    h = rng.lognormal(-5, 1.0, (20000, 3))
    width = np.sqrt(0.02**2 + 0.3**2 * h)
    found = coverage(calibrate(synthetic(rng, width, h)), synthetic(rng, width, h))
    force = found["force"]
    np.testing.assert_allclose(force.observed, force.levels, atol=0.01)
    assert force.share_68 == pytest.approx(0.6827, abs=3 * force.stderr_68)
    assert force.chi2 == pytest.approx(1.0, abs=0.03)
    assert force.beyond_3 == pytest.approx(0.0027, abs=0.001)
    exact = 0.5 * np.mean(np.log(2 * np.pi * width**2)) + 0.5
    assert force.nll["leverage"] == pytest.approx(exact, abs=0.01)
    best = 0.5 * np.log(2 * np.pi * np.mean(width**2)) + 0.5
    assert force.nll["best_constant"] == pytest.approx(best, abs=0.01)
    assert force.nll["leverage"] < force.nll["best_element"] <= force.nll["best_constant"]
    assert set(found) == {"force", "force_Li", "force_S", "energy"}
    assert found["force_Li"].n_values + found["force_S"].n_values == force.n_values
    assert json.loads(json.dumps(force.to_dict(), allow_nan=False))["n_values"] == 60000


def test_widths_that_are_half_too_small_show():
    rng = np.random.default_rng(7)
    h = rng.lognormal(-5, 1.0, (5000, 3))
    calibration = calibrate(synthetic(rng, 0.1, h))
    force = coverage(calibration, synthetic(rng, 0.2, h))["force"]
    assert force.chi2 == pytest.approx(4.0, abs=0.2)
    assert force.share_68 == pytest.approx(0.383, abs=0.02)  # erf(0.5 / sqrt 2)


def test_one_frame_gives_no_standard_error():
    rng = np.random.default_rng(8)
    h = rng.lognormal(-5, 1.0, (30, 3))
    calibration = calibrate(synthetic(rng, 0.1, h))
    one = synthetic(rng, 0.1, h, n_frames=1)
    assert coverage(calibration, one)["force"].stderr_68 is None


def test_bins_of_leverage_hold_equal_numbers_and_their_errors():
    rng = np.random.default_rng(9)
    h = np.exp(np.linspace(-8, 0, 6000)).reshape(-1, 3)
    found = synthetic(rng, np.sqrt(h), h)
    bins = error_against_leverage(found, n_bins=5)
    np.testing.assert_array_equal(bins.count, 1200)
    np.testing.assert_allclose(np.log(bins.leverage), -8 + 1.6 * (np.arange(5) + 0.5), atol=1e-3)
    np.testing.assert_allclose(bins.mean_leverage, h.reshape(5, -1).mean(axis=1))
    parts = np.sqrt(np.mean(found.force.reshape(5, -1) ** 2, axis=1))
    np.testing.assert_allclose(bins.rmse, parts)
    # Gaussian errors of one width: rmse / sqrt(2 n); here the width varies in the bin.
    assert np.all(bins.stderr > bins.rmse / np.sqrt(2 * 1200))
    assert error_against_leverage(found, element="S", n_bins=3).count.sum() == 3000


def test_calibration_survives_json():
    rng = np.random.default_rng(10)
    h = rng.lognormal(-5, 1.0, (60, 3))
    calibration = calibrate(synthetic(rng, 0.1, h))
    record = json.loads(json.dumps(calibration.to_dict(), allow_nan=False))
    assert Calibration.from_dict(record) == calibration
    del record["energy"]
    with pytest.raises(HopechoError, match="not a calibration"):
        Calibration.from_dict(record)


@pytest.mark.parametrize(
    ("errors", "h", "words"),
    [
        (np.ones(5), np.ones(5), "too few"),
        (np.full(20, np.nan), np.ones(20), "not finite"),
        (np.ones(20), -np.ones(20), "not finite and positive"),
        (np.zeros(20), np.ones(20), "agree exactly"),
    ],
)
def test_errors_that_cannot_be_calibrated_on_are_refused(errors, h, words):
    with pytest.raises(HopechoError, match=words):
        fit_term(errors, h)
