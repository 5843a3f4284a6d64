"""Continuous, unwrapped trajectories: joining segments, checks, and the framework's frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.io.h5md import Segment, read_segment

FORMAL_CHARGES: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("Li", "Na", "K", "Ag", "Cu"), 1.0),
        **dict.fromkeys(("F", "Cl", "Br", "I"), -1.0),
        **dict.fromkeys(("O", "S", "Se"), -2.0),
        **dict.fromkeys(("P", "As", "Sb"), 5.0),
        **dict.fromkeys(("Si", "Ge", "Sn"), 4.0),
        "W": 6.0,
    }
)
"""Formal oxidation numbers in units of e; never the charges of a potential."""

# A frame time may differ from a multiple of the stride by rounding in the file, not by more.
STRIDE_TOLERANCE = 1e-3
FRAMES_PER_CHECK = 512
# Fractional steps on either side of one half: of a smooth distribution both bins hold about the
# same number, so that 20 against none cannot be chance.
EDGE_WIDTH, EDGE_COUNT = 0.01, 20


@dataclass(frozen=True)
class Trajectory:
    """A checked, continuous trajectory of one replica in a constant cell."""

    time_ps: NDArray[np.float64]
    """(n_frames,), ps, uniform."""
    positions: NDArray[np.floating[Any]]
    """(n_frames, n_atoms, 3), A, unwrapped."""
    cell: NDArray[np.float64]
    """(3, 3), A, rows are cell vectors."""
    numbers: NDArray[np.int64]
    """(n_atoms,), atomic numbers."""

    @property
    def stride_ps(self) -> float:
        """Time between two frames, ps."""
        return float((self.time_ps[-1] - self.time_ps[0]) / (len(self.time_ps) - 1))

    @property
    def volume_a3(self) -> float:
        """Volume of the cell, A^3."""
        return float(abs(np.linalg.det(self.cell)))

    def select(self, element: str) -> NDArray[np.bool_]:
        """Mask of the atoms of an element, (n_atoms,)."""
        mask = np.array([chemical_symbols[z] == element for z in self.numbers], dtype=bool)
        if not mask.any():
            present = sorted({chemical_symbols[z] for z in self.numbers})
            raise HopechoError(
                f"The trajectory has no {element}.",
                got="elements " + ", ".join(present),
                fix="name a mobile element of the material",
            )
        return mask


def load(paths: Sequence[str | Path]) -> Trajectory:
    """Read H5MD segments in the given order and join them.

    Parameters
    ----------
    paths : sequence of path
        Segment files of one replica, in time order.

    Raises
    ------
    HopechoError
        If no path is given, and as `join`.
    """
    return join([read_segment(Path(p)) for p in paths], names=[str(p) for p in paths])


def join(segments: Sequence[Segment], *, names: Sequence[str] | None = None) -> Trajectory:
    """Join segments and check that the result is one continuous unwrapped trajectory.

    Parameters
    ----------
    segments : sequence of Segment
        In time order.
    names : sequence of str, optional
        What to call each segment in an error.

    Raises
    ------
    HopechoError
        For other atoms or another cell in a segment, a gap or a double frame, an uneven stride, a
        value that is not finite, or wrapped positions.
    """
    if not segments:
        raise HopechoError("A trajectory needs at least one segment.", got="none")
    names = list(names) if names is not None else [f"segment {s}" for s in range(len(segments))]
    for segment, name in zip(segments, names, strict=True):
        _check_same_system(segments[0], segment, name)
    time = np.concatenate([np.asarray(s.time_ps, dtype=np.float64) for s in segments])
    starts = np.cumsum([0] + [len(s.time_ps) for s in segments])
    _check_time(time, starts, names)
    # One segment is used as it is: a run of 10 000 frames need not exist twice in memory.
    positions = (
        np.asarray(segments[0].positions)
        if len(segments) == 1
        else np.concatenate([s.positions for s in segments])
    )
    if positions.dtype not in (np.float32, np.float64):
        positions = positions.astype(np.float64)
    cell = np.asarray(segments[0].cell, dtype=np.float64)
    check_unwrapped(positions, cell)
    return Trajectory(time, positions, cell, np.asarray(segments[0].numbers, dtype=np.int64))


def _check_same_system(first: Segment, segment: Segment, name: str) -> None:
    """Same atoms in the same order and the same cell as in the first segment."""
    shape = (len(segment.time_ps), len(first.numbers), 3)
    if not np.array_equal(segment.numbers, first.numbers) or np.shape(segment.positions) != shape:
        raise HopechoError(
            f"{name} has other atoms than the first segment.",
            got=f"positions of shape {np.shape(segment.positions)}, expected {shape}",
            fix="join only segments of one replica",
        )
    if not np.allclose(segment.cell, first.cell, rtol=0.0, atol=1e-4):
        change = float(np.abs(np.asarray(segment.cell) - first.cell).max())
        raise HopechoError(
            f"{name} has another cell than the first segment.",
            got=f"a component differs by {change:.4g} A",
            fix="production runs keep their cell; join only segments of one replica",
        )


def _check_time(time: NDArray[np.float64], starts: NDArray[np.int64], names: Sequence[str]) -> None:
    """Strictly uniform time: no double frame, no gap."""
    if len(time) < 2:
        raise HopechoError(
            f"A trajectory needs at least two frames: {names[0]}", got=f"{len(time)} frame(s)"
        )
    if not np.isfinite(time).all():
        raise HopechoError(
            f"A frame time is not finite in {names[0]}.",
            got=f"frame {np.argmin(np.isfinite(time))}",
        )
    steps = np.diff(time)
    stride = float(np.median(steps))
    bad = np.flatnonzero(np.abs(steps - stride) > STRIDE_TOLERANCE * abs(stride))
    if stride > 0 and len(bad) == 0:
        return
    k = int(bad[0]) if len(bad) else 0
    if steps[k] <= STRIDE_TOLERANCE * abs(stride):
        kind = "A frame stands twice, or time runs backwards"
    else:
        kind = "Frames are missing" if steps[k] > stride else "The stride is not uniform"
    where = names[int(np.searchsorted(starts, k + 1, side="right")) - 1]
    raise HopechoError(
        f"{kind} at frame {k + 1} ({where}).",
        got=f"{time[k]:g} ps, then {time[k + 1]:g} ps, with a stride of {stride:g} ps elsewhere",
        fix="give all segments of one replica once each, in time order",
    )


def check_unwrapped(positions: NDArray[np.floating[Any]], cell: NDArray[np.float64]) -> None:
    r"""Raise if positions are not finite or were wrapped into the cell.

    Wrapping shows as steps of about one cell vector. Between two frames with fractional steps ds,
    an honest trajectory has more steps of 0.25-0.75 than of more than 0.75; a wrapped one has not,
    or it never leaves one cell while it makes steps of more than 0.5. Frames too sparse for the
    motion that were unwrapped afterwards, by the nearest image, show a sharp edge at 0.5.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_atoms, 3), A.
    cell : ndarray
        (3, 3), A.

    Raises
    ------
    HopechoError
        Naming the first atom and frame.
    """
    inverse = np.linalg.inv(cell)
    medium, long, first = np.zeros(3, dtype=int), np.zeros(3, dtype=int), _FirstJump()
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    any_half, edge = np.zeros(3, dtype=bool), np.zeros((2, 3), dtype=int)
    for start in range(0, len(positions), FRAMES_PER_CHECK):
        chunk = np.asarray(positions[start : start + FRAMES_PER_CHECK + 1], dtype=np.float64)
        if not np.isfinite(chunk).all():
            frame, atom, _ = np.argwhere(~np.isfinite(chunk))[0]
            raise HopechoError(
                f"Atom {atom} has a position that is not a number in frame {start + frame}.",
                got=str(chunk[frame, atom]),
                fix="the run failed there: look at its log, and cut the trajectory before it",
            )
        fractional = chunk @ inverse
        low = np.minimum(low, fractional.min((0, 1)))
        high = np.maximum(high, fractional.max((0, 1)))
        steps = np.abs(np.diff(fractional, axis=0))
        medium += ((steps > 0.25) & (steps <= 0.75)).sum((0, 1))
        long += (steps > 0.75).sum((0, 1))
        any_half |= (steps > 0.5).any((0, 1))
        edge[0] += ((steps > 0.5 - EDGE_WIDTH) & (steps <= 0.5)).sum((0, 1))
        edge[1] += ((steps > 0.5) & (steps <= 0.5 + EDGE_WIDTH)).sum((0, 1))
        first = first.updated(steps, start)
    wrapped = (long > medium) | (any_half & (high - low <= 1.001))
    if wrapped.any():
        axis = int(np.argmax(wrapped))
        atom, frame = first.where[axis]
        into = "" if is_orthogonal(cell) else " into its triclinic cell"
        raise HopechoError(
            f"The trajectory is wrapped{into}: atom {atom} jumps by about cell vector "
            f"{'abc'[axis]} at frame {frame}.",
            got=f"{long[axis]} steps of about one cell along {'abc'[axis]}",
            fix="write unwrapped positions (LAMMPS dump: xu yu zu); unwrapping afterwards guesses",
        )
    guessed = (edge[0] >= EDGE_COUNT) & (edge[1] == 0)
    if guessed.any():
        axis = int(np.argmax(guessed))
        raise HopechoError(
            "The trajectory is too sparsely sampled: atoms move half a cell between frames, and "
            f"were unwrapped by the nearest image along {'abc'[axis]}.",
            got=f"{edge[0, axis]} steps just under half a cell and none just over it",
            fix="write unwrapped positions (LAMMPS dump: xu yu zu), or frames more often",
        )


def is_orthogonal(cell: NDArray[np.float64]) -> bool:
    """Whether the cell vectors (3, 3), A, stand at right angles to within 1e-6."""
    unit = cell / np.linalg.norm(cell, axis=1, keepdims=True)
    return bool(np.abs(unit @ unit.T - np.eye(3)).max() < 1e-6)


@dataclass(frozen=True)
class _FirstJump:
    """First (atom, frame) with a fractional step over one half, for each axis."""

    where: tuple[tuple[int, int], ...] = ((-1, -1),) * 3

    def updated(self, steps: NDArray[np.float64], start: int) -> _FirstJump:
        """Look through the next (n_frames, n_atoms, 3) fractional steps."""
        found = list(self.where)
        for axis in range(3):
            if found[axis][0] < 0 and (steps[..., axis] > 0.5).any():
                frame, atom = np.argwhere(steps[..., axis] > 0.5)[0]
                found[axis] = (int(atom), start + int(frame) + 1)
        return _FirstJump(tuple(found))


def framework_frame(
    positions: NDArray[np.floating[Any]],
    numbers: NDArray[np.integer[Any]],
    mobile: NDArray[np.bool_],
    *,
    kind: str = "charge",
    charges: Mapping[str, float] = FORMAL_CHARGES,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Positions relative to the framework, :math:`r_i(t) - [R(t) - R(0)]`.

    :math:`R = \sum_f w_f r_f / \sum_f w_f` runs over the framework, with the formal charge or the
    mass as weight. With the charge, :math:`\sum_{mobile} q_i r_i` in this frame is the dipole of
    all ions of a neutral cell, which no choice of frame changes: the one for collective quantities.
    Tracer quantities may use either.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_atoms, 3), A, unwrapped.
    numbers : ndarray
        (n_atoms,), atomic numbers.
    mobile : ndarray
        (n_atoms,), True for the mobile ions.
    kind : {"charge", "mass"}
        Which centre.
    charges : mapping
        Formal oxidation number of each framework element, e.

    Returns
    -------
    positions : ndarray
        (n_frames, n_atoms, 3), A, float64.
    drift : ndarray
        (n_frames, 3), A: what was subtracted, zero in frame 0.

    Raises
    ------
    HopechoError
        Without framework or mobile ions, for an element without formal charge, or for a framework
        that has none.
    """
    mobile = np.asarray(mobile, dtype=bool)
    if mobile.all() or not mobile.any():
        raise HopechoError(
            "A framework frame needs mobile ions and a framework.",
            got=f"{int(mobile.sum())} mobile of {len(mobile)} atoms",
            fix="check the mobile element of the material",
        )
    weights = _framework_weights(np.asarray(numbers)[~mobile], kind, charges)
    x = np.asarray(positions, dtype=np.float64)
    # Displacements first: the sum of q r over a cell is large and would lose digits.
    drift = np.einsum("tak,a->tk", x[:, ~mobile] - x[0, ~mobile], weights)
    return x - drift[:, None, :], drift


