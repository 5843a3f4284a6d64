"""Structures and potentials in LAMMPS's terms: types, masses, the rotated cell, the data file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from hopecho.errors import HopechoError


@dataclass(frozen=True)
class Species:
    """The elements of a material in the order of LAMMPS's types 1, 2, ..., and their masses."""

    elements: tuple[str, ...]
    masses: tuple[float, ...]
    """Unified atomic mass units."""

    @classmethod
    def of(cls, elements: Sequence[str], *, masses: Mapping[str, float] | None = None) -> Species:
        """Natural masses, replaced where `masses` names an element (``{"Li": 7.016}`` for 7Li).

        Raises
        ------
        HopechoError
            When an element is unknown or a mass is given for one that is not in the list.
        """
        masses = dict(masses or {})
        unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
        unknown += [e for e in masses if e not in elements]
        if unknown or len(set(elements)) != len(elements):
            raise HopechoError(
                f"The elements {list(elements)} with masses {masses} make no sense",
                got=", ".join(unknown) or "an element twice",
                fix="list each element once in materials.<m>.elements; masses_u names only those",
            )
        natural = {e: float(atomic_masses[atomic_numbers[e]]) for e in elements}
        return cls(tuple(elements), tuple(masses.get(e, natural[e]) for e in elements))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(n_types,), atomic number of type 1, 2, ...."""
        return np.array([atomic_numbers[e] for e in self.elements])

    def types_of(self, atoms: Atoms) -> NDArray[np.int64]:
        """LAMMPS type of every atom, (n_atoms,), 1-based.

        Raises
        ------
        HopechoError
            When the structure holds an element that is not in the list.
        """
        index = {e: i + 1 for i, e in enumerate(self.elements)}
        missing = sorted(set(atoms.get_chemical_symbols()) - set(index))
        if missing:
            raise HopechoError(
                "The structure holds an element that the material does not list",
                got=", ".join(missing),
                fix=f"add it to materials.<m>.elements, now {list(self.elements)}",
            )
        return np.array([index[e] for e in atoms.get_chemical_symbols()])


@dataclass(frozen=True)
class LammpsFrame:
    """The cell as LAMMPS wants it, lower triangular with a positive diagonal.

    ``x_lammps = x @ rotation`` and ``x = x_lammps @ rotation.T``. For a left-handed cell `rotation`
    is improper: LAMMPS then runs the mirror image, which has the same energies and comes back
    mirrored again.
    """

    cell: NDArray[np.float64]
    """(3, 3), Angstrom."""
    rotation: NDArray[np.float64]
    """(3, 3), orthogonal."""

    def enter(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Structure's axes -> LAMMPS's axes, (..., 3)."""
        return vectors @ self.rotation

    def leave(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """LAMMPS's axes -> structure's axes, (..., 3)."""
        return vectors @ self.rotation.T


def lammps_frame(cell: NDArray[np.float64]) -> LammpsFrame:
    r"""Rotate a cell so that it is lower triangular: :math:`h = L Q`, ``rotation`` = :math:`Q^T`.

    Parameters
    ----------
    cell : (3, 3) array, Angstrom
        Cell vectors as rows.

    Raises
    ------
    HopechoError
        When the cell has no volume.
    """
    cell = np.asarray(cell, dtype=np.float64)
    if abs(np.linalg.det(cell)) < 1e-6:
        raise HopechoError(
            "MD needs a periodic cell with a volume",
            got=f"cell vectors {cell.tolist()}",
            fix="give the structure a three-dimensional cell",
        )
    if not np.triu(cell, 1).any() and (np.diag(cell) > 0).all():
        return LammpsFrame(cell.copy(), np.eye(3))
    q, r = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(r))
    lower = np.tril((r * signs[:, None]).T)
    # Round-off would make an orthogonal cell triclinic, which costs time in LAMMPS.
    lower[np.abs(lower) < 1e-12 * np.abs(lower).max()] = 0.0
    return LammpsFrame(lower, q * signs)


