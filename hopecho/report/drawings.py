"""The figures of the page; here those of the production runs: data, panels, what to look for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from hopecho.figures.curves import (
    Curve,
    Decay,
    draw_decays,
    draw_pair_distributions,
)
from hopecho.figures.style import COLUMN_IN, WIDE_IN, hide_unused, render
from hopecho.report.campaign import CampaignView, Case, settings_of
from hopecho.report.echo_drawings import echo_drawings
from hopecho.report.markup import Drawing
from hopecho.report.model_drawings import (
    convergence,
    cost_bars,
    learning,
    parity,
    uncertainty,
)
from hopecho.report.r_phi import r_phi_drawings
from hopecho.report.site_drawings import site_drawings
from hopecho.report.tensor_drawings import efg_learning, orientations
from hopecho.report.transport_drawings import transport_drawings
from hopecho.report.van_hove import van_hove, van_hove_maps
from hopecho.report.vibrations import burst_drawings
from hopecho.report.words import quantity_text

YLABELS: Mapping[str, str] = {
    "acf_powder": "powder ACF  C(t)/C(0)",
    "acf_omega_q": r"$\omega_Q$ ACF  C(t)/C(0)",
    "acf_cq": "$|C_Q|$ ACF  C(t)/C(0)",
}


def drawings(view: CampaignView, ledger: pd.DataFrame) -> list[Drawing]:
    """Draw every figure of the page, in order."""
    figures: list[Drawing] = []
    for material in view.materials:
        echo = view.echo_of(material)
        decays = (_powder(view, material), _other_decays(view, material)) if echo else ()
        figures += [
            *decays,
            *(site_drawings(view, material) if echo else ()),
            *(echo_drawings(view, material) if echo else ()),
            *transport_drawings(view, material),
            *_pair_distributions(view, material),
            van_hove(view, material),
            van_hove_maps(view, material),
            *r_phi_drawings(view, material),
            *burst_drawings(view, material),
            *(_models(view, material) if view.learned(material) else ()),
        ]
    return [*figures, cost_bars(view, ledger)]


def _models(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw how good the potential and the model of the tensors are."""
    yield from parity(view, material)
    yield from uncertainty(view, material)
    if "file" not in view.summary["fit"][material]:
        yield learning(view, material)
    yield convergence(view, material)
    if view.tested(material):
        yield orientations(view, material)
        if "file" not in view.summary["efg"][material]:
            yield efg_learning(view, material)


def _index(view: CampaignView, case: Case) -> int:
    return view.phases(case.material).index(case.phase)


def _decay(view: CampaignView, case: Case, name: str) -> Decay:
    data = view.table(f"{case.folder}/{name}.csv")
    record = view.record(f"{case.folder}/{name}.json")
    tau = record["tau_sae"]
    said = quantity_text("tau_sae", tau).partition(" (")[0]
    said = f"τ = {said}" if tau["verdict"] == "resolved" else said.replace(", ", "\n", 1)
    return Decay(
        Curve(
            f"{case.phase}: {said}",
            data["lag_ps"].to_numpy(dtype=float),
            data[name].to_numpy(dtype=float),
            data[f"{name}_err"].to_numpy(dtype=float),
            index=_index(view, case),
        ),
        record["fits"],
        settings_of(record).get("t_min_ps"),
    )


def _at(cases: Sequence[Case], temperature: int) -> list[Case]:
    return [c for c in cases if c.temperature_k == temperature]


def _echo_temperatures(view: CampaignView, material: str) -> list[int]:
    return list(dict.fromkeys(c.temperature_k for c in view.echo_of(material)))


