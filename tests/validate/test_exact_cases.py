"""Cases whose correlation function, echo or plateau is known exactly, recovered within errors."""

import numpy as np
import pytest

from hopecho.correlation.acf import (
    POWDER_FACTOR,
    acf_replicas,
    autocorrelation,
    log_spaced_lags,
)
from hopecho.correlation.decay import fit_decay
from hopecho.correlation.exchange import (
    exchange_from_rates,
    propagators,
    stationary_correlation,
    tensor_correlation,
)
from hopecho.correlation.sae import (
    PREFACTOR,
    exchange_echo,
    long_tp_plateau,
    static_echo,
    trajectory_echo,
)
from hopecho.correlation.verdict import AcfSettings, analyse_acf
from hopecho.tensors import isometric_from_matrix, matrix_from_isometric, random_rotations


def redrawn(rng, n_frames, n_ions, *, tau, b2=0.0):
    """Redraw jumps with a static share b^2: C/C(0) = b^2 + (1 - b^2) exp(-k/tau)."""
    redraw = rng.random((n_frames, n_ions)) < -np.expm1(-1.0 / tau)
    redraw[0] = True
    drawn = np.maximum.accumulate(np.where(redraw, np.arange(n_frames)[:, None], 0), axis=0)
    moving = rng.normal(size=(n_frames, n_ions, 5))[drawn, np.arange(n_ions)]
    return np.sqrt(b2) * rng.normal(size=(1, n_ions, 5)) + np.sqrt(1 - b2) * moving


def sites_of(exchange, n_frames, n_ions, rng):
    """Sites (n_frames, n_ions) of ions that jump, one unit of time a frame."""
    step = np.cumsum(propagators(exchange, [1.0])[0], axis=1)
    site = np.empty((n_frames, n_ions), dtype=int)
    site[0] = rng.choice(len(step), size=n_ions, p=exchange.population)
    for t in range(1, n_frames):
        draw = rng.random(n_ions)[:, None]
        site[t] = (draw > step[site[t - 1]]).sum(axis=1).clip(max=len(step) - 1)
    return site


def analyse(series, *, max_lag=0.3, centred=False):
    n_frames = len(series[0])
    lags = log_spaced_lags(n_frames, stride_ps=1.0, max_lag_ps=max_lag * n_frames)
    return analyse_acf(
        acf_replicas(series, lags=lags, remove_global_mean=centred), lags * 1.0,
        groups=[0] * len(series), run_ps=[float(n_frames)] * len(series),
        settings=AcfSettings(t_min_ps=1.0, stretch="exponential", n_resamples=200),
        rng=np.random.default_rng(0),
    )  # fmt: skip


def within(quantity, truth, sigmas=4.0):
    return abs(quantity.value - truth) < sigmas * quantity.stderr


@pytest.mark.parametrize("b2", [0.0, 0.25, 0.6])
def test_redraw_jumps_with_a_static_fraction(b2):
    rng = np.random.default_rng(1)
    result = analyse([redrawn(rng, 4000, 60, tau=20.0, b2=b2) for _ in range(3)])
    assert within(result.tau_sae, 0.020)
    assert within(result.plateau_b2, b2) or b2 == 0.0
    assert result.plateau_b2.value == pytest.approx(b2, abs=0.04)


def test_two_site_exchange_after_removal_of_the_global_mean():
    rng = np.random.default_rng(2)
    k12, k21 = 0.02, 0.05
    pair = exchange_from_rates([[0, k12], [k21, 0]], [k21, k12])
    values = np.array([25.0, -15.0])
    series = [values[sites_of(pair, 6000, 60, rng)] for _ in range(3)]
    result = analyse(series, centred=True)
    p1, p2 = pair.population
    assert within(result.tau_sae, 1e-3 / (k12 + k21))
    assert result.zero_lag == pytest.approx(p1 * p2 * 1600.0, rel=0.02)
    assert result.exponential.fit.plateau_b2[0] == pytest.approx(0.0, abs=0.02)


