"""Supercells, rattles and strains: the structures that a potential learns from first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from ase.io.formats import filetype

from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames

FORMATS = ("cif", "vasp", "extxyz", "xsf", "res", "aims", "lammps-data")
"""ASE's names of formats whose readers run nothing and unpickle nothing."""


def read_structure(path: str | Path) -> Atoms:
    """Read a periodic structure from a file of one of `FORMATS`; the last frame of several.

    Labels, velocities and names that the file carries are left behind: they do not hold for a
    supercell.

    Raises
    ------
    HopechoError
        If the file cannot be read, is of another format, or its structure is not periodic in three
        directions.
    """
    try:
        given = _read_last(Path(path))
    except HopechoError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise HopechoError(
            f"cannot read a structure from {path}",
            got=f"{type(error).__name__}: {error}",
            fix="correct phases.<p>.structure: a CIF, POSCAR, extended XYZ, ... of a crystal",
        ) from None
    if not given.pbc.all() or given.cell.rank < 3:
        raise HopechoError(
            f"the structure in {path} is not periodic in three directions",
            got=f"pbc {given.pbc.tolist()}, cell {given.cell.cellpar().tolist()}",
            fix="correct phases.<p>.structure: give a file with a cell",
        )
    clean = Atoms(given.numbers, given.positions, cell=given.cell, pbc=True)
    clean.info = {"provenance": "file", "source": str(path)}
    return clean


def _read_last(path: Path) -> Atoms:
    kind = filetype(str(path))
    if kind not in FORMATS or path.suffix in (".gz", ".bz2", ".xz"):
        raise ValueError(f"{kind} is none of the formats {', '.join(FORMATS)}")
    if kind == "extxyz":
        return read_frames(path)[-1]
    if kind == "vasp":
        _check_counts(path.read_text(encoding="utf-8").splitlines())
    atoms: Atoms = read(path, index=-1, format=kind, do_not_split_by_at_sign=True)  # type: ignore
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ValueError("a coordinate or the cell is not finite")
    return atoms


def _check_counts(lines: list[str]) -> None:
    """ASE makes the atoms that a POSCAR claims before it looks for their lines."""
    words = [word for line in lines[5:7] for word in line.split()]
    if any(word.isdecimal() and int(word) > len(lines) for word in words):
        raise ValueError(f"more atoms claimed than the {len(lines)} lines can hold")


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
