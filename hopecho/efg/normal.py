r"""Normal equations of a linear model, summed by fold of whole structures, and their solution.

.. math:: \min_w \sum_{i M} |y_M(i) - x_M(i) w|^2 + \lambda N |w|^2

Only X^T X and X^T y of every fold are kept: memory does not grow with the number of structures.
Leaving folds out is a subtraction, so that cross-validation costs no further pass over the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from hopecho.errors import HopechoError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """Normal equations of some structures."""

    xx: Array
    """(n, n): X^T X."""
    xy: Array
    """(n,): X^T y."""
    yy: float
    rows: int
    """Number of components."""

    def __add__(self, other: Normal) -> Normal:
        return Normal(
            self.xx + other.xx, self.xy + other.xy, self.yy + other.yy, self.rows + other.rows
        )

    def __sub__(self, other: Normal) -> Normal:
        return Normal(
            self.xx - other.xx, self.xy - other.xy, self.yy - other.yy, self.rows - other.rows
        )

    def scaled(self, s: Array) -> Normal:
        """Return the equations for features multiplied by s (n,)."""
        return Normal(self.xx * s[:, None] * s, self.xy * s, self.yy, self.rows)


def accumulate(
    structures: Iterable[tuple[int, Callable[[], Array], Array]], *, n: int, n_folds: int
) -> list[Normal]:
    """Sum the equations of every fold.

    Parameters
    ----------
    structures : iterable of (fold, rows, target)
        ``rows()`` gives (n_probe, 5, n), target is (n_probe, 5).
    n : int
        Number of features.
    """
    xx, xy = np.zeros((n_folds, n, n)), np.zeros((n_folds, n))
    yy, count = np.zeros(n_folds), np.zeros(n_folds, dtype=int)
    for fold, rows, target in structures:
        x, y = rows().reshape(-1, n), target.ravel()
        xx[fold] += x.T @ x
        xy[fold] += x.T @ y
        yy[fold] += y @ y
        count[fold] += len(y)
    return [Normal(xx[f], xy[f], float(yy[f]), int(count[f])) for f in range(n_folds)]


def total_of(folds: Sequence[Normal]) -> Normal:
    """Return the equations of all folds."""
    return sum(folds[1:], start=folds[0])


def cross_validate(folds: Sequence[Normal], ridge: Sequence[float]) -> Array:
    """Return the squared errors of every left-out fold for each lambda, (n_folds, n_ridge).

    Infinite where the equations are singular.
    """
    total = total_of(folds)
    squares = np.zeros((len(folds), len(ridge)))
    for f, fold in enumerate(folds):
        train = total - fold
        for k, value in enumerate(ridge):
            w = solve(train, value)
            error = np.inf if w is None else fold.yy - 2 * w @ fold.xy + w @ fold.xx @ w
            squares[f, k] = max(error, 0.0)
    return squares


def solve(normal: Normal, ridge: float) -> Array | None:
    """Return the weights of the regularised equations; None if numerically singular."""
    matrix = normal.xx.copy()
    matrix[np.diag_indices_from(matrix)] += ridge * normal.rows
    try:
        return cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), normal.xy)
    except np.linalg.LinAlgError:
        return None


def solve_or_fail(normal: Normal, ridge: float) -> Array:
    """Return the weights of the regularised equations.

    Raises
    ------
    HopechoError
        If they are numerically singular.
    """
    weights = solve(normal, ridge)
    if weights is None:
        raise HopechoError(
            "The normal equations of the EFG model are singular",
            got=f"ridge = {ridge:g}",
            fix="label more structures, or lower efg.n_radial or efg.l_max",
        )
    return weights
