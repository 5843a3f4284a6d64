"""From LAMMPS's dumps and logs to verified frames."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, iterate, read_segment, write_segment
from hopecho.md.potentials import LammpsFrame
from hopecho.md.run import thermo_rows

DUMP_COLUMNS = ("id", "type", "xu", "yu", "zu")
VELOCITY_COLUMNS = ("vx", "vy", "vz")
_ITEMS = (
    "ITEM: TIMESTEP",
    "",
    "ITEM: NUMBER OF ATOMS",
    "",
    "ITEM: BOX BOUNDS",
    "",
    "",
    "",
    "ITEM: ATOMS",
)
"""How the lines of a frame's header begin."""
SEAM_TOLERANCE = 3e-6
"""Angstrom; positions are dumped with six decimals."""

_OBSERVABLES = {
    "Temp": "temperature",
    "PotEng": "potential_energy",
    "Econserve": "conserved",
    "Press": "pressure",
}


@dataclass(frozen=True)
class DumpFrame:
    """One frame of a dump, in LAMMPS's axes."""

    step: int
    cell: NDArray[np.float64]
    """(3, 3), Angstrom."""
    types: NDArray[np.int64]
    """(n_atoms,), in order of id."""
    positions: NDArray[np.float64]
    """(n_atoms, 3), Angstrom, unwrapped, in order of id."""
    velocities: NDArray[np.float64] | None = None
    """(n_atoms, 3), A/ps, in order of id, if the dump holds them."""


@dataclass(frozen=True)
class Chunk:
    """Files of one chunk."""

    dump: Path
    log: Path


