"""Trajectories in H5MD 1.1: unwrapped float32 positions, one file a segment.

Layout: ``/particles/all/{position,box,species}``, ``/particles/all/velocity`` where velocities were
sampled, and ``/observables/<name>``, all on one time axis.
Positions are unwrapped and id-sorted. float32 has a spacing of 6e-5 A between 512 and 1024 A (4e-6
A below 64 A), far below thermal motion; a trajectory that leaves |x| < 1000 A is still stored, with
a spacing that doubles with every doubling of |x|.

Source: de Buyl, Colberg and Hoefling, Comput. Phys. Commun. 185, 1546 (2014);
https://www.nongnu.org/h5md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.hdf5 import dataset, member, reading, reserve, values

CREATOR_VERSION = "1"
"""Version of this layout (not of the program: the bytes must not follow releases)."""

OBSERVABLE_UNITS: Mapping[str, str] = MappingProxyType(
    {"temperature": "K", "potential_energy": "eV", "conserved": "eV", "pressure": "bar"}
)
"""Observables that the segments write, and their units."""

_LENGTH_TO_ANGSTROM = {"Angstrom": 1.0, "angstrom": 1.0, "A": 1.0, "nm": 10.0}
_TIME_TO_PS = {"ps": 1.0, "fs": 1e-3, "ns": 1e3}
_VELOCITY_TO_ANGSTROM_PS = {
    **{"A ps-1": 1.0, "Angstrom ps-1": 1.0, "A fs-1": 1e3, "Angstrom fs-1": 1e3},
    **{"nm ps-1": 10.0, "nm ns-1": 1e-2, "pm ps-1": 1e-2, "m s-1": 1e-2},
}
"""Spellings that MDAnalysis reads too."""
_CHUNK_BYTES = 1 << 19
_OVERHEAD_BYTES = 1 << 17
_SMALLEST_CELL_A3 = 1e-3


@dataclass(frozen=True)
class Segment:
    """A stretch of trajectory at fixed cell."""

    time_ps: NDArray[np.float64]
    """(n_frames,), ps."""
    positions: NDArray[np.floating]
    """(n_frames, n_atoms, 3), Angstrom, unwrapped, in the order of the structure."""
    cell: NDArray[np.float64]
    """(3, 3), Angstrom, cell vectors as rows."""
    numbers: NDArray[np.int64]
    """(n_atoms,), atomic numbers."""
    step: NDArray[np.int64] | None = None
    """(n_frames,), MD step."""
    observables: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Name -> (n_frames,), units of `OBSERVABLE_UNITS`."""
    velocities: NDArray[np.floating] | None = None
    """(n_frames, n_atoms, 3), A/ps, in the axes of the positions; None where not sampled."""


def write_segment(path: Path | str, segment: Segment) -> None:
    """Write a segment as H5MD 1.1; the same content gives the same bytes.

    Parameters
    ----------
    path : Path or str
        File to create; an existing one is replaced.
    segment : Segment
        What to write. A missing `step` becomes 0, 1, 2, ...

    Raises
    ------
    HopechoError
        When shapes disagree, a number is not finite, or the disk is full.
    """
    _check(segment, path)
    n_frames = len(segment.time_ps)
    step = np.arange(n_frames) if segment.step is None else segment.step
    reserve(path, _largest_size(segment))
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        _write_header(file)
        group = file.create_group("particles/all")
        position = group.create_group("position")
        position.create_dataset("step", data=np.asarray(step, dtype=np.int64), track_times=False)
        time = position.create_dataset(
            "time", data=np.asarray(segment.time_ps, dtype=np.float64), track_times=False
        )
        time.attrs["unit"] = "ps"
        value = _packed(position, "value", np.asarray(segment.positions, dtype=np.float32))
        value.attrs["unit"] = "Angstrom"
        if segment.velocities is not None:
            _write_velocities(group, position, segment.velocities)
        _write_box(group, position, segment.cell, n_frames)
        group.create_dataset(
            "species", data=np.asarray(segment.numbers, dtype=np.int32), track_times=False
        )
        for name in sorted(segment.observables):
            _write_observable(file, position, name, segment.observables[name])


