"""Rows of the linear problem: energy, forces and strain derivative of every basis function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numba import njit

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, bspline4, layout, spec_knots
from hopecho.ufp.neighbours import Neighbours, neighbour_list, type_indices

FIRST, SECOND = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
# Unsigned indices: no test for a negative one between the four sums of a row.
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """A structure with its labels.

    Attributes
    ----------
    atoms : ase.Atoms
    energy : float, eV
    forces : (n_atoms, 3), eV/A
    stress : (6,), eV/A^3, or None
        ASE sign and Voigt order.
    name : str
        Names the frame in errors.
    """

    atoms: Atoms
    energy: float
    forces: np.ndarray
    stress: np.ndarray | None
    name: str


@dataclass(frozen=True, eq=False)
class Features:
    """Design rows of one structure.

    Attributes
    ----------
    energy : (n_columns,)
        d E / d c.
    forces : (n_atoms, 3, n_columns), 1/A
    stress : (6, n_columns), 1/A^3
        Zero where the structure has no volume (not periodic in three directions).
    min_distance : (n_pairs,), Angstrom
        Shortest distance of each pair of elements; inf where none is inside the cutoff.
    """

    energy: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    min_distance: np.ndarray


def check_frame(frame: LabelledFrame) -> None:
    """Refuse labels that are not finite or have the wrong shape, naming the structure.

    Raises
    ------
    HopechoError
    """
    shapes = {"energy": (), "forces": (len(frame.atoms), 3), "stress": (6,)}
    for name, shape in shapes.items():
        value = getattr(frame, name)
        if value is None and name == "stress":
            continue
        array = np.asarray(value, dtype=float)
        if array.shape != shape:
            raise HopechoError(
                f"the {name} of {frame.name} has the wrong shape",
                got=f"{array.shape}, expected {shape}",
            )
        if not np.all(np.isfinite(array)):
            raise HopechoError(
                f"the {name} of {frame.name} is not finite",
                got=f"{int(np.sum(~np.isfinite(array)))} of {array.size} values",
                fix="take the structure out of the dataset or label it again",
            )


def volume_of(atoms: Atoms) -> float:
    """Return the cell volume (A^3), 0 where the structure is not periodic in three directions."""
    return float(abs(np.linalg.det(atoms.cell.array))) if all(atoms.pbc) else 0.0


def featurise(atoms: Atoms, spec: BasisSpec) -> Features:
    """Return the design rows of a structure.

    Prediction = rows @ coefficients: energy (eV), forces (eV/A) and stress (eV/A^3).

    Raises
    ------
    HopechoError
        If the structure holds an unknown element or two atoms coincide.

    Source: Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023), eqs. 2-10.
    """
    columns = layout(spec)
    types = type_indices(atoms, spec.elements)
    neighbours = neighbour_list(atoms, spec.cutoff_2b_angstrom)
    n_atoms = len(atoms)
    # One matrix for the kernels: energy, forces, strain, and a spare row (see `_scatter`).
    rows = np.zeros((3 * n_atoms + 8, columns.n_columns))
    rows[0, : len(spec.elements)] = np.bincount(types, minlength=len(spec.elements))
    tables = columns.tables
    _pair_rows(types, neighbours, tables, columns.pair_column, rows)
    if len(tables.triplet_size):
        arms = _arms(neighbours, *spec_knots(spec)[1:])
        index = tables.triplet_index
        _triplet_rows(types, arms, index, columns.triplet_column, columns.jk_range, rows)
    volume = volume_of(atoms)
    forces, stress = rows[1:-7].reshape(n_atoms, 3, -1), rows[-7:-1]
    stress *= 1.0 / volume if volume > 0 else 0.0
    closest = min_distances(types, neighbours, tables.pair_index)
    return Features(rows[0], forces, stress, closest)


def min_distances(types: np.ndarray, neighbours: Neighbours, pair_index: np.ndarray) -> np.ndarray:
    """Return the shortest distance of each pair of elements, (n_pairs,), Angstrom."""
    out = np.full(int(pair_index.max()) + 1, np.inf)
    centre = np.repeat(types, np.diff(neighbours.first))
    np.minimum.at(out, pair_index[centre, types[neighbours.other]], neighbours.distance)
    return out


@njit(cache=True)
def _pair_rows(types, neighbours, tables, column, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the two-body rows: ordered pairs, so each direction is visited once."""
    value, slope = np.zeros(4), np.zeros(4)
    strain = 1 + 3 * len(types)
    for i in range(len(types)):
        for row in range(neighbours.first[i], neighbours.first[i + 1]):
            j = neighbours.other[row]
            term = tables.pair_index[types[i], types[j]]
            r = neighbours.distance[row]
            if term < 0 or r >= tables.cut_pair[types[i], types[j]]:
                continue
            d = neighbours.vector[row]
            start = bspline4(tables.pair_knots[term], tables.pair_size[term], r, value, slope)
            for n in range(4):
                place = column[term, start + n]
                if place < 0:
                    continue
                g = slope[n] / r
                rows[0, place] += value[n]
                for axis in range(3):
                    rows[1 + 3 * i + axis, place] += g * d[axis]
                    rows[1 + 3 * j + axis, place] -= g * d[axis]
                for part in range(6):
                    rows[strain + part, place] += g * d[FIRST[part]] * d[SECOND[part]]


