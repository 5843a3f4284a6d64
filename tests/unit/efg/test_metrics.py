"""Error measures on planted errors with known size."""

import json

import numpy as np
import pytest

from hopecho.efg.metrics import efg_metrics, field_directions, split_error
from hopecho.errors import HopechoError
from hopecho.tensors import omega_q_isometric
from hopecho.units import cq_khz_per_au


def _tensors(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.01, (*shape, 5))


def test_perfect_prediction_has_no_error_and_is_json():
    t = _tensors(50)
    result = json.loads(json.dumps(efg_metrics(t, t), allow_nan=False))
    assert result["omega_q"]["mae"] == 0
    assert result["quaternion_fraction"] == 1
    assert result["frobenius_overlap_mean"] == pytest.approx(1)
    assert result["cdf"]["omega_q_error_khz"][-1] == 0


def test_unrelated_prediction_has_the_random_orientation_fraction():
    result = efg_metrics(_tensors(40_000), _tensors(40_000, seed=1), b0=[0, 0, 1])
    assert result["quaternion_fraction"] == pytest.approx(0.1495, abs=0.006)
    assert result["quaternion_fraction_shuffled"] == pytest.approx(0.1495, abs=0.006)
    assert result["frobenius_overlap_mean"] == pytest.approx(0, abs=0.01)
    # Difference of two equal Gaussians: MAE/std = sqrt(2) sqrt(2/pi).
    assert result["omega_q"]["mae_over_std"] == pytest.approx(2 / np.sqrt(np.pi), rel=0.02)


def test_a_scale_error_shows_in_couplings_but_not_in_orientation():
    t = _tensors(500)
    result = efg_metrics(t, 1.1 * t)
    assert result["quaternion_fraction"] == 1
    assert result["eta"]["mae"] == pytest.approx(0, abs=1e-10)
    assert result["cq_abs"]["mae"] == pytest.approx(0.1 * np.mean(_cq(t)), rel=1e-10)
    assert result["component_rmse_over_rms"] == pytest.approx(0.1)


def test_half_sphere_average_is_that_of_the_sphere():
    t = _tensors(200)
    nu = omega_q_isometric(t, field_directions(64))
    expected = (0.5 * cq_khz_per_au()) ** 2 * 2 / 15 * np.sum(t**2, axis=1)
    np.testing.assert_allclose(np.mean(nu**2, axis=1), expected, rtol=0.05)


def test_split_finds_planted_static_and_fluctuating_errors():
    rng = np.random.default_rng(7)
    site = _tensors(400)
    ref = site + rng.normal(0, 0.004, (6, 400, 5))
    static, noise = rng.normal(0, 0.003, (400, 5)), rng.normal(0, 0.002, (6, 400, 5))
    result = split_error(ref, ref + static + noise + 0.05 * site)
    assert result["static_share"] == pytest.approx(
        (9e-6 + 0.05**2 * 1e-4) / (9e-6 + 0.05**2 * 1e-4 + 4e-6), abs=0.03
    )
    assert result["cross_term_static"] == pytest.approx(0.05, abs=0.02)
    noise_khz = 0.5 * abs(cq_khz_per_au()) * np.sqrt(2 / 3) * 0.002
    assert result["rms_fluctuating_khz"] == pytest.approx(noise_khz, rel=0.05)


def test_pure_noise_is_not_called_static():
    ref = _tensors(3, 2000)
    result = split_error(ref, ref + np.random.default_rng(1).normal(0, 0.002, ref.shape))
    assert result["static_share"] < 0.05


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(HopechoError, match="shapes"):
        efg_metrics(_tensors(4), _tensors(5))
    with pytest.raises(HopechoError, match="with NaN"):
        efg_metrics(_tensors(4), np.full((4, 5), np.nan))
    with pytest.raises(HopechoError, match="several frames"):
        split_error(_tensors(1, 4), _tensors(1, 4))


def _cq(t):
    from hopecho.tensors import cq_abs, matrix_from_isometric

    return cq_abs(matrix_from_isometric(t))