def _framework_weights(
    numbers: NDArray[np.integer[Any]], kind: str, charges: Mapping[str, float]
) -> NDArray[np.float64]:
    """Normalised weights of the framework's atoms, (n_framework,)."""
    if kind == "mass":
        weights = np.asarray(atomic_masses[numbers], dtype=np.float64)
    elif kind == "charge":
        symbols = [chemical_symbols[z] for z in numbers]
        missing = sorted(set(symbols) - set(charges))
        if missing:
            raise HopechoError(
                "A framework element has no formal charge.",
                got=", ".join(missing),
                fix="give its oxidation number",
            )
        weights = np.array([charges[s] for s in symbols], dtype=np.float64)
    else:
        raise HopechoError("Unknown framework frame.", got=repr(kind), fix="use 'charge' or 'mass'")
    total = float(weights.sum())
    if abs(total) < 1e-9 * float(np.abs(weights).sum()):
        raise HopechoError(
            "The framework has no net formal charge, so it has no centre of charge.",
            got=f"{total:g} e",
            fix="check the oxidation numbers and which ions are mobile",
        )
    return weights / total


def export_extxyz(paths: Sequence[str | Path], output: str | Path) -> int:
    """Write segments as extended XYZ for OVITO or VMD, wrapped nowhere; return the frame count.

    Raises
    ------
    HopechoError
        As `load`.
    """
    trajectory = load(paths)
    frames = [
        Atoms(numbers=trajectory.numbers, positions=x, cell=trajectory.cell, pbc=True)
        for x in trajectory.positions
    ]
    for frame, time_ps in zip(frames, trajectory.time_ps, strict=True):
        frame.info["time_ps"] = float(time_ps)
    write_frames(output, frames)
    return len(frames)
