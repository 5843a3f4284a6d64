r"""Is an environment unlike those of the training set? Two distances on its scalar features.

The power spectrum p of an environment is split by the leading principal axes u_k of the training
set into

.. math:: T^2 = \sum_k \frac{[u_k \cdot (p - \bar p)]^2}{v_k}, \qquad
          Q = |p - \bar p|^2 - \sum_k [u_k \cdot (p - \bar p)]^2,

how far along the known directions and how far outside them. Each is divided by its extreme quantile
over the training set; the score is the larger one. T^2 is the leverage in a subspace: the full
leverage would cost more than the tensor itself.
Source: J. E. Jackson and G. S. Mudholkar, Technometrics 21, 341 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_AXES = 32
"""Principal axes that are kept."""

QUANTILE = 0.999
"""Share of the training environments that are not flagged."""


@dataclass(frozen=True)
class Novelty:
    """Principal axes and limits of the training environments."""

    mean: Array
    """(n_invariants,)."""
    axes: Array
    """(n_invariants, n_axes), orthonormal columns."""
    variance: Array
    """(n_axes,) along the axes."""
    limits: Array
    """(2,): T^2 and Q at which the score is one."""

    def distances(self, p: Array) -> Array:
        """Return T^2 and Q, (2, n), of invariants p (n_invariants, n)."""
        away = p - self.mean[:, None]
        along = self.axes.T @ away
        inside = along**2
        outside = np.einsum("fn,fn->n", away, away) - inside.sum(axis=0)
        return np.stack([(inside / self.variance[:, None]).sum(axis=0), np.maximum(outside, 0.0)])

    def score(self, p: Array) -> Array:
        """Return the score (n,) of invariants p (n_invariants, n); above one: unlike training."""
        return np.asarray((self.distances(p) / self.limits[:, None]).max(axis=0))


class Moments:
    """Running mean and covariance of the invariants, structure by structure."""

    def __init__(self, n: int) -> None:
        self._count, self._sum, self._squares = 0, np.zeros(n), np.zeros((n, n))
        self._shift: Array | None = None

    def add(self, p: Array) -> None:
        """Add the environments of a structure, (n_probe, n_invariants)."""
        if self._shift is None:
            # Near the mean, so that the difference of large numbers is avoided.
            self._shift = p.mean(axis=0)
        away = p - self._shift
        self._count += len(p)
        self._sum += away.sum(axis=0)
        self._squares += away.T @ away

    def principal(self) -> Novelty:
        """Return mean and axes; the limits are one until `with_limits`."""
        mean = self._sum / self._count
        covariance = self._squares / self._count - np.outer(mean, mean)
        variance, axes = np.linalg.eigh(covariance)
        keep = np.flatnonzero(variance > 1e-10 * variance[-1])[::-1][:N_AXES]
        shift = 0.0 if self._shift is None else self._shift
        return Novelty(mean + shift, axes[:, keep], variance[keep], np.ones(2))


def with_limits(novelty: Novelty, distances: Array) -> Novelty:
    """Set the limits from the distances (2, n) of the training environments.

    `QUANTILE` of them get a score of at most one.
    """
    each = np.maximum(np.quantile(distances, QUANTILE, axis=1), np.finfo(float).tiny)
    joint = float(np.quantile((distances / each[:, None]).max(axis=0), QUANTILE))
    return Novelty(novelty.mean, novelty.axes, novelty.variance, each * max(joint, 1.0))
