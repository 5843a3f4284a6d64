"""Everything that the echo needs of a run, in one sweep over its ions.

Memory is that of a few ions (one, of a long run), time grows as n log n with the frames. Curves
with a mean removed follow from the same sums: the mean over all runs need not be known before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hopecho.correlation.acf import (
    CHUNK_VALUES,
    check_lags,
    read_ions,
    series_shape,
    window_average,
)
from hopecho.correlation.plateau import END_SHARE, PlateauSums

Array = NDArray[np.float64]
View = Callable[[Array], Array]
"""(n_frames, n_some, 5) tensors -> (n_frames, n_some) or (n_frames, n_some, n_components)."""


@dataclass(frozen=True)
class SeriesSums:
    """Averages over time of one series of one run."""

    n_frames: int
    acf: Array
    """(n_ions, n_lags): raw correlation function."""
    head: Array
    """(n_ions, n_lags, n_components): mean over the frames that a lag starts from."""
    tail: Array
    """(n_ions, n_lags, n_components): mean over the frames that a lag ends at."""
    ends: Array
    """(2, n_ions, n_components): means over the first and the last 40 % of the run."""
    mean: Array
    """(n_ions, n_components)."""
    total: Array
    """(n_ions,): mean square."""

    def centred(self, offset: Array) -> Array:
        r"""Correlation function of x - o: :math:`C - o (\bar x_{head} + \bar x_{tail}) + o^2`."""
        return np.asarray(self.acf - (self.head + self.tail) @ offset + offset @ offset)

    def plateaus(self, offset: Array) -> PlateauSums:
        """Ingredients of the plateau without a fit, of x - o; see `plateau_sums`."""
        first, last = self.ends - offset
        return PlateauSums(
            mean_square=((self.mean - offset) ** 2).sum(axis=1),
            first_last=(first * last).sum(axis=1),
            total=self.total - 2.0 * self.mean @ offset + offset @ offset,
        )


def sweep(
    series: Any, *, views: Mapping[str, View], lags: NDArray[np.int64], n_window: int = 1
) -> dict[str, SeriesSums]:
    """Read every ion once and take the sums of every view of its tensors.

    Parameters
    ----------
    series : array-like (n_frames, n_ions, n_components)
        One run: anything with `shape` that gives ``series[:, ions]``.
    views : mapping of str to View
        What is correlated, by name.
    lags : ndarray (n_lags,), int
        Lags in frames, each < n_frames - n_window + 1.
    n_window : int
        Tensors are running means over so many frames, before the views.

    Raises
    ------
    HopechoError
        If a lag is not inside the run or a value is not finite.
    """
    n_frames, n_ions, n_components = series_shape(series)
    n_frames -= n_window - 1
    lags = check_lags(lags, n_frames)
    n_fft = fft.next_fast_len(n_frames + int(lags.max()), real=True)
    chunk = max(1, CHUNK_VALUES // (n_fft * n_components))
    parts: dict[str, list[SeriesSums]] = {name: [] for name in views}
    for start in range(0, n_ions, chunk):
        block = read_ions(series, slice(start, start + chunk))
        if n_window > 1:
            block = window_average(block, n_window=n_window)
        for name, view in views.items():
            values = view(block)
            shaped = values.reshape(n_frames, block.shape[1], -1)
            parts[name].append(_sums(shaped, lags, n_fft))
    return {name: _stacked(blocks) for name, blocks in parts.items()}


def mean_over_all(sums: Sequence[SeriesSums]) -> Array:
    """Mean over all ions, replicas and times, (n_components,)."""
    total = sum(s.n_frames * s.mean.sum(axis=0) for s in sums)
    return np.asarray(total / sum(s.n_frames * len(s.mean) for s in sums))


def _sums(x: Array, lags: NDArray[np.int64], n_fft: int) -> SeriesSums:
    """Sums of values (n_frames, n_ions, n_components)."""
    n, n_ions, n_components = x.shape
    power = np.zeros((n_ions, n_fft // 2 + 1))
    head = np.empty((n_ions, lags.size, n_components))
    tail, counts = np.empty_like(head), n - lags
    # One component at a time: of a long run even one ion is tens of megabytes.
    for c in range(n_components):
        one = np.ascontiguousarray(x[:, :, c].T)
        spectrum = fft.rfft(one, n=n_fft, axis=-1)
        power += spectrum.real**2 + spectrum.imag**2
        sums = np.cumsum(one, axis=-1)
        head[:, :, c] = sums[:, counts - 1] / counts
        tail[:, :, c] = (sums[:, -1:] - np.where(lags > 0, sums[:, lags - 1], 0.0)) / counts
    n_end = max(1, int(END_SHARE * n))
    return SeriesSums(
        n_frames=n,
        acf=fft.irfft(power, n=n_fft, axis=-1)[:, lags] / counts,
        head=head,
        tail=tail,
        ends=np.stack([x[:n_end].mean(axis=0), x[-n_end:].mean(axis=0)]),
        mean=x.mean(axis=0),
        total=np.einsum("tic,tic->i", x, x) / n,
    )


def _stacked(blocks: Sequence[SeriesSums]) -> SeriesSums:
    """Join the sums of blocks of ions."""

    def joined(name: str, axis: int = 0) -> Array:
        return np.concatenate([getattr(b, name) for b in blocks], axis=axis)

    return SeriesSums(
        n_frames=blocks[0].n_frames,
        acf=joined("acf"),
        head=joined("head"),
        tail=joined("tail"),
        ends=joined("ends", axis=1),
        mean=joined("mean"),
        total=joined("total"),
    )
