"""Neighbour lists in any cell: triclinic, small (many images), periodic in any directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from numba import njit

from hopecho.errors import HopechoError


class Neighbours(NamedTuple):
    """Full neighbour list, sorted by centre.

    Attributes
    ----------
    first : (n_atoms + 1,), int
        Neighbours of atom i are rows first[i] to first[i + 1].
    other : (n_neighbours,), int
        The neighbour of each row.
    vector : (n_neighbours, 3), Angstrom
        From the centre to the image of the neighbour.
    distance : (n_neighbours,), Angstrom
    """

    first: np.ndarray
    other: np.ndarray
    vector: np.ndarray
    distance: np.ndarray


def neighbour_list(atoms: Atoms, cutoff: float) -> Neighbours:
    """Return all (periodic) neighbours closer than the cutoff (Angstrom).

    Raises
    ------
    HopechoError
        If positions or cell are not finite, or two atoms coincide.
    """
    cell = complete_cell(atoms.cell.array)
    positions = atoms.get_positions()
    if not (np.all(np.isfinite(positions)) and np.all(np.isfinite(cell))):
        raise HopechoError(f"positions or cell of {atoms.symbols} are not finite")
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse
    # A plane spacing is 1 over the length of a reciprocal vector: the reach in fractional units.
    reach = np.where(atoms.pbc, cutoff * np.linalg.norm(inverse, axis=0), 0.0)
    arguments = (fractional, cell, atoms.pbc, reach, cutoff)
    count = _search(*arguments, np.zeros(0, dtype=np.int64), np.zeros((0, 3)), np.zeros(0), False)
    first = np.concatenate([[0], np.cumsum(count)])
    index = np.empty(first[-1], dtype=np.int64)
    vector, distance = np.empty((first[-1], 3)), np.empty(first[-1])
    _search(*arguments, index, vector, distance, True)
    if np.any(distance < 1e-6):
        raise HopechoError(
            f"two atoms of {atoms.symbols} stand on one point", fix="remove one of them"
        )
    return Neighbours(first, index, vector, distance)


@njit(cache=True)
def _search(fractional, cell, pbc, reach, cutoff, index, vector, distance, fill):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count the neighbours of each atom and, if `fill`, store them."""
    n = len(fractional)
    count = np.zeros(n, dtype=np.int64)
    low, high = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    found = 0
    for i in range(n):
        for j in range(n):
            for axis in range(3):
                if pbc[axis]:
                    gap = fractional[j, axis] - fractional[i, axis]
                    low[axis] = int(np.ceil(-gap - reach[axis] - 1e-9))
                    high[axis] = int(np.floor(-gap + reach[axis] + 1e-9))
            for a in range(low[0], high[0] + 1):
                fa = fractional[j, 0] - fractional[i, 0] + a
                for b in range(low[1], high[1] + 1):
                    fb = fractional[j, 1] - fractional[i, 1] + b
                    for c in range(low[2], high[2] + 1):
                        if i == j and a == 0 and b == 0 and c == 0:
                            continue
                        fc = fractional[j, 2] - fractional[i, 2] + c
                        x = fa * cell[0, 0] + fb * cell[1, 0] + fc * cell[2, 0]
                        y = fa * cell[0, 1] + fb * cell[1, 1] + fc * cell[2, 1]
                        z = fa * cell[0, 2] + fb * cell[1, 2] + fc * cell[2, 2]
                        square = x * x + y * y + z * z
                        if square < cutoff * cutoff:
                            if fill:
                                index[found] = j
                                vector[found, 0], vector[found, 1], vector[found, 2] = x, y, z
                                distance[found] = np.sqrt(square)
                            found += 1
                            count[i] += 1
    return count


def type_indices(atoms: Atoms, elements: tuple[str, ...]) -> np.ndarray:
    """Return the index of each atom's element, (n_atoms,).

    Raises
    ------
    HopechoError
        If an element is not among `elements`.
    """
    place = {name: index for index, name in enumerate(elements)}
    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(place))
    if unknown:
        raise HopechoError(
            f"{atoms.symbols} holds elements that the potential does not know",
            got=", ".join(unknown),
            fix=f"use structures of {', '.join(elements)} or extend the material's elements",
        )
    return np.array([place[symbol] for symbol in symbols], dtype=np.int64)