def _largest_size(segment: Segment) -> int:
    """Bytes of a file in which nothing could be packed."""
    vectors = 1 if segment.velocities is None else 2
    scalars = 2 + len(segment.observables)
    frame = 12 * len(segment.numbers) * vectors + 72 + 8 * scalars
    return len(segment.time_ps) * frame + 4 * len(segment.numbers) + _OVERHEAD_BYTES


def read_segment(path: Path | str, *, start: int | None = None, stop: int | None = None) -> Segment:
    """Read frames ``start:stop`` of an H5MD file.

    Cells given once or per frame, as vector or matrix, and lengths in Angstrom or nm, times in fs,
    ps or ns are accepted; positions stored wrapped with an ``image`` element are unwrapped.

    Parameters
    ----------
    path : Path or str
        The file.
    start, stop : int, optional
        Frame range as in a slice.

    Returns
    -------
    Segment
        Positions in float64, velocities (if there are any) in float32.

    Raises
    ------
    HopechoError
        When the file is not H5MD, lacks species or times, or its cell changes.
    """
    with reading(path) as file:
        group = _particle_group(file, path)
        frames = slice(start, stop)
        value = dataset(group, "position/value", kinds="f")
        time = _times(group, value.shape[0], path)[frames]
        scale = _scale(value, _LENGTH_TO_ANGSTROM, path)
        positions = np.asarray(value[frames], dtype=np.float64) * scale
        cell = _read_cell(group, path, scale)
        if member(group, "image") is not None:
            positions += values(group, "image/value", frames=frames) @ cell
        observables = _read_observables(file, frames)
        step = _read_steps(group, frames)
        numbers = _species(group, path)
        velocities = _read_velocities(group, frames, path)
    segment = Segment(time, positions, cell, numbers, step, observables, velocities)
    _check_read(segment, path)
    return segment


def n_frames(path: Path | str) -> int:
    """Return the number of frames of an H5MD file."""
    with reading(path) as file:
        return int(dataset(_particle_group(file, path), "position/value", kinds="f").shape[0])


def iterate(paths: Sequence[Path | str], *, chunk: int = 1000) -> Iterator[Segment]:
    """Yield the frames of consecutive files in blocks that fit in memory.

    Parameters
    ----------
    paths : sequence of Path or str
        Segments in order of time.
    chunk : int
        Largest number of frames of a block; a block never spans two files.
    """
    if chunk < 1:
        raise HopechoError("A trajectory is read in blocks of at least one frame", got=f"{chunk}")
    for path in paths:
        for start in range(0, n_frames(path), chunk):
            yield read_segment(path, start=start, stop=start + chunk)


def _check(segment: Segment, path: Path | str) -> None:
    n = len(segment.time_ps)
    shape = (n, len(segment.numbers), 3)
    vectors = {"positions": segment.positions}
    if segment.velocities is not None:
        vectors["velocities"] = segment.velocities
    for name, vector in vectors.items():
        if vector.shape != shape:
            raise HopechoError(
                f"The {name} for {path} do not fit its times and species",
                got=f"{name} {vector.shape}, expected {shape}",
                fix=f"give {name} as (n_frames, n_atoms, 3) with one time a frame, unwrapped",
            )
    if n == 0:
        raise HopechoError(f"There is no frame to write to {path}")
    if np.shape(segment.cell) != (3, 3):
        raise HopechoError("A cell has three row vectors", got=f"shape {np.shape(segment.cell)}")
    bad = [name for name, x in segment.observables.items() if np.shape(x) != (n,)]
    if bad:
        raise HopechoError(f"Observables need one value a frame ({n})", got=", ".join(bad))
    values = {**vectors, "time_ps": segment.time_ps, **segment.observables}
    for name, array in values.items():
        if not np.isfinite(array).all():
            raise HopechoError(
                f"The trajectory for {path} holds a number that is not finite",
                got=name,
                fix="look at the temperature and the shortest distance: the potential blew up",
            )


