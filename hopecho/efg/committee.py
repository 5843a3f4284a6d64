r"""How large the errors of a prediction are: a delete-one-fold committee, calibrated out of fold.

Member k is fitted without fold k, at the same lambda. Its members' spread

.. math:: s^2(i) = \frac{K - 1}{K} \sum_k \tfrac{1}{5} |t_k(i) - \bar t(i)|^2

(the jackknife variance of a component) says where data are missing but not how large errors are:
sigma^2 = a^2 + b^2 s^2, a and b by maximum likelihood on structures that no model involved has
seen. For that, fold f is predicted by the model without f, its spread by the models without f and
g: differences of sums that are there already.
Source: B. Efron, The Jackknife (1982), chapter 3; sigma as in `hopecho.ufp.calibration`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.normal import Normal, solve_or_fail, total_of
from hopecho.ufp.calibration import ONE_SIGMA, fit_term

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Width of the error of one isometric component: sigma^2 = floor^2 + slope^2 s^2."""

    floor: float
    """a.u.; what is left where the committee agrees."""
    slope: float
    factor: float
    """By how much the bare spread is too small: 68.3 % of |error|/s are below it."""
    share_raw: float
    """Share of the out-of-fold errors within the bare spread (nominal 0.683)."""
    share: float
    """The same within sigma."""

    def sigma(self, spread: Array) -> Array:
        """Return sigma, a.u., of spreads of any shape, a.u."""
        return np.asarray(np.sqrt(self.floor**2 + (self.slope * spread) ** 2))


def members(folds: Sequence[Normal], ridge: float) -> Array:
    """Return the weights without each fold, (n_folds, n)."""
    total = total_of(folds)
    return np.stack([solve_or_fail(total - fold, ridge) for fold in folds])


def nested_members(folds: Sequence[Normal], ridge: float) -> Array:
    """Return the weights without folds f and g, (n_folds, n_folds, n); f = g: without f alone."""
    total, count = total_of(folds), len(folds)
    out = np.empty((count, count, len(total.xy)))
    for f in range(count):
        out[f, f] = solve_or_fail(total - folds[f], ridge)
        for g in range(f):
            # With two folds nothing is left: the spread of one member is zero whatever it is.
            left = total - folds[f] - folds[g]
            out[f, g] = out[g, f] = solve_or_fail(left, ridge) if count > 2 else 0.0
    return out


def spread_of(tensors: Array) -> Array:
    """Return s (...,), a.u., of members' tensors (n_members, ..., 5), a.u."""
    count = len(tensors)
    return np.asarray(np.sqrt((count - 1) * tensors.var(axis=0).mean(axis=-1)))


def calibrate(
    structures: Iterable[tuple[int, Callable[[], Array], Array]], nested: Array
) -> Calibration:
    """Fit floor and slope to out-of-fold errors.

    Parameters
    ----------
    structures : iterable of (fold, rows, target)
        As `hopecho.efg.normal.accumulate`, rows in the features of `nested`.
    nested : ndarray, (n_folds, n_folds, n)
        From `nested_members`.
    """
    errors, spreads = [], []
    for fold, rows, target in structures:
        tensors = np.moveaxis(rows() @ nested[fold].T, 2, 0)
        others = np.delete(tensors, fold, axis=0)
        errors.append(target - tensors[fold])
        spreads.append(spread_of(others))
    error, spread = np.concatenate(errors), np.concatenate(spreads)
    term = fit_term(error, np.repeat(spread[:, None] ** 2, 5, axis=1), what="tensors")
    ratio = np.abs(error) / np.maximum(spread, np.finfo(float).tiny)[:, None]
    inside = np.abs(error) < np.sqrt(term.floor**2 + (term.slope * spread) ** 2)[:, None]
    seen = bool(np.any(spread > 0))
    return Calibration(
        term.floor,
        term.slope,
        float(np.quantile(ratio, ONE_SIGMA)) if seen else 0.0,
        float(np.mean(ratio < 1)),
        float(np.mean(inside)),
    )
