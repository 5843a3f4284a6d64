"""Rows of the linear problem: energy, forces and strain derivative of every basis function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numba import njit

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, bspline4, layout
from hopecho.ufp.neighbours import Neighbours, neighbour_list, type_indices

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


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
    energy = np.zeros(columns.n_columns)
    energy[: len(spec.elements)] = np.bincount(types, minlength=len(spec.elements))
    gradient = np.zeros((len(atoms), 3, columns.n_columns))
    strain = np.zeros((6, columns.n_columns))
    output = (energy, gradient, strain)
    tables = columns.tables
    _pair_rows(types, neighbours, tables, columns.pair_column, *output)
    _triplet_rows(types, neighbours, tables, columns.triplet_column, columns.jk_range, *output)
    volume = volume_of(atoms)
    strain *= 1.0 / volume if volume > 0 else 0.0
    np.negative(gradient, out=gradient)
    return Features(energy, gradient, strain, min_distances(types, neighbours, tables.pair_index))


def min_distances(types: np.ndarray, neighbours: Neighbours, pair_index: np.ndarray) -> np.ndarray:
    """Return the shortest distance of each pair of elements, (n_pairs,), Angstrom."""
    out = np.full(int(pair_index.max()) + 1, np.inf)
    centre = np.repeat(types, np.diff(neighbours.first))
    np.minimum.at(out, pair_index[centre, types[neighbours.other]], neighbours.distance)
    return out


@njit(cache=True)
def _pair_rows(types, neighbours, tables, column, energy, gradient, strain):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the two-body rows: ordered pairs, so each direction is visited once."""
    value, slope = np.zeros(4), np.zeros(4)
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
                energy[place] += value[n]
                for axis in range(3):
                    gradient[i, axis, place] -= g * d[axis]
                    gradient[j, axis, place] += g * d[axis]
                _add_strain(strain, place, g, d)


@njit(cache=True)
def _add_strain(strain, place, g, d):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add g d_a d_b in Voigt order: the derivative with respect to a symmetric strain."""
    strain[0, place] += g * d[0] * d[0]
    strain[1, place] += g * d[1] * d[1]
    strain[2, place] += g * d[2] * d[2]
    strain[3, place] += g * d[1] * d[2]
    strain[4, place] += g * d[0] * d[2]
    strain[5, place] += g * d[0] * d[1]


@njit(cache=True)
def _triplet_rows(types, neighbours, tables, column, jk_range, energy, gradient, strain):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the three-body rows: each unordered pair of neighbours of a centre once."""
    if len(tables.triplet_size) == 0:
        return
    value, slope = np.zeros((3, 4)), np.zeros((3, 4))
    start, distance = np.zeros(3, dtype=np.int64), np.zeros(3)
    for i in range(len(types)):
        for first in range(neighbours.first[i], neighbours.first[i + 1]):
            if (
                neighbours.distance[first]
                >= tables.cut_triplet[types[i], types[neighbours.other[first]]]
            ):
                continue
            for second in range(first + 1, neighbours.first[i + 1]):
                if not triplet_bases(
                    types, neighbours, tables, i, first, second, value, slope, start, distance
                ):
                    continue
                row_j, row_k = first, second
                j, k = neighbours.other[row_j], neighbours.other[row_k]
                if types[j] > types[k]:
                    row_j, row_k, j, k = row_k, row_j, k, j
                term = tables.triplet_index[types[i], types[j], types[k]]
                _scatter(
                    i, j, k, neighbours.vector[row_j], neighbours.vector[row_k], distance,
                    column[term], jk_range, value, slope, start, energy, gradient, strain,
                )  # fmt: skip


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
def _scatter(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, j, k, dj, dk, distance, column, jk_range, value, slope, start, energy, gradient, strain
):
    """Add the up to 64 basis functions of one triplet to the rows of its three atoms."""
    base = dk - dj
    low, high = max(start[2], jk_range[0]), min(start[2] + 4, jk_range[1])
    for l in range(4):
        for m in range(4):
            place = column[start[0] + l, start[1] + m]
            if place < 0:
                continue
            both = value[0, l] * value[1, m]
            left = slope[0, l] * value[1, m] / distance[0]
            right = value[0, l] * slope[1, m] / distance[1]
            for n in range(low, high):
                v, s = value[2, n - start[2]], slope[2, n - start[2]] / distance[2]
                g_ij, g_ik, g_jk = left * v, right * v, both * s
                energy[place + n] += both * v
                for axis in range(3):
                    on_j = g_ij * dj[axis] - g_jk * base[axis]
                    on_k = g_ik * dk[axis] + g_jk * base[axis]
                    gradient[j, axis, place + n] += on_j
                    gradient[k, axis, place + n] += on_k
                    gradient[i, axis, place + n] -= on_j + on_k
                _add_strain(strain, place + n, g_ij, dj)
                _add_strain(strain, place + n, g_ik, dk)
                _add_strain(strain, place + n, g_jk, base)
