"""Mean square displacements over all time origins, of ions, axes, elements and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy import fft

from hopecho.dynamics.estimate import BlockError, block_error
from hopecho.errors import HopechoError

Array = NDArray[np.float64]

N_SEGMENTS = 4
"""Blocks cut from the shortest replica: longer than the lags, enough for a variance."""

MIN_BLOCKS = 12
"""Blocks over all replicas that an error bar should rest on."""

MAX_LAG_FRACTION = 0.2
"""Longest lag over run length: beyond it fewer than five independent origins remain for an ion."""

FIT_FRACTION = 0.5
"""Longest lag of a fit over block length: 1/8 of the run at 4 blocks."""

MIN_BLOCK_FRAMES = 10
IONS_PER_CHUNK = 8


@dataclass(frozen=True)
class MsdCurves:
    """MSD over all origins, averaged over ions and replicas, and the same from separate blocks."""

    lag_ps: Array
    """(n_lags,), ps, from 0."""
    msd: Array
    """(n_lags,), A^2, sum of the axes."""
    msd_err: Array
    """(n_lags,), A^2, one sigma, from blocks."""
    msd_axes: Array
    """(n_lags, 3), A^2."""
    runs: Array
    """(n_replicas, n_lags), A^2, sum of the axes: of every replica by itself."""
    blocks: Array
    """(n_blocks, n_lags, 3), A^2."""
    replica: NDArray[np.int64]
    """(n_blocks,), replica of each block."""
    quench: NDArray[np.int64] | None
    """(n_blocks,), quench of each block."""
    n_ions: int
    ion_time_ps: float
    """Ions times run length, summed over replicas, ps."""
    n_fit: int
    """Number of lags, from 0, that a fit may use."""

    def error(self, values: Array) -> BlockError:
        """Standard error of the mean of one value a block."""
        return block_error(values, replica=self.replica, quench=self.quench)


def msd_per_ion(positions: NDArray[np.floating[Any]], *, n_lags: int, axes: bool = True) -> Array:
    r"""MSD of every ion, and of every axis, over all time origins by FFT.

    :math:`M(l) = \frac{1}{n-l} \sum_t [x(t+l) - x(t)]^2`, the cross term from the power spectrum.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_ions, 3), A, unwrapped, in the frame of the framework.
    n_lags : int
        Lags 0 ... n_lags - 1, in frames.
    axes : bool
        Keep the axes apart; their sum alone needs a third of the inverse transforms.

    Returns
    -------
    ndarray
        (n_lags, n_ions, 3), A^2; without `axes` (n_lags, n_ions).

    Raises
    ------
    HopechoError
        If n_lags is not in 1 ... n_frames.

    Source: Calandrini et al., Ecole thematique Soc. Fr. Neutron. 12, 201 (2011), section 4.2.
    """
    _check_lags(positions, n_lags)
    # Lags run fastest in memory, as the transforms leave them: the result is a view of it.
    n_ions = positions.shape[1]
    out = np.empty((n_ions, 3, n_lags) if axes else (n_ions, n_lags))
    for start in range(0, n_ions, IONS_PER_CHUNK):
        ions = slice(start, start + IONS_PER_CHUNK)
        squares, power, n_fft = _spectrum(positions[:, ions], n_lags)
        if not axes:
            squares, power = squares.sum(1), power.sum(1)
        cross = fft.irfft(power, n_fft, axis=-1)[..., :n_lags]
        out[ions] = _combine(squares, cross, n_lags)
    return np.moveaxis(out, -1, 0)


def msd_mean(positions: NDArray[np.floating[Any]], *, n_lags: int) -> Array:
    """`msd_per_ion` averaged over the ions, (n_lags, 3), A^2; summing spectra halves the FFTs."""
    _check_lags(positions, n_lags)
    n_frames, n_ions, _ = positions.shape
    n_fft = _fft_length(n_frames, n_lags)
    squares, power = np.zeros((3, n_frames)), np.zeros((3, n_fft // 2 + 1))
    for start in range(0, n_ions, IONS_PER_CHUNK):
        part, spectrum, _ = _spectrum(positions[:, start : start + IONS_PER_CHUNK], n_lags)
        squares += part.sum(0)
        power += spectrum.sum(0)
    cross = fft.irfft(power, n_fft, axis=-1)[..., :n_lags]
    return _combine(squares, cross, n_lags).T / n_ions


def msd_at_lags(positions: NDArray[np.floating[Any]], lags: Sequence[int]) -> Array:
    """MSD of every ion and axis at a few lags (frames), all origins: (n_lags, n_ions, 3), A^2."""
    x = np.asarray(positions, dtype=np.float64)
    return np.array([((x[lag:] - x[: len(x) - lag]) ** 2).mean(0) for lag in lags])


def _check_lags(positions: NDArray[np.floating[Any]], n_lags: int) -> None:
    if positions.ndim != 3 or positions.shape[2] != 3 or not 1 <= n_lags <= len(positions):
        raise HopechoError(
            "An MSD needs positions (n_frames, n_ions, 3) and 1 <= n_lags <= n_frames.",
            got=f"shape {positions.shape}, n_lags {n_lags}",
        )


def _fft_length(n_frames: int, n_lags: int) -> int:
    """Enough padding for the wanted lags only, not twice the run."""
    return int(fft.next_fast_len(n_frames + n_lags - 1, real=True))


def _spectrum(x: NDArray[np.floating[Any]], n_lags: int) -> tuple[Array, Array, int]:
    """Squares (n_ions, 3, n_frames) and power spectra (n_ions, 3, n_freq) of centred series."""
    series = np.ascontiguousarray(np.moveaxis(x, 0, -1), dtype=np.float64)
    # Centred, the squares that cancel below are no larger than the motion itself.
    series = series - series.mean(-1, keepdims=True)
    n_fft = _fft_length(series.shape[-1], n_lags)
    spectrum = fft.rfft(series, n_fft, axis=-1)
    return series**2, spectrum.real**2 + spectrum.imag**2, n_fft


def _combine(squares: Array, cross: Array, n_lags: int) -> Array:
    """(..., n_lags) MSD from squares (..., n_frames) and the cross term."""
    n = squares.shape[-1]
    lags = np.arange(n_lags)
    total = np.concatenate([np.zeros((*squares.shape[:-1], 1)), np.cumsum(squares, -1)], -1)
    both = total[..., n - lags] + total[..., -1:] - total[..., lags]
    out = (both - 2.0 * cross) / (n - lags)
    out[..., 0] = 0.0
    return np.maximum(out, 0.0)


def segments_for(n_replicas: int) -> int:
    """Segments to cut each replica into: enough for 12 blocks in all, at least 2.

    Few replicas need segments for an error bar; many replicas give it by themselves, and longer
    blocks let the fit reach longer lags.
    """
    return max(2, -(-MIN_BLOCKS // n_replicas))


def msd_curves(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    stride_ps: float,
    quench: Sequence[int] | None = None,
    max_lag_fraction: float = MAX_LAG_FRACTION,
    n_segments: int = N_SEGMENTS,
) -> MsdCurves:
    """MSD of all replicas together, and of blocks of equal length cut from them.

    Parameters
    ----------
    replicas : sequence of ndarray
        Each (n_frames, n_ions, 3), A, unwrapped, in the frame of the framework; lengths may differ.
    stride_ps : float
        Time between frames, ps.
    quench : sequence of int, optional
        Quench of each replica.
    max_lag_fraction : float
        Longest lag over the shortest run.
    n_segments : int
        Blocks in the shortest replica; longer ones give more.

    Raises
    ------
    HopechoError
        Without replicas, for differing ions, or for a run too short to be cut.
    """
    _check_replicas(replicas, n_segments)
    n_block = min(len(x) for x in replicas) // n_segments
    n_lags = min(int(max_lag_fraction * n_block * n_segments), int(0.8 * n_block)) + 1
    weights = np.array([len(x) for x in replicas], dtype=np.float64)
    own = np.array([msd_mean(x, n_lags=n_lags) for x in replicas])
    axes = np.average(own, axis=0, weights=weights)
    blocks, owner = [], []
    for r, x in enumerate(replicas):
        for b in range(len(x) // n_block):
            blocks.append(msd_mean(x[b * n_block : (b + 1) * n_block], n_lags=n_lags))
            owner.append(r)
    of_replica = np.array(owner, dtype=np.int64)
    of_quench = None if quench is None else np.asarray(quench, dtype=np.int64)[of_replica]
    totals = np.array(blocks).sum(-1)
    errors = [
        block_error(totals[:, k], replica=of_replica, quench=of_quench).stderr
        for k in range(n_lags)
    ]
    n_ions = replicas[0].shape[1]
    return MsdCurves(
        lag_ps=np.arange(n_lags, dtype=np.float64) * stride_ps,
        msd=axes.sum(-1),
        msd_err=np.array(errors),
        msd_axes=axes,
        runs=own.sum(-1),
        blocks=np.array(blocks),
        replica=of_replica,
        quench=of_quench,
        n_ions=n_ions,
        ion_time_ps=float(n_ions * weights.sum() * stride_ps),
        n_fit=min(int(FIT_FRACTION * n_block), n_lags - 1) + 1,
    )


def _check_replicas(replicas: Sequence[NDArray[np.floating[Any]]], n_segments: int) -> None:
    if not replicas or n_segments < 2:
        raise HopechoError(
            "An MSD needs at least one replica and two segments.",
            got=f"{len(replicas)} replica(s), {n_segments} segment(s)",
        )
    counts = sorted({x.shape[1] for x in replicas})
    if len(counts) > 1 or counts[0] == 0:
        raise HopechoError("Replicas must have the same ions.", got=f"numbers of ions {counts}")
    shortest = min(len(x) for x in replicas)
    if shortest < MIN_BLOCK_FRAMES * n_segments:
        raise HopechoError(
            "The run is too short for an error bar.",
            got=f"{shortest} frames, at least {MIN_BLOCK_FRAMES * n_segments} wanted",
            fix="run longer, or write frames more often (md.stride_ps)",
        )


def msd_by_element(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    numbers: NDArray[np.integer[Any]],
    stride_ps: float,
    quench: Sequence[int] | None = None,
    max_lag_fraction: float = MAX_LAG_FRACTION,
    n_segments: int = N_SEGMENTS,
) -> dict[str, MsdCurves]:
    """`msd_curves` of each element; arguments as there, replicas holding all atoms."""
    return {
        chemical_symbols[z]: msd_curves(
            [x[:, numbers == z] for x in replicas],
            stride_ps=stride_ps,
            quench=quench,
            max_lag_fraction=max_lag_fraction,
            n_segments=n_segments,
        )
        for z in np.unique(numbers)
    }
