"""The echo with phases that gather during motion: limits, model against series, plateaus."""

import numpy as np
import pytest

from hopecho.correlation.decay import DecayFit
from hopecho.correlation.exchange import exchange_from_rates, propagators
from hopecho.correlation.sae import (
    PREFACTOR,
    RAD,
    detection_us,
    echo_decay_us,
    exchange_echo,
    gaussian_echo,
    long_tp_plateau,
    static_echo,
    trajectory_echo,
)
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix, random_rotations

PAIR = [25.0, -15.0]  # kHz


def pair(tau_us):
    """Two sites of equal population whose correlation decays with tau."""
    k = 0.5 / tau_us
    return exchange_from_rates([[0, k], [k, 0]], [0.5, 0.5])


def sines(tp_us=10.0):
    return np.sin(RAD * np.array(PAIR) * tp_us)


def jumps(exchange, values, n_frames, n_ions, stride_us, rng):
    """A series of the values of ions that jump as the exchange says."""
    step = np.cumsum(propagators(exchange, [stride_us])[0], axis=1)
    site = np.empty((n_frames, n_ions), dtype=int)
    site[0] = rng.choice(len(values), size=n_ions, p=exchange.population)
    for t in range(1, n_frames):
        site[t] = (rng.random(n_ions)[:, None] > step[site[t - 1]]).sum(axis=1)
    return np.asarray(values)[site]


def test_fast_exchange_has_none_of_the_decay_that_instantaneous_frequencies_show():
    """25 and -15 kHz, tp 10 us, tau 46 ns: 0.83 falling to 0.009, against 0.094 flat."""
    s = sines()
    assert (s**2).mean() == pytest.approx(0.827, abs=1e-3)
    assert s.mean() ** 2 == pytest.approx(0.0091, abs=1e-4)
    true = exchange_echo(pair(0.046), PAIR, tp_us=10, td_us=10, tm_us=[0.0, 0.2, 10.0])
    assert true.s2 / PREFACTOR == pytest.approx([0.094] * 3, abs=3e-4)
    assert echo_decay_us(true) is None


def test_fast_exchange_is_the_averaged_frequency_damped_by_its_fluctuation():
    tau = 0.002
    mean, half = np.mean(PAIR), 0.5 * np.ptp(PAIR)
    damping = np.exp(-(RAD**2) * half**2 * tau * 2 * 10.0)
    signal = exchange_echo(pair(tau), PAIR, tp_us=10, td_us=10, tm_us=[5.0])
    exact = np.sin(RAD * mean * 10.0) ** 2 * damping
    assert signal.s2[0] / PREFACTOR == pytest.approx(exact, rel=1e-3)


def test_slow_exchange_is_the_form_with_instantaneous_frequencies():
    tau = 1e5
    tm = np.array([0.0, 3e4, 1e5, 1e6])
    signal = exchange_echo(pair(tau), PAIR, tp_us=10, td_us=10, tm_us=tm)
    s = sines()
    exact = s.mean() ** 2 + 0.25 * (s[0] - s[1]) ** 2 * np.exp(-tm / tau)
    assert signal.s2 / PREFACTOR == pytest.approx(exact, abs=3e-4)


def test_the_decay_time_of_the_echo_is_that_of_slow_jumps():
    tm = np.geomspace(1.0, 1e5, 41)
    signal = exchange_echo(pair(3000.0), PAIR, tp_us=10, td_us=10, tm_us=tm)
    assert echo_decay_us(signal) == pytest.approx(3000.0, rel=0.01)


@pytest.mark.parametrize("tau", [0.5, 8.0, 100.0])
def test_the_model_and_a_series_of_its_jumps_agree(tau):
    """Fast, intermediate and slow against tp = 10 us, one direction of the field."""
    stride = min(0.1, tau / 10)
    rng = np.random.default_rng(5)
    series = jumps(pair(tau), PAIR, round(2500 / stride), 40, stride, rng)
    tm = np.array([0.0, 5.0, 20.0, 100.0])
    model = exchange_echo(pair(tau), PAIR, tp_us=10, td_us=5, tm_us=tm)
    halves = [
        trajectory_echo([s], stride_us=stride, tp_us=10, td_us=5, tm_us=tm).s2
        for s in np.split(series, 8, axis=1)
    ]
    error = np.std(halves, axis=0, ddof=1) / np.sqrt(8)
    assert np.all(np.abs(np.mean(halves, axis=0) - model.s2) < 4 * error + 2e-3)


def test_the_powder_of_a_series_agrees_with_the_model():
    rng = np.random.default_rng(6)
    tensors = rng.normal(scale=9.0, size=(3, 5))
    exchange = exchange_from_rates(np.full((3, 3), 0.06), np.ones(3))
    series = jumps(exchange, tensors, 3000, 24, 0.5, rng)
    tm = np.array([0.0, 4.0, 30.0])
    model = exchange_echo(exchange, tensors, tp_us=8, td_us=8, tm_us=tm)
    direct = trajectory_echo([series[:, :12], series[:, 12:]], stride_us=0.5, tp_us=8, td_us=8,
                             tm_us=tm, tolerance=1e-3)  # fmt: skip
    assert direct.order >= model.order / 2
    assert direct.s2 == pytest.approx(model.s2, abs=0.012)