class Arms(NamedTuple):
    """Neighbours inside the three-body cutoff and their splines, sorted by centre.

    Attributes
    ----------
    first : (n_atoms + 1,), int
        Arms of atom i are first[i] to first[i + 1].
    other : (n_arms,), int
    vector : (n_arms, 3), Angstrom
    start : (n_arms,), int
        First of the four splines that are not zero.
    value, slope : (n_arms, 4)
        The splines, and their slopes over r, 1/A^2.
    base_knots : (n,), Angstrom
        Knots of the third side.
    """

    first: np.ndarray
    other: np.ndarray
    vector: np.ndarray
    start: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    base_knots: np.ndarray


def _arms(neighbours: Neighbours, arm_knots: np.ndarray, base_knots: np.ndarray) -> Arms:
    """Return the arms of all triplets: one basis has one knot vector for them."""
    r = neighbours.distance
    near = (r >= arm_knots[0]) & (r < arm_knots[-1])
    first = np.concatenate([[0], np.cumsum(near)])[neighbours.first]
    n_arms = int(first[-1])
    start = np.zeros(n_arms, dtype=np.int64)
    value, slope = np.zeros((n_arms, 4)), np.zeros((n_arms, 4))
    _arm_splines(arm_knots, r[near], start, value, slope)
    return Arms(
        first, neighbours.other[near], neighbours.vector[near], start, value, slope, base_knots
    )


@njit(cache=True)
def _arm_splines(knots, distance, start, value, slope):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the splines of each arm and their slopes over r."""
    for arm in range(len(distance)):
        r = distance[arm]
        start[arm] = bspline4(knots, len(knots), r, value[arm], slope[arm])
        slope[arm] /= r


@njit(cache=True)
def _triplet_rows(types, arms, triplet_index, column, jk_range, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the three-body rows: each unordered pair of neighbours of a centre once."""
    value, slope, base = np.zeros(4), np.zeros(4), np.zeros(3)
    flat, width = rows.reshape(-1), rows.shape[1]
    row = np.zeros(16, dtype=np.uint64)
    for part in range(6):
        row[10 + part] = width * (1 + 3 * len(types) + part)
    lowest, highest = arms.base_knots[0], arms.base_knots[-1]
    for i in range(len(types)):
        for first in range(arms.first[i], arms.first[i + 1]):
            for second in range(first + 1, arms.first[i + 1]):
                p, q = first, second
                if types[arms.other[p]] > types[arms.other[q]]:
                    p, q = q, p
                j, k = arms.other[p], arms.other[q]
                square = 0.0
                for axis in range(3):
                    base[axis] = arms.vector[q, axis] - arms.vector[p, axis]
                    square += base[axis] * base[axis]
                r = np.sqrt(square)
                if r < lowest or r >= highest:
                    continue
                start = bspline4(arms.base_knots, len(arms.base_knots), r, value, slope)
                for axis in range(3):
                    row[1 + axis] = width * (1 + 3 * j + axis)
                    row[4 + axis] = width * (1 + 3 * k + axis)
                    row[7 + axis] = width * (1 + 3 * i + axis)
                for n in range(4):
                    slope[n] /= r
                    if start + n < jk_range[0] or start + n >= jk_range[1]:
                        value[n], slope[n] = 0.0, 0.0
                term = triplet_index[types[i], types[j], types[k]]
                _scatter(arms, p, q, base, column, term, start, value, slope, row, flat)


