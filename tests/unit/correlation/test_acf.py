import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopecho.correlation import acf as acf_module
from hopecho.correlation.acf import (
    POWDER_FACTOR,
    acf_replicas,
    autocorrelation,
    global_mean,
    log_spaced_lags,
    window_average,
)
from hopecho.errors import HopechoError


def naive(series, lags, offset=0.0):
    x = series.reshape(*series.shape[:2], -1) - offset
    n = len(x)
    result = np.zeros((x.shape[1], len(lags)))
    for ion in range(x.shape[1]):
        for j, k in enumerate(lags):
            products = [float(x[t, ion] @ x[t + k, ion]) for t in range(n - k)]
            result[ion, j] = sum(products) / (n - k)
    return result


@pytest.mark.parametrize("n_frames", [16, 17, 64, 101])
@pytest.mark.parametrize("shape", [(3,), (3, 5)])
def test_fft_equals_naive_loops(n_frames, shape):
    rng = np.random.default_rng(n_frames)
    series = rng.normal(size=(n_frames, *shape)) + 2.0
    lags = np.arange(n_frames)
    np.testing.assert_allclose(autocorrelation(series, lags=lags), naive(series, lags), rtol=1e-11)


@settings(max_examples=25, deadline=None)
@given(n_frames=st.integers(2, 40), n_ions=st.integers(1, 4), longest=st.integers(1, 39))
def test_any_length_and_longest_lag(n_frames, n_ions, longest):
    longest = min(longest, n_frames - 1)
    series = np.random.default_rng(n_frames).normal(size=(n_frames, n_ions))
    lags = np.arange(longest + 1)
    expected = naive(series, lags)
    np.testing.assert_allclose(autocorrelation(series, lags=lags), expected, atol=1e-12)


def test_chunks_do_not_change_the_result(monkeypatch):
    series = np.random.default_rng(0).normal(size=(50, 7, 5)).astype(np.float32)
    lags = np.array([0, 3, 20])
    whole = autocorrelation(series, lags=lags)
    monkeypatch.setattr(acf_module, "CHUNK_VALUES", 1)
    np.testing.assert_array_equal(autocorrelation(series, lags=lags), whole)
    np.testing.assert_allclose(global_mean([series]), series.mean(axis=(0, 1)), atol=1e-6)


def test_powder_factor_is_the_average_over_field_directions():
    rng = np.random.default_rng(1)
    v, w = (0.5 * (a + a.T) for a in rng.normal(size=(2, 3, 3)))
    v, w = (a - np.eye(3) * np.trace(a) / 3.0 for a in (v, w))
    # Gauss-Legendre in cos(theta) and equal phi steps are exact for polynomials of degree 4.
    x, weight = np.polynomial.legendre.leggauss(6)
    phi = 2.0 * np.pi * np.arange(12) / 12
    s = np.sqrt(1.0 - x**2)
    b = np.stack(
        [np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(x, np.ones(12))], axis=-1
    )
    product = np.einsum("abi,ij,abj->ab", b, v, b) * np.einsum("abi,ij,abj->ab", b, w, b)
    average = (weight[:, None] * product).sum() / (2.0 * 12)
    assert average == pytest.approx(POWDER_FACTOR * np.trace(v @ w), rel=1e-12)


def test_redraw_at_rate_k_decays_as_exp_kt(jumps):
    rng = np.random.default_rng(2)
    series = jumps(4000, 300, tau=25.0, rng=rng)
    lags = np.array([0, 5, 25, 50, 100])
    c = autocorrelation(series, lags=lags)
    error = c.std(axis=0, ddof=1) / np.sqrt(300)
    np.testing.assert_array_less(abs(c.mean(axis=0) - 5.0 * np.exp(-lags / 25.0)), 4.0 * error)


