"""The two sums of Ewald, pairs with screened kernels and plane waves, and point charges by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr
from numpy.typing import NDArray
from scipy.special import erfc

Array = NDArray[Any]

_SPLIT = 5.6  # erfc(5.6) = 2e-15: both sums converge to better than 1e-10 of the tensor


def pairs(fractional: Array, cell: Array, cutoff: float) -> tuple[Array, Array, Array]:
    """Directed pairs (i, j, r_i - r_j + image) within `cutoff`, every image, self excluded."""
    difference = fractional[:, None, :] - fractional[None, :, :]
    difference -= np.round(difference)
    widths = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = np.floor(cutoff / widths + 0.5).astype(int)
    nearest = difference @ cell
    found = []
    for shift in np.ndindex(*(2 * reach + 1)):
        image = (np.array(shift) - reach) @ cell
        vectors = nearest + image
        inside = np.einsum("ijk,ijk->ij", vectors, vectors) < cutoff**2
        if not image.any():
            np.fill_diagonal(inside, False)
        i, j = np.nonzero(inside)
        found.append((i, j, vectors[i, j]))
    i, j, vectors = (np.concatenate(parts) for parts in zip(*found))
    return i, j, vectors


def screened(r: Array, width: float) -> Array:
    """B_0..B_3 with B_n = (-(1/r) d/dr)^n erfc(width r)/r; shape (4, len(r))."""
    result = np.empty((4, len(r)))
    result[0] = erfc(width * r) / r
    gauss = np.exp(-((width * r) ** 2)) / (width * math.sqrt(math.pi))
    for n in range(1, 4):
        result[n] = ((2 * n - 1) * result[n - 1] + (2 * width**2) ** n * gauss) / r**2
    return result


def k_vectors(cell: Array, k_max: float) -> tuple[Array, Array]:
    """Half of the reciprocal lattice inside `k_max`: vectors (1/A) and integer indices."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    reach = np.floor(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.meshgrid(*(np.arange(-m, m + 1) for m in reach), indexing="ij")
    indices = np.stack([g.ravel() for g in grid], axis=1)
    indices = indices[len(indices) // 2 + 1 :]  # after (0, 0, 0): one of every +-k
    k = indices @ reciprocal
    keep = np.einsum("ij,ij->i", k, k) < k_max**2
    return k[keep], indices[keep]


def phases(fractional: Array, indices: Array) -> Array:
    """exp(i k.r) as a product over the three axes, shape (n, n_k)."""
    phase: Array | None = None
    for axis in range(3):
        reach = int(np.abs(indices[:, axis]).max(initial=0))
        orders = np.arange(-reach, reach + 1)
        table = np.exp(2j * np.pi * fractional[:, axis, None] * orders)
        factor = table[:, indices[:, axis] + reach]
        phase = factor if phase is None else phase * factor
    assert phase is not None
    return phase


def sum_by_atom(index: Array, values: Array, n: int) -> Array:
    """Sum rows of `values` that belong to one atom, shape (n, columns)."""
    columns = [np.bincount(index, weights=column, minlength=n) for column in values.T]
    return np.stack(columns, axis=1)


def point_charge_efg(
    atoms: Atoms, charges: Array, *, factor: Array, cutoff_a: float | None = None
) -> Array:
    """Field gradients at the nuclei of a crystal of point charges.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.
    charges : (n,) array, e
        One charge an atom; a neutralising background takes what is left of their sum.
    factor : (n,) array
        Multiplies the tensor at each nucleus (1 - gamma_inf).
    cutoff_a : float, optional
        Real-space cutoff, A; fixes the Ewald splitting, on which the result does not depend.

    Returns
    -------
    (n, 3, 3) array, a.u.
        V_ij = d2V/dx_i dx_j, traceless, in atom order.
    """
    n, cell = len(atoms), np.asarray(atoms.cell.array, dtype=float)
    cutoff = cutoff_a or 7.0 * (n / 128) ** (1 / 6)
    split = _SPLIT / cutoff
    fractional = np.linalg.solve(cell.T, atoms.positions.T).T
    i, j, vectors = pairs(fractional, cell, cutoff)
    _, b1, b2, _ = screened(np.linalg.norm(vectors, axis=1), split)
    outer = (charges[j] * b2)[:, None, None] * (vectors[:, :, None] * vectors[:, None, :])
    outer -= (charges[j] * b1)[:, None, None] * np.eye(3)
    total = sum_by_atom(i, outer.reshape(-1, 9), n)
    k, indices = k_vectors(cell, 2 * split * _SPLIT)
    k2 = np.einsum("ij,ij->i", k, k)
    weight = 8 * math.pi / abs(np.linalg.det(cell)) * np.exp(-k2 / (4 * split**2)) / k2
    phase = phases(fractional, indices)
    density = charges @ phase.conj()
    kk = (weight[:, None, None] * k[:, :, None] * k[:, None, :]).reshape(-1, 9)
    total -= (phase * density).real @ kk
    tensors = total.reshape(n, 3, 3)
    # The nucleus's own cloud and the background are isotropic: the trace takes both away.
    tensors = tensors - np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return tensors * Bohr**3 * np.asarray(factor)[:, None, None]
