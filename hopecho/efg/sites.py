"""Classes of sites by geometry: how many ligands are in the first shell of a probe ion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from ase import Atoms

IntArray = NDArray[np.int64]

SEARCH_A = 6.0
"""Distances up to here are looked at for the first shell, A."""

BIN_A = 0.1


def first_shell(frames: Sequence[Atoms], *, probe: str, ligand: str) -> float:
    """Return the radius of the first shell, A: the minimum of g(r) behind its first peak.

    The pair distribution of all frames together, in bins of 0.1 A, smoothed over three; the
    minimum is searched up to 1.6 times the distance of the peak, before the second shell.

    Raises
    ------
    HopechoError
        If no ligand is found near a probe.
    """
    counts = np.zeros(round(SEARCH_A / BIN_A))
    for atoms in frames:
        _, distance = _pairs(atoms, probe, ligand, SEARCH_A)
        counts += np.histogram(distance, bins=len(counts), range=(0.0, SEARCH_A))[0]
    if not counts.any():
        raise HopechoError(
            "No ligand is near a probe ion",
            got=f"{len(frames)} frames, {probe} and {ligand} further apart than {SEARCH_A} A",
            fix="look at materials.<m>.mobile and materials.<m>.polyanion.ligand",
        )
    r = (np.arange(len(counts)) + 0.5) * BIN_A
    g = np.convolve(counts / r**2, np.ones(3) / 3, mode="same")
    peak = int(np.argmax(np.where(r < 0.6 * SEARCH_A, g, 0.0)))
    behind = slice(peak, int(np.searchsorted(r, 1.6 * r[peak])))
    return float(r[peak + int(np.argmin(g[behind]))])


def coordination(atoms: Atoms, *, probe: str, ligand: str, radius: float) -> IntArray:
    """Return the number of ligands within `radius` (A) of every probe ion, in atom order."""
    centre, _ = _pairs(atoms, probe, ligand, radius)
    counts = np.bincount(centre, minlength=len(atoms))
    return counts[np.array(atoms.get_chemical_symbols()) == probe].astype(np.int64)


def _pairs(atoms: Atoms, probe: str, ligand: str, radius: float) -> tuple[Any, Any]:
    """Index of the probe and distance of every probe-ligand pair."""
    from ase.neighborlist import neighbor_list

    return neighbor_list("id", atoms, {(probe, ligand): radius})


def site_classes(counts: IntArray, *, probe: str, ligand: str, least: int) -> dict[str, IntArray]:
    """Return the members of each class with at least `least` members, e.g. ``LiS4``.

    Parameters
    ----------
    counts : ndarray, (n,)
        Ligands of every tensor's ion.
    least : int
        Smaller classes are joined as ``other``, and left out where that is too small as well.

    Returns
    -------
    dict
        Name -> indices into `counts`; ascending coordination, ``other`` last.
    """
    found, rest = {}, []
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count)
        if len(members) >= least:
            found[f"{probe}{ligand}{count}"] = members
        else:
            rest.append(members)
    if sum(len(members) for members in rest) >= least:
        found["other"] = np.concatenate(rest)
    return found
