r"""Error bars from the hierarchy quench -> replica -> ion, honest also with three quenches.

A statistic is any smooth function of the weighted mean of per-ion rows. Resampling rows is a
weighted mean and a fit of all resamples at once, so nothing is correlated again.

Why no plain nested bootstrap: resampling three quenches, then replicas, then ions adds the scatter
of the ions three times when quenches do not differ, and is too narrow by :math:`\sqrt{3/2}` (before
any t factor) when they do. Instead the variance of the statistic is estimated once at every level,
taking that level's units for independent:

- ions: bootstrap within every replica, hundreds of degrees of freedom, right if neither replicas
  nor quenches differ;
- replicas, quenches: delete-one-unit jackknife, n - 1 degrees of freedom, which contains everything
  below it.

A higher level counts where its variance exceeds that of the ions by more than chance makes of equal
ones in six cases of seven (`CHANCE`); the largest that counts is taken, with degrees of freedom
between those of the ions and n - 1 (`blended_dof`), and Student's t turns it into an interval. For
two to nine units and normal errors the 68 % interval then covers 64-73 % whatever the share of the
variance between units, where a plain bootstrap of three units covers 50 %. Without the allowance
for chance it would cover 75 % where units do not differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopecho.errors import HopechoError

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""(n_resamples, n_columns) mean rows -> (n_resamples, n_statistics), on a scale where errors are
about symmetric."""


CHANCE = 0.15
"""Probability that a higher level of equal variance counts."""


@dataclass(frozen=True)
class IonRows:
    """Rows of all ions of all replicas, with the units to which each belongs."""

    values: Array
    """(n_rows, n_columns)."""
    weight: Array
    """(n_rows,) weight in the mean; the length of the ion's run."""
    replica: NDArray[np.int64]
    """(n_rows,) number of the replica."""
    group: NDArray[np.int64]
    """(n_rows,) number of the quench."""

    def mean(self) -> Array:
        """Weighted mean row, (n_columns,)."""
        return np.asarray(self.weight @ self.values / self.weight.sum())


@dataclass(frozen=True)
class Spread:
    """Estimate and error of every statistic; arrays are (n_statistics,)."""

    estimate: Array
    stderr: Array
    """Standard error: square root of the largest variance among the levels that count."""
    dof: Array
    """Degrees of freedom of `stderr`, see `blended_dof`."""
    resamples: Array
    """(n_resamples, n_statistics) bootstrap over ions, for plots."""

    def interval(self, level: float = 0.68) -> tuple[Array, Array]:
        """Two-sided interval of Student's t."""
        half = self.quantile(0.5 + 0.5 * level)
        return self.estimate - half, self.estimate + half

    def quantile(self, probability: float) -> Array:
        """Distance from the estimate to its one-sided limit of this probability."""
        return np.asarray(stats.t.ppf(probability, self.dof) * self.stderr)

    def lower_bound(self, probability: float) -> Array:
        """One-sided lower limit: the lower of Student's t and the widened bootstrap of the ions.

        The second is needed where resamples pile up at a limit of the fit and their distribution is
        lopsided.
        """
        symmetric = self.quantile(probability)
        widening = symmetric / (
            stats.norm.ppf(probability) * np.maximum(_half_width(self.resamples), 1e-300)
        )
        tail = self.estimate - np.quantile(self.resamples, 1.0 - probability, axis=0)
        return np.asarray(self.estimate - np.maximum(symmetric, widening * tail))

    @property
    def n_independent(self) -> Array:
        """Number of independent samples behind the error: ions, or as few as the quenches."""
        return self.dof + 1.0


def stack_rows(
    per_replica: Sequence[Array], *, groups: Sequence[int], replica_weight: Sequence[float]
) -> IonRows:
    """Put the rows of all replicas into one table.

    Parameters
    ----------
    per_replica : sequence of ndarray (n_ions, n_columns)
        One table for each replica; numbers of ions may differ.
    groups : sequence of int
        Quench of every replica.
    replica_weight : sequence of float
        Length of every replica's run.

    Raises
    ------
    HopechoError
        If the three do not belong together, or there is nothing to estimate an error from.
    """
    n = len(per_replica)
    if n == 0 or len(groups) != n or len(replica_weight) != n:
        raise HopechoError(
            "Every replica needs one table of rows, one quench and one length.",
            got=f"{n} tables, {len(groups)} quenches, {len(replica_weight)} lengths",
            fix="pass lists of equal length",
        )
    counts = [len(rows) for rows in per_replica]
    if sum(counts) < 2:
        raise HopechoError(
            "An error bar needs at least two ions.",
            got=f"{sum(counts)} ions in {n} replicas",
            fix="use a larger cell or more replicas",
        )
    return IonRows(
        values=np.concatenate([np.asarray(rows, dtype=np.float64) for rows in per_replica]),
        weight=np.repeat(np.asarray(replica_weight, dtype=np.float64), counts),
        replica=np.repeat(np.arange(n), counts),
        group=np.repeat(np.unique(np.asarray(groups), return_inverse=True)[1], counts),
    )


