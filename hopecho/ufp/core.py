"""The repulsive core: pair coefficients below the shortest distance that the data hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from hopecho.io.uf3 import TRAILING_TRIM, pair_keys
from hopecho.ufp.basis import BasisSpec, layout, spec_knots

CONTACT = 1.5


@dataclass(frozen=True)
class Core:
    """Shape of the core: the slope of phi2 grows exponentially towards short distances.

    Attributes
    ----------
    growth : float, 1/Angstrom
        |phi2'| grows as exp(growth * depth): 2 to 4 is the decay of overlapping shells.
    slope : float, eV/A
        |phi2'| is at least slope (exp(growth * depth) - 1) at a depth below the shortest distance,
        however flat the fitted wall is.
    slope_max : float, eV/A
        Bound of the wall's own slope, which the core continues.
    """

    growth: float = 2.5
    slope: float = 2.0
    slope_max: float = 30.0


def core_edges(spec: BasisSpec, min_distance: np.ndarray) -> np.ndarray:
    """Return the distance below which each pair has a core, (n_pairs,), Angstrom.

    The shortest sampled distance, but no longer than 1.5 times the sum of the covalent radii: two
    ions that so far kept apart behind others may come closer, and only contact is certain to repel.
    """
    radius = {name: float(covalent_radii[atomic_numbers[name]]) for name in spec.elements}
    contact = [CONTACT * (radius[a] + radius[b]) for a, b in pair_keys(spec.elements)]
    return np.minimum(min_distance, contact)


def core_sizes(spec: BasisSpec, min_distance: np.ndarray) -> np.ndarray:
    """Return how many leading coefficients of each pair belong to its core, (n_pairs,), int.

    Those whose spline ends below the shortest sampled distance: the data say nothing about them,
    and no value given to them changes a prediction for the data.
    """
    knots = spec_knots(spec)[0]
    edges = core_edges(spec, min_distance)
    n_fit = spec.intervals_2b + 3 - TRAILING_TRIM
    sizes = [int(np.sum(knots[4 : 4 + n_fit] <= edge)) for edge in edges]
    return np.minimum(sizes, n_fit - 2)


def with_core(
    spec: BasisSpec, coefficients: np.ndarray, min_distance: np.ndarray, core: Core
) -> np.ndarray:
    """Return the coefficients (n_columns,), eV, with every pair's core continued from its wall.

    The control polygon of phi2 (coefficients over the averages of three knots) is continued inwards
    from the first coefficient outside the core, its slope growing by exp(growth * step) from that
    of the fitted wall and at least that of `Core`: convex and monotonic, hence so is the spline.
    """
    knots = spec_knots(spec)[0]
    abscissa = (knots[1:-3] + knots[2:-2] + knots[3:-1]) / 3
    out = coefficients.copy()
    edges, sizes = core_edges(spec, min_distance), core_sizes(spec, min_distance)
    for row, size, edge in zip(layout(spec).pair_column, sizes, edges, strict=True):
        c = out[row[: size + 2]]
        wall = (c[size] - c[size + 1]) / (abscissa[size + 1] - abscissa[size])
        slope = float(np.clip(wall, 0.0, core.slope_max))
        for n in range(size - 1, -1, -1):
            step = float(abscissa[n + 1] - abscissa[n])
            depth = float(edge - abscissa[n + 1]) + step / 2
            floor = core.slope * float(np.expm1(core.growth * max(depth, 0.0)))
            slope = max(slope * float(np.exp(core.growth * step)), floor)
            c[n] = c[n + 1] + slope * step
        out[row[:size]] = c[:size]
    return out
