"""LAMMPS input, built from lists of lines; every script also runs by hand with ``lmp -in``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hopecho.errors import HopechoError
from hopecho.md.run import GUARD_DISTANCE, GUARD_TEMPERATURE

ENSEMBLES = ("nve", "nvt", "csvr")
MIN_DAMPING_PS = 1.0
SETTLE_SHARE = 0.25
"""Share of a run off the production path in which a fast thermostat sets the temperature."""
SETTLE_DAMPING_PS = 0.1
MAX_THERMO_STEPS = 500
MIN_DISTANCE = 0.8
"""Angstrom; no two atoms of a sane run are closer."""


@dataclass(frozen=True)
class Thermostat:
    """Ensemble of a run: ``nve``, ``nvt`` (Nose-Hoover chain) or ``csvr`` (Bussi et al.).

    Sources: Martyna, Klein and Tuckerman, J. Chem. Phys. 97, 2635 (1992); Bussi, Donadio and
    Parrinello, J. Chem. Phys. 126, 014101 (2007).
    """

    ensemble: str = "nvt"
    temperature_k: float = 300.0
    damping_ps: float = 1.0

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise HopechoError(
                "Unknown ensemble for dynamics",
                got=repr(self.ensemble),
                fix="set md.ensemble to one of " + ", ".join(ENSEMBLES),
            )
        if self.ensemble != "nve" and self.damping_ps < MIN_DAMPING_PS:
            raise HopechoError(
                "A fast thermostat disturbs diffusion and vibrations",
                got=f"md.damping_ps = {self.damping_ps}",
                fix=f"set md.damping_ps >= {MIN_DAMPING_PS}",
            )
        if not self.temperature_k > 0:
            raise HopechoError("A temperature is positive", got=f"{self.temperature_k} K")

    def commands(self, *, seed: int) -> list[str]:
        """Fixes that integrate; `seed` is used by ``csvr`` only."""
        t = f"{self.temperature_k:.10g} {self.temperature_k:.10g} {self.damping_ps:.10g}"
        if self.ensemble == "nvt":
            return [f"fix integrate all nvt temp {t}"]
        if self.ensemble == "csvr":
            return [
                "fix integrate all nve",
                f"fix thermostat all temp/csvr {t} {lammps_seed(seed, 2)}",
            ]
        return ["fix integrate all nve"]

    def release(self) -> list[str]:
        """Commands that take the fixes away again."""
        extra = ["unfix thermostat"] if self.ensemble == "csvr" else []
        return [*extra, "unfix integrate"]


@dataclass(frozen=True)
class Limits:
    """What stops a run early."""

    max_temperature_k: float
    min_distance: float = MIN_DISTANCE
    """Angstrom; at least the first knot of a UFP, below which it is not defined."""
    every: int = 50
    """Steps between checks."""

    @classmethod
    def for_temperature(
        cls, temperature_k: float, *, min_distance: float = MIN_DISTANCE, every: int = 50
    ) -> Limits:
        """Limits far outside thermal fluctuations; 3 T + 500 K lets a strained start pass."""
        return cls(3.0 * temperature_k + 500.0, min_distance, every)

    def commands(self) -> list[str]:
        """Guards that end LAMMPS with an error; not-a-number counts as too hot."""
        return [
            f'variable cool_enough equal "c_thermo_temp < {self.max_temperature_k:.10g}"',
            f"fix {GUARD_TEMPERATURE} all halt {self.every} v_cool_enough != 1 error hard",
            "compute pair_distances all pair/local dist",
            "compute shortest all reduce min c_pair_distances inputs local",
            "variable shortest equal c_shortest",
            f"fix {GUARD_DISTANCE} all halt {self.every} v_shortest < {self.min_distance:.10g} "
            "error hard",
        ]


def lammps_seed(seed: int, stream: int) -> int:
    """A LAMMPS seed in 1 ... 899 999 999 from our seed and the number of the random stream."""
    state = np.random.SeedSequence([seed, stream]).generate_state(1)[0]
    return int(state) % 899_999_999 + 1


def settings() -> list[str]:
    """Commands before the box exists."""
    return [
        "units metal",
        "atom_style charge",
        "atom_modify map array",
        "newton on",
        "box tilt large",
    ]


def neighbours() -> list[str]:
    """Neighbour lists that are rebuilt as soon as an atom has moved half the skin."""
    return ["neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes"]


def output(*, thermo_every: int) -> list[str]:
    """Thermo table: temperature (3N - 3 degrees), potential and conserved energy, pressure."""
    return [
        "thermo_style custom step temp pe econserve press",
        "thermo_modify format float %.12g flush yes",
        f"thermo {thermo_every}",
    ]


def dump(name: str, *, every: int, velocities: bool = False) -> list[str]:
    """Unwrapped positions sorted by id, with velocities if asked for."""
    columns = "id type xu yu zu" + (" vx vy vz" if velocities else "")
    return [
        f"dump frames all custom {every} {name} {columns}",
        "dump_modify frames sort id format float %.6f",
    ]


def settling(temperature_k: float, steps: int, *, seed: int) -> list[str]:
    """Bring a structure to its temperature with a fast stochastic velocity rescaling.

    A structure at rest turns half of its kinetic energy into potential energy within a vibration;
    a thermostat fit for dynamics takes picoseconds to give it back.
    """
    t = f"{temperature_k:.10g} {temperature_k:.10g} {SETTLE_DAMPING_PS}"
    return [
        "fix settle all nve",
        f"fix settle_thermostat all temp/csvr {t} {lammps_seed(seed, 3)}",
        f"run {steps}",
        "unfix settle_thermostat",
        "unfix settle",
    ]


def velocities(temperature_k: float, *, seed: int) -> list[str]:
    """Fresh Maxwell velocities without total momentum."""
    return [
        f"velocity all create {temperature_k:.10g} {lammps_seed(seed, 1)} mom yes rot no "
        "dist gaussian"
    ]


def thermo_interval(stride_steps: int) -> int:
    """The largest divisor of the stride that is at most 500 steps, so that every frame has a row.

    When that is below 50 steps (a stride with large prime factors) the stride itself.
    """
    best = max(d for d in range(1, min(stride_steps, MAX_THERMO_STEPS) + 1) if not stride_steps % d)
    return best if best >= min(50, stride_steps) else stride_steps


def whole_steps(time_ps: float, dt_fs: float, *, key: str) -> int:
    """Number of steps of a time, which must be whole.

    Raises
    ------
    HopechoError
        When the time is no positive multiple of the time step, naming `key`.
    """
    steps = time_ps * 1e3 / dt_fs
    if steps < 0.5 or abs(steps - round(steps)) > 1e-6 * max(steps, 1.0):
        raise HopechoError(
            f"{key} must be a positive multiple of md.dt_fs",
            got=f"{key} = {time_ps} ps, md.dt_fs = {dt_fs}",
            fix=f"set {key} = {max(round(steps), 1) * dt_fs * 1e-3:.10g}",
        )
    return round(steps)


def from_structure(data: str, pair_commands: Sequence[str], *, dt_fs: float) -> list[str]:
    """Commands from nothing to a system with its potential, read from a data file."""
    return [
        *settings(),
        f"read_data {data}",
        *pair_commands,
        *neighbours(),
        f"timestep {dt_fs * 1e-3:.10g}",
    ]


def script(title: str, *blocks: Sequence[str]) -> str:
    """Join blocks of commands, separated by blank lines, under a comment."""
    return "\n\n".join([f"# {title}", *("\n".join(block) for block in blocks)]) + "\n"
