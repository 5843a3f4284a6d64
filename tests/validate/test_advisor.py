"""Is the scatter of runs as long as was advised what was promised?

The advice comes from short campaigns; as many frames are then run in new campaigns. Seeds fixed.
"""

import numpy as np
import pytest

from hopecho.correlation.acf import acf_replicas, log_spaced_lags
from hopecho.correlation.advisor import advise
from hopecho.correlation.verdict import AcfSettings, analyse_acf

TAU, N_IONS, SHORT, MAX_LAG = 10.0, 40, 400, 0.3
N_TOLD, N_MEASURED = 60, 200


def series(rng, n_frames):
    redraw = rng.random((n_frames, N_IONS)) < -np.expm1(-1.0 / TAU)
    redraw[0] = True
    drawn = np.maximum.accumulate(np.where(redraw, np.arange(n_frames)[:, None], 0), axis=0)
    moving = rng.normal(size=(n_frames, N_IONS, 5))[drawn, np.arange(N_IONS)]
    return np.sqrt(0.2) * rng.normal(size=(1, N_IONS, 5)) + np.sqrt(0.8) * moving


def fitted(seed, n_frames):
    rng = np.random.default_rng(seed)
    lags = log_spaced_lags(n_frames, stride_ps=1.0, max_lag_ps=MAX_LAG * n_frames)
    return analyse_acf(
        acf_replicas([series(rng, n_frames)], lags=lags), lags * 1.0, groups=[0],
        run_ps=[float(n_frames)], rng=rng,
        settings=AcfSettings(t_min_ps=1.0, stretch="exponential", n_resamples=100),
    ).tau_sae  # fmt: skip


@pytest.mark.parametrize("wanted", [0.05, 0.025])
def test_runs_as_long_as_advised_have_the_error_that_was_wanted(wanted, record_property):
    run = {"n_ions": N_IONS, "run_ps": SHORT, "total_ps": SHORT, "max_lag_fraction": MAX_LAG}
    advice = [advise(fitted(s, SHORT), wanted_error=wanted, **run) for s in range(N_TOLD)]
    told = np.array([a.total_ps for a in advice])
    n_frames = round(np.median(told))
    values = [fitted(1000 + s, n_frames).value for s in range(N_MEASURED)]
    assert all(v is not None for v in values)
    scatter = float(np.std(np.log(values)))
    low, high = np.quantile(told, [0.16, 0.84])
    print(f"wanted {wanted}: {n_frames} frames ({low:.0f} to {high:.0f}), scatter {scatter:.4f}")
    record_property("scatter", scatter)
    assert scatter == pytest.approx(wanted, rel=0.3)
