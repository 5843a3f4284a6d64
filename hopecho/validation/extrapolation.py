"""How far the environments of a production run are from the training data of its potential."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.h5md import iterate
from hopecho.io.runs import RunFiles
from hopecho.ufp.calibration import Calibration, sigma_of
from hopecho.ufp.features import type_indices
from hopecho.ufp.uncertainty import Posterior, leverages

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """How far the training data reach.

    Attributes
    ----------
    largest : dict of str to float
        Element -> largest leverage of the force on one of its ions in the training frames; the sum
        over the three components, which does not depend on the axes.
    """

    largest: Mapping[str, float]


def reach(model: Posterior, frames: Iterable[Atoms]) -> Reach:
    """Measure how far training frames reach.

    Raises
    ------
    HopechoError
        If an element of the potential is in no frame.
    """
    names = model.spec.elements
    largest = np.zeros(len(names))
    for atoms in frames:
        np.maximum.at(largest, type_indices(atoms, names), leverages(model, atoms).forces.sum(1))
    absent = [name for name, value in zip(names, largest, strict=True) if value == 0.0]
    if absent:
        raise HopechoError("the training frames lack an element", got=", ".join(absent))
    return Reach(dict(zip(names, largest.tolist(), strict=True)))


@dataclass(frozen=True)
class Snapshot:
    """The least familiar environment of one frame.

    Attributes
    ----------
    quench, replica : int
    time_ps : float
    ratio : float
        Leverage of the environment over the largest of its element in training.
    atom : int
        0-based.
    beyond, n_atoms : int
        Environments with a ratio above 1, and all.
    sigma_ev_a : float or None
        Root mean square of the predicted widths of the force components, eV/A.
    """

    quench: int
    replica: int
    time_ps: float
    ratio: float
    atom: int
    beyond: int
    n_atoms: int
    sigma_ev_a: float | None


def watch(
    model: Posterior,
    known: Reach,
    runs: Sequence[RunFiles],
    *,
    stride_ps: float,
    calibration: Calibration | None = None,
) -> Iterator[Snapshot]:
    """Judge the environments of snapshots of production runs, one after the other.

    Parameters
    ----------
    model : Posterior
        Of the potential that drove the runs.
    known : Reach
        Of its training frames.
    runs : sequence of RunFiles
        Their H5MD segments.
    stride_ps : float
        Least time between snapshots, ps.
    calibration : Calibration, optional
        Turns leverages into widths.
    """
    limit = np.array([known.largest[name] for name in model.spec.elements])
    for run in runs:
        last = -np.inf
        for part in iterate(run.paths, chunk=200):
            element = type_indices(Atoms(part.numbers), model.spec.elements)
            for time_ps, positions in zip(part.time_ps, part.positions, strict=True):
                if time_ps - last < stride_ps * (1 - 1e-6):
                    continue
                last = time_ps
                atoms = Atoms(part.numbers, positions, cell=part.cell, pbc=True)
                found = leverages(model, atoms).forces
                ratio = found.sum(axis=1) / limit[element]
                width = None
                if calibration is not None:
                    sigma = sigma_of(calibration, model.spec.elements, element, found)
                    width = float(np.sqrt(np.mean(sigma**2)))
                worst = int(ratio.argmax())
                yield Snapshot(
                    run.quench,
                    run.replica,
                    round(float(time_ps), 6),
                    float(ratio[worst]),
                    worst,
                    int((ratio > 1.0).sum()),
                    len(ratio),
                    width,
                )


def extrapolation_record(snapshots: Sequence[Snapshot], known: Reach) -> dict[str, Any]:
    """Return the share of environments beyond the training data, and the worst one.

    Raises
    ------
    HopechoError
        If there is no snapshot.
    """
    if not snapshots:
        raise HopechoError("no snapshot to judge", fix="lower potential.watch_stride_ps")
    worst = max(snapshots, key=lambda s: s.ratio)
    widths = [s.sigma_ev_a for s in snapshots if s.sigma_ev_a is not None]
    mean_square = float(np.mean(np.square(widths))) if widths else None
    return {
        "share_beyond": sum(s.beyond for s in snapshots) / sum(s.n_atoms for s in snapshots),
        "n_beyond": sum(s.beyond for s in snapshots),
        "n_environments": sum(s.n_atoms for s in snapshots),
        "n_snapshots": len(snapshots),
        "largest_ratio": worst.ratio,
        "largest_ratio_at": {
            "quench": worst.quench,
            "replica": worst.replica,
            "time_ps": worst.time_ps,
            "atom": worst.atom,
        },
        "predicted_force_sigma_ev_a": None if mean_square is None else float(np.sqrt(mean_square)),
        "largest_training_leverage": dict(known.largest),
    }
