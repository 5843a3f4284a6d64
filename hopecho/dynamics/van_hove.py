"""Van Hove functions: where an ion, and where its neighbours, are found a time later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopecho.dynamics.rdf import perpendicular_widths
from hopecho.errors import HopechoError

Array = NDArray[np.float64]

ORIGINS = 100
"""Time origins for each lag, spread over the run."""


@dataclass(frozen=True)
class VanHove:
    """Self and distinct part of one kind of ions, for several lags."""

    lag_ps: Array
    """(n_lags,), ps."""
    r: Array
    """(n_bins,), A, middle of each bin."""
    edges: Array
    """(n_bins + 1,), A."""
    van_hove_self: Array
    """(n_lags, n_bins), 1/A^3: the integral of 4 pi r^2 Gs is 1 where r reaches far enough."""
    van_hove_distinct: Array
    """(n_lags, n_bins): 1 without correlation; at lag 0 the g(r) of like ions."""

    def columns(self) -> dict[str, Array]:
        """Columns in long form: lag_ps, r_angstrom, van_hove_self (1/A^3), van_hove_distinct."""
        n_lags, n_bins = self.van_hove_self.shape
        return {
            "lag_ps": np.repeat(self.lag_ps, n_bins),
            "r_angstrom": np.tile(self.r, n_lags),
            "van_hove_self_a3": self.van_hove_self.ravel(),
            "van_hove_distinct": self.van_hove_distinct.ravel(),
        }


def van_hove(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    cell: Array,
    stride_ps: float,
    lags: Sequence[int],
    r_max: float | None = None,
    n_bins: int = 100,
    n_origins: int = ORIGINS,
) -> VanHove:
    r"""Self and distinct van Hove functions of like ions.

    :math:`G_s(r, t) = \frac{1}{4 \pi r^2 N} \langle \sum_i \delta(r - |r_i(t) - r_i(0)|) \rangle`,
    :math:`G_d(r, t) = \frac{V}{4 \pi r^2 N (N - 1)} \langle \sum_{i \neq j}
    \delta(r - |r_i(t) - r_j(0)|) \rangle`; the distinct part by the nearest image, the self part by
    the unwrapped displacement.

    Parameters
    ----------
    replicas : sequence of ndarray
        Each (n_frames, n_ions, 3), A, unwrapped, in the frame of the framework.
    cell : ndarray
        (3, 3), A.
    stride_ps : float
        Time between frames, ps.
    lags : sequence of int
        In frames, each shorter than the shortest replica.
    r_max : float, optional
        A; default and upper limit: half the shortest perpendicular width.
    n_bins : int
        Bins from 0 to r_max.
    n_origins : int
        Time origins for each lag and replica.

    Raises
    ------
    HopechoError
        For a lag outside the run, an r_max outside the cell, or fewer than two ions.

    Source: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024), eqns (8) and (9).
    """
    cell = np.asarray(cell, dtype=np.float64)
    limit = 0.5 * float(perpendicular_widths(cell).min())
    r_max = limit if r_max is None else r_max
    _check(replicas, lags, r_max, limit)
    inverse, n_ions = np.linalg.inv(cell), replicas[0].shape[1]
    own = np.zeros((len(lags), n_bins))
    others = np.zeros((len(lags), n_bins))
    samples = np.zeros(len(lags))
    for x in replicas:
        for k, lag in enumerate(lags):
            last = len(x) - 1 - lag
            origins = np.unique(np.linspace(0, last, min(n_origins, last + 1)).astype(np.int64))
            late = np.asarray(x[origins + lag], dtype=np.float64)
            early = np.asarray(x[origins], dtype=np.float64)
            distance = np.linalg.norm(late - early, axis=2)
            own[k] += np.histogram(distance, n_bins, (0.0, r_max))[0]
            others[k] += _distinct(late @ inverse, early @ inverse, cell, n_bins, r_max)
            samples[k] += len(origins)
    edges = np.linspace(0.0, r_max, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    per_ion = samples[:, None] * n_ions * shells
    density = (n_ions - 1) / abs(float(np.linalg.det(cell)))
    return VanHove(
        lag_ps=np.asarray(lags, dtype=np.float64) * stride_ps,
        r=0.5 * (edges[1:] + edges[:-1]),
        edges=edges,
        van_hove_self=own / per_ion,
        van_hove_distinct=others / per_ion / density,
    )


def _check(
    replicas: Sequence[NDArray[np.floating[Any]]], lags: Sequence[int], r_max: float, limit: float
) -> None:
    shortest = min((len(x) for x in replicas), default=0)
    if not replicas or not lags or min(lags) < 0 or max(lags) >= shortest:
        raise HopechoError(
            "A van Hove function needs lags within the shortest run.",
            got=f"lags {list(lags)}, {shortest} frames",
        )
    if replicas[0].shape[1] < 2:
        raise HopechoError("A van Hove function needs at least two ions.", got="fewer")
    if not 0.0 < r_max <= limit * (1.0 + 1e-9):
        raise HopechoError(
            "Van Hove functions reach up to half the shortest perpendicular width of the cell.",
            got=f"r_max {r_max:g} A",
            fix=f"choose r_max <= {limit:.3f} A, or a larger cell",
        )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _distinct(
    late: Array, early: Array, cell: Array, n_bins: int, r_max: float
) -> NDArray[np.int64]:
    """Ordered counts of pairs i != j from fractional positions (n_origins, n_ions, 3)."""
    counts = np.zeros(n_bins, dtype=np.int64)
    n_origins, n_ions, _ = late.shape
    for t in range(n_origins):
        for i in range(n_ions):
            for j in range(n_ions):
                if i == j:
                    continue
                a = late[t, i, 0] - early[t, j, 0]
                b = late[t, i, 1] - early[t, j, 1]
                c = late[t, i, 2] - early[t, j, 2]
                a -= np.rint(a)
                b -= np.rint(b)
                c -= np.rint(c)
                square = 0.0
                for k in range(3):
                    x = a * cell[0, k] + b * cell[1, k] + c * cell[2, k]
                    square += x * x
                bin_index = int(np.sqrt(square) / r_max * n_bins)
                if bin_index < n_bins:
                    counts[bin_index] += 1
    return counts
