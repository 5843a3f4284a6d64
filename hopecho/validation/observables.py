"""The observables of one replica that `hopecho.validation.battery` compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.dynamics.msd import msd_mean
from hopecho.dynamics.polyanions import (
    Units,
    angular_velocity_exact,
    density,
    tetrahedral_angles,
)
from hopecho.dynamics.r_phi import PHI_EDGES, R_EDGES, r_phi_map
from hopecho.dynamics.rdf import perpendicular_widths, rdf
from hopecho.dynamics.van_hove import van_hove
from hopecho.dynamics.vibrations import band_centre, smooth, vdos
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory, framework_frame
from hopecho.units import A2_PS_TO_M2_S
from hopecho.validation.battery import Curve

Array = NDArray[np.float64]

RDF_FRAMES = 200
RDF_STEP_ANGSTROM = 0.05
VAN_HOVE_STEP_ANGSTROM = 0.1
ANGLE_EDGES = np.linspace(0.0, 180.0, 361)
"""Degrees."""
RATE_EDGES = np.linspace(-5000.0, 5000.0, 401)
"""Degrees/ps."""


@dataclass(frozen=True)
class Burst:
    """Densely sampled frames with velocities, of all atoms."""

    positions: NDArray[np.floating[Any]]
    """(n_frames, n_atoms, 3), A, unwrapped."""
    velocities: NDArray[np.floating[Any]]
    """(n_frames, n_atoms, 3), A/ps."""
    stride_ps: float


def observables(
    trajectory: Trajectory,
    *,
    mobile: str,
    oxidation: Mapping[str, float],
    lag_window_ps: tuple[float, float],
    r_max_angstrom: float,
    units: Units | None = None,
    bursts: Sequence[Burst] = (),
    masses_u: Array | None = None,
    resolution_cm1: float = 5.0,
) -> dict[str, Curve]:
    """Everything that one replica says, on grids that depend on the settings only.

    g(r) of all pairs (L1), D of the mobile ions (ratio), their van Hove functions at the longer lag
    (self: Wasserstein, A; distinct: L1); with `units` the tetrahedral angles (Wasserstein, degrees)
    and the map of mobile ions about the tetrahedra (L1); with `bursts` the density of states of
    each element (Wasserstein, cm-1),
    its band centre (difference, cm-1), and with both the angular velocities (degrees/ps).

    Parameters
    ----------
    trajectory : Trajectory
        Of one replica.
    mobile : str
        Element of the mobile ions.
    oxidation : mapping
        Formal oxidation numbers, e.
    lag_window_ps : tuple
        Lags between which D is the slope of the MSD over 6, ps; the same for both sides.
    r_max_angstrom : float
        End of g(r), at most half the shortest perpendicular width of the smaller cell.
    units : Units, optional
        Tetrahedra, which the trajectory and the bursts continue.
    bursts : sequence of Burst
        Frames every 10 fs or less.
    masses_u : ndarray, optional
        (n_atoms,), u; needed with bursts.
    resolution_cm1 : float
        Distance of the frequencies.

    Raises
    ------
    HopechoError
        For a lag window outside the run or bursts without masses.
    """
    found = _structure(trajectory, r_max_angstrom)
    found |= _motion(trajectory, mobile, oxidation, lag_window_ps, r_max_angstrom)
    if units is not None and not trajectory.select(mobile)[units.centres].any():
        found["r_phi"] = _around(trajectory, units, mobile, r_max_angstrom)
    if units is not None:
        angles = tetrahedral_angles(trajectory.positions, units)
        found["tetrahedral_angle"] = _distribution(angles, ANGLE_EDGES, "degree")
    if bursts:
        if masses_u is None:
            raise HopechoError("A density of states needs the masses of the atoms.", got="none")
        found |= _vibrations(trajectory.numbers, bursts, masses_u, resolution_cm1)
        if units is not None:
            rates = [angular_velocity_exact(b.positions, b.velocities, units) for b in bursts]
            found["angular_velocity"] = _distribution(
                np.concatenate(rates), RATE_EDGES, "degree/ps"
            )
    return found


def common_distance(trajectories: Sequence[Trajectory]) -> float:
    """Longest distance that all cells hold, A: half the shortest width, less for round-off."""
    shortest = min(float(perpendicular_widths(t.cell).min()) for t in trajectories)
    return float(np.floor(10.0 * 0.4999 * shortest) / 10.0)


def _structure(trajectory: Trajectory, r_max: float) -> dict[str, Curve]:
    share = max(1, len(trajectory.positions) // RDF_FRAMES)
    result = rdf(
        trajectory.positions[::share],
        trajectory.numbers,
        trajectory.cell,
        n_bins=max(1, round(r_max / RDF_STEP_ANGSTROM)),
        r_max=r_max,
    )
    elements = [chemical_symbols[z] for z in np.unique(trajectory.numbers)]
    pairs = [f"{a}-{b}" for k, a in enumerate(elements) for b in elements[k:]]
    return {f"rdf {p}": Curve("l1_shells", "1", result.r, result.g[p]) for p in pairs}


def _motion(
    trajectory: Trajectory,
    mobile: str,
    oxidation: Mapping[str, float],
    window_ps: tuple[float, float],
    r_max: float,
) -> dict[str, Curve]:
    stride, mask = trajectory.stride_ps, trajectory.select(mobile)
    low, high = round(window_ps[0] / stride), round(window_ps[1] / stride)
    if not 0 < low < high < len(trajectory.positions):
        raise HopechoError(
            "The lag window does not fit the run.",
            got=f"{window_ps[0]:g}-{window_ps[1]:g} ps, run of {trajectory.time_ps[-1]:g} ps",
        )
    x, _ = framework_frame(trajectory.positions, trajectory.numbers, mask, charges=oxidation)
    curve = msd_mean(x[:, mask], n_lags=high + 1).sum(1)
    slope = (curve[high] - curve[low]) / ((high - low) * stride)
    d = np.array([slope / 6.0 * A2_PS_TO_M2_S])
    found = van_hove(
        [x[:, mask]],
        cell=trajectory.cell,
        stride_ps=stride,
        lags=[high],
        r_max=r_max,
        n_bins=max(1, round(r_max / VAN_HOVE_STEP_ANGSTROM)),
    )
    own = 4.0 * np.pi * found.r**2 * found.van_hove_self[0]
    return {
        "d_tracer": Curve("log_ratio", "1", np.zeros(1), d),
        "van_hove_self": Curve("wasserstein", "A", found.r, own),
        "van_hove_distinct": Curve("l1_shells", "1", found.r, found.van_hove_distinct[0]),
    }


def _around(trajectory: Trajectory, units: Units, mobile: str, r_max: float) -> Curve:
    """Map of mobile ions about the tetrahedra, r outermost, against the number of the bin."""
    share = max(1, len(trajectory.positions) // RDF_FRAMES)
    found = r_phi_map(
        trajectory.positions[::share],
        units,
        mobile=trajectory.select(mobile),
        cell=trajectory.cell,
        r_edges=R_EDGES[r_max * (1.0 + 1e-9) >= R_EDGES],
        phi_edges=PHI_EDGES,
    ).ravel()
    return Curve("l1", "1", np.arange(len(found), dtype=np.float64), found)


def _distribution(values: Array, edges: Array, unit: str) -> Curve:
    middle = 0.5 * (edges[1:] + edges[:-1])
    return Curve("wasserstein", unit, middle, density(values, edges))


def _vibrations(
    numbers: NDArray[np.integer[Any]],
    bursts: Sequence[Burst],
    masses_u: Array,
    resolution_cm1: float,
) -> dict[str, Curve]:
    spectrum = vdos(
        [b.velocities for b in bursts],
        numbers=numbers,
        masses_u=masses_u,
        stride_ps=bursts[0].stride_ps,
        resolution_cm1=resolution_cm1,
    )
    nu, found = spectrum.wavenumber_cm1, {}
    for element, g in spectrum.g.items():
        # A smoothed density may dip below zero beside a line.
        smoothed = np.maximum(smooth(nu, g), 0.0)
        found[f"vdos {element}"] = Curve("wasserstein", "cm-1", nu, smoothed)
        centre = np.array([band_centre(nu, g)])
        found[f"band centre {element}"] = Curve("difference", "cm-1", np.zeros(1), centre)
    return found
