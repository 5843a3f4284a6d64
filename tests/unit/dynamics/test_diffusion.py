"""Tracer diffusion: random walks are resolved, traps are not, and bounds are honest."""

import numpy as np
import pytest

from hopecho.dynamics.diffusion import diffusion, slope_weights
from hopecho.dynamics.msd import msd_curves

STEP, STRIDE = 0.5, 2.0
D_WALK = STEP**2 / (2 * STRIDE) * 1e-8


def walks(seed=0, *, n_frames=800, n_ions=40, cage=0.0, n_replicas=3):
    rng = np.random.default_rng(seed)
    return [
        np.cumsum(STEP * rng.normal(size=(n_frames, n_ions, 3)), 0)
        + cage * rng.normal(size=(n_frames, n_ions, 3))
        for _ in range(n_replicas)
    ]


def test_slope_weights_recover_a_line_with_offset():
    lags = np.arange(30) * 2.0
    weights = slope_weights(lags, slice(4, 20))
    assert weights @ (7.0 + 3.0 * lags) == pytest.approx(3.0)
    assert (weights[:4] == 0).all()
    assert (weights[20:] == 0).all()


@pytest.mark.parametrize("cage", [0.0, 0.4])
def test_a_random_walk_has_its_coefficient(cage):
    result = diffusion(msd_curves(walks(cage=cage), stride_ps=STRIDE))
    d = result.d_tracer
    assert (d.verdict, d.unit, d.level) == ("resolved", "m2/s", 0.68)
    assert abs(d.value - D_WALK) < 4 * d.stderr
    assert d.stderr < 0.05 * D_WALK
    assert result.exponent == pytest.approx(1.0, abs=0.1)
    assert np.mean(result.d_axes) == pytest.approx(d.value, rel=1e-9)
    # The cage leaves the slope alone and lifts MSD/6t.
    assert result.d_apparent > d.value - 2 * d.stderr


def test_a_cage_delays_the_window():
    free = diffusion(msd_curves(walks(), stride_ps=STRIDE)).window_ps[0]
    caged = diffusion(msd_curves(walks(cage=1.0), stride_ps=STRIDE)).window_ps[0]
    assert free == STRIDE
    assert caged >= 4 * STRIDE


def test_motion_along_one_axis_is_told_from_the_others():
    x = [w * np.array([1.0, 0.0, 2.0]) for w in walks()]
    d = diffusion(msd_curves(x, stride_ps=STRIDE)).d_axes
    assert d[1] == pytest.approx(0.0, abs=1e-20)
    assert d[2] / d[0] == pytest.approx(4.0, rel=0.15)


def test_a_trap_is_not_seen_and_its_bound_is_at_least_the_poisson_limit():
    rng = np.random.default_rng(3)
    x = [0.3 * rng.normal(size=(800, 40, 3)) for _ in range(3)]
    d = diffusion(msd_curves(x, stride_ps=STRIDE), hop_length_a=3.0).d_tracer
    ion_time = 3 * 800 * 40 * STRIDE
    limit = 2.9957 * 9.0 / (6 * ion_time) * 1e-8
    assert (d.verdict, d.value, d.interval[0], d.level) == ("not_seen", None, None, 0.95)
    assert limit <= d.interval[1] * 1.0001
    assert d.interval[1] < 30 * limit


def test_a_trap_without_any_motion_still_has_a_bound():
    d = diffusion(msd_curves([np.ones((200, 5, 3))], stride_ps=1.0)).d_tracer
    assert d.verdict == "not_seen"
    assert d.interval[1] == pytest.approx(2.9957 * 9 / (6 * 1000) * 1e-8, rel=1e-4)


def test_slow_relaxation_in_a_wide_cage_is_a_bound_not_a_number():
    """Ornstein-Uhlenbeck motion with a relaxation time near the longest lag: grows, and D = 0."""
    rng = np.random.default_rng(4)
    keep = np.exp(-1 / 40)
    x = np.zeros((800, 200, 3))
    x[0] = rng.normal(size=(200, 3))
    for t in range(1, 800):
        x[t] = keep * x[t - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(200, 3))
    d = diffusion(msd_curves([x], stride_ps=1.0)).d_tracer
    assert d.verdict == "bound"
    assert d.value is None
    assert d.interval[1] > 0.0


def scaled_walks(*scales):
    return [w * scale for w, scale in zip(walks(), scales, strict=True)]


def test_replicas_that_disagree_widen_the_interval():
    d = diffusion(msd_curves(scaled_walks(0.8, 1.0, 1.2), stride_ps=STRIDE)).d_tracer
    assert (d.verdict, d.n_independent) == ("resolved", 3)
    assert d.stderr > 0.15 * D_WALK


def test_replicas_that_disagree_by_factors_give_a_bound():
    d = diffusion(msd_curves(scaled_walks(0.1, 0.5, 2.0), stride_ps=STRIDE)).d_tracer
    assert d.verdict == "bound"
    assert d.interval[1] > 4 * D_WALK


def test_d_scales_with_length_and_time():
    base = diffusion(msd_curves(walks(), stride_ps=STRIDE)).d_tracer.value
    x = [2 * w for w in walks()]
    assert diffusion(msd_curves(x, stride_ps=STRIDE)).d_tracer.value == pytest.approx(4 * base)
    assert diffusion(msd_curves(walks(), stride_ps=1.0)).d_tracer.value == pytest.approx(2 * base)
