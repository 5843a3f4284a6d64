"""Gates that a label passes before it is stored, and what a failure means.

A reason is a short word that stands in file names and tables. *Transient* reasons (a killed
process, a full disk, another version of the code on one node) leave the label missing, so that the
next run tries again; every other reason is *scientific*: it would come back with the same settings
and is quarantined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

TRANSIENT = frozenset({"killed", "incomplete", "exit_code", "io_error", "version_mismatch"})
"""Reasons after which the label is computed again by the next run."""

POSITION_TOLERANCE_A = 1e-3
CELL_TOLERANCE_A = 1e-4
_UNCONVERGED = re.compile(
    r"has not reached the groundstate|SCF (?:cycle )?(?:did|has) not converged"
    r"|convergence NOT achieved",
    re.IGNORECASE,
)
_FINISHED = "Finalisation time"
_VERSION = re.compile(r"CASTEP version:?\s+([0-9][0-9.]*)")


@dataclass(frozen=True)
class Gates:
    """Limits beyond which a label is not trained on."""

    max_force_ev_a: float = 30.0
    """Largest norm of a force, eV/A."""
    max_stress_ev_a3: float = 0.5
    """Largest component of the stress, eV/A^3 (0.5 is 80 GPa)."""
    efg_trace_au: float = 5e-4
    """Largest trace and asymmetry of a field gradient, a.u. (codes print four to six digits)."""


def is_transient(reasons: Iterable[str]) -> bool:
    """Return whether every reason is transient (one scientific reason decides)."""
    return all(reason in TRANSIENT for reason in reasons)


def results_reasons(
    energy: float, forces: Array, stress: Array, *, n_atoms: int, gates: Gates
) -> list[str]:
    """Reasons against energy (eV), forces (n, 3) eV/A and stress (6,) eV/A^3."""
    forces, stress = np.asarray(forces), np.asarray(stress)
    if forces.shape != (n_atoms, 3) or stress.shape != (6,):
        return ["atom_count" if forces.shape != (n_atoms, 3) else "stress_shape"]
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return ["not_finite"]
    reasons = []
    if n_atoms and np.linalg.norm(forces, axis=1).max() > gates.max_force_ev_a:
        reasons.append("force_limit")
    if np.abs(stress).max() > gates.max_stress_ev_a3:
        reasons.append("stress_limit")
    return reasons


def efg_reasons(efg: Array, *, n_atoms: int, gates: Gates) -> list[str]:
    """Reasons against field gradients (n, 3, 3), a.u."""
    efg = np.asarray(efg)
    if efg.shape != (n_atoms, 3, 3):
        return ["efg_shape"]
    if not np.isfinite(efg).all():
        return ["not_finite"]
    reasons = []
    if np.abs(np.trace(efg, axis1=1, axis2=2)).max(initial=0.0) > gates.efg_trace_au:
        reasons.append("efg_trace")
    if np.abs(efg - efg.transpose(0, 2, 1)).max(initial=0.0) > gates.efg_trace_au:
        reasons.append("efg_asymmetry")
    return reasons


def match_atoms(
    atoms: Atoms, *, numbers: Array, cell: Array, positions: Array
) -> tuple[Array, list[str]]:
    """Find the order in which a code printed the atoms of a structure.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure that was sent.
    numbers, cell, positions : arrays (n,), (3, 3) A, (n, 3) A
        The structure that came back, in the code's order.

    Returns
    -------
    order : (n,) integer array
        ``printed[order]`` is in the order of `atoms`; empty when there is a reason.
    reasons : list of str
        ``atom_count``, ``species``, ``cell_mismatch`` or ``atom_order``.
    """
    nothing = np.empty(0, dtype=int)
    if len(numbers) != len(atoms):
        return nothing, ["atom_count"]
    if not np.array_equal(np.sort(numbers), np.sort(atoms.numbers)):
        return nothing, ["species"]
    if np.shape(cell) != (3, 3) or np.abs(cell - atoms.cell.array).max() > CELL_TOLERANCE_A:
        return nothing, ["cell_mismatch"]
    difference = atoms.positions[:, None, :] - np.asarray(positions)[None, :, :]
    fractional = difference @ np.linalg.inv(atoms.cell.array)
    distance = np.linalg.norm((fractional - np.round(fractional)) @ atoms.cell.array, axis=2)
    distance[atoms.numbers[:, None] != np.asarray(numbers)[None, :]] = np.inf
    order = distance.argmin(axis=1)
    worst = distance[np.arange(len(atoms)), order].max(initial=0.0)
    if worst > POSITION_TOLERANCE_A or len(set(order.tolist())) != len(atoms):
        return nothing, ["atom_order"]
    return order, []


def castep_reasons(text: str, *, version: str | None = None) -> list[str]:
    """Reasons found in the text of a ``.castep`` file (last record only)."""
    start = max(text.rfind("Welcome to"), 0)
    record = text[start:]
    reasons = []
    if _UNCONVERGED.search(record):
        reasons.append("scf_unconverged")
    if _FINISHED not in record:
        reasons.append("incomplete")
    printed = castep_version(record)
    if version is not None and printed is not None and printed != version:
        reasons.append("version_mismatch")
    return reasons


def castep_version(text: str) -> str | None:
    """Version number in the output of ``castep --version`` or in a ``.castep`` file."""
    found = _VERSION.search(text)
    return found.group(1) if found else None
