"""Figures and tables of sites and single ions: couplings by site, traces, angles, hopping ions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hopecho.correlation.regime import WORDS
from hopecho.figures.sites import draw_angles, draw_groups, draw_histograms, draw_trace
from hopecho.figures.style import WIDE_IN, hide_unused, render
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing, Html, file_name, items, join, table, tag
from hopecho.report.words import ABSENT, number, percent, quantity_text, say

LABELS = {"cq": "$|C_Q|$", "omega_q": r"$\omega_Q$, one field direction"}


def site_drawings(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw what tensors do site by site and ion by ion."""
    cases = sorted(view.echo_of(material), key=lambda c: (c.phase, c.temperature_k))
    coldest = {c.phase: c for c in reversed(cases)}
    cold = [c for c in cases if coldest[c.phase] == c]
    yield _histograms(view, material, cold)
    yield _traces(view, material, cold)
    yield _angles(view, material, cases)
    yield _groups(view, material, cases)


def _figure(
    view: CampaignView, name: str, draw: object, rows: int, cols: int, height: float, *said: object
) -> Drawing:
    title, look_for, files = said
    svg = render(
        name,
        draw,  # type: ignore[arg-type]
        rows=rows,
        cols=cols,
        size_in=(WIDE_IN, height * rows),
        label=str(title),
        footer=view.footer,
    )
    return Drawing(name, svg, str(title), str(look_for), list(files), wide=True)  # type: ignore[call-overload]


