"""The tracer diffusion coefficient, with its diffusive window, error bar and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopecho.dynamics.estimate import (
    RESOLVED_Z,
    BlockError,
    poisson_upper,
    resolved_quantity,
    upper_bound,
)
from hopecho.dynamics.msd import MsdCurves
from hopecho.units import A2_PS_TO_M2_S, Quantity

Array = NDArray[np.float64]

EXPONENT_TOLERANCE = 0.1
"""A log slope this near to 1 counts as diffusive: an offset of the cage of 10 % of the MSD."""

MAX_EXPONENT_ERROR = 0.2
"""A log slope less certain than this proves nothing."""


@dataclass(frozen=True)
class Diffusion:
    """Tracer diffusion coefficient and what it rests on."""

    d_tracer: Quantity
    """m2/s, slope/6 in the window, mean over blocks."""
    d_apparent: float
    """MSD(t)/(6 t) at the end of the window, m2/s; biased high by the cage."""
    d_axes: tuple[float, float, float]
    """Slope/2 of each axis in the window, m2/s."""
    window_ps: tuple[float, float]
    """Lags of the fit, ps."""
    exponent: float
    """d ln MSD / d ln t over the whole window."""
    exponent_err: float
    log_slope_lag_ps: Array
    """(n,), ps."""
    log_slope: Array
    """(n,), local d ln MSD / d ln t."""
    log_slope_err: Array
    """(n,)."""
    blocks: Array
    """(n_blocks,), slope/6 of each block, m2/s."""


def slope_weights(lag_ps: Array, window: slice) -> Array:
    r"""Weights w with :math:`w \cdot M` the slope of a line through M in the window, 1/ps.

    The fit is weighted by 1/t^2, as the error of an MSD grows about as t.
    """
    t = lag_ps[window]
    u = 1.0 / t**2
    centred = t - np.average(t, weights=u)
    out = np.zeros(len(lag_ps))
    out[window] = u * centred / np.sum(u * centred**2)
    return out


def exponent_between(curves: MsdCurves, short: int, long: int) -> tuple[float, float]:
    """Log slope of the MSD between two lags (in frames) and its standard error."""
    low, high = curves.msd[short], curves.msd[long]
    scale = math.log(long / short)
    if low <= 0.0 or high <= 0.0:
        return 0.0, 0.0  # ions that never move: certainly no growth
    totals = curves.blocks.sum(-1)
    error = curves.error((totals[:, long] / high - totals[:, short] / low) / scale)
    return math.log(high / low) / scale, error.stderr


def log_slopes(curves: MsdCurves) -> tuple[NDArray[np.int64], Array, Array]:
    """Log slopes between lags l and 2 l on a geometric grid: l in frames, slope, standard error."""
    last = (curves.n_fit - 1) // 2
    grid = np.unique(np.rint(np.geomspace(1, last, 4 * last.bit_length())).astype(np.int64))
    pairs = np.array([exponent_between(curves, int(k), 2 * int(k)) for k in grid])
    return grid, pairs[:, 0], pairs[:, 1]


def diffusive_start(grid: NDArray[np.int64], slope: Array, error: Array) -> int | None:
    """First lag (frames) from which all log slopes are 1 within tolerance and two errors."""
    good = np.abs(slope - 1.0) <= EXPONENT_TOLERANCE + 2.0 * error
    bad = np.flatnonzero(~good)
    first = 0 if len(bad) == 0 else int(bad[-1]) + 1
    return int(grid[first]) if first < len(grid) else None


def diffusion(curves: MsdCurves, *, hop_length_a: float = 3.0) -> Diffusion:
    r"""Tracer diffusion :math:`D = \frac{1}{6} dM/dt` in the diffusive window, with a verdict.

    - resolved: d ln MSD / d ln t = 1 within error over a window of a factor 2 or more, and D over 3
      standard errors;
    - bound: the MSD grows, but not (yet) diffusively: D < MSD/(6 t) at the longest lag, upper 95 %;
    - not_seen: it does not grow: D < the larger of its growth's upper 95 % and the Poisson limit of
      the hops that the growth amounts to (none: 3.0 a^2 / (6 N T)), as a rare hop leaves no trace
      in the scatter of cages.

    Parameters
    ----------
    curves : MsdCurves
        Of the mobile ions.
    hop_length_a : float
        Length of a hop for the Poisson limit, A.
    """
    grid, slope, slope_err = log_slopes(curves)
    start = diffusive_start(grid, slope, slope_err)
    end = curves.n_fit - 1
    lo = start if start is not None else max(1, end // 3)
    window = slice(lo, end + 1)
    weights = slope_weights(curves.lag_ps, window)
    to_d = A2_PS_TO_M2_S / 6.0
    # The mean over blocks, not the slope of `curves.msd`: value and error bar then are of one
    # estimator.
    blocks = (curves.blocks.sum(-1) @ weights) * to_d
    value = float(blocks.mean())
    error = curves.error(blocks)
    exponent, exponent_err = exponent_between(curves, lo, end)
    diffusive = (
        start is not None
        and abs(exponent - 1.0) <= EXPONENT_TOLERANCE + 2.0 * exponent_err
        and exponent_err <= MAX_EXPONENT_ERROR
    )
    # Replicas may disagree too much for a value and yet all move: a bound, not "not seen".
    grows = value > RESOLVED_Z * min(error.stderr, _scatter_within(blocks, curves.replica))
    if diffusive and value > RESOLVED_Z * error.stderr:
        quantity = resolved_quantity(value, error, unit="m2/s")
    else:
        upper = _upper_limit(curves, value, error, hop_length_a, grows=grows)
        quantity = upper_bound(upper, unit="m2/s", n_independent=error.n_units, seen=grows)
    d_axes = 3.0 * to_d * (weights @ curves.blocks.mean(0))
    return Diffusion(
        d_tracer=quantity,
        d_apparent=float(curves.msd[end] / curves.lag_ps[end]) * to_d,
        d_axes=(float(d_axes[0]), float(d_axes[1]), float(d_axes[2])),
        window_ps=(float(curves.lag_ps[lo]), float(curves.lag_ps[end])),
        exponent=exponent,
        exponent_err=exponent_err,
        log_slope_lag_ps=grid * math.sqrt(2.0) * curves.lag_ps[1],
        log_slope=slope,
        log_slope_err=slope_err,
        blocks=blocks,
    )


def _scatter_within(blocks: Array, replica: NDArray[np.int64]) -> float:
    """Standard error of the mean from the scatter of blocks about their own replica's mean."""
    groups = [blocks[replica == r] for r in np.unique(replica)]
    squares = sum(float(((g - g.mean()) ** 2).sum()) for g in groups)
    return math.sqrt(squares / (len(blocks) - len(groups)) / len(blocks))


def _upper_limit(
    curves: MsdCurves, value: float, error: BlockError, hop_length_a: float, *, grows: bool
) -> float:
    """Upper 95 % of D in m2/s when it is not resolved."""
    to_d = A2_PS_TO_M2_S / 6.0
    if grows:
        end = curves.n_fit - 1
        apparent = curves.blocks[:, end].sum(-1) * to_d / curves.lag_ps[end]
        spread = curves.error(apparent)
        return float(apparent.mean()) + spread.t_upper() * spread.stderr
    one_hop = hop_length_a**2 / curves.ion_time_ps * to_d
    hops = max(value, 0.0) / one_hop
    # Near the end of a block a hop counts for less than one: one more, once any is seen.
    counted = poisson_upper(hops + min(hops, 1.0)) * one_hop
    return max(value + error.t_upper() * error.stderr, counted)
