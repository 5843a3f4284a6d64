import numpy as np
import pytest
from scipy import optimize

from hopecho.correlation.decay import fit_decay, integral_time_ps, mean_tau
from hopecho.errors import HopechoError

LAG = np.geomspace(1.0, 1e4, 60)


def model(amplitude, b2, tau, gamma):
    return amplitude * (b2 + (1.0 - b2) * np.exp(-((LAG / tau) ** gamma)))


@pytest.mark.parametrize("tau", [3.0, 46.0, 700.0])
@pytest.mark.parametrize("b2", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("gamma", [1.0, 0.6])
def test_exact_data_give_back_the_parameters(tau, b2, gamma):
    fit = fit_decay(LAG, model(0.4, b2, tau, gamma), gamma=None)
    assert fit.tau_ps[0] == pytest.approx(tau, rel=1e-3)
    assert fit.gamma[0] == pytest.approx(gamma, abs=1e-3)
    assert fit.plateau_b2[0] == pytest.approx(b2, abs=1e-3)
    assert fit.vibrational_amplitude[0] == pytest.approx(0.6, abs=1e-3)
    np.testing.assert_allclose(fit.curve(LAG)[0], model(0.4, b2, tau, gamma), atol=2e-4)


def test_fit_of_noisy_data_is_the_least_squares_minimum():
    """Against scipy's trust-region fit started at the truth."""
    rng = np.random.default_rng(0)
    data = model(0.5, 0.2, 80.0, 0.8) + rng.normal(scale=0.01, size=(5, LAG.size))
    fit = fit_decay(LAG, data, gamma=None)
    for i, y in enumerate(data):

        def residual(q, y=y):
            return q[0] + q[1] * np.exp(-((LAG / np.exp(q[2])) ** q[3])) - y

        best = optimize.least_squares(residual, [0.1, 0.4, np.log(80.0), 0.8])
        assert fit.residual[i] <= 2.0 * best.cost / LAG.size * (1.0 + 1e-6)
        assert np.log(fit.tau_ps[i]) == pytest.approx(best.x[2], abs=2e-3)


def test_batch_equals_single_fits():
    rng = np.random.default_rng(1)
    data = model(0.5, 0.2, 80.0, 1.0) + rng.normal(scale=0.01, size=(300, LAG.size))
    batch = fit_decay(LAG, data)
    for i in (0, 150, 299):
        assert batch.tau_ps[i] == pytest.approx(fit_decay(LAG, data[i]).tau_ps[0], rel=1e-6)


def test_flat_and_rising_data_have_no_decaying_part():
    data = np.stack([np.full(LAG.size, 0.4), np.linspace(0.4, 0.5, LAG.size)])
    fit = fit_decay(LAG, data)
    np.testing.assert_array_equal(fit.plateau_b2, 1.0)
    np.testing.assert_allclose(fit.tau_ps, 10.0 * LAG[-1])
    assert np.isfinite(fit.mean_tau_ps).all()


def test_plateau_is_never_negative():
    fit = fit_decay(LAG, model(0.5, 0.0, 80.0, 1.0) - 0.02)
    assert fit.plateau_b2[0] == 0.0


def test_weights_choose_the_data_that_count():
    y = model(0.5, 0.0, 20.0, 1.0)
    spoiled = np.where(LAG > 1000.0, 0.3, y)
    fit = fit_decay(LAG, spoiled, weights=(LAG <= 1000.0).astype(float))
    assert fit.tau_ps[0] == pytest.approx(20.0, rel=1e-5)


def test_mean_tau_is_the_integral_of_the_stretched_exponential():
    t = np.linspace(0.0, 4000.0, 400_001)
    y = np.exp(-((t / 20.0) ** 0.6))
    assert mean_tau(20.0, 0.6) == pytest.approx(np.trapezoid(y, t), rel=1e-3)
    assert integral_time_ps(t, 0.2 + y, plateau=0.2) == pytest.approx(mean_tau(20.0, 0.6), rel=1e-3)
    assert integral_time_ps(t, np.zeros_like(t), plateau=0.2) == 0.0


def test_bad_input_is_refused():
    with pytest.raises(HopechoError, match="at least 4 lags"):
        fit_decay(LAG[:3], np.ones(3))
    with pytest.raises(HopechoError, match="finite"):
        fit_decay(LAG, np.full(LAG.size, np.nan))
