r"""Linear model of field gradient tensors: ridge regression on equivariant features.

.. math:: t_M(i) = \sum_f w_f x_{fM}(i), \qquad
          \min_w \sum_{i M} |t_M(i) - \hat t_M(i)|^2 + \lambda N |w / s|^2

One weight for all five components M makes the prediction exactly covariant. Only the normal
equations are kept, so memory does not grow with the data. Features are scaled by block (s) so that
the summed variance of a block is the square of its weight; lambda is chosen by cross-validation
over whole structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from hopecho.efg.density import kinds_of, make_frame
from hopecho.efg.features import FeatureSpec, features
from hopecho.efg.radial import RadialBasis, RadialTable, tabulate
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

FORMAT = 1
"""Version of model.npz."""


@dataclass(frozen=True)
class EfgSettings:
    """Choices of a fit; the defaults suit Li in a sulfide with some thousands of tensors."""

    probe: str = "Li"
    """Element whose tensors are modelled."""
    basis: RadialBasis = field(default_factory=RadialBasis)
    centre_weight: float = 1.0
    long_range_width: float = 2.0
    """Gaussian width of the lattice sums, A (about a third of the cutoff); 0 leaves them out."""
    pair_weight: float = 3.0
    """Weight of the nu = 1 blocks relative to nu = 2: larger is penalised less."""
    ridge: tuple[float, ...] = tuple(float(10.0**k) for k in range(-10, -1))
    """Candidates for lambda."""
    n_folds: int = 5


@dataclass(frozen=True)
class EfgModel:
    """A fitted model and all that prediction needs."""

    spec: FeatureSpec
    weights: Array
    """(n_features,), a.u. per unit of feature."""
    ridge: float
    """The chosen lambda."""
    ridge_candidates: Array
    cv_rmse: Array
    """(n_ridge,): cross-validated RMSE of an isometric component, a.u."""
    n_structures: int
    n_tensors: int


@dataclass(frozen=True)
class _Normal:
    """Normal equations of some structures: X^T X, X^T y, y^T y and the number of rows."""

    xx: Array
    xy: Array
    yy: float
    rows: int

    def __add__(self, other: _Normal) -> _Normal:
        return _Normal(
            self.xx + other.xx, self.xy + other.xy, self.yy + other.yy, self.rows + other.rows
        )

    def scaled(self, s: Array) -> _Normal:
        """Return the equations for features multiplied by s."""
        return _Normal(self.xx * s[:, None] * s, self.xy * s, self.yy, self.rows)


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
        Fewer structures than folds, no probe atom, or labels that are missing, not finite or of
        the wrong shape.
    """
    settings = settings or EfgSettings()
    if efgs is None:
        efgs = [_label(atoms) for atoms in frames]
    if len(frames) < max(settings.n_folds, 2) or len(efgs) != len(frames):
        raise HopechoError(
            "Too few labelled structures to fit an EFG model",
            got=f"{len(frames)} structures, {len(efgs)} label arrays, {settings.n_folds} folds",
            fix="label more structures or lower efg.folds",
        )
    spec = make_spec(frames, settings)
    folds = _accumulate(frames, efgs, spec, settings.n_folds)
    total = sum(folds[1:], start=folds[0])
    scale = _block_scale(total, spec, settings.pair_weight)
    rmse = _cross_validate([f.scaled(scale) for f in folds], settings.ridge)
    best = settings.ridge[int(np.argmin(rmse))]
    weights = _solve(total.scaled(scale), best)
    if weights is None:
        raise HopechoError(
            "The normal equations of the EFG model are singular",
            got=f"ridge = {best:g}",
            fix="label more structures, or lower efg.n_radial or efg.l_max",
        )
    return EfgModel(
        spec, weights * scale, best, np.array(settings.ridge), rmse, len(frames), total.rows // 5
    )


