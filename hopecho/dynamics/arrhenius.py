"""Temperature series: activation energy, and how far an extrapolation can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopecho.dynamics.estimate import BOUND_LEVEL, LEVEL
from hopecho.errors import HopechoError
from hopecho.units import BOLTZMANN_EV_K, Quantity

Array = NDArray[np.float64]

ROOM_TEMPERATURE_K = 300.0

LINE_POINTS = 41
"""Temperatures at which the line of a fit is written."""

MISFIT_P_VALUE = 0.05
"""Points that scatter about the line more than their errors explain widen its errors."""

SURPRISE_Z = 3.0
"""The coldest point further than this from the line through the others contradicts it."""


@dataclass(frozen=True)
class Arrhenius:
    """A line through ln y against 1/kT."""

    activation_energy: Quantity
    """eV."""
    log_prefactor: float | None
    """ln of y at infinite temperature, y in the unit given; None where there is no line."""
    covariance: Array | None
    """(2, 2): of ln prefactor and activation energy (eV)."""
    t_factor: float
    """Student factor of the intervals."""
    dof: float
    unit: str
    times_t: bool
    """Whether y was multiplied by T before the fit (conductivities)."""
    temperatures_k: tuple[float, ...]
    """Those with a resolved value, which entered."""
    left_out_k: tuple[float, ...]
    """Those without one."""
    chi2_per_dof: float | None
    surprise_z: float | None
    """How many errors the coldest point lies above (+) or below (-) the line through the others;
    None with fewer than three points."""

    @property
    def surprised(self) -> bool:
        """Whether the extrapolation from the hotter points misses the coldest one."""
        return self.surprise_z is not None and abs(self.surprise_z) > SURPRISE_Z

    def at(self, temperature_k: float) -> Quantity:
        """Value at a temperature with the line's own error; a mechanism that changes is not in it.

        An extrapolation whose test failed (`surprised`) gives no number.
        """
        if self.log_prefactor is None or self.covariance is None or self.surprised:
            return _nothing(self.unit, len(self.temperatures_k))
        slope = self.activation_energy.value
        assert slope is not None
        row = np.array([1.0, -1.0 / (BOLTZMANN_EV_K * temperature_k)])
        log_y = self.log_prefactor + row[1] * slope
        error = math.sqrt(float(row @ self.covariance @ row))
        value = math.exp(log_y) / (temperature_k if self.times_t else 1.0)
        spread = math.exp(min(self.t_factor * error, 200.0))
        return Quantity(
            value, value * error, (value / spread, value * spread), self.unit, self.dof + 1, LEVEL
        )

    def line(self, low_k: float, high_k: float) -> dict[str, list[float]] | None:
        """Value and interval on even steps of 1/T between two temperatures (K), for drawing.

        None where there is no line, or where its extrapolation failed the test.
        """
        if self.log_prefactor is None or self.surprised:
            return None
        temperatures = 1.0 / np.linspace(1.0 / high_k, 1.0 / low_k, LINE_POINTS)
        found = [self.at(float(t)).to_dict() for t in temperatures]
        return {
            "temperature_k": temperatures.tolist(),
            "value": [q["value"] for q in found],
            "low": [q["interval"][0] for q in found],
            "high": [q["interval"][1] for q in found],
        }


def _nothing(unit: str, n: float) -> Quantity:
    return Quantity(None, None, (None, None), unit, n, BOUND_LEVEL, "not_seen")


def arrhenius(series: Mapping[float, Quantity], *, times_t: bool) -> Arrhenius:
    r"""Fit :math:`y = y_0 \exp(-E_a / k_B T)`, or :math:`y T` for conductivities.

    Weighted by the relative errors of y. The intervals carry Student's factor for the units behind
    the points; if the points scatter about the line more than that (chi-square test, p < 0.05), the
    errors are widened by the root of chi-square per degree of freedom.

    Parameters
    ----------
    series : mapping
        Temperature in K -> quantity; those that are not resolved are left out.
    times_t : bool
        True for conductivities, which carry 1/T; False for diffusion coefficients and rates.

    Raises
    ------
    HopechoError
        For temperatures that are not positive, or differing units.
    """
    units = {q.unit for q in series.values()}
    if len(units) != 1 or min(series) <= 0.0:
        raise HopechoError(
            "A temperature series needs positive temperatures and one unit.",
            got=f"{sorted(series)} K, units {sorted(units)}",
        )
    unit = units.pop()
    used = [t for t in sorted(series) if series[t].value is not None]
    left = tuple(float(t) for t in sorted(series) if t not in used)
    if len(used) < 2:
        none = _nothing("eV", len(used))
        kept = tuple(float(t) for t in used)
        return Arrhenius(none, None, None, 1.0, 0.0, unit, times_t, kept, left, None, None)
    x, y, error, units_behind = _points([(t, series[t]) for t in used], times_t)
    values, covariance, chi2 = _line(x, y, error)
    excess = len(used) - 2
    dof = float(units_behind)
    if excess and stats.chi2.sf(chi2, excess) < MISFIT_P_VALUE:
        covariance, dof = covariance * chi2 / excess, float(excess)
    t_factor = float(stats.t.ppf(0.5 * (1.0 + LEVEL), dof))
    stderr = math.sqrt(covariance[1, 1])
    interval = (values[1] - t_factor * stderr, values[1] + t_factor * stderr)
    return Arrhenius(
        activation_energy=Quantity(float(values[1]), stderr, interval, "eV", dof + 1, LEVEL),
        log_prefactor=float(values[0]),
        covariance=covariance,
        t_factor=t_factor,
        dof=dof,
        unit=unit,
        times_t=times_t,
        temperatures_k=tuple(float(t) for t in used),
        left_out_k=left,
        chi2_per_dof=chi2 / excess if excess else None,
        surprise_z=_surprise(x, y, error),
    )


def series_record(records: Mapping[float, Mapping[str, Any]]) -> dict[str, Any]:
    """JSON of the temperature series of D and sigma.

    Parameters
    ----------
    records : mapping
        Temperature in K -> JSON of the conductivity, with quantities as dicts.
    """
    out: dict[str, Any] = {}
    for name, times_t in (("d_tracer", False), ("sigma_einstein", True)):
        series = {t: Quantity.from_dict(record[name]) for t, record in records.items()}
        fit = arrhenius(series, times_t=times_t)
        out[name] = {
            "activation_energy": fit.activation_energy,
            "at_300k": fit.at(ROOM_TEMPERATURE_K),
            "temperatures_k": list(fit.temperatures_k),
            "left_out_k": list(fit.left_out_k),
            "chi2_per_dof": fit.chi2_per_dof,
            "surprise_z": fit.surprise_z,
            "line": fit.line(min(ROOM_TEMPERATURE_K, *series), max(series)),
        }
    return out


def _points(
    used: Sequence[tuple[float, Quantity]], times_t: bool
) -> tuple[Array, Array, Array, float]:
    """-1/kT (1/eV), ln y, its error, and the degrees of freedom behind the errors."""
    x, y, error, dof = [], [], [], 0.0
    for t, q in used:
        if q.value is None or q.stderr is None or q.value <= 0.0 or q.stderr <= 0.0:
            raise HopechoError(
                "A temperature series needs positive values with error bars.",
                got=f"{q.value} +- {q.stderr} at {t:g} K",
            )
        x.append(-1.0 / (BOLTZMANN_EV_K * t))
        y.append(math.log(q.value * (t if times_t else 1.0)))
        error.append(q.stderr / q.value)
        dof += max(q.n_independent - 1.0, 1.0)
    return np.array(x), np.array(y), np.array(error), dof


def _line(x: Array, y: Array, error: Array) -> tuple[Array, Array, float]:
    """Weighted line: (intercept, slope), covariance (2, 2), chi-square."""
    design = np.column_stack([np.ones_like(x), x]) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    values = covariance @ design.T @ (y / error)
    return (
        values,
        np.asarray(covariance, dtype=np.float64),
        float(((y / error - design @ values) ** 2).sum()),
    )


def _surprise(x: Array, y: Array, error: Array) -> float | None:
    """Errors between the coldest point and the line through the hotter ones."""
    if len(x) < 3:
        return None
    values, covariance, _ = _line(x[1:], y[1:], error[1:])
    row = np.array([1.0, x[0]])
    variance = float(row @ covariance @ row) + float(error[0]) ** 2
    return (float(y[0]) - float(row @ values)) / math.sqrt(variance)
