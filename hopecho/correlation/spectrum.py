"""Spectral densities of a correlation function, and the quadrupolar T1 that follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hopecho.correlation.decay import DecayFit
from hopecho.correlation.quantities import BOUND_LEVEL, FitSummary
from hopecho.correlation.verdict import AcfResult
from hopecho.units import ISOTOPES, Quantity

Array = NDArray[np.float64]

COUPLING_SHARE = 20.0
r"""C_Q^2 (1 + eta^2/3) over the powder's <nu^2>: (2/15) Tr V^2 (eQ/2h)^2 against (3/2) V_zz^2."""

WINDOWS = ("none", "hann")

VALIDITY = (
    "one exponential assumed; isotropic average, weak collisions (2 pi nu tau << 1), quadrupolar "
    "coupling only: no dipolar, paramagnetic or vibrational (Raman) relaxation"
)


def cosine_transform(time: ArrayLike, values: ArrayLike, omega: ArrayLike) -> Array:
    r"""Integral of :math:`y(t) \cos \omega t` over the times given, exact for straight pieces.

    Parameters
    ----------
    time : array_like (n,)
        Increasing, in any spacing.
    values : array_like (n,)
        y at these times; straight lines between them.
    omega : array_like (n_omega,)
        Angular frequencies, inverse unit of `time`.

    Returns
    -------
    ndarray (n_omega,)
    """
    t, y = np.asarray(time, dtype=float), np.asarray(values, dtype=float)
    w = np.asarray(omega, dtype=float)[:, None]
    half, middle = 0.5 * np.diff(t), 0.5 * (t[1:] + t[:-1])
    mean, slope = 0.5 * (y[1:] + y[:-1]), np.diff(y) / np.diff(t)
    x = w * half
    # (sin x - x cos x)/x^2, whose series near zero is x/3 - x^3/30.
    small = np.abs(x) < 1e-3
    safe = np.where(small, 1.0, x)
    odd = np.where(small, x / 3.0 - x**3 / 30.0, (np.sin(safe) - safe * np.cos(safe)) / safe**2)
    even = np.cos(w * middle) * mean * 2.0 * half * np.sinc(x / np.pi)
    return np.asarray((even - np.sin(w * middle) * slope * 2.0 * half**2 * odd).sum(axis=1))


def decay_density_ps(tau_ps: float, gamma: float, omega_rad_ps: ArrayLike) -> Array:
    r"""Spectral density :math:`\int_0^\infty e^{-(t/\tau)^\gamma} \cos\omega t\,dt`, ps.

    :math:`\tau/(1 + \omega^2\tau^2)` for gamma = 1; else on 4 000 pieces evenly spaced in log t.

    Parameters
    ----------
    tau_ps, gamma : float
        Decay time, ps, and stretching exponent.
    omega_rad_ps : array_like (n_omega,)
        Angular frequencies, rad/ps.
    """
    w = np.asarray(omega_rad_ps, dtype=float)
    if gamma == 1.0:
        return np.asarray(tau_ps / (1.0 + (w * tau_ps) ** 2))
    x = np.concatenate([[0.0], np.geomspace(1e-9, 34.0 ** (1.0 / gamma), 4000)])
    return tau_ps * cosine_transform(x, np.exp(-(x**gamma)), w * tau_ps)


def measured_density_ps(
    lag_ps: Array, acf: Array, omega_rad_ps: ArrayLike, *, plateau: float, window: str = "hann"
) -> Array:
    """Spectral density of a measured correlation function, no decay assumed, ps.

    Parameters
    ----------
    lag_ps : ndarray (n_lags,), ps
        From 0.
    acf : ndarray (n_lags,)
        Correlation function divided by its value at lag 0.
    omega_rad_ps : array_like (n_omega,)
        Angular frequencies, rad/ps.
    plateau : float
        What it falls to, subtracted.
    window : str
        `none` cuts at the longest lag, `hann` fades out towards it: less noise, and a decay that
        is not over by then counts less.
    """
    y = np.asarray(acf) - plateau
    if window == "hann":
        y = y * 0.5 * (1.0 + np.cos(np.pi * np.asarray(lag_ps) / lag_ps[-1]))
    return cosine_transform(lag_ps, y, omega_rad_ps)


