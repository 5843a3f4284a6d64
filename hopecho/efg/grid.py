"""Choice of the density expansion by cross-validation over a grid.

Every expansion is one job (`hopecho.efg.candidates`), which compares all regularisations on the
same normal equations, whole trajectories left out in turn. The choice among them is that of
`hopecho.ufp.grid.choose`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

BASIS = ("cutoff_angstrom", "n_radial", "l_max", "sigma_angstrom")


def expansions(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the combinations of cutoff, radial functions, l and width, one job each."""
    used = [name for name in BASIS if name in grid]
    return [dict(zip(used, values)) for values in product(*(grid[name] for name in used))]


def relative_cost(settings: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """Return the cost of a tensor relative to other settings.

    The expansion grows with the neighbours, n and (l + 1)^2, the contraction with n^2 and
    (l + 1)^3; at the reference they take 45 % and 30 %, lattice sums and the search the rest.
    """
    ratio = {name: settings[name] / reference[name] for name in ("cutoff_angstrom", "n_radial")}
    angular = (settings["l_max"] + 1) / (reference["l_max"] + 1)
    expansion = ratio["cutoff_angstrom"] ** 3 * ratio["n_radial"] * angular**2
    contraction = ratio["n_radial"] ** 2 * angular**3
    return float(0.45 * expansion + 0.3 * contraction + 0.25)
