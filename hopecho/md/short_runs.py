"""Stages beside the production runs: bursts of velocities, and the test of the time step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase import Atoms

from hopecho.md.bursts import BurstPlan, run_burst
from hopecho.md.guards import GateLimits
from hopecho.md.pair_style import pair_commands
from hopecho.md.stages import Settings, bonds_of, limits_of, species_of
from hopecho.md.step_test import StepLimits, run_step_test


def production_burst(
    structure: Atoms,
    potential: Path,
    settings: Settings,
    *,
    start: Path,
    scratch: Path,
    trajectory: Path,
    summary: Path,
) -> dict[str, Any]:
    """Run one burst of velocities.

    Parameters
    ----------
    structure : Atoms
        The structure that the run started from.
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        Also ``burst``, ``replica``, ``temperature_k``, ``dt_fs``, ``stride_fs``, ``length_ps``,
        ``mobile``.
    start : Path
        Restart file of the segment before, or of the equilibration.
    scratch, trajectory, summary : Path
        Working folder and files to write.

    Raises
    ------
    HopechoError
        When MD stops. A failed gate is written to the summary and named in the report.
    """
    plan = BurstPlan.from_times(
        index=settings["burst"],
        replica=settings["replica"],
        temperature_k=settings["temperature_k"],
        dt_fs=settings["dt_fs"],
        stride_fs=settings["stride_fs"],
        length_ps=settings["length_ps"],
        limits=limits_of(potential, settings["temperature_k"]),
    )
    return run_burst(
        plan,
        structure,
        restart=start,
        pair_commands=pair_commands(potential, settings),
        species=species_of(settings),
        scratch=scratch,
        trajectory=trajectory,
        summary=summary,
        command=settings["command"],
        gates=GateLimits(mobile=settings["mobile"], bonds=bonds_of(settings)),
    )


def time_step_test(
    structure: Atoms, potential: Path, settings: Settings, *, start: Path, scratch: Path
) -> dict[str, Any]:
    """Run an equilibrated state with several time steps; the record that the report shows.

    Parameters
    ----------
    structure : Atoms
        The structure that the run started from.
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        Also ``temperature_k`` and ``step_test`` with ``dt_fs``, ``length_ps``,
        ``max_drift_ev_atom_ps``, ``max_rms_share``.
    start : Path
        Restart file of the equilibration.
    scratch : Path
        Working folder.

    Raises
    ------
    HopechoError
        When LAMMPS fails for another reason than the dynamics.
    """
    test = settings["step_test"]
    return run_step_test(
        start,
        pair_commands(potential, settings),
        dt_fs=test["dt_fs"],
        length_ps=test["length_ps"],
        temperature_k=settings["temperature_k"],
        n_atoms=len(structure),
        limits=StepLimits(test["max_drift_ev_atom_ps"], test["max_rms_share"]),
        scratch=scratch,
        command=settings["command"],
    )