def _powder(view: CampaignView, material: str) -> Drawing:
    cases, temperatures = view.echo_of(material), _echo_temperatures(view, material)
    cols = min(2, len(temperatures))
    rows = -(-len(temperatures) // cols)

    def draw(axes: list[Axes]) -> None:
        for ax, temperature in zip(axes, temperatures, strict=False):
            decays = [_decay(view, c, "acf_powder") for c in _at(cases, temperature)]
            draw_decays(ax, decays, ylabel=YLABELS["acf_powder"], title=f"{temperature} K")
        hide_unused(axes, len(temperatures))

    name = f"{material}-powder"
    title = "Powder-averaged correlation of the tensor"
    return Drawing(
        name,
        render(
            name,
            draw,
            rows=rows,
            cols=cols,
            size_in=(WIDE_IN if cols == 2 else 1.4 * COLUMN_IN, 2.9 * rows),
            label=title,
            footer=view.footer,
        ),
        title,
        "Does a curve fall after the vibrations (grey region) by more than its band, and does it "
        "flatten to a plateau? What is lost before the grey region are vibrations, which an echo "
        "does not see. Where the two fits part, the shape of the decay is not known. The value at "
        "t = 0 is 1 and has no place on a log axis.",
        _files(view, material, "acf_powder.{csv,json}"),
        wide=True,
    )


def _files(view: CampaignView, material: str, *names: str) -> list[str]:
    """Name files of all phases and temperatures, alternatives in braces as in a shell."""
    phases = _either(view.phases(material))
    temperatures = _either([str(t) for t in view.temperatures(material)])
    return [f"{material}/phases/{phases}/{temperatures}K/{name}" for name in names]


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else "{" + ",".join(words) + "}"


def _other_decays(view: CampaignView, material: str) -> Drawing:
    cases, temperatures = view.echo_of(material), _echo_temperatures(view, material)
    names = ("acf_omega_q", "acf_cq")

    def draw(axes: list[Axes]) -> None:
        panels = [(t, n) for t in temperatures for n in names]
        for ax, (temperature, name) in zip(axes, panels, strict=True):
            decays = [_decay(view, c, name) for c in _at(cases, temperature)]
            draw_decays(ax, decays, ylabel=YLABELS[name], title=f"{temperature} K")

    name = f"{material}-axes"
    title = "Correlation of ω_Q for one field direction, and of |C_Q|"
    return Drawing(
        name,
        render(
            name,
            draw,
            rows=len(temperatures),
            cols=2,
            size_in=(WIDE_IN, 2.9 * len(temperatures)),
            label=title,
            footer=view.footer,
        ),
        title,
        "In a crystal the plateau of ω_Q depends on the field direction: a verdict must agree with "
        "the powder average. |C_Q| (its mean removed) follows the size of the coupling alone; it "
        "may stay while orientations decay, or the reverse.",
        _files(view, material, *(f"{n}.{{csv,json}}" for n in names)),
        wide=True,
    )


def _pair_distributions(view: CampaignView, material: str) -> Iterator[Drawing]:
    for temperature in view.temperatures(material):
        cases = _at(view.of_material(material), temperature)
        data = {c: view.table(f"{c.folder}/rdf.csv") for c in cases}
        yield _pair_figure(view, material, temperature, data)


def _unordered_pairs(columns: Sequence[str]) -> list[tuple[str, str]]:
    named = [c.removeprefix("g_").split("-") for c in columns if c.startswith("g_")]
    elements = list(dict.fromkeys(a for a, _ in named))
    known = {(a, b) for a, b in named}
    return [(a, b) for k, a in enumerate(elements) for b in elements[k:] if (a, b) in known]


def _pair_figure(
    view: CampaignView, material: str, temperature: int, data: Mapping[Case, pd.DataFrame]
) -> Drawing:
    pairs = _unordered_pairs(list(next(iter(data.values())).columns))

    def draw(axes: list[Axes]) -> None:
        for k, (ax, (a, b)) in enumerate(zip(axes, pairs, strict=False)):
            curves = [
                Curve(
                    case.phase,
                    table["r_angstrom"].to_numpy(dtype=float),
                    table[f"g_{a}-{b}"].to_numpy(dtype=float),
                    index=_index(view, case),
                )
                for case, table in data.items()
            ]
            draw_pair_distributions(ax, curves, title=f"{a}–{b}")
            if k == 0:
                ax.set_ylim(top=1.45 * ax.get_ylim()[1])
                ax.legend(loc="upper right")
        hide_unused(axes, len(pairs))

    rows = -(-len(pairs) // 3)
    name = f"{material}-rdf-{temperature}"
    title = f"Pair distribution functions at {temperature} K"
    return Drawing(
        name,
        render(
            name,
            draw,
            rows=rows,
            cols=3,
            size_in=(WIDE_IN, 1.9 * rows),
            label=title,
            footer=view.footer,
        ),
        title,
        "Polyanions intact: one sharp first peak of centre and ligand and zero behind it. A glass: "
        "broad peaks between the centres and g(r) near 1 at large r; sharp peaks there mean that a "
        "melt kept the crystal's order. Curves end at half the shortest width of the cell.",
        [f"{c.folder}/rdf.csv" for c in data],
        wide=True,
    )
