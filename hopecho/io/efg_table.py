"""Time series of field gradient tensors in HDF5: product of the EFG stage, door for own data.

Layout: ``/time_ps`` (n_frames,), ``/ion_id`` (n_ions,) 0-based atom indices, ``/flagged`` (n, 2)
frame and atom of environments unlike the training set, with ``/flagged_score`` (n,); ``/efg``
(n_frames, n_ions, 5) float32 isometric components (order of `hopecho.tensors`) in atomic units;
root attributes ``unit`` = "a.u.", ``convention`` = "isometric" and provenance as text. Tables with
``/efg`` of shape (n_frames, n_ions, 3, 3) (convention "matrix") are read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.errors import HopechoError
from hopecho.io.hdf5 import dataset, reading, reserve, values
from hopecho.tensors import isometric_from_matrix
from hopecho.units import EFG_AU_V_M2

UNIT = "a.u."
CONVENTION = "isometric"
_UNITS = {"a.u.": 1.0, "au": 1.0, "V/m^2": 1 / EFG_AU_V_M2, "V/m2": 1 / EFG_AU_V_M2}
_CHUNK_BYTES, _OVERHEAD_BYTES = 1 << 19, 1 << 17
_ION_BYTES = 20
_STEP_TOLERANCE = 1e-3
"""Largest relative departure of a time step from the first one."""


@dataclass(frozen=True)
class EfgTrajectory:
    """Tensors of the same ions on an even time grid."""

    time_ps: NDArray[np.float64]
    """(n_frames,), ps."""
    ion_id: NDArray[np.int64]
    """(n_ions,), 0-based atom indices."""
    efg: NDArray[np.float32]
    """(n_frames, n_ions, 5), isometric components, a.u."""


class EfgWriter:
    """Write a table chunk by chunk with constant memory; a context manager.

    The file appears under its name only when the block ends without an error.

    Parameters
    ----------
    path : Path or str
        File to create; an existing one is replaced.
    ion_id : array_like, (n_ions,)
        0-based atom indices.
    n_frames : int
        How many will come, if that is known: room for them is made sure of.
    provenance : mapping of str to str, optional
        Further root attributes.

    Raises
    ------
    HopechoError
        The disk is full.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        ion_id: ArrayLike,
        n_frames: int = 0,
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(self._path.name + ".partial")
        ids = np.asarray(ion_id, dtype=np.int64)
        reserve(self._partial, n_frames * (_ION_BYTES * len(ids) + 8) + _OVERHEAD_BYTES)
        self._file = h5py.File(self._partial, "w")
        self._file.attrs["unit"] = UNIT
        self._file.attrs["convention"] = CONVENTION
        for name, text in (provenance or {}).items():
            self._file.attrs[name] = text
        self._file.create_dataset("ion_id", data=ids, track_times=False)
        frames = max(1, _CHUNK_BYTES // (_ION_BYTES * max(len(ids), 1)))
        self._time = self._file.create_dataset(
            "time_ps", (0,), "f8", maxshape=(None,), chunks=(4096,), track_times=False
        )
        self._flagged = self._file.create_dataset(
            "flagged", (0, 2), "i8", maxshape=(None, 2), chunks=(512, 2), track_times=False
        )
        self._scores = self._file.create_dataset(
            "flagged_score", (0,), "f4", maxshape=(None,), chunks=(1024,), track_times=False
        )
        self._efg = self._file.create_dataset(
            "efg",
            (0, len(ids), 5),
            "f4",
            maxshape=(None, len(ids), 5),
            chunks=(frames, len(ids), 5),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
            track_times=False,
        )

    def flag(self, frame: ArrayLike, atom: ArrayLike, score: ArrayLike) -> None:
        """Add environments unlike the training set: 0-based frames, atoms and scores, each (n,)."""
        rows, n = np.stack([frame, atom], axis=1), len(self._flagged)
        self._flagged.resize(n + len(rows), axis=0)
        self._scores.resize(n + len(rows), axis=0)
        self._flagged[n:] = rows
        self._scores[n:] = score

    def append(self, time_ps: ArrayLike, efg: ArrayLike) -> None:
        """Add frames: times (n,), ps, and tensors (n, n_ions, 5), a.u.

        Raises
        ------
        HopechoError
            If shapes do not fit, a number is not finite, or time does not increase.
        """
        time, tensors = np.asarray(time_ps, dtype=float), np.asarray(efg)
        n = len(self._time)
        if tensors.shape != (len(time), *self._efg.shape[1:]):
            raise HopechoError(
                f"Tensors for {self._path} have the wrong shape",
                got=f"times {time.shape}, tensors {tensors.shape}",
                fix=f"expected ({len(time)}, {self._efg.shape[1]}, 5)",
            )
        if not (np.all(np.isfinite(time)) and np.all(np.isfinite(tensors))):
            raise HopechoError(
                f"NaN or infinity in tensors for {self._path}",
                got=f"{int(np.sum(~np.isfinite(tensors)))} bad components",
                fix="look at the trajectory or the model that produced them",
            )
        before = self._time[n - 1 :] if n else np.empty(0)
        if np.any(np.diff(np.concatenate([before, time])) <= 0):
            raise HopechoError(
                f"Time does not increase in tensors for {self._path}",
                got=f"frames from {n} on",
                fix="give frames in order, each once",
            )
        self._time.resize(n + len(time), axis=0)
        self._efg.resize(n + len(time), axis=0)
        self._time[n:] = time
        self._efg[n:] = tensors.astype(np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def write_efg(
    path: Path | str,
    trajectory: EfgTrajectory,
    *,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a whole table; see `EfgWriter` for the checks."""
    n, ions = len(trajectory.time_ps), trajectory.ion_id
    with EfgWriter(path, ion_id=ions, n_frames=n, provenance=provenance) as writer:
        writer.append(trajectory.time_ps, trajectory.efg)


def read_efg(paths: Path | str | Sequence[Path | str]) -> EfgTrajectory:
    """Read one table or consecutive segments of a run.

    Parameters
    ----------
    paths : path or sequence of paths
        Tables in order of time. A segment that starts with the last frame of the one before it
        loses that frame.

    Raises
    ------
    HopechoError
        Missing datasets, unknown unit or convention, NaN, other ions in a later segment, or a gap,
        overlap or uneven step in time.
    """
    names = [paths] if isinstance(paths, str | Path) else list(paths)
    time, ions, skips = join_axes(names)
    parts = [
        block
        for name, skip in zip(names, skips, strict=True)
        for block in iterate_efg(name, first=skip, frames=len(time))
    ]
    return EfgTrajectory(time, ions, np.concatenate(parts))


def join_axes(
    names: Sequence[Path | str],
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[int]]:
    """Read times and ions of consecutive tables of a run, without their tensors.

    Returns
    -------
    time_ps : ndarray (n_frames,), ps
    ion_id : ndarray (n_ions,)
    skips : list of int
        Frames at the start of each table that repeat the end of the one before it.

    Raises
    ------
    HopechoError
        As `read_efg`, but for NaN among the tensors.
    """
    if not names:
        raise HopechoError("No table of field gradients was given", fix="name at least one file")
    parts: list[NDArray[np.float64]] = []
    ions = np.empty(0, dtype=np.int64)
    skips: list[int] = []
    for name in names:
        time, found = _axes(name)
        if parts and not np.array_equal(found, ions):
            raise HopechoError(
                f"{name} holds other ions than {names[0]}",
                got=f"{len(found)} and {len(ions)} ions, or another order",
                fix="join only segments of one run",
            )
        ions = found
        skips.append(int(bool(parts) and np.isclose(time[0], parts[-1][-1], rtol=0, atol=1e-9)))
        if len(time) > skips[-1]:
            parts.append(time[skips[-1] :])
    joined = np.concatenate(parts)
    _check_steps(joined, names)
    return joined, ions, skips


def iterate_efg(path: Path | str, *, frames: int, first: int = 0) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (n, n_ions, 5) of at most `frames` frames from the frame `first` on, a.u.

    Raises
    ------
    HopechoError
        For NaN or infinity; and as `read_efg` for the file itself.
    """
    with _opened(path) as file:
        unit, convention = (_word(file.attrs.get(name)) for name in ("unit", "convention"))
        stored = dataset(file, "efg", kinds="f")
        for start in range(first, len(stored), frames):
            raw = np.asarray(stored[start : start + frames])
            efg = _to_isometric(raw, unit=unit, convention=convention, path=path)
            if not np.all(np.isfinite(efg)):
                raise HopechoError(
                    f"NaN or infinity in {path}",
                    got=f"{int(np.sum(~np.isfinite(efg)))} bad components from frame {start} on",
                    fix="remove or recompute these frames",
                )
            yield efg


@contextmanager
def _opened(path: Path | str) -> Iterator[h5py.File]:
    with reading(path) as file:
        missing = [name for name in ("time_ps", "ion_id", "efg") if name not in file]
        if missing:
            raise HopechoError(
                f"{path} is not a table of field gradients",
                got=f"no dataset {', '.join(missing)}",
                fix="needs /time_ps (n_frames,), /ion_id (n_ions,), /efg (n_frames, n_ions, 5)",
            )
        yield file


def _axes(path: Path | str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times and ions of one table; its tensors must have the shape that goes with them."""
    with _opened(path) as file:
        time = values(file, "time_ps").astype(float)
        ions = values(file, "ion_id", kinds="iu").astype(np.int64)
        shape = dataset(file, "efg", kinds="f").shape
    counts = (*time.shape, *ions.shape)
    if len(counts) != 2 or shape not in ((*counts, 5), (*counts, 3, 3)) or len(time) == 0:
        raise HopechoError(
            f"Shapes in {path} do not fit",
            got=f"time_ps {time.shape}, ion_id {ions.shape}, efg {shape}",
            fix="efg must be (n_frames, n_ions, 5) or (n_frames, n_ions, 3, 3)",
        )
    if not np.all(np.isfinite(time)):
        raise HopechoError(f"NaN or infinity in {path}", got="a time that is no number")
    if ions.min(initial=0) < 0 or len(np.unique(ions)) != len(ions):
        raise HopechoError(
            f"ion_id in {path} does not name every ion once",
            got=f"{ions[:10].tolist()}",
            fix="give 0-based indices of atoms, each once",
        )
    return time, ions


def _word(value: object) -> str:
    if value is None:
        return "not given"
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _to_isometric(
    efg: NDArray[np.floating], *, unit: str, convention: str, path: Path | str
) -> NDArray[np.float32]:
    if unit not in _UNITS:
        raise HopechoError(
            f"Unknown unit of the field gradients in {path}",
            got=f"attribute unit = {unit!r}",
            fix=f"set the root attribute unit to one of {sorted(_UNITS)}",
        )
    is_matrix = efg.ndim == 4 and efg.shape[-2:] == (3, 3)
    expected = ("matrix", "not given") if is_matrix else (CONVENTION,)
    if convention not in expected:
        raise HopechoError(
            f"Unclear components of the field gradients in {path}",
            got=f"shape {efg.shape}, attribute convention = {convention!r}",
            fix="(n_frames, n_ions, 5) with convention 'isometric', or 3 x 3 matrices",
        )
    values = isometric_from_matrix(efg) if is_matrix else efg
    with np.errstate(over="ignore"):  # infinities are refused by the caller
        return (values * _UNITS[unit]).astype(np.float32)


def _check_steps(time: NDArray[np.float64], names: Sequence[Path | str]) -> None:
    steps = np.diff(time)
    if len(steps) == 0:
        return
    # Rounding of times at large t must not look like a gap.
    slack = _STEP_TOLERANCE * abs(steps[0]) + 1e-9 * np.abs(time).max()
    bad = np.flatnonzero((steps <= 0) | (np.abs(steps - steps[0]) > slack))
    if len(bad):
        k = int(bad[0])
        raise HopechoError(
            f"Time is not continuous in {', '.join(str(name) for name in names)}",
            got=f"{time[k]:g} ps is followed by {time[k + 1]:g} ps, step {steps[0]:g} ps",
            fix="give all segments of one run, in order, with one stride",
        )
