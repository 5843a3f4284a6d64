"""Where mobile ions sit about polyanions: distance to a ligand and centre-ligand-ion angle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopecho.dynamics.block_means import cut
from hopecho.dynamics.polyanions import Units
from hopecho.dynamics.rdf import perpendicular_widths, require_nearest_image
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

R_EDGES = np.linspace(1.5, 6.5, 51)
"""Bins of the distance, A; those beyond half the shortest width of the cell are left out."""

PHI_EDGES = np.linspace(0.0, 180.0, 61)
"""Bins of the angle, degrees."""

MAP_FRAMES = 200
"""Frames of each run that enter the map, spread over it."""

COLUMNS = (
    "r_angstrom",
    "phi_degree",
    "density_per_a_degree",
    "density_err_per_a_degree",
    "relative_to_even",
)
"""Of r_phi.csv."""


@dataclass(frozen=True)
class RPhi:
    """Joint density of ligand-ion distances r and centre-ligand-ion angles phi."""

    r_edges: Array
    """(n_r + 1,), A."""
    phi_edges: Array
    """(n_phi + 1,), degrees."""
    density: Array
    """(n_r, n_phi), 1/(A degree), mean over runs; area 1, no Jacobian divided out."""
    density_err: Array
    """(n_r, n_phi), one standard error."""
    relative: Array
    """(n_r, n_phi): ions found over those of the same number spread evenly over the cell."""

    def columns(self) -> dict[str, Any]:
        """Columns of r_phi.csv, long form, r outermost."""
        r, phi = (0.5 * (e[1:] + e[:-1]) for e in (self.r_edges, self.phi_edges))
        maps = (self.density, self.density_err, self.relative)
        values = (np.repeat(r, len(phi)), np.tile(phi, len(r)), *(m.ravel() for m in maps))
        return dict(zip(COLUMNS, values, strict=True))


def r_phi(
    runs: Sequence[Trajectory], units: Sequence[Units], *, quench: Sequence[int], mobile: str
) -> RPhi | None:
    """Map of all runs, with its error over them (a single run is cut into halves).

    Parameters
    ----------
    runs : sequence of Trajectory
        Unwrapped, one a replica.
    units : sequence of Units
        Tetrahedra of each run.
    quench : sequence of int
        Of each run.
    mobile : str
        Element of the mobile ions.

    Returns
    -------
    RPhi or None
        None where a run has no mobile ion near a polyanion, or the mobile ions are their centres.
    """
    if any(t.select(mobile)[u.centres].any() for t, u in zip(runs, units, strict=True)):
        return None
    limit = min(0.5 * float(perpendicular_widths(t.cell).min()) for t in runs)
    r_edges = R_EDGES[limit * (1.0 + 1e-9) >= R_EDGES]
    if len(r_edges) < 2:
        return None
    sampled = [t.positions[:: max(1, len(t.positions) // MAP_FRAMES)] for t in runs]
    pieces, of = cut(sampled, run=list(range(len(runs))), quench=quench)
    found, expected = [], np.zeros((len(r_edges) - 1, len(PHI_EDGES) - 1))
    for x, k in zip(pieces, of.run, strict=True):
        ions, cell = runs[k].select(mobile), runs[k].cell
        counted = _counts(x, units[k], ions, cell, r_edges, PHI_EDGES)
        found.append(counted)
        expected += _even(x, units[k], int(ions.sum()), cell, r_edges)
    if min(int(c.sum()) for c in found) == 0:
        return None
    densities = [_density(c, r_edges, PHI_EDGES) for c in found]
    mean, err = of.curve([d.ravel() for d in densities])
    total = np.sum(found, axis=0)
    return RPhi(
        r_edges, PHI_EDGES, mean.reshape(total.shape), err.reshape(total.shape), total / expected
    )


def r_phi_map(
    positions: NDArray[np.floating[Any]],
    units: Units,
    *,
    mobile: NDArray[np.bool_],
    cell: Array,
    r_edges: Array,
    phi_edges: Array,
) -> Array:
    r"""Joint density of ligand-ion distances r and centre-ligand-ion angles phi.

    Every pair of a unit's ligand and a mobile ion whose distance lies within `r_edges` counts once;
    the map integrates to 1. No Jacobian is divided out, as in the Source: ions spread evenly give
    :math:`r^2 \sin\phi`.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_atoms, 3), A.
    units : Units
        The tetrahedra.
    mobile : ndarray
        (n_atoms,), True for the mobile ions.
    cell : ndarray
        (3, 3), A.
    r_edges, phi_edges : ndarray
        Uniform edges of bins, A and degrees.

    Returns
    -------
    ndarray
        (n_r, n_phi), 1/(A degree).

    Raises
    ------
    HopechoError
        If no mobile ion comes that near, or the cell is too small or too skewed for the distances.

    Source: Kaiser and Egger, J. Mater. Chem. A 12, 11344 (2024), figures 7 and 10.
    """
    counts = _counts(positions, units, mobile, cell, r_edges, phi_edges)
    if counts.sum() == 0:
        raise HopechoError(
            "No mobile ion comes near a polyanion.",
            got=f"none within {r_edges[0]:g}-{r_edges[-1]:g} A",
            fix="choose wider edges",
        )
    return _density(counts, r_edges, phi_edges)


def _density(counts: Ints, r_edges: Array, phi_edges: Array) -> Array:
    areas = np.outer(np.diff(r_edges), np.diff(phi_edges))
    return np.asarray(counts / (counts.sum() * areas), dtype=np.float64)


def _even(
    positions: NDArray[np.floating[Any]], units: Units, n_ions: int, cell: Array, r_edges: Array
) -> Array:
    """Counts that as many ions spread evenly over the cell would give, (n_r, n_phi)."""
    density = n_ions / abs(float(np.linalg.det(cell)))
    bands = -np.diff(np.cos(np.radians(PHI_EDGES)))
    volumes = 2.0 * np.pi / 3.0 * np.outer(np.diff(r_edges**3), bands)
    return np.asarray(len(positions) * units.ligands.size * density * volumes, dtype=np.float64)


def _counts(
    positions: NDArray[np.floating[Any]],
    units: Units,
    mobile: NDArray[np.bool_],
    cell: Array,
    r_edges: Array,
    phi_edges: Array,
) -> Ints:
    """Pairs of a ligand of a unit and a mobile ion, (n_r, n_phi)."""
    cell = np.asarray(cell, dtype=np.float64)
    require_nearest_image(cell, float(r_edges[-1]))
    x = np.asarray(positions, dtype=np.float64)
    counts = np.zeros((len(r_edges) - 1, len(phi_edges) - 1), dtype=np.int64)
    fractional = x @ np.linalg.inv(cell)
    _count(
        np.ascontiguousarray(fractional[:, units.ligands.ravel()]),
        np.ascontiguousarray(units.vectors(x).reshape(len(x), -1, 3)),
        np.ascontiguousarray(fractional[:, np.asarray(mobile, dtype=bool)]),
        cell,
        np.array([r_edges[0], r_edges[-1], phi_edges[0], phi_edges[-1]], dtype=np.float64),
        counts,
    )
    return counts


@njit(cache=True)  # type: ignore[untyped-decorator]
def _count(ligands: Array, bonds: Array, ions: Array, cell: Array, ends: Array, out: Ints) -> None:
    """Count pairs from fractional positions (n_frames, n_ligands or n_ions, 3) and bonds, A."""
    n_r, n_phi = out.shape
    for t in range(ligands.shape[0]):
        for s in range(ligands.shape[1]):
            bx, by, bz = bonds[t, s, 0], bonds[t, s, 1], bonds[t, s, 2]
            bond = np.sqrt(bx * bx + by * by + bz * bz)
            for i in range(ions.shape[1]):
                a = ions[t, i, 0] - ligands[t, s, 0]
                b = ions[t, i, 1] - ligands[t, s, 1]
                c = ions[t, i, 2] - ligands[t, s, 2]
                a -= np.rint(a)
                b -= np.rint(b)
                c -= np.rint(c)
                x = a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
                y = a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
                z = a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
                r = np.sqrt(x * x + y * y + z * z)
                if r < ends[0] or r >= ends[1] or r == 0.0:
                    continue
                # From the ligand, the centre lies against the bond.
                cosine = -(x * bx + y * by + z * bz) / (r * bond)
                phi = np.degrees(np.arccos(min(1.0, max(-1.0, cosine))))
                if ends[2] <= phi <= ends[3]:
                    p = int((phi - ends[2]) / (ends[3] - ends[2]) * n_phi)
                    q = int((r - ends[0]) / (ends[1] - ends[0]) * n_r)
                    out[min(q, n_r - 1), min(p, n_phi - 1)] += 1
