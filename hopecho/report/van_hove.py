"""Where mobile ions go: the figures of the van Hove functions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from hopecho.figures.curves import Curve, draw_van_hove
from hopecho.figures.style import WIDE_IN, plain_log, render
from hopecho.figures.transport import draw_map, even_edges, log_edges
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing
from hopecho.report.words import number

LINES = 4
"""Lags drawn, spread over those of the file."""

SELF_SPAN = (0.01, 3.0)
"""Ends of the scale of the self part, 1/A."""


def van_hove(view: CampaignView, material: str) -> Drawing:
    """Self (left) and distinct part (right) of the mobile ions, one row a phase and temperature."""
    cases = sorted(view.of_material(material), key=lambda c: c.temperature_k)

    def draw(axes: list[Axes]) -> None:
        for row, case in enumerate(cases):
            for column, distinct in enumerate((False, True)):
                ax = axes[2 * row + column]
                draw_van_hove(ax, _curves(view, case, distinct), distinct=distinct, title=str(case))
            axes[2 * row].legend(loc="upper right")

    name = f"{material}-van-hove"
    title = "Where mobile ions, and their neighbours, are found a time later"
    return Drawing(
        name,
        render(
            name,
            draw,
            rows=len(cases),
            cols=2,
            size_in=(WIDE_IN, 2.3 * len(cases)),
            label=title,
            footer=view.footer,
        ),
        title,
        "Left: a second peak at the distance of sites, apart from the first, is hopping; a peak "
        "that moves outwards and widens is diffusion as in a liquid. Right: a peak that grows at "
        "r = 0 means that an ion takes the place which another one left.",
        [f"{c.folder}/van_hove.csv" for c in cases],
        wide=True,
    )


def _curves(view: CampaignView, case: Case, distinct: bool) -> list[Curve]:
    data = view.table(f"{case.folder}/van_hove.csv")
    lags = np.unique(data["lag_ps"].to_numpy(dtype=float))
    chosen = lags[np.unique(np.rint(np.linspace(0, len(lags) - 1, LINES)).astype(int))]
    curves = []
    for k, lag in enumerate(chosen):
        own = data[data["lag_ps"] == lag]
        r = own["r_angstrom"].to_numpy(dtype=float)
        column = "van_hove_distinct" if distinct else "van_hove_self_a3"
        y = own[column].to_numpy(dtype=float) * (1.0 if distinct else 4.0 * np.pi * r**2)
        curves.append(Curve(f"{number(lag, 2)} ps", r, y, index=k))
    return curves


def van_hove_maps(view: CampaignView, material: str) -> Drawing:
    """Maps of both parts against lag and distance, one row a phase and temperature."""
    cases = sorted(view.of_material(material), key=lambda c: c.temperature_k)

    def draw(axes: list[Axes]) -> None:
        for row, case in enumerate(cases):
            data = view.table(f"{case.folder}/van_hove.csv")
            lag, r = (np.unique(data[c].to_numpy(float)) for c in ("lag_ps", "r_angstrom"))
            own, distinct = (
                data[c].to_numpy(float).reshape(len(lag), len(r))
                for c in ("van_hove_self_a3", "van_hove_distinct")
            )
            edges = (log_edges(lag), even_edges(r))
            pair = axes[2 * row : 2 * row + 2]
            draw_map(
                pair[0], *edges, 4.0 * np.pi * r**2 * own, span=SELF_SPAN, log=True,
                label="4πr²$G_s$ (1/Å)", title=f"{case}: self",
            )  # fmt: skip
            draw_map(
                pair[1], *edges, distinct, span=(0.0, 2.0), middle=True, label="$G_d$",
                title=f"{case}: distinct",
            )  # fmt: skip
            for ax in pair:
                ax.set_xscale("log")
                plain_log(ax.xaxis)
                ax.set_xlabel("lag time t (ps)")
                ax.set_ylabel("r (Å)")

    name = f"{material}-van-hove-maps"
    title = "Maps of the van Hove functions"
    svg = render(
        name,
        draw,
        rows=len(cases),
        cols=2,
        size_in=(WIDE_IN, 2.3 * len(cases)),
        label=title,
        footer=view.footer,
    )
    look_for = (
        "Left: a bright band at small r that stays is an ion in its cage; a second one, apart from "
        "it, that appears with time is hopping between sites; a band that climbs is diffusion as "
        "in a liquid. Right: white is no correlation, blue too few and red too many neighbours; "
        "red at r = 0 is an ion that takes the place of another one. Lags in the file are even on "
        "a log axis."
    )
    return Drawing(
        name, svg, title, look_for, [f"{c.folder}/van_hove.csv" for c in cases], wide=True
    )
