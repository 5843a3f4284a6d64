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
    def n_features(self) -> int:
        """Total number of features."""
        return sum(self.block_sizes().values())


def channels(frame: Frame, spec: FeatureSpec) -> Array:
    """Return the density of every centre by channel, (n_centres, (l_max + 1)^2, n_channels)."""
    c = density(frame, basis=spec.basis, table=spec.table, n_kinds=len(spec.elements))
    kind = spec.elements.index(spec.probe)
    c[:, kind, 0, :] += spec.centre_weight * spec.table.centre
    return np.moveaxis(c, 1, 2).reshape(len(c), c.shape[2], spec.n_channels)


def features(frame: Frame, spec: FeatureSpec) -> Array:
    """Return all features of every centre, (n_centres, 5, n_features); columns as `block_sizes`."""
    c = channels(frame, spec)
    blocks = [c[:, 4:9, :]]
    if spec.n_long_range:
        sums = smooth_gradient(frame, width=spec.long_range_width, n_kinds=len(spec.elements))
        blocks.append(np.swapaxes(sums, 1, 2))
    blocks += [_triplets(c, l1, l2) for l1, l2 in coupled_pairs(spec.basis.l_max)]
    return np.concatenate(blocks, axis=2)


def unpack_triplets(weights: Array, spec: FeatureSpec) -> list[Array]:
    """Return the matrix W (n_channels, n_channels) of each coupled pair from packed weights.

    The contribution to the tensor is sum_q1q2 W_q1q2 (c_q1 coupled with c_q2), upper triangle only
    where l1 = l2.
    """
    q, start, out = spec.n_channels, 0, []
    for l1, l2 in coupled_pairs(spec.basis.l_max):
        w = np.zeros((q, q))
        where = np.triu_indices(q) if l1 == l2 else tuple(i.ravel() for i in np.indices((q, q)))
        w[where] = weights[start : start + len(where[0])]
        start += len(where[0])
        out.append(w)
    return out


def _triplets(c: Array, l1: int, l2: int) -> Array:
    """Coupled products (n_centres, 5, n_pairs); each unordered pair of channels once if l1 = l2."""
    first, second = c[:, l1 * l1 : (l1 + 1) ** 2], c[:, l2 * l2 : (l2 + 1) ** 2]
    half = np.einsum("iaq,abm->imqb", first, coupling(l1, l2))
    full = half @ second[:, None]
    if l1 != l2:
        return full.reshape(*full.shape[:2], -1)
    i, j = np.triu_indices(c.shape[2])
    return full[:, :, i, j]
