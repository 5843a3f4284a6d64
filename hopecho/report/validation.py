"""The validation on the page: distances of all observables, the whole chain, and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from hopecho.figures.curves import (
    Curve,
    Decay,
    draw_decays,
    draw_displacements,
    draw_pair_distributions,
)
from hopecho.figures.style import WIDE_IN, hide_unused, look, render
from hopecho.io.results import read_csv, read_json
from hopecho.report.markup import Drawing, Html, join, table, tag
from hopecho.report.template import page
from hopecho.report.validation_maps import around_drawing
from hopecho.report.words import ABSENT, greek, number, quantity_text
from hopecho.validation.end_to_end import NAMES, PARTS, SETS

SIDE_NAMES: Mapping[str, str] = {"ufp": "UFP", "reference": "surface"}
SET_NAMES: Mapping[str, str] = {
    "ufp_model": "UFP-MD, EFG model",
    "ufp_exact": "UFP-MD, exact EFG",
    "reference_exact": "surface MD, exact EFG",
}
PART_NAMES: Mapping[str, str] = {
    "efg_model": "EFG model",
    "ufp": "UFP (± statistics)",
    "total": "whole chain",
}


def validation_page(results: Path, records: Sequence[Path]) -> str:
    """Return the validation as a page of its own.

    Parameters
    ----------
    results : Path
        The campaign's folder, from which files are named.
    records : sequence of Path
        ``validation/{phase}.json`` of every phase, each with its ``.csv`` beside it.
    """
    source = read_json(records[0])["provenance"]["labels"]
    said = (
        f"The truth here is the {source}, which made the labels and runs the reference MD itself: "
        "it is not DFT, and its numbers are not those of the real material."
    )
    banner = tag("div", tag("div", f"labels: {source}", css="source"), tag("p", said), css="banner")
    section = ("validation", "Against the surface itself", validation_section(results, records))
    return page("Validation of the potential and the EFG model", banner, [section])


def validation_section(results: Path, records: Sequence[Path]) -> Html:
    """Return tables and figures of every phase; parameters as `validation_page`."""
    parts: list[Html] = [
        tag(
            "p",
            "Runs of the potential (UFP) and of the model surface that made its labels, from the "
            "same starting structures with other velocities. A distance is positive even between "
            "equal sides: what relabelling the runs gives by chance stands beside it, and a "
            "distance is called different where chance explains it in less than 5 % of cases.",
        )
    ]
    for path in records:
        record, data = read_json(path), read_csv(path.with_suffix(".csv"))
        material = path.parent.parent.name
        title = f"{material}, {path.stem}, {record['temperature_k']} K"
        files = [str(f.relative_to(results)) for f in (path, path.with_suffix(".csv"))]
        parts += [tag("h3", title), _summary(record), _battery(record)]
        if record["echo"]:
            parts += [_sets(record["echo"]), _shifts(record["echo"])]
        footer = f"labels: {record['provenance']['labels']}"
        drawings = _drawings(f"{material}-{path.stem}", title, record, data, files, footer)
        parts.append(tag("div", *(d.markup() for d in drawings), css="figures"))
    return join(parts)


def _summary(record: Mapping[str, Any]) -> Html:
    different = record["different"]
    n = len(record["battery"])
    said = (
        f"{record['n_runs']} runs of {record['run_ps']:g} ps on each side. Of {n} observables "
        f"{len(different)} differ by more than chance"
        + (f": {', '.join(different)}" if different else "")
        + f" ({0.05 * n:.1f} would among equal sides)."
    )
    parts = [tag("p", said)]
    if record["echo"]:
        parts.append(
            tag("p", "UFP-MD with EFG model against surface MD with exact EFG: ",
                greek(record["echo"]["statement"]), ".")
        )  # fmt: skip
    if record["failed_gates"]:
        parts.append(tag("p", f"Runs with a failed gate: {', '.join(record['failed_gates'])}."))
    return join(parts)


def _battery(record: Mapping[str, Any]) -> Html:
    rows = []
    for name, entry in record["battery"].items():
        distance = entry["distance"]
        unit = "" if distance["unit"] == "1" else f" {distance['unit']}"
        values = (number(entry.get("ufp")), number(entry.get("reference")))
        rows.append(
            [
                name,
                KINDS[entry["kind"]],
                *(v if "ufp" in entry else "" for v in values),
                quantity_text("distance", distance),
                f"{number(entry['by_chance'], 2)}{unit}",
                f"{entry['p_value']:.2g}",
            ]
        )
    head = ["observable", "distance", "UFP", "surface", "of the two sides", "by chance", "p"]
    return table(head, rows, numbers=[2, 3, 5, 6])


KINDS: Mapping[str, str] = {
    "l1_shells": "share of neighbours elsewhere",
    "l1": "share of pairs elsewhere",
    "wasserstein": "Wasserstein",
    "log_ratio": "|ln ratio|",
    "difference": "difference",
}


def _duration_us(key: str) -> float:
    return float(key.removesuffix("us"))


def _sets(echo: Mapping[str, Any]) -> Html:
    rows = []
    for name in SETS:
        s = echo["sets"][name]
        s2 = "; ".join(
            f"{_duration_us(tp):g} µs: {number(q['value'])} ± {number(q['stderr'], 2)}"
            for tp, q in sorted(s["s2_frozen"].items(), key=lambda item: _duration_us(item[0]))
        )
        rows.append(
            [
                SET_NAMES[name],
                quantity_text("tau_sae", s["tau_sae"]),
                quantity_text("plateau_b2", s["plateau_b2"]),
                quantity_text("vibrational_amplitude", s["vibrational_amplitude"]),
                f"{s['last_lag']:.3f} ± {s['last_lag_err']:.3f}",
                f"{s['rms_omega_q_khz']:.2f}",
                s2,
            ]
        )
    last = f"C at {echo['fitted_lags_ps'][1]:.3g} ps"
    head = ["tensors", "τ", "b²", "1 − A", last, "rms ω_Q (kHz)", "S2 (tensors frozen at the mean)"]
    return table(head, rows, numbers=[4, 5])


def _shifts(echo: Mapping[str, Any]) -> Html:
    rows = []
    for quantity in _order(echo["shifts"]):
        parts = echo["shifts"][quantity]
        name = NAMES.get(quantity, quantity.replace("s2_", "S2, tp = ").replace("us", " µs"))
        rows.append([greek(name), *(_shift(quantity, parts.get(part)) for part in PARTS)])
    head = ["shift of", *(PART_NAMES[part] for part in PARTS)]
    return table(head, rows)


def _order(shifts: Mapping[str, Any]) -> list[str]:
    """Parameters of the decay first, then S2 by its evolution time."""
    echoes = [name for name in shifts if name.startswith("s2_")]
    echoes.sort(key=lambda name: float(name.removeprefix("s2_").removesuffix("us")))
    return [*(name for name in NAMES if name in shifts), *echoes]


def _shift(quantity: str, entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ABSENT
    d = entry["difference"]
    value, error, unit = d["value"], d["stderr"], "" if d["unit"] == "1" else f" {d['unit']}"
    if quantity == "log_tau_sae":
        value, error, unit = 100.0 * math.expm1(value), 100.0 * math.exp(value) * error, " %"
    sign = "+" if value > 0 else ""
    verdict = "equal" if entry["equal"] else "different"
    return f"{sign}{number(value)} ± {number(error, 2)}{unit}: {verdict}"


def _curves(
    data: pd.DataFrame, observable: str, names: Mapping[str, str], prefix: str = ""
) -> list[Curve]:
    own = data[data["observable"] == observable]
    found = []
    for k, (side, label) in enumerate(names.items()):
        part = own[own["side"] == side]
        if len(part):
            x, y, err = (part[c].to_numpy(dtype=float) for c in ("x", "value", "stderr"))
            found.append(Curve(f"{prefix}{label}", x, y, err, index=k))
    return found


def _drawings(
    key: str,
    title: str,
    record: Mapping[str, Any],
    data: pd.DataFrame,
    files: Sequence[str],
    footer: str,
) -> Iterator[Drawing]:
    names = list(dict.fromkeys(data["observable"]))
    families = (
        ("rdf", "Pair distributions", "where the potential moves neighbours"),
        ("vdos", "Vibrational densities of states", "shifted or broadened bands"),
    )
    for family, heading, look_for in families:
        own = [n for n in names if n.startswith(f"{family} ")]
        yield _panels(key, family, own, data, (f"{heading}: {title}", look_for), files, footer)
    yield _panels(
        key,
        "motion",
        [n for n in names if n.startswith(("msd", "tetrahedral", "angular", "van_hove"))],
        data,
        (f"Motion and angles: {title}", "mobility of the ions, and the shape of the units"),
        files,
        footer,
    )
    if "r_phi" in names:
        yield around_drawing(key, title, data, files, footer)
    if record["echo"]:
        yield _decays(key, title, record["echo"], data, files, footer)


def _panels(
    key: str,
    family: str,
    names: Sequence[str],
    data: pd.DataFrame,
    said: tuple[str, str],
    files: Sequence[str],
    footer: str,
) -> Drawing:
    cols = min(3, len(names))
    rows = -(-len(names) // cols)

    def draw(axes: list[Axes]) -> None:
        for ax, name in zip(axes, names, strict=False):
            _panel(ax, name, _curves(data, name, SIDE_NAMES))
        axes[0].legend()
        hide_unused(axes, len(names))

    svg = render(
        f"validation-{key}-{family}",
        draw,
        rows=rows,
        cols=cols,
        size_in=(WIDE_IN, 0.3 + 1.8 * rows),
        label=said[0],
        footer=footer,
    )
    look_for = f"Look for {said[1]}. Bands: one standard error over the runs."
    return Drawing(f"validation-{key}-{family}", svg, said[0], look_for, files, wide=True)


X_LABELS: Mapping[str, str] = {
    "vdos": "wavenumber (cm⁻¹)",
    "tetrahedral_angle": "angle (degrees)",
    "angular_velocity": "angular velocity (degrees/ps)",
    "van_hove_self": "displacement at the longest lag (Å)",
    "van_hove_distinct": "distance to a former neighbour (Å)",
}


def _panel(ax: Axes, name: str, curves: Sequence[Curve]) -> None:
    """Draw one observable of both sides."""
    family, _, of = name.partition(" ")
    if family == "msd":
        draw_displacements(ax, curves, title=f"MSD of {of}", guide=False)
        return
    if family == "rdf":
        draw_pair_distributions(ax, curves, title=of)
    else:
        for curve in curves:
            style = look(curve.index)
            ax.plot(curve.x, curve.y, color=style.color, linestyle=style.linestyle, linewidth=1.0,
                    label=curve.label)  # fmt: skip
        ax.set_xlabel(X_LABELS[family])
        ax.set_ylabel("density" if family != "van_hove_distinct" else "$G_d$")
        ax.set_title(of or family.replace("_", " "), loc="left")
        _span(ax, curves)
    for curve in curves:
        if curve.err is not None:
            low, high = curve.y - curve.err, curve.y + curve.err
            color = look(curve.index).color
            ax.fill_between(curve.x, low, high, color=color, alpha=0.22, linewidth=0)


def _span(ax: Axes, curves: Sequence[Curve]) -> None:
    """End the axis where nothing is left to see."""
    seen = [c.x[c.y > 2e-3 * c.y.max()] for c in curves if (c.y > 0).any()]
    if seen:
        low, high = min(float(x[0]) for x in seen), max(float(x[-1]) for x in seen)
        ax.set_xlim(low, high)
    ax.set_ylim(bottom=0.0)


def _decays(
    key: str,
    title: str,
    echo: Mapping[str, Any],
    data: pd.DataFrame,
    files: Sequence[str],
    footer: str,
) -> Drawing:
    decays = [
        Decay(
            curve,
            {"exponential": fit},
            echo["fitted_lags_ps"][0],
        )
        for curve, name in zip(_curves(data, "acf_powder", SET_NAMES), SETS, strict=True)
        for fit in [echo["sets"][name]["fits"]["exponential"]]
    ]

    def draw(axes: list[Axes]) -> None:
        draw_decays(axes[0], decays, ylabel="powder ACF  C(t)/C(0)")
        # Half the height to the curves: their distance is what counts, and the legend is above.
        axes[0].set_ylim(top=2.0 * max(float(d.curve.y[d.curve.x > 0].max()) for d in decays))

    svg = render(
        f"validation-{key}-acf",
        draw,
        size_in=(WIDE_IN, 3.2),
        label=f"Powder correlation functions: {title}",
        footer=footer,
    )
    look_for = (
        "Look for the distance of the first two curves (the EFG model, on the same frames) and of "
        "the last two (the potential, and independent runs)."
    )
    return Drawing(
        f"validation-{key}-acf", svg, f"The echo's decay: {title}", look_for, files, wide=True
    )
