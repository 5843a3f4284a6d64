"""What stands behind the decay times: their activation energy, and errors of the tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hopecho.correlation.arrhenius import fit_arrhenius
from hopecho.correlation.decay import mean_tau
from hopecho.correlation.error_effect import error_effect
from hopecho.io.results import read_csv, read_json
from hopecho.report.campaign import CampaignView, settings_of
from hopecho.report.markup import Html, join, table, tag
from hopecho.report.words import ABSENT, greek, number, quantity_text, value_text
from hopecho.units import Quantity


def activation_energies(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fit tau(T) of the powder curve, phase by phase, from the claims of a campaign."""
    taus: dict[tuple[str, str], list[tuple[int, Quantity]]] = {}
    for c in claims:
        if (c["claim"], c["curve"]) == ("tau_sae", "acf_powder"):
            key = (c["material"], c["phase"])
            value = Quantity.from_dict(c["quantity"])
            taus.setdefault(key, []).append((c["temperature_k"], value))
    return [
        {"material": m, "phase": p} | fit_arrhenius(*zip(*points, strict=True)).to_dict()
        for (m, p), points in taus.items()
    ]


def tensor_error_effects(
    results: Path, claims: Sequence[Mapping[str, Any]], errors: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Say for every resolved powder decay what the held-out errors of the tensors do to it.

    Parameters
    ----------
    results : Path
        The campaign's folder.
    claims : sequence of mapping
        Claims of the campaign.
    errors : mapping
        ``heldout/errors.json`` of each material.
    """
    found = []
    for c in claims:
        if (c["claim"], c["curve"]) != ("tau_sae", "acf_powder") or c["quantity"]["value"] is None:
            continue
        tested = errors.get(c["material"], {"phases": {}})["phases"]
        runs = tested.get(c["phase"], {}).get("trajectories", {})
        splits = [run["efg_split"] for run in runs.values() if "efg_split" in run]
        if not splits:
            continue
        folder = f"{c['material']}/phases/{c['phase']}/{c['temperature_k']}K"
        static, white = (
            float(np.sqrt(np.mean([s[f"rms_{kind}_khz"] ** 2 for s in splits])))
            for kind in ("static", "fluctuating")
        )
        record = read_json(results / folder / "acf_powder.json")
        curve = read_csv(results / folder / "acf_powder.csv")
        effect = error_effect(
            curve["lag_ps"].to_numpy(float),
            curve["acf_powder"].to_numpy(float),
            zero_lag_khz2=record["zero_lag"],
            t_min_ps=float(settings_of(record)["t_min_ps"]),
            gamma=1.0 if record["headline_fit"] == "exponential" else None,
            static_khz=static,
            fluctuating_khz=white,
        )
        case = {k: c[k] for k in ("material", "phase", "temperature_k")}
        sizes = {"rms_static_khz": static, "rms_fluctuating_khz": white}
        relative = c["quantity"]["stderr"] / c["quantity"]["value"]
        within = max(abs(x) for x in effect.tau_shift) <= relative
        found.append(case | sizes | effect.to_dict() | {"within_error": bool(within)})
    return found


def decay_details(view: CampaignView) -> Html:
    """Return the tables of activation energies and of the effect of errors of the tensors."""
    energies = [
        [
            entry["phase"],
            quantity_text("activation_energy", entry["activation_energy"]),
            ", ".join(f"{t:g} K" for t in entry["temperatures_k"]) or "none",
            entry["reason"],
        ]
        for entry in view.summary["activation_energy"]
    ]
    advice = [
        [str(case), greek(claim["advice"]["text"])]
        for case in view.cases
        if (claim := view.claim(case, "tau_sae", "acf_powder")) and claim.get("advice")
    ]
    shifts = [
        [
            e["phase"],
            e["temperature_k"],
            f"{number(e['rms_static_khz'], 2)} / {number(e['rms_fluctuating_khz'], 2)}\u00a0kHz",
            _range(e["tau_shift"]),
            _range(e["plateau_shift"]),
            _range(e["amplitude_shift"]),
            "within its error" if e["within_error"] else "more than its error",
        ]
        for e in view.summary["tensor_errors"]
    ]
    parts: list[Html] = [
        _without_fit(view),
        tag("h3", "Activation energy of τ"),
        table(["phase", "E", "temperatures", "rests on"], energies),
    ]
    if advice:
        parts += [tag("h3", "How long to run"), table(["case", "advice"], advice)]
    if shifts:
        head = [
            "phase", "T\u00a0(K)", "held-out error, static / fluctuating", "τ would change by",
            "b² by", "A by", "τ moves",
        ]  # fmt: skip
        note = (
            "Refits without the part that the errors of predicted tensors put into the curve. "
            "Fluctuating errors act at lag 0 only; static ones may stay with the ion or change "
            "with its jumps: the range covers both."
        )
        parts += [
            tag("h3", "What errors of the predicted tensors do"),
            table(head, shifts, numbers=[1]),
            tag("p", note, css="note"),
        ]
    return join(parts)


def _without_fit(view: CampaignView) -> Html:
    """Return the table of what the powder curve says without a fit, beside the fit."""
    rows: list[list[object]] = []
    for case in view.cases:
        claim = view.claim(case, "tau_sae", "acf_powder")
        if claim is None:
            continue
        fit = claim["fits"][claim["headline_fit"]]
        known = claim["quantity"]["value"] is not None
        tau = float(mean_tau(np.array(fit["tau_ns"]), np.array(fit["stretch_gamma"])))
        integral = claim["integral_time_ns"]
        rows.append(
            [
                case.phase,
                case.temperature_k,
                value_text(tau, "ns") if known else ABSENT,
                ABSENT if integral is None else value_text(integral, "ns"),
                number(fit["amplitude"] * fit["plateau_b2"], 2) if known else ABSENT,
                number(claim["plateau_mean_square"], 2),
                number(claim["plateau_first_last"], 2),
            ]
        )
    head = [
        "phase", "T\u00a0(K)", "integral time of the fit", "of the curve", "A·b² of the fit",
        "from mean tensors", "from both ends of the run",
    ]  # fmt: skip
    note = (
        "Integral time of the curve: trapezoids over the lags fitted, above the fit's plateau. "
        "Plateaus as shares of the value at t = 0: from the mean tensor of every ion (corrected "
        "for the length of the run where the decay is resolved), and from the means of the first "
        "and the last 40 % of the run. Where these lie below the fit's, the decay goes on beyond "
        "the lags fitted."
    )
    title = tag("h3", "The decay without a fit")
    return join((title, table(head, rows, numbers=[1]), tag("p", note, css="note")))


def _range(ends: Sequence[float]) -> str:
    """Return two shares as percent, one where they round to the same."""
    low, high = (f"{100.0 * x:+.1f}".replace("-", "−") for x in ends)
    return f"{low} %" if low == high else f"{low} to {high} %"