@njit(cache=True)
def triplet_bases(types, neighbours, tables, i, first, second, value, slope, start, distance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the splines of ij, ik, jk (lower type first); return False outside the knots."""
    j, k = neighbours.other[first], neighbours.other[second]
    if types[j] > types[k]:
        first, second, j, k = second, first, k, j
    term = tables.triplet_index[types[i], types[j], types[k]]
    if term < 0:
        return False
    knots, size = tables.triplet_knots[term], tables.triplet_size[term]
    distance[0], distance[1] = neighbours.distance[first], neighbours.distance[second]
    for axis in range(2):
        r = distance[axis]
        if r < knots[axis, 0] or r >= knots[axis, size[axis] - 1]:
            return False
    square = 0.0
    for axis in range(3):
        square += (neighbours.vector[second, axis] - neighbours.vector[first, axis]) ** 2
    distance[2] = np.sqrt(square)
    if distance[2] < knots[2, 0] or distance[2] >= knots[2, size[2] - 1]:
        return False
    for axis in range(3):
        start[axis] = bspline4(knots[axis], size[axis], distance[axis], value[axis], slope[axis])
    return True


@njit(cache=True)
def _scatter(arms, p, q, base, column, term, start, w, u, row, flat):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the up to 64 basis functions of one triplet to the rows of energy, forces and strain.

    With w = B_n and u = B_n' / r_jk, a row gains f w + g u, f and g the same for all n. All four n
    are added, zeros for those not fitted: up to three of them land past the end of the row.
    """
    f, g = np.zeros(16), np.zeros(16)
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    u0, u1, u2, u3 = u[0], u[1], u[2], u[3]
    for l in range(4):
        for m in range(4):
            place = column[term, arms.start[p] + l, arms.start[q] + m]
            if place < 0:
                continue
            both = arms.value[p, l] * arms.value[q, m]
            left = arms.slope[p, l] * arms.value[q, m]
            right = arms.value[p, l] * arms.slope[q, m]
            f[0] = both
            for a in range(3):
                on_j, on_k = left * arms.vector[p, a], right * arms.vector[q, a]
                f[1 + a], g[1 + a] = -on_j, both * base[a]
                f[4 + a], g[4 + a] = -on_k, -both * base[a]
                f[7 + a] = on_j + on_k
            for part in range(6):
                a, b = FIRST[part], SECOND[part]
                f[10 + part] = left * arms.vector[p, a] * arms.vector[p, b]
                f[10 + part] += right * arms.vector[q, a] * arms.vector[q, b]
                g[10 + part] = both * base[a] * base[b]
            c = np.uint64(place + start)
            for line in range(16):
                to = row[line] + c
                flat[to] += f[line] * w0 + g[line] * u0
                flat[to + ONE] += f[line] * w1 + g[line] * u1
                flat[to + TWO] += f[line] * w2 + g[line] * u2
                flat[to + THREE] += f[line] * w3 + g[line] * u3