def t1_from_density_s(
    mean_square_khz2: float, density_ps: Array | float, density_twice_ps: Array | float
) -> Array:
    r"""Quadrupolar T1 of a spin 3/2 from the powder correlation function.

    .. math:: 1/T_1 = \frac{2\pi^2}{25} \cdot 20 \langle\nu^2\rangle [J(\omega_0) + 4 J(2\omega_0)]

    Parameters
    ----------
    mean_square_khz2 : float
        Powder <nu^2> at lag 0, kHz^2, by which the function was divided.
    density_ps, density_twice_ps : float or ndarray
        Spectral density of its fluctuating part at the Larmor frequency and at twice it, ps.

    Returns
    -------
    ndarray
        T1, s; infinite where nothing fluctuates.
    """
    coupling = COUPLING_SHARE * mean_square_khz2 * 1e6
    total = (np.asarray(density_ps) + 4.0 * np.asarray(density_twice_ps)) * 1e-12
    rate = 2.0 * math.pi**2 / 25.0 * coupling * total
    return np.asarray(np.divide(1.0, rate, out=np.full_like(rate, np.inf), where=rate > 0.0))


@dataclass(frozen=True)
class Relaxation:
    """T1 at one field."""

    field_t: float
    larmor_mhz: float
    t1: Quantity
    """From the headline fit; s. An upper bound where one exponential does not describe the decay:
    the slow part that its plateau holds relaxes, too."""
    t1_stretched_s: float | None
    """From the fit with gamma free, which takes the slow part along; None unless resolved."""
    t1_numeric_s: dict[str, float | None]
    """From the measured function without a fit, by window; None where the integral is no rate."""
    omega_tau: float
    """Larmor frequency times tau of the fit, rad."""

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "field_t": self.field_t,
            "larmor_mhz": self.larmor_mhz,
            "t1": self.t1.to_dict(),
            "t1_stretched_s": self.t1_stretched_s,
            "t1_numeric_s": self.t1_numeric_s,
            "omega_tau": self.omega_tau,
        }


def relaxation(powder: AcfResult, *, isotope: str, fields_t: Sequence[float]) -> list[Relaxation]:
    """T1 at every field from the powder correlation function (raw, its zero lag in kHz^2).

    Where the decay is not resolved there is no T1. The share that vibrations take at once is left
    out of the fit's T1 and is in the numeric one; at Larmor frequencies its weight is small, for it
    lasts less than a picosecond.
    """
    result = []
    summary = getattr(powder, powder.headline)
    for field in fields_t:
        larmor = abs(ISOTOPES[isotope].larmor_mhz_t) * field
        w = 2.0 * math.pi * larmor * 1e-6 * np.array([1.0, 2.0])  # rad/ps
        plateau = float(summary.fit.amplitude[0] * summary.fit.plateau_b2[0])
        numeric: dict[str, float | None] = {}
        for window in WINDOWS:
            j = measured_density_ps(powder.lag_ps, powder.acf, w, plateau=plateau, window=window)
            t1 = float(t1_from_density_s(powder.zero_lag, j[0], j[1]))
            numeric[window] = t1 if math.isfinite(t1) and powder.verdict == "resolved" else None
        quantity = _t1_quantity(summary, powder, w)
        free = _fit_t1(powder.zero_lag, powder.stretched.spread.estimate, w)
        stretched = free if math.isfinite(free) and powder.verdict == "resolved" else None
        omega_tau = float(w[0] * summary.fit.tau_ps[0])
        result.append(Relaxation(field, larmor, quantity, stretched, numeric, omega_tau))
    return result