def test_exchange_among_four_sites_and_its_plateau():
    """A crystal's orbit: the plateau of C(t) is the mean tensor, found without a fit too."""
    rng = np.random.default_rng(3)
    tensors = rng.normal(size=(4, 5)) + rng.normal(size=5)
    exchange = exchange_from_rates(np.full((4, 4), 0.02), np.ones(4))
    series = [tensors[sites_of(exchange, 5000, 80, rng)] for _ in range(3)]
    result = analyse(series)
    exact = stationary_correlation(exchange, tensors) / (tensors**2).sum(axis=1).mean()
    assert within(result.tau_sae, 1e-3 / 0.08)
    assert result.exponential.fit.plateau_b2[0] == pytest.approx(exact, abs=0.02)
    lags = np.array([0, 3, 10, 40])
    measured = np.mean([autocorrelation(s, lags=lags).mean(axis=0) for s in series], axis=0)
    assert measured == pytest.approx(tensor_correlation(exchange, tensors, lags), rel=0.03)


def test_rotational_diffusion_decays_with_six_times_its_coefficient():
    """Small random rotations of an asymmetric tensor: l = 2 decays as exp(-6 D t)."""
    rng = np.random.default_rng(4)
    d_r, n_frames, n_ions = 0.004, 3000, 120
    v = np.diag([-0.3, -0.7, 1.0])
    rotation = random_rotations(n_ions, rng=rng)
    out = np.empty((n_frames, n_ions, 5))
    for t in range(n_frames):
        out[t] = isometric_from_matrix(rotation @ v @ np.swapaxes(rotation, 1, 2))
        rotation = small_turns(np.sqrt(2 * d_r) * rng.normal(size=(n_ions, 3))) @ rotation
    result = analyse(np.split(out, 3, axis=1), max_lag=0.1)
    assert within(result.tau_sae, 1e-3 / (6 * d_r))
    assert result.plateau_b2.value == pytest.approx(0.0, abs=0.03)


