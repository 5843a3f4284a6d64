"""Penalties on the coefficients: ridge and curvature (second differences)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopecho.ufp.basis import BasisSpec, layout

RIDGE_1B = 1e-6


@dataclass(frozen=True)
class Regularisation:
    """Penalties on the coefficients, relative to a loss that is 1 for a zero model.

    Attributes
    ----------
    ridge_2b, ridge_3b : float, 1/eV^2
        Times the sum of squared coefficients.
    curvature_2b, curvature_3b : float, 1/eV^2
        Times the sum of squared second differences along r, or along each axis of the grid.
    """

    ridge_2b: float = 1e-8
    ridge_3b: float = 1e-6
    curvature_2b: float = 1e-5
    curvature_3b: float = 0.0


def penalty_matrix(spec: BasisSpec, penalty: Regularisation) -> np.ndarray:
    """Return R, (n_columns, n_columns): the penalties are c^T R c."""
    columns = layout(spec)
    n_elements = len(spec.elements)
    diagonal = np.full(columns.n_columns, penalty.ridge_3b)
    diagonal[:n_elements] = RIDGE_1B
    diagonal[n_elements : int(columns.pair_column.max()) + 1] = penalty.ridge_2b
    out = np.diag(diagonal)
    _add_curvature(out, columns.pair_column, penalty.curvature_2b)
    if penalty.curvature_3b > 0:
        low, high = columns.jk_range
        start = columns.triplet_column[..., None]
        n = np.arange(high + 3)
        fitted = (start >= 0) & (n >= low) & (n < high)
        grid = np.where(fitted, start + n, -1)
        for axis in (1, 2, 3):
            lines = np.moveaxis(grid, axis, -1)
            _add_curvature(out, lines.reshape(-1, lines.shape[-1]), penalty.curvature_3b)
    return out


def _add_curvature(out: np.ndarray, lines: np.ndarray, strength: float) -> None:
    """Add strength (c_n - 2 c_n+1 + c_n+2)^2 along lines of columns; column -1 is zero."""
    stencil = (1.0, -2.0, 1.0)
    triples = np.stack([lines[:, :-2], lines[:, 1:-1], lines[:, 2:]], axis=-1).reshape(-1, 3)
    for a in range(3):
        for b in range(3):
            both = (triples[:, a] >= 0) & (triples[:, b] >= 0)
            np.add.at(
                out,
                (triples[both, a], triples[both, b]),
                strength * stencil[a] * stencil[b],
            )
