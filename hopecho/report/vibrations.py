"""Figures of the bursts (spectra, Green-Kubo integrals) and of the polyanions, and a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hopecho.dynamics.vibrations import Vdos, difference
from hopecho.figures.curves import Curve
from hopecho.figures.style import COLUMN_IN, WIDE_IN, hide_unused, render
from hopecho.figures.vibrations import (
    draw_distribution,
    draw_running_integral,
    draw_spectra,
    spectrum_end,
)
from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Drawing, Html, tag

ANGLES: Mapping[str, tuple[str, str]] = {
    "tilt_angle": ("ligand–ligand–ligand angle (°)", "density (1/°)"),
    "angular_velocity": ("rate of that angle (°/ps)", "density (ps/°)"),
    "rotation": ("rotation of the unit (°/ps)", "density (ps/°)"),
}
"""Quantity of rotation.csv -> labels of its axes."""


def burst_drawings(view: CampaignView, material: str) -> Iterator[Drawing]:
    """Draw what the bursts say, and the polyanions; nothing that the campaign does not have."""
    if _temperatures(view, material):
        yield from (_spectra(view, material, t) for t in _temperatures(view, material))
        yield _integrals(view, material)
    if any(c["claim"] == "tilt_angle_width" for c in view.summary["claims"]):
        yield _angles(view, material)


def _cases(view: CampaignView, material: str, temperature: int) -> list[Case]:
    return [c for c in view.of_material(material) if c.temperature_k == temperature]


def _sampled(view: CampaignView, material: str, temperature: int) -> list[Case]:
    """Those with bursts, which trajectories of the user's own have not."""
    found = _cases(view, material, temperature)
    return [c for c in found if view.claim(c, "band_centre") is not None]


def _temperatures(view: CampaignView, material: str) -> list[int]:
    return [t for t in view.temperatures(material) if _sampled(view, material, t)]


def _spectrum(data: pd.DataFrame) -> tuple[Vdos, Vdos]:
    """Smoothed states per ion (area 3), and their errors as they are."""
    values, errors = {}, {}
    nu = data["wavenumber_cm1"].unique().astype(float)
    for element, own in data.groupby("element", sort=False):
        g, err = (own[c].to_numpy(float) for c in ("vdos_per_cm1", "vdos_err_per_cm1"))
        per_ion = 3.0 / np.trapezoid(g, nu)
        values[str(element)], errors[str(element)] = g * per_ion, err * per_ion
    return Vdos(nu, values).smoothed(), Vdos(nu, errors)


def _spectra(view: CampaignView, material: str, temperature: int) -> Drawing:
    cases = _sampled(view, material, temperature)
    spectra = [_spectrum(view.table(f"{c.folder}/vdos.csv")) for c in cases]
    elements = list(spectra[0][0].g)
    cols = 2 if len(cases) > 1 else 1
    everything = [Curve("", s.wavenumber_cm1, g) for s, _ in spectra for g in s.g.values()]
    end = spectrum_end(everything)

    def draw(axes: list[Axes]) -> None:
        for row, element in enumerate(elements):
            curves = [
                Curve(
                    f"{case.phase}{_centre(view, case, element)}",
                    mean.wavenumber_cm1,
                    mean.g[element],
                    err.g[element],
                    index=view.phases(material).index(case.phase),
                )
                for case, (mean, err) in zip(cases, spectra, strict=True)
            ]
            draw_spectra(axes[cols * row], curves, end_cm1=end, title=element)
            if cols == 2:
                changes = _differences(view, material, cases, spectra, element)
                ax = axes[cols * row + 1]
                draw_spectra(ax, changes, end_cm1=end, title=element, difference=True)

    name = f"{material}-vdos-{temperature}"
    title = f"Vibrations of each element at {temperature} K"
    compared = (
        f" Right: the difference to {cases[0].phase}; what stays within its band is no difference."
        if cols == 2
        else ""
    )
    svg = render(
        name,
        draw,
        rows=len(elements),
        cols=cols,
        size_in=(WIDE_IN if cols == 2 else 1.4 * COLUMN_IN, 1.9 * len(elements)),
        label=title,
        footer=view.footer,
    )
    look_for = (
        "States per ion and wavenumber, area 3; in the legend the band centre. Where bands of "
        "mobile ions overlap those of the framework, the framework can help them to hop. Bands: "
        f"one standard error over bursts, before smoothing.{compared}"
    )
    return Drawing(name, svg, title, look_for, [f"{c.folder}/vdos.csv" for c in cases], wide=True)


def _centre(view: CampaignView, case: Case, element: str) -> str:
    claim = view.claim(case, "band_centre", element)
    if claim is None:
        return ""
    q = claim["quantity"]
    digits = 1 if q["stderr"] < 1.0 else 0
    return f": {q['value']:.{digits}f} ± {q['stderr']:.{digits}f} cm⁻¹"