def read_dump(path: Path) -> Iterator[DumpFrame]:
    """Yield the whole frames of a text dump ``id type xu yu zu``; a torn last frame is left out.

    Velocities are read where ``vx vy vz`` follow.

    Raises
    ------
    HopechoError
        When the columns are others, or a frame before the last is damaged.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number in itertools.count():
            header = list(itertools.islice(stream, len(_ITEMS)))
            try:
                frame = _frame(header, stream) if header else None
            except (ValueError, IndexError, OverflowError) as error:
                raise HopechoError(
                    f"{path} is damaged in frame {number} of the dump",
                    got=f"{type(error).__name__}: {error}",
                    fix="give a text dump as LAMMPS writes it: dump id type xu yu zu",
                ) from error
            if frame is None:
                return
            yield frame


def _frame(header: list[str], stream: TextIO) -> DumpFrame | None:
    """Read the frame after its header; None for a torn one at the end of the file."""
    for line, item in zip(header, _ITEMS):
        if not line.startswith(item[: len(line.rstrip("\n"))]):
            raise ValueError(f"{line[:60]!r} instead of {item!r}")
    if len(header) < len(_ITEMS) or not header[-1].endswith("\n"):
        return None
    columns = header[8].split()[2:]
    if columns[:5] != list(DUMP_COLUMNS):
        raise ValueError(f"other columns than needed: {' '.join(columns)}")
    n = int(header[3])
    step = int(header[1])
    if n < 1 or abs(step) >= 2**62:
        raise ValueError(f"{n} atoms at step {header[1].strip()[:40]}")
    lines = list(itertools.islice(stream, n))
    if any(line.startswith("ITEM:") for line in lines):
        raise ValueError(f"{n} atoms, but the next frame begins before")
    if len(lines) < n or not lines[-1].endswith("\n"):
        return None
    rows = np.loadtxt(lines, comments=None, ndmin=2)
    if rows.shape != (n, len(columns)):
        raise ValueError(f"{rows.shape[1]} columns of {len(columns)}")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    labels = rows[:, :2]
    whole = np.isfinite(labels).all() and (labels == np.round(labels)).all()
    if not whole or labels.min() < 1 or labels.max() > 2**31 or (np.diff(labels[:, 0]) == 0).any():
        raise ValueError("ids and types are no positive integers, or an id stands there twice")
    moving = tuple(columns[5:8]) == VELOCITY_COLUMNS
    return DumpFrame(
        step,
        _box(header[4:8]),
        rows[:, 1].astype(np.int64),
        rows[:, 2:5],
        rows[:, 5:8] if moving else None,
    )


def _box(lines: Sequence[str]) -> NDArray[np.float64]:
    """Cell from a BOX BOUNDS block; LAMMPS gives the bounding box of a tilted cell."""
    if "abc origin" in lines[0]:
        raise ValueError("a general triclinic box; dump with triclinic/general no")
    bounds = np.array([line.split() for line in lines[1:4]], dtype=np.float64)
    lengths = bounds[:, 1] - bounds[:, 0]
    if not np.isfinite(bounds).all() or (lengths <= 0).any():
        raise ValueError(f"the box {bounds.tolist()} is none")
    if "xy xz yz" not in lines[0]:
        return np.diag(lengths)
    xy, xz, yz = bounds[:, 2]
    lengths[0] -= max(0.0, xy, xz, xy + xz) - min(0.0, xy, xz, xy + xz)
    lengths[1] -= abs(yz)
    if lengths.min() <= 0:
        raise ValueError(f"the box {bounds.tolist()} is none")
    return np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])


def read_log(path: Path) -> dict[str, NDArray[np.float64]]:
    """Thermo table of a log: ``Step`` and the observables under our names, each (n_rows,)."""
    with path.open(errors="replace") as stream:
        rows = list(thermo_rows(stream))
    table = {"step": np.array([row["Step"] for row in rows])}
    for column, name in _OBSERVABLES.items():
        table[name] = np.array([row.get(column, np.nan) for row in rows])
    return table


def join_logs(chunks: Sequence[Chunk]) -> dict[str, NDArray[np.float64]]:
    """Thermo tables of consecutive chunks; the row at a seam is kept once."""
    tables = [read_log(chunk.log) for chunk in chunks]
    joined = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    _, first = np.unique(joined["step"], return_index=True)
    return {name: column[first] for name, column in joined.items()}


def harvest(
    chunks: Sequence[Chunk],
    *,
    frame: LammpsFrame,
    cell: NDArray[np.float64],
    type_numbers: NDArray[np.int64],
    numbers: NDArray[np.int64],
    dt_fs: float,
    steps: NDArray[np.int64],
) -> Segment:
    """Join the dumps of consecutive chunks into one segment and verify it.

    The first frame of a chunk repeats the last one before it: it is compared and dropped, so a
    segment holds the frames after its start up to and including its end.

    Parameters
    ----------
    chunks : sequence of Chunk
        In order of time.
    frame : LammpsFrame
        Rotation between the structure's axes and LAMMPS's.
    cell : (3, 3) array, Angstrom
        The structure's cell.
    type_numbers : (n_types,) array
        Atomic number of type 1, 2, ....
    numbers : (n_atoms,) array
        Atomic numbers of the structure.
    dt_fs : float
        Time step, fs.
    steps : (n_frames,) array
        MD step of every expected frame.

    Raises
    ------
    HopechoError
        When frames are missing, chunks do not join, or cell or species are not the structure's.
    """
    positions = np.empty((len(steps), len(numbers), 3))
    velocities: list[NDArray[np.float64]] = []
    found: list[int] = []
    before: DumpFrame | None = None
    for chunk in chunks:
        for k, item in enumerate(read_dump(chunk.dump)):
            if k == 0:
                _check_frame(item, chunk.dump, frame.cell, type_numbers, numbers)
                _check_seam(before, item, chunk.dump)
            else:
                if len(found) < len(steps):
                    positions[len(found)] = frame.leave(item.positions)
                if item.velocities is not None:
                    velocities.append(frame.leave(item.velocities))
                found.append(item.step)
            before = item
    if found != steps.tolist():
        raise HopechoError(
            "The dumps do not hold the frames that the segment should have",
            got=f"{len(found)} frames, steps {found[:1]} to {found[-1:]}",
            fix=f"expected {len(steps)}, {steps[0]} to {steps[-1]}: the restart file given belongs "
            "to another segment, or the scratch folder lost files",
        )
    if not np.isfinite(positions).all():
        raise HopechoError(
            "The trajectory holds coordinates that are not numbers",
            got=str(chunks[0].dump.parent),
            fix="the potential is unstable here: more training data, or a smaller md.dt_fs",
        )
    thermo = join_logs(chunks)
    rows = np.searchsorted(thermo["step"], steps)
    if rows.max() >= len(thermo["step"]) or not np.array_equal(thermo["step"][rows], steps):
        raise HopechoError("A frame has no row in LAMMPS's log", got=str(chunks[0].log))
    observables = {name: thermo[name][rows] for name in _OBSERVABLES.values()}
    time_ps = steps.astype(np.float64) * (dt_fs * 1e-3)
    sampled = np.array(velocities, dtype=np.float32) if velocities else None
    return Segment(time_ps, positions, cell, numbers, steps, observables, sampled)


def publish_trajectory(path: Path, segment: Segment) -> None:
    """Write a trajectory, read it back and check it; then give it its name.

    Raises
    ------
    HopechoError
        When it cannot be written, does not hold what was written, or an atom jumps.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    write_segment(part, segment)
    check_continuity([part])
    written = read_segment(part)
    whole = len(written.time_ps) == len(segment.time_ps)
    if not whole or (written.velocities is None) != (segment.velocities is None):
        raise HopechoError(f"{part} does not hold what was written: is the disk full?")
    os.replace(part, path)


