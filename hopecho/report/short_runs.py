"""What the short runs beside production say: the time step, and the bursts of velocities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, file_name, items, join, table, tag
from hopecho.report.words import number, value_text

EXPONENT_TOLERANCE = 0.3
"""Deviation from 2 that is looked at only beyond three standard errors."""


def step_section(view: CampaignView, material: str) -> Html:
    """Return the table of time steps, what it means, and warnings."""
    tests: Sequence[Mapping[str, Any]] = view.summary.get("step_tests", {}).get(material, ())
    if not tests:
        return tag("p", "Not tested (md.step_test).")
    rows: list[list[object]] = []
    for test in tests:
        for k, step in enumerate(test["steps"]):
            first = [test["phase"], test["temperature_k"]] if k == 0 else ["", ""]
            rows.append([*first, *_step_cells(step)])
    head = [
        "phase",
        "T\u00a0(K)",
        "time step (fs)",
        "drift (eV/atom/ps)",
        "heats by (K/ns)",
        "rms of the energy (eV/atom)",
        "share of the kinetic energy's",
        "mean T\u00a0(K)",
        "",
    ]
    limit = value_text(tests[0]["max_drift_ev_atom_ps"], "1")
    note = (
        f"The same equilibrated state at constant energy, {number(tests[0]['length_ps'], 2)} ps "
        f"with each step. Allowed are a drift of {limit}"
        " eV/atom/ps, give or take three standard errors, and fluctuations of "
        f"{100 * tests[0]['max_rms_share']:g}\u00a0% of the kinetic energy's. Error bars are from "
        "the scatter of eight parts of a run."
    )
    return join(
        (
            table(head, rows, numbers=[1, 2, 3, 4, 5, 6, 7]),
            items(_sentence(view, test) for test in tests),
            tag("p", note, css="note"),
        )
    )


def _step_cells(step: Mapping[str, Any]) -> list[object]:
    drift = step["drift"]
    mark = tag("span", step["verdict"], css=f"verdict {_COLOURS[step['verdict']]}")
    why = "; ".join(step["reasons"]).replace("+-", "±")
    return [
        f"{step['dt_fs']:g}",
        number(None)
        if drift is None
        else value_text(drift, "1", error=step["drift_stderr"])
        + f" ± {number(step['drift_stderr'], 2)}",
        number(step["kelvin_per_ns"], 2),
        number(step["rms"], 2),
        number(step["rms_share"], 2),
        number(step["temperature_k"], 3),
        join((mark, f" {why}")) if why else mark,
    ]


_COLOURS = {"passed": "passed", "failed": "failed", "undecided": "not_seen"}


def _sentence(view: CampaignView, test: Mapping[str, Any]) -> Html:
    """Growth of the fluctuations, and the longest step, in words."""
    said = []
    p, error = test["exponent"], test["exponent_stderr"]
    if p is not None:
        said.append(f"the rms grows as the step to the power {p:.2f} ± {error:.2f}")
        if abs(p - 2.0) > max(EXPONENT_TOLERANCE, 3.0 * error):
            said[-1] += ", not 2: forces that jump, or too long a step"
    best = test["largest_passing_fs"]
    said.append(
        "no step passes" if best is None else f"the longest step that passes is {best:g} fs"
    )
    used = _steps_in_use(view, test["phase"])
    if used:
        said.append("the runs use " + ", ".join(f"{dt:g}" for dt in used) + " fs")
    name = f"{test['phase']}, {test['temperature_k']} K"
    return join((tag("strong", name), ": ", "; ".join(said), " (", _file(view, test), ")."))


def _file(view: CampaignView, record: Mapping[str, Any]) -> Html:
    return file_name(view.short(record["path"]))


def _steps_in_use(view: CampaignView, phase: str) -> list[float]:
    segments = [s for own in view.summary["segments"].values() for s in own]
    return sorted({s["dt_fs"] for s in segments if s["phase"] == phase})


def step_warnings(view: CampaignView) -> Iterator[str]:
    """Say which runs use a longer step than the longest that passed the test."""
    for tests in view.summary.get("step_tests", {}).values():
        for test in tests:
            best = test["largest_passing_fs"]
            for dt in _steps_in_use(view, test["phase"]):
                if best is not None and dt <= best * (1 + 1e-9):
                    continue
                passed = (
                    "none passed" if best is None else f"the longest that passed is {best:g} fs"
                )
                yield (
                    f"The runs of {test['phase']} use a time step of {dt:g} fs (md.dt_fs), but of "
                    f"those tested {passed} (listed under Gates)."
                )


def burst_section(view: CampaignView, material: str) -> Html:
    """Count the bursts, and name those that failed a gate."""
    bursts: Sequence[Mapping[str, Any]] = view.summary.get("bursts", {}).get(material, ())
    if not bursts:
        return tag("p", "None (md.bursts).")
    lengths = sorted({b["length_ps"] for b in bursts})
    strides = sorted({b["stride_fs"] for b in bursts})
    good = sum(b["passed"] for b in bursts)
    said = (
        f"{len(bursts)} runs of {', '.join(f'{x:g}' for x in lengths)} ps at constant energy, "
        f"velocities every {', '.join(f'{x:g}' for x in strides)} fs; {good} passed every gate."
    )
    failed = [
        join((_file(view, b), ": ", ", ".join(_failed_gates(b)) or "stopped"))
        for b in bursts
        if not b["passed"]
    ]
    return join((tag("p", said), items(failed) if failed else ""))


def _failed_gates(burst: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {number(gate['value'])} {gate['unit']}"
        for name, gate in burst["gates"].items()
        if not gate["passed"]
    ]
