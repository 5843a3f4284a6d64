"""Sites of the mobile ions in a crystal: their places, their kinds, and which ion is on which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree

from hopecho.dynamics.hops import HopLog, site_hops
from hopecho.errors import HopechoError
from hopecho.structures.crystals import crystal_from_dict

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CORE_SHARE = 0.45
"""Radius of a core as a share of the distance of the closest sites."""


NEAR_PLACE_A = 1.0
"""An atom of the framework whose mean position is closer to a place of the crystal stands there."""
SHARE_IN_PLACE = 0.8
"""Of the framework's places that must be taken, for the crystal's sites to have a meaning."""


@dataclass(frozen=True)
class CrystalSites:
    """All sites of the mobile ion in a supercell, occupied or not."""

    positions: Array
    """(n_sites, 3), A."""
    kind: tuple[str, ...]
    """(n_sites,), such as LiS4: how many ligands are within the cutoff."""
    unit: Ints
    """(n_sites,), which site of the unit cell each is a translation of: these have one tensor."""
    framework: Array
    """(n_framework, 3), A, ideal positions of the other atoms, for the alignment."""
    cell: Array
    """(3, 3), A."""

    @property
    def core_radius(self) -> float:
        """Radius of the cores, A: they do not touch."""
        closest = self._closest()
        return CORE_SHARE * closest

    def _closest(self) -> float:
        atoms = Atoms(f"X{len(self.positions)}", self.positions, cell=self.cell, pbc=True)
        distance = atoms.get_all_distances(mic=True)
        np.fill_diagonal(distance, np.inf)
        lengths = [float(np.linalg.norm(v)) for v in self.cell]
        return min([float(distance.min()), *lengths])


def crystal_sites(
    path: str | Path,
    *,
    supercell: Sequence[int],
    mobile: str,
    ligand: str,
    cutoff_angstrom: float,
) -> CrystalSites:
    """Sites of a crystal of ``resources/structures``, those left empty included.

    Parameters
    ----------
    path : path
        The crystal's YAML file.
    supercell : sequence of int
        Repeats along a, b, c.
    mobile, ligand : str
        Elements of the ions and of what they are coordinated by.
    cutoff_angstrom : float
        Largest distance of a ligand that counts, A.
    """
    data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    every = [s | {"use": True} if s["element"] == mobile else s for s in data["sites"]]
    unit = crystal_from_dict(data | {"sites": every}, where=str(path))
    is_mobile = np.array([s == mobile for s in unit.symbols])
    if not is_mobile.any():
        raise HopechoError(f"{path} has no site of {mobile}", got=str(unit.symbols))
    first, second = neighbor_list("ij", unit, cutoff_angstrom)
    ligands = np.array([s == ligand for s in unit.symbols])
    counts = np.bincount(first[ligands[second]], minlength=len(unit))
    whole = unit.repeat(tuple(int(n) for n in supercell))
    copies = len(whole) // len(unit)
    chosen = np.tile(is_mobile, copies)
    number = np.tile(np.cumsum(is_mobile) - 1, copies)
    kinds = np.tile([f"{mobile}{ligand}{n}" for n in counts], copies)
    return CrystalSites(
        positions=whole.positions[chosen],
        kind=tuple(str(k) for k in kinds[chosen]),
        unit=number[chosen].astype(np.int64),
        framework=whole.positions[~chosen],
        cell=np.asarray(whole.cell.array, dtype=np.float64),
    )


def aligned(sites: CrystalSites, framework: Array) -> CrystalSites:
    """Shift the sites so that the ideal framework lies on the mean one of a run.

    A polyanion that turned during the run has ligands whose mean positions are nowhere near a place
    of the crystal. So the shift follows the atoms that are near one, and most must be.

    Parameters
    ----------
    sites : CrystalSites
        As built.
    framework : ndarray (n_framework, 3)
        Mean positions of the framework's atoms in the run, A, in any order and cell.

    Raises
    ------
    HopechoError
        If the run's framework is not that of the crystal.
    """
    inverse = np.linalg.inv(sites.cell)
    shift = np.zeros(3)
    for _ in range(3):
        ideal = ((sites.framework + shift) @ inverse) % 1.0 @ sites.cell
        images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
        every = (ideal[:, None] + images @ sites.cell).reshape(-1, 3)
        folded = (np.asarray(framework) @ inverse) % 1.0 @ sites.cell
        distance, nearest = cKDTree(every).query(folded)
        near = distance < NEAR_PLACE_A
        shift = shift + (folded - every[nearest])[near if near.any() else ...].mean(axis=0)
    found = len(np.unique(nearest[near] // len(images)))
    if len(folded) != len(sites.framework) or found < SHARE_IN_PLACE * len(folded):
        raise HopechoError(
            "The run's framework is not that of the crystal whose sites were given.",
            got=f"{len(folded)} atoms against {len(sites.framework)}, {found} of them within "
            f"{NEAR_PLACE_A:g} A of their place",
            fix="name the crystal and supercell that the phase was built from",
        )
    return CrystalSites(
        sites.positions + shift, sites.kind, sites.unit, sites.framework + shift, sites.cell
    )


def site_log(
    positions: NDArray[np.floating[Any]],
    sites: CrystalSites,
    *,
    stride_ps: float,
    window_ps: float,
    averaged: bool = False,
) -> HopLog:
    """Hops between the sites of a crystal, from vibrationally averaged positions.

    An ion leaves its site only by entering the core of another one and staying there for the
    window.

    Parameters
    ----------
    positions : ndarray (n_frames, n_ions, 3)
        A, unwrapped, in the frame of the framework.
    sites : CrystalSites
        Aligned with the run.
    stride_ps : float
        Time between frames, ps.
    window_ps : float
        Averaging window and shortest stay, ps.
    averaged : bool
        Positions are averages over the window already.
    """
    mean = np.asarray(positions, dtype=np.float64)
    window = max(1, round(window_ps / stride_ps))
    if window > 1 and not averaged:
        mean = uniform_filter1d(mean, window, axis=0, mode="nearest")
    return site_hops(
        mean,
        sites=sites.positions,
        cell=sites.cell,
        stride_ps=stride_ps,
        core_radius_a=sites.core_radius,
        min_residence_ps=window_ps,
    )


def kind_census(sites: CrystalSites) -> Mapping[str, int]:
    """How many sites of each kind there are."""
    names, counts = np.unique(sites.kind, return_counts=True)
    return {str(n): int(c) for n, c in zip(names, counts, strict=True)}
