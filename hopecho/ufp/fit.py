"""Regularised linear fit of a UF3 potential and its cross-validation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.lapack import dpotri

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.core import Core, with_core
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.features import LabelledFrame, check_frame
from hopecho.ufp.normal import (
    NormalEquations,
    Weights,
    accumulate,
    combine,
    composition,
    empty_normal,
    label_weights,
)
from hopecho.ufp.penalty import Regularisation, penalty_matrix

JITTER = 1e-12


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted potential with what is needed to judge it and to choose further data.

    Attributes
    ----------
    potential : Uf3Potential
    coefficients : (n_columns,), eV
    train_errors : dict
        See `ufp.errors.error_metrics`.
    effective_dof : float
        Trace of the hat matrix: the number of coefficients that the data determine.
    factor : (n_free, n_free)
        Lower Cholesky factor of the regularised Gram matrix.
    free : (n_free,), int
        Columns of the factor: all but the one-body energies that were given.
    spec, weights, regularisation : what was fitted and how
    min_distance : (n_pairs,), Angstrom
        Shortest distance of each pair of elements in the data.
    """

    potential: Uf3Potential
    coefficients: np.ndarray
    train_errors: dict[str, float]
    effective_dof: float
    factor: np.ndarray
    free: np.ndarray
    spec: BasisSpec
    weights: Weights
    regularisation: Regularisation
    min_distance: np.ndarray


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Held-out losses of several regularisations.

    Attributes
    ----------
    candidates : tuple of Regularisation
    losses : (n_candidates,)
        Weighted mean squared error of structures that were left out; 1 is a zero model.
    stderr : (n_candidates,)
        Standard error of the losses, from the scatter over the folds.
    best : Regularisation
    """

    candidates: tuple[Regularisation, ...]
    losses: np.ndarray
    stderr: np.ndarray
    best: Regularisation


def one_body_reference(
    frames: Sequence[LabelledFrame], elements: tuple[str, ...]
) -> dict[str, float]:
    """Return one-body energies (eV) by least squares; the shortest vector where degenerate.

    With one composition only its total is determined, and any split gives the same predictions.
    """
    counts = composition(frames, elements)
    energies = np.array([frame.energy for frame in frames])
    solution = np.linalg.lstsq(counts, energies, rcond=1e-8)[0]
    return {name: float(value) for name, value in zip(elements, solution, strict=True)}


def fit_potential(
    frames: Sequence[LabelledFrame],
    spec: BasisSpec,
    *,
    regularisation: Regularisation | None = None,
    shares: Mapping[str, float] | None = None,
    one_body: Mapping[str, float] | None = None,
    core: Core | None = None,
) -> FitResult:
    """Fit a potential: minimise the weighted squared error plus the penalties.

    Parameters
    ----------
    frames : labelled frames
    spec : BasisSpec
    regularisation : penalties; the defaults where None
    shares : {"energy", "force", "stress"} shares of the loss; see `label_weights`
    one_body : energy of one atom of each element, eV; fitted where None
    core : shape of the repulsive core

    Raises
    ------
    HopechoError
        If there are no frames, a label is not finite (the frame is named) or an element unknown.

    Source: Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023), eqs. 11-14.
    """
    penalty = regularisation or Regularisation()
    reference, weights = _references(frames, spec, shares, one_body)
    normal = empty_normal(spec)
    for frame in frames:
        normal = _add(normal, frame, reference, weights)
    matrix = penalty_matrix(spec, penalty)
    free = _free_columns(spec, fit_one_body=one_body is None)
    solution, factor = _solve(normal, matrix, free)
    coefficients = with_core(spec, solution, normal.min_distance, core or Core())
    potential = potential_from(spec, coefficients, reference)
    return FitResult(
        potential,
        coefficients,
        error_metrics(potential, frames),
        _effective_dof(factor, matrix[np.ix_(free, free)]),
        factor,
        free,
        spec,
        weights,
        penalty,
        normal.min_distance,
    )


def _references(
    frames: Sequence[LabelledFrame],
    spec: BasisSpec,
    shares: Mapping[str, float] | None,
    one_body: Mapping[str, float] | None,
) -> tuple[dict[str, float], Weights]:
    if not frames:
        raise HopechoError("no labelled frame to fit", fix="label structures first")
    for frame in frames:
        check_frame(frame)
    if one_body is None:
        reference = one_body_reference(frames, spec.elements)
    else:
        missing = set(spec.elements) - set(one_body)
        if missing:
            raise HopechoError("one-body energies are missing", got=", ".join(sorted(missing)))
        reference = {name: float(one_body[name]) for name in spec.elements}
    energies = np.array(list(reference.values()))
    return reference, label_weights(frames, energies, spec, **dict(shares or {}))


def _add(
    normal: NormalEquations, frame: LabelledFrame, reference: Mapping[str, float], weights: Weights
) -> NormalEquations:
    energy = frame.energy - sum(reference[name] for name in frame.atoms.get_chemical_symbols())
    labels = (energy, frame.forces, frame.stress)
    return accumulate(normal, frame.atoms, *labels, weights, name=frame.name)


def _factorise(normal: NormalEquations, penalty: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of the regularised Gram matrix of the free columns."""
    matrix = normal.gram[np.ix_(free, free)] + penalty[np.ix_(free, free)]
    matrix[np.diag_indices_from(matrix)] += JITTER * np.trace(matrix) / len(matrix)
    try:
        return cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise HopechoError(
            "the normal equations are not positive definite",
            got=str(error),
            fix="raise the ridge or add structures",
        ) from error


