"""Velocity autocorrelation and the vibrational density of states of each element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy import fft, signal

from hopecho.errors import HopechoError
from hopecho.units import THZ_TO_CM1

Array = NDArray[np.float64]

MAX_STRIDE_PS = 0.010
"""Longest time between sampled velocities: Nyquist at 1668 cm-1; the bands of PS4 end at 650."""

RESOLUTION_CM1 = 3.0
"""Width of a frequency bin that a Welch segment is made long enough for."""

SMOOTHING_CM1 = 15.0
"""Window of the Savitzky-Golay filter, as in the Source of `vdos`."""

SAVGOL_ORDER = 2
IONS_PER_CHUNK = 32


@dataclass(frozen=True)
class Vdos:
    """Vibrational density of states of each element."""

    wavenumber_cm1: Array
    """(n_freq,), cm-1, from 0 to Nyquist, uniform."""
    g: dict[str, Array]
    """Element -> (n_freq,), states per cm-1; area 3 N of the element."""

    @property
    def total(self) -> Array:
        """Sum over elements, (n_freq,), area 3 N."""
        return np.asarray(np.sum(list(self.g.values()), axis=0), dtype=np.float64)

    def band_centre(self, element: str) -> float:
        r"""Band centre :math:`\int \omega g / \int g`, cm-1."""
        return band_centre(self.wavenumber_cm1, self.g[element])

    def smoothed(self, window_cm1: float = SMOOTHING_CM1) -> Vdos:
        """The same after `smooth`."""
        smooth_g = {e: smooth(self.wavenumber_cm1, g, window_cm1) for e, g in self.g.items()}
        return Vdos(self.wavenumber_cm1, smooth_g)


def remove_centre_of_mass(velocities: NDArray[np.floating[Any]], masses_u: Array) -> Array:
    """Velocities (n_frames, n_atoms, 3), A/ps, less the velocity of the centre of mass."""
    v = np.asarray(velocities, dtype=np.float64)
    weights = np.asarray(masses_u, dtype=np.float64) / np.sum(masses_u)
    return np.asarray(v - np.einsum("tak,a->tk", v, weights)[:, None], dtype=np.float64)


def vacf(velocities: NDArray[np.floating[Any]], *, n_lags: int) -> Array:
    r"""Velocity autocorrelation :math:`\langle v(0) \cdot v(t) \rangle`, mean over ions.

    Parameters
    ----------
    velocities : ndarray
        (n_frames, n_ions, 3), A/ps.
    n_lags : int
        Lags 0 ... n_lags - 1, in frames; all time origins.

    Returns
    -------
    ndarray
        (n_lags,), A^2/ps^2.

    Raises
    ------
    HopechoError
        If n_lags is not in 1 ... n_frames.
    """
    v = np.asarray(velocities)
    if v.ndim != 3 or v.shape[2] != 3 or not 1 <= n_lags <= len(v):
        raise HopechoError(
            "A velocity autocorrelation needs velocities (n_frames, n_ions, 3) and lags within.",
            got=f"shape {v.shape}, n_lags {n_lags}",
        )
    n_fft = int(fft.next_fast_len(len(v) + n_lags - 1, real=True))
    power = np.zeros(n_fft // 2 + 1)
    for start in range(0, v.shape[1], IONS_PER_CHUNK):
        part = np.moveaxis(v[:, start : start + IONS_PER_CHUNK], 0, -1).astype(np.float64)
        spectrum = fft.rfft(part, n_fft, axis=-1)
        power += (spectrum.real**2 + spectrum.imag**2).sum((0, 1))
    origins = len(v) - np.arange(n_lags)
    return np.asarray(fft.irfft(power, n_fft)[:n_lags] / origins / v.shape[1], dtype=np.float64)


def running_diffusion(correlation: Array, *, stride_ps: float) -> Array:
    r"""Running integral :math:`D(t) = \frac{1}{3} \int_0^t \langle v(0) v(s) \rangle ds`.

    Trapezoid rule; (n_lags,) A^2/ps^2 in, (n_lags,) A^2/ps out.
    """
    steps = 0.5 * (correlation[1:] + correlation[:-1]) * stride_ps
    return np.asarray(np.append(0.0, np.cumsum(steps)) / 3.0, dtype=np.float64)


def vdos(
    bursts: Sequence[NDArray[np.floating[Any]]],
    *,
    numbers: NDArray[np.integer[Any]],
    masses_u: Array,
    stride_ps: float,
    resolution_cm1: float = RESOLUTION_CM1,
) -> Vdos:
    r"""Density of states :math:`g(\nu) \propto \sum m |\tilde v(\nu)|^2`, Welch's method.

    The velocity of the centre of mass is removed; Hann windows, half overlapping; the sum runs
    over components. The area of each element is 3 N. At zero frequency g is
    :math:`12 N m D / (k_B T)` per unit of ordinary frequency.

    Parameters
    ----------
    bursts : sequence of ndarray
        Each (n_frames, n_atoms, 3), A/ps, of all atoms; lengths may differ.
    numbers : ndarray
        (n_atoms,), atomic numbers.
    masses_u : ndarray
        (n_atoms,), u.
    stride_ps : float
        Time between frames, ps.
    resolution_cm1 : float
        Wanted distance of frequencies, cm-1; a shorter burst sets it to that of its own length.

    Raises
    ------
    HopechoError
        For velocities sampled more sparsely than every 10 fs, or without frames.

    Source: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024), eqns (2) and (3).
    """
    _check_sampling(bursts, stride_ps)
    wanted = int(np.ceil(THZ_TO_CM1 / (resolution_cm1 * stride_ps)))
    n = min([wanted, *(len(b) for b in bursts)])
    masses = np.asarray(masses_u, dtype=np.float64)
    power = np.zeros((len(numbers), n // 2 + 1))
    for burst in bursts:
        v = remove_centre_of_mass(burst, masses)
        power += len(v) * np.array([_welch(v[:, a], n, stride_ps) for a in range(len(numbers))])
    # A one-sided density doubles every bin but the ends, which a trapezoid counts by half.
    power[:, 0] *= 2.0
    if n % 2 == 0:
        power[:, -1] *= 2.0
    nu = fft.rfftfreq(n, stride_ps) * THZ_TO_CM1
    g = {}
    for z in np.unique(numbers):
        own = np.asarray(numbers) == z
        raw = masses[own] @ power[own]
        g[chemical_symbols[z]] = raw * 3.0 * own.sum() / np.trapezoid(raw, nu)
    return Vdos(np.asarray(nu, dtype=np.float64), g)


def _welch(v: Array, n: int, stride_ps: float) -> Array:
    """Power of one atom's velocity (n_frames, 3), summed over components, (n // 2 + 1,)."""
    _, density = signal.welch(
        v, fs=1.0 / stride_ps, window="hann", nperseg=n, noverlap=n // 2, detrend=False, axis=0
    )
    return np.asarray(density.sum(1), dtype=np.float64)


