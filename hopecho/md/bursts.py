"""Bursts: short runs at constant energy whose every frame holds velocities.

Vibrational spectra, angular velocities and the charge current need velocities every 10 fs or
oftener, the echo needs positions every picosecond or so over the whole run. So velocities are
sampled apart from it. Burst k of a run starts from the state that segment k starts from: a longer
run changes no burst.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment
from hopecho.md import lammps_input as lines
from hopecho.md.anneal import execute, files
from hopecho.md.guards import GateLimits, segment_gates
from hopecho.md.harvest import harvest, publish_trajectory, read_log
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.potentials import Species, lammps_frame
from hopecho.md.run import Progress, scratch_lock
from hopecho.units import BOLTZMANN_EV_K

START = "start.restart"
MAX_MOMENTUM_A_PS = 1e-3
"""Of the centre of mass; its thermal velocity would be about 0.3 A/ps for 128 atoms."""
TEMPERATURE_TOLERANCE = 1e-4
"""Between the temperature of the velocities and that of the log, relative."""

_EV_PER_U_A2_PS2 = units._amu * 1e4 / units._e


@dataclass(frozen=True)
class BurstPlan:
    """One burst of one run."""

    index: int
    replica: int
    temperature_k: float
    dt_fs: float
    stride_steps: int
    n_steps: int
    limits: Limits

    @classmethod
    def from_times(
        cls,
        *,
        index: int,
        replica: int,
        temperature_k: float,
        dt_fs: float,
        stride_fs: float,
        length_ps: float,
        limits: Limits | None = None,
    ) -> BurstPlan:
        """Build a plan from times.

        Parameters
        ----------
        index, replica : int
            0-based; the burst starts where the segment of this index starts.
        temperature_k : float
            Of the run, K; only judged, since the energy is constant.
        dt_fs, stride_fs, length_ps : float
            Time step, time between frames (whole steps), length (whole strides).
        limits : Limits, optional
            In-run guards; by default those of the temperature.

        Raises
        ------
        HopechoError
            When the times do not divide.
        """
        stride = round(stride_fs / dt_fs)
        if stride < 1 or abs(stride * dt_fs - stride_fs) > 1e-6 * stride_fs:
            raise HopechoError(
                "md.bursts.stride_fs must be a positive multiple of md.dt_fs",
                got=f"md.bursts.stride_fs = {stride_fs}, md.dt_fs = {dt_fs}",
                fix=f"set md.bursts.stride_fs = {max(stride, 1) * dt_fs:.10g}",
            )
        steps = lines.whole_steps(length_ps, dt_fs, key="md.bursts.length_ps")
        if steps % stride:
            whole = -(-steps // stride) * stride * dt_fs * 1e-3
            raise HopechoError(
                "A burst must hold whole strides",
                got=f"md.bursts.length_ps = {length_ps}, md.bursts.stride_fs = {stride_fs}",
                fix=f"set md.bursts.length_ps = {whole:.10g}",
            )
        limits = limits or Limits.for_temperature(temperature_k)
        return cls(index, replica, temperature_k, dt_fs, stride, steps, limits)

    @property
    def steps(self) -> NDArray[np.int64]:
        """MD step of every frame since the burst's start, (n_frames,): without it, with the end."""
        return self.stride_steps * np.arange(1, self.n_steps // self.stride_steps + 1)

    @property
    def thermostat(self) -> Thermostat:
        """Constant energy, whatever the ensemble of the run."""
        return Thermostat("nve", self.temperature_k)

    def describe(self) -> str:
        """Return the name of the burst for messages."""
        return f"replica {self.replica} burst {self.index}"


def burst_script(plan: BurstPlan, pair_commands: Sequence[str]) -> str:
    """Return the input script."""
    return lines.script(
        f"{plan.describe()}: nve, {plan.temperature_k:g} K, {plan.n_steps} steps of "
        f"{plan.dt_fs:g} fs",
        ["log run.log"],
        [
            *lines.settings(),
            f"read_restart {START}",
            *pair_commands,
            *lines.neighbours(),
            f"timestep {plan.dt_fs * 1e-3:.10g}",
            # LAMMPS dumps at multiples of the stride, which the start of a segment need not be.
            "reset_timestep 0",
        ],
        plan.thermostat.commands(seed=0),
        plan.limits.commands(),
        lines.output(thermo_every=lines.thermo_interval(plan.stride_steps)),
        lines.dump("run.dump", every=plan.stride_steps, velocities=True),
        [f"run {plan.n_steps}", "undump frames"],
    )


def run_burst(
    plan: BurstPlan,
    structure: Atoms,
    *,
    restart: Path,
    pair_commands: Sequence[str],
    species: Species,
    scratch: Path,
    trajectory: Path,
    summary: Path,
    command: str = "",
    gates: GateLimits | None = None,
) -> dict[str, Any]:
    """Run a burst and write its trajectory and summary.

    Parameters
    ----------
    plan : BurstPlan
        What to run.
    structure : ase.Atoms
        The structure that `equilibrate` started from: order, species and axes of the trajectory.
    restart : Path
        End state of the equilibration (burst 0) or of the segment before.
    pair_commands, species, scratch, command, gates
        As in `hopecho.md.segments.run_segment`; nothing is resumed.
    trajectory, summary : Path
        Files to write, each by an atomic rename.

    Returns
    -------
    dict
        What stands in the summary.

    Raises
    ------
    LammpsError
        When LAMMPS stops; `physical` tells a bad potential from a killed job.
    HopechoError
        When the harvest does not verify.
    """
    scratch, restart = Path(scratch), Path(restart)
    if not restart.is_file():
        raise HopechoError(
            f"There is no restart file to start {plan.describe()} from",
            got=str(restart),
            fix="run the equilibration or the segment before it",
        )
    with scratch_lock(scratch) as lock:
        shutil.copyfile(restart, scratch / START)
        progress = Progress(plan.describe(), plan.n_steps * plan.dt_fs * 1e-3, 0.0, plan.dt_fs, 0)
        text = burst_script(plan, pair_commands)
        execute(scratch, text, "run.dump", command, lock, progress)
        segment = harvest(
            [files(scratch)],
            frame=lammps_frame(structure.cell.array),
            cell=structure.cell.array,
            type_numbers=species.numbers,
            numbers=structure.numbers,
            dt_fs=plan.dt_fs,
            steps=plan.steps,
        )
        masses = np.array(species.masses)[species.types_of(structure) - 1]
        check_velocities(segment, masses=masses)
        content = _summary(plan, structure, segment, scratch, masses, gates or GateLimits())
        publish_trajectory(Path(trajectory), segment)
        part = summary.with_name(summary.name + ".part")
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        os.replace(part, summary)
        shutil.rmtree(scratch)
    return content


def kinetic_temperature(
    velocities: NDArray[np.floating], *, masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Temperature of every frame, :math:`\sum_i m_i v_i^2 / [(3N - 3) k_B]`.

    Parameters
    ----------
    velocities : (n_frames, n_atoms, 3) array, A/ps
    masses : (n_atoms,) array, unified atomic mass units

    Returns
    -------
    (n_frames,) array, K
    """
    twice = np.einsum("fax,fax,a->f", *[np.asarray(velocities, dtype=np.float64)] * 2, masses)
    return twice * (_EV_PER_U_A2_PS2 / ((3 * len(masses) - 3) * BOLTZMANN_EV_K))


def check_velocities(segment: Segment, *, masses: NDArray[np.float64]) -> None:
    """Check that a trajectory holds velocities of the temperature that the log says.

    Raises
    ------
    HopechoError
        When there are none, or they give another temperature.
    """
    if segment.velocities is None:
        raise HopechoError("The dump of the burst holds no velocities", fix="dump vx vy vz")
    said = segment.observables["temperature"]
    found = kinetic_temperature(segment.velocities, masses=masses)
    worst = int(np.argmax(np.abs(found / said - 1.0)))
    if abs(found[worst] / said[worst] - 1.0) > TEMPERATURE_TOLERANCE:
        raise HopechoError(
            "The velocities do not have the temperature that LAMMPS reports",
            got=f"{found[worst]:.6g} K against {said[worst]:.6g} K in frame {worst}",
            fix="materials.<m>.masses_u must be those of the equilibration, with units metal",
        )


def centre_velocity(
    velocities: NDArray[np.floating], *, masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Velocity of the centre of mass, (n_frames, 3), A/ps; shapes as in `kinetic_temperature`."""
    return np.asarray(np.average(np.asarray(velocities, np.float64), axis=1, weights=masses))


def _summary(
    plan: BurstPlan,
    structure: Atoms,
    segment: Segment,
    scratch: Path,
    masses: NDArray[np.float64],
    limits: GateLimits,
) -> dict[str, Any]:
    verdicts = segment_gates(
        read_log(files(scratch).log),
        segment,
        structure=structure,
        thermostat=plan.thermostat,
        dt_fs=plan.dt_fs,
        limits=limits,
    )
    assert segment.velocities is not None
    drifting = np.linalg.norm(centre_velocity(segment.velocities, masses=masses), axis=1).max()
    verdicts["momentum"] = {
        "value": float(drifting),
        "limit": MAX_MOMENTUM_A_PS,
        "unit": "A/ps",
        "passed": bool(drifting <= MAX_MOMENTUM_A_PS),
    }
    ps = plan.dt_fs * 1e-3
    return {
        "burst": plan.index,
        "replica": plan.replica,
        "ensemble": "nve",
        "temperature_k": plan.temperature_k,
        "dt_fs": plan.dt_fs,
        "stride_fs": round(plan.stride_steps * plan.dt_fs, 9),
        "length_ps": round(plan.n_steps * ps, 9),
        "n_frames": len(plan.steps),
        "n_atoms": len(structure),
        "passed": all(gate["passed"] for gate in verdicts.values()),
        "gates": verdicts,
    }
