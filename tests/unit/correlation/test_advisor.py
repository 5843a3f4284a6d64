"""The run-length advisor: the law, the rules of the verdict, and what is said of bounds."""

import numpy as np
import pytest

from hopecho.correlation.acf import acf_replicas, log_spaced_lags
from hopecho.correlation.advisor import TYPICAL_K, advise
from hopecho.correlation.verdict import AcfSettings, analyse_acf
from hopecho.units import Quantity


def tau(value, stderr, n=150.0):
    return Quantity(value, stderr, (value - stderr, value + stderr), "ns", n)


RUNS = {"n_ions": 50, "run_ps": 1000.0, "total_ps": 3000.0, "max_lag_fraction": 0.3}


def test_half_the_error_needs_four_times_the_run():
    known = tau(0.010, 0.002)
    same = advise(known, wanted_error=0.2, **RUNS)
    half = advise(known, wanted_error=0.1, **RUNS)
    assert same.total_ps == pytest.approx(3000.0)
    assert half.total_ps == pytest.approx(12_000.0)
    assert half.n_runs == 12
    assert half.k == pytest.approx(0.2 * np.sqrt(50 * 3000 / 10))
    assert "no more runs" in same.text
    assert "12 runs of 1 ns" in half.text


def test_a_run_is_never_shorter_than_the_verdict_needs():
    precise = advise(tau(5.0, 0.05), wanted_error=0.1, **RUNS)
    assert precise.single_run_ps == pytest.approx(5000 * 2 * np.exp(0.2) / 0.3)
    assert precise.total_ps == precise.single_run_ps


def test_a_bound_gives_a_least_length_and_nothing_gives_nothing():
    bound = Quantity(None, None, (0.5, None), "ns", 50, 0.95, "bound")
    said = advise(bound, wanted_error=0.1, **RUNS)
    assert said.k == TYPICAL_K
    assert "at least" in said.text
    assert said.to_dict()["expected_error"] is None
    assert advise(Quantity(None, None, (None, 0.1), "ns", 5, 0.95, "bound"), wanted_error=0.1,
                  **RUNS) is None  # fmt: skip


def test_few_quenches_are_not_helped_by_longer_runs():
    assert "may not" in advise(tau(0.01, 0.002, n=6.0), wanted_error=0.1, **RUNS).text


def test_the_scatter_of_longer_runs_is_what_was_said(jumps):
    """Told from one short campaign; measured on 24 campaigns of the length that was asked for."""

    def fitted(seed, n_frames):
        rng = np.random.default_rng(seed)
        series = [jumps(n_frames, 40, tau=10.0, rng=rng, plateau_b2=0.2)]
        lags = log_spaced_lags(n_frames, stride_ps=1.0, max_lag_ps=0.3 * n_frames)
        settings = AcfSettings(t_min_ps=1.0, stretch="exponential", n_resamples=60)
        return analyse_acf(acf_replicas(series, lags=lags), lags * 1.0, groups=[0],
                           run_ps=[n_frames], settings=settings, rng=rng).tau_sae  # fmt: skip

    told = [
        advise(fitted(s, 400), n_ions=40, run_ps=400.0, total_ps=400.0, wanted_error=0.025,
               max_lag_fraction=0.3).total_ps
        for s in range(5)
    ]  # fmt: skip
    n_frames = round(np.median(told))
    assert n_frames > 600
    values = [fitted(100 + s, n_frames).value for s in range(24)]
    assert np.std(values) / 0.010 == pytest.approx(0.025, rel=0.45)
