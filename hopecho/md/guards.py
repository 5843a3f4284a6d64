"""Gates of a finished run: whether it is a sane sample of the ensemble that it claims to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from hopecho.io.h5md import Segment
from hopecho.md.lammps_input import Thermostat
from hopecho.structures.bonds import bond_report
from hopecho.units import BOLTZMANN_EV_K

N_BLOCKS = 10
GPA_PER_BAR = 1e-4
FRAMES_CHECKED = 10
"""Frames of a segment in which distances and bonds are looked at."""


@dataclass(frozen=True)
class GateLimits:
    """Limits of the gates of a segment."""

    max_temperature_sigma: float = 6.0
    """Of the mean temperature, in its standard errors."""
    max_drift: float = 1e-5
    """Of the conserved quantity, eV/atom/ps; 1e-5 heats a solid by 40 K in a nanosecond."""
    min_distance: float = 1.2
    """Angstrom."""
    max_framework_shift: float = 1.0
    """Of the centre of mass of the immobile ions against the whole, Angstrom."""
    mobile: str = ""
    """Element of the mobile ions; empty leaves the framework unchecked."""
    bonds: tuple[str, str, float] | None = None
    """Centre, ligand and longest bond (Angstrom) of the polyanion, e.g. ("P", "S", 2.6)."""


@dataclass(frozen=True)
class Drift:
    """Straight line through a conserved quantity."""

    slope: float
    """eV/atom/ps."""
    slope_error: float
    """One standard error, from block means; 0 when there are too few points to tell."""
    rms: float
    """Root mean square of what is left, eV/atom."""


def conserved_drift(
    time_ps: NDArray[np.float64], conserved: NDArray[np.float64], *, n_atoms: int
) -> Drift:
    """Fit a line to the conserved quantity.

    Parameters
    ----------
    time_ps : (n_rows,) array, ps
    conserved : (n_rows,) array, eV
        Total energy, plus what the thermostat took.
    n_atoms : int
        Divides the energy.
    """
    if len(time_ps) < 3:
        return Drift(0.0, 0.0, 0.0)
    per_atom = (conserved - conserved[0]) / n_atoms
    t = time_ps - time_ps.mean()
    slope = float(t @ per_atom / (t @ t))
    residual = per_atom - per_atom.mean() - slope * t
    n_blocks = min(2 * N_BLOCKS, len(t))
    blocks = [(b.mean(), r.mean()) for b, r in zip(_split(t, n_blocks), _split(residual, n_blocks))]
    tb, rb = np.array(blocks).T
    error = float(np.sqrt((rb @ rb) / (n_blocks - 2) / (tb @ tb)))
    return Drift(slope, error, float(np.sqrt(np.mean(residual**2))))


def temperature_sigma(
    temperature: NDArray[np.float64],
    *,
    thermostat: Thermostat,
    n_atoms: int,
    length_ps: float,
) -> float:
    r"""Deviation of the mean temperature from the target in standard errors, signed.

    The error is the larger of block means' and of the canonical one, :math:`T\sqrt{2/(3N-3)/n}`
    with one independent value per two damping times. A run at constant energy starts from a
    canonical sample: its mean temperature scatters by another :math:`T/\sqrt{3N}` (heat capacity 3
    N k).

    Parameters
    ----------
    temperature : (n_rows,) array, K
    thermostat : Thermostat
        Ensemble and target.
    n_atoms : int
        3N - 3 degrees of freedom.
    length_ps : float
        Length of the run.
    """
    target = thermostat.temperature_k
    blocks = [b.mean() for b in _split(temperature, min(N_BLOCKS, len(temperature)))]
    scatter = np.std(blocks, ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else 0.0
    n_independent = max(1.0, length_ps / (2.0 * thermostat.damping_ps))
    canonical = target * np.sqrt(2.0 / (3 * n_atoms - 3) / n_independent)
    energy = target / np.sqrt(3 * n_atoms) if thermostat.ensemble == "nve" else 0.0
    error = np.hypot(max(scatter, canonical), energy)
    return float((temperature.mean() - target) / error)


def shortest_distance(
    positions: NDArray[np.floating], *, cell: NDArray[np.float64], numbers: NDArray[np.int64]
) -> float:
    """Shortest pair distance of a frame, Angstrom, over all periodic images."""
    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    cutoff = 2.0
    while True:
        distances = neighbor_list("d", atoms, cutoff)
        if len(distances):
            return float(distances.min())
        cutoff *= 1.5


def bond_counts(
    positions: NDArray[np.floating],
    *,
    cell: NDArray[np.float64],
    numbers: NDArray[np.int64],
    bonds: tuple[str, str, float],
) -> dict[str, int]:
    """Units of the polyanion's bond graph; two frames with equal counts keep their bonds."""
    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    report = bond_report(atoms, centre=bonds[0], ligand=bonds[1], cutoff=bonds[2])
    coordination = {f"coordination_{n}": int(c) for n, c in report.coordination.items()}
    return {
        **coordination,
        "isolated": int(report.isolated),
        "bridging_ligands": int(report.bridging_ligands),
        "free_ligands": int(report.free_ligands),
    }


