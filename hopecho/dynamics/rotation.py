"""Polyanions of all runs of one phase and temperature: angles, rotation, and how long they last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.dynamics.block_means import Pieces, cut
from hopecho.dynamics.bond_life import BondLife, bond_life
from hopecho.dynamics.polyanions import (
    Units,
    angular_velocity,
    angular_velocity_exact,
    density,
    find_units,
    rotation,
    tetrahedral_angles,
)
from hopecho.dynamics.r_phi import COLUMNS, RPhi, r_phi
from hopecho.dynamics.spectra import checked_velocities
from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment
from hopecho.trajectory import Trajectory
from hopecho.units import Quantity

Array = NDArray[np.float64]

ANGLE_FRAMES = 500
"""Frames of each run that enter the angles, spread over it."""

EDGES: Mapping[str, Array] = {
    "tilt_angle": np.linspace(0.0, 180.0, 361),
    "angular_velocity": np.linspace(-2000.0, 2000.0, 401),
    "rotation": np.linspace(-1000.0, 1000.0, 401),
}
"""Bins: degrees; degrees/ps."""

UNITS: Mapping[str, str] = {
    "tilt_angle": "degree",
    "angular_velocity": "degree/ps",
    "rotation": "degree/ps",
}


@dataclass(frozen=True)
class Distribution:
    """One angle or rate over all tetrahedra and frames."""

    edges: Array
    """(n_bins + 1,), degrees or degrees/ps."""
    density: Array
    """(n_bins,), per unit of the edges."""
    err: Array
    """(n_bins,), one standard error."""
    width: Quantity
    """Of angles the standard deviation, of rates the root mean square."""


@dataclass(frozen=True)
class Polyanions:
    """Of all runs; without distributions and life where the material has no tetrahedra."""

    n_units: int
    """Over all runs."""
    n_centres: int
    """Atoms of the centre's element, over all runs."""
    distributions: Mapping[str, Distribution]
    life: BondLife | None
    difference_loss: float | None
    """Share of the root mean square rate that finite differences between frames would lose."""
    reason: str = ""
    """Why nothing was found."""
    r_phi: RPhi | None = None
    """Where mobile ions sit about the tetrahedra; None where there are none nearby."""

    def columns(self) -> dict[str, Any]:
        """Columns of rotation.csv, long form, from the first bin with an entry to the last one."""
        tables: list[dict[str, Any]] = []
        for name, d in self.distributions.items():
            filled = np.flatnonzero(d.density)
            kept = slice(filled[0], filled[-1] + 1)
            n = kept.stop - kept.start
            tables.append(
                {
                    "quantity": np.repeat(name, n),
                    "unit": np.repeat(UNITS[name], n),
                    "value": 0.5 * (d.edges[1:] + d.edges[:-1])[kept],
                    "density_per_unit": d.density[kept],
                    "density_err_per_unit": d.err[kept],
                }
            )
        names = ("quantity", "unit", "value", "density_per_unit", "density_err_per_unit")
        return {k: np.concatenate([t[k] for t in tables]) if tables else [] for k in names}

    def r_phi_columns(self) -> dict[str, Any]:
        """Columns of r_phi.csv, empty without a map."""
        return self.r_phi.columns() if self.r_phi else {name: [] for name in COLUMNS}

    def record(self) -> dict[str, Any]:
        """JSON: widths of the distributions, life of the bonds, and what limits them."""
        widths = {f"{name}_width": d.width for name, d in self.distributions.items()}
        life = self.life
        bonds = {"bond_life": life.lifetime, "n_changed": life.n_changed} if life else {}
        return (
            widths
            | bonds
            | {
                "n_units": self.n_units,
                "n_centres": self.n_centres,
                "difference_loss": self.difference_loss,
                "reason": self.reason,
            }
        )


