import json

import numpy as np
import pytest

from hopecho.correlation.acf import acf_replicas, log_spaced_lags
from hopecho.correlation.plateau import plateau_sums
from hopecho.correlation.verdict import AcfSettings, analyse_acf
from hopecho.errors import HopechoError


def analyse(replicas, *, seed=0, t_min_ps=1.0, groups=None, plateaus=False, **choices):
    n_frames = min(len(x) for x in replicas)
    lags = log_spaced_lags(n_frames, stride_ps=1.0)
    return analyse_acf(
        acf_replicas(replicas, lags=lags),
        lags * 1.0,
        groups=range(len(replicas)) if groups is None else groups,
        run_ps=[float(len(x)) for x in replicas],
        settings=AcfSettings(t_min_ps=t_min_ps, n_resamples=200, **choices),
        rng=np.random.default_rng(seed),
        plateaus=[plateau_sums(x) for x in replicas] if plateaus else None,
    )


def with_noise(series, rng, scale=0.8):
    return series + scale * rng.normal(size=series.shape)


def ornstein_uhlenbeck(shape, *, tau, rng):
    x = np.empty(shape)
    x[0] = rng.normal(size=shape[1:])
    keep = np.exp(-1.0 / tau)
    for t in range(1, shape[0]):
        x[t] = keep * x[t - 1] + np.sqrt(1.0 - keep**2) * rng.normal(size=shape[1:])
    return x


def test_vibrations_and_jumps_are_separated(jumps):
    """Vibrations take 60 % at once; the fit from t_min on finds A = 0.4, b^2, tau, gamma = 1."""
    rng = np.random.default_rng(0)
    replicas = [
        np.sqrt(0.4) * jumps(4000, 48, tau=100.0, rng=rng, plateau_b2=0.3)
        + np.sqrt(0.6) * ornstein_uhlenbeck((4000, 48, 5), tau=1.0, rng=rng)
        for _ in range(3)
    ]
    r = analyse(replicas, t_min_ps=8.0, plateaus=True)
    assert r.verdict == "resolved"
    assert r.tau_sae.unit == "ns"
    for quantity, truth in (
        (r.tau_sae, 0.1),
        (r.mean_tau, 0.1),
        (r.plateau_b2, 0.3),
        (r.vibrational_amplitude, 0.6),
        (r.stretch_gamma, 1.0),
    ):
        assert quantity.value == pytest.approx(truth, abs=4.0 * quantity.stderr)
        assert quantity.interval[0] < quantity.value < quantity.interval[1]
    assert r.tau_sae.stderr < 0.01
    assert r.integral_time_ns == pytest.approx(0.1, rel=0.4)
    assert r.plateau_first_last == pytest.approx(0.4 * 0.3, abs=0.02)
    assert r.plateau_mean_square == pytest.approx(0.4 * 0.3, abs=0.02)
    assert r.acf[0] == 1.0
    assert r.zero_lag == pytest.approx(5.0, rel=0.1)
    assert (r.acf_err[1:] > 0.0).all()


def test_two_rates_are_called_stretched(jumps):
    rng = np.random.default_rng(1)
    replicas = [
        np.concatenate(
            [jumps(20_000, 40, tau=20.0, rng=rng), jumps(20_000, 40, tau=400.0, rng=rng)], axis=1
        )
        for _ in range(2)
    ]
    r = analyse(replicas)
    assert r.headline == "stretched"
    assert r.stretch_gamma.interval[1] < 0.9
    # The integral time of two equal populations is their mean.
    assert r.mean_tau.value == pytest.approx(0.21, rel=0.3)
    assert analyse(replicas, stretch="exponential").headline == "exponential"


