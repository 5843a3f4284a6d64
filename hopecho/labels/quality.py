"""Gates that a label passes before it is stored, and what a failure means.

A reason is a short word that stands in file names and tables. *Transient* reasons (a killed
process, a full disk, another version of the code on one node) leave the label missing, so that the
next run tries again; every other reason is *scientific*: it would come back with the same settings
and is quarantined.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

TRANSIENT = ("io_error", "wall_time", "killed", "version_mismatch", "incomplete", "exit_code")
"""Reasons after which the label is computed again by the next run, the most telling first."""

RETRYABLE = frozenset({"scf_unconverged", "code_error"})
"""Reasons that other settings may cure: ``labels.retries``."""

ADVICE: Mapping[str, str] = {
    "scf_unconverged": "add labels.retries with gentler mixing, more steps, bands or smearing",
    "code_error": "read the log of the record; add labels.retries or mend the settings",
    "kpoint_warning": "mend the k-point keywords in the settings of the code",
    "geometry_warning": "raise learning.min_distance_angstrom: atoms came too close",
    "charged_cell": "remove the net charge from the settings, or mend the pseudopotentials",
    "force_limit": "raise labels.max_force_ev_a (no label is computed again), or leave them out",
    "stress_limit": "raise labels.max_stress_ev_a3 (no label is computed again), or leave them out",
    "killed": "give a label more memory or time (labels.resources)",
    "wall_time": "raise labels.max_wall_min, or give a label more cores",
    "io_error": "free space on the disk of the results and of labels.store",
    "version_mismatch": "use one version of the code on all nodes (labels.version)",
}
"""What a user can do about a reason."""

POSITION_TOLERANCE_A = 1e-3
CELL_TOLERANCE_A = 1e-4


EFG_TRACE_AU = 5e-4
"""Largest trace and asymmetry of a field gradient, a.u. (codes print four to six digits)."""


@dataclass(frozen=True)
class Limits:
    """Beyond these a label is not trained on; they are judged on the stored label."""

    max_force_ev_a: float = math.inf
    """Largest norm of a force, eV/A."""
    max_stress_ev_a3: float = math.inf
    """Largest component of the stress, eV/A^3 (0.5 is 80 GPa)."""


def is_transient(reasons: Iterable[str]) -> bool:
    """Return whether every reason is transient (one scientific reason decides)."""
    return all(reason in TRANSIENT for reason in reasons)


def by_weight(reasons: Iterable[str]) -> list[str]:
    """Sort reasons: a scientific one decides, and of transient ones the most telling."""
    rank = {reason: number for number, reason in enumerate(TRANSIENT)}
    return sorted(reasons, key=lambda reason: rank.get(reason, -1))


def results_reasons(
    energy: float, forces: Array, stress: Array | None, *, n_atoms: int
) -> list[str]:
    """Reasons against energy (eV), forces (n, 3) eV/A and stress (6,) eV/A^3 or None."""
    forces = np.asarray(forces)
    if forces.shape != (n_atoms, 3):
        return ["atom_count"]
    if stress is not None and np.shape(stress) != (6,):
        return ["stress_shape"]
    values = [np.asarray(energy), forces, np.zeros(6) if stress is None else np.asarray(stress)]
    return [] if all(np.isfinite(v).all() for v in values) else ["not_finite"]


def limit_reasons(forces: Array, stress: Array | None, limits: Limits) -> list[str]:
    """Reasons against finite forces (n, 3), eV/A, and stress (6,), eV/A^3 or None."""
    reasons = []
    if np.linalg.norm(forces, axis=1).max(initial=0.0) > limits.max_force_ev_a:
        reasons.append("force_limit")
    if stress is not None and np.abs(stress).max() > limits.max_stress_ev_a3:
        reasons.append("stress_limit")
    return reasons


def charge_reasons(printed: re.Match[str] | None) -> list[str]:
    """Reasons against a net charge (group 1 of what was found in an output), e."""
    if printed is None:
        return []
    try:
        charge = float(printed.group(1))
    except ValueError:
        return ["unreadable_output"]
    return [] if abs(charge) <= 1e-6 else ["charged_cell"]


def efg_reasons(efg: Array, *, n_atoms: int) -> list[str]:
    """Reasons against field gradients (n, 3, 3), a.u."""
    efg = np.asarray(efg)
    if efg.shape != (n_atoms, 3, 3):
        return ["efg_shape"]
    if not np.isfinite(efg).all():
        return ["not_finite"]
    reasons = []
    if np.abs(np.trace(efg, axis1=1, axis2=2)).max(initial=0.0) > EFG_TRACE_AU:
        reasons.append("efg_trace")
    if np.abs(efg - efg.transpose(0, 2, 1)).max(initial=0.0) > EFG_TRACE_AU:
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
    near = np.shape(cell) == (3, 3) and np.abs(cell - atoms.cell.array).max() <= CELL_TOLERANCE_A
    if not near:  # so that NaN is not near
        return nothing, ["cell_mismatch"]
    if not np.isfinite(positions).all():
        return nothing, ["atom_order"]
    difference = atoms.positions[:, None, :] - np.asarray(positions)[None, :, :]
    fractional = difference @ np.linalg.inv(atoms.cell.array)
    distance = np.linalg.norm((fractional - np.round(fractional)) @ atoms.cell.array, axis=2)
    distance[atoms.numbers[:, None] != np.asarray(numbers)[None, :]] = np.inf
    order = distance.argmin(axis=1)
    worst = distance[np.arange(len(atoms)), order].max(initial=0.0)
    if worst > POSITION_TOLERANCE_A or len(set(order.tolist())) != len(atoms):
        return nothing, ["atom_order"]
    return order, []
