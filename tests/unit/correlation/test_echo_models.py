"""The routes from short runs to an echo with real pulses, and what is said of each."""

import numpy as np
import pytest

from hopecho.correlation.acf import acf_replicas, log_spaced_lags
from hopecho.correlation.echo_models import (
    EchoPlan,
    echo_columns,
    echo_record,
    frequency_tensors,
    model_echoes,
)
from hopecho.correlation.sae import PREFACTOR
from hopecho.correlation.verdict import AcfSettings, analyse_acf
from hopecho.tensors import omega_q_isometric

PLAN = EchoPlan(tp_us=(5.0, 20.0), tm_us=(1.0, 1e4), dead_time_us=8.0)


def analysed(series, stride_ps):
    scaled = [frequency_tensors(x, "7Li") * np.sqrt(2 / 15) for x in series]
    lags = log_spaced_lags(len(series[0]), stride_ps=stride_ps)
    return analyse_acf(
        acf_replicas(scaled, lags=lags), lags * stride_ps, groups=range(len(series)),
        run_ps=[len(x) * stride_ps for x in series], rng=np.random.default_rng(1),
        settings=AcfSettings(t_min_ps=stride_ps, stretch="exponential", n_resamples=80),
    )  # fmt: skip


@pytest.fixture(scope="module")
def fast():
    """A decay of 10 ps with half of the mean square left: tensors in a.u."""
    rng = np.random.default_rng(2)
    redraw = rng.random((1200, 60)) < 0.1
    redraw[0] = True
    drawn = np.maximum.accumulate(np.where(redraw, np.arange(1200)[:, None], 0), axis=0)
    moving = rng.normal(size=(1200, 60, 5))[drawn, np.arange(60)]
    both = 0.004 * (moving + rng.normal(size=(1, 60, 5)))
    series = [both[:, :20], both[:, 20:40], both[:, 40:]]
    return series, analysed(series, 1.0)


def test_frequency_tensors_give_the_frequencies_of_omega_q():
    t = np.random.default_rng(3).normal(scale=0.01, size=(7, 5))
    along_z = frequency_tensors(t, "7Li")[:, 2] * np.sqrt(2 / 3)
    assert along_z == pytest.approx(omega_q_isometric(t, [0, 0, 1], isotope="7Li"))


def test_a_short_run_gives_models_with_their_assumptions_and_no_decay(fast):
    series, powder = fast
    assert powder.verdict == "resolved"
    routes = model_echoes(series, stride_ps=1.0, isotope="7Li", powder=powder, plan=PLAN)
    assert set(routes) == {"frozen", "gaussian_exponential", "gaussian_stretched"}
    short, long = routes["frozen"]
    assert (short.td_us, long.td_us) == (8.0, 20.0)
    assert 0 < short.s2[0] < PREFACTOR
    assert np.ptp(short.s2) == 0.0
    record = echo_record(routes, plan=PLAN, run_ps=1200.0, rms_omega_q_khz=28.0)
    assert "run is 1.2 ns and the shortest tp 5 us" in record["statement"]
    for route in record["routes"].values():
        assert route["basis"]
        assert [e["tau_us"] for e in route["echoes"]] == [None, None]
    columns = echo_columns(routes)
    assert {len(v) for v in columns.values()} == {3 * 2 * 41}


def test_a_decay_that_is_not_resolved_leaves_only_the_frozen_route():
    rng = np.random.default_rng(4)
    static = np.broadcast_to(rng.normal(scale=0.005, size=(1, 30, 5)), (400, 30, 5))
    series = [static + rng.normal(scale=0.001, size=static.shape) for _ in range(2)]
    powder = analysed(series, 1.0)
    routes = model_echoes(series, stride_ps=1.0, isotope="7Li", powder=powder, plan=PLAN)
    assert set(routes) == {"frozen"}


def test_runs_longer_than_the_pulses_need_no_model():
    """Jumps with tau = 40 us, frames every 1 us: the echo decays, and directly so."""
    rng = np.random.default_rng(5)
    redraw = rng.random((2000, 16)) < 1 / 40
    redraw[0] = True
    drawn = np.maximum.accumulate(np.where(redraw, np.arange(2000)[:, None], 0), axis=0)
    tensors = 0.0012 * rng.normal(size=(2000, 16, 5))[drawn, np.arange(16)]
    series = [tensors[:, :8], tensors[:, 8:]]
    plan = EchoPlan(tp_us=(10.0,), tm_us=(4.0, 2e3), dead_time_us=0.0)
    powder = analysed(series, 1e6)
    routes = model_echoes(series, stride_ps=1e6, isotope="7Li", powder=powder, plan=plan)
    (signal,) = routes["trajectory"]
    assert signal.tm_us[-1] < 1000.0
    decay = signal.s2[:, None] / signal.s2[0]
    late = signal.tm_us > 200.0
    assert np.abs(decay[late]).max() < 0.15
    record = echo_record(routes, plan=plan, run_ps=2e9, rms_omega_q_khz=28.0)
    assert "assumes nothing" in record["statement"]
    (echo,) = record["routes"]["trajectory"]["echoes"]
    assert echo["tau_us"] == pytest.approx(40.0, rel=0.25)
    assert "sees this decay" in echo["regime"]