def _check_sampling(bursts: Sequence[NDArray[np.floating[Any]]], stride_ps: float) -> None:
    if not bursts or min(len(b) for b in bursts) < 8:
        raise HopechoError(
            "A density of states needs bursts of at least eight frames.",
            got=f"lengths {[len(b) for b in bursts]}",
            fix="write longer bursts of velocities",
        )
    if not 0.0 < stride_ps <= MAX_STRIDE_PS * (1.0 + 1e-6):
        raise HopechoError(
            "The velocities are too sparsely sampled for a density of states.",
            got=f"one frame every {1e3 * stride_ps:g} fs",
            fix=f"write them every {1e3 * MAX_STRIDE_PS:g} fs or less; faster bands would be "
            "folded back",
        )


def band_centre(wavenumber_cm1: Array, g: Array) -> float:
    r"""Band centre :math:`\int \omega g / \int g`, cm-1."""
    area = float(np.trapezoid(g, wavenumber_cm1))
    return float(np.trapezoid(g * wavenumber_cm1, wavenumber_cm1)) / area


def smooth(wavenumber_cm1: Array, g: Array, window_cm1: float = SMOOTHING_CM1) -> Array:
    """Savitzky-Golay filter, order 2; bins too wide for the window are returned as they are."""
    points = 2 * int(0.5 * window_cm1 / (wavenumber_cm1[1] - wavenumber_cm1[0])) + 1
    if points <= SAVGOL_ORDER:
        return g
    filtered = signal.savgol_filter(g, min(points, len(g) - 1 + len(g) % 2), SAVGOL_ORDER)
    return np.asarray(filtered, dtype=np.float64)


def difference(ours: Vdos, reference: Vdos) -> Vdos:
    """Ours less the reference, on the coarser grid of the two, elements of both, negative too."""
    coarse, fine = sorted((ours, reference), key=lambda v: -v.wavenumber_cm1[1])
    nu = coarse.wavenumber_cm1[coarse.wavenumber_cm1 <= fine.wavenumber_cm1[-1] * (1 + 1e-12)]

    def on_grid(v: Vdos, element: str) -> Array:
        return np.interp(nu, v.wavenumber_cm1, v.g[element])

    both = [e for e in ours.g if e in reference.g]
    return Vdos(nu, {e: on_grid(ours, e) - on_grid(reference, e) for e in both})
