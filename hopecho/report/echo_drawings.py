"""Figures of the echo with real pulses, spectral densities, grains, and hops against the stride."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hopecho.figures.echo import (
    Echo,
    Member,
    TimePoint,
    draw_densities,
    draw_echo_plateaus,
    draw_echoes,
    draw_family,
    draw_strides,
    draw_times,
)
from hopecho.figures.sites import draw_single_ions
from hopecho.figures.style import WIDE_IN, hide_unused, render
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.echo_tables import ROUTES
from hopecho.report.markup import Drawing
from hopecho.report.words import number
from hopecho.units import BOLTZMANN_EV_K


def echo_drawings(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw what an echo would see of a material, and what it rests on."""
    cases = view.echo_of(material)
    yield _times(view, material, cases)
    yield _single_ions(view, material, cases)
    yield _strides(view, material, cases)
    yield _densities(view, material, cases)
    yield _echoes(view, material, cases)
    if any(e["curves"] for e in _families(view, material)):
        yield _family(view, material)


def _phases(cases: Sequence[Case]) -> list[str]:
    return list(dict.fromkeys(c.phase for c in cases))


def _drawing(
    view: CampaignView,
    name: str,
    draw: Callable[[list[Axes]], None],
    shape: tuple[int, int],
    height: float,
    said: tuple[str, str],
    files: Sequence[str],
) -> Drawing:
    svg = render(
        name,
        draw,
        rows=shape[0],
        cols=shape[1],
        size_in=(WIDE_IN, height * shape[0]),
        label=said[0],
        footer=view.footer,
    )
    return Drawing(name, svg, *said, list(files), wide=True)


def _times(view: CampaignView, material: str, cases: Sequence[Case]) -> Drawing:
    lines = {
        e["phase"]: (e["activation_energy"]["value"] / BOLTZMANN_EV_K, float(np.log(e["tau0_ns"])))
        for e in view.summary["activation_energy"]
        if e["material"] == material and e["activation_energy"]["value"] is not None
    }
    phases = view.phases(material)
    points: dict[str, list[TimePoint]] = {p: [] for p in phases}
    predicted = []
    for case in cases:
        claim = view.claim(case, "tau_sae", "acf_powder")
        if claim is not None:
            points[case.phase].append(_point(case, claim["quantity"]))
        exchange = view.record(f"{case.folder}/sites.json")["exchange"]
        if exchange:
            predicted.append((phases.index(case.phase), _point(case, exchange["tau_predicted"])))

    def draw(axes: list[Axes]) -> None:
        own = [(p, points[p], lines.get(p)) for p in phases]
        draw_times(axes[0], own, predicted=predicted)

    said = (
        "Decay time of the powder curve against temperature",
        "Bars are 68 % intervals, arrows 95 % bounds, lines weighted fits through resolved times; "
        "with two temperatures a line goes through both and nothing tests it. Open: the time that "
        "counted jumps between sites give without memory.",
    )
    files = [f"{c.folder}/{name}" for c in cases for name in ("acf_powder.json", "sites.json")]
    return _drawing(view, f"{material}-times", draw, (1, 1), 2.7, said, files)


def _point(case: Case, quantity: Mapping[str, Any]) -> TimePoint:
    return TimePoint(case.temperature_k, quantity["value"], *quantity["interval"])


