"""Do predicted widths hold, on errors that they were not made from, and where errors are large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hopecho.errors import HopechoError
from hopecho.ufp.calibration import ONE_SIGMA, Array, Calibration, Residuals, atoms_of, sigma_of

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, ONE_SIGMA, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, eq=False)
class Coverage:
    """How well predicted widths describe errors that they were not made from.

    Attributes
    ----------
    levels, observed : (n_levels,)
        Nominal level of the central interval, and share of the errors inside it.
    share_68, stderr_68 : float
        Share inside +-1 sigma (nominal 0.683) and its standard error from the scatter over frames
        (None for one frame); frames of one trajectory share errors, so that it is a lower limit.
    chi2 : float
        Mean of (error / sigma)^2; 1 if the widths are right, above 1 if they are too small.
    beyond_3 : float
        Share outside +-3 sigma (Gaussian: 0.0027).
    nll : dict of str to float
        Mean negative log-likelihood of an error, of sigma from the `leverage` and of constant ones:
        `element` (one for each element) and `constant` (one for all) from the calibration;
        `best_element` and `best_constant` fitted to the very errors that are tested, which no
        prediction can know.
    n_values : int
    """

    levels: Array
    observed: Array
    share_68: float
    stderr_68: float | None
    chi2: float
    beyond_3: float
    nll: Mapping[str, float]
    n_values: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"levels": self.levels.tolist(), "observed": self.observed.tolist()}


@dataclass(frozen=True, eq=False)
class ErrorBins:
    """Force errors against the distance from the training data.

    Attributes
    ----------
    leverage, mean_leverage : (n_bins,)
        Geometric and arithmetic mean of each bin.
    rmse, stderr : (n_bins,), eV/A
        Root mean square of the error components, and its standard error for independent ones.
    count : (n_bins,), int
        Components.
    """

    leverage: Array
    mean_leverage: Array
    rmse: Array
    stderr: Array
    count: NDArray[np.int64]


def coverage(
    calibration: Calibration, residuals: Residuals, *, levels: Sequence[float] = LEVELS
) -> dict[str, Coverage]:
    """Compare predicted widths with errors of frames that the calibration has not seen.

    Returns
    -------
    dict
        `force`, `force_<element>` and `energy`.

    Raises
    ------
    HopechoError
        If an element of the frames was not calibrated or a level is not inside (0, 1).
    """
    nominal = np.asarray(levels, dtype=float)
    if not np.all((nominal > 0) & (nominal < 1)):
        raise HopechoError("levels lie inside (0, 1)", got=f"{list(levels)}")
    widths = _force_widths(calibration, residuals)
    groups = {"force": np.ones(len(residuals.element), dtype=bool)}
    groups |= {f"force_{name}": own for name, own in atoms_of(residuals).items()}
    out = {}
    for name, own in groups.items():
        chosen = {key: width[own] for key, width in widths.items()}
        out[name] = _cover(nominal, residuals.force[own], chosen, residuals.frame[own])
    term = calibration.energy
    errors = residuals.energy[:, None]
    energy_widths = {
        "leverage": term.sigma(residuals.energy_leverage)[:, None],
        "element": np.full_like(errors, term.constant),
        "constant": np.full_like(errors, term.constant),
        "best_element": np.full_like(errors, _rms(errors)),
    }
    out["energy"] = _cover(nominal, errors, energy_widths, np.arange(len(errors)))
    return out


def error_against_leverage(
    residuals: Residuals, *, element: str | None = None, n_bins: int = 8
) -> ErrorBins:
    """Bin force errors by leverage, the distance from the training data; equally filled bins.

    Parameters
    ----------
    residuals : Residuals
    element : str, optional
        Only the forces on this element.
    n_bins : int

    Raises
    ------
    HopechoError
        If there are fewer components than bins, or the element is not there.
    """
    nothing = np.zeros(len(residuals.element), dtype=bool)
    own = ~nothing if element is None else atoms_of(residuals).get(element, nothing)
    squares, leverage = residuals.force[own].ravel() ** 2, residuals.force_leverage[own].ravel()
    if n_bins < 1 or len(squares) < n_bins:
        raise HopechoError(
            f"too few force components of {element or 'all elements'} for the bins",
            got=f"{len(squares)} components, {n_bins} bins",
            fix="ask for fewer bins or give more frames",
        )
    tiny = np.finfo(float).tiny
    parts = np.array_split(np.argsort(leverage, kind="stable"), n_bins)
    rmse = np.array([np.sqrt(np.mean(squares[part])) for part in parts])
    spread = np.array([np.std(squares[part]) / np.sqrt(len(part)) for part in parts])
    centre = np.array([np.exp(np.mean(np.log(np.maximum(leverage[part], tiny)))) for part in parts])
    # d sqrt(m) = d m / (2 sqrt(m)) with m the mean square.
    stderr = spread / (2 * np.maximum(rmse, tiny))
    mean = np.array([np.mean(leverage[part]) for part in parts])
    return ErrorBins(centre, mean, rmse, stderr, np.array([len(part) for part in parts]))


def _force_widths(calibration: Calibration, residuals: Residuals) -> dict[str, Array]:
    """Return the sigmas that are compared, (n_atoms, 3) each, eV/A."""
    leverage = residuals.force_leverage
    sigma = sigma_of(calibration, residuals.elements, residuals.element, leverage)
    element, best = np.zeros_like(sigma), np.zeros_like(sigma)
    for name, own in atoms_of(residuals).items():
        element[own] = calibration.forces[name].constant
        best[own] = _rms(residuals.force[own])
    return {
        "leverage": sigma,
        "element": element,
        "constant": np.full_like(sigma, calibration.constant_force),
        "best_element": best,
    }


def _cover(
    levels: Array, errors: Array, widths: Mapping[str, Array], frame: NDArray[np.int64]
) -> Coverage:
    """Compare errors (n, n_components) of frame[n] with the width of each."""
    z = np.abs(errors / widths["leverage"])
    inside = np.mean(z < 1.0, axis=1)
    _, place, counts = np.unique(frame, return_inverse=True, return_counts=True)
    by_frame = np.bincount(place, weights=inside) / counts
    several = len(by_frame) > 1
    nll = {name: _nll(errors, width) for name, width in widths.items()}
    return Coverage(
        levels,
        np.array([np.mean(z < norm.ppf(0.5 + level / 2)) for level in levels]),
        float(inside.mean()),
        float(np.std(by_frame, ddof=1) / np.sqrt(len(by_frame))) if several else None,
        float(np.mean(z**2)),
        float(np.mean(z > 3)),
        nll | {"best_constant": _nll(errors, np.full_like(errors, _rms(errors)))},
        errors.size,
    )


def _rms(errors: Array) -> float:
    # Errors that are all zero are no likelihood's business; a width must stay positive.
    return max(float(np.sqrt(np.mean(errors**2))), float(np.sqrt(np.finfo(float).tiny)))


def _nll(errors: Array, sigma: Array) -> float:
    """Return the mean negative log-likelihood of Gaussian errors."""
    return float(np.mean(0.5 * np.log(2 * np.pi * sigma**2) + 0.5 * (errors / sigma) ** 2))