def _histograms(view: CampaignView, material: str, cases: list[Case]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        panels = [(c, q) for c in cases for q in LABELS]
        for ax, (case, quantity) in zip(axes, panels, strict=True):
            data = view.table(f"{case.folder}/site_histograms.csv")
            own = data[data["quantity"] == quantity]
            shown = {
                str(kind): (part["value_khz"].to_numpy(float), part["density"].to_numpy(float))
                for kind, part in own.groupby("kind")
            }
            draw_histograms(ax, shown, label=LABELS[quantity], title=str(case))

    return _figure(
        view,
        f"{material}-sites",
        draw,
        len(cases),
        2,
        2.1,
        "Couplings by kind of site",
        "Kinds of sites that differ in |C_Q| but overlap in ω_Q are told apart by the coupling and "
        "not by the echo of one crystal. Tensors are averaged over vibrations; a kind is named by "
        "the ligands around the ideal site.",
        [f"{c.folder}/site_histograms.csv" for c in cases],
    )


def _traces(view: CampaignView, material: str, cases: list[Case]) -> Drawing:
    data = {c: view.table(f"{c.folder}/ion_traces.csv") for c in cases}
    ions = {c: list(t.groupby(["replica", "ion"], sort=False)) for c, t in data.items()}
    rows = max(len(v) for v in ions.values())

    def draw(axes: list[Axes]) -> None:
        for k, case in enumerate(cases):
            for row in range(rows):
                ax = axes[row * len(cases) + k]
                if row >= len(ions[case]):
                    ax.set_axis_off()
                    continue
                (replica, ion), part = ions[case][row]
                columns = (part[c].to_numpy(float) for c in ("time_ps", "cq_khz", "hops"))
                draw_trace(ax, *columns, index=view.phases(case.material).index(case.phase))
                ax.set_title(f"{case}: ion {ion}, run {replica}", loc="left")

    return _figure(
        view,
        f"{material}-traces",
        draw,
        rows,
        len(cases),
        1.35,
        "Single ions",
        "Does the coupling step where the ion hops (grey lines)? Hops without a step do not show "
        "in the correlation, steps without a hop are rearrangements around the ion. The ions that "
        "hop most, and last the one that hops least.",
        [f"{c.folder}/ion_traces.csv" for c in cases],
    )


def _angles(view: CampaignView, material: str, cases: list[Case]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=False):
            data = view.table(f"{case.folder}/angles.csv")
            columns = (data[c].to_numpy(float) for c in ("theta_deg", "phi_deg", "density"))
            draw_angles(ax, *columns, title=str(case))
        hide_unused(axes, len(cases))

    return _figure(
        view,
        f"{material}-angles",
        draw,
        -(-len(cases) // 2),
        2,
        2.5,
        "Direction of the field in the principal axes",
        "A crystal has a few bright spots, one for each orientation of its sites; a glass is even. "
        "Where a crystal's spots melt into each other, ions visit everything in between.",
        [f"{c.folder}/angles.csv" for c in cases],
    )


def _groups(view: CampaignView, material: str, cases: list[Case]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=False):
            data = view.table(f"{case.folder}/acf_groups.csv")
            curves = [
                (f"{name} ({part['n_ions'].iloc[0]})", *_columns(part))
                for name, part in data.groupby("group", sort=False)
                # Where all ions hop, both curves are one.
                if name != "hop" or part["n_ions"].iloc[0] < data["n_ions"].iloc[0]
            ]
            exchange = view.record(f"{case.folder}/sites.json")["exchange"]
            curve = exchange["predicted_curve"] if exchange else None
            lines = (np.array(curve["lag_ps"]), np.array(curve["acf"])) if curve else None
            draw_groups(ax, curves, predicted=lines, title=str(case))
        hide_unused(axes, len(cases))

    return _figure(
        view,
        f"{material}-groups",
        draw,
        -(-len(cases) // 2),
        2,
        2.6,
        "Correlation by starting site, and of ions that hop",
        "In brackets the number of ions. Ions that hop are chosen by what they did in the run: "
        "their average always falls within it, and its time is no result. Dotted: what jumps "
        "without memory between the measured site tensors would give; where the measured curve "
        "stays above it, ions jump back.",
        [f"{c.folder}/acf_groups.csv" for c in cases],
    )


def _columns(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lag, acf, err = (part[c].to_numpy(float) for c in ("lag_ps", "acf", "acf_err"))
    return lag, acf, err


def site_table(view: CampaignView) -> Html:
    """Return rates between kinds of sites and the decay time that they predict."""
    rows: list[list[object]] = []
    lost: list[str] = []
    for case in view.echo_cases:
        record = view.record(f"{case.folder}/sites.json")
        exchange = record["exchange"]
        if record["sites_lost"]:
            lost.append(f"{case}: no sites, hops are those of cages. {record['sites_lost']}")
        if not exchange:
            continue
        fitted = view.claim(case, "tau_sae", "acf_powder")
        returns = exchange["return_share"]
        rows.append(
            [
                case.phase,
                case.temperature_k,
                say("tau_sae", exchange["tau_predicted"]),
                ABSENT if fitted is None else quantity_text("tau_sae", fitted["quantity"]),
                number(exchange["plateau_predicted"], 2),
                ABSENT if returns is None else percent(round(100 * returns) / 100),
                WORDS.get(exchange["seen_by"] or "", ABSENT),
                "; ".join(_rates(exchange)) or "no jump seen",
                file_name(f"{case.folder}/sites.json"),
            ]
        )
    if not rows and not lost:
        return Html("")
    head = [
        "phase", "T\u00a0(K)", "τ from jumps", "τ fitted", "b² from jumps", "jumps back",
        "seen by", "rates per ion on the site", "file",
    ]  # fmt: skip
    note = (
        "τ from jumps: integral time of the correlation that the counted jumps and the mean tensors"
        " of the sites give if jumps have no memory. Many jumps back mean that they have, and that "
        "the true decay is slower."
    )
    return join(
        (
            tag("h3", "Jumps between sites"),
            table(head, rows, numbers=[1]),
            tag("p", note, css="note"),
            items(lost) if lost else "",
        )
    )


def _rates(exchange: dict[str, object]) -> Iterator[str]:
    rates = exchange["rates"]
    assert isinstance(rates, dict)
    for name, quantity in rates.items():
        if quantity["value"] is not None:
            value = number(quantity["value"], 2)
            yield f"{name.replace('->', ' → ')} {value}\u00a0/s"