@pytest.mark.parametrize("seed", range(8))
def test_static_sites_are_not_a_decay_time(seed):
    """A fit to static sites with vibrations gives some time; the verdict must not."""
    rng = np.random.default_rng(seed)
    sites = rng.normal(size=(3, 1, 48, 5))
    r = analyse([with_noise(np.broadcast_to(x, (1000, 48, 5)), rng) for x in sites])
    assert r.verdict == "not_seen"
    assert r.tau_sae.value is None
    assert r.tau_sae.interval[0] > 1.0  # ns: longer than the run of 1000 ps
    assert 0.0 < r.smallest_decay < 0.05
    assert r.integral_time_ns is None
    assert np.isfinite(r.exponential.fit.tau_ps[0])  # the number that must not be reported
    assert 1.0 - r.vibrational_amplitude.value == pytest.approx(1.0 / 1.64, abs=0.1)


def test_exactly_constant_sites_stay_finite():
    x = np.broadcast_to(np.random.default_rng(0).normal(size=(1, 10, 5)), (200, 10, 5))
    r = analyse([x])
    assert r.verdict == "not_seen"
    json.dumps(r.to_dict(), allow_nan=False)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("run_over_tau", [1.0, 3.0])
def test_tau_near_the_run_is_a_bound_and_never_a_number(jumps, seed, run_over_tau):
    rng = np.random.default_rng(100 + seed)
    tau = 600.0 / run_over_tau
    r = analyse([with_noise(jumps(600, 48, tau=tau, rng=rng), rng) for _ in range(3)])
    assert r.verdict == "bound"
    assert r.tau_sae.value is None
    assert r.tau_sae.interval[1] is None
    assert 0.0 < r.tau_sae.interval[0] < 1.3e-3 * tau
    assert r.plateau_b2.value is None


def test_hopping_slower_than_the_run_is_no_number(jumps):
    """Paper Fig. 5's trap: a run of 1 us gave 200-300 ns for every true tau."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        r = analyse([with_noise(jumps(600, 48, tau=3e4, rng=rng), rng) for _ in range(3)])
        assert r.verdict in ("not_seen", "bound")


def test_decay_before_the_first_lag_is_bounded_from_above(jumps):
    rng = np.random.default_rng(3)
    x = [jumps(20_000, 100, tau=0.5, rng=rng, plateau_b2=0.3)]
    r = analyse(x, stretch="exponential")
    assert r.verdict == "bound"
    assert r.tau_sae.interval[0] is None
    assert 0.5e-3 <= r.tau_sae.interval[1] < 2e-3


def test_spread_between_quenches_widens_tau(jumps):
    """Same ions, same runs: quenches of different tau leave three independent samples."""
    rng = np.random.default_rng(4)
    replicas = [jumps(2000, 48, tau=t, rng=rng) for t in (30.0, 50.0, 80.0)]
    r = analyse(replicas, stretch="exponential")
    assert r.tau_sae.n_independent < 5.0
    assert r.tau_sae.interval[0] < 0.05 < r.tau_sae.interval[1]
    assert r.tau_sae.stderr > 0.2 * r.tau_sae.value


def test_replicas_of_different_length_and_scalar_series(jumps):
    rng = np.random.default_rng(5)
    replicas = [jumps(n, 60, tau=30.0, rng=rng, n_components=1)[..., 0] for n in (3000, 2000, 2500)]
    r = analyse(replicas, groups=[0, 0, 1])
    assert r.verdict == "resolved"
    assert r.tau_sae.value == pytest.approx(0.03, rel=0.2)


def test_every_verdict_is_plain_json(jumps):
    rng = np.random.default_rng(6)
    for tau in (5.0, 300.0, 1e9):
        x = with_noise(jumps(600, 20, tau=tau, rng=rng), rng)
        d = json.loads(json.dumps(analyse([x, x[::-1]]).to_dict(), allow_nan=False))
        assert set(d["tau_sae"]) >= {"value", "interval", "verdict", "unit"}


def test_bad_input_is_refused(jumps):
    x = jumps(600, 20, tau=5.0, rng=np.random.default_rng(7))
    with pytest.raises(HopechoError, match="t_min_ps"):
        analyse([x], t_min_ps=290.0)
    with pytest.raises(HopechoError, match="stretch"):
        AcfSettings(t_min_ps=1.0, stretch="maybe")
    with pytest.raises(HopechoError, match="not positive"):
        analyse([np.zeros((600, 20))])
