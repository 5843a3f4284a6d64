"""Two sets of trajectories against each other: every observable with a distance and an error bar.

Model against reference, small against large cell, one potential against another. Each side is a
set of replicas; an observable is one curve (or number) a replica. The distance is taken between
the means of the two sides. It is positive even between equal sides, so that its size alone proves
nothing: relabelling the replicas in every way tells how large it is by chance.

Source of the choice of observables: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopecho.dynamics.estimate import BOUND_LEVEL, LEVEL
from hopecho.errors import HopechoError
from hopecho.units import Quantity

Array = NDArray[np.float64]
Distance = Callable[[Array, Array, Array], float]

MAX_RELABELLINGS = 1000
DIFFERENT_P_VALUE = 0.05


@dataclass(frozen=True)
class Curve:
    """One observable of one replica."""

    kind: str
    """Key of `DISTANCES`: l1_shells, l1, wasserstein, log_ratio, difference."""
    unit: str
    """Of the distance."""
    x: Array
    """(n,), grid, the same for all replicas of both sides; one point for a number."""
    y: Array
    """(n,), values."""


@dataclass(frozen=True)
class Comparison:
    """One observable of two sides."""

    name: str
    kind: str
    x: Array
    ours: Array
    """(n,), mean over replicas."""
    reference: Array
    """(n,), mean over replicas."""
    distance: Quantity
    """Resolved where relabelling explains it in less than 5 % of cases; else an upper bound."""
    chance: float
    """Mean distance of relabelled replicas: what equal sides would show."""
    p_value: float
    """Share of relabellings with at least this distance."""

    def record(self) -> dict[str, Any]:
        """JSON form, without the curves."""
        return {
            "kind": self.kind,
            "distance": self.distance,
            "by_chance": self.chance,
            "p_value": self.p_value,
        }


def l1_shells(x: Array, a: Array, b: Array) -> float:
    r"""Half :math:`\int |g_a - g_b| r^2 dr` over the mean of both integrals: 0 equal, 1 apart.

    The share of neighbours that stand at another distance.
    """
    weight = x**2
    both = 0.5 * float((weight * (a + b)).sum())
    return 0.5 * float((weight * np.abs(a - b)).sum()) / both if both > 0.0 else 0.0


def l1(x: Array, a: Array, b: Array) -> float:
    """Half the sum of |a - b| over the mean of both sums: 0 equal, 1 apart; maps on even bins."""
    both = 0.5 * float((a + b).sum())
    return 0.5 * float(np.abs(a - b).sum()) / both if both > 0.0 else 0.0


def wasserstein(x: Array, a: Array, b: Array) -> float:
    r"""Wasserstein-1 distance :math:`\int |F_a - F_b| dx` of two densities, in the unit of x."""
    total_a, total_b = float(np.trapezoid(a, x)), float(np.trapezoid(b, x))
    if total_a <= 0.0 or total_b <= 0.0:
        raise HopechoError(
            "A density has no area.", got=f"{total_a:g} and {total_b:g}", fix="widen the grid"
        )
    gap = a / total_a - b / total_b
    steps = 0.5 * (gap[1:] + gap[:-1]) * np.diff(x)
    apart = np.abs(np.append(0.0, np.cumsum(steps)))
    return float(np.trapezoid(apart, x))


def log_ratio(x: Array, a: Array, b: Array) -> float:
    """|ln(a/b)| of two positive numbers; infinite where one is not positive."""
    if a[0] <= 0.0 or b[0] <= 0.0:
        return math.inf
    return abs(math.log(float(a[0] / b[0])))


def difference(x: Array, a: Array, b: Array) -> float:
    """|a - b| of two numbers."""
    return abs(float(a[0] - b[0]))


DISTANCES: Mapping[str, Distance] = {
    "l1_shells": l1_shells,
    "l1": l1,
    "wasserstein": wasserstein,
    "log_ratio": log_ratio,
    "difference": difference,
}


def battery(
    ours: Sequence[Mapping[str, Curve]], reference: Sequence[Mapping[str, Curve]], *, seed: int = 0
) -> dict[str, Comparison]:
    """Compare every observable that all replicas of both sides have.

    Parameters
    ----------
    ours, reference : sequence of mapping
        Observables by name, one mapping for each replica, as from
        `hopecho.validation.observables.observables`. Replicas must be independent: of a glass, one
        for each quench. At least two a side for an error bar; at least four to resolve a distance.
    seed : int
        For relabellings, where there are more than 1000.

    Raises
    ------
    HopechoError
        With fewer than two replicas on a side, nothing in common, or differing grids.
    """
    if min(len(ours), len(reference)) < 2:
        raise HopechoError(
            "A comparison needs at least two replicas of each side.",
            got=f"{len(ours)} and {len(reference)}",
            fix="add replicas (phases.<p>.replicas)",
        )
    everything = [*ours, *reference]
    names = [n for n in ours[0] if all(n in replica for replica in everything)]
    if not names:
        raise HopechoError("The two sides have no observable in common.")
    return {n: _compare(n, [r[n] for r in ours], [r[n] for r in reference], seed) for n in names}


def _compare(name: str, ours: Sequence[Curve], other: Sequence[Curve], seed: int) -> Comparison:
    first = ours[0]
    for curve in (*ours, *other):
        same = curve.kind == first.kind and curve.unit == first.unit
        if not same or curve.x.shape != first.x.shape or not np.allclose(curve.x, first.x):
            raise HopechoError(
                f"Replicas give {name} on different grids.",
                got=f"{len(first.x)} and {len(curve.x)} points",
                fix="use the same settings for both sides",
            )
    pool = np.array([c.y for c in (*ours, *other)], dtype=np.float64)
    n = len(ours)
    apart = DISTANCES[first.kind]

    def between(members: NDArray[np.bool_]) -> float:
        return apart(first.x, pool[members].mean(0), pool[~members].mean(0))

    true = np.arange(len(pool)) < n
    value = between(true)
    null = np.array([between(m) for m in _relabellings(len(pool), n, seed)])
    p_value = float((null >= value * (1.0 - 1e-12)).mean())
    finite = null[np.isfinite(null)]
    return Comparison(
        name=name,
        kind=first.kind,
        x=first.x,
        ours=pool[:n].mean(0),
        reference=pool[n:].mean(0),
        distance=_quantity(value, _jackknife(apart, first.x, pool, n), p_value, first.unit, pool),
        chance=float(finite.mean()) if len(finite) else 0.0,
        p_value=p_value,
    )


def _relabellings(total: int, n: int, seed: int) -> list[NDArray[np.bool_]]:
    """Masks of n out of total, the true one first; all of them, or 1000 at random."""
    if math.comb(total, n) <= MAX_RELABELLINGS:
        chosen = [np.array(c) for c in combinations(range(total), n)]
        if 2 * n == total:
            chosen = chosen[: len(chosen) // 2]  # the other half swaps the sides
    else:
        rng = np.random.default_rng(seed)
        chosen = [np.arange(n)]
        chosen += [rng.permutation(total)[:n] for _ in range(MAX_RELABELLINGS - 1)]
    masks = []
    for members in chosen:
        mask = np.zeros(total, dtype=bool)
        mask[members] = True
        masks.append(mask)
    return masks


def _jackknife(apart: Distance, x: Array, pool: Array, n: int) -> float:
    """Standard error of the distance, leaving out one replica of either side at a time."""
    variance = 0.0
    for side in (np.arange(n), np.arange(n, len(pool))):
        values = []
        for k in side:
            kept = np.arange(len(pool)) != k
            own = kept & (np.arange(len(pool)) < n)
            values.append(apart(x, pool[own].mean(0), pool[kept & ~own].mean(0)))
        spread = np.asarray(values)
        variance += (len(side) - 1) / len(side) * float(((spread - spread.mean()) ** 2).sum())
    return math.sqrt(variance)


def _quantity(value: float, stderr: float, p_value: float, unit: str, pool: Array) -> Quantity:
    dof = len(pool) - 2
    if not (math.isfinite(value) and math.isfinite(stderr)):
        return Quantity(None, None, (None, None), unit, len(pool), BOUND_LEVEL, "not_seen")
    if p_value >= DIFFERENT_P_VALUE:
        upper = value + float(stats.t.ppf(BOUND_LEVEL, dof)) * stderr
        return Quantity(None, None, (None, upper), unit, len(pool), BOUND_LEVEL, "not_seen")
    half = float(stats.t.ppf(0.5 * (1.0 + LEVEL), dof)) * stderr
    return Quantity(value, stderr, (max(value - half, 0.0), value + half), unit, len(pool), LEVEL)
