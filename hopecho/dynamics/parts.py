"""What is behind the means of a phase: the curves of single runs, and single ions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.dynamics.conductivity import Conductivity
from hopecho.dynamics.msd import msd_at_lags
from hopecho.units import A2_PS_TO_M2_S

Array = NDArray[np.float64]

CURVE_POINTS = 100
"""Lags of the curves of single runs, evenly on a log axis."""

ION_LAGS = 8
"""Lags at which single ions are told apart."""


def log_lags(last: int, n: int) -> list[int]:
    """At most `n` different lags from 1 to `last`, in frames, evenly on a log axis."""
    return sorted({round(lag) for lag in np.geomspace(1, max(last, 1), n)})


def run_columns(result: Conductivity, *, quench: Sequence[int]) -> dict[str, Any]:
    r"""Columns of conductivity_runs.csv, long form: every run by itself.

    Besides the tracer and the collective MSD (over N), the conductivities that each amounts to at
    its lag, :math:`n q^2 M(t) / (6 t k_B T)`, S/m: they tend to sigma_ne and sigma_einstein where
    the MSD grows linearly.

    Parameters
    ----------
    result : Conductivity
        Of all runs.
    quench : sequence of int
        Of each run.
    """
    tracer, together = result.tracer_curves, result.collective_curves
    kept = np.array(log_lags(len(tracer.lag_ps) - 1, CURVE_POINTS))
    lag = tracer.lag_ps[kept]
    to_sigma = A2_PS_TO_M2_S * result.sigma_per_d / (6.0 * lag)
    n_runs = len(tracer.runs)
    own, summed = tracer.runs[:, kept], together.runs[:, kept]
    return {
        "run": np.repeat(np.arange(n_runs), len(lag)),
        "quench": np.repeat(np.asarray(quench), len(lag)),
        "lag_ps": np.tile(lag, n_runs),
        "msd_a2": own.ravel(),
        "collective_msd_a2": summed.ravel(),
        "sigma_ne_s_m": (own * to_sigma).ravel(),
        "sigma_einstein_s_m": (summed * to_sigma).ravel(),
    }


def ion_columns(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    ions: NDArray[np.integer[Any]],
    stride_ps: float,
    last: int,
) -> dict[str, Any]:
    """Columns of msd_ions.csv, long form: the MSD of every mobile ion of every run.

    Parameters
    ----------
    replicas : sequence of ndarray
        Each (n_frames, n_ions, 3), A, in the frame of the framework.
    ions : ndarray
        (n_ions,), index of each in the structure.
    stride_ps : float
        Time between frames, ps.
    last : int
        Longest lag, frames.
    """
    lags = log_lags(last, ION_LAGS)
    each = np.array([msd_at_lags(x, lags) for x in replicas])
    n_runs, n_lags, n_ions, _ = each.shape
    axes = {f"msd_{axis}_a2": each[..., k].ravel() for k, axis in enumerate("xyz")}
    return {
        "run": np.repeat(np.arange(n_runs), n_lags * n_ions),
        "lag_ps": np.tile(np.repeat(np.array(lags) * np.float64(stride_ps), n_ions), n_runs),
        "ion": np.tile(np.asarray(ions), n_runs * n_lags),
        "msd_a2": each.sum(-1).ravel(),
    } | axes