def _single_ions(view: CampaignView, material: str, cases: Sequence[Case]) -> Drawing:
    """Every ion's own correlation of |C_Q|, by the site that it starts from."""
    ions = {c: view.record(f"{c.folder}/sites.json")["ions"] for c in cases}
    kinds = {
        p: sorted({i["start"] for c, own in ions.items() if c.phase == p for i in own})
        for p in _phases(cases)
    }

    def draw(axes: list[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=False):
            table = view.table(f"{case.folder}/acf_ions.csv")
            start = {(i["replica"], i["ion"]): str(i["start"]) for i in ions[case]}
            mean = table.groupby("lag_ps")["acf_cq_khz2"].mean()
            curves = []
            for (run, ion), part in table.groupby(["replica", "ion"], sort=False):
                lag, acf = (part[c].to_numpy(float) for c in ("lag_ps", "acf_cq_khz2"))
                curves.append((start[int(str(run)), int(str(ion))], lag, acf))
            average = (mean.index.to_numpy(float), mean.to_numpy(float))
            draw_single_ions(ax, curves, average, kinds=kinds[case.phase], title=str(case))
        hide_unused(axes, len(cases))

    said = (
        "Correlation of |C_Q|, ion by ion",
        "One thin line an ion, its colour the kind of site that it starts from; black, the mean "
        "over all. The mean over all ions and times is removed, no ion's own: ions that stay on a "
        "site keep a level of their own, and a line that falls towards zero has visited other "
        "couplings.",
    )
    files = [f"{c.folder}/acf_ions.csv" for c in cases]
    shape = (-(-len(cases) // 2), 2)
    return _drawing(view, f"{material}-ions", draw, shape, 2.5, said, files)


def _strides(view: CampaignView, material: str, cases: Sequence[Case]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        for ax, phase in zip(axes, _phases(cases), strict=True):
            own = [c for c in cases if c.phase == phase]
            draw_strides(ax, [r for c in own if (r := _rates(view, c))], title=phase)

    said = (
        "Hop rate against the time between frames",
        "A rate that falls with the stride counts ions that hop and return between frames; where "
        "it is flat to the left, the frames of the run are dense enough. From the residence time "
        "(transport.hop_window_ps) on, single frames count as stays, which adds excursions. Bars: "
        "68 % Poisson intervals of the counts. Rates without a hop are not drawn.",
    )
    files = [f"{c.folder}/sites.json" for c in cases]
    shape = (1, len(_phases(cases)))
    return _drawing(view, f"{material}-strides", draw, shape, 2.5, said, files)


def _rates(view: CampaignView, case: Case) -> tuple[str, Any, Any, Any, Any] | None:
    found = view.record(f"{case.folder}/sites.json")["rate_against_stride"]
    seen = [(e["stride_ps"], e["rate"]) for e in found if e["rate"]["value"] is not None]
    if not seen:
        return None
    columns = np.array([(s, q["value"], *q["interval"]) for s, q in seen]).T
    return (f"{case.temperature_k} K", *columns)


def _densities(view: CampaignView, material: str, cases: Sequence[Case]) -> Drawing:
    larmor: list[float] = []

    def draw(axes: list[Axes]) -> None:
        for ax, phase in zip(axes, _phases(cases), strict=True):
            curves = []
            for case in (c for c in cases if c.phase == phase):
                fields = view.record(f"{case.folder}/relaxation.json")["fields"]
                larmor[:] = [f["larmor_mhz"] for f in fields]
                if view.record(f"{case.folder}/acf_powder.json")["tau_sae"]["value"] is None:
                    continue
                table = view.table(f"{case.folder}/spectral_density.csv")
                nu, fit, seen = (
                    table[c].to_numpy(float) for c in ("frequency_mhz", "j_fit_ps", "j_hann_ps")
                )
                curves.append((f"{case.temperature_k} K", nu, fit, seen))
            draw_densities(ax, curves, larmor_mhz=larmor, title=_density_title(phase, curves))

    said = (
        "Spectral density of the fluctuating tensor",
        "Line: the headline fit; points: the curve itself without a fit (Hann window). T₁ rests on "
        "J at the Larmor frequency (grey lines, one a field) and at twice it (dotted): where "
        "points and line part there, the fit's T₁ is not to be trusted. Points above the line at "
        "high frequency are vibrations, which the fit leaves out. Only of resolved decays.",
    )
    files = [f"{c.folder}/spectral_density.csv" for c in cases]
    shape = (1, len(_phases(cases)))
    return _drawing(view, f"{material}-density", draw, shape, 2.5, said, files)


def _density_title(phase: str, curves: Sequence[object]) -> str:
    return phase if curves else f"{phase}: no resolved decay"


def _echoes(view: CampaignView, material: str, cases: Sequence[Case]) -> Drawing:
    def draw(axes: list[Axes]) -> None:
        for k, case in enumerate(cases):
            echoes = _signals(view, case)
            draw_echoes(axes[2 * k], echoes, title=str(case))
            draw_echo_plateaus(axes[2 * k + 1], echoes, ROUTES)

    said = (
        "The echo with real pulses",
        "Left: S₂ against the mixing time, a colour for each evolution time, a line style for each "
        "route (named on the right). A flat line is a plateau: the decay of the tensors is over "
        "before the pulses are, and no decay time can be measured. Right: what is left at the "
        "longest mixing time; where routes differ, the echo is not known from these runs. Dotted: "
        "9/20, the largest signal of a spin 3/2.",
    )
    files = [f"{c.folder}/{name}" for c in cases for name in ("sae.csv", "sites.json")]
    return _drawing(view, f"{material}-echo", draw, (len(cases), 2), 2.3, said, files)


def _signals(view: CampaignView, case: Case) -> list[Echo]:
    table = view.table(f"{case.folder}/sae.csv")
    echoes = [
        Echo(str(route), float(str(tp)), part["tm_us"].to_numpy(float), part["s2"].to_numpy(float))
        for (route, tp), part in table.groupby(["route", "tp_us"], sort=False)
    ]
    jumps = view.record(f"{case.folder}/sites.json")["echo"]
    for echo in jumps["routes"]["exchange"]["echoes"] if jumps else ():
        tm, s2 = (np.array(echo[name]) for name in ("tm_us", "s2"))
        echoes.append(Echo("exchange", echo["tp_us"], tm, s2))
    return echoes


def _families(view: CampaignView, material: str) -> list[Mapping[str, Any]]:
    return [e for e in view.summary["microstructure"] if e["material"] == material]


def _family(view: CampaignView, material: str) -> Drawing:
    families = [e for e in _families(view, material) if e["curves"]]

    def draw(axes: list[Axes]) -> None:
        for ax, entry in zip(axes, families, strict=False):
            time = np.array(entry["time_ns"])
            members = [
                Member(c["name"], time, np.array(c["acf"]), c["exchange_ms"])
                for c in entry["curves"]
            ]
            draw_family(ax, members, title=f"{entry['temperature_k']} K")
        hide_unused(axes, len(families))

    said = (
        "From glass to single crystal: a model",
        f"{_sentence(families[0]['model'])}. Inside glass: {families[0]['inside']['glass']}; "
        f"inside grains: {families[0]['inside']['crystal']} (first panel). Grey: times that an "
        "echo resolves. " + _radii(families[0]),
    )
    shape = (-(-len(families) // 2), 2)
    return _drawing(view, f"{material}-grains", draw, shape, 2.9, said, ["summary.json"])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _radii(entry: Mapping[str, Any]) -> str:
    """Size of the grains that the exchange times mean with the crystal's diffusion."""
    parts = []
    for grain in entry["grains"]:
        low, high = grain["radius_nm"]
        if high is None:
            continue
        size = f"{number(high, 2)} nm" if low == high else f"less than {number(high, 2)} nm"
        parts.append(f"{grain['exchange_ms']:g} ms: {size}")
    if not parts:
        return "How large such grains are is not known: the crystal's diffusion is not."
    return f"Radius of grains left in, with the crystal's diffusion: {'; '.join(parts)}."
