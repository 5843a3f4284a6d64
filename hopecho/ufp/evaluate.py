"""Energy, forces and stress of a UF3 potential, by contraction of the splines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from numba import njit

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential
from hopecho.ufp.basis import Tables, bspline4, tables_of
from hopecho.ufp.features import min_distances, triplet_bases, volume_of
from hopecho.ufp.neighbours import neighbour_list, type_indices


class Prediction(NamedTuple):
    """What a potential says of one structure.

    Attributes
    ----------
    energy : float, eV
    forces : (n_atoms, 3), eV/A
    stress : (6,), eV/A^3
        ASE sign and Voigt order; zero where the structure is not periodic in three directions.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray


class Packed(NamedTuple):
    """A potential as padded arrays, for repeated evaluation.

    Attributes
    ----------
    elements : tuple of str
    one_body : (n_elements,), eV
    tables : Tables
    pair_coefficients : (n_pairs, n_max), eV
    triplet_coefficients : (n_triplets, L_max, M_max, N_max), eV
    """

    elements: tuple[str, ...]
    one_body: np.ndarray
    tables: Tables
    pair_coefficients: np.ndarray
    triplet_coefficients: np.ndarray


def pack(potential: Uf3Potential) -> Packed:
    """Return the arrays of a potential; `evaluate` takes either form."""
    tables = tables_of(
        potential.elements,
        {key: pair.knots for key, pair in potential.two_body.items()},
        {key: (t.knots_ij, t.knots_ik, t.knots_jk) for key, t in potential.three_body.items()},
    )
    pairs = np.zeros((len(potential.two_body), tables.pair_knots.shape[1]))
    for row, pair in zip(pairs, potential.two_body.values(), strict=True):
        row[: len(pair.coefficients)] = pair.coefficients
    longest = tables.triplet_knots.shape[2]
    triplets = np.zeros((len(potential.three_body), longest, longest, longest))
    for grid, (key, triplet) in zip(triplets, potential.three_body.items(), strict=True):
        place = [potential.elements.index(name) for name in key[1:]]
        if place[0] > place[1]:
            raise HopechoError(
                f"the neighbours of the triplet {'-'.join(key)} are out of order",
                fix=f"order them as in {potential.elements}",
            )
        l, m, n = triplet.coefficients.shape
        grid[:l, :m, :n] = triplet.coefficients
    one_body = np.array([potential.one_body.get(name, 0.0) for name in potential.elements])
    return Packed(potential.elements, one_body, tables, pairs, triplets)


def evaluate(potential: Uf3Potential | Packed, atoms: Atoms) -> Prediction:
    """Return energy, forces and stress of a structure.

    Parameters
    ----------
    potential : Uf3Potential or Packed
        Pack once (`pack`) to evaluate many structures.
    atoms : ase.Atoms

    Raises
    ------
    HopechoError
        If a pair is closer than the first two-body knot, where the potential is not defined.

    Source: Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023), eqs. 2-6.
    """
    packed = potential if isinstance(potential, Packed) else pack(potential)
    types = type_indices(atoms, packed.elements)
    tables = packed.tables
    neighbours = neighbour_list(atoms, float(tables.cut_pair.max()))
    closest = min_distances(types, neighbours, tables.pair_index)
    inside = closest < tables.pair_knots[:, 0]
    if np.any(inside):
        raise HopechoError(
            f"a pair of {atoms.symbols} is inside the first knot of the potential",
            got=f"{closest[inside].min():.3f} A",
            fix="leave the structure out",
        )
    gradient, strain = np.zeros((len(types), 3)), np.zeros((3, 3))
    energy = _pair_sum(types, neighbours, tables, packed.pair_coefficients, gradient, strain)
    coefficients = packed.triplet_coefficients
    energy += _triplet_sum(types, neighbours, tables, coefficients, gradient, strain)
    energy += float(packed.one_body[types].sum())
    volume = volume_of(atoms)
    stress = strain / volume if volume > 0 else np.zeros((3, 3))
    return Prediction(energy, -gradient, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])


@njit(cache=True)
def _pair_sum(types, neighbours, tables, coefficients, gradient, strain):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the two-body gradient and strain derivative; return the energy."""
    value, slope = np.zeros(4), np.zeros(4)
    energy = 0.0
    for i in range(len(types)):
        for row in range(neighbours.first[i], neighbours.first[i + 1]):
            j = neighbours.other[row]
            term = tables.pair_index[types[i], types[j]]
            r = neighbours.distance[row]
            if term < 0 or r >= tables.cut_pair[types[i], types[j]]:
                continue
            start = bspline4(tables.pair_knots[term], tables.pair_size[term], r, value, slope)
            g = 0.0
            for n in range(4):
                energy += coefficients[term, start + n] * value[n]
                g += coefficients[term, start + n] * slope[n]
            g /= r
            d = neighbours.vector[row]
            for a in range(3):
                gradient[i, a] -= g * d[a]
                gradient[j, a] += g * d[a]
                for b in range(3):
                    strain[a, b] += g * d[a] * d[b]
    return energy


@njit(cache=True)
def _triplet_sum(types, neighbours, tables, coefficients, gradient, strain):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the three-body gradient and strain derivative; return the energy."""
    value, slope = np.zeros((3, 4)), np.zeros((3, 4))
    start, distance, g = np.zeros(3, dtype=np.int64), np.zeros(3), np.zeros(3)
    energy = 0.0
    if len(tables.triplet_size) == 0:
        return energy
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
                energy += _contract(coefficients[term], value, slope, start, g)
                g /= distance
                dj, dk = neighbours.vector[row_j], neighbours.vector[row_k]
                for a in range(3):
                    on_j = g[0] * dj[a] - g[2] * (dk[a] - dj[a])
                    on_k = g[1] * dk[a] + g[2] * (dk[a] - dj[a])
                    gradient[j, a] += on_j
                    gradient[k, a] += on_k
                    gradient[i, a] -= on_j + on_k
                    for b in range(3):
                        strain[a, b] += on_j * dj[b] + on_k * dk[b]
    return energy


@njit(cache=True)
def _contract(grid, value, slope, start, g):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return sum_lmn c B B B and fill its derivatives with respect to the three distances."""
    energy = 0.0
    g[:] = 0.0
    for l in range(4):
        row_value, row_ik, row_jk = 0.0, 0.0, 0.0
        for m in range(4):
            inner, inner_slope = 0.0, 0.0
            for n in range(4):
                c = grid[start[0] + l, start[1] + m, start[2] + n]
                inner += c * value[2, n]
                inner_slope += c * slope[2, n]
            row_value += value[1, m] * inner
            row_ik += slope[1, m] * inner
            row_jk += value[1, m] * inner_slope
        energy += value[0, l] * row_value
        g[0] += slope[0, l] * row_value
        g[1] += value[0, l] * row_ik
        g[2] += value[0, l] * row_jk
    return energy
