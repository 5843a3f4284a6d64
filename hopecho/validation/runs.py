"""Runs of a validation: of the potential, and of the surface that made its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hopecho.efg.model import EfgModel
from hopecho.efg.predict import predict_frames
from hopecho.io.efg_table import EfgTrajectory
from hopecho.io.h5md import Segment
from hopecho.labels import model_pes
from hopecho.labels.model_efg import model_efg
from hopecho.md.anneal import equilibrate
from hopecho.md.bursts import BurstPlan, run_burst
from hopecho.md.guards import GateLimits
from hopecho.md.lammps_input import Limits
from hopecho.md.pair_style import pair_commands
from hopecho.md.plan import SegmentPlan
from hopecho.md.segments import SegmentOutputs, run_segment
from hopecho.md.stages import bonds_of, limits_of, production_thermostat, species_of
from hopecho.tensors import isometric_from_matrix

SIDES = ("ufp", "reference")


@dataclass(frozen=True)
class RunOutputs:
    """Files of one run."""

    trajectory: Path
    burst: Path


def validation_run(
    structure: Atoms,
    potential: Path | None,
    settings: Mapping[str, Any],
    *,
    scratch: Path,
    outputs: RunOutputs,
) -> dict[str, Any]:
    """Equilibrate with fresh velocities; then a run and, from the same state, a burst.

    Parameters
    ----------
    structure : Atoms
        Start, the same for both sides.
    potential : Path or None
        The ``.uf3`` file; None runs the model surface itself.
    settings : mapping
        ``elements``, ``masses_u``, ``polyanion``, ``mobile``, ``temperature_k``, ``ensemble``,
        ``damping_ps``, ``dt_fs``, ``equilibrate_ps``, ``length_ps``, ``stride_ps``, ``burst_ps``,
        ``stride_fs``, ``replica``, ``seed``, ``command``, ``pair_style``.
    scratch : Path
        Working folder.
    outputs : RunOutputs
        Files to write.

    Returns
    -------
    dict
        What both summaries say, and whether every gate passed.

    Raises
    ------
    HopechoError
        When MD stops, or the surface does not know an element.
    """
    s = settings
    scratch.mkdir(parents=True, exist_ok=True)
    if potential is None:
        commands = surface_commands(s)
        limits = Limits.for_temperature(s["temperature_k"])
    else:
        commands = pair_commands(potential, s)
        limits = limits_of(potential, s["temperature_k"])
    restart = scratch / "equilibrated.restart"
    said = equilibrate(
        structure,
        commands,
        species=species_of(s),
        thermostat=production_thermostat(s),
        length_ps=s["equilibrate_ps"],
        dt_fs=s["dt_fs"],
        seed=s["seed"],
        scratch=scratch / "equilibrate",
        restart=restart,
        command=s["command"],
        limits=limits,
    )
    segment = _segment(structure, commands, s, limits, restart, scratch, outputs)
    burst = _burst(structure, commands, s, limits, restart, scratch, outputs)
    restart.unlink()
    return {
        "potential": model_pes.NAME if potential is None else "ufp",
        "equilibration": said,
        "segment": segment,
        "burst": burst,
        "passed": segment["passed"] and burst["passed"],
    }


def surface_commands(settings: Mapping[str, Any]) -> list[str]:
    """LAMMPS lines of the model surface with the masses of the material.

    ``pair_coeff`` of ``eam/fs`` sets the masses of its own file, which must not decide.
    """
    species = species_of(settings)
    masses = [f"mass {k} {m:.10g}" for k, m in enumerate(species.masses, start=1)]
    return [*model_pes.lammps_commands(species.elements), *masses]


def _segment(
    structure: Atoms,
    commands: Sequence[str],
    s: Mapping[str, Any],
    limits: Limits,
    restart: Path,
    scratch: Path,
    outputs: RunOutputs,
) -> dict[str, Any]:
    plan = SegmentPlan.from_times(
        index=0,
        replica=s["replica"],
        thermostat=production_thermostat(s),
        dt_fs=s["dt_fs"],
        stride_ps=s["stride_ps"],
        segment_ps=s["length_ps"],
        chunks=1,
        seed=s["seed"],
        limits=limits,
    )
    summary = run_segment(
        plan,
        structure,
        restart=restart,
        pair_commands=commands,
        species=species_of(s),
        scratch=scratch / "segment",
        outputs=SegmentOutputs(outputs.trajectory, scratch / "end.restart", scratch / "run.json"),
        command=s["command"],
        gates=GateLimits(mobile=s["mobile"], bonds=bonds_of(s)),
    )
    return summary.content


def _burst(
    structure: Atoms,
    commands: Sequence[str],
    s: Mapping[str, Any],
    limits: Limits,
    restart: Path,
    scratch: Path,
    outputs: RunOutputs,
) -> dict[str, Any]:
    plan = BurstPlan.from_times(
        index=0,
        replica=s["replica"],
        temperature_k=s["temperature_k"],
        dt_fs=s["dt_fs"],
        stride_fs=s["stride_fs"],
        length_ps=s["burst_ps"],
        limits=limits,
    )
    return run_burst(
        plan,
        structure,
        restart=restart,
        pair_commands=commands,
        species=species_of(s),
        scratch=scratch / "burst",
        trajectory=outputs.burst,
        summary=scratch / "burst.json",
        command=s["command"],
        gates=GateLimits(mobile=s["mobile"], bonds=bonds_of(s)),
    )


def tensors_of(
    segment: Segment, *, every: int, mobile: str, model: EfgModel | None
) -> EfgTrajectory:
    """Tensors of the probe ions in every n-th frame: exact ones, or those of a model.

    Parameters
    ----------
    segment : Segment
        A trajectory.
    every : int
        Frames from one to the next; the first is frame `every` - 1, so that times are multiples.
    mobile : str
        Element of the probe ions.
    model : EfgModel or None
        The EFG model; None evaluates the field gradients that the model was trained on.
    """
    chosen = slice(every - 1, None, every)
    x = np.asarray(segment.positions[chosen], dtype=np.float64)
    time = np.asarray(segment.time_ps[chosen], dtype=np.float64)
    probe = Atoms(numbers=segment.numbers).symbols == mobile
    ions = np.flatnonzero(probe)
    if model is None:
        efg = np.array([_exact(segment, frame)[probe] for frame in x])
    else:
        efg = predict_frames(model, x, segment.cell, segment.numbers)
    return EfgTrajectory(time, ions, efg.astype(np.float32))


def _exact(segment: Segment, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    atoms = Atoms(numbers=segment.numbers, positions=positions, cell=segment.cell, pbc=True)
    return isometric_from_matrix(model_efg(atoms))
