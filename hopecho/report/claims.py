"""What the campaign claims: banner, headlines in words, tables of claims, regimes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hopecho.correlation.regime import WORDS
from hopecho.report.campaign import CampaignView, Case, unmet
from hopecho.report.decay_details import decay_details
from hopecho.report.markup import Html, file_name, items, join, table, tag
from hopecho.report.own import own_words
from hopecho.report.short_runs import step_warnings
from hopecho.report.transport_tables import diffusion_table, series_table, shell_table
from hopecho.report.vibrations import current_note
from hopecho.report.words import (
    ABSENT,
    NOT_SEEN,
    bound_text,
    determined,
    greek,
    number,
    percent,
    quantity_text,
    say,
    value_text,
)
from hopecho.units import QUANTITIES

MODEL_SOURCE = "model PES"

CURVES: Mapping[str, str] = {
    "acf_powder": "powder average (headline)",
    "acf_omega_q": "ω_Q, one field direction",
    "acf_cq": "|C_Q|, mean removed",
    "acf_pq": "P_Q, mean removed",
}
FIT_NAMES: Mapping[str, str] = {"exponential": "γ = 1", "stretched": "γ free"}
VERDICTS: Mapping[str, str] = {
    "resolved": "resolved",
    "bound": "bound",
    "not_seen": "not seen",
}


def banner(view: CampaignView) -> Html:
    """Say what the labels are, and what of the campaign is not to be trusted."""
    model = view.labelled and view.summary["labels"] == MODEL_SOURCE
    parts = [tag("div", view.footer, css="source")]
    parts += [tag("p", _label_words(view))] if view.labelled else []
    parts += [tag("p", said) for said in own_words(view)]
    for material, rounds in view.summary["learning"].items():
        last = rounds[-1]
        if last["accepted"] and last["converged"]:
            continue
        n = len(unmet(last))
        warning = (
            f"The potential of {material} was taken unconverged: round {last['round']} missed {n} "
            f"{'criterion' if n == 1 else 'criteria'} of convergence (listed under Gates)."
        )
        parts.append(tag("p", warning, css="warning"))
    segments = [s for own in view.summary["segments"].values() for s in own]
    failed = sum(not segment["passed"] for segment in segments)
    if failed:
        warning = (
            f"{failed} of {len(segments)} production segments failed a gate (listed under Gates): "
            "results of their phase and temperature are not to be trusted."
        )
        parts.append(tag("p", warning, css="warning"))
    parts += [tag("p", warning, css="warning") for warning in step_warnings(view)]
    return tag("div", *parts, css="banner" if model else "banner neutral")


def _label_words(view: CampaignView) -> str:
    source, models = view.summary["labels"], view.summary["efg"].values()
    fitted = any("file" not in model for model in models)
    known = "Energies, forces and field gradients" if fitted else "Energies and forces"
    where = "what is simulated here" if view.own else "this campaign"
    said = (
        f"{known} of {where} come from a model surface, not from "
        "DFT. Its conductivities and decay times are not those of the real material. Published "
        "values stand beside ours for orientation only; they are not a comparison with experiment."
        if source == MODEL_SOURCE
        else f"{known} of {where} are labels of {source}."
    )
    files = sorted({model["file"] for model in models if "file" in model})
    if files:
        said += f" Tensors are predicted by {', '.join(files)}, which was not fitted here."
    return said


def headlines(view: CampaignView) -> Html:
    """One paragraph for each phase and temperature, made from the verdicts."""
    return tag("div", *(_headline(view, case) for case in view.cases), css="headline")


def _headline(view: CampaignView, case: Case) -> Html:
    many = len(view.materials) > 1
    name = f"{case.material} {case}" if many else str(case)
    sentences = [_decay_sentence(view, case), _transport_sentence(view, case)]
    said = " ".join(s for s in sentences if s)
    return tag("p", tag("strong", name), f"{_runs(view, case)}: ", said)


def _runs(view: CampaignView, case: Case) -> str:
    """How much was run, such as `` (3 runs, 180 ps in all)``."""
    brought = view.own.get(case.material, {}).get(case.phase)
    if brought is not None:
        lengths = [
            r["length_ps"] for r in brought["runs"] if r["temperature_k"] == case.temperature_k
        ]
        return _runs_words(len(lengths), sum(lengths), " of your own")
    own = [
        s
        for s in view.summary["segments"][case.material]
        if (s["phase"], s["temperature_k"]) == (case.phase, case.temperature_k)
    ]
    if not own:
        return ""
    n = len({s["path"].rpartition("/")[0] for s in own})
    return _runs_words(n, sum(s["length_ps"] for s in own))


def _runs_words(n: int, total_ps: float, whose: str = "") -> str:
    runs = "run" if n == 1 else "runs"
    return f" ({n} {runs}{whose}, {number(total_ps, 3)}\u00a0ps in all)"


def _decay_sentence(view: CampaignView, case: Case) -> str:
    claim = view.claim(case, "tau_sae", "acf_powder")
    if claim is None:
        return ""
    quantity = claim["quantity"]
    level = percent(quantity["level"])
    if quantity["verdict"] == "resolved":
        plateau = view.claim(case, "plateau_b2", "acf_powder")
        kept = plateau["quantity"] if plateau else None
        towards = (
            f" towards a plateau of b² = {quantity_text('plateau_b2', kept)}"
            if kept and kept["verdict"] == "resolved"
            else ""
        )
        return (
            f"τ_SAE = {quantity_text('tau_sae', quantity)}; after the vibrations the tensor "
            f"correlation decays{towards}."
        )
    low, high = quantity["interval"]
    if quantity["verdict"] == "bound":
        limit = (
            f"τ_SAE\u00a0>\u00a0{bound_text(low, 'ns', lower=True)} ({level})"
            if low is not None
            else f"τ_SAE\u00a0<\u00a0{bound_text(high, 'ns', lower=False)} ({level})"
            if high is not None
            else "no bound"
        )
        why = str(claim["reason"]).partition("not resolved: ")[2]
        because = f", because {greek(why)}" if why else ""
        return f"the tensor correlation decays, but its time is not resolved{because}: {limit}."
    smallest = 100.0 * claim["smallest_decay"]
    said = (
        f"no decay of the tensor correlation seen; a decay of {number(smallest, 2)} % of its "
        "post-vibrational value would have been."
    )
    if low is None:
        return said
    limit = bound_text(low, "ns", lower=True)
    return f"{said} If it decays to zero at all, τ_SAE\u00a0>\u00a0{limit} ({level})."


def _transport_sentence(view: CampaignView, case: Case) -> str:
    parts = []
    for name, words in (
        ("d_tracer", "tracer diffusion"),
        ("sigma_einstein", "collective conductivity"),
        ("haven_ratio", "Haven ratio"),
        ("hop_rate", "hops per ion"),
    ):
        claim = view.claim(case, name)
        if claim is None:
            continue
        quantity = claim["quantity"]
        if name == "haven_ratio" and quantity["verdict"] != "resolved":
            continue
        parts.append(words + _after_words(say(name, quantity)))
    return ("Transport: " + "; ".join(parts) + ".") if parts else ""


def _after_words(said: str) -> str:
    """Leave the symbol away where the words stand before it: ``D < x`` becomes ``< x``."""
    symbol, found, rest = said.partition("\u00a0")
    short = found and rest[:1] in "<>" and " " not in symbol
    if short:
        return f" {rest}"
    return f": {said}" if said.startswith("no") else f" = {said}"


def claim_tables(view: CampaignView) -> Html:
    """Tables of decay times (with both fits) and of everything else."""
    decays = (
        (
            tag("h3", "Decay times"),
            _decay_table(view),
            tag(
                "p",
                "Both fits are given whatever the verdict; the one in bold is the headline's. Where"
                " the verdict is not “resolved”, a fit's number (grey) is not a result: a fit "
                "returns a time also for sites that never move.",
                css="note",
            ),
            decay_details(view),
            tag("h3", "Plateau, transport, hops and vibrations"),
        )
        if view.tensors
        else (tag("p", "This campaign has no field gradients, and so no echo (labels.efg)."),)
        if view.labelled
        else (tag("p", "There are no tensors, and so no echo (phases.<phase>.efg, efg.file)."),)
    )
    others = (
        _other_table(view),
        current_note(view),
        diffusion_table(view),
        series_table(view),
        shell_table(view),
        _reference_note(view),
    )
    return join((*decays, *others))


def _ordered(view: CampaignView, name: str, curve: str | None) -> list[tuple[Case, dict[str, Any]]]:
    found = [(case, view.claim(case, name, curve)) for case in view.cases]
    kept = [(case, dict(claim)) for case, claim in found if claim is not None]
    return sorted(kept, key=lambda pair: (pair[0].material, pair[0].temperature_k))


def _decay_table(view: CampaignView) -> Html:
    rows: list[list[object]] = []
    for curve, words in CURVES.items():
        rows.append([f"τ of {words}"])
        for case, claim in _ordered(view, "tau_sae", curve):
            rows.append(
                [
                    case.phase,
                    case.temperature_k,
                    say("tau_sae", claim["quantity"]),
                    *(_fit_cell(claim, name) for name in FIT_NAMES),
                    WORDS.get(claim.get("seen_by") or "", ABSENT),
                    _paper(view, case, claim),
                    verdict_badge("tau_sae", claim["quantity"]),
                    file_name(view.short(claim["path"])),
                ]
            )
    head = [
        "phase", "T\u00a0(K)", "ours", "fit, γ = 1", "fit, γ free", "seen by", "paper", "verdict",
        "file",
    ]  # fmt: skip
    return table(head, rows, numbers=[1])


def _fit_cell(claim: Mapping[str, Any], name: str) -> Html:
    fit = claim["fits"][name]
    said = f"τ\u00a0=\u00a0{value_text(fit['tau_ns'], 'ns')}"
    said += f", b²\u00a0=\u00a0{number(fit['plateau_b2'], 2)}"
    if name == "stretched":
        said += f", γ\u00a0=\u00a0{number(fit['stretch_gamma'], 2)}"
    chosen = claim["headline_fit"] == name
    weak = claim["quantity"]["verdict"] != "resolved"
    return tag("strong" if chosen else "span", said, css="weak" if weak else "")


def _other_table(view: CampaignView) -> Html:
    names = dict.fromkeys(
        (c["claim"], c.get("curve") or c.get("element")) for c in view.summary["claims"]
    )
    rows: list[list[object]] = []
    for name, curve in names:
        if name == "tau_sae":
            continue
        where = f" ({CURVES.get(curve, curve)})" if curve else ""
        rows.append([QUANTITIES[name].label.replace("^2", "²") + where.replace(" (headline)", "")])
        for case, claim in _ordered(view, name, curve):
            quantity = claim["quantity"]
            rows.append(
                [
                    case.phase,
                    case.temperature_k,
                    say(name, quantity),
                    number(quantity["n_independent"], 2),
                    _paper(view, case, claim),
                    verdict_badge(name, quantity),
                    file_name(view.short(claim["path"])),
                ]
            )
    head = ["phase", "T\u00a0(K)", "ours", "independent samples", "paper", "verdict", "file"]
    return table(head, rows, numbers=[1, 3])


def _paper(view: CampaignView, case: Case, claim: Mapping[str, Any]) -> str:
    """Published value of a claim; a key ``curve/claim`` goes before ``claim``.

    A bare ``tau_sae`` belongs to the frequency: it does not stand beside |C_Q|.
    """
    reference = view.summary["reference"].get(case.material, {})
    values = reference.get("values", {}).get(f"{case.phase}/{case.temperature_k}", {})
    keys = [f"{claim.get('curve')}/{claim['claim']}"]
    keys += [claim["claim"]] if claim.get("curve") not in ("acf_cq", "acf_pq") else []
    entry = next((values[key] for key in keys if key in values), None)
    if entry is None:
        return ABSENT
    if "text" in entry:
        return str(entry["text"])
    return value_text(entry["value"], entry["unit"])


def _reference_note(view: CampaignView) -> Html:
    sources = [r["source"] for r in view.summary["reference"].values() if r.get("source")]
    if not sources:
        return Html("")
    warning = (
        " Its potential and tensors are DFT's, ours are not."
        if view.summary["labels"] == MODEL_SOURCE
        else ""
    )
    return tag("p", f"Paper: {'; '.join(sources)}.{warning}", css="note")


def verdict_badge(name: str, quantity: Mapping[str, Any]) -> Html:
    """Return a verdict as a small mark."""
    verdict = quantity["verdict"]
    if name not in NOT_SEEN and not determined(name, quantity):
        return tag("span", "not determined", css="verdict not_seen")
    return tag("span", VERDICTS.get(verdict, verdict), css=f"verdict {verdict}")


def regimes(view: CampaignView) -> Html:
    """Say for every decay time which experiment would see it."""
    said = []
    for case in view.cases:
        claim = view.claim(case, "tau_sae", "acf_powder")
        if claim is None:
            continue
        more = ""
        low, high = claim["quantity"]["interval"]
        if claim["quantity"]["verdict"] != "resolved" and low is not None and high is None:
            more = " The true time may be longer, and then fall into another regime."
        said.append(join((tag("strong", str(case), ": "), _sentence(claim["regime"]), more)))
    intro = (
        "A decay of the tensor correlation is not yet a time that an echo measures: pulses and "
        "phase evolution need about 10 µs, and what moves faster than the line is wide reaches the "
        "spins only as an average. Not simulated: dipolar couplings (they limit the pulse delay to "
        "about 100 µs) and spin diffusion at long mixing times."
    )
    return join((tag("p", intro), items(said)))


def _sentence(said: str) -> str:
    said = greek(said[:1].upper() + said[1:])
    return said if said.endswith(".") else said + "."
