"""Mean square displacements of runs that do not fit into memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hopecho.errors import HopechoError

Array = NDArray[np.float64]

MAX_BYTES = 256 * 2**20
"""Memory of one window of frames and its spectra, together."""

MIN_BLOCK_FRAMES = 4096
SPECTRA_PER_SERIES = 6
"""Doubles a frame that one series needs while its spectra are formed."""


class FrameSource(Protocol):
    """Anything sliced like (n_frames, n_ions, 3): array, memmap, or an open HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_frames, n_ions, 3)."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """Frames and ions by slices."""
        ...


def msd_streamed(
    source: FrameSource,
    *,
    n_lags: int,
    drift: NDArray[np.floating[Any]] | None = None,
    per_ion: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Array:
    r"""MSD over all time origins by FFT, reading the run in windows.

    Origins come in blocks; each is correlated with its own window of block + n_lags frames, in the
    frame of that window's mean, so that long runs lose no digits either. Where one window of all
    ions exceeds the memory, the ions are read in groups, one pass over the run for each.

    Parameters
    ----------
    source : FrameSource
        (n_frames, n_ions, 3), A, unwrapped.
    n_lags : int
        Lags 0 ... n_lags - 1, in frames.
    drift : ndarray, optional
        (n_frames, 3), A, subtracted from every ion: the motion of the framework.
    per_ion : bool
        Keep the ions apart; the result itself then takes n_lags x n_ions x 24 bytes.
    max_bytes : int
        Memory for windows and spectra, bytes.

    Returns
    -------
    ndarray
        (n_lags, 3), mean over ions, or (n_lags, n_ions, 3); A^2.

    Raises
    ------
    HopechoError
        If n_lags is not in 1 ... n_frames.
    """
    if len(source.shape) != 3 or source.shape[2] != 3 or not 1 <= n_lags <= source.shape[0]:
        raise HopechoError(
            "An MSD needs positions (n_frames, n_ions, 3) and 1 <= n_lags <= n_frames.",
            got=f"shape {tuple(source.shape)}, n_lags {n_lags}",
        )
    n_frames, n_ions, _ = source.shape
    block = min(max(n_lags, MIN_BLOCK_FRAMES), n_frames)
    n_fft = int(fft.next_fast_len(block + n_lags - 1, real=True))
    group = max(1, int(0.5 * max_bytes) // (n_fft * 3 * 8))
    chunk = max(1, int(0.5 * max_bytes) // (n_fft * 3 * 8 * SPECTRA_PER_SERIES))
    total = np.zeros((n_ions if per_ion else 1, 3, n_lags))
    for first in range(0, n_ions, group):
        ions = slice(first, min(first + group, n_ions))
        for start in range(0, n_frames, block):
            stop = min(start + block + n_lags - 1, n_frames)
            # A copy: a slice of an array is a view, and the run must not change.
            window = np.array(source[start:stop, ions], dtype=np.float64)
            if drift is not None:
                window -= np.asarray(drift[start:stop], dtype=np.float64)[:, None]
            n_origins = min(block, n_frames - start)
            for c in range(0, window.shape[1], chunk):
                part = _sums(window[:, c : c + chunk], n_origins, n_lags, n_fft, per_ion)
                target = slice(first + c, first + c + part.shape[0]) if per_ion else slice(0, 1)
                total[target] += part
    total /= n_frames - np.arange(n_lags)
    total[..., 0] = 0.0
    moved = np.maximum(np.moveaxis(total, -1, 0), 0.0)
    return moved if per_ion else np.asarray(moved[:, 0] / n_ions, dtype=np.float64)


def _sums(window: Array, n_origins: int, n_lags: int, n_fft: int, per_ion: bool) -> Array:
    """Sum over origins of squared displacements, (n_ions or 1, 3, n_lags)."""
    x = np.ascontiguousarray(np.moveaxis(window, 0, -1))
    x = x - x.mean(-1, keepdims=True)
    n = x.shape[-1]
    spectrum = fft.rfft(x, n_fft, axis=-1)
    power = np.conj(fft.rfft(x[..., :n_origins], n_fft, axis=-1)) * spectrum
    squares = x**2
    if not per_ion:
        # One inverse transform of the sum serves all ions.
        power, squares = power.sum(0, keepdims=True), squares.sum(0, keepdims=True)
    cross = fft.irfft(power, n_fft, axis=-1)[..., :n_lags]
    cumulative = np.concatenate([np.zeros((*squares.shape[:-1], 1)), squares.cumsum(-1)], axis=-1)
    lags = np.arange(n_lags)
    # Origins t < n_origins whose partner t + lag still lies in the run.
    counted = np.clip(n - lags, 0, n_origins)
    early = cumulative[..., counted]
    late = cumulative[..., np.minimum(lags + counted, n)] - cumulative[..., np.minimum(lags, n)]
    out = early + late - 2.0 * cross
    out[..., counted == 0] = 0.0
    return np.asarray(out, dtype=np.float64)
