"""The basis: what is fitted (`BasisSpec`), its columns (`Layout`) and the cubic B-splines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from hopecho.errors import HopechoError
from hopecho.io.uf3 import (
    REPEATS,
    TRAILING_TRIM,
    PairSpline,
    TripletSpline,
    Uf3Potential,
    pair_keys,
    triplet_keys,
)


@dataclass(frozen=True)
class BasisSpec:
    """Cutoffs and resolution of a UF3 potential.

    The two-body knots start at 0, so that the fitted energy is defined, finite and steeply
    repulsive at every distance (`pair_style uf3` reads outside its tables below the first knot).
    The three-body term is skipped below its first knot; its first layer of coefficients is held
    at zero, so that it fades there without a step.

    Attributes
    ----------
    elements : tuple of str
        Order of the LAMMPS types.
    cutoff_2b_angstrom, cutoff_3b_angstrom : float
        Pair cutoff; centre-neighbour cutoff of triplets (neighbour-neighbour: twice that).
    intervals_2b, intervals_3b, intervals_jk : int
        Number of knot intervals for pairs, for ij and ik, and for jk.
    first_knot_2b_angstrom, first_knot_3b_angstrom : float
        First knot of the pair term, and of all three axes of the three-body term.

    Source: Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023), Methods.
    """

    elements: tuple[str, ...]
    cutoff_2b_angstrom: float = 5.5
    cutoff_3b_angstrom: float = 4.0
    intervals_2b: int = 24
    intervals_3b: int = 5
    intervals_jk: int = 8
    first_knot_2b_angstrom: float = 0.0
    first_knot_3b_angstrom: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a basis without a column or with knots out of order."""
        object.__setattr__(self, "elements", tuple(self.elements))
        if len(set(self.elements)) != len(self.elements) or not self.elements:
            raise HopechoError("elements must be distinct and at least one", got=f"{self.elements}")
        for name, least in (("intervals_2b", 4), ("intervals_3b", 2), ("intervals_jk", 2)):
            if getattr(self, name) < least:
                raise HopechoError(
                    f"{name} is too small", got=f"{getattr(self, name)}", fix=f"use {least} or more"
                )
        for body in ("2b", "3b"):
            first = getattr(self, f"first_knot_{body}_angstrom")
            last = getattr(self, f"cutoff_{body}_angstrom")
            if not 0 <= first < last:
                raise HopechoError(
                    f"the first {body} knot must lie in [0, cutoff)",
                    got=f"first knot {first}, cutoff {last} A",
                    fix=f"change first_knot_{body}_angstrom or cutoff_{body}_angstrom",
                )
        if self.cutoff_3b_angstrom > self.cutoff_2b_angstrom:
            raise HopechoError(
                "LAMMPS looks for triplets among the pairs",
                got=f"cutoff_3b {self.cutoff_3b_angstrom} > cutoff_2b {self.cutoff_2b_angstrom} A",
                fix="set cutoff_2b_angstrom >= cutoff_3b_angstrom",
            )


