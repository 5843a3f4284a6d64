"""Whether the numbers can be trusted: errors of the models, gates of the runs, structures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hopecho.report.campaign import CampaignView, unmet
from hopecho.report.efg_trust import trust_section
from hopecho.report.fit_tables import extrapolation_section, fit_section, uncertainty_section
from hopecho.report.label_sets import label_table, quarantine_table
from hopecho.report.markup import Html, file_name, items, join, table, tag
from hopecho.report.model_errors import (
    badge,
    efg_table,
    potential_table,
    round_table,
    trajectory_table,
    untested,
)
from hopecho.report.own import own_section
from hopecho.report.short_runs import burst_section, step_section
from hopecho.report.tensor_errors import site_table, split_table
from hopecho.report.words import ABSENT, number, value_text

GATE_NAMES: Mapping[str, str] = {
    "temperature": "mean temperature",
    "drift": "drift of the conserved quantity",
    "min_distance": "shortest distance",
    "bonds": "bonds of the framework",
    "framework_shift": "shift of the framework",
    "pressure": "mean pressure of the fixed cell",
}


def gates(view: CampaignView) -> Html:
    """Return the whole section."""
    parts: list[Html] = []
    for material in view.materials:
        if len(view.materials) > 1:
            parts.append(tag("h3", material))
        if material in view.own:
            parts += [tag("h3", "Data of your own"), own_section(view, material)]
        learned = view.learned(material)
        if learned:
            parts += [tag("h3", "Potential on held-out frames"), potential_table(view, material)]
        parts += _tensor_parts(view, material)
        if learned:
            parts += [*_potential_parts(view, material), *_run_parts(view, material)]
    return join(parts)


def _tensor_parts(view: CampaignView, material: str) -> Iterator[Html]:
    """Errors of the model of the tensors, where there is one."""
    if view.tested(material):
        yield from (
            tag("h3", "Field-gradient model on held-out frames"),
            efg_table(view, material),
            tag("h4", "By site"),
            site_table(view, material),
            tag("h4", "Static and fluctuating part of the error"),
            split_table(view, material),
        )
    if material in view.summary["efg"]:
        yield tag("h3", "Predicted errors of the tensors, and unknown environments")
        if not view.tested(material):
            yield tag("p", untested(view.summary["efg"][material]))
        yield trust_section(view, material)


def _potential_parts(view: CampaignView, material: str) -> tuple[Html, ...]:
    """How far to trust the potential, and how it was made."""
    return (
        tag("h3", "Predicted uncertainty of the potential"),
        uncertainty_section(view, material),
        tag("h3", "Production against the training data of the potential"),
        extrapolation_section(view, material),
        tag("h3", "Held-out errors of each trajectory"),
        trajectory_table(view, material),
        tag("h3", "Fit of the potential"),
        fit_section(view, material),
        tag("h3", "Rounds of the learning loop"),
        round_table(view, material),
        _unmet(view, material),
    )


def _run_parts(view: CampaignView, material: str) -> tuple[Html, ...]:
    """Production runs, what they start from, and the labels."""
    return (
        tag("h3", "Production runs"),
        _production_table(view, material),
        _gate_table(view, material),
        tag("h3", "Bursts of velocities"),
        burst_section(view, material),
        tag("h3", "Time step"),
        step_section(view, material),
        tag("h3", "Structures"),
        _structure_table(view, material),
        tag("h3", "Labels"),
        label_table(view.summary["label_sets"][material]),
        tag("h3", "Quarantined labels"),
        quarantine_table(view.summary["label_sets"][material]["quarantine"]),
    )


def _unmet(view: CampaignView, material: str) -> Html:
    last = view.summary["learning"][material][-1]
    missed = unmet(last)
    if last["converged"] and not missed:
        return tag("p", f"Converged in round {last['round']}.")
    return join((tag("p", f"Unmet in the last round, {last['round']}:"), items(missed)))


def _production_table(view: CampaignView, material: str) -> Html:
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for s in view.summary["segments"][material]:
        groups.setdefault((s["phase"], s["temperature_k"]), []).append(s)
    rows: list[list[object]] = []
    for (phase, temperature), own in groups.items():
        runs = {s["path"].rpartition("/")[0] for s in own}
        quenches = {run.partition("quench")[2].partition("/")[0] for run in runs}
        total = sum(s["length_ps"] for s in own)
        rows.append(
            [
                phase,
                temperature,
                own[0]["n_atoms"],
                len(quenches),
                len(runs),
                number(total / len(runs), 3),
                number(total, 3),
                own[0]["ensemble"].upper(),
                _pair_styles(own),
                f"{own[0]['dt_fs']:g}",
                f"{own[0]['stride_ps']:g}",
                f"{sum(s['passed'] for s in own)} of {len(own)}",
            ]
        )
    head = [
        "phase",
        "T\u00a0(K)",
        "atoms",
        "structures",
        "runs",
        "length of a run (ps)",
        "all runs (ps)",
        "ensemble",
        "pair style",
        "time step (fs)",
        "frames every (ps)",
        "segments passed",
    ]
    reasons = {s.get("pair_style_reason") for s in view.summary["segments"][material]} - {None}
    note = tag("p", f"Pair style: {'; '.join(sorted(reasons))}.", css="note") if reasons else ""
    return join((table(head, rows, numbers=[1, 2, 3, 4, 5, 6, 9, 10, 11]), note))


def _pair_styles(segments: Sequence[Mapping[str, Any]]) -> str:
    """Pair styles that ran; segments of older versions do not say."""
    return ", ".join(sorted({s["pair_style"] for s in segments if "pair_style" in s})) or ABSENT


def _gate_table(view: CampaignView, material: str) -> Html:
    segments = view.summary["segments"][material]
    rows: list[list[object]] = []
    for name in dict.fromkeys(key for s in segments for key in s["gates"]):
        own = [s for s in segments if name in s["gates"]]
        found = [s["gates"][name] for s in own]
        worst = _worst(name, [g["value"] for g in found])
        passed = sum(g["passed"] for g in found)
        side = "at least " if name == "min_distance" else "at most "
        limit = found[0]["limit"]
        rows.append(
            [
                GATE_NAMES.get(name, name),
                f"{number(worst, 2)}{_error(worst, found)} {_unit(found[0]['unit'])}",
                "none" if limit is None else f"{side}{value_text(limit, '1')}",
                f"{passed} of {len(found)}",
                badge(passed == len(found)),
            ]
        )
    body = table(["gate", "worst value", "limit", "segments passed", ""], rows)
    failing = list(_failing(view, segments))
    if not failing:
        return join((body, tag("p", f"All {len(segments)} segments passed every gate.")))
    return join((body, tag("p", tag("strong", "Segments that failed:")), items(failing)))


def _error(worst: float | None, gates: Sequence[Mapping[str, Any]]) -> str:
    """Say the standard error of the worst value, where the gate knows it and the value has one."""
    error = next((g["stderr"] for g in gates if g["value"] == worst and "stderr" in g), None)
    return "" if error is None else f" ± {number(error, 2)}"


def _unit(unit: str) -> str:
    return {"A": "Å", "sigma": "σ"}.get(unit, unit)


def _worst(name: str, values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    return min(known) if name == "min_distance" else max(known, key=abs)


def _failing(view: CampaignView, segments: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    for s in segments:
        bad = [
            f"{GATE_NAMES.get(name, name)} {number(g['value'])} {_unit(g['unit'])}"
            for name, g in s["gates"].items()
            if not g["passed"]
        ]
        if bad or not s["passed"]:
            yield join((file_name(view.short(s["path"])), ": ", "; ".join(bad) or "stopped"))


def _structure_table(view: CampaignView, material: str) -> Html:
    rows: list[list[object]] = []
    for name, s in view.summary["structures"][material].items():
        bonds, order = s.get("bonds") or {}, s.get("order") or {}
        run = s.get("run")
        linked = sum(bonds.get(k, 0) for k in ("corner_pairs", "edge_pairs", "direct_pairs"))
        rows.append(
            [
                name,
                s["formula"],
                number(s["density_g_cm3"], 3),
                number(s["shortest_width_angstrom"], 3),
                number(order.get("order_parameter"), 2),
                f"{bonds['isolated']} of {bonds['n_centres']}" if bonds else ABSENT,
                linked if bonds else ABSENT,
                bonds.get("free_ligands", ABSENT),
                badge(bool(run["passed"])) if run else ABSENT,
                s.get("source") or ABSENT,
            ]
        )
    head = [
        "structure",
        "content",
        "density (g/cm³)",
        "shortest width (Å)",
        "order parameter",
        "isolated units",
        "linked pairs",
        "free ligands",
        "re-equilibration",
        "source",
    ]
    note = (
        "Order parameter of the polyanions' centres: 1 in the perfect crystal, 0 for random points;"
        " with few centres it scatters widely. Isolated units: centres with full coordination and "
        "no shared ligand."
    )
    return join((table(head, rows, numbers=[2, 3, 4, 5, 6, 7]), tag("p", note, css="note")))