def make_spec(frames: Sequence[Atoms], settings: EfgSettings) -> FeatureSpec:
    """Return the features for the elements present in `frames`.

    Raises
    ------
    HopechoError
        If the probe element is in none of them.
    """
    from ase.data import atomic_numbers

    elements = tuple(sorted({int(z) for atoms in frames for z in atoms.numbers}))
    probe = atomic_numbers.get(settings.probe, 0)
    if probe not in elements:
        raise HopechoError(
            "No structure contains the probe of the EFG model",
            got=f"probe = {settings.probe!r}, atomic numbers present {list(elements)}",
            fix="set materials.<m>.mobile to an element of the material",
        )
    basis = settings.basis
    return FeatureSpec(
        probe,
        elements,
        basis,
        tabulate(basis),
        settings.centre_weight,
        settings.long_range_width,
    )


def explicit_prediction(model: EfgModel, atoms: Atoms) -> Array:
    """Predict through the explicit features: slow, the reference of `hopecho.efg.predict`.

    Returns
    -------
    ndarray, (n_probe, 5)
        Isometric components, a.u.
    """
    return frame_features(atoms, model.spec) @ model.weights


def frame_features(atoms: Atoms, spec: FeatureSpec) -> Array:
    """Return the features (n_probe, 5, n_features) of one structure, probes in atom order."""
    kinds = kinds_of(atoms.numbers, spec.elements)
    centres = np.flatnonzero(atoms.numbers == spec.probe)
    return features(make_frame(atoms.positions, np.asarray(atoms.cell), kinds, centres), spec)


