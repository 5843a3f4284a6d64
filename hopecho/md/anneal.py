"""Runs that make structures and starts: equilibration, relaxation, melt and quench."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hopecho.md import lammps_input as lines
from hopecho.md.harvest import Chunk, DumpFrame, join_logs, read_dump
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.potentials import Species, write_data
from hopecho.md.run import LammpsError, Progress, run_lammps, scratch_lock
from hopecho.structures.quench import MELT_DUMPS, QuenchPlan, cube_edge, quench_commands

DATA = "structure.data"

MELT_DISPLACEMENT = "melt_displacement"
"""Array of a quenched structure: (n_atoms, 3), A."""


def equilibrate(
    structure: Atoms,
    pair_commands: Sequence[str],
    *,
    species: Species,
    thermostat: Thermostat,
    length_ps: float,
    dt_fs: float,
    seed: int,
    scratch: Path,
    restart: Path,
    command: str = "",
    label: str = "equilibration",
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Give a structure fresh velocities, decorrelate it and write a restart file.

    The first quarter is under a fast thermostat, the rest under the production one (``csvr`` for
    ``nve``). It ends at step 0 without
    total momentum and without thermostat variables, ready for segment 0.

    Parameters
    ----------
    structure : ase.Atoms
        Fully periodic.
    pair_commands : sequence of str
        LAMMPS commands of the potential.
    species : Species
        Elements of the LAMMPS types and masses.
    thermostat : Thermostat
        Of the production run.
    length_ps, dt_fs : float
        Decorrelation time and time step.
    seed : int
        Seed of the replica.
    scratch, restart : Path
        Working folder and the file to write.
    command, label : str
        ``md.lammps.command`` and the name in messages.
    limits : Limits, optional
        In-run guards.

    Returns
    -------
    dict
        Mean temperature (second half), seed, length, final energy.

    Raises
    ------
    LammpsError
        When LAMMPS stops.
    """
    steps = lines.whole_steps(length_ps, dt_fs, key="md.equilibrate_ps")
    settle = int(lines.SETTLE_SHARE * steps)
    hot = _thermostatted(thermostat)
    limits = limits or Limits.for_temperature(thermostat.temperature_k)
    text = lines.script(
        f"{label}: {hot.ensemble}, {hot.temperature_k:g} K, {steps} steps",
        ["log run.log"],
        lines.from_structure(DATA, pair_commands, dt_fs=dt_fs),
        lines.velocities(hot.temperature_k, seed=seed),
        limits.commands(),
        lines.output(thermo_every=max(1, min(lines.MAX_THERMO_STEPS, steps // 20))),
        lines.settling(hot.temperature_k, settle, seed=seed),
        hot.commands(seed=seed),
        [f"run {steps - settle}", *hot.release(), "velocity all zero linear", "reset_timestep 0"],
        ["write_restart end.restart"],
    )
    with scratch_lock(Path(scratch)) as lock:
        write_data(Path(scratch) / DATA, structure, species)
        progress = Progress(label, steps * dt_fs * 1e-3, 0.0, dt_fs, 0)
        execute(scratch, text, "end.restart", command, lock, progress)
        thermo = join_logs([files(scratch)])
        restart.parent.mkdir(parents=True, exist_ok=True)
        part = restart.with_name(restart.name + ".part")
        shutil.copyfile(Path(scratch) / "end.restart", part)
        os.replace(part, restart)
        shutil.rmtree(scratch)
    half = len(thermo["temperature"]) // 2
    return {
        "ensemble": hot.ensemble,
        "temperature_k": hot.temperature_k,
        "mean_temperature_k": float(thermo["temperature"][half:].mean()),
        "potential_energy_ev": float(thermo["potential_energy"][-1]),
        "length_ps": steps * dt_fs * 1e-3,
        "seed": seed,
    }


def relax(
    structure: Atoms,
    pair_commands: Sequence[str],
    *,
    species: Species,
    scratch: Path,
    command: str = "",
    max_force: float = 1e-3,
    max_steps: int = 5000,
) -> Atoms:
    """Minimise the energy at fixed cell; returns the structure with moved positions.

    Parameters
    ----------
    structure, pair_commands, species, scratch, command
        As in `equilibrate`.
    max_force : float
        Norm of the whole force vector at which to stop, eV/A.
    max_steps : int
        Largest number of iterations; where it ends is returned in any case.
    """
    text = lines.script(
        "relaxation at fixed cell",
        ["log run.log"],
        lines.from_structure(DATA, pair_commands, dt_fs=1.0),
        lines.output(thermo_every=100),
        ["min_style cg", f"minimize 0.0 {max_force:.10g} {max_steps} {10 * max_steps}"],
        ["write_dump all custom run.dump id type xu yu zu modify sort id format float %.12g"],
    )
    with scratch_lock(Path(scratch)) as lock:
        frame = write_data(Path(scratch) / DATA, structure, species)
        execute(scratch, text, "run.dump", command, lock)
        last = _one_frame(Path(scratch))
        shutil.rmtree(scratch)
    return moved(structure, frame.leave(last.positions))


def run_quench(
    structure: Atoms,
    plan: QuenchPlan,
    pair_commands: Sequence[str],
    *,
    species: Species,
    scratch: Path,
    seed: int,
    command: str = "",
) -> Atoms:
    """Melt and quench a structure into a cube of the plan's density.

    Parameters
    ----------
    structure : ase.Atoms
        Crystal supercell.
    plan : QuenchPlan
        Times, temperatures, density.
    pair_commands, species, scratch, command
        As in `equilibrate`.
    seed : int
        One seed is one quench.

    Returns
    -------
    ase.Atoms
        The glass, wrapped into its cube; array `MELT_DISPLACEMENT` holds each atom's displacement
        in the melt, A, by which a disordered melt is told from a hot crystal.

    Raises
    ------
    LammpsError
        When LAMMPS stops.
    """
    edge = cube_edge(structure, density_g_cm3=plan.density_g_cm3)
    text = lines.script(
        f"melt and quench, seed {seed}",
        ["log run.log"],
        lines.from_structure(DATA, pair_commands, dt_fs=plan.melt_dt_fs),
        lines.output(thermo_every=lines.MAX_THERMO_STEPS),
        quench_commands(plan, seed=lines.lammps_seed(seed, 1), edge_angstrom=edge, melt_dumps=True),
        ["write_dump all custom run.dump id type xu yu zu modify sort id format float %.12g"],
    )
    with scratch_lock(Path(scratch)) as lock:
        write_data(Path(scratch) / DATA, structure, species)
        progress = Progress(f"quench seed {seed}", plan.total_ps, 0.0, plan.dt_fs, 0)
        execute(scratch, text, "run.dump", command, lock, progress)
        last = _one_frame(Path(scratch))
        melt = [next(iter(read_dump(Path(scratch) / name))).positions for name in MELT_DUMPS]
        shutil.rmtree(scratch)
    glass = moved(structure, last.positions)
    glass.set_cell(last.cell)
    glass.wrap()
    glass.arrays[MELT_DISPLACEMENT] = melt[1] - melt[0]
    return glass


def _thermostatted(thermostat: Thermostat) -> Thermostat:
    if thermostat.ensemble != "nve":
        return thermostat
    # Runs at constant energy keep the energy they are given: it must be a canonical sample.
    return Thermostat("csvr", thermostat.temperature_k, max(thermostat.damping_ps, 1.0))


def files(scratch: Path) -> Chunk:
    """Dump and log of a single run in `scratch`."""
    return Chunk(Path(scratch) / "run.dump", Path(scratch) / "run.log")


def execute(
    scratch: Path,
    text: str,
    product: str,
    command: str,
    lock: int,
    progress: Progress | None = None,
) -> None:
    """Run a script in `scratch` and insist on its product."""
    for old in (product, "run.dump", "run.log"):
        (Path(scratch) / old).unlink(missing_ok=True)
    script = Path(scratch) / "run.lmp"
    script.write_text(text)
    run_lammps(script, command=command, on_row=progress, inherit=[lock])
    if not (Path(scratch) / product).is_file():
        raise LammpsError(
            "LAMMPS ended well but wrote nothing",
            got=f"no {product} in {scratch}",
            fix="check that md.lammps.command runs LAMMPS and passes its arguments on",
            physical=False,
        )


def _one_frame(scratch: Path) -> DumpFrame:
    items = list(read_dump(scratch / "run.dump"))
    if len(items) != 1 or not np.isfinite(items[0].positions).all():
        raise LammpsError(
            "The run ended without finite coordinates",
            got=f"{len(items)} frames in {scratch / 'run.dump'}",
            fix="the potential is unstable here: more training data, or a smaller time step",
            physical=True,
        )
    return items[0]


def moved(structure: Atoms, positions: NDArray[np.float64]) -> Atoms:
    """Return the structure at other positions, without results, momenta or constraints."""
    return Atoms(
        numbers=structure.numbers, positions=positions, cell=structure.cell, pbc=structure.pbc
    )
