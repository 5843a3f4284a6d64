"""Melt-quench plans: a crystal supercell becomes a glass in a cube of given density.

The plan gives LAMMPS lines only, so that the same plan runs with the model surface and with a
fitted potential. The cell is deformed while hot and held at fixed volume afterwards: a melt at
zero pressure boils away on most fitted surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy import constants

from hopecho.errors import HopechoError

GRAM_PER_AMU = constants.atomic_mass * 1e3
CM3_PER_A3 = 1e-24


@dataclass(frozen=True)
class QuenchPlan:
    """One way to make a glass; the defaults are those measured in ``docs/model-surface.md``."""

    melt_temperature_k: float = 1250.0
    """Temperature of deformation and melt, K."""
    deform_ps: float = 5.0
    """Time in which the hot cell is brought to the cube, ps."""
    melt_ps: float = 40.0
    """Time in the cube at `melt_temperature_k`, ps."""
    quench_ps: float = 10.0
    """Time of the linear ramp to `target_temperature_k`, ps."""
    hold_ps: float = 5.0
    """Equilibration at `target_temperature_k`, ps."""
    target_temperature_k: float = 300.0
    density_g_cm3: float = 1.80
    dt_fs: float = 2.0
    """Time step of quench and hold, fs."""
    melt_dt_fs: float = 2.0
    """Time step while hot, fs."""
    damping_ps: float = 0.1
    """Damping time of the thermostat, ps; the quench makes a structure, it measures nothing."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not value > 0:
                raise HopechoError(
                    f"quench.{name} must be positive", got=repr(value), fix="give a positive number"
                )
        if self.target_temperature_k > self.melt_temperature_k:
            raise HopechoError(
                "the quench would heat",
                got=f"{self.melt_temperature_k} K -> {self.target_temperature_k} K",
                fix="set quench.melt_temperature_k above quench.target_temperature_k",
            )

    @property
    def total_ps(self) -> float:
        """Simulated time of the whole plan, ps."""
        return self.deform_ps + self.melt_ps + self.quench_ps + self.hold_ps


def cube_edge(atoms: Atoms, *, density_g_cm3: float) -> float:
    r"""Return the edge, A, of the cube in which `atoms` have a mass density.

    .. math:: a = [M / (N_A \rho)]^{1/3}
    """
    volume = atoms.get_masses().sum() * GRAM_PER_AMU / density_g_cm3 / CM3_PER_A3
    return float(np.cbrt(volume))


MELT_DUMPS = ("melt_start.dump", "melt_end.dump")
"""Unwrapped positions at both ends of the melt, for the mean square displacement in it."""


def quench_commands(
    plan: QuenchPlan, *, seed: int, edge_angstrom: float, melt_dumps: bool = False
) -> list[str]:
    """Return the LAMMPS lines of a plan, to be issued after read_data and the pair commands.

    Parameters
    ----------
    plan : QuenchPlan
        Times and temperatures.
    seed : int
        Seed of the initial velocities; a seed is a quench.
    edge_angstrom : float
        Edge of the final cube, A; see `cube_edge`.
    melt_dumps : bool
        Also write the positions at both ends of the melt to `MELT_DUMPS`.

    Returns
    -------
    list of str
        Lines for a state of ``units metal``; at their end the fixes are gone and the velocities are
        those of the glass at the target temperature.
    """
    hot, cold = plan.melt_temperature_k, plan.target_temperature_k
    edge = f"{edge_angstrom:.10g}"
    cube = " ".join(f"{axis} final 0 {edge}" for axis in "xyz")
    untilt = " ".join(f"{tilt} final 0" for tilt in ("xy", "xz", "yz"))

    def steps(time_ps: float, dt_fs: float) -> int:
        return max(1, round(time_ps * 1e3 / dt_fs))

    def thermostat(start: float, stop: float) -> str:
        return f"fix quench_nvt all nvt temp {start} {stop} {plan.damping_ps} tchain 3"

    before, after = (
        [f"write_dump all custom {name} id type xu yu zu modify sort id format float %.8g"]
        if melt_dumps
        else []
        for name in MELT_DUMPS
    )
    return [
        "change_box all triclinic",
        f"timestep {plan.melt_dt_fs * 1e-3:g}",
        # The kinetic energy halves at once into a crystal's potential energy.
        f"velocity all create {2 * hot} {seed} mom yes rot no dist gaussian loop geom",
        thermostat(hot, hot),
        f"fix quench_deform all deform 1 {cube} {untilt} remap x flip no",
        f"run {steps(plan.deform_ps, plan.melt_dt_fs)}",
        "unfix quench_deform",
        *before,
        f"run {steps(plan.melt_ps, plan.melt_dt_fs)}",
        *after,
        "unfix quench_nvt",
        f"timestep {plan.dt_fs * 1e-3:g}",
        thermostat(hot, cold),
        f"run {steps(plan.quench_ps, plan.dt_fs)}",
        "unfix quench_nvt",
        thermostat(cold, cold),
        f"run {steps(plan.hold_ps, plan.dt_fs)}",
        "unfix quench_nvt",
        "velocity all zero linear",
    ]
