"""The bond graph of a polyanion: coordination of the centres and bridging ligands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from hopecho.errors import HopechoError


@dataclass(frozen=True)
class BondReport:
    """Counts of a centre-ligand bond graph, e.g. of PS4, P2S6 and P2S7 units."""

    n_centres: int
    n_ligands: int
    coordination: dict[int, int]
    """Number of centres by number of bonded ligands."""
    isolated: int
    """Centres with four ligands of their own and no link to another centre: PS4."""
    corner_pairs: int
    """Pairs of centres that share one ligand and nothing else: the link of P2S7."""
    direct_pairs: int
    """Pairs of centres bonded to each other directly: the link of P2S6."""
    edge_pairs: int
    """Pairs of centres that share two or more ligands."""
    bridging_ligands: int
    """Ligands bonded to two or more centres."""
    free_ligands: int
    """Ligands bonded to no centre."""
    largest_unit: int
    """Largest number of centres in one connected unit."""

    @property
    def whole(self) -> bool:
        """True when every centre is an isolated four-fold unit and no ligand is free."""
        return self.isolated == self.n_centres and self.free_ligands == 0


def bond_report(
    atoms: Atoms, *, centre: str, ligand: str, cutoff: float, centre_cutoff: float = 2.6
) -> BondReport:
    """Return the bond graph of a polyanion.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure; periodic images are counted.
    centre, ligand : str
        Elements, e.g. ``"P"`` and ``"S"``.
    cutoff : float
        Longest centre-ligand bond, A; between the bond (P-S 2.05) and the next shell (4.1).
    centre_cutoff : float
        Longest direct centre-centre bond, A (P-P in P2S6 is 2.26).

    Raises
    ------
    HopechoError
        If `atoms` hold no such centre.
    """
    symbols = np.array(atoms.get_chemical_symbols())
    centres = np.flatnonzero(symbols == centre)
    ligands = np.flatnonzero(symbols == ligand)
    if not len(centres):
        raise HopechoError(
            f"no {centre} atom to count bonds of", got=str(atoms.symbols), fix="name another centre"
        )
    lengths = {(centre, ligand): cutoff, (centre, centre): centre_cutoff}
    first, second = neighbor_list("ij", atoms, lengths)
    from_centre = symbols[first] == centre
    to_ligand = from_centre & (symbols[second] == ligand)
    bonds = list(zip(first[to_ligand].tolist(), second[to_ligand].tolist(), strict=True))
    to_centre = from_centre & (symbols[second] == centre)
    direct = {(i, j) for i, j in zip(first[to_centre], second[to_centre], strict=True) if i < j}

    per_centre = {int(c): 0 for c in centres}
    holders: dict[int, list[int]] = {int(s): [] for s in ligands}
    for c, s in bonds:
        per_centre[c] += 1
        holders[s].append(c)
    shared = _shared_ligands(holders)
    linked = set(shared) | {(int(i), int(j)) for i, j in direct}
    touched = {c for pair in linked for c in pair} | {
        c for held in holders.values() if len(held) > 1 for c in held
    }
    counts = np.unique(list(per_centre.values()), return_counts=True)
    return BondReport(
        n_centres=len(centres),
        n_ligands=len(ligands),
        coordination=dict(zip(counts[0].tolist(), counts[1].tolist(), strict=True)),
        isolated=sum(n == 4 and c not in touched for c, n in per_centre.items()),
        corner_pairs=sum(n == 1 and pair not in direct for pair, n in shared.items()),
        direct_pairs=len(direct),
        edge_pairs=sum(n > 1 for n in shared.values()),
        bridging_ligands=sum(len(held) > 1 for held in holders.values()),
        free_ligands=sum(not held for held in holders.values()),
        largest_unit=_largest_unit(list(per_centre), linked),
    )


def _shared_ligands(holders: dict[int, list[int]]) -> dict[tuple[int, int], int]:
    """Return the number of ligands shared by each pair of centres that shares any."""
    shared: dict[tuple[int, int], int] = {}
    for held in holders.values():
        own = sorted(set(held))
        for k, first in enumerate(own):
            for second in own[k + 1 :]:
                shared[first, second] = shared.get((first, second), 0) + 1
    return shared


def _largest_unit(centres: list[int], links: set[tuple[int, int]]) -> int:
    """Return the size of the largest connected set of centres."""
    root = {c: c for c in centres}

    def find(c: int) -> int:
        while root[c] != c:
            c = root[c]
        return c

    for first, second in links:
        root[find(first)] = find(second)
    sizes = np.unique([find(c) for c in centres], return_counts=True)[1]
    return int(sizes.max())
