r"""The contracted kernel: tensors and scalar features of blocks of centres, no descriptor formed.

The weights W of a coupled pair (l1, l2) are contracted with one density before the coupling,

.. math:: t_M = \sum_{m_1 m_2} G^M_{m_1 m_2} \sum_{q_2} c_{q_2 l_2 m_2}
          \Big( \sum_{q_1} W_{q_1 q_2} c_{q_1 l_1 m_1} \Big),

for blocks of centres, whose index runs fastest. W is one for all centres (ridge) or each has its
own (SA-GPR). Equal to the explicit features to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from hopecho.efg.density import Frame, buffer_size, check_status, fill_density
from hopecho.efg.features import FeatureSpec, contraction_order
from hopecho.efg.features import invariants as explicit_invariants
from hopecho.efg.harmonics import FASTMATH, coupled_pairs, coupling, norms
from hopecho.efg.longrange import fill_smooth_gradient
from hopecho.efg.modelfile import EfgModel
from hopecho.efg.sparse import local_weights, normalised

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK = 16
"""Centres handled together; their index is the vector axis of the contraction."""


@dataclass(frozen=True)
class Kernel:
    """A model in the layout of the contraction; weights are in the order of `packing`."""

    spec: FeatureSpec
    weights: tuple[Array, ...]
    """The model, then its committee: (n_features, 1), or (n_features, n_inducing) of SA-GPR."""
    known: Array
    """(n_inducing, n_invariants), normalised; empty for a ridge."""
    power: int
    """zeta - 1."""
    l_pairs: IntArray
    """(n_pairs, 2)."""
    terms: IntArray
    """(n_terms, 4): pair, m1, m2, M of every non-zero coupling."""
    values: Array
    """(n_terms,)."""


@dataclass(frozen=True)
class Environments:
    """The probes of one frame, expanded."""

    columns: Array
    """(n_blocks, n_channels, (l_max + 1)^2 BLOCK), centre fastest; the last block is padded."""
    sums: Array
    """(n_centres, n_long_range, 5), 1/A^3."""
    count: int
    """Number of centres."""


def packing(spec: FeatureSpec) -> IntArray:
    """Return the features in the order of the kernel: pair, triplet, long range."""
    sizes = spec.block_sizes()
    first = sizes["pair"] + sizes["long_range"]
    lattice = np.arange(sizes["pair"], first)
    return np.concatenate(
        [np.arange(sizes["pair"]), first + contraction_order(spec), lattice]
    ).astype(np.int64)


def make_kernel(model: EfgModel) -> Kernel:
    """Arrange the weights of a model and its committee."""
    spec, order = model.spec, packing(model.spec)
    every = (model.weights, *model.members)
    if model.inducing is None:
        weights = tuple(np.ascontiguousarray(w[order, None]) for w in every)
        known, power = np.zeros((0, spec.n_invariants)), 0
    else:
        own = model.inducing
        weights = tuple(
            np.ascontiguousarray(local_weights(own, spec, w)[:, order].T) for w in every
        )
        known, power = normalised(explicit_invariants(own.channels)), own.zeta - 1
    l_pairs = coupled_pairs(spec.basis.l_max)
    terms, values = [], []
    for p, (l1, l2) in enumerate(l_pairs):
        g = coupling(l1, l2)
        where = np.argwhere(g)
        terms.append(np.column_stack([np.full(len(where), p), where]))
        values.append(g[tuple(where.T)])
    return Kernel(
        spec,
        weights,
        known,
        power,
        np.array(l_pairs),
        np.concatenate(terms).astype(np.int64),
        np.concatenate(values),
    )


def expand(frame: Frame, kernel: Kernel, waves: tuple[IntArray, Array]) -> Environments:
    """Expand the neighbours of every probe.

    Parameters
    ----------
    waves : tuple
        From `hopecho.efg.longrange.k_vectors`.

    Raises
    ------
    HopechoError
        If two atoms overlap.
    """
    spec, basis, count = kernel.spec, kernel.spec.basis, len(frame.centres)
    n_blocks = -(-count // BLOCK)
    columns = np.empty((n_blocks, spec.n_channels, (basis.l_max + 1) ** 2 * BLOCK))
    status = _fill_columns(
        frame.fractional,
        frame.cell,
        frame.inverse,
        frame.kinds,
        frame.centres,
        basis.cutoff,
        spec.table.coefficients,
        norms(basis.l_max),
        buffer_size(frame, basis.cutoff),
        spec.centre_weight * spec.table.centre,
        spec.elements.index(spec.probe),
        len(spec.elements),
        columns,
    )
    check_status(status, frame)
    sums = np.zeros((count, spec.n_long_range, 5))
    if spec.n_long_range:
        fill_smooth_gradient(frame.fractional, frame.kinds, frame.centres, *waves, sums)
    return Environments(columns, sums, count)


def invariants(e: Environments, spec: FeatureSpec) -> Array:
    """Return the power spectra (n_invariants, n_centres) of `hopecho.efg.features.invariants`."""
    out = np.empty((spec.n_invariants, len(e.columns) * BLOCK))
    _fill_invariants(e.columns, spec.basis.l_max, out)
    return out[:, : e.count]


def tensors(e: Environments, kernel: Kernel, scalars: Array, *, member: int = 0) -> Array:
    """Return the tensors (n_centres, 5), a.u., of the model (0) or of a committee member (1, ...).

    Parameters
    ----------
    scalars : ndarray, (n_inducing, n_centres)
        From `scalar_kernel`; not used by a ridge.
    """
    weights = kernel.weights[member]
    out = np.empty((len(e.columns) * BLOCK, 5))
    if len(kernel.known):
        padded = np.zeros((weights.shape[0], len(out)))
        np.matmul(weights, scalars, out=padded[:, : e.count])
        weights = padded
    _contract(e.columns, weights, kernel.l_pairs, kernel.terms, kernel.values, out)
    out = out[: e.count]
    if e.sums.shape[1]:
        lattice = weights[-e.sums.shape[1] :]
        lattice = lattice[:, : e.count] if lattice.shape[1] > 1 else lattice
        out += np.einsum("iam,ai->im", e.sums, np.broadcast_to(lattice, (len(lattice), e.count)))
    return out


def scalar_kernel(p: Array, kernel: Kernel) -> Array:
    """Return the scalar kernel with the inducing set, (n_inducing, n_centres), of `invariants`."""
    cosine = (kernel.known @ p) / np.linalg.norm(p, axis=0)
    return np.asarray(cosine**kernel.power)


@numba.njit(cache=True, fastmath=FASTMATH)
def _fill_columns(
    fractional: Array,
    cell: Array,
    inverse: Array,
    kinds: IntArray,
    centres: IntArray,
    cutoff: float,
    table: Array,
    norm: Array,
    buffer: int,
    own: Array,
    own_kind: int,
    n_kinds: int,
    out: Array,
) -> int:
    """Fill out (n_blocks, n_channels, n_sh BLOCK); status as `fill_density`."""
    n_radial, n_sh = len(own), len(norm)
    density = np.empty((BLOCK, n_kinds, n_sh, n_radial))
    for block in range(len(out)):
        start = block * BLOCK
        density[:] = 0.0
        status = fill_density(
            fractional,
            cell,
            inverse,
            kinds,
            centres[start : start + BLOCK],
            cutoff,
            table,
            norm,
            buffer,
            density,
        )
        if status < 0:
            return status - start
        density[:, own_kind, 0, :] += own
        for kind in range(n_kinds):
            for lm in range(n_sh):
                for n in range(n_radial):
                    for i in range(BLOCK):
                        value = density[i, kind, lm, n]
                        out[block, kind * n_radial + n, lm * BLOCK + i] = value
    return 0


@numba.njit(cache=True, fastmath=FASTMATH)
def _fill_invariants(columns: Array, l_max: int, out: Array) -> None:
    """Power spectra, out (n_invariants, n_blocks BLOCK)."""
    n_channels = columns.shape[1]
    total = np.empty(BLOCK)
    for block in range(len(columns)):
        f = 0
        for l in range(l_max + 1):
            for q1 in range(n_channels):
                for q2 in range(q1, n_channels):
                    total[:] = 0.0
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        for i in range(BLOCK):
                            k = lm * BLOCK + i
                            total[i] += columns[block, q1, k] * columns[block, q2, k]
                    factor = 1.0 if q1 == q2 else np.sqrt(2.0)
                    for i in range(BLOCK):
                        out[f, block * BLOCK + i] = factor * total[i]
                    f += 1


@numba.njit(cache=True, fastmath=FASTMATH)
def _contract(
    columns: Array,
    weights: Array,
    l_pairs: IntArray,
    terms: IntArray,
    values: Array,
    out: Array,
) -> None:
    """Contract all blocks; weights (n_features, 1 or n_blocks BLOCK), out (n_blocks BLOCK, 5)."""
    n_channels = columns.shape[1]
    shared = weights.shape[1] == 1
    l_max = l_pairs.max()
    weighted = np.empty((2 * l_max + 1) * BLOCK)
    product = np.empty((2 * l_max + 1, 2 * l_max + 1, BLOCK))
    tensor = np.empty((5, BLOCK))
    own = np.empty(BLOCK)
    for block in range(len(columns)):
        c = columns[block]
        tensor[:] = 0.0
        for q in range(n_channels):
            for i in range(BLOCK):
                own[i] = weights[q, 0 if shared else block * BLOCK + i]
            for m in range(5):
                for i in range(BLOCK):
                    tensor[m, i] += own[i] * c[q, (4 + m) * BLOCK + i]
        f, term = n_channels, 0
        for p in range(len(l_pairs)):
            l1, l2 = l_pairs[p, 0], l_pairs[p, 1]
            width = (2 * l1 + 1) * BLOCK
            first, second = l1 * l1 * BLOCK, l2 * l2 * BLOCK
            product[:] = 0.0
            for q2 in range(n_channels):
                weighted[:width] = 0.0
                # W is upper triangular where l1 = l2.
                for q1 in range(q2 + 1 if l1 == l2 else n_channels):
                    if shared:
                        w = weights[f, 0]
                        for k in range(width):
                            weighted[k] += w * c[q1, first + k]
                    else:
                        for i in range(BLOCK):
                            own[i] = weights[f, block * BLOCK + i]
                        for m1 in range(2 * l1 + 1):
                            for i in range(BLOCK):
                                k = m1 * BLOCK + i
                                weighted[k] += own[i] * c[q1, first + k]
                    f += 1
                for m1 in range(2 * l1 + 1):
                    for m2 in range(2 * l2 + 1):
                        for i in range(BLOCK):
                            product[m1, m2, i] += (
                                weighted[m1 * BLOCK + i] * c[q2, second + m2 * BLOCK + i]
                            )
            while term < len(terms) and terms[term, 0] == p:
                m1, m2, m = terms[term, 1], terms[term, 2], terms[term, 3]
                for i in range(BLOCK):
                    tensor[m, i] += values[term] * product[m1, m2, i]
                term += 1
        for i in range(BLOCK):
            for m in range(5):
                out[block * BLOCK + i, m] = tensor[m, i]
