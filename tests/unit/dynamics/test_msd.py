"""MSD against its definition, against random walks, and its blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopecho.dynamics.msd import (
    msd_at_lags,
    msd_by_element,
    msd_curves,
    msd_mean,
    msd_per_ion,
    segments_for,
)
from hopecho.errors import HopechoError


def naive(x, n_lags):
    return np.array([((x[lag:] - x[: len(x) - lag]) ** 2).mean(0) for lag in range(n_lags)])


@settings(max_examples=30, deadline=None)
@given(n_frames=st.integers(2, 61), n_ions=st.integers(1, 19), seed=st.integers(0, 99))
def test_fft_is_the_definition_for_odd_and_even_lengths(n_frames, n_ions, seed):
    x = np.cumsum(np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)), 0) + 500.0
    for n_lags in {1, (n_frames + 1) // 2, n_frames}:
        expected = naive(x, n_lags)
        np.testing.assert_allclose(msd_per_ion(x, n_lags=n_lags), expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            msd_per_ion(x, n_lags=n_lags, axes=False), expected.sum(2), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(
            msd_mean(x, n_lags=n_lags), expected.mean(1), rtol=1e-9, atol=1e-9
        )


def test_single_lags_are_those_of_all():
    x = np.cumsum(np.random.default_rng(3).normal(size=(50, 4, 3)), 0)
    every = msd_per_ion(x, n_lags=40)
    np.testing.assert_allclose(msd_at_lags(x, [1, 7, 39]), every[[1, 7, 39]], rtol=1e-9)


def test_ballistic_motion_grows_as_the_square_of_time():
    x = np.arange(100.0)[:, None, None] * np.array([[[0.1, 0.2, -0.3]]])
    lags = np.arange(50)
    np.testing.assert_allclose(msd_mean(x, n_lags=50).sum(1), 0.14 * lags**2, atol=1e-9)


def test_curves_are_in_order_and_the_error_covers_the_truth():
    rng = np.random.default_rng(1)
    replicas = [np.cumsum(rng.normal(size=(800, 30, 3)), 0) for _ in range(3)]
    curves = msd_curves(replicas, stride_ps=2.0)
    truth = 3.0 * np.arange(len(curves.lag_ps))
    assert curves.lag_ps[1] == 2.0
    assert curves.lag_ps[-1] == pytest.approx(0.2 * 800 * 2.0)
    assert curves.blocks.shape == (12, len(truth), 3)
    np.testing.assert_allclose(curves.runs.mean(0), curves.msd)
    assert (np.abs(curves.msd - truth)[1:] < 4 * curves.msd_err[1:]).all()
    np.testing.assert_allclose(curves.msd_axes.sum(1), curves.msd)


def test_a_longer_replica_gives_more_blocks_of_the_same_length():
    rng = np.random.default_rng(1)
    replicas = [rng.normal(size=(n, 4, 3)) for n in (400, 850)]
    curves = msd_curves(replicas, stride_ps=1.0, quench=[0, 5])
    assert list(curves.replica) == [0] * 4 + [1] * 8
    assert list(curves.quench) == [0] * 4 + [5] * 8


def test_elements_are_told_apart():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 5, 3))
    x[:, :2] = np.cumsum(x[:, :2], 0)
    curves = msd_by_element([x], numbers=np.array([3, 3, 16, 16, 16]), stride_ps=1.0)
    assert set(curves) == {"Li", "S"}
    assert curves["S"].msd[30] == pytest.approx(6.0, rel=0.2)
    assert curves["Li"].msd[30] > 30.0


@pytest.mark.parametrize("shape", [(30, 4, 3), (100, 0, 3)])
def test_short_or_empty_runs_are_refused(shape):
    with pytest.raises(HopechoError):
        msd_curves([np.zeros(shape)], stride_ps=1.0)


def test_replicas_with_other_ions_are_refused():
    with pytest.raises(HopechoError, match="same ions"):
        msd_curves([np.zeros((100, 2, 3)), np.zeros((100, 3, 3))], stride_ps=1.0)


def test_lags_beyond_the_run_are_refused():
    with pytest.raises(HopechoError, match="n_lags"):
        msd_mean(np.zeros((10, 2, 3)), n_lags=11)


@pytest.mark.parametrize(("n_replicas", "n_segments"), [(1, 12), (3, 4), (5, 3), (6, 2), (40, 2)])
def test_many_replicas_need_few_segments(n_replicas, n_segments):
    assert segments_for(n_replicas) == n_segments
