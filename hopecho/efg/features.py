r"""Equivariant (lambda = 2, even parity) features of the environment of a probe atom.

Three blocks, all transforming like isometric components:

- ``pair`` (nu = 1): the l = 2 neighbour density of every element and radial function;
- ``long_range``: smooth lattice sums of the charges of every element (`hopecho.efg.longrange`);
- ``triplet`` (nu = 2): products of two densities coupled to l = 2,
  :math:`\sum_{m_1 m_2} G^{M}_{l_1 m_1 l_2 m_2} c_{q_1 l_1 m_1} c_{q_2 l_2 m_2}`, q = (element, n).

Source: lambda-SOAP, Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.density import Frame, density
from hopecho.efg.harmonics import coupled_pairs, coupling
from hopecho.efg.longrange import smooth_gradient
from hopecho.efg.radial import RadialBasis, RadialTable

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureSpec:
    """All that is needed to turn a configuration into features."""

    probe: int
    """Atomic number of the nucleus whose tensor is modelled."""
    elements: tuple[int, ...]
    """Atomic numbers, ascending; sets the order of channels."""
    basis: RadialBasis
    table: RadialTable
    centre_weight: float
    """Weight of the probe's own Gaussian in the l = 0 density (nu = 2 then contains nu = 1)."""
    long_range_width: float
    """Gaussian width of the lattice sums, A; 0 leaves the block out."""

    @property
    def n_channels(self) -> int:
        """Number of q = (element, n) pairs."""
        return len(self.elements) * self.basis.n_radial

    @property
    def n_long_range(self) -> int:
        """Number of lattice sums."""
        return len(self.elements) if self.long_range_width > 0 else 0

    def block_sizes(self) -> dict[str, int]:
        """Return the number of features of each block, in the order of the columns."""
        q = self.n_channels
        triplets = sum(
            q * (q + 1) // 2 if l1 == l2 else q * q for l1, l2 in coupled_pairs(self.basis.l_max)
        )
        return {"pair": q, "long_range": self.n_long_range, "triplet": triplets}

    @property
    def n_invariants(self) -> int:
        """Number of scalar (lambda = 0) features."""
        return (self.basis.l_max + 1) * (self.n_channels * (self.n_channels + 1) // 2)

    @property
    def n_features(self) -> int:
        """Total number of features."""
        return sum(self.block_sizes().values())


def channels(frame: Frame, spec: FeatureSpec) -> Array:
    """Return the density of every centre by channel, (n_centres, (l_max + 1)^2, n_channels)."""
    c = density(frame, basis=spec.basis, table=spec.table, n_kinds=len(spec.elements))
    kind = spec.elements.index(spec.probe)
    c[:, kind, 0, :] += spec.centre_weight * spec.table.centre
    return np.moveaxis(c, 1, 2).reshape(len(c), c.shape[2], spec.n_channels)


def long_range(frame: Frame, spec: FeatureSpec) -> Array:
    """Return the lattice sums of every centre, (n_centres, 5, n_long_range), 1/A^3."""
    if not spec.n_long_range:
        return np.zeros((len(frame.centres), 5, 0))
    sums = smooth_gradient(frame, width=spec.long_range_width, n_kinds=len(spec.elements))
    return np.swapaxes(sums, 1, 2)


def features(frame: Frame, spec: FeatureSpec) -> Array:
    """Return all features of every centre, (n_centres, 5, n_features); columns as `block_sizes`."""
    return features_of(channels(frame, spec), long_range(frame, spec), spec)


def features_of(c: Array, sums: Array, spec: FeatureSpec) -> Array:
    """Return the features (n_centres, 5, n_features) of densities and lattice sums.

    Parameters
    ----------
    c : ndarray, (n_centres, (l_max + 1)^2, n_channels)
        From `channels`.
    sums : ndarray, (n_centres, 5, n_long_range), 1/A^3
        From `long_range`.
    """
    blocks = [c[:, 4:9, :], sums]
    blocks += [_triplets(c, l1, l2) for l1, l2 in coupled_pairs(spec.basis.l_max)]
    return np.concatenate(blocks, axis=2)


def invariants(c: Array) -> Array:
    r"""Return the scalar (lambda = 0) power spectrum of every centre, (n_centres, n_invariants).

    :math:`p_{l q_1 q_2} = \sum_m c_{q_1 l m} c_{q_2 l m}`, each unordered pair of channels once and
    times sqrt 2 if they differ, so that scalar products are those of the whole spectrum.

    Parameters
    ----------
    c : ndarray, (n_centres, (l_max + 1)^2, n_channels)
        From `channels`.
    """
    i, j = np.triu_indices(c.shape[2])
    factor = np.where(i == j, 1.0, np.sqrt(2.0))
    blocks = []
    for l in range(int(np.sqrt(c.shape[1]) + 0.5)):
        own = c[:, l * l : (l + 1) ** 2]
        full = np.swapaxes(own, 1, 2) @ own
        blocks.append(full[:, i, j] * factor)
    return np.concatenate(blocks, axis=1)


def contraction_order(spec: FeatureSpec) -> IntArray:
    """Return the triplet features in the order of the contracted kernel, (n_triplets,).

    By coupled pair, then second channel, then first channel; only q1 <= q2 where l1 = l2.
    """
    q, start, out = spec.n_channels, 0, []
    for l1, l2 in coupled_pairs(spec.basis.l_max):
        index = np.full((q, q), -1)
        where = np.triu_indices(q) if l1 == l2 else tuple(i.ravel() for i in np.indices((q, q)))
        index[where] = start + np.arange(len(where[0]))
        start += len(where[0])
        by_second = index.T.ravel()
        out.append(by_second[by_second >= 0])
    return np.concatenate(out)


def _triplets(c: Array, l1: int, l2: int) -> Array:
    """Coupled products (n_centres, 5, n_pairs); each unordered pair of channels once if l1 = l2."""
    first, second = c[:, l1 * l1 : (l1 + 1) ** 2], c[:, l2 * l2 : (l2 + 1) ** 2]
    half = np.einsum("iaq,abm->imqb", first, coupling(l1, l2))
    full = half @ second[:, None]
    if l1 != l2:
        return full.reshape(*full.shape[:2], -1)
    i, j = np.triu_indices(c.shape[2])
    return full[:, :, i, j]