def test_two_site_exchange_after_removal_of_the_global_mean():
    rng = np.random.default_rng(3)
    p12, p21, w1, w2 = 0.03, 0.01, 25.0, -15.0
    share = np.array([p21, p12]) / (p12 + p21)
    n_frames, n_ions = 6000, 200
    state = (rng.random(n_ions) < share[1]).astype(int)
    path = np.empty((n_frames, n_ions), dtype=int)
    for t in range(n_frames):
        path[t] = state
        leaves = rng.random(n_ions) < np.where(state == 0, p12, p21)
        state = np.where(leaves, 1 - state, state)
    omega = np.where(path == 0, w1, w2)
    lags = np.array([0, 5, 20, 40, 80])
    replicas = [omega[:, :120], omega[:5000, 120:]]
    c = np.concatenate(acf_replicas(replicas, lags=lags, remove_global_mean=True))
    # A step leaves with p12 (p21): the exact discrete form of exp[-(k12 + k21) t].
    exact = share[0] * share[1] * (w1 - w2) ** 2 * (1.0 - p12 - p21) ** lags
    error = c.std(axis=0, ddof=1) / np.sqrt(n_ions)
    np.testing.assert_array_less(abs(c.mean(axis=0) - exact), 4.0 * error + 1e-9)


def test_rotational_diffusion_of_a_tensor_decays_as_exp_6dt():
    rng = np.random.default_rng(4)
    d_step, n_frames, n_ions = 0.002, 2500, 150
    axis = rng.normal(size=(n_ions, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    frames = np.empty((n_frames, n_ions, 3))
    for t in range(n_frames):
        frames[t] = axis
        turn = rng.normal(scale=np.sqrt(2.0 * d_step), size=(n_ions, 3))
        angle = np.linalg.norm(turn, axis=1, keepdims=True)
        k = turn / angle
        along = (k * axis).sum(axis=1, keepdims=True) * k
        axis = (
            along + (axis - along) * np.cos(angle) + np.cross(k, axis) * np.sin(angle)
        )  # Rodrigues
    x, y, z = np.moveaxis(frames, -1, 0)
    root2 = np.sqrt(2.0)
    t5 = np.stack(
        [
            root2 * x * y,
            root2 * y * z,
            (2 * z**2 - x**2 - y**2) / np.sqrt(6.0),
            root2 * x * z,
            (x**2 - y**2) / root2,
        ],
        axis=-1,
    )
    lags = np.array([0, 10, 40, 80, 160])
    c = autocorrelation(t5, lags=lags) / (2.0 / 3.0)
    assert c[:, 0] == pytest.approx(1.0, abs=1e-12)
    error = c.std(axis=0, ddof=1) / np.sqrt(n_ions)
    # Finite steps: 6 D becomes (1 - exp(-...)) terms of order D^2, below 1 % here.
    exact = np.exp(-6.0 * d_step * lags)
    np.testing.assert_array_less(abs(c.mean(axis=0) - exact), 4.0 * error + 0.01)


def test_global_mean_leaves_the_spread_between_sites():
    """Static sites: removing each ion's own mean would leave nothing; the global mean does not."""
    sites = np.array([1.0, 2.0, 6.0])
    c = acf_replicas([np.tile(sites, (40, 1))], lags=np.arange(10), remove_global_mean=True)[0]
    np.testing.assert_allclose(c.mean(axis=0), sites.var(), rtol=1e-12)


def test_window_average_is_the_running_mean():
    x = np.random.default_rng(5).normal(size=(12, 2, 5))
    expected = np.array([x[i : i + 4].mean(axis=0) for i in range(9)])
    np.testing.assert_allclose(window_average(x, n_window=4), expected, atol=1e-13)
    with pytest.raises(HopechoError, match="window"):
        window_average(x, n_window=13)


def test_log_spaced_lags_are_increasing_and_reach_the_longest():
    lags = log_spaced_lags(10_000, stride_ps=100.0, max_lag_ps=200_000.0)
    assert lags[0] == 0
    assert lags[-1] == 2000
    assert (np.diff(lags) > 0).all()
    assert len(lags) < 70


@pytest.mark.parametrize("max_lag_ps", [0.5, 10.0])
def test_lags_outside_the_run_are_refused(max_lag_ps):
    with pytest.raises(HopechoError, match="max_lag_ps"):
        log_spaced_lags(10, stride_ps=1.0, max_lag_ps=max_lag_ps)


def test_bad_series_are_refused():
    with pytest.raises(HopechoError, match="NaN"):
        autocorrelation(np.full((4, 2), np.nan), lags=np.array([0]))
    with pytest.raises(HopechoError, match="shape"):
        autocorrelation(np.zeros(4), lags=np.array([0]))
    with pytest.raises(HopechoError, match="outside the run"):
        autocorrelation(np.zeros((4, 2)), lags=np.array([4]))
