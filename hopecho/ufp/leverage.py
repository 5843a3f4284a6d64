"""Leverage: how little the training data say about the forces of a new structure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.linalg import solve_triangular

from hopecho.errors import HopechoError
from hopecho.io.arrays import read_arrays
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.features import featurise
from hopecho.ufp.fit import FitResult
from hopecho.ufp.normal import Weights


@dataclass(frozen=True, eq=False)
class LeverageModel:
    """What the leverage of a new structure needs: see `FitResult` for the fields."""

    spec: BasisSpec
    weights: Weights
    factor: np.ndarray
    free: np.ndarray = field(repr=False)


def leverage(model: FitResult | LeverageModel, atoms: Atoms) -> np.ndarray:
    """Return the leverage of each atom's three force rows, (n_atoms,).

    h_i = trace of f_i A^-1 f_i^T with weighted rows f_i: large where the data say little. Over the
    training set the leverages of all rows add up to the effective degrees of freedom.
    """
    rows = featurise(atoms, model.spec).forces.reshape(3 * len(atoms), -1)[:, model.free]
    rows *= model.weights.force
    half = solve_triangular(model.factor, rows.T, lower=True, check_finite=False)
    return np.sum(half**2, axis=0).reshape(len(atoms), 3).sum(axis=1)


def save_leverage(path: str | Path, result: FitResult) -> None:
    """Write what `leverage` needs as .npz (no pickle): the packed factor, columns and settings."""
    settings = {"spec": asdict(result.spec), "weights": asdict(result.weights)}
    packed = result.factor[np.tril_indices(len(result.factor))]
    np.savez_compressed(
        path, factor=packed, free=result.free, settings=np.array(json.dumps(settings))
    )


def load_leverage(path: str | Path) -> LeverageModel:
    """Read the file of `save_leverage`.

    Raises
    ------
    HopechoError
        If the file is missing, damaged or of another kind.
    """
    arrays = read_arrays(path)
    try:
        settings = json.loads(str(arrays["settings"]))
        free, packed = arrays["free"], np.asarray(arrays["factor"], dtype=float)
        n = len(free)
        if packed.shape != (n * (n + 1) // 2,) or not np.isfinite(packed).all():
            raise ValueError(f"a factor of shape {packed.shape} for {n} columns")
        factor = np.zeros((n, n), order="F")
        factor[np.tril_indices(n)] = packed
        spec = BasisSpec(**(settings["spec"] | {"elements": tuple(settings["spec"]["elements"])}))
        weights = Weights(**settings["weights"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise HopechoError(
            f"{path} is no leverage of a fit",
            got=f"{type(error).__name__}: {error}",
            fix="delete it: the fit writes it again",
        ) from error
    return LeverageModel(spec, weights, factor, free)
