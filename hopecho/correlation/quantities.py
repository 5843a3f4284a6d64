"""Quantities of a correlation function: values with intervals, or bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from hopecho.correlation.bootstrap import IonRows, Spread, spread
from hopecho.correlation.decay import GAMMA_BOUNDS, DecayFit
from hopecho.units import Quantity

Array = NDArray[np.float64]

BOUND_LEVEL = 0.95
"""One-sided confidence of every bound."""

LONGEST_BOUND = 1e4
"""No bound above this many times the longest lag is claimed, however small the noise."""


@dataclass(frozen=True)
class FitSummary:
    """One fit with its errors."""

    fit: DecayFit
    spread: Spread
    """Columns: log tau/ps, gamma, b^2, A, log <tau>/ps."""

    def log_tau_error(self) -> float:
        """Standard error of log tau."""
        return float(self.spread.stderr[0])


@dataclass(frozen=True)
class Drop:
    """Difference between the mean correlation at short and at long lags, divided by C(0)."""

    short: float
    short_err: float
    value: float
    stderr: float
    long_upper: float
    """95 % upper limit of the value at long lags divided by that at short lags."""
    n_independent: float

    @property
    def z(self) -> float:
        """Drop in standard errors."""
        return self.value / max(self.stderr, 1e-300)


def windows(
    lag_ps: Array, fitted: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Short lags, from the first to twice the first, and long lags, the second half."""
    first = lag_ps[fitted][0]
    return fitted & (lag_ps <= 2.0 * first), fitted & (lag_ps >= 0.5 * lag_ps[-1])


def normalise(means: Array) -> Array:
    """Functions divided by their zero-lag values, the first column; (n, n_lags)."""
    return np.asarray(means / means[:, :1])


def measure_drop(
    rows: IonRows,
    lag_ps: Array,
    fitted: NDArray[np.bool_],
    *,
    n_resamples: int,
    rng: np.random.Generator,
) -> Drop:
    """Drop between short and long lags with its error, from raw per-ion rows.

    Parameters
    ----------
    rows : IonRows
        Raw correlation functions, columns are lags, the first one 0.
    lag_ps : ndarray (n_lags,), ps
        Lags.
    fitted : ndarray (n_lags,), bool
        Lags after the vibrations.
    n_resamples : int
        Bootstrap samples.
    rng : numpy.random.Generator
        For the bootstrap.
    """
    short, long = windows(lag_ps, fitted)

    def statistic(means: Array) -> Array:
        c = normalise(means)
        early, late = c[:, short].mean(axis=1), c[:, long].mean(axis=1)
        ratio = late / np.maximum(early, 1e-12)
        return np.stack([early, early - late, ratio], axis=1)

    s = spread(rows, statistic, n_resamples=n_resamples, rng=rng)
    return Drop(
        short=float(s.estimate[0]),
        short_err=float(s.stderr[0]),
        value=float(s.estimate[1]),
        stderr=float(s.stderr[1]),
        long_upper=float(s.estimate[2] + s.quantile(BOUND_LEVEL)[2]),
        n_independent=float(s.n_independent[1]),
    )


def quantities(
    verdict: str,
    summary: FitSummary,
    stretched: FitSummary,
    drop: Drop,
    *,
    lag_ps: Array,
    level: float,
    effective: bool = False,
) -> dict[str, Quantity]:
    """The quantities of a correlation function with this verdict.

    Parameters
    ----------
    verdict : str
        `resolved`, `bound` or `not_seen`.
    summary : FitSummary
        The headline fit.
    stretched : FitSummary
        The fit with gamma free, for stretch_gamma.
    drop : Drop
        Drop between short and long lags.
    lag_ps : ndarray (n_fitted,), ps
        Lags that were fitted.
    level : float
        Confidence of resolved intervals.
    effective : bool
        The headline fit is exponential and the decay is not: its b^2 holds the slow part of the
        decay and is an upper bound of the plateau.
    """
    upper = float(min(max(drop.long_upper, 0.0), 1.0))
    n = float(summary.spread.n_independent[0])
    if verdict == "resolved":
        return {
            "tau_sae": _logarithmic(summary.spread, 0, level),
            "mean_tau": _logarithmic(summary.spread, 4, level),
            "plateau_b2": _bound((None, upper), "1", n, "bound")
            if effective
            else _linear(summary.spread, 2, level, within=(0.0, 1.0)),
            "stretch_gamma": _gamma(stretched.spread, level),
            "vibrational_amplitude": _vibrational(summary.spread, level),
        }
    if verdict == "bound":
        interval = _tau_bound(summary, lag_ps[0])
    else:
        interval, n = (_no_decay_bound(drop, lag_ps), None), drop.n_independent
    tau = _bound(interval, "ns", n, verdict)
    z = stats.norm.ppf(0.5 + 0.5 * level)
    lost = 1.0 - drop.short
    return {
        "tau_sae": tau,
        "mean_tau": _bound((None, None), "ns", n, verdict),
        # The function only falls: what is left at the longest lags limits the plateau from above.
        "plateau_b2": _bound((None, upper), "1", drop.n_independent, "bound"),
        "stretch_gamma": _bound((None, None), "1", n, verdict),
        "vibrational_amplitude": Quantity(
            value=lost,
            stderr=drop.short_err,
            interval=(lost - z * drop.short_err, lost + z * drop.short_err),
            unit="1",
            n_independent=drop.n_independent,
            level=level,
        ),
    }