def _differences(
    view: CampaignView,
    material: str,
    cases: list[Case],
    spectra: list[tuple[Vdos, Vdos]],
    element: str,
) -> list[Curve]:
    base, base_err = spectra[0]
    curves = []
    for case, (mean, err) in zip(cases[1:], spectra[1:], strict=True):
        change = difference(mean, base)
        nu = change.wavenumber_cm1
        both = (np.interp(nu, e.wavenumber_cm1, e.g[element]) for e in (err, base_err))
        curves.append(
            Curve(
                f"{case.phase} − {cases[0].phase}",
                nu,
                change.g[element],
                np.hypot(*both),
                index=view.phases(material).index(case.phase),
            )
        )
    return curves


def _integrals(view: CampaignView, material: str) -> Drawing:
    temperatures = _temperatures(view, material)

    def draw(axes: list[Axes]) -> None:
        for ax, temperature in zip(axes, temperatures, strict=False):
            curves, levels, cuts = [], [], []
            for case in _sampled(view, material, temperature):
                data = view.table(f"{case.folder}/current.csv")
                lag, sigma, err = (
                    data[c].to_numpy(float) for c in ("lag_ps", "sigma_gk_s_m", "sigma_gk_err_s_m")
                )
                index = view.phases(material).index(case.phase)
                curves.append(Curve(case.phase, lag, sigma, err, index=index))
                claim = view.claim(case, "sigma_einstein")
                if claim is not None and claim["quantity"]["value"] is not None:
                    levels.append((index, claim["quantity"]["value"]))
                cuts += [(index, *cut) for cut in _cut(view, case)]
            draw_running_integral(ax, curves, levels=levels, cuts=cuts, title=f"{temperature} K")
        hide_unused(axes, len(temperatures))

    cols = min(2, len(temperatures))
    rows = -(-len(temperatures) // cols)
    name = f"{material}-current"
    title = "Green-Kubo integral of the current"
    svg = render(
        name,
        draw,
        rows=rows,
        cols=cols,
        size_in=(WIDE_IN if cols == 2 else 1.4 * COLUMN_IN, 2.4 * rows),
        label=title,
        footer=view.footer,
    )
    look_for = (
        "A conductivity is read where the integral has become flat; while it still swings with the "
        "vibrations there is only a bound. Black: the value at the cut that its error chose. "
        "Dotted: the collective conductivity from positions, where it is resolved. Bands: one "
        "standard error over bursts."
    )
    cases = [c for t in temperatures for c in _sampled(view, material, t)]
    files = [f"{c.folder}/current.{{csv,json}}" for c in cases]
    return Drawing(name, svg, title, look_for, files, wide=cols == 2)


def _cut(view: CampaignView, case: Case) -> Iterator[tuple[float, float, float]]:
    """Where the conductivity is read, its value and error; nothing where there is only a bound."""
    claim = view.claim(case, "sigma_gk")
    if claim is not None and claim["quantity"]["value"] is not None:
        cut = view.record(f"{case.folder}/current.json")["cut_ps"]
        yield cut, claim["quantity"]["value"], claim["quantity"]["stderr"]


def _angles(view: CampaignView, material: str) -> Drawing:
    tables = {c: view.table(f"{c.folder}/rotation.csv") for c in view.of_material(material)}
    names = [q for q in ANGLES if any((t["quantity"] == q).any() for t in tables.values())]
    temperatures = view.temperatures(material)

    def draw(axes: list[Axes]) -> None:
        for row, temperature in enumerate(temperatures):
            for column, quantity in enumerate(names):
                curves = [
                    _distribution(view, case, tables[case], quantity)
                    for case in _cases(view, material, temperature)
                    if (tables[case]["quantity"] == quantity).any()
                ]
                ax = axes[row * len(names) + column]
                xlabel, ylabel = ANGLES[quantity]
                draw_distribution(ax, curves, xlabel=xlabel, ylabel=ylabel)
                if column == 0:
                    ax.set_title(f"{temperature} K", loc="left")
                    ax.legend(loc="upper right", handlelength=1.6)

    name = f"{material}-rotation"
    title = "Angles of the polyanions, and how fast they change"
    svg = render(
        name,
        draw,
        rows=len(temperatures),
        cols=len(names),
        size_in=(WIDE_IN, 2.2 * len(temperatures)),
        label=title,
        footer=view.footer,
    )
    look_for = (
        "60° is a regular tetrahedron; shoulders and unequal tails are distorted or anharmonic "
        "units. Rates are from velocities; the rotation is that of the unit as a rigid body, about "
        "any axis. Bands: one standard error over runs."
    )
    files = [f"{c.folder}/rotation.{{csv,json}}" for c in tables]
    return Drawing(name, svg, title, look_for, files, wide=True)


def _distribution(view: CampaignView, case: Case, table: pd.DataFrame, quantity: str) -> Curve:
    own = table[table["quantity"] == quantity]
    names = ("value", "density_per_unit", "density_err_per_unit")
    x, y, err = (own[c].to_numpy(float) for c in names)
    return Curve(case.phase, x, y, err, index=view.phases(case.material).index(case.phase))


def current_note(view: CampaignView) -> Html:
    """Say for every phase and temperature why the Green-Kubo conductivity has no value."""
    said = []
    for case in view.cases:
        claim = view.claim(case, "sigma_gk")
        if claim is not None and claim["reason"]:
            said.append(f"{case}: {claim['reason']}")
    if not said:
        return Html("")
    return tag("p", f"Green-Kubo, no value: {'; '.join(said)}.", css="note")
