"""Short MD for learning rounds: frames to learn from, and whether the potential held."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.md import lammps_input as lines
from hopecho.md.anneal import DATA, execute, files, moved
from hopecho.md.guards import bond_gate, conserved_drift, shortest_distance, temperature_sigma
from hopecho.md.harvest import DumpFrame, join_logs, read_dump
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.potentials import LammpsFrame, Species, write_data
from hopecho.md.run import LammpsError, scratch_lock


@dataclass(frozen=True)
class SamplingResult:
    """Frames of a short run and what they tell about the potential."""

    frames: tuple[Atoms, ...]
    """Frames before the end or the explosion, start excluded; positions unwrapped."""
    passed: bool
    """True when the run reached its end."""
    reason: str
    """Why it stopped; empty when it passed."""
    seed: int
    temperature_k: float
    temperature_sigma: float | None
    """Of the mean temperature; None when the run stopped early."""
    min_distance: float | None
    """Shortest pair distance over the frames, Angstrom; None without frames."""
    bonds_intact: bool | None
    """None when no bonds were named or no frame was reached."""
    drift: float | None
    """Of the conserved quantity, eV/atom/ps; None when the run stopped early."""

    def record(self, *, phase: str) -> dict[str, Any]:
        """Return the mapping that `hopecho.learning.acceptance.gate` judges."""
        return {
            "phase": phase,
            "temperature": round(self.temperature_k),
            "seed": self.seed,
            "passed": self.passed,
            "reason": self.reason,
            "temperature_sigma": self.temperature_sigma,
            "min_distance": self.min_distance,
            "bonds_intact": self.bonds_intact,
            "drift": self.drift,
        }


def run_sampling_md(
    structure: Atoms,
    pair_commands: Sequence[str],
    *,
    species: Species,
    thermostat: Thermostat,
    length_ps: float,
    stride_ps: float,
    dt_fs: float,
    seed: int,
    scratch: Path,
    command: str = "",
    limits: Limits | None = None,
    bonds: tuple[str, str, float] | None = None,
) -> SamplingResult:
    """Run short MD for a learning round; an exploding potential is a result, not an error.

    The first quarter of the run is under a fast thermostat, because its start is rarely a thermal
    state; frames are taken from all of it, temperature and drift from the rest.

    Parameters
    ----------
    structure : ase.Atoms
        Start.
    pair_commands, species, thermostat, dt_fs, seed, scratch, command
        As in `hopecho.md.anneal.equilibrate`.
    length_ps, stride_ps : float
        Length of the run, time between frames.
    limits : Limits, optional
        Guards; by default checked every 10 steps.
    bonds : tuple, optional
        Centre, ligand, longest bond (Angstrom).

    Raises
    ------
    LammpsError
        When LAMMPS fails for another reason than the dynamics (killed, wrong command).
    HopechoError
        When the stride is longer than the run.
    """
    steps = lines.whole_steps(length_ps, dt_fs, key="learning.md_ps")
    stride = lines.whole_steps(stride_ps, dt_fs, key="learning.stride_ps")
    if stride > steps:
        raise HopechoError(
            "No frame would be written: the stride is longer than the run",
            got=f"learning.stride_ps = {stride_ps}, learning.md_ps = {length_ps}",
            fix=f"set learning.stride_ps <= {length_ps}",
        )
    limits = limits or Limits.for_temperature(thermostat.temperature_k, every=10)
    settle = int(lines.SETTLE_SHARE * steps)
    text = lines.script(
        f"sampling: {thermostat.ensemble}, {thermostat.temperature_k:g} K, seed {seed}",
        ["log run.log"],
        lines.from_structure(DATA, pair_commands, dt_fs=dt_fs),
        lines.velocities(thermostat.temperature_k, seed=seed),
        limits.commands(),
        lines.output(thermo_every=min(stride, max(1, steps // 200))),
        lines.dump("run.dump", every=stride),
        lines.settling(thermostat.temperature_k, settle, seed=seed),
        [*thermostat.commands(seed=seed), f"run {steps - settle}"],
        ["undump frames", "write_restart end.restart"],
    )
    scratch, reason = Path(scratch), ""
    with scratch_lock(scratch) as lock:
        frame = write_data(scratch / DATA, structure, species)
        try:
            execute(scratch, text, "end.restart", command, lock)
        except LammpsError as error:
            if not error.physical:
                raise
            reason = f"{error.what} ({error.got})"
        items = _finite_frames(files(scratch).dump)
        thermo = join_logs([files(scratch)])
        shutil.rmtree(scratch)
    if not reason and len(items) < steps // stride:
        reason = "coordinates are not numbers"
    later = thermo["step"] > settle
    thermo = {name: column[later] for name, column in thermo.items()}
    return _sampled(structure, frame, items, thermo, reason, thermostat, dt_fs, seed, bonds)


def gate_run(
    structure: Atoms,
    pair_commands: Sequence[str],
    *,
    seeds: Sequence[int],
    scratch: Path,
    **settings: Any,
) -> tuple[SamplingResult, ...]:
    """Run `run_sampling_md` with several seeds; `hopecho.learning.acceptance.gate` judges them.

    A force error does not predict stability, so that a potential is accepted by MD on its
    production cell only.

    Parameters
    ----------
    structure, pair_commands, scratch
        As in `run_sampling_md`; every seed has its own folder in `scratch`.
    seeds : sequence of int
        One run each.
    **settings
        The remaining arguments of `run_sampling_md`.
    """
    return tuple(
        run_sampling_md(
            structure, pair_commands, seed=seed, scratch=Path(scratch) / f"seed{seed}", **settings
        )
        for seed in seeds
    )


def _finite_frames(dump: Path) -> list[DumpFrame]:
    """Frames after the start up to the first that holds a number that is none."""
    if not dump.is_file():
        return []
    frames: list[DumpFrame] = []
    for item in read_dump(dump):
        if not np.isfinite(item.positions).all():
            break
        frames.append(item)
    return frames[1:]


def _sampled(
    structure: Atoms,
    frame: LammpsFrame,
    items: Sequence[DumpFrame],
    thermo: dict[str, NDArray[np.float64]],
    reason: str,
    thermostat: Thermostat,
    dt_fs: float,
    seed: int,
    bonds: tuple[str, str, float] | None,
) -> SamplingResult:
    atoms = tuple(moved(structure, frame.leave(item.positions)) for item in items)
    cell, numbers = structure.cell.array, structure.numbers
    sigma, drift, intact, nearest = None, None, None, None
    if not reason:
        time_ps = thermo["step"] * dt_fs * 1e-3
        sigma = temperature_sigma(
            thermo["temperature"],
            thermostat=thermostat,
            n_atoms=len(structure),
            length_ps=float(time_ps[-1] - time_ps[0]),
        )
        drift = conserved_drift(time_ps, thermo["conserved"], n_atoms=len(structure)).slope
    if atoms:
        nearest = min(shortest_distance(a.positions, cell=cell, numbers=numbers) for a in atoms)
        if bonds is not None:
            last = atoms[-1].positions[None]
            gate = bond_gate(structure.positions, last, cell, numbers, bonds)
            intact = bool(gate["passed"])
    return SamplingResult(
        atoms,
        not reason,
        reason,
        seed,
        thermostat.temperature_k,
        sigma,
        nearest,
        intact,
        drift,
    )
