"""Supercells, rattles and strains: the structures that a potential learns from first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.structure import read_structure_file


def read_structure(path: str | Path) -> Atoms:
    """Read a periodic structure from a file (`hopecho.io.structure`); the last frame of several.

    Labels, velocities and names that the file carries are left behind: they do not hold for a
    supercell.

    Raises
    ------
    HopechoError
        If the file cannot be read, is of another format, or its structure is not periodic in three
        directions.
    """
    given = read_structure_file(path)
    if not given.pbc.all() or given.cell.rank < 3:
        raise HopechoError(
            f"the structure in {path} is not periodic in three directions",
            got=f"pbc {given.pbc.tolist()}, cell {given.cell.cellpar().tolist()}",
            fix="correct phases.<p>.structure: give a file with a cell",
        )
    clean = Atoms(given.numbers, given.positions, cell=given.cell, pbc=True)
    clean.info = {"provenance": "file", "source": str(path)}
    return clean


def supercell(atoms: Atoms, repeat: Sequence[int]) -> Atoms:
    """Return a supercell, cell by cell, each in the order of `atoms`.

    Parameters
    ----------
    atoms : ase.Atoms
        Cell to repeat.
    repeat : sequence of int
        Copies along the three lattice vectors, all >= 1.

    Raises
    ------
    HopechoError
        If `repeat` is not three positive integers.
    """
    copies = tuple(int(n) for n in repeat)
    if len(copies) != 3 or min(copies) < 1 or any(n != r for n, r in zip(copies, repeat)):
        raise HopechoError(
            "a supercell needs three positive integers", got=repr(repeat), fix="e.g. [1, 2, 2]"
        )
    built = atoms.repeat(copies)
    built.info = dict(atoms.info)
    return built


def rattle(atoms: Atoms, *, stdev_angstrom: float, rng: np.random.Generator) -> Atoms:
    """Return a copy with Gaussian displacements whose mean over the atoms is zero.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure, left as it is.
    stdev_angstrom : float
        Standard deviation per Cartesian component, A.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    HopechoError
        If `stdev_angstrom` is negative.
    """
    if stdev_angstrom < 0:
        raise HopechoError(
            "stdev_angstrom is negative", got=repr(stdev_angstrom), fix="give a length >= 0 A"
        )
    shifts = rng.normal(scale=stdev_angstrom, size=(len(atoms), 3))
    moved = atoms.copy()
    moved.positions += shifts - shifts.mean(axis=0)
    return moved


def strain(atoms: Atoms, *, amplitude: float, rng: np.random.Generator) -> Atoms:
    r"""Return a copy under a random homogeneous strain, with its fractional coordinates kept.

    .. math:: h' = h (1 + \epsilon), \quad \epsilon_{ij} = \epsilon_{ji} \sim U(-a, a)

    Parameters
    ----------
    atoms : ase.Atoms
        Structure, left as it is.
    amplitude : float
        Largest component of the symmetric strain, dimensionless, in [0, 0.3).
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    HopechoError
        If `amplitude` lies outside [0, 0.3).
    """
    if not 0 <= amplitude < 0.3:
        raise HopechoError(
            "strain amplitude out of range", got=repr(amplitude), fix="0 <= amplitude < 0.3"
        )
    upper = np.triu(rng.uniform(-amplitude, amplitude, size=(3, 3)))
    epsilon = upper + np.triu(upper, 1).T
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + epsilon), scale_atoms=True)
    return moved
