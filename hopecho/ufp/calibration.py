"""How large the errors of a potential are, from its errors on frames that it has not seen.

The misfit of a two- and three-body form to a many-body truth is no noise, and shrinks with no
number of labels, so that the posterior of the linear model is far too narrow. Measured errors
decide: sigma^2 = a^2 + b^2 h with h the leverage of the row, a and b of each element. a is the
misfit where the data are dense, b how fast the error grows where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from hopecho.errors import HopechoError

Array = NDArray[np.float64]

ONE_SIGMA = float(norm.cdf(1.0) - norm.cdf(-1.0))
MOST_SLOPE, ROUNDING = 1.0 - 1e-6, 1e-12


@dataclass(frozen=True, eq=False)
class Residuals:
    """Errors (label minus prediction) of labelled frames, with the leverage of each.

    Attributes
    ----------
    elements : tuple of str
    element : (n_atoms,), int
        Index into `elements`; the atoms of all frames stand one after another.
    frame : (n_atoms,), int
        Frame of each atom, 0 to n_frames - 1.
    force, force_leverage : (n_atoms, 3), eV/A and 1
    energy, energy_leverage : (n_frames,), eV/atom and 1
    """

    elements: tuple[str, ...]
    element: NDArray[np.int64]
    frame: NDArray[np.int64]
    force: Array
    force_leverage: Array
    energy: Array
    energy_leverage: Array


@dataclass(frozen=True)
class Term:
    """Width of one kind of error.

    Attributes
    ----------
    floor, slope : float, eV/A or eV/atom
        sigma^2 = floor^2 + slope^2 h.
    constant : float, eV/A or eV/atom
        The best constant sigma: the root mean square of the errors.
    width_68 : float
        Half width, in sigma, of the interval that holds 68.3 % of the errors; 1 for a Gaussian.
    n_values : int
        Errors behind the numbers.
    """

    floor: float
    slope: float
    constant: float
    width_68: float
    n_values: int

    def sigma(self, leverage: Array) -> Array:
        """Return the standard deviation of each error, same shape as the leverage."""
        return np.asarray(np.sqrt(self.floor**2 + self.slope**2 * leverage))


@dataclass(frozen=True)
class Calibration:
    """Widths of the errors of one fit; of no use with the leverage of another.

    Attributes
    ----------
    forces : dict of element to Term, eV/A
        Of one Cartesian component.
    energy : Term, eV/atom
    constant_force : float, eV/A
        The best constant sigma of all components.
    n_frames : int
        Frames it was made from.
    """

    forces: Mapping[str, Term]
    energy: Term
    constant_force: float
    n_frames: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        """Return what `to_dict` wrote.

        Raises
        ------
        HopechoError
            If a field is missing or unknown.
        """
        try:
            return cls(
                {name: Term(**term) for name, term in record["forces"].items()},
                Term(**record["energy"]),
                float(record["constant_force"]),
                int(record["n_frames"]),
            )
        except (KeyError, TypeError) as error:
            raise HopechoError(
                "the record is not a calibration", got=str(error), fix="calibrate again"
            ) from error


def atoms_of(residuals: Residuals) -> dict[str, NDArray[np.bool_]]:
    """Return which atoms, (n_atoms,), are of each element that is there."""
    return {residuals.elements[k]: residuals.element == k for k in np.unique(residuals.element)}


def calibrate(residuals: Residuals) -> Calibration:
    """Fit the widths to the errors of frames that the potential was not trained on.

    Maximum likelihood of Gaussian errors, for each element and for the energy by itself.

    Raises
    ------
    HopechoError
        If there are no frames, fewer than ten errors of a kind of force or two of the energy, or
        one is not finite.
    """
    forces = {
        name: fit_term(
            residuals.force[own], residuals.force_leverage[own], what=f"forces on {name}"
        )
        for name, own in atoms_of(residuals).items()
    }
    energy = fit_term(residuals.energy, residuals.energy_leverage, what="energies", least=2)
    rms = float(np.sqrt(np.mean(residuals.force**2)))
    return Calibration(forces, energy, rms, len(residuals.energy))


def fit_term(errors: Array, leverage: Array, *, what: str = "errors", least: int = 10) -> Term:
    """Fit floor and slope of sigma^2 = floor^2 + slope^2 h by maximum likelihood.

    For a given share p of the slope, sigma^2 = c (1 - p + p h / median(h)), the best c is the mean
    of error^2 over the bracket: what is left is a search over p in [0, 1).

    Parameters
    ----------
    errors, leverage : (n,)
    what : named in errors
    least : number of errors that are needed

    Raises
    ------
    HopechoError
        If there are too few errors, one is not finite, or all are zero.
    """
    errors, leverage = np.ravel(errors), np.ravel(leverage)
    if len(errors) < least:
        raise HopechoError(
            f"too few {what} to calibrate on", got=f"{len(errors)}", fix="label more audit frames"
        )
    if not (np.all(np.isfinite(errors)) and np.all(np.isfinite(leverage)) and leverage.min() >= 0):
        raise HopechoError(
            f"the {what} or their leverages are not finite and positive", fix="check the labels"
        )
    mean_square = float(np.mean(errors**2))
    if mean_square == 0:
        raise HopechoError(
            f"the {what} agree exactly", fix="calibrate on frames the potential has not seen"
        )
    middle = float(np.median(leverage)) or float(leverage.mean()) or 1.0
    x, y = leverage / middle, errors**2 / mean_square
    share = _best_share(x, y)
    scale = mean_square * float(np.mean(y / (1 - share + share * x)))
    floor, slope = np.sqrt(scale * (1 - share)), np.sqrt(scale * share / middle)
    z = np.abs(errors) / np.sqrt(floor**2 + slope**2 * leverage)
    width = float(np.quantile(z, ONE_SIGMA))
    return Term(float(floor), float(slope), float(np.sqrt(mean_square)), width, len(errors))


def _best_share(x: Array, y: Array) -> float:
    """Return the p that minimises the profile of the negative log-likelihood."""

    def profile(p: float) -> float:
        bracket = 1 - p + p * x
        return float(np.log(np.mean(y / bracket)) + np.mean(np.log(bracket)))

    grid = np.linspace(0.0, MOST_SLOPE, 41)
    values = np.array([profile(p) for p in grid])
    # Where the data do not tell shares apart the smallest is taken.
    best = int(np.argmax(values <= values.min() + ROUNDING))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    fine = minimize_scalar(profile, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(fine.x) if fine.fun < values[best] - ROUNDING else float(grid[best])


def sigma_of(
    calibration: Calibration,
    elements: Sequence[str],
    element: NDArray[np.int64],
    leverage: Array,
) -> Array:
    """Return sigma of force components (n_atoms, 3), eV/A, from the leverage of each.

    Raises
    ------
    HopechoError
        If an element was not calibrated.
    """
    out = np.zeros_like(leverage)
    for k in np.unique(element):
        if elements[k] not in calibration.forces:
            raise HopechoError(
                f"the calibration knows no forces on {elements[k]}",
                got=", ".join(calibration.forces),
                fix="calibrate on frames that hold every element",
            )
        own = element == k
        out[own] = calibration.forces[elements[k]].sigma(leverage[own])
    return out