def framework_shift(segment: Segment, *, masses: NDArray[np.float64], mobile: str) -> float:
    """Largest shift of the framework's centre of mass against that of all atoms, Angstrom."""
    symbols = np.array(Atoms(numbers=segment.numbers).get_chemical_symbols())
    framework = symbols != mobile
    if framework.all() or not framework.any():
        return 0.0
    moved = segment.positions - segment.positions[0]
    inside = np.average(moved[:, framework], axis=1, weights=masses[framework])
    everything = np.average(moved, axis=1, weights=masses)
    return float(np.linalg.norm(inside - everything, axis=1).max())


def segment_gates(
    thermo: Mapping[str, NDArray[np.float64]],
    segment: Segment,
    *,
    structure: Atoms,
    thermostat: Thermostat,
    dt_fs: float,
    limits: GateLimits,
) -> dict[str, dict[str, Any]]:
    """Judge a segment.

    Parameters
    ----------
    thermo : mapping
        Columns of `hopecho.md.harvest.read_log`, each (n_rows,).
    segment : Segment
        Frames.
    structure : ase.Atoms
        Start of the run: its bonds are those that must last.
    thermostat : Thermostat
        Ensemble and temperature.
    dt_fs : float
        Time step, fs.
    limits : GateLimits
        Limits.

    Returns
    -------
    dict
        Gate -> {"value", "limit", "unit", "passed", ...}, built-in types only.
    """
    n = len(structure)
    time_ps = thermo["step"] * dt_fs * 1e-3
    length_ps = float(time_ps[-1] - time_ps[0])
    # The first row is the state that the segment starts from, shared with the one before.
    temperature = thermo["temperature"][1:]
    sigma = temperature_sigma(temperature, thermostat=thermostat, n_atoms=n, length_ps=length_ps)
    drift = conserved_drift(time_ps, thermo["conserved"], n_atoms=n)
    shown = segment.positions[_spread(len(segment.positions))]
    nearest = min(shortest_distance(x, cell=segment.cell, numbers=segment.numbers) for x in shown)
    canonical = thermostat.temperature_k * np.sqrt(2.0 / (3 * n - 3))
    gates = {
        "temperature": {
            **_gate(abs(sigma), limits.max_temperature_sigma, "sigma"),
            "mean_k": float(temperature.mean()),
            "std_k": float(temperature.std()),
            "canonical_std_k": float(canonical),
        },
        "drift": {
            **_gate(abs(drift.slope), limits.max_drift, "eV/atom/ps", 3 * drift.slope_error),
            "stderr": drift.slope_error,
            "rms_ev_atom": drift.rms,
            "kelvin_per_ns": drift.slope * 1e3 / (3 * BOLTZMANN_EV_K),
        },
        "min_distance": {
            "value": nearest,
            "limit": limits.min_distance,
            "unit": "A",
            "passed": nearest >= limits.min_distance,
        },
    }
    gates["pressure"] = mean_pressure(thermo["pressure"][1:])
    if limits.mobile:
        shift = framework_shift(segment, masses=structure.get_masses(), mobile=limits.mobile)
        gates["framework_shift"] = _gate(shift, limits.max_framework_shift, "A")
    if limits.bonds is not None:
        gates["bonds"] = bond_gate(
            structure.positions, shown, segment.cell, segment.numbers, limits.bonds
        )
    return gates


def mean_pressure(pressure: NDArray[np.float64]) -> dict[str, Any]:
    """Mean pressure of the fixed cell with its error from block means: shown, without a limit.

    Parameters
    ----------
    pressure : (n_rows,) array, bar
    """
    blocks = [b.mean() for b in _split(pressure, min(N_BLOCKS, len(pressure)))]
    error = np.std(blocks, ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else 0.0
    return {
        "value": float(pressure.mean()) * GPA_PER_BAR,
        "limit": None,
        "unit": "GPa",
        "passed": True,
        "stderr": float(error) * GPA_PER_BAR,
    }


def bond_gate(
    start: NDArray[np.floating],
    frames: NDArray[np.floating],
    cell: NDArray[np.float64],
    numbers: NDArray[np.int64],
    bonds: tuple[str, str, float],
) -> dict[str, Any]:
    """Compare the bond graph of frames with that of the start."""
    before = bond_counts(start, cell=cell, numbers=numbers, bonds=bonds)
    changed = [
        now
        for x in frames
        if (now := bond_counts(x, cell=cell, numbers=numbers, bonds=bonds)) != before
    ]
    return {
        "value": len(changed),
        "limit": 0,
        "unit": "frames with changed bonds",
        "passed": not changed,
        "start": before,
        "last": changed[-1] if changed else before,
    }


def _gate(value: float, limit: float, unit: str, allowance: float = 0.0) -> dict[str, Any]:
    passed = bool(value <= limit + allowance)
    return {"value": float(value), "limit": float(limit), "unit": unit, "passed": passed}


def _spread(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, FRAMES_CHECKED).astype(np.int64))


def _split(values: NDArray[np.float64], n: int) -> list[NDArray[np.float64]]:
    return [part for part in np.array_split(values, n) if len(part)]