def _write_header(file: h5py.File) -> None:
    header = file.create_group("h5md")
    header.attrs["version"] = np.array([1, 1], dtype=np.int32)
    header.create_group("author").attrs["name"] = "hopecho"
    creator = header.create_group("creator")
    creator.attrs["name"] = "hopecho"
    creator.attrs["version"] = CREATOR_VERSION


def _packed(group: h5py.Group, name: str, data: NDArray[np.floating]) -> h5py.Dataset:
    frame_bytes = int(np.prod(data.shape[1:])) * data.itemsize
    frames = max(1, min(len(data), _CHUNK_BYTES // max(frame_bytes, 1)))
    return group.create_dataset(
        name,
        data=data,
        chunks=(frames, *data.shape[1:]),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
        track_times=False,
    )


def _write_box(group: h5py.Group, position: h5py.Group, cell: NDArray[np.float64], n: int) -> None:
    # Per frame although constant: MDAnalysis reads no other form. It packs to nothing.
    box = group.create_group("box")
    box.attrs["dimension"] = np.int32(3)
    box.attrs["boundary"] = np.array(["periodic"] * 3, dtype="S8")
    edges = box.create_group("edges")
    edges["step"] = position["step"]
    edges["time"] = position["time"]
    value = _packed(edges, "value", np.tile(np.asarray(cell, dtype=np.float64), (n, 1, 1)))
    value.attrs["unit"] = "Angstrom"


def _write_velocities(
    group: h5py.Group, position: h5py.Group, velocities: NDArray[np.floating]
) -> None:
    velocity = group.create_group("velocity")
    velocity["step"] = position["step"]
    velocity["time"] = position["time"]
    value = _packed(velocity, "value", np.asarray(velocities, dtype=np.float32))
    value.attrs["unit"] = "A ps-1"


def _write_observable(
    file: h5py.File, position: h5py.Group, name: str, values: NDArray[np.float64]
) -> None:
    group = file.require_group("observables").create_group(name)
    group["step"] = position["step"]
    group["time"] = position["time"]
    dataset = _packed(group, "value", np.asarray(values, dtype=np.float64))
    if name in OBSERVABLE_UNITS:
        dataset.attrs["unit"] = OBSERVABLE_UNITS[name]


def _particle_group(file: h5py.File, path: Path | str) -> h5py.Group:
    particles = member(file, "particles")
    groups = list(particles) if isinstance(particles, h5py.Group) else []
    name = "all" if "all" in groups else groups[0] if len(groups) == 1 else None
    found = None if name is None else member(file, f"particles/{name}")
    if not isinstance(found, h5py.Group) or member(found, "position") is None:
        raise HopechoError(
            f"{path} is not an H5MD trajectory with one group of particles",
            got=f"particle groups {groups}",
            fix="store positions under /particles/all/position",
        )
    return found


def _scale(dataset: h5py.Dataset, factors: Mapping[str, float], path: Path | str) -> float:
    unit = dataset.attrs.get("unit", next(iter(factors)))
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    if unit not in factors:
        raise HopechoError(
            f"{path} gives {dataset.name} in an unknown unit",
            got=unit,
            fix="use one of " + ", ".join(factors),
        )
    return factors[unit]


def _read_steps(group: h5py.Group, frames: slice) -> NDArray[np.int64] | None:
    if member(group, "position/step") is None:
        return None
    step = values(group, "position/step", kinds="iu")
    return step[frames].astype(np.int64) if step.shape != () else None


def _times(group: h5py.Group, n: int, path: Path | str) -> NDArray[np.float64]:
    if member(group, "position/time") is None:
        raise HopechoError(f"{path} has no times", fix="store /particles/all/position/time in ps")
    time = dataset(group, "position/time")
    factor = _scale(time, _TIME_TO_PS, path)
    if time.shape != ():
        return np.asarray(time[()], dtype=np.float64) * factor
    # H5MD's fixed interval: a scalar increment with an optional offset.
    offset = float(time.attrs.get("offset", 0.0))
    return np.asarray((offset + float(time[()]) * np.arange(n)) * factor, dtype=np.float64)


def _read_cell(group: h5py.Group, path: Path | str, scale: float) -> NDArray[np.float64]:
    edges = member(group, "box/edges")
    if edges is None:
        raise HopechoError(f"{path} has no cell", fix="store /particles/all/box/edges")
    per_frame = isinstance(edges, h5py.Group)
    found = dataset(group, "box/edges/value" if per_frame else "box/edges")
    if "unit" in found.attrs:
        scale = _scale(found, _LENGTH_TO_ANGSTROM, path)
    cells = np.asarray(found[()], dtype=np.float64) * scale
    if per_frame:
        if not np.allclose(cells, cells[0], rtol=0, atol=1e-6):
            raise HopechoError(
                f"The cell changes along {path}", fix="analyse runs at fixed cell (NVE or NVT)"
            )
        cells = cells[0]
    return np.diag(cells) if cells.shape == (3,) else cells


def _read_velocities(
    group: h5py.Group, frames: slice, path: Path | str
) -> NDArray[np.float32] | None:
    if member(group, "velocity") is None:
        return None
    value = dataset(group, "velocity/value", kinds="f")
    wanted = dataset(group, "position/value", kinds="f").shape
    if value.shape != wanted:
        raise HopechoError(
            f"{path} holds velocities that do not fit its positions",
            got=f"velocities {value.shape}, positions {wanted}",
            fix="store one velocity for every position, on the same time axis",
        )
    factor = _scale(value, _VELOCITY_TO_ANGSTROM_PS, path)
    return np.asarray(value[frames], dtype=np.float32) * np.float32(factor)


def _read_observables(file: h5py.File, frames: slice) -> dict[str, NDArray[np.float64]]:
    group = member(file, "observables")
    names = list(group) if isinstance(group, h5py.Group) else []
    places = {name: f"observables/{name}/value" for name in names}
    return {
        name: values(file, place, frames=frames).astype(np.float64)
        for name, place in places.items()
        if member(file, place) is not None
    }


def _species(group: h5py.Group, path: Path | str) -> NDArray[np.int64]:
    if not isinstance(member(group, "species"), h5py.Dataset):
        raise HopechoError(
            f"{path} has no fixed species", fix="store atomic numbers in /particles/all/species"
        )
    return values(group, "species", kinds="iu").astype(np.int64)


def _check_read(segment: Segment, path: Path | str) -> None:
    """Refuse what does not fit together or is not finite, whoever wrote it."""
    n, numbers, cell = len(segment.time_ps), segment.numbers, segment.cell
    vectors = (segment.positions, segment.velocities)
    fit = (
        numbers.ndim == 1
        and all(x is None or x.shape == (n, len(numbers), 3) for x in vectors)
        and all(len(x) == n for x in segment.observables.values())
        and (segment.step is None or segment.step.shape == (n,))
        and cell.shape == (3, 3)
    )
    if not fit:
        raise HopechoError(
            f"Shapes in {path} do not fit",
            got=f"times {segment.time_ps.shape}, positions {segment.positions.shape}, species"
            f" {numbers.shape}, cell {cell.shape}",
            fix="store (n_frames, n_atoms, 3) with one time a frame and one species an atom",
        )
    arrays = {"positions": vectors[0], "velocities": vectors[1], "time": segment.time_ps}
    bad = [k for k, x in arrays.items() if x is not None and not np.isfinite(x).all()]
    if not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < _SMALLEST_CELL_A3:
        bad.append(f"cell {cell.tolist()}")
    if len(numbers) and not (numbers.min() >= 1 and numbers.max() < len(chemical_symbols)):
        bad.append("atomic numbers")
    if bad:
        raise HopechoError(
            f"{path} holds numbers that cannot be right",
            got=", ".join(bad),
            fix="look at the run that wrote it; convert the trajectory again",
        )