def save_model(path: Path | str, model: EfgModel) -> None:
    """Write model.npz: plain arrays, no pickle, the same bytes for the same model."""
    spec, basis = model.spec, model.spec.basis
    arrays = {
        "format": np.array(FORMAT),
        "probe": np.array(spec.probe),
        "elements": np.array(spec.elements),
        "basis": np.array([basis.cutoff, basis.sigma, basis.smoothing]),
        "basis_size": np.array([basis.n_radial, basis.l_max]),
        "table": spec.table.coefficients,
        "table_centre": spec.table.centre,
        "widths": np.array([spec.centre_weight, spec.long_range_width]),
        "weights": model.weights,
        "ridge": np.array(model.ridge),
        "ridge_candidates": model.ridge_candidates,
        "cv_rmse": model.cv_rmse,
        "counts": np.array([model.n_structures, model.n_tensors]),
    }
    with open(path, "wb") as file:  # a file object keeps numpy from appending .npz
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_model(path: Path | str) -> EfgModel:
    """Read a file of `save_model`.

    Raises
    ------
    HopechoError
        If the file is missing or is not such a model.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"format {arrays['format']}, this version reads {FORMAT}")
        return _model_from_arrays(arrays)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise HopechoError(
            f"Cannot read the EFG model {path}",
            got=f"{type(error).__name__}: {error}",
            fix="give a model.npz written by this version of hopecho (efg.model)",
        ) from error


def _model_from_arrays(a: dict[str, Array]) -> EfgModel:
    cutoff, sigma, smoothing = (float(x) for x in a["basis"])
    n_radial, l_max = (int(x) for x in a["basis_size"])
    centre_weight, width = (float(x) for x in a["widths"])
    spec = FeatureSpec(
        int(a["probe"]),
        tuple(int(z) for z in a["elements"]),
        RadialBasis(cutoff, n_radial, l_max, sigma, smoothing),
        RadialTable(a["table"], a["table_centre"]),
        centre_weight,
        width,
    )
    if len(a["weights"]) != spec.n_features:
        raise ValueError(f"{len(a['weights'])} weights for {spec.n_features} features")
    n_structures, n_tensors = (int(x) for x in a["counts"])
    return EfgModel(
        spec,
        a["weights"],
        float(a["ridge"]),
        a["ridge_candidates"],
        a["cv_rmse"],
        n_structures,
        n_tensors,
    )


def _label(atoms: Atoms) -> Array:
    if "efg" not in atoms.arrays:
        raise HopechoError(
            "A structure for the EFG fit has no tensors",
            got=f"{atoms.get_chemical_formula()} with arrays {sorted(atoms.arrays)}",
            fix="give frames with an array 'efg' (n_atoms, 3, 3) in atomic units",
        )
    return np.asarray(atoms.arrays["efg"], dtype=float).reshape(len(atoms), 3, 3)


def _folds(frames: Sequence[Atoms], n_folds: int) -> list[int]:
    """Fold of each structure: trajectories (info ``trajectory``, else the structure) in turn."""
    names = [str(atoms.info.get("trajectory", f"structure {i}")) for i, atoms in enumerate(frames)]
    order = {name: k for k, name in enumerate(dict.fromkeys(names))}
    if len(order) < n_folds:
        raise HopechoError(
            "Too few trajectories for the folds of the EFG model",
            got=f"{len(order)} trajectories, {n_folds} folds",
            fix="lower efg.folds, or raise learning.seeds",
        )
    return [order[name] % n_folds for name in names]


def _accumulate(
    frames: Sequence[Atoms], efgs: Sequence[Array], spec: FeatureSpec, n_folds: int
) -> list[_Normal]:
    """Normal equations by fold; the structures of one trajectory are in one fold."""
    fold_of = _folds(frames, n_folds)
    n = spec.n_features
    xx, xy = np.zeros((n_folds, n, n)), np.zeros((n_folds, n))
    yy, rows = np.zeros(n_folds), np.zeros(n_folds, dtype=int)
    for i, (atoms, efg) in enumerate(zip(frames, efgs, strict=True)):
        probes = atoms.numbers == spec.probe
        if np.shape(efg) != (len(atoms), 3, 3) or not np.all(np.isfinite(np.asarray(efg)[probes])):
            raise HopechoError(
                "Bad tensors in the training set of the EFG model",
                got=f"structure {i}: shape {np.shape(efg)} for {len(atoms)} atoms, or NaN",
                fix="give finite tensors (n_atoms, 3, 3) in atomic units",
            )
        if not probes.any():
            continue
        y = isometric_from_matrix(np.asarray(efg)[probes]).reshape(-1)
        x = frame_features(atoms, spec).reshape(len(y), n)
        fold = fold_of[i]
        xx[fold] += x.T @ x
        xy[fold] += x.T @ y
        yy[fold] += y @ y
        rows[fold] += len(y)
    return [_Normal(xx[f], xy[f], float(yy[f]), int(rows[f])) for f in range(n_folds)]


def _block_scale(total: _Normal, spec: FeatureSpec, pair_weight: float) -> Array:
    """Scale of every feature: one factor a block, from the summed variance of the block."""
    variance = np.diag(total.xx) / total.rows
    wanted = {"pair": pair_weight, "long_range": pair_weight, "triplet": 1.0}
    scale, start = np.ones(spec.n_features), 0
    for name, size in spec.block_sizes().items():
        block = slice(start, start + size)
        norm = np.sqrt(variance[block].sum())
        scale[block] = wanted[name] / norm if norm > 0 else 1.0
        start += size
    return scale


def _cross_validate(folds: list[_Normal], ridge: Sequence[float]) -> Array:
    """RMSE over left-out folds for each lambda; infinite where the equations are singular."""
    total = sum(folds[1:], start=folds[0])
    squares = np.zeros(len(ridge))
    for fold in folds:
        train = _Normal(
            total.xx - fold.xx, total.xy - fold.xy, total.yy - fold.yy, total.rows - fold.rows
        )
        for k, value in enumerate(ridge):
            w = _solve(train, value)
            error = np.inf if w is None else fold.yy - 2 * w @ fold.xy + w @ fold.xx @ w
            squares[k] += max(error, 0.0)
    return np.sqrt(squares / total.rows)


def _solve(normal: _Normal, ridge: float) -> Array | None:
    """Weights of the regularised equations; None if they are numerically singular."""
    matrix = normal.xx.copy()
    matrix[np.diag_indices_from(matrix)] += ridge * normal.rows
    try:
        return cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), normal.xy)
    except np.linalg.LinAlgError:
        return None
