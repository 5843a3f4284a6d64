"""Trajectories from elsewhere: LAMMPS dumps, extended XYZ and H5MD, read and checked as one run.

A run is one or several consecutive files with unwrapped positions and a fixed cell. It is held in
memory, 12 bytes for an atom and frame. ``hopecho transport``, ``hopecho echo`` and the rules of a
campaign (``phases.<p>.trajectories``) read and check alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames
from hopecho.io.h5md import Segment, read_segment
from hopecho.io.results import sha256
from hopecho.md.harvest import DumpFrame, read_dump
from hopecho.trajectory import STRIDE_TOLERANCE, check_unwrapped, join

H5MD_SUFFIXES = (".h5md", ".h5", ".hdf5")
XYZ_SUFFIXES = (".extxyz", ".xyz")
SEAM_ANGSTROM = 1e-3
"""Largest difference of a frame that ends one file and starts the next."""
CELL_ANGSTROM = 1e-4
"""Largest change of a component of a fixed cell."""
MIN_FRAMES = 100
"""Of a run in a campaign, as of its own MD."""
SAME = 1e-3
"""Largest relative difference of stride and volume of runs that are analysed together."""


@contextmanager
def named(key: str) -> Iterator[None]:
    """Put the key of the configuration before what an error inside the block says."""
    try:
        yield
    except HopechoError as error:
        raise HopechoError(f"{key}: {error.what}", got=error.got, fix=error.fix) from error


def import_run(
    paths: Sequence[str | Path], *, elements: Sequence[str], mobile: str, stride_ps: float | None
) -> Segment:
    """Read a run for a campaign: as `read_run`, and with the material's elements and enough frames.

    Parameters
    ----------
    paths, elements, stride_ps
        As for `read_run`.
    mobile : str
        Element of the mobile ions.

    Raises
    ------
    HopechoError
        As `read_run`; for elements that are not the material's, and for fewer than `MIN_FRAMES`.
    """
    run = read_run(paths, elements=elements, stride_ps=stride_ps)
    found = {chemical_symbols[z] for z in run.numbers}
    if found != set(elements):
        raise HopechoError(
            f"{paths[0]} is not of this material",
            got=f"elements {', '.join(sorted(found))}, and not {', '.join(elements)}",
            fix="correct materials.<material>.elements (of a dump: the order of its types), or the "
            f"files; the mobile ion is {mobile}",
        )
    if len(run.time_ps) < MIN_FRAMES:
        raise HopechoError(
            f"{paths[0]} leaves too few frames",
            got=f"{len(run.time_ps)} frames of the run",
            fix=f"give at least {MIN_FRAMES}",
        )
    return run


def run_record(run: Segment, paths: Sequence[str | Path]) -> dict[str, Any]:
    """Say what a run holds, and which files it is from, with their SHA-256."""
    symbols = [chemical_symbols[z] for z in run.numbers]
    stride = float(run.time_ps[-1] - run.time_ps[0]) / (len(run.time_ps) - 1)
    return {
        "files": [{"path": str(path), "sha256": sha256(path)} for path in paths],
        "n_frames": len(run.time_ps),
        "stride_ps": stride,
        "length_ps": stride * len(run.time_ps),
        "atoms": {e: symbols.count(e) for e in sorted(set(symbols))},
        "volume_a3": float(abs(np.linalg.det(run.cell))),
    }


def check_together(records: Sequence[Mapping[str, Any]]) -> None:
    """Raise if runs that are analysed together are of different systems or strides.

    Parameters
    ----------
    records : sequence of mapping
        Of `run_record`.

    Raises
    ------
    HopechoError
        Naming the first file of the odd run, and of the first run.
    """
    first = records[0]
    for other in records[1:]:
        shown: dict[str, tuple[bool, object, object]] = {
            "other atoms": (other["atoms"] == first["atoms"], other["atoms"], first["atoms"])
        }
        for what, key in (("another volume", "volume_a3"), ("another stride", "stride_ps")):
            same = abs(other[key] / first[key] - 1.0) < SAME
            shown[what] = (same, f"{key} {other[key]:.6g}", f"{first[key]:.6g}")
        for what, (same, got, expected) in shown.items():
            if not same:
                raise HopechoError(
                    f"{other['files'][0]['path']} has {what} than {first['files'][0]['path']}",
                    got=f"{got}, not {expected}",
                    fix="analyse together only runs of one phase and temperature, of one stride",
                )


def read_run(
    paths: Sequence[str | Path], *, elements: Sequence[str], stride_ps: float | None = None
) -> Segment:
    """Read the files of one run and check them.

    A file that starts with the last frame of the one before it loses that frame.

    Parameters
    ----------
    paths : sequence of path
        In order of time. ``.h5md .h5 .hdf5`` is H5MD, ``.extxyz .xyz`` extended XYZ, anything else
        a LAMMPS text dump ``id type xu yu zu``.
    elements : sequence of str
        Elements of the LAMMPS types 1, 2, ....
    stride_ps : float, optional
        Time between frames, ps. Dumps need it, and XYZ without ``time_ps=`` in its comment lines.

    Returns
    -------
    Segment
        The whole run; positions float32.

    Raises
    ------
    HopechoError
        Naming the file: for wrapped positions, a gap or a double frame, other columns, other atoms
        or another cell than before, a missing time, or a value that is not finite.
    """
    parts: list[Segment] = []
    for path in map(Path, paths):
        part = _read(path, parts, elements, stride_ps)
        if not part.positions.size:
            raise HopechoError(f"{path} holds no frame, or no atom")
        if parts:
            part = _without_seam(parts[-1], part, path)
        _check_positions(part, path)
        parts.append(part)
    run = join(parts, names=[str(p) for p in paths])
    if stride_ps is not None and abs(run.stride_ps - stride_ps) > STRIDE_TOLERANCE * stride_ps:
        raise HopechoError(
            f"{paths[0]} has another stride than was given",
            got=f"{run.stride_ps:g} ps between its frames, stride_ps = {stride_ps:g}",
            fix="correct stride_ps, or leave it out where files hold times",
        )
    positions = np.asarray(run.positions, dtype=np.float32)
    return Segment(run.time_ps, positions, run.cell, run.numbers)


def _read(
    path: Path, before: Sequence[Segment], elements: Sequence[str], stride_ps: float | None
) -> Segment:
    if not path.is_file():
        raise HopechoError(f"There is no trajectory {path}", fix="give a path from this folder")
    if path.suffix in H5MD_SUFFIXES:
        whole = read_segment(path)
        return replace(whole, velocities=None, observables={})
    if path.suffix in XYZ_SUFFIXES:
        return _read_xyz(path, before, stride_ps)
    return _read_dump(path, before, elements, stride_ps)


def _read_xyz(path: Path, before: Sequence[Segment], stride_ps: float | None) -> Segment:
    frames = read_frames(path)
    numbers, cell = frames[0].numbers, np.asarray(frames[0].cell.array)
    for k, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, numbers):
            raise HopechoError(f"{path} has other atoms, or another order, in frame {k}")
        _check_cell(np.asarray(frame.cell.array), cell, path, k)
    if abs(np.linalg.det(cell)) < 1e-6:
        raise HopechoError(f"{path} has no cell", fix='give Lattice="..." in the comment lines')
    if all("time_ps" in frame.info for frame in frames):
        time = _info_times(frames, path)
    elif stride_ps is not None:
        # Files without times follow one another: what lies between them cannot be seen.
        start = before[-1].time_ps[-1] + stride_ps if before else 0.0
        time = np.asarray(start + stride_ps * np.arange(len(frames)), dtype=np.float64)
    else:
        raise HopechoError(
            f"{path} does not say the times of its frames",
            fix="give stride_ps, the time between frames, or time_ps= in every comment line",
        )
    positions = np.array([frame.positions for frame in frames], dtype=np.float32)
    return Segment(time, positions, cell, np.asarray(numbers, dtype=np.int64))


def _info_times(frames: Sequence[Atoms], path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(frame.info["time_ps"]) for frame in frames])
    except (TypeError, ValueError, OverflowError) as error:
        raise HopechoError(
            f"{path} gives a time that is no number",
            got=str(error),
            fix="write time_ps=<number> in every comment line",
        ) from error


def _read_dump(
    path: Path, before: Sequence[Segment], elements: Sequence[str], stride_ps: float | None
) -> Segment:
    if stride_ps is None:
        raise HopechoError(
            f"{path} is a LAMMPS dump, which counts steps and knows no times",
            fix="give stride_ps, the time between frames",
        )
    frames = _dump_frames(path)
    first = frames[0]
    for k, frame in enumerate(frames):
        if not np.array_equal(frame.types, first.types):
            raise HopechoError(f"{path} has other atoms in frame {k} than in its first one")
        _check_cell(frame.cell, first.cell, path, k)
    if first.types.min() < 1 or first.types.max() > len(elements):
        raise HopechoError(
            f"{path} has atoms of a type that has no element",
            got=f"types up to {first.types.max()}, elements {', '.join(elements)}",
            fix="give the material's elements in the order of the LAMMPS types",
        )
    steps = np.array([frame.step for frame in frames], dtype=np.int64)
    known = before[0].step if before else steps
    if known is None or len(known) < 2 or known[1] <= known[0]:
        raise HopechoError(
            f"{path} does not say how many steps lie between frames",
            got=f"steps {steps[:2].tolist()}",
            fix="the first file of a run needs two frames in order of time; join only dumps with "
            "dumps",
        )
    time = np.asarray(steps * (stride_ps / float(known[1] - known[0])), dtype=np.float64)
    numbers = np.array([atomic_numbers[e] for e in elements], dtype=np.int64)[first.types - 1]
    positions = np.array([frame.positions for frame in frames], dtype=np.float32)
    return Segment(time, positions, first.cell, numbers, steps)


def _dump_frames(path: Path) -> list[DumpFrame]:
    try:
        frames = list(read_dump(path))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise HopechoError(
            f"{path} is not a LAMMPS text dump",
            got=f"{type(error).__name__}: {error}",
            fix="give a dump `id type xu yu zu`, .extxyz or .h5md",
        ) from error
    if not frames:
        raise HopechoError(f"{path} holds no whole frame", fix="dump id type xu yu zu")
    return frames


def _check_cell(
    cell: NDArray[np.float64], first: NDArray[np.float64], path: Path, frame: int
) -> None:
    change = float(np.abs(cell - first).max())
    if change > CELL_ANGSTROM:
        raise HopechoError(
            f"The cell changes in {path}",
            got=f"a component differs by {change:.4g} A in frame {frame}",
            fix="analyse runs at fixed cell (NVE or NVT)",
        )


def _without_seam(before: Segment, part: Segment, path: Path) -> Segment:
    """Leave out a first frame that is the last one of the file before."""
    same = len(before.numbers) == len(part.numbers)
    if not same or abs(part.time_ps[0] - before.time_ps[-1]) > 1e-9 * max(1.0, part.time_ps[0]):
        return part
    gap = float(np.abs(part.positions[0] - before.positions[-1]).max())
    if gap > SEAM_ANGSTROM:
        raise HopechoError(
            f"{path} does not continue the file before it",
            got=f"the frame of {part.time_ps[0]:g} ps differs by {gap:.3g} A",
            fix="give the files of one run, in order of time, unwrapped throughout",
        )
    if len(part.time_ps) == 1:
        raise HopechoError(f"{path} holds only the last frame of the file before it")
    step = None if part.step is None else part.step[1:]
    return replace(part, time_ps=part.time_ps[1:], positions=part.positions[1:], step=step)


def _check_positions(part: Segment, path: Path) -> None:
    if not np.isfinite(part.positions).all():
        raise HopechoError(f"{path} holds positions that are not numbers")
    try:
        check_unwrapped(part.positions, part.cell)
    except HopechoError as error:
        raise HopechoError(f"{path}: {error.what}", got=error.got, fix=error.fix) from error