def polyanions(
    runs: Sequence[Trajectory],
    bursts: Sequence[Sequence[Segment]],
    *,
    quench: Sequence[int],
    masses_u: Mapping[str, float],
    polyanion: Mapping[str, Any],
    mobile: str,
    min_residence_ps: float,
) -> Polyanions:
    """Analyse the tetrahedra of all runs.

    They are those of the first frame of a run, and stay the same over it. Angles and bonds are
    taken from the runs, rates from the velocities of the bursts, so that no step between frames
    enters them.

    Parameters
    ----------
    runs : sequence of Trajectory
        Unwrapped, one a replica.
    bursts : sequence of sequence of Segment
        Of each run, which they continue; empty ones without bursts.
    quench : sequence of int
        Of each run.
    masses_u : mapping
        Mass of each element, u.
    polyanion : mapping
        Elements ``centre`` and ``ligand``, and ``cutoff_angstrom``, the longest bond.
    mobile : str
        Element of the mobile ions.
    min_residence_ps : float
        Shortest change of a bond that counts.

    Raises
    ------
    HopechoError
        For bursts without velocities, or of other atoms than their runs.
    """
    n_centres = sum(int(t.select(polyanion["centre"]).sum()) for t in runs)
    try:
        units = [find_units(t.positions[0], t.numbers, t.cell, **dict(polyanion)) for t in runs]
    except HopechoError as error:
        return Polyanions(0, n_centres, {}, None, None, str(error))
    angles = [
        tetrahedral_angles(t.positions[:: max(1, len(t.positions) // ANGLE_FRAMES)], u)
        for t, u in zip(runs, units, strict=True)
    ]
    found = {"tilt_angle": _distribution("tilt_angle", angles, range(len(runs)), quench)}
    rates, loss = _rates(bursts, units, quench, masses_u)
    ligand, first = runs[0].select(polyanion["ligand"]), runs[0]
    life = bond_life(
        [t.positions for t in runs],
        units,
        cell=first.cell,
        ligand=ligand,
        cutoff_angstrom=polyanion["cutoff_angstrom"],
        stride_ps=first.stride_ps,
        min_residence_ps=min_residence_ps,
    )
    n_units = sum(len(u.centres) for u in units)
    around = r_phi(runs, units, quench=quench, mobile=mobile)
    return Polyanions(n_units, n_centres, found | rates, life, loss, r_phi=around)


def _rates(
    bursts: Sequence[Sequence[Segment]],
    units: Sequence[Units],
    quench: Sequence[int],
    masses_u: Mapping[str, float],
) -> tuple[dict[str, Distribution], float | None]:
    """Distributions of both rates, and the share that finite differences would lose."""
    owner = [k for k, own in enumerate(bursts) for _ in own]
    if not owner:
        return {}, None
    flat = [b for own in bursts for b in own]
    velocities, stride = checked_velocities(flat)
    masses = np.array([masses_u[chemical_symbols[z]] for z in flat[0].numbers])
    exact, rigid, squares = [], [], np.zeros(2)
    for k, burst, v in zip(owner, flat, velocities, strict=True):
        rate = angular_velocity_exact(burst.positions, v, units[k])
        turning = rotation(burst.positions, v, units[k], masses_u=masses)
        angles = tetrahedral_angles(burst.positions, units[k])
        by_difference = angular_velocity(angles, stride_ps=stride)
        squares += [np.mean(by_difference**2), np.mean(rate[1:-1] ** 2)]
        exact.append(rate)
        rigid.append(np.degrees(turning))
    of = [quench[k] for k in owner]
    found = {
        "angular_velocity": _distribution("angular_velocity", exact, owner, of),
        "rotation": _distribution("rotation", rigid, owner, of),
    }
    return found, float(1.0 - np.sqrt(squares[0] / squares[1]))


def _distribution(
    name: str, values: Sequence[Array], run: Sequence[int], quench: Sequence[int]
) -> Distribution:
    pieces, of = cut(values, run=list(run), quench=quench)
    edges = EDGES[name]
    mean, err = of.curve([density(np.asarray(p, dtype=np.float64), edges) for p in pieces])
    return Distribution(edges, mean, err, _width(name, pieces, of))


def _width(name: str, pieces: Sequence[NDArray[np.floating[Any]]], of: Pieces) -> Quantity:
    # A rate has the mean zero: of a short piece the deviation from its own mean is too small.
    around = float(np.mean([p.mean() for p in pieces])) if name == "tilt_angle" else 0.0
    widths = [float(np.sqrt(np.mean((p - around) ** 2))) for p in pieces]
    return of.quantity(widths, unit=UNITS[name])