def _solve(
    normal: NormalEquations, penalty: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise over the free columns with the others at zero; return coefficients and factor."""
    factor = _factorise(normal, penalty, free)
    out = np.zeros(len(normal.rhs))
    out[free] = cho_solve((factor, True), normal.rhs[free], check_finite=False)
    return out, factor


def _free_columns(spec: BasisSpec, *, fit_one_body: bool) -> np.ndarray:
    """Return the columns to fit: given one-body energies are not touched."""
    return np.arange(0 if fit_one_body else len(spec.elements), layout(spec).n_columns)


def _effective_dof(factor: np.ndarray, penalty: np.ndarray) -> float:
    """Return trace of A^-1 (A - R) = n - trace(A^-1 R) with A the regularised Gram matrix."""
    inverse, info = dpotri(factor, lower=1)
    if info != 0:
        raise HopechoError("the Cholesky factor is singular", fix="raise the ridge")
    # dpotri fills the lower triangle: count its strict part twice.
    lower = np.sum(np.tril(inverse, -1) * np.tril(penalty, -1))
    overlap = 2 * lower + np.sum(np.diag(inverse) * np.diag(penalty))
    return float(len(factor) - overlap)


def cross_validate(
    frames: Sequence[LabelledFrame],
    spec: BasisSpec,
    candidates: Sequence[Regularisation],
    *,
    folds: int = 5,
    groups: Sequence[Hashable] | None = None,
    shares: Mapping[str, float] | None = None,
    one_body: Mapping[str, float] | None = None,
) -> CrossValidation:
    """Compare regularisations on structures left out; features are computed once.

    Memory: one Gram matrix a fold. The cores are not applied.

    Parameters
    ----------
    frames, spec, shares, one_body : see `fit_potential`
    candidates : regularisations to compare
    folds : number of parts; each is left out once
    groups : group of each frame (its trajectory, say); a group is never split. Default: each frame.

    Raises
    ------
    HopechoError
        If there are fewer than two groups or folds, or a label is not finite.
    """
    labels = list(range(len(frames))) if groups is None else list(groups)
    part = {group: number % folds for number, group in enumerate(dict.fromkeys(labels))}
    n_parts = len(set(part.values()))
    if n_parts < 2 or not candidates:
        raise HopechoError(
            "cross-validation needs two groups and a candidate",
            got=f"{n_parts} parts, {len(candidates)} candidates",
            fix="give more structures, groups or folds",
        )
    reference, weights = _references(frames, spec, shares, one_body)
    parts = [empty_normal(spec) for _ in range(n_parts)]
    for frame, group in zip(frames, labels, strict=True):
        parts[part[group]] = _add(parts[part[group]], frame, reference, weights)
    free = _free_columns(spec, fit_one_body=one_body is None)
    losses = np.zeros((n_parts, len(candidates)))
    penalties = [penalty_matrix(spec, candidate) for candidate in candidates]
    for left_out in range(n_parts):
        train = combine([part for number, part in enumerate(parts) if number != left_out])
        for number, penalty in enumerate(penalties):
            solution, _ = _solve(train, penalty, free)
            losses[left_out, number] = _loss(parts[left_out], solution)
    # Folds of equal weight in the sum: their scatter is that of its terms.
    losses *= n_parts / sum(part.squares for part in parts)
    mean = losses.mean(axis=0)
    stderr = losses.std(axis=0, ddof=1) / np.sqrt(n_parts)
    return CrossValidation(tuple(candidates), mean, stderr, candidates[int(np.argmin(mean))])


def _loss(normal: NormalEquations, coefficients: np.ndarray) -> float:
    """Return sum |y - F c|^2 = y^T y - 2 c^T F^T y + c^T F^T F c."""
    lower = np.tril(normal.gram)
    product = lower @ coefficients + np.tril(normal.gram, -1).T @ coefficients
    return normal.squares - 2 * float(coefficients @ normal.rhs) + float(coefficients @ product)
