"""Autocorrelation of per-ion series by FFT over all time origins.

A *series* is one replica: scalars (n_frames, n_ions) such as omega_Q, or isometric l = 2 components
(n_frames, n_ions, 5) of a tensor. Frames are equally spaced. A series may be anything with `shape`
that slices like an array, an HDF5 data set included; it is read a few ions at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hopecho.errors import HopechoError

Array = NDArray[np.float64]

POWDER_FACTOR = 2.0 / 15.0
r"""Exact powder average: :math:`\langle (b V(0) b)(b V(t) b)\rangle_b = \frac{2}{15} Tr[V(0)
V(t)]`."""

CHUNK_VALUES = 4_000_000
"""Padded values transformed at once (about 100 MB of work space)."""


def log_spaced_lags(
    n_frames: int, *, stride_ps: float, max_lag_ps: float | None = None, per_decade: int = 20
) -> NDArray[np.int64]:
    """Lag indices 0, 1, 2, ... thinned to `per_decade` points a decade.

    Parameters
    ----------
    n_frames : int
        Frames of the shortest replica.
    stride_ps : float
        Time between frames, ps.
    max_lag_ps : float, optional
        Longest lag, ps; half the run when not given.
    per_decade : int
        Points per factor of ten.

    Returns
    -------
    ndarray (n_lags,), int
        Strictly increasing, starting at 0.

    Raises
    ------
    HopechoError
        If the longest lag is shorter than one frame or not inside the run.
    """
    longest = n_frames // 2 if max_lag_ps is None else int(np.floor(max_lag_ps / stride_ps + 1e-9))
    if not 1 <= longest < n_frames:
        raise HopechoError(
            "The longest lag must be at least one frame and shorter than the run.",
            got=f"max_lag_ps = {max_lag_ps}, stride_ps = {stride_ps}, {n_frames} frames",
            fix="shorten correlation.max_lag_fraction, or run longer",
        )
    n_points = int(np.ceil(np.log10(longest) * per_decade)) + 2
    steps = np.unique(np.rint(np.geomspace(1, longest, n_points)).astype(np.int64))
    return np.concatenate([[0], steps])


def autocorrelation(series: Any, *, lags: NDArray[np.int64], offset: Array | float = 0.0) -> Array:
    r"""Autocorrelation of every ion, averaged over all time origins.

    .. math:: C_i(k) = \frac{1}{n - k} \sum_{t=0}^{n-k-1} (x_i(t) - o) \cdot (x_i(t+k) - o)

    Raw and unbiased. For isometric components the scalar product is Tr[V(0) V(t)]; times
    `POWDER_FACTOR` it is the powder average of the product of two frequencies.

    Parameters
    ----------
    series : array-like (n_frames, n_ions) or (n_frames, n_ions, n_components)
        One replica.
    lags : ndarray (n_lags,), int
        Lags in frames, in any order, each < n_frames.
    offset : float or ndarray (n_components,)
        Subtracted from every value: zero, or the *global* mean (`global_mean`).

    Returns
    -------
    ndarray (n_ions, n_lags)
        In the square of the unit of `series`.

    Raises
    ------
    HopechoError
        If a lag is not inside the run or a value is not finite.
    """
    n_frames, n_ions, n_components = series_shape(series)
    lags = check_lags(lags, n_frames)
    # Zeros for the longest lag wanted are enough to keep the circular product from wrapping around.
    n_fft = fft.next_fast_len(n_frames + int(lags.max()), real=True)
    chunk = max(1, CHUNK_VALUES // (n_fft * n_components))
    result = np.empty((n_ions, lags.size))
    for start in range(0, n_ions, chunk):
        part = read_ions(series, slice(start, start + chunk)) - offset
        spectrum = fft.rfft(np.moveaxis(part, 0, -1), n=n_fft, axis=-1)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        result[start : start + chunk] = fft.irfft(power, n=n_fft, axis=-1)[:, lags]
    return result / (n_frames - lags)


def acf_replicas(
    replicas: Sequence[Any], *, lags: NDArray[np.int64], remove_global_mean: bool = False
) -> list[Array]:
    """Per-ion autocorrelation of several replicas, of equal or different length.

    Parameters
    ----------
    replicas : sequence of array-like
        Series with the same components.
    lags : ndarray (n_lags,), int
        Lags in frames.
    remove_global_mean : bool
        Subtract the one mean over all ions, replicas and times first. An ion's own mean is never
        subtracted: it holds the plateau, and in a finite run part of the decay.

    Returns
    -------
    list of ndarray (n_ions, n_lags)
        One for each replica.
    """
    offset: Array | float = global_mean(replicas) if remove_global_mean else 0.0
    return [autocorrelation(series, lags=lags, offset=offset) for series in replicas]


def global_mean(replicas: Sequence[Any]) -> Array:
    """Mean over all ions, replicas and times.

    Returns
    -------
    ndarray (n_components,)
        One component for scalar series.
    """
    total: Array | float = 0.0
    count = 0
    for series in replicas:
        n_frames, n_ions, n_components = series_shape(series)
        chunk = max(1, CHUNK_VALUES // (n_frames * n_components))
        for start in range(0, n_ions, chunk):
            total = total + read_ions(series, slice(start, start + chunk)).sum(axis=(0, 1))
        count += n_frames * n_ions
    return np.asarray(total) / count


def window_average(series: Array, *, n_window: int) -> Array:
    r"""Running mean over `n_window` frames, to average vibrations out before correlating.

    An exponential's amplitude is multiplied by :math:`[\sinh(W/2\tau)/(W/2\tau)]^2`, its tau stays
    for lags >= W.

    Parameters
    ----------
    series : ndarray (n_frames, n_ions, ...)
        One replica with dense frames.
    n_window : int
        Frames in the window, 1 to n_frames.

    Returns
    -------
    ndarray (n_frames - n_window + 1, n_ions, ...)
    """
    if not 1 <= n_window <= len(series):
        raise HopechoError(
            "The averaging window must hold between one frame and the whole run.",
            got=f"{n_window} frames of {len(series)}",
            fix="choose a window between the stride and the length of the run",
        )
    sums = np.cumsum(series, axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    return (sums[n_window:] - sums[:-n_window]) / n_window


def series_shape(series: Any) -> tuple[int, int, int]:
    """Frames, ions and components of a series.

    Raises
    ------
    HopechoError
        If it is neither (n_frames, n_ions) nor (n_frames, n_ions, n_components), or empty.
    """
    shape = tuple(series.shape)
    if len(shape) not in (2, 3) or 0 in shape:
        raise HopechoError(
            "A series must be (n_frames, n_ions) or (n_frames, n_ions, n_components), not empty.",
            got=f"shape {shape}",
            fix="pass one replica at a time, frames first",
        )
    return shape[0], shape[1], shape[2] if len(shape) == 3 else 1


def check_lags(lags: NDArray[np.int64], n_frames: int) -> NDArray[np.int64]:
    """Return the lags, (n_lags,) in frames.

    Raises
    ------
    HopechoError
        If one of them is not inside the run.
    """
    lags = np.asarray(lags, dtype=np.int64)
    if lags.min() < 0 or lags.max() >= n_frames:
        raise HopechoError(
            "A lag lies outside the run.",
            got=f"lags {lags.min()} to {lags.max()} of {n_frames} frames",
            fix="shorten correlation.max_lag_fraction",
        )
    return lags


def read_ions(series: Any, ions: slice) -> Array:
    """Values of some ions, (n_frames, n_chunk, n_components) float64.

    Raises
    ------
    HopechoError
        If a value is not finite.
    """
    part = np.asarray(series[:, ions], dtype=np.float64)
    if not np.isfinite(part).all():
        raise HopechoError(
            "A series holds NaN or infinity.",
            got=f"{np.count_nonzero(~np.isfinite(part))} such values near ion {ions.start}",
            fix="predict the tensors of these frames again",
        )
    return part.reshape(part.shape[0], part.shape[1], -1)
