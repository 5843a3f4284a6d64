r"""Sparse symmetry-adapted Gaussian process regression as a linear model.

Kernel of two environments, lambda = 2 features x (with the blocks of `hopecho.efg.features`) and
normalised scalar power spectra p:

.. math:: K_{MM'}(i, j) = \Big[\sum_f x_{fM}(i) x_{fM'}(j)\Big] \; [p(i) \cdot p(j)]^{\zeta - 1}

Subset of regressors on M inducing environments j, with the penalty :math:`a^T K a`:
:math:`t_M(i) = \sum_{j M'} K_{MM'}(i, j) a_{jM'}`. In the columns
:math:`\phi(i) = K(i, \cdot) U s^{-1/2}`, U and s eigenvectors and eigenvalues of the kernel of the
inducing set, it is ridge regression. Prediction never forms x(i): the weights of environment i,

.. math:: w_f(i) = \sum_j [p(i) \cdot p(j)]^{\zeta - 1} \sum_{M'} x_{fM'}(j) a_{jM'},

go through the same contraction as those of a ridge.

Source: A. Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018); inducing set by farthest points, as
in TENSOAP. There x(i) is normalised, here only p is: the size of a tensor is information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.features import FeatureSpec, features_of, invariants
from hopecho.errors import HopechoError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALLEST_EIGENVALUE = 1e-12
"""Of the inducing kernel, relative to the largest; what is below is rounding."""


@dataclass(frozen=True)
class Inducing:
    """The inducing environments, as densities: the rest follows from them."""

    channels: Array
    """(n_inducing, (l_max + 1)^2, n_channels)."""
    long_range: Array
    """(n_inducing, 5, n_long_range), 1/A^3."""
    scale: Array
    """(n_features,), factor of every equivariant feature in the kernel."""
    zeta: int

    @property
    def count(self) -> int:
        """Number of inducing environments."""
        return len(self.channels)


@dataclass(frozen=True)
class SparseBasis:
    """The columns phi of the linear model."""

    equivariant: Array
    """(5 n_inducing, n_features), scaled features, component fastest."""
    scalar: Array
    """(n_inducing, n_invariants), normalised."""
    scale: Array
    zeta: int
    whitener: Array
    """(5 n_inducing, rank): U s^-1/2."""

    def rows(self, c: Array, sums: Array, spec: FeatureSpec) -> Array:
        """Return phi (n_centres, 5, rank) of densities and lattice sums, as `features_of`."""
        x = features_of(c, sums, spec) * self.scale
        return self._kernel(x, normalised(invariants(c))) @ self.whitener

    def _kernel(self, x: Array, p: Array) -> Array:
        """Kernel with the inducing set, (n_centres, 5, 5 n_inducing)."""
        scalar = (p @ self.scalar.T) ** (self.zeta - 1)
        return (x @ self.equivariant.T) * np.repeat(scalar, 5, axis=1)[:, None]


def sparse_basis(inducing: Inducing, spec: FeatureSpec) -> SparseBasis:
    """Return the columns that an inducing set spans."""
    x = features_of(inducing.channels, inducing.long_range, spec) * inducing.scale
    p = normalised(invariants(inducing.channels))
    flat = x.reshape(-1, x.shape[2])
    bare = SparseBasis(flat, p, inducing.scale, inducing.zeta, np.eye(len(flat)))
    kernel = bare._kernel(x, p).reshape(len(flat), len(flat))
    values, vectors = np.linalg.eigh(kernel)
    keep = values > SMALLEST_EIGENVALUE * values[-1]
    whitener = np.ascontiguousarray(vectors[:, keep] / np.sqrt(values[keep]))
    return SparseBasis(flat, p, inducing.scale, inducing.zeta, whitener)


def local_weights(inducing: Inducing, spec: FeatureSpec, coefficients: Array) -> Array:
    """Return what the scalar kernel weighs: sum_M' x_fM'(j) a_jM' times the scale.

    Parameters
    ----------
    coefficients : ndarray, (5 n_inducing,)
        a_jM', component fastest.

    Returns
    -------
    ndarray, (n_inducing, n_features)
        To be applied to unscaled features.
    """
    x = features_of(inducing.channels, inducing.long_range, spec)
    return np.einsum("jmf,jm->jf", x, coefficients.reshape(-1, 5)) * inducing.scale**2


def normalised(p: Array) -> Array:
    """Return scalar features (n, n_invariants) of unit length."""
    return np.asarray(p / np.linalg.norm(p, axis=1, keepdims=True))


def farthest_points(p: NDArray[np.floating], count: int) -> IntArray:
    """Choose rows of p (n, n_features) far from each other, (count,).

    The first is the farthest from the mean; each further one has the largest distance to those
    already chosen.

    Raises
    ------
    HopechoError
        Fewer distinct rows than asked for.
    """
    chosen = np.empty(count, dtype=np.int64)
    distance = np.sum((p - p.mean(axis=0)) ** 2, axis=1)
    nearest = np.full(len(p), np.inf)
    for k in range(count):
        chosen[k] = int(np.argmax(distance))
        if (k and distance[chosen[k]] <= 0) or len(p) < count:
            raise HopechoError(
                "Too few different environments for the inducing set of the EFG model",
                got=f"{len(p)} environments, {k} different ones found",
                fix="lower efg.inducing, or label more structures",
            )
        nearest = np.minimum(nearest, np.sum((p - p[chosen[k]]) ** 2, axis=1))
        distance = nearest
    return chosen
