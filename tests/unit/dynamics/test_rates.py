"""Rates of known jump processes and their Poisson intervals."""

import functools

import numpy as np
import pytest

from hopecho.dynamics.hops import HopLog, site_hops
from hopecho.dynamics.rates import (
    dispersion,
    hop_rate,
    rate_against_stride,
    rate_quantity,
    rates_per_ion,
    site_rates,
)
from hopecho.errors import HopechoError

SITES = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
CELL = 10.0 * np.eye(3)
DETECT = functools.partial(site_hops, sites=SITES, cell=CELL, core_radius_a=1.0)


def detect(positions, stride_ps):
    return DETECT(positions, stride_ps=stride_ps)


def two_state(k12, k21, *, n_frames=4000, n_ions=20, seed=0):
    """Positions of a two-state jump process sampled every ps; rates per ps."""
    rng = np.random.default_rng(seed)
    state = np.zeros((n_frames, n_ions), dtype=int)
    for t in range(1, n_frames):
        leave = rng.random(n_ions) < np.where(state[t - 1] == 0, k12, k21)
        state[t] = np.where(leave, 1 - state[t - 1], state[t - 1])
    return SITES[state] + 0.2 * rng.normal(size=(n_frames, n_ions, 3))


def empty_log(times=(), ions=()):
    none = np.zeros(len(times), dtype=np.int64)
    return HopLog(
        np.asarray(ions, dtype=np.int64), np.asarray(times, dtype=float), none, none,
        np.zeros((len(times), 3)), 10, 1000.0,
    )  # fmt: skip


def test_two_state_rates_and_occupation():
    k12, k21 = 0.02, 0.005
    logs = [detect(two_state(k12, k21, seed=s), 1.0) for s in range(2)]
    result = site_rates(logs, labels=["LiS4", "LiS6"], stride_ps=1.0)
    for name, k in [("LiS4->LiS6", k12), ("LiS6->LiS4", k21)]:
        rate = result.rates[name]
        assert abs(rate.value - k * 1e12) < 4 * rate.stderr
        assert rate.interval[0] < rate.value < rate.interval[1]
    assert result.rates["LiS4->LiS4"].verdict == "not_seen"
    share = result.time_ps[0] / result.time_ps.sum()
    assert share == pytest.approx(k21 / (k12 + k21), abs=0.05)
    total = hop_rate(logs)
    assert total.value == pytest.approx(result.counts.sum() / (2 * 20 * 4000) * 1e12)


def test_no_event_gives_the_upper_limit_three_over_time():
    rate = hop_rate([empty_log(), empty_log()])
    assert rate.verdict == "not_seen"
    assert rate.interval[0] is None
    assert rate.interval[1] == pytest.approx(2.9957 / (2 * 10 * 1000e-12), rel=1e-4)
    assert rate_quantity(0, 0.0).interval == (None, None)


def test_rates_per_ion():
    rate, low, high = rates_per_ion(empty_log([1.0, 2.0, 900.0], [3, 3, 7]))
    assert rate[3] == pytest.approx(2e9)
    assert rate.sum() == pytest.approx(3e9)
    assert (low <= rate).all()
    assert (rate < high).all()


def test_independent_hops_are_poisson_and_bunched_ones_are_not():
    times = np.sort(np.random.default_rng(1).uniform(0, 1000, 200))
    index, p = dispersion(empty_log(times, np.zeros(200)))
    assert p > 0.01
    assert 0.2 < index < 2.5
    bunched, p_bunched = dispersion(empty_log(np.repeat([100.0, 550.0], 100), np.zeros(200)))
    assert bunched > 10
    assert p_bunched < 1e-6
    assert dispersion(empty_log()) == (1.0, 1.0)


def test_coarse_frames_miss_returns():
    runs = np.array_split(two_state(0.1, 0.1), 2)
    options = {"stride_ps": 1.0, "factors": (1, 10, 100_000)}
    rates = rate_against_stride(runs, [detect, detect], **options)
    assert [stride for stride, _ in rates] == [1.0, 10.0]
    assert rates[0][1].n_independent > 10 * rates[0][1].stderr / rates[0][1].value

    def lost(positions, stride_ps):
        if stride_ps > 1.0:
            raise HopechoError("Ion 0 never enters the core of a site.")
        return detect(positions, stride_ps)

    assert [s for s, _ in rate_against_stride(runs, [detect, lost], **options)] == [1.0]
    # An exchange at rate k seen every t counts (1 - (1 - 2k)^t)/2 hops a frame.
    assert rates[0][1].value == pytest.approx(0.1e12, rel=0.05)
    assert rates[1][1].value == pytest.approx((1 - 0.8**10) / 20 * 1e12, rel=0.05)


def test_cage_jumps_have_no_rates_between_sites():
    with pytest.raises(HopechoError, match="between sites"):
        site_rates([empty_log()], labels=["A"], stride_ps=1.0)
