r"""What errors of known size in the tensors do to the fitted decay.

The measured function is that of the true tensors plus that of the errors. Errors that fluctuate
with the vibrations add at lag 0 only: they change A, not tau or b^2. Errors that stay with a site
add a function that starts at their mean square and falls at a rate that is not known: never, if
they belong to the ion, or with the jumps. Every such rate is tried, and the fits compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.correlation.decay import fit_decay

Array = NDArray[np.float64]

RATES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Decay rates of the static error over that of the tensors."""


@dataclass(frozen=True)
class ErrorEffect:
    """Changes of the fit when the errors' own correlation is taken off."""

    static_share: float
    """Mean square of the static error over C(0)."""
    fluctuating_share: float
    tau_shift: tuple[float, float]
    """Smallest and largest relative change of tau."""
    plateau_shift: tuple[float, float]
    """Smallest and largest change of b^2."""
    amplitude_shift: tuple[float, float]
    """Smallest and largest change of A."""

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "static_share": self.static_share,
            "fluctuating_share": self.fluctuating_share,
            "tau_shift": list(self.tau_shift),
            "plateau_shift": list(self.plateau_shift),
            "amplitude_shift": list(self.amplitude_shift),
        }


def error_effect(
    lag_ps: Array,
    acf: Array,
    *,
    zero_lag_khz2: float,
    t_min_ps: float,
    gamma: float | None,
    static_khz: float,
    fluctuating_khz: float,
) -> ErrorEffect:
    """Refit a correlation function without the part that the errors of the tensors put into it.

    Parameters
    ----------
    lag_ps : ndarray (n_lags,), ps
        Lags of the curve, the first one 0.
    acf : ndarray (n_lags,)
        Powder correlation function divided by its value at lag 0.
    zero_lag_khz2 : float
        That value, kHz^2.
    t_min_ps : float
        First lag of the fit, ps.
    gamma : float or None
        Of the headline fit; None if it is free.
    static_khz, fluctuating_khz : float
        Held-out rms errors of the frequency over a powder: of each ion's mean, and about it, kHz.
    """
    lag = np.asarray(lag_ps, dtype=float)
    use = (lag >= t_min_ps * (1.0 - 1e-9)) & (lag > 0.0)
    static, white = static_khz**2 / zero_lag_khz2, fluctuating_khz**2 / zero_lag_khz2
    weights = np.maximum(1.0 - lag[use] / (3.0 * lag[-1]), 0.0)
    measured = np.asarray(acf, dtype=float)[use]
    before = fit_decay(lag[use], measured, gamma=gamma, weights=weights)
    shapes = [np.exp(-r * lag[use] / before.tau_ps[0]) for r in RATES]
    kept = max(1.0 - static - white, 1e-6)
    corrected = np.array([(measured - static * shape) / kept for shape in shapes])
    after = fit_decay(lag[use], corrected, gamma=gamma, weights=weights)
    return ErrorEffect(
        static_share=static,
        fluctuating_share=white,
        tau_shift=_ends(after.tau_ps / before.tau_ps - 1.0),
        plateau_shift=_ends(after.plateau_b2 - before.plateau_b2),
        amplitude_shift=_ends(after.amplitude - before.amplitude),
    )


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