class Tables(NamedTuple):
    """Arrays that the compiled kernels read; types are indices into the elements.

    Shapes: pair_index (n, n); triplet_index (n, n, n) with the neighbour types ascending, -1 where
    absent; *_knots (n_terms, n_knots_max), Angstrom, with *_size valid entries; cut_pair (n, n) and
    cut_triplet (n, n), Angstrom: longest cutoff of a centre and a neighbour type.
    """

    pair_index: np.ndarray
    pair_knots: np.ndarray
    pair_size: np.ndarray
    triplet_index: np.ndarray
    triplet_knots: np.ndarray
    triplet_size: np.ndarray
    cut_pair: np.ndarray
    cut_triplet: np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Columns of the linear problem: one-body, then pairs, then triplets.

    Attributes
    ----------
    n_columns : int
    tables : Tables
    pair_column : (n_pairs, n_coefficients), int
        Column of each pair coefficient, -1 where it is held at zero.
    triplet_column : (n_triplets, L, M), int
        Column of coefficient n = 0 of the row (l, m); -1 where the row is held at zero. Equal
        neighbour elements share the column of (l, m) and (m, l).
    jk_range : (2,), int
        First and one past the last n that is fitted.
    """

    n_columns: int
    tables: Tables
    pair_column: np.ndarray
    triplet_column: np.ndarray
    jk_range: np.ndarray


def clamped_knots(first: float, last: float, intervals: int) -> np.ndarray:
    """Return uniform knots whose ends stand four times, (intervals + 7,)."""
    inner = np.linspace(first, last, intervals + 1)
    ends = REPEATS - 1
    return np.concatenate([np.full(ends, inner[0]), inner, np.full(ends, inner[-1])])


@njit(cache=True)
def bspline4(knots, n_knots, x, value, slope):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the four cubic B-splines not zero at x, and their slopes; return the first's index.

    Source: de Boor, A Practical Guide to Splines (2001), ch. X eq. (5); slopes from ch. X eq. (8).
    """
    spacing = knots[4] - knots[3]
    cell = 3 + int((x - knots[0]) / spacing)
    cell = min(max(cell, 3), n_knots - 5)
    if x < knots[cell]:
        cell = max(cell - 1, 3)
    elif x >= knots[cell + 1]:
        cell = min(cell + 1, n_knots - 5)
    t1, t2, t3 = knots[cell + 1] - x, knots[cell + 2] - x, knots[cell + 3] - x
    s0, s1, s2 = x - knots[cell], x - knots[cell - 1], x - knots[cell - 2]
    inverse = 1.0 / (t1 + s0)
    a0, a1 = t1 * inverse, s0 * inverse
    left, right = a0 / (t1 + s1), a1 / (t2 + s0)
    q0, q1, q2 = t1 * left, s1 * left + t2 * right, s0 * right
    c0, c1, c2 = q0 / (t1 + s2), q1 / (t2 + s1), q2 / (t3 + s0)
    value[0] = t1 * c0
    value[1] = s2 * c0 + t2 * c1
    value[2] = s1 * c1 + t3 * c2
    value[3] = s0 * c2
    slope[0] = -3.0 * c0
    slope[1] = 3.0 * (c0 - c1)
    slope[2] = 3.0 * (c1 - c2)
    slope[3] = 3.0 * c2
    return cell - 3


