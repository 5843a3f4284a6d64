"""A fitted EFG model and its file, model.npz: plain arrays, no pickle."""

from __future__ import annotations

from collections.abc import Mapping
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
    _check_numbers(a)
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
    _check_shapes(a, spec, inducing, expected)
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


_NUMBERS = (
    *("basis", "basis_size", "table", "table_centre", "widths", "weights", "members"),
    *("calibration", "ridge", "counts", "probe", "elements"),
    *("novelty_mean", "novelty_axes", "novelty_variance", "novelty_limits"),
    *("inducing_channels", "inducing_long_range", "inducing_scale", "zeta"),
)
_LARGEST_L, _LONGEST_A, _SHARPEST_A = 100, 50.0, 0.2
"""Of l, of a cutoff, and of the width of lattice sums: beyond them one tensor takes for ever."""


def _check_numbers(a: Mapping[str, Array]) -> None:
    """Finite numbers throughout, and a basis as large as its table: nothing is made before."""
    bad = [
        name
        for name in _NUMBERS
        if name in a and not (a[name].dtype.kind in "iuf" and np.isfinite(a[name]).all())
    ]
    if bad:
        raise ValueError(f"no numbers, or NaN or infinity, in {', '.join(bad)}")
    n_radial, l_max = (int(x) for x in a["basis_size"])
    table = a["table"]
    if l_max > _LARGEST_L or table.ndim != 3 or not len(table):
        raise ValueError(f"l_max {l_max}, a radial table of shape {table.shape}")
    if table.shape[1:] != (4, (l_max + 1) * n_radial) or a["table_centre"].shape != (n_radial,):
        raise ValueError(f"a radial table of shape {table.shape} for {n_radial} functions an l")
    cutoff, width = float(a["basis"][0]), float(a["widths"][1])
    if cutoff > _LONGEST_A or (width and not _SHARPEST_A <= width <= _LONGEST_A):
        raise ValueError(f"a cutoff of {cutoff} A, lattice sums of width {width} A")
    elements = a["elements"].tolist()
    if a["elements"].ndim != 1 or not 1 <= len(set(elements)) == len(elements):
        raise ValueError(f"elements {elements}")


def _check_shapes(
    a: Mapping[str, Array], spec: FeatureSpec, inducing: Inducing | None, n_weights: int
) -> None:
    """Every array has the shape that the basis asks for."""
    n_axes = len(a["novelty_variance"])
    wanted: dict[str, tuple[int, ...]] = {
        "weights": (n_weights,),
        "members": (len(a["members"]), n_weights),
        "novelty_mean": (spec.n_invariants,),
        "novelty_axes": (spec.n_invariants, n_axes),
        "novelty_variance": (n_axes,),
        "novelty_limits": (2,),
    }
    if inducing is not None:
        n, squares = inducing.count, (spec.basis.l_max + 1) ** 2
        wanted |= {
            "inducing_channels": (n, squares, spec.n_channels),
            "inducing_long_range": (n, 5, spec.n_long_range),
            "inducing_scale": (spec.n_features,),
        }
    if len(a["members"]) < 2:
        raise ValueError(f"{len(a['members'])} members of a committee")
    wrong = [f"{k} {a[k].shape} for {shape}" for k, shape in wanted.items() if a[k].shape != shape]
    if wrong:
        raise ValueError(f"shapes: {', '.join(wrong)}")
    if min(a["novelty_variance"].min(initial=1.0), a["novelty_limits"].min()) <= 0:
        raise ValueError("a variance or a limit of the training environments is not positive")


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
