"""Figures of the models and their cost: parity, convergence, CPU time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from ase.units import GPa
from matplotlib.axes import Axes

from hopecho.figures.errors import (
    draw_convergence,
    draw_cost,
    draw_parity,
)
from hopecho.figures.style import COLUMN_IN, WIDE_IN, render
from hopecho.figures.uncertainty import (
    draw_calibration,
    draw_error_against_leverage,
    draw_learning_curve,
)
from hopecho.report.campaign import CampaignView
from hopecho.report.ledger import by_rule
from hopecho.report.markup import Drawing

PARITY: Sequence[tuple[str, str, str, float, float | None]] = (
    ("energy_ev_atom", "energy", "meV/atom", 1e3, None),
    ("force_ev_a", "force", "eV/Å", 1.0, None),
    ("stress_ev_a3", "stress", "GPa", 1.0 / GPa, None),
    ("omega_q_khz", "ω_Q", "kHz", 1.0, 10.0),
    ("cq_abs_khz", "|C_Q|", "kHz", 1.0, None),
)
"""Name in parity.npz, label, unit, scale, half width of the band."""

STRAIGHT = "Points on the diagonal over the whole range, without curvature at the ends, where rare"


def parity(view: CampaignView, material: str) -> list[Drawing]:
    """Draw predicted against true values of the potential and of the tensors, a row a phase."""
    offset = (
        "Energies are shown relative to the mean true energy on both axes: a constant offset stays "
        "visible, and moves no atom."
    )
    figures = [_parity(view, material, PARITY[:3], "potential", f"{STRAIGHT} forces lie. {offset}")]
    if view.tested(material):
        echo = "ω_Q: about 10 kHz (grey) is what an echo experiment resolves."
        look_for = f"{STRAIGHT} large couplings lie. {echo}"
        figures.append(_parity(view, material, PARITY[3:], "tensors", look_for))
    return figures


def _parity(
    view: CampaignView,
    material: str,
    quantities: Sequence[tuple[str, str, str, float, float | None]],
    kind: str,
    look_for: str,
) -> Drawing:
    data = view.parity(material)
    phases = view.heldout_phases(material)
    quantities = [q for q in quantities if all(f"{phase}/{q[0]}" in data for phase in phases)]

    def draw(axes: list[Axes]) -> None:
        panels = [(k, p, q) for k, p in enumerate(phases) for q in quantities]
        for ax, (k, phase, (key, label, unit, scale, band)) in zip(axes, panels, strict=True):
            true, predicted = (scale * data[f"{phase}/{key}"]).T
            if key.startswith("energy"):
                # One reference for both axes, so that an offset stays visible.
                zero = true.mean()
                true, predicted, label = true - zero, predicted - zero, "energy − mean"
            draw_parity(
                ax, true, predicted, label=label, unit=unit, index=k, band=band, title=phase
            )

    name = f"{material}-parity-{kind}"
    title = f"Predicted against true values on held-out frames: {kind}"
    return Drawing(
        name,
        render(
            name,
            draw,
            rows=len(phases),
            cols=len(quantities),
            size_in=(WIDE_IN, min(3.2, 8.7 / len(quantities)) * len(phases)),
            label=title,
            footer=view.footer,
        ),
        title,
        look_for,
        [f"{material}/heldout/parity.npz", f"{material}/heldout/errors.json"],
        wide=True,
    )


def uncertainty(view: CampaignView, material: str) -> list[Drawing]:
    """Draw calibration and error against leverage; nothing where it is not determined."""
    found = view.summary["uncertainty"][material]
    if "reason" in found:
        return []
    cover = {k.replace("_", " of "): v for k, v in found["coverage"].items()}

    def draw(axes: list[Axes]) -> None:
        levels = next(iter(cover.values()))["levels"]
        draw_calibration(axes[0], levels, {k: v["observed"] for k, v in cover.items()})
        draw_error_against_leverage(axes[1], found["bins"])

    name = f"{material}-uncertainty"
    title = "Predicted uncertainty of the potential on held-out frames"
    return [
        Drawing(
            name,
            render(name, draw, cols=2, size_in=(WIDE_IN, 3.3), label=title, footer=view.footer),
            title,
            "Left: curves on the diagonal; below it the predicted widths are too small. Right: "
            "errors must grow with the leverage as the lines do; flat points say that the error "
            "is the form of the potential, not a lack of data.",
            [f"{material}/heldout/errors.json"],
            wide=True,
        )
    ]


def learning(view: CampaignView, material: str) -> Drawing:
    """Draw held-out errors against the number of training structures."""
    path = f"{material}/heldout/learning_curve.csv"
    found = view.table(path)
    found = found.assign(energy=1e3 * found["rmse_energy_ev_atom"])
    rows = [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]

    def draw(axes: list[Axes]) -> None:
        draw_learning_curve(axes[0], rows, key="rmse_force_ev_a")
        draw_learning_curve(axes[1], rows, key="energy", ylabel="energy RMSE (meV/atom)")

    name = f"{material}-learning"
    title = "Held-out errors against the number of training structures"
    return Drawing(
        name,
        render(name, draw, cols=2, size_in=(WIDE_IN, 2.6), label=title, footer=view.footer),
        title,
        "Fits to random parts of the accepted round's data, with its settings. A curve that still "
        "falls asks for more labels; a flat one for another form (longer cutoffs, finer splines).",
        [path],
        wide=True,
    )


def targets(view: CampaignView, material: str) -> dict[str, float]:
    """Return the limits on audit errors that the loop worked towards.

    From the summary where it holds them, else from the criteria that some round missed.
    """
    found: dict[str, float] = dict(view.summary.get("targets") or {})
    for status in view.summary["learning"][material]:
        for entry in status["unmet"]:
            kind, _, rest = entry["name"].partition("/")
            if kind == "target":
                found[rest.rpartition("/")[2]] = float(entry["limit"])
    return found


def convergence(view: CampaignView, material: str) -> Drawing:
    """Draw the errors of each round."""
    rounds = view.summary["learning"][material]
    limits = targets(view, material)

    def series(key: str, scale: float) -> dict[str, list[float | None]]:
        return {
            f"{phase}, {words}": [
                _scaled(s["errors"].get(name, {}).get(phase, {}).get(key), scale) for s in rounds
            ]
            for name, words in (("audit", "audit"), ("held_out", "withheld"))
            for phase in _learned_phases(view, material, name)
        }

    def draw(axes: list[Axes]) -> None:
        numbers = [s["round"] for s in rounds]
        for ax, key, ylabel, scale in (
            (axes[0], "force_relative", "force RMSE / std", 1.0),
            (axes[1], "rmse_energy", "energy RMSE (meV/atom)", 1e3),
        ):
            target = _scaled(limits.get(key), scale)
            draw_convergence(ax, numbers, series(key, scale), ylabel=ylabel, target=target)
        handles = {
            label: handle
            for ax in axes
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        axes[1].legend(
            handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1.0, 0.5)
        )

    name = f"{material}-convergence"
    title = "Errors of the potential in each round of the learning loop"
    return Drawing(
        name,
        render(
            name,
            draw,
            cols=2,
            size_in=(WIDE_IN, 2.4),
            label=title,
            footer=view.footer,
        ),
        title,
        "Audit errors (random frames of each round's own runs, not trained on in that round) must "
        "fall below the target and stop changing; withheld frames are the same in every round. "
        "Audit frames follow the round's runs, so that a round that goes further from the known "
        "structures may show larger errors with a better potential.",
        [f"{material}/al/{s['round']}/status.json" for s in rounds],
        wide=True,
    )


def _learned_phases(view: CampaignView, material: str, name: str) -> list[str]:
    rounds = view.summary["learning"][material]
    known = sorted({phase for s in rounds for phase in s["errors"].get(name, {})})
    return sorted(known, key=lambda p: (view.phases(material) + known).index(p))


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else scale * value


def cost_bars(view: CampaignView, ledger: pd.DataFrame) -> Drawing:
    """Draw what every stage cost."""
    stages = by_rule(ledger)
    rules, seconds = stages["rule"].tolist(), stages["cpu_s"].tolist()
    title = "CPU time of each stage"
    height = 0.9 + 0.135 * sum(s >= 0.1 for s in seconds)
    return Drawing(
        "cost",
        render(
            "cost",
            lambda axes: draw_cost(axes[0], rules, seconds),
            size_in=(COLUMN_IN, max(1.6, height)),
            label=title,
            footer=view.footer,
        ),
        title,
        "With each stage's share of the sum. With real first-principles labels the bar of "
        "label_batch is the largest by far.",
        ["ledger.csv"],
    )
