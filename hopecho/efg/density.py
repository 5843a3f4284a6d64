r"""Neighbour-density coefficients :math:`c_{alm n} = \sum_{j \in a} R_{nl}(r_j) Y_{lm}(\hat r_j)`.

Any periodic cell, smaller or larger than the cutoff: atoms are sorted into bins of about half the
cutoff, and a bin beyond the cell is an image of one inside it, so that there is no image list, the
work grows linearly with the number of atoms, and positions may be unwrapped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from hopecho.efg.harmonics import FASTMATH, fill_harmonics, norms
from hopecho.efg.radial import CLOSEST_A, RadialBasis, RadialTable
from hopecho.errors import HopechoError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """One configuration, checked and in the form that the kernels take."""

    fractional: Array
    """(n_atoms, 3), wrapped into [0, 1)."""
    cell: Array
    """(3, 3), rows are lattice vectors, A."""
    inverse: Array
    """(3, 3), inverse of `cell`; its columns are the reciprocal vectors without 2 pi."""
    kinds: IntArray
    """(n_atoms,): index of each atom's element in the model's list."""
    centres: IntArray
    """(n_centres,): indices of the probe atoms."""


def kinds_of(numbers: NDArray[np.integer], elements: tuple[int, ...]) -> IntArray:
    """Return the index of each atomic number in `elements`, (n_atoms,).

    Raises
    ------
    HopechoError
        If an element is not in the list.
    """
    numbers = np.asarray(numbers)
    unknown = sorted(set(numbers.tolist()) - set(elements))
    if unknown:
        raise HopechoError(
            "The EFG model does not know an element of this structure",
            got=f"atomic numbers {unknown}; the model knows {list(elements)}",
            fix="fit the EFG model on structures that contain this element",
        )
    lookup = np.full(max(elements) + 1, -1)
    lookup[list(elements)] = np.arange(len(elements))
    return lookup[numbers].astype(np.int64)


def make_frame(positions: Array, cell: Array, kinds: IntArray, centres: IntArray) -> Frame:
    """Wrap positions (n_atoms, 3), A, into the cell (3, 3), A, and check both.

    Raises
    ------
    HopechoError
        If a number is not finite or the cell has no volume.
    """
    positions, cell = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float)
    if not (np.all(np.isfinite(positions)) and np.all(np.isfinite(cell))):
        raise HopechoError(
            "A configuration for the EFG model contains NaN or infinity",
            got=f"{int(np.sum(~np.isfinite(positions)))} bad coordinates",
            fix="look at the trajectory that produced it: the run blew up or a file is damaged",
        )
    if abs(np.linalg.det(cell)) < 1e-6:
        raise HopechoError(
            "The EFG model needs a three-dimensional periodic cell",
            got=f"cell {cell.tolist()}",
            fix="give a cell with a volume",
        )
    inverse = np.asarray(np.linalg.inv(cell), dtype=np.float64)
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    return Frame(
        np.ascontiguousarray(fractional), np.ascontiguousarray(cell), inverse, kinds, centres
    )


def density(frame: Frame, *, basis: RadialBasis, table: RadialTable, n_kinds: int) -> Array:
    """Return the coefficients of every centre, (n_centres, n_kinds, (l_max + 1)^2, n_radial).

    The centre's own Gaussian is not included.

    Raises
    ------
    HopechoError
        If two atoms are closer than `CLOSEST_A`.
    """
    n_sh = (basis.l_max + 1) ** 2
    out = np.zeros((len(frame.centres), n_kinds, n_sh, basis.n_radial))
    buffer = buffer_size(frame, basis.cutoff)
    status = fill_density(
        frame.fractional,
        frame.cell,
        frame.inverse,
        frame.kinds,
        frame.centres,
        basis.cutoff,
        table.coefficients,
        norms(basis.l_max),
        buffer,
        out,
    )
    check_status(status, frame)
    return out


def check_status(status: int, frame: Frame) -> None:
    """Raise what `fill_density` reported: 0 is success, a negative number names a centre.

    Raises
    ------
    HopechoError
        If an atom came closer to a centre than `CLOSEST_A`.
    """
    if status < 0:
        raise HopechoError(
            "Two atoms are on top of each other",
            got=f"a neighbour of atom {frame.centres[-status - 1]} is closer than {CLOSEST_A} A",
            fix="look at the trajectory: this is no physical configuration",
        )


def buffer_size(frame: Frame, cutoff: float) -> int:
    """Return an upper bound of the neighbours of one kind, from the images a pair can have."""
    widths = 1.0 / np.linalg.norm(frame.inverse, axis=0)
    images = np.prod(np.floor(2 * cutoff / widths) + 1)
    return int(images * np.bincount(frame.kinds).max())


@numba.njit(cache=True, fastmath=FASTMATH)
def fill_density(
    fractional: Array,
    cell: Array,
    inverse: Array,
    kinds: IntArray,
    centres: IntArray,
    cutoff: float,
    table: Array,
    norm: Array,
    buffer: int,
    out: Array,
) -> int:
    """Add the coefficients of all centres to `out`; 0, or -(1 + centre) on overlap."""
    n_kinds, n_sh, n_radial = out.shape[1], out.shape[2], out.shape[3]
    l_max = int(np.sqrt(n_sh) + 0.5) - 1
    bins, first, members = sort_into_bins(fractional, inverse, cutoff)
    found = np.empty((n_kinds, 4, buffer))
    counts = np.empty(n_kinds, np.int64)
    y = np.empty((n_sh, buffer))
    cos_sin = np.empty((2, buffer))
    radial = np.empty(((l_max + 1) * n_radial, buffer))
    for c in range(len(centres)):
        if not find_neighbours(
            fractional,
            cell,
            inverse,
            kinds,
            centres[c],
            cutoff,
            bins,
            first,
            members,
            found,
            counts,
        ):
            return -(1 + c)
        for kind in range(n_kinds):
            count = counts[kind]
            fill_harmonics(found[kind], count, l_max, norm, cos_sin, y)
            fill_radial(found[kind, 3], count, cutoff, table, radial)
            for l in range(l_max + 1):
                for lm in range(l * l, (l + 1) * (l + 1)):
                    for n in range(n_radial):
                        total = 0.0
                        for j in range(count):
                            total += y[lm, j] * radial[l * n_radial + n, j]
                        out[c, kind, lm, n] += total
    return 0


@numba.njit(cache=True, fastmath=FASTMATH)
def fill_radial(r: Array, count: int, cutoff: float, table: Array, out: Array) -> None:
    """Evaluate the spline table at r[:count] into out[:, :count], one row a function."""
    cells, n_functions = table.shape[0], table.shape[2]
    per_length = cells / (cutoff - CLOSEST_A)
    for j in range(count):
        position = (r[j] - CLOSEST_A) * per_length
        cell = min(int(position), cells - 1)
        x = position - cell
        for f in range(n_functions):
            value = (table[cell, 3, f] * x + table[cell, 2, f]) * x + table[cell, 1, f]
            out[f, j] = value * x + table[cell, 0, f]


@numba.njit(cache=True)
def sort_into_bins(
    fractional: Array, inverse: Array, cutoff: float
) -> tuple[IntArray, IntArray, IntArray]:
    """Sort atoms into bins that are at least half a cutoff wide.

    Returns the number of bins along each axis (3,), the first place of each bin in `members`
    (n_bins + 1,), and the atoms bin by bin, `members` (n_atoms,).
    """
    bins = np.empty(3, np.int64)
    for a in range(3):
        b = np.sqrt(inverse[0, a] ** 2 + inverse[1, a] ** 2 + inverse[2, a] ** 2)
        bins[a] = max(1, int(2.0 / (cutoff * b)))
    # More bins than some atoms are of no use, however large and empty a cell is.
    while bins[0] * bins[1] * bins[2] > 8 * len(fractional):
        bins[np.argmax(bins)] = (bins.max() + 1) // 2
    own = np.empty(len(fractional), np.int64)
    first = np.zeros(bins[0] * bins[1] * bins[2] + 1, np.int64)
    for j in range(len(fractional)):
        place = 0
        for a in range(3):
            # A coordinate of 1 - 1e-17 is stored as 1.
            place = place * bins[a] + min(int(fractional[j, a] * bins[a]), bins[a] - 1)
        own[j] = place
        first[place + 1] += 1
    for place in range(len(first) - 1):
        first[place + 1] += first[place]
    free = first[:-1].copy()
    members = np.empty(len(fractional), np.int64)
    for j in range(len(fractional)):
        members[free[own[j]]] = j
        free[own[j]] += 1
    return bins, first, members


@numba.njit(cache=True, fastmath=FASTMATH)
def find_neighbours(
    fractional: Array,
    cell: Array,
    inverse: Array,
    kinds: IntArray,
    centre: int,
    cutoff: float,
    bins: IntArray,
    first: IntArray,
    members: IntArray,
    found: Array,
    counts: IntArray,
) -> bool:
    """List unit vectors and distances (x, y, z, r) of the neighbours of one centre by kind.

    |fractional difference| along axis a is at most cutoff |b_a| for reciprocal vector b_a, which
    bounds the bins to search. False if an atom is closer than `CLOSEST_A`.
    """
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for a in range(3):
        b = np.sqrt(inverse[0, a] ** 2 + inverse[1, a] ** 2 + inverse[2, a] ** 2)
        # A little more than the cutoff: rounding must not lose a bin.
        reach = cutoff * b * (1 + 1e-12)
        low[a] = int(np.floor((fractional[centre, a] - reach) * bins[a]))
        high[a] = int(np.floor((fractional[centre, a] + reach) * bins[a]))
    counts[:] = 0
    for p0 in range(low[0], high[0] + 1):
        i0 = p0 // bins[0]
        for p1 in range(low[1], high[1] + 1):
            i1 = p1 // bins[1]
            row = ((p0 - i0 * bins[0]) * bins[1] + p1 - i1 * bins[1]) * bins[2]
            for p2 in range(low[2], high[2] + 1):
                i2 = p2 // bins[2]
                place = row + p2 - i2 * bins[2]
                for k in range(first[place], first[place + 1]):
                    j = members[k]
                    sx = fractional[j, 0] - fractional[centre, 0] + i0
                    sy = fractional[j, 1] - fractional[centre, 1] + i1
                    sz = fractional[j, 2] - fractional[centre, 2] + i2
                    x = sx * cell[0, 0] + sy * cell[1, 0] + sz * cell[2, 0]
                    y = sx * cell[0, 1] + sy * cell[1, 1] + sz * cell[2, 1]
                    z = sx * cell[0, 2] + sy * cell[1, 2] + sz * cell[2, 2]
                    r2 = x * x + y * y + z * z
                    if r2 >= cutoff * cutoff:
                        continue
                    if r2 < CLOSEST_A * CLOSEST_A:
                        if j == centre and i0 == 0 and i1 == 0 and i2 == 0:
                            continue
                        return False
                    kind, r = kinds[j], np.sqrt(r2)
                    n = counts[kind]
                    found[kind, 0, n] = x / r
                    found[kind, 1, n] = y / r
                    found[kind, 2, n] = z / r
                    found[kind, 3, n] = r
                    counts[kind] = n + 1
    return True
