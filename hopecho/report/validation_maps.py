"""The map of mobile ions about the polyanions on both sides of a validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hopecho.dynamics.r_phi import PHI_EDGES, R_EDGES
from hopecho.figures.style import WIDE_IN, render
from hopecho.figures.transport import draw_map
from hopecho.report.markup import Drawing

BRIGHTEST = 0.995
"""Quantile of the density at which its scale ends."""


def around_drawing(
    key: str, title: str, data: pd.DataFrame, files: Sequence[str], footer: str
) -> Drawing:
    """Draw the density of both sides, and their difference.

    Parameters
    ----------
    key, title : str
        Part of the figure's name, and of its title.
    data : DataFrame
        Curves of the phase with the observable ``r_phi``: x is the number of the bin.
    files : sequence of str
        Where the numbers are.
    footer : str
        What the labels are.
    """
    n_phi = len(PHI_EDGES) - 1
    own = data[data["observable"] == "r_phi"].sort_values(["side", "x"])
    maps = {
        str(side): 1e3 * part["value"].to_numpy(float).reshape(-1, n_phi)
        for side, part in own.groupby("side")
    }
    ours, reference = maps["ufp"], maps["reference"]
    edges = (R_EDGES[: len(ours) + 1], PHI_EDGES)
    top = float(np.quantile(reference, BRIGHTEST))
    largest = float(np.abs(ours - reference).max()) or 1.0

    def draw(axes: list[Axes]) -> None:
        for ax, (name, values) in zip(axes, (("UFP", ours), ("surface", reference)), strict=False):
            draw_map(ax, *edges, values, span=(0.0, top), label="ρ (10⁻³/(Å °))", title=name)
        draw_map(
            axes[2], *edges, ours - reference, span=(-largest, largest), middle=True,
            label="Δρ (10⁻³/(Å °))", title="UFP − surface",
        )  # fmt: skip
        for ax in axes:
            ax.set_xlabel("ligand–ion distance (Å)")
            ax.set_yticks([0, 60, 120, 180])
        axes[0].set_ylabel("centre–ligand–ion angle (°)")

    name, heading = f"validation-{key}-r-phi", f"Ions about the polyanions: {title}"
    svg = render(name, draw, cols=3, size_in=(WIDE_IN, 2.1), label=heading, footer=footer)
    look_for = (
        "Look for spots of one side only. The difference holds the noise of both sides: the table "
        "says whether it is more."
    )
    return Drawing(name, svg, heading, look_for, files, wide=True)
