"""Figures of mobility: displacements with the diffusive window, single runs, temperatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.curves import Curve, draw_displacements
from hopecho.figures.style import WIDE_IN, hide_unused, render
from hopecho.figures.transport import (
    Level,
    Series,
    draw_ions,
    draw_runs,
    draw_series,
    draw_window,
)
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing
from hopecho.report.words import percent, quantity_text
from hopecho.units import A2_PS_TO_M2_S

Array = NDArray[np.float64]

ION_SHARE = 0.8
"""Share of the ions between the two lines of single ions."""


def transport_drawings(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw what the positions say about mobility."""
    yield _displacements(view, material)
    yield _collective(view, material)
    yield _single_runs(view, material)
    if len(view.temperatures(material)) > 1:
        yield _series(view, material)


def _cases(view: CampaignView, material: str) -> list[Case]:
    return sorted(view.of_material(material), key=lambda c: c.temperature_k)


def _panels(
    view: CampaignView,
    name: str,
    title: str,
    draw: Any,
    n: int,
    look_for: str,
    files: list[str],
    height: float = 2.6,
    **options: Any,
) -> Drawing:
    rows = -(-n // 2)
    svg = render(
        name,
        draw,
        rows=rows,
        cols=2,
        size_in=(WIDE_IN, height * rows),
        label=title,
        footer=view.footer,
        **options,
    )
    return Drawing(name, svg, title, look_for, files, wide=True)


def _displacements(view: CampaignView, material: str) -> Drawing:
    cases = _cases(view, material)

    def draw(axes: list[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=False):
            record = view.record(f"{case.folder}/msd.json")
            data = view.table(f"{case.folder}/msd.csv")
            _draw_window(ax, record, data)
            _draw_ions(ax, view.table(f"{case.folder}/msd_ions.csv"), str(record["element"]))
            said = quantity_text("d_tracer", record["d_tracer"])
            said = f"D = {said}" if record["d_tracer"]["value"] is not None else said
            draw_displacements(ax, _element_curves(data), title=f"{case}\n{said}")
        hide_unused(axes, len(cases))

    look_for = (
        "Mobile ions diffuse where their curve runs parallel to the dotted line of slope 1; the "
        "framework must stay flat. A curve that bends towards flat is a cage, and its slope is no "
        "diffusion coefficient. Grey: the lags from which D is read; dashes: the line whose slope "
        f"it is. Thin lines: between them lie {percent(ION_SHARE)} of the mobile ions, each by "
        "itself; far apart, few ions carry the motion. Bands: one standard error over runs."
    )
    return _panels(
        view, f"{material}-msd", "Mean square displacement of each element", draw, len(cases),
        look_for, [f"{c.folder}/{{msd,msd_ions}}.csv" for c in cases], 2.8, sharey=True,
    )  # fmt: skip


def _draw_window(ax: Axes, record: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Shade the window; where D is resolved draw the line of its slope through the mean there."""
    low, high = record["window_ps"]
    d = record["d_tracer"]["value"]
    if d is None:
        return
    own = data[data["element"] == record["element"]]
    lag, msd = own["lag_ps"].to_numpy(float), own["msd_a2"].to_numpy(float)
    inside = (lag >= low * (1.0 - 1e-9)) & (lag <= high * (1.0 + 1e-9))
    slope = 6.0 * d / A2_PS_TO_M2_S
    # Weighted as the fit is.
    offset = np.average(msd[inside] - slope * lag[inside], weights=1.0 / lag[inside] ** 2)
    draw_window(ax, (low, high), fit=Curve("6 D t + c", lag[inside], slope * lag[inside] + offset))


def _draw_ions(ax: Axes, data: pd.DataFrame, element: str) -> None:
    by_lag = data.groupby("lag_ps")["msd_a2"]
    ends = [by_lag.quantile(0.5 * (1.0 + sign * ION_SHARE)) for sign in (-1.0, 1.0)]
    low, high = (e.to_numpy(float) for e in ends)
    lag = ends[0].index.to_numpy(float)
    if (low > 0.0).all():
        draw_ions(ax, lag, low, high, label=f"{percent(ION_SHARE)} of {element}")


def _element_curves(data: pd.DataFrame) -> list[Curve]:
    curves = []
    for k, element in enumerate(data["element"].unique()):
        own = data[data["element"] == element]
        lag, msd, err = (own[c].to_numpy(float) for c in ("lag_ps", "msd_a2", "msd_err_a2"))
        curves.append(Curve(str(element), lag, msd, err, index=k))
    return curves


def _collective(view: CampaignView, material: str) -> Drawing:
    cases = _cases(view, material)

    def draw(axes: list[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=False):
            data = view.table(f"{case.folder}/conductivity.csv")
            lag = data["lag_ps"].to_numpy(float)
            pairs = (("tracer", ""), ("collective, per ion", "collective_"))
            curves = [
                Curve(
                    words,
                    lag,
                    data[f"{key}msd_a2"].to_numpy(float),
                    data[f"{key}msd_err_a2"].to_numpy(float),
                    index=k,
                )
                for k, (words, key) in enumerate(pairs)
            ]
            record = view.record(f"{case.folder}/conductivity.json")
            if record["d_sigma"]["value"] is not None:
                draw_window(ax, record["lag_window_ps"])
            draw_displacements(ax, curves, title=str(case))
        hide_unused(axes, len(cases))

    look_for = (
        "The distance between the curves where both have slope 1 is the Haven ratio: together for "
        "independent ions, collective above tracer where ions push each other along. The "
        "collective curve has one displacement a cell, not one an ion: its band is wide. Grey: the "
        "lags from which the collective conductivity is read."
    )
    return _panels(
        view, f"{material}-collective",
        "Collective against single-ion displacement of the mobile ions", draw, len(cases), look_for,
        [f"{c.folder}/conductivity.{{csv,json}}" for c in cases], sharey=True,
    )  # fmt: skip


def _single_runs(view: CampaignView, material: str) -> Drawing:
    cases = _cases(view, material)
    kinds = (("sigma_ne", "Nernst–Einstein σ (S/m)"), ("sigma_einstein", "collective σ (S/m)"))

    def draw(axes: list[Axes]) -> None:
        for row, case in enumerate(cases):
            data = view.table(f"{case.folder}/conductivity_runs.csv")
            for column, (kind, ylabel) in enumerate(kinds):
                own = data[["run", "lag_ps", f"{kind}_s_m"]]
                lines = [
                    (part["lag_ps"].to_numpy(float), part[f"{kind}_s_m"].to_numpy(float))
                    for _, part in own.groupby("run")
                ]
                mean = (lines[0][0], np.mean([y for _, y in lines], axis=0))
                draw_runs(
                    axes[2 * row + column], lines, mean, level=_level(view, case, kind),
                    ylabel=ylabel, title=str(case),
                    index=view.phases(material).index(case.phase),
                )  # fmt: skip
                _span_runs(axes[2 * row + column], mean[1])

    look_for = (
        "One line a run, and their mean. A conductivity is read where the lines are flat: at short "
        "lags the cage lifts them, at long ones a run has few independent displacements and the "
        "lines part, those of the whole cell (right) far more than those of single ions. Grey band "
        "or dotted line: what the slope says, with its interval or bound."
    )
    return _panels(
        view, f"{material}-runs", "Conductivity of every run", draw, 2 * len(cases), look_for,
        [f"{c.folder}/conductivity_runs.csv" for c in cases], 2.3,
    )  # fmt: skip


def _span_runs(ax: Axes, mean: Array) -> None:
    """Show what is within some decades of the mean's end: a run may touch zero."""
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, 0.02 * float(mean[-1]), 1e-12), high)


def _level(view: CampaignView, case: Case, kind: str) -> Level | None:
    claim = view.claim(case, kind)
    if claim is None:
        return None
    q = claim["quantity"]
    low, high = q["interval"]
    if high is None:
        return None
    if q["value"] is None:
        return Level(None, high, f"bound, {percent(q['level'])}")
    return Level(low, high, f"from the slope, {percent(q['level'])}")


def _series(view: CampaignView, material: str) -> Drawing:
    kinds = (("d_tracer", "D (m²/s)", False), ("sigma_einstein", "σ T (S K/m)", True))
    titles = ("tracer diffusion", "collective conductivity")
    phases = view.phases(material)

    def draw(axes: list[Axes]) -> None:
        for ax, (kind, ylabel, times_t), title in zip(axes, kinds, titles, strict=True):
            series = [_points(view, material, phase, kind, times_t) for phase in phases]
            draw_series(ax, series, ylabel=ylabel, title=title)

    look_for = (
        "A line means one mechanism; bands are its 68 % interval, which widens towards "
        "temperatures that were not run. Arrows are bounds (95 %), which do not enter the fit; a "
        "line far above an arrow would contradict it. With two temperatures the line is not tested."
    )
    files = [f"{material}/phases/{p}/arrhenius.json" for p in phases]
    return _panels(view, f"{material}-series", "Temperature series", draw, 2, look_for, files, 2.8)


def _points(view: CampaignView, material: str, phase: str, kind: str, times_t: bool) -> Series:
    values, limits = [], []
    for case in (c for c in view.of_material(material) if c.phase == phase):
        claim = view.claim(case, kind)
        if claim is None:
            continue
        q, t = claim["quantity"], float(case.temperature_k)
        factor = t if times_t else 1.0
        low, high = q["interval"]
        if q["value"] is not None:
            values.append([t, *(factor * x for x in (q["value"], low, high))])
        elif high is not None:
            limits.append((t, factor * high))
    fit = view.record(f"{material}/phases/{phase}/arrhenius.json")[kind]
    line = None
    t, value, low, high = np.reshape(np.array(values, dtype=np.float64), (-1, 4)).T
    if fit["line"]:
        t_line = np.array(fit["line"]["temperature_k"])
        factors = t_line if times_t else 1.0
        ends = [factors * np.array(fit["line"][k]) for k in ("value", "low", "high")]
        line = (t_line, ends[0], ends[1], ends[2])
    label = f"{phase}: {_energy(fit['activation_energy'])}"
    index = view.phases(material).index(phase)
    return Series(label, t, value, low, high, limits, line, index)


def _energy(quantity: Mapping[str, Any]) -> str:
    if quantity["value"] is None:
        return "no line"
    return f"{quantity['value']:.3f} ± {quantity['stderr']:.3f} eV"
