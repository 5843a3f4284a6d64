"""Which frames a round labels, and what becomes of their labels: trained on, or withheld.

Frames carry info keys ``phase``, ``temperature_k``, ``seed``, ``trajectory`` and ``role``
(``train`` or ``withheld``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.imported import read_dataset
from hopecho.learning.candidates import unphysical
from hopecho.structures.build import rattle, strain

TRAIN, WITHHELD = "train", "withheld"


def initial_frames(
    starts: Sequence[Atoms],
    *,
    phases: Sequence[str],
    initial_per_phase: int,
    rattle_angstrom: Sequence[float],
    strain_amplitude: float,
    heldout_every: int,
    rng: np.random.Generator,
) -> list[Atoms]:
    """Return rattled and strained copies of the starting structures, the frames of round 0.

    Parameters
    ----------
    starts : sequence of Atoms
        Starting structures with info ``phase`` and ``quench``.
    phases : sequence of str
        Phases to serve, each with `initial_per_phase` frames, its quenches in turn.
    rattle_angstrom : sequence of float
        Standard deviations of the displacements, A, used in turn.
    strain_amplitude : float
        Largest strain component; every second frame keeps its cell.
    heldout_every : int
        Every n-th frame gets the role ``withheld``.
    rng : Generator
        Displacements and strains.
    """
    frames = []
    for phase in phases:
        own = [s for s in starts if s.info["phase"] == phase]
        if not own:
            raise HopechoError(
                f"no starting structure of phase {phase}", fix="check learning.phases"
            )
        for k in range(initial_per_phase):
            # Shifted at every withheld frame, so that these are not all of one kind or quench.
            turn = k + k // heldout_every
            start = own[turn % len(own)]
            amplitude = strain_amplitude if turn % 2 else 0.0
            stdev = rattle_angstrom[(k // 2) % len(rattle_angstrom)]
            frame = rattle(
                strain(start, amplitude=amplitude, rng=rng), stdev_angstrom=stdev, rng=rng
            )
            quench = int(start.info["quench"])
            frame.info = {
                "phase": phase,
                "temperature_k": 0,
                "seed": quench,
                "trajectory": f"rattled-{phase}-{quench}",
            }
            frames.append(frame)
    return with_roles(frames, heldout_every=heldout_every)


def imported_frames(
    files: Mapping[str, Sequence[str]], *, n_check: int, heldout_every: int
) -> list[Atoms]:
    """Return the frames of existing data sets, with the labels that they bring.

    Parameters
    ----------
    files : mapping of str to sequence of str
        ``learning.initial_files``: extended XYZ files of each phase.
    n_check : int
        Frames of each file whose label is computed again.
    heldout_every : int
        Every n-th frame of a phase gets the role ``withheld``.

    Raises
    ------
    HopechoError
        A file is missing, or a frame has no label.
    """
    result = []
    for phase in sorted(files):
        own = [(path, a) for path in files[phase] for a in read_dataset(path, n_check=n_check)]
        for path, atoms in own:
            atoms.info |= {
                "phase": phase,
                "temperature_k": 0,
                "seed": 0,
                "trajectory": f"imported-{phase}-{Path(path).stem}",
            }
        result += with_roles([atoms for _, atoms in own], heldout_every=heldout_every)
    return result


def with_roles(frames: Sequence[Atoms], *, heldout_every: int) -> list[Atoms]:
    """Return copies with role ``withheld`` for every n-th frame and ``train`` for the others."""
    marked = [frame.copy() for frame in frames]
    for k, frame in enumerate(marked):
        frame.info["role"] = WITHHELD if k % heldout_every == heldout_every - 1 else TRAIN
    return marked


def audit_frames(
    frames: Sequence[Atoms],
    *,
    audit_per_phase: int,
    min_distance: float,
    rng: np.random.Generator,
) -> list[Atoms]:
    """Return random frames of each phase, drawn before anything is selected.

    Frames that no code could label (a pair below `min_distance`, A) are left out: the potential's
    gate reports the runs that they come from.
    """
    sane = [f for f in frames if unphysical(f, min_distance=min_distance) is None]
    drawn = []
    for phase in sorted({f.info["phase"] for f in frames}):
        own = [f for f in sane if f.info["phase"] == phase]
        picks = rng.permutation(len(own))[:audit_per_phase]
        drawn += [own[i].copy() for i in sorted(picks)]
    for frame in drawn:
        frame.info["role"] = TRAIN
    if not drawn:
        raise HopechoError(
            "no sane frame is left to audit the potential with",
            got=f"{len(frames)} frames, all with a pair below {min_distance} A",
            fix="every run exploded: raise learning.initial_per_phase or potential.ridge_3b",
        )
    return drawn


def spread_frames(
    runs: Sequence[Sequence[Atoms]], *, frames_per_run: int, min_distance: float = 0.0
) -> list[Atoms]:
    """Return frames spread evenly over the second half of each run, the first being equilibration.

    Frames with a pair below `min_distance`, A, are left out.
    """
    chosen = []
    for run in runs:
        half = run[len(run) // 2 :]
        picks = np.unique(np.linspace(0, len(half) - 1, frames_per_run).round().astype(int))
        frames = [half[i].copy() for i in picks] if half else []
        chosen += [f for f in frames if not unphysical(f, min_distance=min_distance)]
    return chosen


def split_roles(frames: Sequence[Atoms]) -> tuple[list[Atoms], list[Atoms]]:
    """Return the frames to train on and the frames withheld, each once, in the order given.

    A structure that comes again (the same label hash) counts once; withheld wins over train.
    """
    withheld = {f.info["hash"]: f for f in frames if f.info.get("role") == WITHHELD}
    train = {f.info["hash"]: f for f in frames if f.info["hash"] not in withheld}
    return list(train.values()), list(withheld.values())


def with_origin(labelled: Sequence[Atoms], frames: Mapping[str, Atoms]) -> list[Atoms]:
    """Return labelled frames with the info of the frame that each label was made for.

    Parameters
    ----------
    labelled : sequence of Atoms
        Frames from the label store, with info ``hash``; the store knows nothing of phases and runs.
    frames : mapping of str to Atoms
        The frames that were sent to be labelled, by label hash.
    """
    result = []
    for atoms in labelled:
        own: dict[str, Any] = dict(frames[atoms.info["hash"]].info)
        copy = atoms.copy()
        copy.info = own | dict(atoms.info)
        result.append(copy)
    return result