def _fit_t1(zero_lag: float, parameters: Array, w: Array) -> float:
    """T1 (s) of one set of fit parameters: log tau/ps, gamma, b^2, A."""
    log_tau, gamma, b2, amplitude = parameters[:4]
    j = amplitude * (1.0 - b2) * decay_density_ps(float(np.exp(log_tau)), float(gamma), w)
    return float(t1_from_density_s(zero_lag, j[0], j[1]))


def _t1_quantity(summary: FitSummary, powder: AcfResult, w: Array) -> Quantity:
    """T1 with the bootstrap's scatter, widened as the fit's tau is for quenches and replicas."""
    spread, n = summary.spread, float(summary.spread.n_independent[0])
    value = _fit_t1(powder.zero_lag, spread.estimate, w)
    if powder.verdict != "resolved" or not math.isfinite(value):
        return Quantity(None, None, (None, None), "s", n, BOUND_LEVEL, "bound")
    # A free gamma costs an integral a resample: a few dozen give the scatter well enough.
    some = spread.resamples[:: max(1, len(spread.resamples) // 60)]
    logs = np.log([_fit_t1(powder.zero_lag, row, w) for row in some])
    low, high = np.quantile(logs[np.isfinite(logs)], stats.norm.cdf([-1.0, 1.0]))
    ions = 0.5 * float(np.subtract(*np.quantile(spread.resamples[:, 0], [0.8413, 0.1587])))
    error = 0.5 * float(high - low) * max(1.0, float(spread.stderr[0]) / max(ions, 1e-12))
    half = error * float(stats.t.ppf(0.84, float(spread.dof[0])))
    interval: tuple[float | None, float | None]
    interval = (value * math.exp(-half), value * math.exp(half))
    if powder.plateau_b2.verdict != "resolved":
        # More slow motion means a shorter T1 only while the Larmor frequency is slow against it.
        fast = w[0] * float(np.exp(spread.estimate[0])) < 0.5
        upper = value * math.exp(error * float(stats.t.ppf(BOUND_LEVEL, float(spread.dof[0]))))
        return Quantity(None, None, (None, upper if fast else None), "s", n, BOUND_LEVEL, "bound")
    return Quantity(value, value * error, interval, "s", n, 0.68)


def relaxation_record(
    powder: AcfResult, *, isotope: str, fields_t: Sequence[float]
) -> dict[str, Any]:
    """JSON of the relaxation: T1 at every field, and what it is valid for."""
    return {
        "fields": [r.to_dict() for r in relaxation(powder, isotope=isotope, fields_t=fields_t)],
        "validity": VALIDITY,
        "headline_fit": powder.headline,
        "verdict": powder.verdict,
    }


def density_columns(powder: AcfResult, *, n_points: int = 80) -> dict[str, Array]:
    """Columns of spectral_density.csv: J of the headline fit and of the measured function, ps.

    Frequencies reach from 10 MHz (or a tenth of the inverse longest lag, if that is lower) to the
    inverse first lag.
    """
    fit: DecayFit = getattr(powder, powder.headline).fit
    plateau = float(fit.amplitude[0] * fit.plateau_b2[0])
    lowest = min(0.1 / powder.lag_ps[-1], 2.0 * np.pi * 10e-6)
    omega = np.geomspace(lowest, 1.0 / powder.lag_ps[1], n_points)
    kept = float(fit.amplitude[0] * (1.0 - fit.plateau_b2[0]))
    columns = {
        "frequency_mhz": omega / (2.0 * np.pi) * 1e6,
        "j_fit_ps": kept * decay_density_ps(float(fit.tau_ps[0]), float(fit.gamma[0]), omega),
    }
    for window in WINDOWS:
        columns[f"j_{window}_ps"] = measured_density_ps(
            powder.lag_ps, powder.acf, omega, plateau=plateau, window=window
        )
    return columns
