r"""Long-range part of the field gradient: lattice sums of Gaussian charges, one per element.

For unit Gaussian charges of width s on the atoms of element a, in a neutralising background,

.. math:: V^a_{ij}(r) = -\frac{4\pi}{V} \sum_{k \ne 0} \frac{k_i k_j}{k^2} e^{-k^2 s^2/2}
          \sum_{j \in a} \cos k \cdot (r - r_j)

at the centres, 1/A^3. It is smooth: what differs from point charges has a range of about 3 s and is
left to the neighbour density. Free charges are then weights of a linear model.
Source: the reciprocal part of the Ewald sum; as descriptor, Grisafi and Ceriotti, J. Chem. Phys.
151, 204105 (2019).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hopecho.efg.density import Frame
from hopecho.efg.harmonics import FASTMATH
from hopecho.tensors import isometric_from_direction

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

K_TIMES_WIDTH = 4.0
"""Sum to k s = 4, where the Gaussian is 3e-4; a sphere in k, so exactly covariant."""


def k_vectors(cell: Array, width: float) -> tuple[IntArray, Array]:
    """Return half of the reciprocal lattice inside the sphere and each vector's tensor weight.

    Parameters
    ----------
    cell : ndarray, (3, 3)
        Rows are lattice vectors, A.
    width : float
        Gaussian width s, A.

    Returns
    -------
    index : ndarray, (n_k, 3)
        Integer coordinates in the reciprocal basis; k and -k are taken once.
    weight : ndarray, (n_k, 5)
        Isometric components of -(8 pi/V) exp(-k^2 s^2/2) k k / k^2, 1/A^3 (both k and -k).
    """
    k_max = K_TIMES_WIDTH / width
    limit = np.floor(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.meshgrid(*[np.arange(-n, n + 1) for n in limit], indexing="ij")
    index = np.stack([g.ravel() for g in grid], axis=1)
    first, second, third = index.T
    half = (first > 0) | ((first == 0) & ((second > 0) | ((second == 0) & (third > 0))))
    index = index[half]
    k = 2 * np.pi * index @ np.linalg.inv(cell).T
    k2 = np.sum(k**2, axis=1)
    inside = k2 < k_max**2
    index, k, k2 = index[inside], k[inside], k2[inside]
    strength = -8 * np.pi / abs(np.linalg.det(cell)) * np.exp(-0.5 * k2 * width**2)
    if len(k) == 0:
        return index, np.zeros((0, 5))
    return index, strength[:, None] * isometric_from_direction(k)


def smooth_gradient(frame: Frame, *, width: float, n_kinds: int) -> Array:
    """Return the lattice sums at every centre, (n_centres, n_kinds, 5), 1/A^3."""
    index, weight = k_vectors(frame.cell, width)
    out = np.zeros((len(frame.centres), n_kinds, 5))
    fill_smooth_gradient(frame.fractional, frame.kinds, frame.centres, index, weight, out)
    return out


@numba.njit(cache=True, fastmath=FASTMATH)
def fill_smooth_gradient(
    fractional: Array,
    kinds: IntArray,
    centres: IntArray,
    index: IntArray,
    weight: Array,
    out: Array,
) -> None:
    """Add the lattice sums of all centres to `out`; phases by multiplication of one-axis tables."""
    n_atoms, n_kinds = len(fractional), out.shape[1]
    if len(index) == 0:
        return
    top = np.array([np.abs(index[:, a]).max() for a in range(3)])
    table = np.empty((3, top.max() + 1, 2, n_atoms))
    for a in range(3):
        for n in range(top[a] + 1):
            for j in range(n_atoms):
                angle = 2 * np.pi * n * fractional[j, a]
                table[a, n, 0, j] = np.cos(angle)
                table[a, n, 1, j] = np.sin(angle)
    plane = np.empty((2, n_atoms))
    wave = np.empty((2, n_atoms))
    sums = np.empty((n_kinds, 2))
    last0, last1 = -1, 0
    for k in range(len(index)):
        i0, i1, i2 = index[k, 0], index[k, 1], index[k, 2]
        if i0 != last0 or i1 != last1:
            _multiply(table[0, i0], table[1, abs(i1)], 1.0 if i1 >= 0 else -1.0, plane)
            last0, last1 = i0, i1
        _multiply(plane, table[2, abs(i2)], 1.0 if i2 >= 0 else -1.0, wave)
        sums[:] = 0.0
        for j in range(n_atoms):
            sums[kinds[j], 0] += wave[0, j]
            sums[kinds[j], 1] += wave[1, j]
        for c in range(len(centres)):
            re, im = wave[0, centres[c]], wave[1, centres[c]]
            for a in range(n_kinds):
                phase = re * sums[a, 0] + im * sums[a, 1]
                for m in range(5):
                    out[c, a, m] += weight[k, m] * phase


@numba.njit(cache=True, fastmath=FASTMATH)
def _multiply(a: Array, b: Array, sign: float, out: Array) -> None:
    """Complex product a b, or a conj(b) for sign -1, on (2, n) arrays."""
    for j in range(a.shape[1]):
        re = a[0, j] * b[0, j] - sign * a[1, j] * b[1, j]
        out[1, j] = sign * a[0, j] * b[1, j] + a[1, j] * b[0, j]
        out[0, j] = re
