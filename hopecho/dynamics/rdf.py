"""Pair distributions and coordination numbers in any periodic cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numba import njit
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.trajectory import is_orthogonal

Array = NDArray[np.float64]

SHELL_SMOOTHING = 0.2
"""Width over which g(r) is averaged before a shell is looked for, A."""

SHELL_PEAK = 1.2
"""A lower first peak is no shell."""

SHELL_REACH = 1.5
"""A shell ends within so many times the distance of its peak."""


@dataclass(frozen=True)
class Rdf:
    """g(r) and running coordination numbers of all pairs of elements."""

    r: Array
    """(n_bins,), A, middle of each bin."""
    edges: Array
    """(n_bins + 1,), A."""
    g: dict[str, Array]
    """"A-B" -> (n_bins,), symmetric: "A-B" and "B-A" are the same."""
    coordination: dict[str, Array]
    """"A-B" -> (n_bins,): mean number of B around an A within the upper edge of the bin."""

    def coordination_number(self, pair: str, r_max: float) -> float:
        """Mean number of B within r_max (A) of an A, for the pair "A-B"."""
        if not self.edges[0] <= r_max <= self.edges[-1]:
            raise HopechoError(
                "No coordination number at this distance.",
                got=f"{r_max:g} A",
                fix=f"choose a distance up to {self.edges[-1]:.3f} A",
            )
        return float(np.interp(r_max, self.edges, np.append(0.0, self.coordination[pair])))


@dataclass(frozen=True)
class Shell:
    """First shell of neighbours."""

    peak_angstrom: float
    peak_g: float
    end_angstrom: float
    """Lowest point of g behind the peak."""
    neighbours: float
    """Mean number within the end."""


def first_shell(r: Array, g: Array, coordination: Array) -> Shell | None:
    """First peak of g(r) that reaches half the highest one, and the lowest point behind it.

    Parameters
    ----------
    r, g, coordination : ndarray
        (n_bins,), of one pair as in `Rdf`; smoothed over `SHELL_SMOOTHING` first.

    Returns
    -------
    Shell or None
        None without a peak above `SHELL_PEAK`, or where g still falls at its end.
    """
    width = max(1, round(SHELL_SMOOTHING / float(r[1] - r[0])))
    smooth = np.convolve(g, np.ones(width) / width, mode="same")
    k = int(np.argmax(smooth >= 0.5 * smooth.max()))
    while k + 1 < len(smooth) and smooth[k + 1] >= smooth[k]:
        k += 1
    stop = int(np.searchsorted(r, SHELL_REACH * r[k], side="right"))
    # The last bins are averaged with nothing behind them.
    cut = len(r) - width
    if smooth[k] < SHELL_PEAK or min(stop, cut) - k < 3:
        return None
    end = k + 1 + int(np.argmin(smooth[k + 1 : min(stop, cut)]))
    if stop > cut and end == cut - 1:
        return None
    return Shell(float(r[k]), float(smooth[k]), float(r[end]), float(coordination[end]))


def perpendicular_widths(cell: Array) -> Array:
    """Distances between opposite faces of a cell (3, 3), A; (3,)."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0), dtype=np.float64)


def require_nearest_image(cell: Array, distance: float) -> None:
    """Raise where a distance (A) may reach past the nearest image found by rounding.

    Raises
    ------
    HopechoError
        Saying whether the cell is too small or too skewed.
    """
    widths = perpendicular_widths(cell)
    if distance <= 0.5 * float(widths.min()) * (1.0 + 1e-9):
        return
    skewed = not is_orthogonal(cell) and distance <= 0.5 * np.linalg.norm(cell, axis=1).min()
    raise HopechoError(
        "The triclinic cell is too skewed for this distance."
        if skewed
        else "The cell is too small for this distance.",
        got=f"{distance:g} A, half the shortest perpendicular width is {0.5 * widths.min():.3f} A",
        fix="reduce the cell vectors (a shorter, less skewed choice), or use a larger cell"
        if skewed
        else "use a larger cell",
    )


