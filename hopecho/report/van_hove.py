"""Where ions go: the figure of the van Hove functions, and the table of the temperature series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hopecho.figures.curves import Curve, draw_van_hove
from hopecho.figures.style import WIDE_IN, render
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing, Html, file_name, join, table, tag
from hopecho.report.words import number, say
from hopecho.units import QUANTITIES

LINES = 4
"""Lags drawn, spread over those of the file."""


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


def series_table(view: CampaignView) -> Html:
    """Activation energies, extrapolations, and whether these were tested; empty for one T."""
    rows: list[list[object]] = []
    for material in view.materials:
        if len(view.temperatures(material)) < 2:
            continue
        for phase in view.phases(material):
            path = f"{material}/phases/{phase}/arrhenius.json"
            record = view.record(path)
            for name in ("d_tracer", "sigma_einstein"):
                rows.append([phase, QUANTITIES[name].label, *_series_row(record[name]), path])
                rows[-1][-1] = file_name(path)
    if not rows:
        return join(())
    head = ["phase", "quantity", "from (K)", "activation energy", "at 300 K", "tested", "file"]
    note = (
        "Only temperatures with a resolved value enter. The interval of an extrapolation is that "
        "of the line; that the same mechanism holds is tested by predicting the coldest "
        "temperature from the others, which needs three."
    )
    return join((tag("h3", "Temperature series"), table(head, rows), tag("p", note, css="note")))


def _series_row(entry: dict[str, object]) -> Sequence[object]:
    temperatures, z = entry["temperatures_k"], entry["surprise_z"]
    assert isinstance(temperatures, list)
    energy, cold = entry["activation_energy"], entry["at_300k"]
    assert isinstance(energy, dict)
    assert isinstance(cold, dict)
    if isinstance(z, float):
        tested = (
            f"coldest point {number(abs(z), 2)} errors {'above' if z > 0 else 'below'} the line"
        )
    else:
        tested = "not possible"
    return [
        ", ".join(f"{t:g}" for t in temperatures) or "none",
        say("activation_energy", energy),
        say("at 300 K", cold),
        tested,
    ]
