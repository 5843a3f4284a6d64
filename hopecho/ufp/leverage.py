"""Leverage: how little the training data say about the forces of a new structure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.linalg import solve_triangular

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
    """Read the file of `save_leverage`."""
    with np.load(path, allow_pickle=False) as data:
        settings = json.loads(str(data["settings"]))
        free, packed = data["free"], data["factor"]
    factor = np.zeros((len(free), len(free)), order="F")
    factor[np.tril_indices(len(free))] = packed
    spec = BasisSpec(**(settings["spec"] | {"elements": tuple(settings["spec"]["elements"])}))
    return LeverageModel(spec, Weights(**settings["weights"]), factor, free)
