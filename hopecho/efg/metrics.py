"""Errors of predicted field gradients: frequencies, couplings, orientations, static share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.errors import HopechoError
from hopecho.tensors import (
    OMEGA_Q_PREFACTOR,
    cq_abs,
    eta,
    frobenius_overlap,
    matrix_from_isometric,
    omega_q_isometric,
    quaternion_overlap,
    quaternions,
)
from hopecho.units import cq_khz_per_au

Array = NDArray[np.float64]

RANDOM_FRACTION = 0.1495
"""Share of random tensor pairs with a quaternion overlap of 0.9 or more."""

CDF_LEVELS = 101


def field_directions(n: int) -> Array:
    """Return n directions (n, 3) evenly spread over the half sphere z > 0 (golden spiral)."""
    k = np.arange(n)
    z = 1 - (k + 0.5) / n
    phi = k * np.pi * (3 - np.sqrt(5))
    s = np.sqrt(1 - z**2)
    return np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=1)


def efg_metrics(
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    b0: ArrayLike | None = None,
    isotope: str = "7Li",
    prefactor: float = OMEGA_Q_PREFACTOR,
) -> dict[str, Any]:
    """Compare predicted with reference tensors.

    Parameters
    ----------
    reference, predicted : array_like, (..., 5)
        Isometric components, a.u.
    b0 : array_like, (3,) or (n, 3), optional
        Field directions over which omega_Q is averaged. Default: 64 spread over the half sphere,
        so that the result does not depend on the axes of a crystal.
    isotope : str
        Key of `hopecho.units.ISOTOPES`.
    prefactor : float
        See `hopecho.tensors.OMEGA_Q_PREFACTOR`; MAE and standard deviation scale with it.

    Returns
    -------
    dict
        Built-in types only, frequencies in kHz. ``omega_q`` and ``cq_abs`` hold ``mae``, ``rmse``,
        ``std`` of the reference on the same data and ``mae_over_std``, as does ``eta`` (no unit);
        ``quaternion_fraction`` the share of overlaps >= 0.9 beside its random and shuffled
        baselines; ``cdf`` quantiles.

    Raises
    ------
    HopechoError
        Shapes that differ, no tensor, or numbers that are not finite.
    """
    ref, pred = _checked(reference, predicted)
    ref, pred = ref.reshape(-1, 5), pred.reshape(-1, 5)
    directions = field_directions(64) if b0 is None else np.atleast_2d(np.asarray(b0, dtype=float))
    nu = [
        omega_q_isometric(t, directions, isotope=isotope, prefactor=prefactor) for t in (ref, pred)
    ]
    matrices = [matrix_from_isometric(t) for t in (ref, pred)]
    coupling = [cq_abs(v, isotope=isotope) for v in matrices]
    asymmetry = [eta(v) for v in matrices]
    q_ref, q_pred = (quaternions(v) for v in matrices)
    quaternion = quaternion_overlap(q_ref, q_pred)
    shuffled = quaternion_overlap(q_ref, np.roll(q_ref, len(q_ref) // 2, axis=0))
    frobenius = frobenius_overlap(ref, pred)
    eta_error = np.abs(asymmetry[1] - asymmetry[0])
    return {
        "n_tensors": len(ref),
        "isotope": isotope,
        "n_b0_directions": len(directions),
        "b0": "half sphere" if b0 is None else directions.tolist(),
        "prefactor": prefactor,
        "omega_q": _errors(*nu),
        "cq_abs": _errors(*coupling),
        "eta": _errors(*asymmetry),
        "frobenius_overlap_mean": float(frobenius.mean()),
        "quaternion_fraction": float(np.mean(quaternion >= 0.9)),
        "quaternion_fraction_random": RANDOM_FRACTION,
        "quaternion_fraction_shuffled": float(np.mean(shuffled >= 0.9)),
        "component_rmse_over_rms": float(np.sqrt(np.sum((pred - ref) ** 2) / np.sum(ref**2))),
        "cdf": {
            "level": np.linspace(0, 1, CDF_LEVELS).tolist(),
            "omega_q_error_khz": _quantiles(np.abs(nu[1] - nu[0])),
            "cq_abs_error_khz": _quantiles(np.abs(coupling[1] - coupling[0])),
            "eta_error": _quantiles(eta_error),
            "quaternion_overlap": _quantiles(quaternion),
            "frobenius_overlap": _quantiles(frobenius),
        },
    }


def split_error(
    reference: ArrayLike, predicted: ArrayLike, *, isotope: str = "7Li"
) -> dict[str, Any]:
    r"""Split the error into each ion's mean over frames and what fluctuates about it.

    In frequencies averaged over field directions, :math:`\nu_{rms} = |eQ/h|/2 \sqrt{2/15} |e|`.
    A static error changes plateau and jump amplitude of a correlation function; a fluctuating one
    adds mostly at zero lag. The static variance is corrected for the finite number of frames.

    Parameters
    ----------
    reference, predicted : array_like, (n_frames, n_ions, 5), a.u.
        The same ions in every frame; frames far enough apart to be independent.

    Returns
    -------
    dict
        ``rms_khz``, ``rms_static_khz``, ``rms_fluctuating_khz``, ``static_share`` of the variance,
        and the cross terms <V . err>/<V . V> of the whole, ``cross_term``, and of the ions' means,
        ``cross_term_static``: what the amplitude of a correlation function changes by, half.

    Raises
    ------
    HopechoError
        Fewer than two frames, or shapes that differ.
    """
    ref, pred = _checked(reference, predicted)
    if ref.ndim != 3 or len(ref) < 2:
        raise HopechoError(
            "A static and a fluctuating error need several frames of the same ions",
            got=f"shape {ref.shape}",
            fix="give (n_frames >= 2, n_ions, 5)",
        )
    error = pred - ref
    mean = error.mean(axis=0)
    n = len(ref)
    fluctuating = float(np.sum((error - mean) ** 2, axis=(0, 2)).mean()) / (n - 1)
    static = max(float(np.sum(mean**2, axis=1).mean()) - fluctuating / n, 0.0)
    khz = 0.5 * abs(cq_khz_per_au(isotope)) * np.sqrt(2 / 15)
    total = static + fluctuating
    site = ref.mean(axis=0)
    return {
        "n_frames": n,
        "n_ions": ref.shape[1],
        "rms_khz": float(khz * np.sqrt(total)),
        "rms_static_khz": float(khz * np.sqrt(static)),
        "rms_fluctuating_khz": float(khz * np.sqrt(fluctuating)),
        "static_share": static / total if total > 0 else 0.0,
        "cross_term": float(np.sum(ref * error) / np.sum(ref**2)),
        "cross_term_static": float(np.sum(site * mean) / np.sum(site**2)),
    }


def _errors(reference: Array, predicted: Array) -> dict[str, float]:
    difference = predicted - reference
    mae, std = float(np.abs(difference).mean()), float(reference.std())
    return {
        "mae": mae,
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "std": std,
        "mae_over_std": mae / std if std > 0 else 0.0,
    }


def _quantiles(values: Array) -> list[float]:
    return [float(x) for x in np.quantile(values, np.linspace(0, 1, CDF_LEVELS))]


def _checked(reference: ArrayLike, predicted: ArrayLike) -> tuple[Array, Array]:
    ref, pred = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    finite = np.all(np.isfinite(ref)) and np.all(np.isfinite(pred))
    if ref.shape != pred.shape or ref.shape[-1:] != (5,) or ref.size == 0 or not finite:
        raise HopechoError(
            "Reference and predicted tensors cannot be compared",
            got=f"shapes {ref.shape} and {pred.shape}" + ("" if finite else ", with NaN"),
            fix="give equal, non-empty shapes (..., 5) of finite components",
        )
    return ref, pred