def _tau_bound(summary: FitSummary, first_lag_ps: float) -> tuple[float | None, float | None]:
    """One-sided bound of a decay that is seen: a run too short makes the fitted tau too small."""
    tau = float(summary.fit.tau_ps[0])
    if tau < first_lag_ps:
        reach = float(np.exp(summary.spread.quantile(BOUND_LEVEL)[0].clip(max=30.0)))
        return None, max(tau * reach, first_lag_ps) / 1e3
    low = summary.spread.lower_bound(BOUND_LEVEL)[0]
    return float(np.exp(max(low, np.log(tau) - 30.0))) / 1e3, None


def _no_decay_bound(drop: Drop, lag_ps: Array) -> float | None:
    """Smallest tau (ns) of a decay to zero that the drop allows at 95 %; None if any is."""
    short, long = windows(lag_ps, np.ones(lag_ps.size, dtype=bool))
    lost = max(drop.value, 0.0) + stats.norm.ppf(BOUND_LEVEL) * drop.stderr
    kept = 1.0 - lost / max(drop.short, 1e-300)

    def excess(log_tau: float) -> float:
        c = np.exp(-lag_ps / np.exp(log_tau))
        return float(c[long].mean() / max(c[short].mean(), 1e-300) - kept)

    low, high = np.log(lag_ps[0]), np.log(lag_ps[-1] * LONGEST_BOUND)
    if kept <= 0.0 or excess(low) > 0.0:
        return None
    if excess(high) < 0.0:
        return float(np.exp(high)) / 1e3
    return float(np.exp(optimize.brentq(excess, low, high))) / 1e3


def _logarithmic(s: Spread, column: int, level: float) -> Quantity:
    """Time in ns from the column of log time/ps."""
    value = float(np.exp(s.estimate[column])) / 1e3
    half = float(s.quantile(0.5 + 0.5 * level)[column])
    return Quantity(
        value=value,
        stderr=value * float(s.stderr[column]),
        interval=(value * float(np.exp(-half)), value * float(np.exp(half))),
        unit="ns",
        n_independent=float(s.n_independent[column]),
        level=level,
    )


def _linear(s: Spread, column: int, level: float, *, within: tuple[float, float]) -> Quantity:
    half = float(s.quantile(0.5 + 0.5 * level)[column])
    value = float(s.estimate[column])
    low, high = np.clip([value - half, value + half], *within)
    return Quantity(
        value=value,
        stderr=float(s.stderr[column]),
        interval=(float(low), float(high)),
        unit="1",
        n_independent=float(s.n_independent[column]),
        level=level,
    )


def _gamma(s: Spread, level: float) -> Quantity:
    """Stretching exponent of the free fit; not resolved at a limit or with an error over 1/4."""
    low, high = GAMMA_BOUNDS
    at_edge = not low + 1e-3 < float(s.estimate[1]) < high - 1e-3
    if s.stderr[1] > 0.25 or at_edge:
        return _bound((None, None), "1", float(s.n_independent[1]), "bound")
    return _linear(s, 1, level, within=(0.0, np.inf))


def _vibrational(s: Spread, level: float) -> Quantity:
    kept = _linear(s, 3, level, within=(-np.inf, np.inf))
    assert kept.value is not None
    low, high = kept.interval
    assert low is not None
    assert high is not None
    return Quantity(
        value=1.0 - kept.value,
        stderr=kept.stderr,
        interval=(1.0 - high, 1.0 - low),
        unit="1",
        n_independent=kept.n_independent,
        level=kept.level,
    )


def _bound(
    interval: tuple[float | None, float | None], unit: str, n: float, verdict: str
) -> Quantity:
    return Quantity(
        value=None,
        stderr=None,
        interval=interval,
        unit=unit,
        n_independent=n,
        level=BOUND_LEVEL,
        verdict=verdict,
    )