def spline_values(knots: np.ndarray, coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return sum_n c_n B_n(x) for each x inside the knots, same shape as x."""
    value, slope = np.zeros(4), np.zeros(4)
    out = np.zeros(len(x))
    for index, point in enumerate(x):
        start = bspline4(knots, len(knots), float(point), value, slope)
        out[index] = coefficients[start : start + 4] @ value
    return out


def tables_of(
    elements: tuple[str, ...],
    pairs: Mapping[tuple[str, str], np.ndarray],
    triplets: Mapping[tuple[str, str, str], tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> Tables:
    """Pack knot vectors, pairs[(a, b)] and triplets[(c, a, b)] = (ij, ik, jk), for the kernels."""
    n = len(elements)
    place = {name: index for index, name in enumerate(elements)}
    pair_index = np.full((n, n), -1)
    cut_pair, cut_triplet = np.zeros((n, n)), np.zeros((n, n))
    for term, ((a, b), knots) in enumerate(pairs.items()):
        for i, j in ((place[a], place[b]), (place[b], place[a])):
            pair_index[i, j], cut_pair[i, j] = term, knots[-1]
    triplet_index = np.full((n, n, n), -1)
    for term, ((c, a, b), (ij, ik, _)) in enumerate(triplets.items()):
        i, j, k = place[c], place[a], place[b]
        triplet_index[i, j, k] = term
        cut_triplet[i, j] = max(cut_triplet[i, j], ij[-1])
        cut_triplet[i, k] = max(cut_triplet[i, k], ik[-1])
    pair_knots, pair_size = _pad(list(pairs.values()))
    flat = [knots for axes in triplets.values() for knots in axes]
    triplet_knots, triplet_size = _pad(flat)
    return Tables(
        pair_index,
        pair_knots,
        pair_size,
        triplet_index,
        triplet_knots.reshape(len(triplets), 3, -1) if flat else np.zeros((0, 3, 8)),
        triplet_size.reshape(len(triplets), 3) if flat else np.zeros((0, 3), dtype=np.int64),
        cut_pair,
        cut_triplet,
    )


def _pad(vectors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([len(vector) for vector in vectors], dtype=np.int64)
    out = np.zeros((len(vectors), int(sizes.max(initial=8))))
    for row, vector in zip(out, vectors, strict=True):
        row[: len(vector)] = vector
    return out, sizes


def spec_knots(spec: BasisSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the knot vectors of pairs, of ij and ik, and of jk, Angstrom."""
    first = spec.first_knot_3b_angstrom
    return (
        clamped_knots(spec.first_knot_2b_angstrom, spec.cutoff_2b_angstrom, spec.intervals_2b),
        clamped_knots(first, spec.cutoff_3b_angstrom, spec.intervals_3b),
        clamped_knots(first, 2 * spec.cutoff_3b_angstrom, spec.intervals_jk),
    )


@lru_cache(maxsize=8)
def layout(spec: BasisSpec) -> Layout:
    """Return the columns of a basis; the exchange of equal neighbours is built in."""
    pair, arm, base = spec_knots(spec)
    tables = tables_of(
        spec.elements,
        dict.fromkeys(pair_keys(spec.elements), pair),
        dict.fromkeys(triplet_keys(spec.elements), (arm, arm, base)),
    )
    column = len(spec.elements)
    n_pairs, n_fit = len(tables.pair_size), spec.intervals_2b + 3 - TRAILING_TRIM
    pair_column = np.full((n_pairs, spec.intervals_2b + 3), -1)
    pair_column[:, :n_fit] = column + np.arange(n_pairs * n_fit).reshape(n_pairs, n_fit)
    column += n_pairs * n_fit
    size, low = spec.intervals_3b + 3, 1
    jk_range = np.array([low, spec.intervals_jk + 3 - TRAILING_TRIM])
    triplet_column = np.full((len(tables.triplet_size), size, size), -1)
    for term, (_, a, b) in enumerate(triplet_keys(spec.elements)):
        for l in range(low, size - TRAILING_TRIM):
            for m in range(l if a == b else low, size - TRAILING_TRIM):
                triplet_column[term, l, m] = column - low
                if a == b:
                    triplet_column[term, m, l] = column - low
                column += int(jk_range[1] - jk_range[0])
    return Layout(column, tables, pair_column, triplet_column, jk_range)


def potential_from(
    spec: BasisSpec, coefficients: np.ndarray, one_body: Mapping[str, float]
) -> Uf3Potential:
    """Return the potential of a coefficient vector (n_columns,), eV.

    The one-body energies (eV) are added to the one-body columns.
    """
    columns = layout(spec)
    pair, arm, base = spec_knots(spec)
    padded = np.append(coefficients, 0.0)
    two_body = {
        key: PairSpline(pair, padded[columns.pair_column[term]])
        for term, key in enumerate(pair_keys(spec.elements))
    }
    low, high = columns.jk_range
    three_body = {}
    for term, key in enumerate(triplet_keys(spec.elements)):
        start = columns.triplet_column[term]
        grid = np.zeros((*start.shape, len(base) - REPEATS))
        fitted = np.arange(low, high)
        grid[..., low:high] = padded[np.where(start[..., None] < 0, -1, start[..., None] + fitted)]
        three_body[key] = TripletSpline(arm, arm, base, grid)
    energies = {
        name: float(coefficients[index]) + float(one_body.get(name, 0.0))
        for index, name in enumerate(spec.elements)
    }
    return Uf3Potential(spec.elements, two_body, three_body, energies)
