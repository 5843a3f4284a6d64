"""The plateau of the correlation function without a fit, from the mean tensors of the ions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.correlation.acf import CHUNK_VALUES, read_ions, series_shape

Array = NDArray[np.float64]

END_SHARE = 0.4
"""Share of the run averaged at either end; a fifth between them is the gap."""


@dataclass(frozen=True)
class PlateauSums:
    """Per-ion ingredients of both estimates, each (n_ions,), in the squared unit of the series."""

    mean_square: Array
    """|<x_i>|^2 over the whole run."""
    first_last: Array
    """<x_i>_first . <x_i>_last, averages over the first and the last 40 % of the run."""
    total: Array
    """<|x_i|^2>, the zero-lag value."""


def plateau_sums(series: Any, *, offset: Array | float = 0.0) -> PlateauSums:
    r"""Per-ion sums behind the plateau without a fit, in two forms.

    .. math:: x = \sum_i |\langle x_i\rangle|^2 / \sum_i \langle |x_i|^2\rangle, \quad
              x' = \sum_i \langle x_i\rangle_{first} \cdot \langle x_i\rangle_{last}
              / \sum_i \langle |x_i|^2\rangle

    Both estimate :math:`A b^2` of the decay fit, not :math:`b^2`. The first is biased by the finite
    run (`correct_plateau`); the two-ended form needs no correction once the gap, a fifth of the
    run, exceeds 2 tau.

    Parameters
    ----------
    series : array-like (n_frames, n_ions) or (n_frames, n_ions, n_components)
        One replica.
    offset : float or ndarray (n_components,)
        The global mean, where the correlation function has it removed.
    """
    n_frames, n_ions, n_components = series_shape(series)
    chunk = max(1, CHUNK_VALUES // (n_frames * n_components))
    parts = [
        _ion_sums(read_ions(series, slice(start, start + chunk)) - offset)
        for start in range(0, n_ions, chunk)
    ]
    mean_square, first_last, total = np.concatenate(parts, axis=1)
    return PlateauSums(mean_square=mean_square, first_last=first_last, total=total)


def _ion_sums(x: Array) -> Array:
    """Rows of `PlateauSums`, (3, n_ions), of values (n_frames, n_ions, n_components)."""
    n_end = max(1, int(END_SHARE * len(x)))
    mean, first, last = x.mean(axis=0), x[:n_end].mean(axis=0), x[-n_end:].mean(axis=0)
    total = np.einsum("tic,tic->i", x, x) / len(x)
    return np.stack([(mean**2).sum(axis=1), (first * last).sum(axis=1), total])


def finite_run_share(tau_ps: float, run_ps: float) -> float:
    r"""Share of an exponential decay that the mean over a finite run keeps.

    .. math:: g = \frac{2\tau}{T} \left[1 - \frac{\tau}{T} (1 - e^{-T/\tau})\right]
    """
    ratio = tau_ps / run_ps
    return float(2.0 * ratio * (1.0 + ratio * np.expm1(-1.0 / ratio)))


def correct_plateau(x: float, *, amplitude: float, tau_ps: float, run_ps: float) -> float:
    r"""Plateau A b^2 from x = A b^2 + g A (1 - b^2): :math:`A b^2 = (x - g A)/(1 - g)`.

    Parameters
    ----------
    x : float
        Mean-square estimate, divided by the zero-lag value.
    amplitude, tau_ps : float
        A and tau of the decay fit.
    run_ps : float
        Length of the run, ps.
    """
    g = finite_run_share(tau_ps, run_ps)
    return (x - g * amplitude) / (1.0 - g)
