"""The echo S2 with real pulses and T1, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hopecho.report.campaign import CampaignView, Case
from hopecho.report.markup import Html, file_name, items, join, table, tag
from hopecho.report.words import ABSENT, bound_text, number, percent, value_text

ROUTES: Mapping[str, str] = {
    "frozen": "tensors as averaged over the run",
    "gaussian_exponential": "fit with γ = 1, continued",
    "gaussian_stretched": "fit with γ free, continued",
    "trajectory": "the run itself",
    "exchange": "jumps between sites",
}


def echo_tables(view: CampaignView) -> Html:
    """Return S2 for every tp and T1 for every field, case by case."""
    return join((tag("h3", "S₂ with real pulses"), _signals(view), tag("h3", "T₁"), _t1(view)))


def _signals(view: CampaignView) -> Html:
    """S2 at the first and last mixing time, by route."""
    records = {case: _record(view, case) for case in view.echo_cases}
    times = list(dict.fromkeys(e["tp_us"] for r in records.values() for e in _echoes(r)))
    rows: list[list[object]] = []
    used: dict[str, str] = {}
    for case, record in records.items():
        rows.append([f"{case}: {record['statement']}"])
        for route, content in record["routes"].items():
            used.setdefault(route, content["basis"])
            own = {e["tp_us"]: e for e in content["echoes"]}
            cells = [_cell(own[tp]) if tp in own else ABSENT for tp in times]
            rows.append(
                [ROUTES.get(route, route), *cells, file_name(f"{case.folder}/{_source(route)}")]
            )
    head = ["route", *(f"tp = {tp:g}\u00a0µs" for tp in times), "file"]
    said = items(join((tag("strong", ROUTES.get(r, r), ": "), b, ".")) for r, b in used.items())
    note = (
        "S₂ absolute (9/20 at most), at the shortest mixing time; where it changes until the "
        "longest one, both, and the decay time over mixing times that a fit with γ free gives."
    )
    classes = items(filter(None, (_classes(view, case) for case in view.echo_cases)))
    return join((table(head, rows), tag("p", note, css="note"), said, classes))


def _classes(view: CampaignView, case: Case) -> Html | None:
    """Plateau at long tp that classes of equal tensors leave, beside that of the jumps."""
    record = view.record(f"{case.folder}/sites.json")
    if not record["exchange"]:
        return None
    own = record["exchange"]["long_tp"]
    text = (
        f"{own['n_sites']} sites of the unit cell were visited, of {own['n_classes']} different "
        "tensors: at long tp, S₂/S₂(0) of ions that reach all of them falls to "
        f"{number(own['plateau_normalised'], 2)}"
    )
    jumps = record["echo"]["routes"]["exchange"]["echoes"] if record["echo"] else []
    if jumps and (left := jumps[-1]["plateau_normalised"]) is not None:
        text += (
            f"; with the rates counted it ends at {number(left, 2)} for tp = "
            f"{jumps[-1]['tp_us']:g}\u00a0µs (what jumps during tp average is gone from its first "
            "value already, and ions that are confined keep more)"
        )
    return join((tag("strong", str(case), ": "), text, "."))


def _record(view: CampaignView, case: Case) -> dict[str, Any]:
    """Record of a case, with the route of its site list where it has one."""
    record = view.record(f"{case.folder}/sae.json")
    jumps = view.record(f"{case.folder}/sites.json")["echo"]
    return record | {"routes": record["routes"] | (jumps["routes"] if jumps else {})}


def _echoes(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [e for content in record["routes"].values() for e in content["echoes"]]


def _source(route: str) -> str:
    return "sites.json" if route == "exchange" else "sae.json"


def _cell(echo: Mapping[str, Any]) -> str:
    first, last = echo["s2_first"], echo["s2_last"]
    if abs(first) < 1e-4:
        return "0"
    if echo["tau_us"] is None:
        return number(first, 2)
    tau = value_text(1e3 * echo["tau_us"], "ns")
    return f"{number(first, 2)} → {number(last, 2)}, τ(tp) = {tau}"


def _t1(view: CampaignView) -> Html:
    rows: list[list[object]] = []
    validity = ""
    for case in view.echo_cases:
        record = view.record(f"{case.folder}/relaxation.json")
        validity = record["validity"]
        for field in record["fields"]:
            rows.append(
                [
                    *_named(case),
                    value_text(field["field_t"], "T"),
                    _t1_text(field["t1"]),
                    _seconds(field["t1_stretched_s"]),
                    _seconds(field["t1_numeric_s"]["hann"]),
                    file_name(f"{case.folder}/relaxation.json"),
                ]
            )
    head = ["phase", "T\u00a0(K)", "field", "headline fit", "γ free", "no fit", "file"]
    note = (
        f"Quadrupolar T₁; {validity}. Where the columns differ, the slow part of the decay is not "
        "resolved by the run, and T₁ with it."
    )
    return join((table(head, rows, numbers=[1]), tag("p", note, css="note")))


def _named(case: Case) -> tuple[str, int]:
    return case.phase, case.temperature_k


def _seconds(value: float | None) -> str:
    return ABSENT if value is None else f"{number(value, 2)}\u00a0s"


def _t1_text(quantity: Mapping[str, Any]) -> str:
    low, high = quantity["interval"]
    if quantity["value"] is not None:
        ends = f"{number(low, 2)} to {number(high, 2)}"
        return f"{number(quantity['value'], 2)}\u00a0s ({percent(quantity['level'])}: {ends})"
    if high is None:
        return "not determined"
    return f"<\u00a0{bound_text(high, 's', lower=False)} ({percent(quantity['level'])})"