def small_turns(vectors):
    """Rotation matrices of rotation vectors (n, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / angle[:, :, 0]).T
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def test_the_powder_average_against_a_million_random_axes():
    rng = np.random.default_rng(5)
    v, w = rng.normal(size=(2, 5))
    b = rng.normal(size=(1_000_000, 3))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    values = [np.einsum("ni,ij,nj->n", b, matrix_from_isometric(t), b) for t in (v, w)]
    product = values[0] * values[1]
    error = product.std() / 1000
    assert abs(product.mean() - POWDER_FACTOR * (v @ w)) < 4 * error
    # And the echo's own quadrature, whose integrand oscillates.
    t = 20.0 * np.stack([v, w])
    phases = 2e-3 * np.pi * 12.0 * 20.0 * np.stack(values)
    sampled = (np.sin(phases) ** 2).mean(axis=0)
    exact, _ = static_echo(t, tp_us=12.0, td_us=12.0)
    assert abs(PREFACTOR * sampled.mean() - exact) < 4 * PREFACTOR * sampled.std() / 1000


@pytest.mark.parametrize("n_frames", [64, 65, 127, 128, 211])
@pytest.mark.parametrize("components", [1, 5])
def test_every_lag_of_even_and_odd_runs_against_a_naive_sum(n_frames, components):
    rng = np.random.default_rng(n_frames)
    series = rng.normal(size=(n_frames, 3, components)) + 0.5
    lags = np.arange(n_frames)
    naive = np.array(
        [
            [(series[: n_frames - k, i] * series[k:, i]).sum(axis=1).mean() for k in lags]
            for i in range(3)
        ]
    )
    assert autocorrelation(series, lags=lags) == pytest.approx(naive, abs=1e-10)


@pytest.mark.parametrize(("tau", "stride"), [(0.3, 0.03), (3.0, 0.2), (10.0, 0.5), (200.0, 1.0)])
def test_phase_integrated_echo_for_fast_intermediate_and_slow_exchange(tau, stride):
    """The exact exchange against 30 000 us of jumps; tp = td = 10 us, a powder of three tensors."""
    rng = np.random.default_rng(6)
    tensors = rng.normal(scale=12.0, size=(3, 5))
    exchange = exchange_from_rates(np.full((3, 3), 1 / (3 * tau)), np.ones(3))
    per_frame = exchange_from_rates(np.full((3, 3), stride / (3 * tau)), np.ones(3))
    parts = [tensors[sites_of(per_frame, 5000, 12, rng)] for _ in range(6)]
    tm = np.array([0.0, 5.0, 30.0])
    known = {"tp_us": 10.0, "td_us": 10.0, "tm_us": tm}
    model = exchange_echo(exchange, tensors, **known)
    direct = np.array(
        [trajectory_echo([p], stride_us=stride, tolerance=1e-3, **known).s2 for p in parts]
    )
    error = direct.std(axis=0, ddof=1) / np.sqrt(len(parts))
    assert np.all(np.abs(direct.mean(axis=0) - model.s2) < 4 * error + 2e-3)


def test_the_plateau_over_classes_of_equal_tensors():
    """Pnma 8d: four tensors of eight sites (1/4); 4c on a mirror: two (1/2)."""
    rng = np.random.default_rng(7)
    tensor = rng.normal(scale=60.0, size=(3, 3))
    tensor = tensor + tensor.T - 2 * np.eye(3) * np.trace(tensor) / 3
    mirrored = tensor.copy()
    mirrored[[0, 1, 1, 2], [1, 0, 2, 1]] = 0.0  # the mirror is normal to b
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
    for form, plateau in ((tensor, 0.25), (mirrored, 0.5)):
        four = isometric_from_matrix(signs[:, :, None] * form * signs[:, None, :])
        eight = np.concatenate([four, four])
        assert long_tp_plateau(eight, np.ones(8), tolerance=1e-9) == pytest.approx(plateau)
        jumps = exchange_from_rates(np.full((4, 4), 1e-8), np.ones(4))
        signal = exchange_echo(jumps, four, tp_us=80, td_us=80, tm_us=[0.0, 1e10], tolerance=1e-3)
        assert signal.normalised[-1] == pytest.approx(plateau, abs=0.03)


@pytest.mark.parametrize("true_tau", [1000.0, 4000.0, 16000.0])
def test_ions_that_hop_give_a_time_within_the_run_whatever_the_truth(true_tau, record_property):
    """Run of 1000: with all ions no time is claimed, the hoppers' average always has one."""
    rng = np.random.default_rng(8)
    series = redrawn(rng, 1000, 1200, tau=true_tau)
    hops = (np.abs(np.diff(series, axis=0)).sum(axis=2) > 0).any(axis=0)
    everyone = analyse(np.split(series, 3, axis=1))
    assert everyone.tau_sae.value is None
    lags = log_spaced_lags(1000, stride_ps=1.0, max_lag_ps=500.0)
    mean = autocorrelation(series[:, hops], lags=lags).mean(axis=0)
    fit = fit_decay(lags[1:] * 1.0, mean[1:] / mean[0])
    record_property("hoppers_tau", float(fit.tau_ps[0]))
    print(f"true tau {true_tau:g}, {hops.sum()} of 1200 hop: fit of those {fit.tau_ps[0]:.0f}")
    assert fit.tau_ps[0] < 1000.0


@pytest.mark.parametrize(("static", "white"), [(0.0, 0.5), (0.3, 0.0), (0.3, 0.5)])
def test_tensor_errors_of_known_size_leave_tau_within_its_error(static, white):
    """Errors that belong to the site (a fixed function of its tensor), and white ones."""
    rng = np.random.default_rng(9)
    true = [redrawn(rng, 4000, 60, tau=20.0, b2=0.3) for _ in range(3)]
    mix = rng.normal(size=(5, 5)) / np.sqrt(5)
    noisy = [x + static * (x @ mix) + white * rng.normal(size=x.shape) for x in true]
    before, after = analyse(true), analyse(noisy)
    assert abs(after.tau_sae.value - before.tau_sae.value) < 2 * before.tau_sae.stderr
    assert within(after.tau_sae, 0.020)
    assert within(after.plateau_b2, 0.3)
