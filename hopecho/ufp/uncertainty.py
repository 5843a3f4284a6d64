r"""Predicted uncertainty of energy and forces: leverage of any frame, scaled by measured errors.

The minimiser of the regularised squares is the mean of a Gaussian posterior of the coefficients
with covariance

.. math:: \Sigma = s^2 A^{-1}, \qquad A = F^T W F + R,

:math:`F` the rows of the labels, :math:`W` their squared weights, :math:`R` the penalties. A label
with the weighted row :math:`f` then has the variance :math:`s^2 (1 + h)`, :math:`h = f A^{-1} f^T`
its leverage. With the true form of the energy that is exact. With a wrong one the leverage still
says where the error is larger, but not how large: `ufp.calibration` measures that.

Source: C. M. Bishop, Pattern Recognition and Machine Learning (2006), eqs. 3.49-3.59.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg.blas import strmm
from scipy.linalg.lapack import dtrtri

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.calibration import Calibration, Residuals, Term, atoms_of, calibrate, sigma_of
from hopecho.ufp.coverage import coverage, error_against_leverage
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.features import LabelledFrame, check_frame, featurise
from hopecho.ufp.fit import FitResult, fit_potential
from hopecho.ufp.leverage import LeverageModel
from hopecho.ufp.neighbours import type_indices
from hopecho.ufp.normal import Weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Shape of the posterior of the coefficients, for fast leverages.

    Attributes
    ----------
    spec : BasisSpec
    weights : Weights
    free : (n_free,), int
        Columns that were fitted.
    whitener : (n_free, n_free), float32, Fortran order
        Inverse L^-1 of the lower Cholesky factor of A: A^-1 = L^-T L^-1 and h = |L^-1 f|^2.
        Single precision halves the cost and moves h by some 1e-6 of itself.
    """

    spec: BasisSpec
    weights: Weights
    free: NDArray[np.int64]
    whitener: NDArray[np.float32]


class Leverages(NamedTuple):
    """Leverage of the rows of one frame, without unit.

    Attributes
    ----------
    energy : float
        Of the energy per atom.
    forces : (n_atoms, 3)
        Of each component; the sum over an atom's three does not depend on the axes.
    """

    energy: float
    forces: Array


class Uncertainty(NamedTuple):
    """Predicted standard deviation of label minus prediction.

    Attributes
    ----------
    energy : float, eV/atom
        For cells of about the size of the calibration's.
    forces : (n_atoms, 3), eV/A
    """

    energy: float
    forces: Array


def posterior(result: FitResult | LeverageModel) -> Posterior:
    """Return the posterior's shape from a fit, or from the file of `ufp.leverage.save_leverage`.

    Raises
    ------
    HopechoError
        If the factor of the fit is singular.
    """
    inverse, info = dtrtri(result.factor, lower=1)
    if info != 0 or not np.all(np.isfinite(np.diag(inverse))):
        raise HopechoError("the Cholesky factor is singular", fix="raise the ridge")
    whitener = np.asfortranarray(np.tril(inverse).astype(np.float32))
    return Posterior(result.spec, result.weights, result.free, whitener)


def leverages(model: Posterior, atoms: Atoms) -> Leverages:
    """Return how little the training data say about the energy and each force of a frame.

    h = f A^-1 f^T with weighted rows f. Over the training set, h of all rows (stress too) adds up
    to the effective degrees of freedom.
    """
    features = featurise(atoms, model.spec)
    n_atoms = len(atoms)
    rows = np.empty((3 * n_atoms + 1, len(model.free)), dtype=np.float32)
    rows[:-1] = features.forces.reshape(3 * n_atoms, -1)[:, model.free]
    rows[:-1] *= np.float32(model.weights.force)
    rows[-1] = features.energy[model.free] * (model.weights.energy / n_atoms)
    half = strmm(1.0, model.whitener, rows.T, lower=1, overwrite_b=1)
    values = np.einsum("ij,ij->j", half, half, dtype=np.float64)
    return Leverages(float(values[-1]), values[:-1].reshape(n_atoms, 3))


def textbook_calibration(result: FitResult) -> Calibration:
    """Return the posterior taken at its word: sigma^2 = s^2 (1 + h), s the training error.

    Nearly constant where there are many labels, and too narrow away from them: what `coverage` of a
    calibration is to be compared with.
    """
    errors = result.train_errors

    def term(name: str) -> Term:
        s = errors[f"rmse_{name}"]
        return Term(s, s, s, 1.0, 0)

    forces = {
        name: term(f"force_{name}")
        for name in result.spec.elements
        if f"rmse_force_{name}" in errors
    }
    return Calibration(forces, term("energy"), errors["rmse_force"], int(errors["n_frames"]))


