"""Choice of cutoffs, resolution and regularisation by cross-validation over a grid.

Every basis of the grid is one job, which compares all regularisations on the same features; the
choice is made among all of them: of those within one standard error of the smallest loss the
cheapest to run (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from hopecho.errors import HopechoError

BASIS = (
    "cutoff_2b_angstrom",
    "cutoff_3b_angstrom",
    "intervals_2b",
    "intervals_3b",
    "intervals_jk",
)
PENALTIES = ("ridge_2b", "ridge_3b", "curvature_2b", "curvature_3b")


def bases(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the combinations of cutoffs and resolution, one job each."""
    return _combinations(grid, BASIS)


def penalties(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the combinations of regularisation that every job compares."""
    return _combinations(grid, PENALTIES)


def _combinations(grid: Mapping[str, Sequence[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    used = [name for name in names if name in grid]
    return [dict(zip(used, values)) for values in product(*(grid[name] for name in used))]


def relative_cost(settings: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """Return the cost of a force evaluation relative to other settings.

    Pairs grow with the cube of their cutoff and triplets with the sixth power of theirs; at the
    reference a pair step and a triplet step are taken to cost as one to four.
    """
    pairs = (settings["cutoff_2b_angstrom"] / reference["cutoff_2b_angstrom"]) ** 3
    triplets = (settings["cutoff_3b_angstrom"] / reference["cutoff_3b_angstrom"]) ** 6
    return 0.2 * pairs + 0.8 * triplets


def choose(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row to use, with ``reason`` in words.

    Parameters
    ----------
    rows : sequence of mapping
        ``settings``, ``loss``, ``loss_stderr`` (over the folds), ``relative_cost``.

    Raises
    ------
    HopechoError
        There is no row.
    """
    if not rows:
        raise HopechoError(
            "the grid has no candidate", fix="give values in potential.grid or efg.grid"
        )
    best = min(rows, key=lambda row: row["loss"])
    limit = best["loss"] + best["loss_stderr"]
    near = [row for row in rows if row["loss"] <= limit]
    chosen = min(near, key=lambda row: (row["relative_cost"], row["loss"]))
    if chosen is best:
        reason = "the smallest loss" + ("" if len(near) > 1 else ", by more than its error")
    else:
        reason = (
            f"the cheapest of {len(near)} within one standard error of the smallest loss"
            f" ({best['loss']:.4g} +- {best['loss_stderr']:.2g})"
        )
    return dict(chosen) | {"reason": reason}
