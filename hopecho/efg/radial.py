"""Radial functions of the smoothed neighbour density, tabulated from featomic as cubic splines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from hopecho.errors import HopechoError

Array = NDArray[np.float64]

CLOSEST_A = 0.25
"""Start of the tables, A; a closer pair is an error of the configuration, not a neighbour."""

CELLS = 512
"""Fewest table cells. The cutoff function sets in on a knot, where R_nl has a kink in its second
derivative: each side has its own spline, and the error stays below 1e-7."""


@dataclass(frozen=True)
class RadialBasis:
    """What defines the radial functions R_nl(r).

    Gaussian-smeared neighbours (width `sigma`) projected on n_radial orthonormal Gaussian-type
    orbitals, times a shifted-cosine cutoff over the last `smoothing` Angstrom.
    """

    cutoff: float = 6.0
    """Cutoff radius, A."""
    n_radial: int = 4
    """Number of radial functions of each l."""
    l_max: int = 6
    """Largest angular momentum."""
    sigma: float = 0.4
    """Width of the neighbours' Gaussians, A."""
    smoothing: float = 0.5
    """Width of the cutoff function, A."""

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and 0 < self.smoothing < self.cutoff - CLOSEST_A):
            raise HopechoError(
                "Impossible radial basis",
                got=f"cutoff {self.cutoff} A, sigma {self.sigma} A, smoothing {self.smoothing} A",
                fix="positive sigma, and a smoothing shorter than the cutoff",
            )
        if self.n_radial < 1 or self.l_max < 2:
            raise HopechoError(
                "The radial basis is too small for a tensor of rank 2",
                got=f"n_radial = {self.n_radial}, l_max = {self.l_max}",
                fix="n_radial >= 1 and l_max >= 2",
            )


@dataclass(frozen=True)
class RadialTable:
    """Cubic splines of all R_nl on one uniform grid from `CLOSEST_A` to the cutoff."""

    coefficients: Array
    """(n_cells, 4, (l_max + 1) n_radial): powers 0..3 within a cell; column l n_radial + n."""
    centre: Array
    """(n_radial,): l = 0 coefficient (times Y_00) of an atom's own Gaussian."""


def tabulate(basis: RadialBasis, *, cells: int = CELLS) -> RadialTable:
    """Sample featomic's spherical expansion of pairs along z and fit splines.

    A neighbour on the z axis has c_nl0 = R_nl(r) sqrt((2 l + 1)/(4 pi)). The error falls with the
    fourth power of `cells`, the fewest cells of the table.
    """
    n, onset = _knots(basis, cells)
    r = np.linspace(CLOSEST_A, basis.cutoff, n + 1)
    values = sample_featomic(basis, r[:-1])
    values = np.concatenate([values, np.zeros((1, values.shape[1]))])
    x = np.arange(n + 1.0)
    sides = (slice(0, onset + 1), slice(onset, n + 1))
    powers = np.concatenate([CubicSpline(x[s], values[s]).c[::-1] for s in sides], axis=1)
    coefficients = np.ascontiguousarray(np.moveaxis(powers, 0, 1))
    return RadialTable(coefficients, _centre(basis))


def _knots(basis: RadialBasis, cells: int) -> tuple[int, int]:
    """Return the number of cells, `cells` to twice that, and the knot at the cutoff's onset.

    Of all numbers of cells the first is taken whose knot is nearest to the onset.
    """
    share = 1 - basis.smoothing / (basis.cutoff - CLOSEST_A)
    counts = np.arange(cells, 2 * cells + 1)
    miss = np.abs(counts * share - np.rint(counts * share))
    n = int(counts[np.argmin(np.round(miss, 9))])
    return n, int(np.clip(np.rint(n * share), 1, n - 1))


def sample_featomic(basis: RadialBasis, r: Array) -> Array:
    """Return R_nl at distances r (n,), A, straight from featomic: (n, (l_max + 1) n_radial)."""
    from ase import Atoms  # featomic and ase are needed to fit, not to predict

    pairs = [Atoms("HHe", positions=[[0, 0, 0], [0, 0, x]]) for x in r]
    expansion = _calculator(basis, centre_weight=0.0).compute(pairs)
    columns = []
    for l in range(basis.l_max + 1):
        block = _block(expansion, l, neighbour=2)
        columns.append(np.asarray(block.values)[:, l, :] * np.sqrt(4 * np.pi / (2 * l + 1)))
    return np.concatenate(columns, axis=1)


def _calculator(basis: RadialBasis, *, centre_weight: float) -> Any:
    import featomic

    return featomic.SphericalExpansion(
        cutoff={
            "radius": basis.cutoff,
            "smoothing": {"type": "ShiftedCosine", "width": basis.smoothing},
        },
        density={"type": "Gaussian", "width": basis.sigma, "center_atom_weight": centre_weight},
        basis={
            "type": "TensorProduct",
            "max_angular": basis.l_max,
            "radial": {"type": "Gto", "max_radial": basis.n_radial - 1},
            "spline_accuracy": 1e-9,
        },
    )


def _centre(basis: RadialBasis) -> Array:
    from ase import Atoms

    expansion = _calculator(basis, centre_weight=1.0).compute([Atoms("H", positions=[[0, 0, 0]])])
    return np.array(_block(expansion, 0, neighbour=1).values)[0, 0]


def _block(expansion: Any, l: int, *, neighbour: int) -> Any:
    return expansion.block(
        {"o3_lambda": l, "o3_sigma": 1, "center_type": 1, "neighbor_type": neighbour}
    )
