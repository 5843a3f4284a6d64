"""What is said of a fitted EFG model, wherever it was fitted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hopecho.efg.model import EfgModel
from hopecho.efg.predict import omega_khz


def model_record(model: EfgModel, *, isotope: str) -> dict[str, Any]:
    """Say what a model is: kind and size, settings, regularisation, calibration."""
    basis = model.spec.basis
    return {
        "model": model.kind,
        "settings": {
            "cutoff_angstrom": basis.cutoff,
            "n_radial": basis.n_radial,
            "l_max": basis.l_max,
            "sigma_angstrom": basis.sigma,
        },
        "zeta": model.inducing.zeta if model.inducing else None,
        "n_inducing": model.inducing.count if model.inducing else None,
        "ridge": model.ridge,
        "ridge_candidates": model.ridge_candidates,
        "cv_rmse_au": model.cv_rmse,
        "calibration": asdict(model.calibration),
        "omega_khz_per_au": omega_khz(isotope),
        "n_structures": model.n_structures,
        "n_tensors": model.n_tensors,
        "n_features": model.spec.n_features,
    }
