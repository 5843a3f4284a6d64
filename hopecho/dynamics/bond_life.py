"""How long the bond graph of the polyanions lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopecho.dynamics.estimate import BOUND_LEVEL, LEVEL, poisson_interval, poisson_upper
from hopecho.dynamics.polyanions import Units
from hopecho.errors import HopechoError
from hopecho.units import Quantity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BondLife:
    """Survival of the units of the start."""

    lag_ps: Array
    """(n_frames,), ps, from the first frame, up to the shortest replica."""
    survival: Array
    """(n_frames,): share of units that kept all four ligands and took no other until then."""
    lifetime: Quantity
    """Mean life of a unit's bond graph, ns; a lower bound where none changed."""
    n_changed: int
    n_units: int
    """Units over all replicas."""


def bond_life(
    replicas: Sequence[NDArray[np.floating[Any]]],
    units: Units | Sequence[Units],
    *,
    cell: Array,
    ligand: NDArray[np.bool_],
    cutoff_angstrom: float,
    stride_ps: float,
    min_residence_ps: float = 0.0,
) -> BondLife:
    r"""Life of the bond graph: time at risk over the number of units that changed.

    A unit changes when the set of its ligands within the cutoff is another one for at least
    `min_residence_ps`: a stretched bond that returns is no change. Only first changes count, and
    units that never change count with the whole run (the estimate of an exponential law with
    censored times).

    Parameters
    ----------
    replicas : sequence of ndarray
        Each (n_frames, n_atoms, 3), A.
    units : Units or sequence of Units
        The bonds at the start; one for each replica where they differ.
    cell : ndarray
        (3, 3), A.
    ligand : ndarray
        (n_atoms,), True for atoms of the ligand's element.
    cutoff_angstrom : float
        Longest bond, A.
    stride_ps : float
        Time between frames, ps.
    min_residence_ps : float
        Shortest change that counts, ps.

    Raises
    ------
    HopechoError
        Without replicas, or with a number of `units` other than that of replicas.
    """
    each = [units] * len(replicas) if isinstance(units, Units) else list(units)
    if not replicas or len(each) != len(replicas):
        raise HopechoError(
            "A bond lifetime needs replicas and the units of each.",
            got=f"{len(replicas)} replica(s), {len(each)} set(s) of units",
        )
    stay = max(1, round(min_residence_ps / stride_ps))
    first = [
        _first_change(_intact(x, u, cell, ligand, cutoff_angstrom), stay)
        for x, u in zip(replicas, each, strict=True)
    ]
    n_frames = min(len(x) for x in replicas)
    alive = np.concatenate([f[None] > np.arange(n_frames)[:, None] for f in first], axis=1)
    ends = [np.minimum(f, len(x) - 1) for f, x in zip(first, replicas, strict=True)]
    changed = sum(int((f < len(x)).sum()) for f, x in zip(first, replicas, strict=True))
    return BondLife(
        lag_ps=np.arange(n_frames, dtype=np.float64) * np.float64(stride_ps),
        survival=alive.mean(1),
        lifetime=_lifetime(changed, float(np.concatenate(ends).sum()) * stride_ps * 1e-3),
        n_changed=changed,
        n_units=alive.shape[1],
    )


def _lifetime(changed: int, at_risk_ns: float) -> Quantity:
    if changed == 0 or at_risk_ns == 0.0:
        low = at_risk_ns / poisson_upper(changed)
        return Quantity(None, None, (low, None), "ns", changed, BOUND_LEVEL, "not_seen")
    few, many = poisson_interval(changed)
    value = at_risk_ns / changed
    interval = (at_risk_ns / float(many), at_risk_ns / float(few))
    return Quantity(value, value / np.sqrt(changed), interval, "ns", changed, LEVEL)


def _intact(
    positions: NDArray[np.floating[Any]],
    units: Units,
    cell: Array,
    ligand: NDArray[np.bool_],
    cutoff: float,
) -> NDArray[np.bool_]:
    """Whether each unit has exactly its own ligands, (n_frames, n_units)."""
    x = np.asarray(positions, dtype=np.float64)
    fractional = x @ np.linalg.inv(cell)
    own = (np.linalg.norm(units.vectors(x), axis=-1) < cutoff).all(-1)
    bonded = _count_bonded(
        np.ascontiguousarray(fractional[:, units.centres]),
        np.ascontiguousarray(fractional[:, np.asarray(ligand, dtype=bool)]),
        np.asarray(cell, dtype=np.float64),
        cutoff,
    )
    return np.asarray(own & (bonded == units.ligands.shape[1]))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _count_bonded(centres: Array, ligands: Array, cell: Array, cutoff: float) -> NDArray[np.int64]:
    """Ligands within the cutoff of each centre, (n_frames, n_centres)."""
    n_frames, n_centres, _ = centres.shape
    out = np.zeros((n_frames, n_centres), dtype=np.int64)
    for t in range(n_frames):
        for i in range(n_centres):
            for j in range(ligands.shape[1]):
                a = ligands[t, j, 0] - centres[t, i, 0]
                b = ligands[t, j, 1] - centres[t, i, 1]
                c = ligands[t, j, 2] - centres[t, i, 2]
                a -= np.rint(a)
                b -= np.rint(b)
                c -= np.rint(c)
                square = 0.0
                for k in range(3):
                    d = a * cell[0, k] + b * cell[1, k] + c * cell[2, k]
                    square += d * d
                if square < cutoff * cutoff:
                    out[t, i] += 1
    return out


def _first_change(intact: NDArray[np.bool_], stay: int) -> NDArray[np.int64]:
    """First frame of a change that lasts `stay` frames; n_frames where there is none."""
    n_frames, n_units = intact.shape
    out = np.full(n_units, n_frames, dtype=np.int64)
    for u in range(n_units):
        edges = np.diff(np.concatenate([[0], (~intact[:, u]).astype(np.int8), [0]]))
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        long = np.flatnonzero(ends - starts >= stay)
        if len(long):
            out[u] = starts[long[0]]
    return out