def write_data(path: Path, atoms: Atoms, species: Species) -> LammpsFrame:
    """Write a LAMMPS data file (``atom_style charge``) and return the frame it is written in.

    Atom ids are index + 1. Initial charges are written when the structure has them.

    Raises
    ------
    HopechoError
        When the structure is not periodic in all directions or holds an unlisted element.
    """
    if not atoms.pbc.all():
        raise HopechoError(
            "MD needs a structure that is periodic in all directions",
            got=f"pbc = {atoms.pbc.tolist()}",
            fix="set pbc and a cell in the structure file",
        )
    frame = lammps_frame(atoms.cell.array)
    types = species.types_of(atoms)
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = frame.cell
    lines = ["LAMMPS data file, ids are structure indices + 1", ""]
    lines += [f"{len(atoms)} atoms", f"{len(species.elements)} atom types", ""]
    lines += [f"0.0 {edge:.16g} {a}lo {a}hi" for a, edge in zip("xyz", (xx, yy, zz))]
    if xy or xz or yz:
        lines.append(f"{xy:.16g} {xz:.16g} {yz:.16g} xy xz yz")
    lines += ["", "Masses", ""]
    for i, (mass, element) in enumerate(zip(species.masses, species.elements), start=1):
        lines.append(f"{i} {mass:.10g}  # {element}")
    lines += ["", "Atoms  # charge", ""]
    rows = zip(types, atoms.get_initial_charges(), frame.enter(atoms.positions))
    for i, (kind, q, x) in enumerate(rows, start=1):
        lines.append(f"{i} {kind} {q:.10g} {x[0]:.16g} {x[1]:.16g} {x[2]:.16g}")
    path.write_text("\n".join(lines) + "\n")
    return frame


def quoted(path: Path | str) -> str:
    """A path as one LAMMPS word.

    Raises
    ------
    HopechoError
        It holds a character that LAMMPS cannot quote, or takes for a pattern in names of restarts.
    """
    text = str(path)
    if any(c in '"%*\x7f' or ord(c) < ord(" ") for c in text):
        raise HopechoError(
            "LAMMPS cannot take this path", got=repr(text), fix='run in a folder without " * %'
        )
    return f'"{text}"' if any(c in text for c in " #&$'") else text


def uf3_commands(
    path: Path | str, elements: Sequence[str], *, plugin: Path | None = None
) -> list[str]:
    """LAMMPS commands of a UFP potential, with its absolute path.

    Parameters
    ----------
    path : Path or str
        The ``.uf3`` file; two-body when it holds no ``3B`` block.
    elements : sequence of str
        Elements of LAMMPS types 1, 2, ....
    plugin : Path, optional
        Compiled ``uf3/fast`` (`md.fast_style`), used in place of LAMMPS's own ``uf3``.

    Raises
    ------
    HopechoError
        When the file is absent, holds no interaction, or lacks one of the elements.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise HopechoError(
            f"There is no potential {path}", fix="run the workflow up to the target potential"
        )
    words = [line.split() for line in path.read_text().splitlines() if line[:2] in ("2B", "3B")]
    known = {element for row in words for element in row[1 : 3 if row[0] == "2B" else 4]}
    missing = sorted(set(elements) - known)
    if missing:
        raise HopechoError(
            f"The potential {path} does not cover the material",
            got=f"no interaction of {', '.join(missing)}",
            fix="fit it with all of materials.<m>.elements",
        )
    degree = 3 if any(row[0] == "3B" for row in words) else 2
    coefficients = f"pair_coeff * * {quoted(path)} {' '.join(elements)}"
    if plugin is None:
        return [f"pair_style uf3 {degree}", coefficients]
    return [f"plugin load {quoted(plugin)}", f"pair_style uf3/fast {degree}", coefficients]