def spread(
    rows: IonRows, statistic: Statistic, *, n_resamples: int, rng: np.random.Generator
) -> Spread:
    """Estimate, standard error and degrees of freedom of a statistic of the mean row.

    Parameters
    ----------
    rows : IonRows
        Per-ion rows.
    statistic : callable
        Maps mean rows (n_resamples, n_columns) to values (n_resamples, n_statistics).
    n_resamples : int
        Bootstrap samples of the ions, 200 or more.
    rng : numpy.random.Generator
        Source of randomness.
    """
    units = _levels(rows)
    resampled_means = ion_resamples(rows, n_resamples=n_resamples, rng=rng)
    blocks = [rows.mean()[None], resampled_means, *(_leave_one_out(rows, unit) for unit in units)]
    # One call for all: the statistic is usually a batched fit.
    values = statistic(np.concatenate(blocks))
    estimate, resamples, *left_out = np.split(values, np.cumsum([len(b) for b in blocks])[:-1])
    ions, ion_dof = np.asarray(_half_width(resamples) ** 2), max(len(rows.values) - 1, 1)
    variance, dof = ions, np.full_like(ions, ion_dof)
    for unit, loo in zip(units, left_out, strict=True):
        share = np.bincount(unit, weights=rows.weight) / rows.weight.sum()
        higher = _jackknife_variance(estimate[0], loo, share)
        blended = blended_dof(ions, ion_dof, higher, share.size - 1)
        counts = (higher > by_chance(share.size - 1, ion_dof) * ions) & (higher > variance)
        dof, variance = np.where(counts, blended, dof), np.where(counts, higher, variance)
    return Spread(
        estimate=estimate[0],
        stderr=np.sqrt(variance),
        dof=np.maximum(dof, 1.0),
        resamples=resamples,
    )


def ion_resamples(rows: IonRows, *, n_resamples: int, rng: np.random.Generator) -> Array:
    """Mean rows of bootstrap samples of the ions within every replica, (n_resamples, n_columns)."""
    total = np.zeros((n_resamples, rows.values.shape[1]))
    for replica in np.unique(rows.replica):
        mine = rows.replica == replica
        n = int(mine.sum())
        counts = rng.multinomial(n, np.full(n, 1.0 / n), size=n_resamples)
        total += (counts * rows.weight[mine]) @ rows.values[mine]
    return total / rows.weight.sum()


def _levels(rows: IonRows) -> list[NDArray[np.int64]]:
    """Units above the ions; quenches of one replica each are counted once."""
    n_replicas, n_groups = rows.replica.max() + 1, rows.group.max() + 1
    levels = [rows.replica] if n_replicas > 1 else []
    if 1 < n_groups < n_replicas:
        levels.append(rows.group)
    return levels


def _leave_one_out(rows: IonRows, unit: NDArray[np.int64]) -> Array:
    """Mean rows without one unit each, (n_units, n_columns)."""
    kept = unit[None, :] != np.arange(unit.max() + 1)[:, None]
    weight = kept * rows.weight
    return np.asarray(weight @ rows.values / weight.sum(axis=1, keepdims=True))


def _jackknife_variance(estimate: Array, left_out: Array, share: Array) -> Array:
    """Jackknife variance for units of unequal weight.

    Source: F. M. T. A. Busing, E. Meijer, R. van der Leeden, Stat. Comput. 9, 3 (1999).
    """
    h = 1.0 / share[:, None]
    pseudo = h * estimate - (h - 1.0) * left_out
    centre = len(share) * estimate - ((1.0 - share[:, None]) * left_out).sum(axis=0)
    return np.asarray(((pseudo - centre) ** 2 / (h - 1.0)).mean(axis=0))


def by_chance(higher_dof: int, ion_dof: int) -> float:
    """Ratio of a higher level's variance to that of the ions up to which it does not count."""
    return max(float(stats.f.isf(CHANCE, higher_dof, ion_dof)), 1.0)


def blended_dof(ions: Array, ion_dof: int, higher: Array, higher_dof: int) -> Array:
    r"""Degrees of freedom of the variance V of a higher level, of which V_I is the ions' part.

    .. math:: \nu = \frac{V^2}{(V^2 - V_I^2)/\nu_h + V_I^2/\nu_I}

    Satterthwaite's formula has (V - V_I)^2 instead. It takes V_I for a part that is known, but V
    was chosen because it came out larger: with three units that covers 64 % instead of 68 %.
    """
    excess = np.maximum(higher**2 - ions**2, 0.0)
    noise = ions**2 / ion_dof + excess / higher_dof
    return np.divide(higher**2, noise, out=np.full_like(higher, float(ion_dof)), where=noise > 0.0)


def _half_width(resamples: Array) -> Array:
    """Half the central 68.3 % range: the standard deviation, unmoved by single failed fits."""
    low, high = np.quantile(resamples, stats.norm.cdf([-1.0, 1.0]), axis=0)
    return 0.5 * (high - low)
