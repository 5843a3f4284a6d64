"""The figure of where mobile ions sit about the polyanions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hopecho.figures.style import WIDE_IN, render
from hopecho.figures.transport import draw_map, even_edges
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing

BRIGHTEST = 0.995
"""Quantile of the density at which its scale ends."""

RATIO_SPAN = (0.1, 10.0)
"""Ends of the scale of the ratio to ions spread evenly."""


def r_phi_drawings(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw the maps of every phase and temperature that has one."""
    cases = sorted(view.of_material(material), key=lambda c: c.temperature_k)
    tables = {c: view.table(f"{c.folder}/r_phi.csv") for c in cases}
    found = {c: t for c, t in tables.items() if len(t)}
    if found:
        yield _figure(view, material, found)


def _figure(view: CampaignView, material: str, tables: Mapping[Case, pd.DataFrame]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        for row, (case, data) in enumerate(tables.items()):
            r, phi = (np.unique(data[c].to_numpy(float)) for c in ("r_angstrom", "phi_degree"))
            density, relative = (
                data[c].to_numpy(float).reshape(len(r), len(phi))
                for c in ("density_per_a_degree", "relative_to_even")
            )
            i, j = np.unravel_index(int(density.argmax()), density.shape)
            edges = (even_edges(r), even_edges(phi))
            left, right = axes[2 * row : 2 * row + 2]
            draw_map(
                left, *edges, 1e3 * density, label="ρ(r, φ) (10⁻³/(Å °))",
                span=(0.0, 1e3 * float(np.quantile(density, BRIGHTEST))),
                title=f"{case}: most at {r[i]:.1f} Å, {phi[j]:.0f}°",
            )  # fmt: skip
            draw_map(
                right, *edges, relative, span=RATIO_SPAN, log=True, middle=True,
                label="ions / ions spread evenly", title=f"{case}: against even ions",
            )  # fmt: skip
            for ax in (left, right):
                ax.set_xlabel("ligand–ion distance r (Å)")
                ax.set_ylabel("angle φ (°)")
                ax.set_yticks([0, 60, 120, 180])

    name = f"{material}-r-phi"
    title = "Where mobile ions sit about the polyanions"
    svg = render(
        name,
        draw,
        rows=len(tables),
        cols=2,
        size_in=(WIDE_IN, 2.2 * len(tables)),
        label=title,
        footer=view.footer,
    )
    look_for = (
        "φ is the angle centre–ligand–ion: 180° is an ion straight behind the ligand, about 80° "
        "one that sits on an edge or a face of the tetrahedron. Left: the joint density, in which "
        "ions spread evenly would give r² sin φ. Right: the same divided by that; white is no "
        "preference, red where ions like to be. Bridges of colour between spots are the ways by "
        "which ions go around a polyanion."
    )
    return Drawing(name, svg, title, look_for, [f"{c.folder}/r_phi.csv" for c in tables], wide=True)
