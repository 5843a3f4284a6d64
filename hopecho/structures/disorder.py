"""How far a framework has left its crystal: Bragg peaks of a sublattice, and pair distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from hopecho.errors import HopechoError

BASELINE_SAMPLES = 64
BASELINE_SEED = 20240517


@dataclass(frozen=True)
class Disorder:
    """Order of one sublattice, measured by its strongest Bragg peak."""

    n_atoms: int
    peak: float
    """max_k |rho_k|^2 / N, dimensionless; N for a crystal."""
    random: float
    """Mean of `peak` for N random points in the same cell."""
    order_parameter: float
    """(peak - random) / (N - random): 1 crystal, 0 as disordered as random points."""


def structure_vectors(cell: np.ndarray, *, k_max: float) -> np.ndarray:
    """Return the reciprocal vectors 0 < |k| <= k_max of a cell, one of each pair +-k.

    Parameters
    ----------
    cell : ndarray
        (3, 3), rows are lattice vectors, A.
    k_max : float
        1/A.

    Returns
    -------
    ndarray
        (n_k, 3), 1/A.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    limit = np.floor(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    ranges = [np.arange(-n, n + 1) for n in limit]
    index = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    index = index[len(index) // 2 + 1 :]  # the second half: +k of each pair, without zero
    vectors = index @ reciprocal
    return vectors[np.linalg.norm(vectors, axis=1) <= k_max]


def strongest_peak(positions: np.ndarray, vectors: np.ndarray) -> float:
    r"""Return the largest |rho_k|^2 / N over `vectors`.

    .. math:: \rho_k = \sum_i \exp(i k \cdot r_i)

    Parameters
    ----------
    positions : ndarray
        (n, 3), A.
    vectors : ndarray
        (n_k, 3), 1/A.
    """
    phases = vectors @ positions.T
    power = np.cos(phases).sum(axis=1) ** 2 + np.sin(phases).sum(axis=1) ** 2
    return float(power.max() / len(positions))


def disorder(atoms: Atoms, *, element: str, k_max: float = 3.0) -> Disorder:
    """Compare a sublattice with a crystal and with random points.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.
    element : str
        The sublattice, e.g. ``"P"``: the framework's centres.
    k_max : float
        Largest |k|, 1/A.

    Returns
    -------
    Disorder
        With a random baseline drawn for this N and cell from a fixed seed.

    Raises
    ------
    HopechoError
        For fewer than two atoms of `element` or a cell without k-vectors below `k_max`.
    """
    cell = atoms.cell.array
    chosen = np.array(atoms.get_chemical_symbols()) == element
    n_atoms = int(chosen.sum())
    vectors = structure_vectors(cell, k_max=k_max)
    if n_atoms < 2 or not len(vectors):
        raise HopechoError(
            "order of a sublattice needs two atoms and one k-vector",
            got=f"{n_atoms} {element} atoms, {len(vectors)} k-vectors",
            fix="use a larger cell or another element",
        )
    rng = np.random.default_rng(BASELINE_SEED)
    samples = [
        strongest_peak(rng.random((n_atoms, 3)) @ cell, vectors) for _ in range(BASELINE_SAMPLES)
    ]
    peak, random = strongest_peak(atoms.positions[chosen], vectors), float(np.mean(samples))
    return Disorder(
        n_atoms=n_atoms,
        peak=peak,
        random=random,
        order_parameter=(peak - random) / (n_atoms - random),
    )