def rdf(
    positions: NDArray[np.floating[Any]],
    numbers: NDArray[np.integer[Any]],
    cell: Array,
    *,
    n_bins: int = 200,
    r_max: float | None = None,
) -> Rdf:
    r"""Pair distribution of all pairs of elements.

    :math:`g_{ab}(r) = \frac{V}{N_a (N_b - \delta_{ab})} \frac{\langle n_{ab}(r) \rangle}{\Delta
    V(r)}`: for like species (N - 1)/V, so that an ideal gas gives 1 for any N.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_atoms, 3), A, wrapped or not.
    numbers : ndarray
        (n_atoms,), atomic numbers.
    cell : ndarray
        (3, 3), A.
    n_bins : int
        Number of bins from 0 to r_max.
    r_max : float, optional
        A; default and upper limit: half the shortest perpendicular width.

    Raises
    ------
    HopechoError
        If r_max is beyond half the shortest perpendicular width.
    """
    cell = np.asarray(cell, dtype=np.float64)
    limit = 0.5 * float(perpendicular_widths(cell).min())
    r_max = limit if r_max is None else r_max
    if not 0.0 < r_max <= limit * (1.0 + 1e-9) or n_bins < 1:
        raise HopechoError(
            "g(r) reaches up to half the shortest perpendicular width of the cell.",
            got=f"r_max {r_max:g} A, {n_bins} bins",
            fix=f"choose r_max <= {limit:.3f} A, or a larger cell",
        )
    kinds, species = np.unique(np.asarray(numbers), return_inverse=True)
    # Within that limit the image found by rounding fractional coordinates is the nearest one, in
    # any cell.
    fractional = np.ascontiguousarray(np.asarray(positions, dtype=np.float64) @ np.linalg.inv(cell))
    counts = _histogram(fractional, species.astype(np.int64), cell, len(kinds), n_bins, r_max)
    return _normalise(counts, kinds, species, len(positions), abs(np.linalg.det(cell)), r_max)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _histogram(
    fractional: Array,
    species: NDArray[np.int64],
    cell: Array,
    n_kinds: int,
    n_bins: int,
    r_max: float,
) -> NDArray[np.int64]:
    """Ordered pair counts (n_kinds, n_kinds, n_bins)."""
    counts = np.zeros((n_kinds, n_kinds, n_bins), dtype=np.int64)
    n_frames, n_atoms, _ = fractional.shape
    for t in range(n_frames):
        for i in range(n_atoms):
            for j in range(i + 1, n_atoms):
                a = fractional[t, j, 0] - fractional[t, i, 0]
                b = fractional[t, j, 1] - fractional[t, i, 1]
                c = fractional[t, j, 2] - fractional[t, i, 2]
                a -= np.rint(a)
                b -= np.rint(b)
                c -= np.rint(c)
                square = 0.0
                for k in range(3):
                    x = a * cell[0, k] + b * cell[1, k] + c * cell[2, k]
                    square += x * x
                bin_index = int(np.sqrt(square) / r_max * n_bins)
                if bin_index < n_bins:
                    counts[species[i], species[j], bin_index] += 1
                    counts[species[j], species[i], bin_index] += 1
    return counts


def _normalise(
    counts: NDArray[np.int64],
    kinds: NDArray[Any],
    species: NDArray[Any],
    n_frames: int,
    volume: float,
    r_max: float,
) -> Rdf:
    n_bins = counts.shape[2]
    edges = np.linspace(0.0, r_max, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    number = np.bincount(species)
    g, coordination = {}, {}
    for a, z_a in enumerate(kinds):
        for b, z_b in enumerate(kinds):
            name = f"{chemical_symbols[z_a]}-{chemical_symbols[z_b]}"
            neighbours = counts[a, b] / (n_frames * number[a])
            partners = number[b] - (a == b)
            g[name] = neighbours * volume / (shells * max(partners, 1))
            coordination[name] = np.cumsum(neighbours)
    return Rdf(0.5 * (edges[1:] + edges[:-1]), edges, g, coordination)
