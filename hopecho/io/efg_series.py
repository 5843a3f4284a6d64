"""Tensors of runs that are too long for memory, read a few ions at a time.

Tables hold frame after frame; a correlation function needs one ion at all times. Reading a few ions
at a time from them would unpack the whole run again for every few, so that runs beyond `MEMORY_MB`
are unpacked once, into a nameless scratch file in which every ion's series lies in one piece (20
bytes for an ion and frame; the system removes it with the process, however that ends).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.efg_table import iterate_efg, join_axes, read_efg

MEMORY_MB = 128.0
"""Tensors of all runs together up to which they are held in memory, MB."""

BLOCK_BYTES = 1 << 24
_ITEM_BYTES = 20


class Series(Protocol):
    """What an analysis may ask of a run: its shape, and all frames of some ions."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_frames, n_ions, 5)."""

    def __getitem__(self, key: Any, /) -> Any:
        """Give ``series[:, ions]``, (n_frames, n_some, 5)."""


@dataclass(frozen=True)
class EfgSeries:
    """Tensors of one run on an even time grid, in memory or in a scratch file."""

    time_ps: NDArray[np.float64]
    """(n_frames,), ps."""
    ion_id: NDArray[np.int64]
    """(n_ions,), 0-based atom indices."""
    efg: Series
    """(n_frames, n_ions, 5), isometric components, a.u."""

    @property
    def stride_ps(self) -> float:
        """Time between frames, ps."""
        return float(self.time_ps[1] - self.time_ps[0])


class IonFile:
    """Series of ions, (n_frames, n_ions, 5) float32, in a file that has no name."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int]) -> None:
        self._file = file
        self.shape = shape

    def write(self, first: int, block: NDArray[np.float32]) -> None:
        """Write frames `first` and on, (n, n_ions, 5)."""
        by_ion = np.ascontiguousarray(np.swapaxes(block, 0, 1), dtype=np.float32)
        for ion, strip in enumerate(by_ion):
            data, at = strip.tobytes(), self._offset(ion) + first * _ITEM_BYTES
            if os.pwrite(self._file.fileno(), data, at) != len(data):
                raise OSError("short write: no space left")

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.float32]:
        frames, ions = key
        start, stop, _ = ions.indices(self.shape[1])
        count = max(stop - start, 0)
        size = count * self.shape[0] * _ITEM_BYTES
        data = os.pread(self._file.fileno(), size, self._offset(start))
        values = np.frombuffer(data, dtype=np.float32).reshape(count, self.shape[0], 5)
        return np.swapaxes(values, 0, 1)[frames]

    def _offset(self, ion: int) -> int:
        return ion * self.shape[0] * _ITEM_BYTES


@contextmanager
def open_runs(
    runs: Sequence[Sequence[Path | str]], *, scratch: Path, memory_mb: float = MEMORY_MB
) -> Iterator[list[EfgSeries]]:
    """Open the tables of several runs, in memory if all of them fit there; a context manager.

    Parameters
    ----------
    runs : sequence of sequence of path
        Consecutive tables of every run.
    scratch : Path
        Folder on a disk with 20 bytes of space for every ion and frame.
    memory_mb : float
        Size of all tensors up to which they are held in memory, MB.

    Raises
    ------
    HopechoError
        As `read_efg`; for a run of one frame, runs of different strides, and a full disk.
    """
    axes = [join_axes(paths) for paths in runs]
    strides = [_stride(time, paths) for (time, _, _), paths in zip(axes, runs, strict=True)]
    if not np.allclose(strides, strides[0], rtol=1e-3):
        raise HopechoError(
            "The tables have different strides.",
            got=", ".join(f"{p[0]}: {x:g} ps" for p, x in zip(runs, strides, strict=True)),
            fix="analyse them apart, or thin the denser one",
        )
    size = sum(len(time) * len(ions) * _ITEM_BYTES for time, ions, _ in axes)
    if size <= memory_mb * 2**20:
        tables = [read_efg(paths) for paths in runs]
        yield [EfgSeries(t.time_ps, t.ion_id, t.efg) for t in tables]
        return
    with ExitStack() as files:
        series = []
        for paths, (time, ions, skips) in zip(runs, axes, strict=True):
            target = _turned(paths, skips, (len(time), len(ions), 5), scratch, files)
            series.append(EfgSeries(time, ions, target))
        yield series


def _stride(time_ps: NDArray[np.float64], paths: Sequence[Path | str]) -> float:
    if len(time_ps) < 2:
        raise HopechoError("A table of field gradients has a single frame.", got=str(paths[0]))
    return float(time_ps[1] - time_ps[0])


def _turned(
    paths: Sequence[Path | str],
    skips: Sequence[int],
    shape: tuple[int, int, int],
    scratch: Path,
    files: ExitStack,
) -> IonFile:
    """Unpack the tables of a run once, ion by ion, into a file that `files` closes."""
    frames = max(1, BLOCK_BYTES // (shape[1] * _ITEM_BYTES))
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (closed by `files`)
        target = IonFile(files.enter_context(file), shape)
        first = 0
        for path, skip in zip(paths, skips, strict=True):
            for block in iterate_efg(path, first=skip, frames=frames):
                target.write(first, block)
                first += len(block)
    except OSError as error:
        raise HopechoError(
            f"Cannot turn {paths[0]} into series of ions",
            got=str(error),
            fix=f"make {shape[0] * shape[1] * _ITEM_BYTES / 1e9:.3g} GB of space in {scratch}",
        ) from error
    return target
