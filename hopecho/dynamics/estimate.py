"""Error bars from few independent blocks, Poisson limits, and quantities with verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hopecho.errors import HopechoError
from hopecho.units import Quantity

LEVEL = 0.68
"""Two-sided level of the interval of a resolved quantity."""

BOUND_LEVEL = 0.95
"""One-sided level of a bound."""

RESOLVED_Z = 3.0
"""A quantity under this many of its standard errors is no more than a bound."""

REPLICA_P_VALUE = 0.05


@dataclass(frozen=True)
class BlockError:
    """Standard error of a mean, and of how many independent units it was made."""

    stderr: float
    n_units: int
    """Number of independent units."""
    unit: str
    """What one unit is: block, replica or quench."""

    def t(self, level: float = LEVEL) -> float:
        """Two-sided Student factor at `level`."""
        return float(stats.t.ppf(0.5 * (1.0 + level), self.n_units - 1))

    def t_upper(self, level: float = BOUND_LEVEL) -> float:
        """One-sided Student factor at `level`."""
        return float(stats.t.ppf(level, self.n_units - 1))


def block_error(
    values: ArrayLike, *, replica: ArrayLike, quench: ArrayLike | None = None
) -> BlockError:
    """Standard error of the mean of block values, from the coarsest unit that matters.

    With several quenches these are the units, as replicas of one quench share its disorder.
    Otherwise blocks of all replicas are pooled, unless replicas differ by more than their blocks
    explain (F test, p < 0.05): then the replicas are the units.

    Parameters
    ----------
    values : array_like
        (n_blocks,), one estimate a block.
    replica : array_like
        (n_blocks,), which replica a block belongs to.
    quench : array_like, optional
        (n_blocks,), which quench it belongs to.

    Raises
    ------
    HopechoError
        With fewer than two blocks.
    """
    y, of_replica = np.asarray(values, dtype=np.float64), np.asarray(replica)
    if len(y) < 2:
        raise HopechoError(
            "An error bar needs at least two independent blocks.",
            got=f"{len(y)} block(s)",
            fix="run longer or add replicas (phases.<p>.replicas)",
        )
    if quench is not None and len(np.unique(quench)) > 1:
        return _error_of_means(y, np.asarray(quench), "quench")
    if _replicas_differ(y, of_replica):
        return _error_of_means(y, of_replica, "replica")
    return BlockError(float(y.std(ddof=1) / math.sqrt(len(y))), len(y), "block")


def _error_of_means(y: NDArray[np.float64], label: NDArray[Any], unit: str) -> BlockError:
    means = np.array([y[label == u].mean() for u in np.unique(label)])
    return BlockError(float(means.std(ddof=1) / math.sqrt(len(means))), len(means), unit)


def _replicas_differ(y: NDArray[np.float64], replica: NDArray[Any]) -> bool:
    """F test of the variance between replicas against that within them."""
    groups = [y[replica == r] for r in np.unique(replica)]
    within_dof = len(y) - len(groups)
    if len(groups) < 2 or within_dof < 1:
        return False
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / within_dof
    between = sum(len(g) * float(g.mean() - y.mean()) ** 2 for g in groups) / (len(groups) - 1)
    if within == 0.0:
        return between > 0.0
    return bool(stats.f.sf(between / within, len(groups) - 1, within_dof) < REPLICA_P_VALUE)


def resolved_quantity(value: float, error: BlockError, *, unit: str) -> Quantity:
    """A positive quantity with a log-space interval: value * exp(-+ t stderr / value)."""
    spread = math.exp(error.t() * error.stderr / value)
    return Quantity(
        value=value,
        stderr=error.stderr,
        interval=(value / spread, value * spread),
        unit=unit,
        n_independent=error.n_units,
        level=LEVEL,
    )


def upper_bound(upper: float, *, unit: str, n_independent: float, seen: bool) -> Quantity:
    """Less than `upper` at 95 %; `seen` tells a bound from nothing seen at all."""
    return Quantity(
        value=None,
        stderr=None,
        interval=(None, upper),
        unit=unit,
        n_independent=n_independent,
        level=BOUND_LEVEL,
        verdict="bound" if seen else "not_seen",
    )


def scaled(quantity: Quantity, factor: float, *, unit: str) -> Quantity:
    """The quantity times an exact positive factor, in another unit."""

    def times(x: float | None) -> float | None:
        return None if x is None else x * factor

    return replace(
        quantity,
        value=times(quantity.value),
        stderr=times(quantity.stderr),
        interval=(times(quantity.interval[0]), times(quantity.interval[1])),
        unit=unit,
    )


def chi2_upper(value: float, error: BlockError, *, level: float = BOUND_LEVEL) -> float:
    r"""Upper limit of a chi-square-like mean: :math:`\nu v / \chi^2_{1-level}(\nu)`.

    :math:`\nu = 2 z^2`. For a collective displacement, whose square has few degrees of
    freedom, a symmetric interval ends too low.
    """
    z = max(value / error.stderr, 1.0) if error.stderr > 0.0 else math.inf
    if math.isinf(z):
        return value
    dof = 2.0 * z * z
    return float(value * dof / stats.chi2.ppf(1.0 - level, dof))


def poisson_interval(
    count: ArrayLike, *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Central interval of a Poisson mean, :math:`[\chi^2_{a/2}(2n)/2, \chi^2_{1-a/2}(2n+2)/2]`.

    Parameters
    ----------
    count : array_like
        Events seen, any shape.

    Source: F. Garwood, Biometrika 28, 437 (1936).
    """
    n = np.asarray(count, dtype=np.float64)
    tail = 0.5 * (1.0 - level)
    low = np.where(n > 0, 0.5 * stats.chi2.ppf(tail, np.maximum(2.0 * n, 1e-9)), 0.0)
    return low, 0.5 * stats.chi2.ppf(1.0 - tail, 2.0 * n + 2.0)


def poisson_upper(count: float, *, level: float = BOUND_LEVEL) -> float:
    """Upper limit of a Poisson mean; 3.0 for no event at 95 %. Takes fractional counts."""
    return float(0.5 * stats.chi2.ppf(level, 2.0 * count + 2.0))
