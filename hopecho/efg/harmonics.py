r"""Real spherical harmonics and their coupling to l = 2.

Harmonics are orthonormal on the sphere, without Condon-Shortley phase, m = -l..l at flat index
l^2 + l + m; those of l = 2 are in the order of the isometric components of `hopecho.tensors`.
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi, sqrt

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
"""Reordering of sums only: NaN and infinity keep their meaning."""


@cache
def norms(l_max: int) -> Array:
    """Return the normalisation of each harmonic, ((l_max + 1)^2,)."""
    out = np.empty((l_max + 1) ** 2)
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            a = abs(m)
            value = sqrt((2 * l + 1) / (4 * pi) * factorial(l - a) / factorial(l + a))
            out[l * l + l + m] = value * (sqrt(2) if m else 1.0)
    return out


@numba.njit(cache=True, fastmath=FASTMATH)
def fill_harmonics(
    xyz: Array, count: int, l_max: int, norm: Array, cos_sin: Array, out: Array
) -> None:
    """Fill out[:, :count] with Y_lm of unit vectors xyz[:, :count]; one row a harmonic.

    Legendre polynomials over sin^m by upward recursion, cos and sin of m phi times sin^m by
    multiplication: no trigonometry and no pole.

    Parameters
    ----------
    xyz : ndarray, (3, >= count)
        Unit vectors.
    count : int
        Number of columns in use.
    norm : ndarray
        From `norms`.
    cos_sin : ndarray, (2, >= count)
        Scratch.
    out : ndarray, ((l_max + 1)^2, >= count)
        Result.
    """
    for j in range(count):
        cos_sin[0, j] = 1.0
        cos_sin[1, j] = 0.0
    for m in range(l_max + 1):
        if m > 0:
            for j in range(count):
                c, s = cos_sin[0, j], cos_sin[1, j]
                cos_sin[0, j] = xyz[0, j] * c - xyz[1, j] * s
                cos_sin[1, j] = xyz[0, j] * s + xyz[1, j] * c
        start = 1.0
        for k in range(1, m + 1):
            start *= 2 * k - 1
        # Rows of +m first hold the bare polynomials, which the recursion needs.
        row = m * m + 2 * m
        for j in range(count):
            out[row, j] = start
        for l in range(m + 1, l_max + 1):
            row = l * l + l + m
            below, two_below = row - 2 * l, row - 4 * l + 2
            a = (2 * l - 1) / (l - m)
            b = (l + m - 1) / (l - m)
            if l == m + 1:
                for j in range(count):
                    out[row, j] = a * xyz[2, j] * out[below, j]
            else:
                for j in range(count):
                    out[row, j] = a * xyz[2, j] * out[below, j] - b * out[two_below, j]
        for l in range(m, l_max + 1):
            row = l * l + l + m
            scale = norm[row]
            if m > 0:
                for j in range(count):
                    out[row - 2 * m, j] = scale * out[row, j] * cos_sin[1, j]
            for j in range(count):
                out[row, j] *= scale * cos_sin[0, j]


def harmonics(directions: Array, *, l_max: int) -> Array:
    """Return Y_lm of unit vectors.

    Parameters
    ----------
    directions : ndarray, (n, 3)
        Unit vectors.

    Returns
    -------
    ndarray, (n, (l_max + 1)^2)
    """
    n = len(directions)
    xyz = np.ascontiguousarray(np.asarray(directions, dtype=float).T)
    out = np.empty(((l_max + 1) ** 2, n))
    fill_harmonics(xyz, n, l_max, norms(l_max), np.empty((2, n)), out)
    return out.T


def coupled_pairs(l_max: int) -> list[tuple[int, int]]:
    """Return the pairs l1 <= l2 <= l_max that couple to l = 2 with even parity."""
    return [
        (l1, l2)
        for l1 in range(l_max + 1)
        for l2 in range(l1, l_max + 1)
        if l2 - l1 <= 2 <= l1 + l2 and (l1 + l2) % 2 == 0
    ]


@cache
def coupling(l1: int, l2: int) -> Array:
    r"""Return the real coupling of l1 and l2 to l = 2, (2 l1 + 1, 2 l2 + 1, 5).

    For even l1 + l2 + 2 the real Clebsch-Gordan coefficients are proportional to the integral of
    three harmonics, :math:`\int Y_{l_1 m_1} Y_{l_2 m_2} Y_{2 M} d\Omega`, taken here with an exact
    product rule; scaled so that the squares sum to 1 for every M.
    """
    degree = l1 + l2 + 2
    z, weight = np.polynomial.legendre.leggauss(degree // 2 + 1)
    phi = 2 * pi * np.arange(degree + 1) / (degree + 1)
    z, phi = (a.ravel() for a in np.meshgrid(z, phi, indexing="ij"))
    s = np.sqrt(1 - z**2)
    points = np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=1)
    y = harmonics(points, l_max=max(l1, l2, 2))
    w = np.repeat(weight, degree + 1)
    first, second = y[:, l1 * l1 : (l1 + 1) ** 2], y[:, l2 * l2 : (l2 + 1) ** 2]
    out = np.einsum("p,pa,pb,pm->abm", w, first, second, y[:, 4:9])
    out /= np.sqrt(np.sum(out[:, :, 2] ** 2))
    out[np.abs(out) < 1e-14] = 0.0
    return out
