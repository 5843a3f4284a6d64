r"""Fast prediction of field gradient tensors: the descriptor is never formed.

The weights W of a coupled pair (l1, l2) are contracted with one density before the coupling,

.. math:: t_M = \sum_{m_1 m_2} G^M_{m_1 m_2} \sum_{q_2} c_{q_2 l_2 m_2}
          \Big( \sum_{q_1} W_{q_1 q_2} c_{q_1 l_1 m_1} \Big),

for blocks of centres, whose index runs fastest. Equal to the explicit features to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.efg.density import buffer_size, check_status, fill_density, kinds_of, make_frame
from hopecho.efg.features import unpack_triplets
from hopecho.efg.harmonics import FASTMATH, coupled_pairs, coupling, norms
from hopecho.efg.longrange import fill_smooth_gradient, k_vectors
from hopecho.efg.model import EfgModel
from hopecho.errors import HopechoError
from hopecho.io import h5md
from hopecho.io.efg_table import EfgWriter

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK = 16
"""Centres handled together; their index is the vector axis of the contraction."""


@dataclass(frozen=True)
class _Kernel:
    """Model weights in the layout of the contraction."""

    pair: Array
    """(n_channels,), q = kind n_radial + n."""
    long_range: Array
    """(n_kinds,), zeros without that block."""
    triplet: Array
    """(n_pairs, n_channels, n_channels), second channel first: row q2 holds W[:, q2]."""
    l_pairs: IntArray
    """(n_pairs, 2)."""
    terms: IntArray
    """(n_terms, 4): pair, m1, m2, M of every non-zero coupling."""
    values: Array
    """(n_terms,)."""


def predict_frames(
    model: EfgModel, positions: ArrayLike, cell: ArrayLike, numbers: ArrayLike
) -> Array:
    """Predict the tensors of all probe atoms.

    Parameters
    ----------
    model : EfgModel
        The model.
    positions : array_like, (n_frames, n_atoms, 3), A
        Wrapped or unwrapped.
    cell : array_like, (3, 3), A
        Rows are lattice vectors; the same for all frames.
    numbers : array_like, (n_atoms,)
        Atomic numbers.

    Returns
    -------
    ndarray, (n_frames, n_probe, 5)
        Isometric components, a.u., probes in atom order.

    Raises
    ------
    HopechoError
        Unknown element, no probe, overlapping atoms, or numbers that are not finite.
    """
    positions = np.asarray(positions, dtype=float)
    cell, numbers = np.asarray(cell, dtype=float), np.asarray(numbers)
    if positions.ndim != 3 or positions.shape[1:] != (len(numbers), 3) or cell.shape != (3, 3):
        raise HopechoError(
            "Shapes of a trajectory for the EFG model do not fit",
            got=f"positions {positions.shape}, cell {cell.shape}, numbers {numbers.shape}",
            fix="positions (n_frames, n_atoms, 3), cell (3, 3), numbers (n_atoms,)",
        )
    spec = model.spec
    kinds, centres = kinds_of(numbers, spec.elements), probe_ids(model, numbers)
    kernel = _kernel(model)
    if spec.n_long_range and len(positions) and np.all(np.isfinite(cell)):
        index, weight = k_vectors(cell, spec.long_range_width)
    else:
        index, weight = np.zeros((0, 3), dtype=np.int64), np.zeros((0, 5))
    out = np.zeros((len(positions), len(centres), 5))
    for frame_positions, tensors in zip(positions, out, strict=True):
        frame = make_frame(frame_positions, cell, kinds, centres)
        if len(index):
            sums = np.zeros((len(centres), len(spec.elements), 5))
            fill_smooth_gradient(frame.fractional, kinds, centres, index, weight, sums)
            tensors += np.einsum("cam,a->cm", sums, kernel.long_range)
        status = _predict(
            frame.fractional,
            frame.cell,
            frame.inverse,
            kinds,
            centres,
            spec.basis.cutoff,
            spec.table.coefficients,
            norms(spec.basis.l_max),
            buffer_size(frame, spec.basis.cutoff),
            spec.centre_weight * spec.table.centre,
            spec.elements.index(spec.probe),
            kernel.pair,
            kernel.triplet,
            kernel.l_pairs,
            kernel.terms,
            kernel.values,
            tensors,
        )
        check_status(status, frame)
    return out


def probe_ids(model: EfgModel, numbers: ArrayLike) -> IntArray:
    """Return the indices of the probe atoms, (n_probe,).

    Raises
    ------
    HopechoError
        If there is none.
    """
    centres = np.flatnonzero(np.asarray(numbers) == model.spec.probe)
    if len(centres) == 0:
        raise HopechoError(
            "A structure has no atom whose tensor the EFG model predicts",
            got=f"atomic numbers {sorted(set(np.asarray(numbers).tolist()))}",
            fix=f"use structures with atomic number {model.spec.probe}",
        )
    return centres


def _kernel(model: EfgModel) -> _Kernel:
    spec = model.spec
    sizes = spec.block_sizes()
    ends = np.cumsum(list(sizes.values()))
    pair, long_range, packed = np.split(model.weights, ends[:2])
    matrices = [w.T for w in unpack_triplets(packed, spec)]
    l_pairs = coupled_pairs(spec.basis.l_max)
    terms, values = [], []
    for p, (l1, l2) in enumerate(l_pairs):
        g = coupling(l1, l2)
        where = np.argwhere(g)
        terms.append(np.column_stack([np.full(len(where), p), where]))
        values.append(g[tuple(where.T)])
    return _Kernel(
        pair,
        long_range if spec.n_long_range else np.zeros(len(spec.elements)),
        np.ascontiguousarray(matrices),
        np.array(l_pairs),
        np.concatenate(terms).astype(np.int64),
        np.concatenate(values),
    )


@numba.njit(cache=True, fastmath=FASTMATH)
def _predict(
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
    pair: Array,
    triplet: Array,
    l_pairs: IntArray,
    terms: IntArray,
    values: Array,
    out: Array,
) -> int:
    """Add the pair and triplet parts of every centre to out (n_centres, 5); status as density."""
    n_radial, n_sh = len(own), len(norm)
    n_channels = len(pair)
    n_kinds = n_channels // n_radial
    coefficients = np.empty((BLOCK, n_kinds, n_sh, n_radial))
    columns = np.empty((n_channels, n_sh * BLOCK))
    tensors = np.empty((5, BLOCK))
    for start in range(0, len(centres), BLOCK):
        count = min(BLOCK, len(centres) - start)
        coefficients[:] = 0.0
        status = fill_density(
            fractional,
            cell,
            inverse,
            kinds,
            centres[start : start + count],
            cutoff,
            table,
            norm,
            buffer,
            coefficients,
        )
        if status < 0:
            return status - start
        coefficients[:, own_kind, 0, :] += own
        for kind in range(n_kinds):
            for lm in range(n_sh):
                for n in range(n_radial):
                    for i in range(BLOCK):
                        value = coefficients[i, kind, lm, n]
                        columns[kind * n_radial + n, lm * BLOCK + i] = value
        _contract(columns, pair, triplet, l_pairs, terms, values, tensors)
        for i in range(count):
            for m in range(5):
                out[start + i, m] += tensors[m, i]
    return 0


@numba.njit(cache=True, fastmath=FASTMATH)
def _contract(
    columns: Array,
    pair: Array,
    triplet: Array,
    l_pairs: IntArray,
    terms: IntArray,
    values: Array,
    out: Array,
) -> None:
    """Contract one block of centres; columns (n_channels, n_sh BLOCK), out (5, BLOCK)."""
    n_channels = len(pair)
    out[:] = 0.0
    for q in range(n_channels):
        for m in range(5):
            for i in range(BLOCK):
                out[m, i] += pair[q] * columns[q, (4 + m) * BLOCK + i]
    l_max = l_pairs.max()
    weighted = np.empty((2 * l_max + 1) * BLOCK)
    product = np.empty((2 * l_max + 1, 2 * l_max + 1, BLOCK))
    term = 0
    for p in range(len(l_pairs)):
        l1, l2 = l_pairs[p, 0], l_pairs[p, 1]
        width = (2 * l1 + 1) * BLOCK
        first, second = l1 * l1 * BLOCK, l2 * l2 * BLOCK
        product[:] = 0.0
        for q2 in range(n_channels):
            weighted[:width] = 0.0
            # W is upper triangular where l1 = l2.
            for q1 in range(q2 + 1 if l1 == l2 else n_channels):
                w = triplet[p, q2, q1]
                for k in range(width):
                    weighted[k] += w * columns[q1, first + k]
            for m1 in range(2 * l1 + 1):
                for m2 in range(2 * l2 + 1):
                    for i in range(BLOCK):
                        product[m1, m2, i] += (
                            weighted[m1 * BLOCK + i] * columns[q2, second + m2 * BLOCK + i]
                        )
        while term < len(terms) and terms[term, 0] == p:
            m1, m2, m = terms[term, 1], terms[term, 2], terms[term, 3]
            for i in range(BLOCK):
                out[m, i] += values[term] * product[m1, m2, i]
            term += 1


def predict_segment(
    model: EfgModel,
    trajectory: Path | str,
    out: Path | str,
    *,
    chunk: int = 100,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Predict all frames of an H5MD file into a table, holding `chunk` frames in memory.

    Parameters
    ----------
    model : EfgModel
        The model.
    trajectory : Path or str
        H5MD file, see `hopecho.io.h5md`.
    out : Path or str
        Table to write, see `hopecho.io.efg_table`; it appears only when complete.
    chunk : int
        Frames read at a time.
    provenance : mapping of str to str, optional
        Root attributes of the table.

    Raises
    ------
    HopechoError
        As `predict_frames`, and for unreadable files.
    """
    ions = probe_ids(model, h5md.read_segment(trajectory, stop=1).numbers)
    with EfgWriter(out, ion_id=ions, provenance=provenance) as writer:
        for part in h5md.iterate([trajectory], chunk=chunk):
            tensors = predict_frames(model, part.positions, part.cell, part.numbers)
            writer.append(part.time_ps, tensors)
