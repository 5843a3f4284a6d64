"""A fitted EFG model and its file, model.npz: plain arrays, no pickle."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.committee import Calibration
from hopecho.efg.features import FeatureSpec
from hopecho.efg.novelty import Novelty
from hopecho.efg.radial import RadialBasis, RadialTable
from hopecho.efg.sparse import Inducing
from hopecho.errors import HopechoError
from hopecho.io.arrays import read_arrays

Array = NDArray[np.float64]

FORMAT = 2
"""Version of model.npz."""


@dataclass(frozen=True)
class EfgModel:
    """A fitted model and all that prediction needs."""

    spec: FeatureSpec
    weights: Array
    """(n_features,), a.u. per unit of feature; of SA-GPR a_jM', (5 n_inducing,)."""
    members: Array
    """(n_folds, as `weights`): the fits without each fold."""
    inducing: Inducing | None
    """Of SA-GPR."""
    calibration: Calibration
    novelty: Novelty
    ridge: float
    """The chosen lambda."""
    ridge_candidates: Array
    cv_rmse: Array
    """(n_ridge,): cross-validated RMSE of an isometric component, a.u."""
    n_structures: int
    n_tensors: int

    @property
    def kind(self) -> str:
        """``ridge`` or ``sa_gpr``."""
        return "ridge" if self.inducing is None else "sa_gpr"


def save_model(path: Path | str, model: EfgModel) -> None:
    """Write model.npz: plain arrays, no pickle, the same bytes for the same model."""
    spec, basis, novelty = model.spec, model.spec.basis, model.novelty
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
        "members": model.members,
        "calibration": np.array(astuple(model.calibration)),
        "novelty_mean": novelty.mean,
        "novelty_axes": novelty.axes,
        "novelty_variance": novelty.variance,
        "novelty_limits": novelty.limits,
        "ridge": np.array(model.ridge),
        "ridge_candidates": model.ridge_candidates,
        "cv_rmse": model.cv_rmse,
        "counts": np.array([model.n_structures, model.n_tensors]),
    }
    if model.inducing is not None:
        arrays |= {
            "inducing_channels": model.inducing.channels,
            "inducing_long_range": model.inducing.long_range,
            "inducing_scale": model.inducing.scale,
            "zeta": np.array(model.inducing.zeta),
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
        arrays = read_arrays(path)
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"format {arrays['format']}, this version reads {FORMAT}")
        return _model_from_arrays(arrays)
    except (HopechoError, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise HopechoError(
            f"Cannot read the EFG model {path}",
            got=f"{type(error).__name__}: {error}",
            fix="give a model.npz written by this version of hopecho (efg.model)",
        ) from error


def _model_from_arrays(a: dict[str, Array]) -> EfgModel:
    spec = _spec(a)
    inducing, expected = None, spec.n_features
    if "zeta" in a:
        inducing = Inducing(
            a["inducing_channels"],
            a["inducing_long_range"],
            a["inducing_scale"],
            int(a["zeta"]),
        )
        expected = 5 * inducing.count
    if len(a["weights"]) != expected:
        raise ValueError(f"{len(a['weights'])} weights, {expected} expected")
    if a["members"].shape[1:] != a["weights"].shape:
        raise ValueError(f"members {a['members'].shape} for weights {a['weights'].shape}")
    bad = [name for name in ("weights", "members", "table", "basis") if not _finite(a[name])]
    if bad:
        raise ValueError(f"NaN or infinity in {', '.join(bad)}")
    n_structures, n_tensors = (int(x) for x in a["counts"])
    return EfgModel(
        spec,
        a["weights"],
        a["members"],
        inducing,
        Calibration(*(float(x) for x in a["calibration"])),
        Novelty(*(a[f"novelty_{name}"] for name in ("mean", "axes", "variance", "limits"))),
        float(a["ridge"]),
        a["ridge_candidates"],
        a["cv_rmse"],
        n_structures,
        n_tensors,
    )


def _finite(array: Array) -> bool:
    return array.dtype.kind in "iuf" and bool(np.isfinite(array).all())


def _spec(a: dict[str, Array]) -> FeatureSpec:
    cutoff, sigma, smoothing = (float(x) for x in a["basis"])
    n_radial, l_max = (int(x) for x in a["basis_size"])
    centre_weight, width = (float(x) for x in a["widths"])
    return FeatureSpec(
        int(a["probe"]),
        tuple(int(z) for z in a["elements"]),
        RadialBasis(cutoff, n_radial, l_max, sigma, smoothing),
        RadialTable(a["table"], a["table_centre"]),
        centre_weight,
        width,
    )