def _check_frame(
    item: DumpFrame,
    path: Path,
    cell: NDArray[np.float64],
    type_numbers: NDArray[np.int64],
    numbers: NDArray[np.int64],
) -> None:
    same = item.types.shape == numbers.shape and np.array_equal(
        type_numbers[item.types - 1], numbers
    )
    if not same or not np.allclose(item.cell, cell, rtol=0, atol=1e-5):
        raise HopechoError(
            f"{path} is not a trajectory of the structure given",
            got=f"{len(item.types)} atoms in a cell {item.cell.round(4).tolist()}",
            fix="give the structure that the equilibration started from and its own restart file",
        )


def _check_seam(before: DumpFrame | None, after: DumpFrame, path: Path) -> None:
    if before is None:
        return
    gap = float(np.abs(after.positions - before.positions).max())
    if after.step != before.step or gap > SEAM_TOLERANCE:
        raise HopechoError(
            f"{path} does not continue the chunk before it",
            got=f"step {before.step} -> {after.step}, largest difference {gap:.2g} A",
            fix="delete the scratch folder and run the segment again",
        )


def largest_jump_allowed(cell: NDArray[np.float64], stride_ps: float) -> float:
    """Longest believable displacement between frames, Angstrom.

    Half the smallest width of the cell (a wrapped coordinate jumps by a whole one), plus six times
    the diffusion length of a simple liquid, sqrt(6 D t) with D = 5e-9 m2/s, for strides long enough
    to travel.
    """
    widths = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    liquid_a2_ps = 0.5
    return float(0.5 * widths.min() + 6.0 * np.sqrt(6.0 * liquid_a2_ps * max(stride_ps - 1.0, 0.0)))


def check_continuity(paths: Sequence[Path | str], *, chunk: int = 500) -> int:
    """Check that segments follow each other: equal spacing, same atoms and cell, no jump.

    Returns
    -------
    int
        Total number of frames.

    Raises
    ------
    HopechoError
        Naming the file in which time or positions jump.
    """
    total, last, interval = 0, None, None
    for path in paths:
        for block in iterate([path], chunk=chunk):
            times, positions = block.time_ps, block.positions
            if last is not None:
                _check_same(last, block, path)
                times = np.concatenate([last.time_ps[-1:], times])
                positions = np.concatenate([last.positions[-1:], positions])
            spacing = np.diff(times)
            if len(spacing):
                interval = spacing[0] if interval is None else interval
                _check_spacing(spacing, interval, path)
                _check_jumps(positions, block.cell, float(interval), path)
            total, last = total + len(block.time_ps), block
    return total


def _check_same(before: Segment, after: Segment, path: Path | str) -> None:
    if not np.array_equal(before.numbers, after.numbers) or not np.allclose(
        before.cell, after.cell, rtol=0, atol=1e-6
    ):
        raise HopechoError(f"{path} has other atoms or another cell than the file before it")


def _check_spacing(spacing: NDArray[np.float64], interval: float, path: Path | str) -> None:
    off = np.abs(spacing - interval) > 1e-6 * max(interval, 1e-12)
    if interval <= 0 or off.any():
        raise HopechoError(
            f"Frames are not evenly spaced in {path}",
            got=f"{spacing[off][0] if off.any() else interval:.6g} ps among {interval:.6g} ps",
            fix="give all segments, in order, each once",
        )


def _check_jumps(
    positions: NDArray[np.floating], cell: NDArray[np.float64], interval: float, path: Path | str
) -> None:
    jump = float(np.sqrt((np.diff(positions, axis=0) ** 2).sum(axis=-1)).max())
    limit = largest_jump_allowed(cell, interval)
    if jump > limit:
        raise HopechoError(
            f"An atom jumps in {path}",
            got=f"{jump:.3g} A in {interval:.4g} ps, believable are {limit:.3g} A",
            fix="give unwrapped positions (dump xu yu zu), segments in order",
        )
