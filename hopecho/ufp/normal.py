"""Streaming normal equations: memory depends on the basis, not on the number of structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from scipy.linalg.blas import dsyrk

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, layout
from hopecho.ufp.features import LabelledFrame, check_frame, featurise
from hopecho.ufp.neighbours import type_indices

STD_FLOORS = (1e-3, 1e-2, 1e-4)


@dataclass(frozen=True)
class Weights:
    """Row multipliers of the least-squares problem.

    Attributes
    ----------
    energy : float, 1/(eV/atom)
    force : float, 1/(eV/A)
    stress : float, 1/(eV/A^3)
    """

    energy: float
    force: float
    stress: float


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """F^T F, F^T y and y^T y of the weighted rows.

    Attributes
    ----------
    spec : BasisSpec
    gram : (n_columns, n_columns), Fortran order
        Lower triangle; `accumulate` adds to it in place.
    rhs : (n_columns,)
    squares : float
        y^T y.
    min_distance : (n_pairs,), Angstrom
        Shortest distance of each pair of elements seen so far.
    n_frames : int
    """

    spec: BasisSpec
    gram: np.ndarray
    rhs: np.ndarray
    squares: float
    min_distance: np.ndarray
    n_frames: int


def empty_normal(spec: BasisSpec) -> NormalEquations:
    """Return the normal equations of no structure."""
    columns = layout(spec)
    size = columns.n_columns
    closest = np.full(len(columns.tables.pair_size), np.inf)
    return NormalEquations(spec, np.zeros((size, size), order="F"), np.zeros(size), 0.0, closest, 0)


def label_weights(
    frames: Sequence[LabelledFrame],
    one_body: np.ndarray,
    spec: BasisSpec,
    *,
    energy: float = 0.5,
    force: float = 1.0,
    stress: float = 0.1,
) -> Weights:
    """Return row weights so that each kind of label adds its share of mean squared error.

    The loss is energy <dE^2>/s_E^2 + force <dF^2>/s_F^2 + stress <dS^2>/s_S^2 with s the standard
    deviations of the labels (energies per atom, after the one-body energies).

    Parameters
    ----------
    frames : labelled frames
    one_body : (n_elements,), eV
    energy, force, stress : float
        Shares; 0 leaves a kind out.
    """
    counts = composition(frames, spec.elements)
    n_atoms = counts.sum(axis=1)
    per_atom = np.array([frame.energy for frame in frames]) / n_atoms
    per_atom = per_atom - counts @ one_body / n_atoms
    components = np.concatenate([np.ravel(frame.forces) for frame in frames])
    labelled = [np.ravel(frame.stress) for frame in frames if frame.stress is not None]
    stresses = np.concatenate(labelled) if labelled else np.zeros(0)
    out = []
    for share, values, floor in zip(
        (energy, force, stress), (per_atom, components, stresses), STD_FLOORS, strict=True
    ):
        spread = max(float(np.std(values)), floor) if values.size else 1.0
        out.append(float(np.sqrt(share / max(values.size, 1))) / spread)
    return Weights(*out)


def composition(frames: Sequence[LabelledFrame], elements: tuple[str, ...]) -> np.ndarray:
    """Return the number of atoms of each element in each frame, (n_frames, n_elements)."""
    return np.array(
        [
            np.bincount(type_indices(frame.atoms, elements), minlength=len(elements))
            for frame in frames
        ],
        dtype=float,
    )


def accumulate(
    normal: NormalEquations,
    atoms: Atoms,
    energy: float,
    forces: np.ndarray,
    stress: np.ndarray | None,
    weights: Weights,
    *,
    name: str = "",
) -> NormalEquations:
    """Return the normal equations with one more structure; its Gram matrix is added in place.

    Parameters
    ----------
    normal : NormalEquations
    atoms : ase.Atoms
    energy : float, eV
        Without the one-body reference energies.
    forces : (n_atoms, 3), eV/A
    stress : (6,), eV/A^3, or None
    weights : Weights
    name : str
        Names the structure in errors.

    Raises
    ------
    HopechoError
        If a label is not finite.
    """
    frame = LabelledFrame(atoms, energy, forces, stress, name or str(atoms.symbols))
    check_frame(frame)
    rows, target, closest = weighted_rows(frame, normal.spec, weights)
    # rows.T is in Fortran order, so BLAS takes it without a copy: gram += rows^T rows.
    gram = dsyrk(1.0, rows.T, beta=1.0, c=normal.gram, overwrite_c=1, lower=1)
    return replace(
        normal,
        gram=gram,
        rhs=normal.rhs + target @ rows,
        squares=normal.squares + float(target @ target),
        min_distance=np.minimum(normal.min_distance, closest),
        n_frames=normal.n_frames + 1,
    )


def weighted_rows(
    frame: LabelledFrame, spec: BasisSpec, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (n_rows, n_columns), targets (n_rows,) and the shortest distances of a frame."""
    features = featurise(frame.atoms, spec)
    n_atoms = len(frame.atoms)
    force_rows = features.forces.reshape(3 * n_atoms, -1)
    force_rows *= weights.force
    rows = [features.energy[None] * (weights.energy / n_atoms), force_rows]
    target = [
        np.array([frame.energy * weights.energy / n_atoms]),
        np.ravel(frame.forces) * weights.force,
    ]
    if frame.stress is not None and weights.stress > 0:
        rows.append(features.stress * weights.stress)
        target.append(np.ravel(frame.stress) * weights.stress)
    return np.concatenate(rows), np.concatenate(target), features.min_distance


def combine(parts: Sequence[NormalEquations]) -> NormalEquations:
    """Return the normal equations of all structures of several parts with one basis.

    Raises
    ------
    HopechoError
        If there is no part or the bases differ.
    """
    if not parts or any(part.spec != parts[0].spec for part in parts):
        raise HopechoError("normal equations of one basis are needed", got=f"{len(parts)} parts")
    out = empty_normal(parts[0].spec)
    for part in parts:
        np.add(out.gram, part.gram, out=out.gram)
        out = replace(
            out,
            rhs=out.rhs + part.rhs,
            squares=out.squares + part.squares,
            min_distance=np.minimum(out.min_distance, part.min_distance),
            n_frames=out.n_frames + part.n_frames,
        )
    return out
