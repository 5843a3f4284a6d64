"""Tetrahedral polyanions: their angles, how fast these change, and their rotation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from scipy import fft

from hopecho.dynamics.rdf import require_nearest_image
from hopecho.dynamics.vibrations import MAX_STRIDE_PS
from hopecho.errors import HopechoError
from hopecho.units import THZ_TO_CM1

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW_PASS_CM1 = 5.0
"""Threshold for drawn time series of angles, as in the Source of `tetrahedral_angles`."""

# Vertex i and the pair (j, k): the twelve angles j-i-k of four ligands.
_CORNERS = np.array(
    [(i, j, k) for i in range(4) for j, k in combinations([n for n in range(4) if n != i], 2)]
)


@dataclass(frozen=True)
class Units:
    """Tetrahedra, fixed from one structure: centres, their four ligands, and their images."""

    centres: Ints
    """(n_units,), atom indices."""
    ligands: Ints
    """(n_units, 4), atom indices."""
    shifts: Array
    """(n_units, 4, 3), A: ligand + shift is the image bonded to the centre."""

    def vectors(self, positions: NDArray[np.floating[Any]]) -> Array:
        """Centre to ligand, (n_frames, n_units, 4, 3), A, from unwrapped (n_frames, n_atoms, 3)."""
        x = np.asarray(positions)
        ligands = x[:, self.ligands].astype(np.float64) + self.shifts
        return np.asarray(ligands - x[:, self.centres][:, :, None], dtype=np.float64)


def find_units(
    positions: NDArray[np.floating[Any]],
    numbers: NDArray[np.integer[Any]],
    cell: Array,
    *,
    centre: str,
    ligand: str,
    cutoff_angstrom: float,
) -> Units:
    """Find the tetrahedra of one structure; they stay the same for the whole trajectory.

    Parameters
    ----------
    positions : ndarray
        (n_atoms, 3), A: the ideal structure, or a frame in which every unit is whole. Frames to be
        analysed must continue it (unwrapped).
    numbers : ndarray
        (n_atoms,), atomic numbers.
    cell : ndarray
        (3, 3), A.
    centre, ligand : str
        Elements, such as P and S.
    cutoff_angstrom : float
        Longest bond, A. A centre with another number of ligands than four (as in P2S6) is left out.

    Raises
    ------
    HopechoError
        If no centre has four ligands, or the cell is too small or too skewed for the cutoff.
    """
    x = np.asarray(positions, dtype=np.float64)
    cell = np.asarray(cell, dtype=np.float64)
    require_nearest_image(cell, cutoff_angstrom)
    centres = np.flatnonzero(np.asarray(numbers) == atomic_numbers[centre])
    ligands = np.flatnonzero(np.asarray(numbers) == atomic_numbers[ligand])
    between = x[ligands][None] - x[centres][:, None]
    shift = -np.rint(between @ np.linalg.inv(cell)) @ cell
    bonded = np.linalg.norm(between + shift, axis=2) < cutoff_angstrom
    whole = np.flatnonzero(bonded.sum(1) == 4)
    if len(whole) == 0:
        raise HopechoError(
            f"No {centre} has four {ligand} within {cutoff_angstrom:g} A.",
            got=f"numbers of neighbours {sorted(set(bonded.sum(1).tolist()))}",
            fix="check materials.<m>.polyanion",
        )
    own = np.array([np.flatnonzero(bonded[c]) for c in whole])
    return Units(centres[whole], ligands[own], shift[whole[:, None], own])


def tetrahedral_angles(positions: NDArray[np.floating[Any]], units: Units) -> Array:
    r"""Ligand-ligand-ligand angles, :math:`\cos\theta = d_{ij} \cdot d_{ik} / |d_{ij}||d_{ik}|`.

    Twelve a tetrahedron; 60 degrees in a regular one.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_atoms, 3), A, unwrapped, continuing the structure of `find_units`.
    units : Units
        The tetrahedra.

    Returns
    -------
    ndarray
        (n_frames, n_units, 12), degrees.

    Source: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024), eqn (4).
    """
    return np.degrees(np.arccos(np.clip(_cosines(units.vectors(positions)), -1.0, 1.0)))


def _edges(vectors: Array) -> tuple[Array, Array]:
    """Edges i -> j and i -> k of each corner, (..., 12, 3), from corners (..., 4, 3)."""
    i, j, k = _CORNERS.T
    return vectors[..., j, :] - vectors[..., i, :], vectors[..., k, :] - vectors[..., i, :]


def _cosines(vectors: Array) -> Array:
    first, second = _edges(vectors)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray((first * second).sum(-1) / lengths, dtype=np.float64)


def angular_velocity(angles: Array, *, stride_ps: float) -> Array:
    r"""Rate of each angle, :math:`[\theta(t + dt) - \theta(t - dt)] / 2 dt`.

    The stride must be the step of the MD: at 10 fs a mode of 600 cm-1 loses a fifth of its rate.
    Where velocities are at hand, `angular_velocity_exact` has no such loss.

    Parameters
    ----------
    angles : ndarray
        (n_frames, ...), degrees.
    stride_ps : float
        Time between frames, ps.

    Returns
    -------
    ndarray
        (n_frames - 2, ...), degrees/ps.

    Raises
    ------
    HopechoError
        For frames more than 10 fs apart.

    Source: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024), eqn (5).
    """
    if not 0.0 < stride_ps <= MAX_STRIDE_PS * (1.0 + 1e-6):
        raise HopechoError(
            "The frames are too sparsely sampled for angular velocities.",
            got=f"one frame every {1e3 * stride_ps:g} fs",
            fix="write frames every step of the MD, or use velocities (angular_velocity_exact)",
        )
    return np.asarray((angles[2:] - angles[:-2]) / (2.0 * stride_ps), dtype=np.float64)


def angular_velocity_exact(
    positions: NDArray[np.floating[Any]], velocities: NDArray[np.floating[Any]], units: Units
) -> Array:
    """Rate of each angle from velocities of the same frames: the limit of a vanishing step.

    Positions (n_frames, n_atoms, 3) A and velocities A/ps; (n_frames, n_units, 12) degrees/ps.
    """
    first, second = _edges(units.vectors(positions))
    at_rest = Units(units.centres, units.ligands, np.zeros_like(units.shifts))
    first_rate, second_rate = _edges(at_rest.vectors(velocities))
    a2, b2 = (first**2).sum(-1), (second**2).sum(-1)
    length = np.sqrt(a2 * b2)
    cosine = (first * second).sum(-1) / length
    rate = ((first_rate * second).sum(-1) + (first * second_rate).sum(-1)) / length
    rate -= cosine * ((first * first_rate).sum(-1) / a2 + (second * second_rate).sum(-1) / b2)
    return np.degrees(-rate / np.sqrt(np.maximum(1.0 - cosine**2, 1e-12)))


def rotation(
    positions: NDArray[np.floating[Any]],
    velocities: NDArray[np.floating[Any]],
    units: Units,
    *,
    masses_u: Array,
) -> Array:
    r"""Angular velocity of each unit as a rigid body, :math:`\omega = I^{-1} L`.

    About the unit's own centre of mass; internal vibrations carry no angular momentum.

    Parameters
    ----------
    positions, velocities : ndarray
        (n_frames, n_atoms, 3), A and A/ps, same frames.
    units : Units
        The tetrahedra.
    masses_u : ndarray
        (n_atoms,), u.

    Returns
    -------
    ndarray
        (n_frames, n_units, 3), rad/ps.
    """
    corners = units.vectors(positions)
    x = np.concatenate([np.zeros_like(corners[:, :, :1]), corners], axis=2)
    members = np.column_stack([units.centres, units.ligands])
    mass = np.asarray(masses_u, dtype=np.float64)[members][None, :, :, None]
    v = np.asarray(velocities)[:, members].astype(np.float64)
    x = x - (mass * x).sum(2, keepdims=True) / mass.sum(2, keepdims=True)
    momentum = (mass * np.cross(x, v)).sum(2)
    square = (mass * x * x).sum((2, 3))[..., None, None] * np.eye(3)
    inertia = square - np.einsum("tuak,tual->tukl", mass * x, x)
    return np.asarray(np.linalg.solve(inertia, momentum[..., None])[..., 0], dtype=np.float64)


def low_pass(series: Array, *, stride_ps: float, cutoff_cm1: float = LOW_PASS_CM1) -> Array:
    """Fourier filter along the first axis, for drawing; distributions are taken without it."""
    spectrum = fft.rfft(series, axis=0)
    spectrum[fft.rfftfreq(len(series), stride_ps) * THZ_TO_CM1 > cutoff_cm1] = 0.0
    return np.asarray(fft.irfft(spectrum, len(series), axis=0), dtype=np.float64)


def density(values: Array, edges: Array) -> Array:
    """Probability density of all values, (n_bins,), per unit of the edges; outliers count."""
    counts, _ = np.histogram(values, edges)
    return np.asarray(counts / (np.diff(edges) * np.size(values)), dtype=np.float64)