def residuals(
    model: Posterior, potential: Uf3Potential, frames: Sequence[LabelledFrame]
) -> Residuals:
    """Return errors and leverages of labelled frames, for `calibrate` and `coverage`.

    Parameters
    ----------
    model, potential : of one fit
    frames : labelled frames that the fit has not seen

    Raises
    ------
    HopechoError
        If there is no frame or a label is not finite.
    """
    if not frames:
        raise HopechoError("no frame to measure the errors on", fix="give at least one")
    packed = pack(potential)
    elements, force, force_leverage, energy = [], [], [], []
    for frame in frames:
        check_frame(frame)
        prediction, found = evaluate(packed, frame.atoms), leverages(model, frame.atoms)
        elements.append(type_indices(frame.atoms, model.spec.elements))
        force.append(np.asarray(frame.forces) - prediction.forces)
        force_leverage.append(found.forces)
        n_atoms = len(frame.atoms)
        energy.append(((frame.energy - prediction.energy) / n_atoms, found.energy))
    energies = np.array(energy)
    return Residuals(
        model.spec.elements,
        np.concatenate(elements),
        np.repeat(np.arange(len(frames)), [len(frame.atoms) for frame in frames]),
        np.concatenate(force),
        np.concatenate(force_leverage),
        energies[:, 0],
        energies[:, 1],
    )


def predict_uncertainty(model: Posterior, calibration: Calibration, atoms: Atoms) -> Uncertainty:
    """Return the predicted standard deviation of the energy and of each force of a frame.

    Raises
    ------
    HopechoError
        If the frame holds an element that the potential or the calibration does not know.
    """
    found = leverages(model, atoms)
    element = type_indices(atoms, model.spec.elements)
    forces = sigma_of(calibration, model.spec.elements, element, found.forces)
    return Uncertainty(float(calibration.energy.sigma(np.array(found.energy))), forces)


def assess(
    model: Posterior,
    potential: Uf3Potential,
    audit: Sequence[LabelledFrame],
    heldout: Sequence[LabelledFrame],
    *,
    n_bins: int = 8,
) -> dict[str, Any]:
    """Calibrate on one set of frames and judge the predicted widths on another, as plain values.

    Parameters
    ----------
    model, potential : of one fit
    audit : labelled frames to calibrate on; the fit has not seen them
    heldout : labelled frames of other runs to judge on
    n_bins : bins of the leverage for each element

    Returns
    -------
    dict
        `calibration` and, per kind of error, `coverage` (`ufp.calibration`, `ufp.coverage`); `bins`
        per element of the held-out forces: leverage, rmse, stderr, sigma (root mean square of the
        predicted widths in the bin), eV/A.

    Raises
    ------
    HopechoError
        If there are too few frames of one kind or the other.
    """
    calibration = calibrate(residuals(model, potential, audit))
    errors = residuals(model, potential, heldout)
    bins = {}
    for name in atoms_of(errors):
        own = error_against_leverage(errors, element=name, n_bins=n_bins)
        term = calibration.forces[name]
        # Linear in h, so that the mean of h gives the mean square of sigma.
        widths = term.sigma(own.mean_leverage)
        bins[name] = {
            "leverage": own.leverage.tolist(),
            "rmse": own.rmse.tolist(),
            "stderr": own.stderr.tolist(),
            "sigma": widths.tolist(),
        }
    covered = {name: own.to_dict() for name, own in coverage(calibration, errors).items()}
    return {"calibration": calibration.to_dict(), "coverage": covered, "bins": bins}


def learning_curve(
    frames: Sequence[LabelledFrame],
    spec: BasisSpec,
    counts: Sequence[int],
    heldout: Sequence[LabelledFrame],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    **fit_options: Any,
) -> list[dict[str, float]]:
    """Return held-out errors against the number of training structures.

    Each seed shuffles the frames once; its smaller sets are parts of its larger ones.

    Parameters
    ----------
    frames, spec : data and basis of the fits
    counts : numbers of training structures; that of all frames is fitted once
    heldout : labelled frames that are in no fit
    seeds : of the shuffles
    fit_options : for `fit_potential`

    Returns
    -------
    list of dict
        One a fit: n_structures, seed and the metrics of `ufp.errors.error_metrics` on `heldout`.

    Raises
    ------
    HopechoError
        If a count is below 1 or above the number of frames.
    """
    if not counts or min(counts) < 1 or max(counts) > len(frames):
        raise HopechoError(
            "a learning curve needs counts from 1 to the number of structures",
            got=f"counts {list(counts)}, {len(frames)} structures",
        )
    rows = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(frames))
        for count in counts:
            if count == len(frames) and seed != seeds[0]:
                continue
            chosen = [frames[k] for k in order[:count]]
            found = fit_potential(chosen, spec, **fit_options)
            errors = error_metrics(found.potential, heldout)
            rows.append({"n_structures": count, "seed": seed, **errors})
    return rows
