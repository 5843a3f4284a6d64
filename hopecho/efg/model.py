r"""Models of field gradient tensors: ridge regression, or sparse SA-GPR, on equivariant features.

.. math:: t_M(i) = \sum_f w_f x_{fM}(i), \qquad
          \min_w \sum_{i M} |t_M(i) - \hat t_M(i)|^2 + \lambda N |w / s|^2

One weight for all five components M makes the prediction exactly covariant. In SA-GPR the weights
are scalar functions of the environment (`hopecho.efg.sparse`), and the fit is the same in other
columns. Only the normal equations are kept, so memory does not grow with the data. Features are
scaled by block (s) so that the summed variance of a block is the square of its weight; lambda is
chosen by cross-validation over whole structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.committee import calibrate, members, nested_members
from hopecho.efg.features import FeatureSpec, features_of, invariants
from hopecho.efg.modelfile import EfgModel, load_model, save_model
from hopecho.efg.normal import Normal, accumulate, cross_validate, solve_or_fail, total_of
from hopecho.efg.novelty import Moments, Novelty, with_limits
from hopecho.efg.sparse import local_weights, normalised
from hopecho.efg.training import (
    Columns,
    EfgSettings,
    TrainingData,
    block_scale,
    densities_of,
    make_columns,
    make_spec,
    prepare,
)

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

__all__ = [
    "EfgModel",
    "EfgSettings",
    "Validation",
    "explicit_prediction",
    "fit_efg_model",
    "frame_features",
    "load_model",
    "make_spec",
    "save_model",
    "validate_settings",
]


@dataclass(frozen=True)
class Validation:
    """What cross-validation over structures says of some settings."""

    squares: Array
    """(n_folds, n_ridge): mean squared error of a component in each left-out fold, a.u.^2."""
    rows: IntArray
    """(n_folds,): components in each."""
    variance: float
    """Mean square of a component, a.u.^2."""
    n_columns: int


def fit_efg_model(
    frames: Sequence[Atoms],
    efgs: Sequence[Array] | None = None,
    *,
    settings: EfgSettings | None = None,
) -> EfgModel:
    """Fit the tensors of the probe atoms.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Periodic structures.
    efgs : sequence of ndarray, (n_atoms, 3, 3), a.u., optional
        Tensors of all atoms; only the probe's are used. Default: the array ``efg`` of each frame.
    settings : EfgSettings, optional
        Features and regularisation.

    Returns
    -------
    EfgModel

    Raises
    ------
    HopechoError
        Fewer structures than folds, no probe atom, too few environments for the inducing set, or
        labels that are missing, not finite or of the wrong shape.
    """
    settings = settings or EfgSettings()
    data = prepare(frames, efgs, settings)
    columns = make_columns(data, settings)
    folds, scale = _equations(data, columns, settings)
    rows = sum(f.rows for f in folds)
    rmse = np.sqrt(cross_validate(folds, settings.ridge).sum(axis=0) / rows)
    best = settings.ridge[int(np.argmin(rmse))]
    weights = solve_or_fail(total_of(folds), best) * scale
    calibration = calibrate(data.rows(columns), nested_members(folds, best) * scale)
    return EfgModel(
        data.spec,
        columns.stored(weights),
        columns.stored(members(folds, best) * scale),
        columns.inducing,
        calibration,
        _novelty(data),
        best,
        np.array(settings.ridge),
        rmse,
        len(frames),
        rows // 5,
    )


def validate_settings(frames: Sequence[Atoms], *, settings: EfgSettings) -> Validation:
    """Cross-validate settings without fitting a model; errors as `fit_efg_model`."""
    data = prepare(frames, None, settings)
    columns = make_columns(data, settings)
    folds, _ = _equations(data, columns, settings)
    rows = np.array([f.rows for f in folds])
    squares = cross_validate(folds, settings.ridge) / rows[:, None]
    return Validation(squares, rows, sum(f.yy for f in folds) / int(rows.sum()), columns.count)


def explicit_prediction(model: EfgModel, atoms: Atoms) -> Array:
    """Predict through the explicit features: slow, the reference of `hopecho.efg.predict`.

    Returns
    -------
    ndarray, (n_probe, 5)
        Isometric components, a.u.
    """
    c, sums = densities_of(atoms, model.spec)
    x = features_of(c, sums, model.spec)
    if model.inducing is None:
        return np.asarray(x @ model.weights)
    known = normalised(invariants(model.inducing.channels))
    kernel = (normalised(invariants(c)) @ known.T) ** (model.inducing.zeta - 1)
    weights = kernel @ local_weights(model.inducing, model.spec, model.weights)
    return np.einsum("imf,if->im", x, weights)


def frame_features(atoms: Atoms, spec: FeatureSpec) -> Array:
    """Return the features (n_probe, 5, n_features) of one structure, probes in atom order."""
    return features_of(*densities_of(atoms, spec), spec)


def _equations(
    data: TrainingData, columns: Columns, settings: EfgSettings
) -> tuple[list[Normal], Array]:
    """Normal equations by fold in scaled columns, and the scale; one trajectory is in one fold."""
    folds = accumulate(data.rows(columns), n=columns.count, n_folds=settings.n_folds)
    if columns.inducing is not None:
        return folds, np.ones(columns.count)
    total = total_of(folds)
    variance = np.diag(total.xx) / total.rows
    scale = block_scale(variance, data.spec, settings.pair_weight)
    return [f.scaled(scale) for f in folds], scale


def _novelty(data: TrainingData) -> Novelty:
    moments = Moments(data.spec.n_invariants)
    for _, c, _, _ in data.densities():
        moments.add(invariants(c))
    novelty = moments.principal()
    distances = [novelty.distances(invariants(c).T) for _, c, _, _ in data.densities()]
    return with_limits(novelty, np.concatenate(distances, axis=1))