def test_the_powder_quadrature_agrees_with_random_directions():
    rng = np.random.default_rng(7)
    tensors = rng.normal(scale=15.0, size=(2, 5))
    exchange = exchange_from_rates([[0, 0.05], [0.1, 0]], [2, 1])
    signal = exchange_echo(exchange, tensors, tp_us=15, td_us=12, tm_us=[0.0, 10.0])
    turned = []
    for r in random_rotations(3000, rng=rng):
        dyad = isometric_from_matrix(np.outer(r[2], r[2]))
        one = exchange_echo(exchange, tensors @ dyad, tp_us=15, td_us=12, tm_us=[0.0, 10.0])
        turned.append(one.s2)
    error = np.std(turned, axis=0) / np.sqrt(len(turned))
    assert np.all(np.abs(np.mean(turned, axis=0) - signal.s2) < 4 * error)


def test_ions_that_never_jump_keep_the_static_echo():
    rng = np.random.default_rng(8)
    tensors = rng.normal(scale=12.0, size=(4, 5))
    frozen = exchange_from_rates(np.zeros((4, 4)), np.ones(4))
    signal = exchange_echo(frozen, tensors, tp_us=20, td_us=16, tm_us=[0.0, 1e6])
    value, _ = static_echo(tensors, tp_us=20, td_us=16)
    assert signal.s2 == pytest.approx([value, value], abs=1e-6)
    assert signal.normalised == pytest.approx([1.0, 1.0])


def test_the_plateau_at_long_tp_counts_classes_of_equal_tensors():
    """8d of Pnma: eight sites, four tensors; the echo falls to 1/4."""
    rng = np.random.default_rng(9)
    tensor = rng.normal(scale=50.0, size=(3, 3))
    tensor = tensor + tensor.T - 2 * np.eye(3) * np.trace(tensor) / 3
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
    turned = isometric_from_matrix(signs[:, :, None] * tensor * signs[:, None, :])
    eight = np.concatenate([turned, turned])  # inversion leaves a tensor alone
    assert long_tp_plateau(eight, np.ones(8), tolerance=1e-6) == pytest.approx(0.25)
    slow = exchange_from_rates(np.full((8, 8), 1e-7), np.ones(8))
    signal = exchange_echo(slow, eight, tp_us=60, td_us=60, tm_us=[0.0, 1e9], tolerance=1e-3)
    assert signal.normalised[-1] == pytest.approx(0.25, abs=0.04)


def test_opposite_tensors_subtract():
    t = np.array([[1.0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0]])
    assert long_tp_plateau(t, [0.5, 0.5], tolerance=1e-6) == pytest.approx(0.0)
    assert long_tp_plateau(t, [0.8, 0.2], tolerance=1e-6) == pytest.approx(0.36)


def fit(tau_us, b2, gamma=1.0):
    values = (1.0, b2, tau_us * 1e6, gamma, 0.0)
    return DecayFit(*(np.array([v]) for v in values))


@pytest.mark.parametrize("gamma", [0.4, 1.0, 1.3])
def test_the_gaussian_model_integrates_the_correlation_exactly(gamma):
    """Against sums over the double integral; C(t) of any shape."""
    variance, tp, td, tm = 300.0, 6.0, 4.0, 3.0
    n = 1200
    f = fit(5.0, 0.3, gamma)
    t1 = (np.arange(n) + 0.5) * tp / n
    t2 = tp + tm + (np.arange(n) + 0.5) * td / n

    def s(a, b):
        lags = np.abs(a[:, None] - b).ravel()
        decay = np.exp(-((lags / 5.0) ** gamma))
        c = 0.3 + 0.7 * decay
        return RAD**2 * variance * c.mean() * (tp if a is t1 else td) * (tp if b is t1 else td)

    exact = np.exp(-(s(t1, t1) + s(t2, t2)) / 2) * np.sinh(s(t1, t2))
    signal = gaussian_echo(variance, f, tp_us=tp, td_us=td, tm_us=[tm])
    assert signal.s2[0] / PREFACTOR == pytest.approx(exact, rel=2e-3)


def test_many_fast_jumps_look_gaussian():
    rng = np.random.default_rng(10)
    values = rng.normal(scale=20.0, size=60)
    values -= values.mean()
    exchange = exchange_from_rates(np.full((60, 60), 2.0 / 60), np.ones(60))  # tau = 0.5 us
    jumped = exchange_echo(exchange, values, tp_us=20, td_us=20, tm_us=[0.0, 0.3])
    model = gaussian_echo(values.var(), fit(0.5, 0.0), tp_us=20, td_us=20, tm_us=[0.0, 0.3])
    assert model.s2 == pytest.approx(jumped.s2, abs=2e-3)


def test_what_does_not_fit_into_a_series_is_an_error_and_dead_time_delays():
    with pytest.raises(HopechoError, match="longer than tp"):
        trajectory_echo([np.zeros((50, 3))], stride_us=1.0, tp_us=20, td_us=20, tm_us=[30.0])
    with pytest.raises(HopechoError, match="stride below tp"):
        trajectory_echo([np.zeros((50, 3))], stride_us=30.0, tp_us=5, td_us=5, tm_us=[0.0])
    assert detection_us(4.0, 6.0) == 6.0
    assert detection_us(40.0, 6.0) == 40.0
    silent = exchange_echo(pair(0.01), [0.0, 0.0], tp_us=5, td_us=5, tm_us=[0.0, 1.0])
    assert silent.normalised is None
    assert echo_decay_us(silent) is None
