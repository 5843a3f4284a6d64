"""Tables of the models' errors: held-out frames, their trajectories, the rounds of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase.units import GPa

from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, details, join, table, tag
from hopecho.report.words import ABSENT, number


def badge(passed: bool) -> Html:
    """Return a passed or failed mark."""
    word = "passed" if passed else "failed"
    return tag("span", word, css=f"verdict {word}")


def _milli(x: float | None) -> str:
    return ABSENT if x is None else number(1e3 * x)


def _ratio(part: float | None, whole: float | None) -> str:
    return number(part / whole, 2) if part is not None and whole else ABSENT


def potential_table(view: CampaignView, material: str) -> Html:
    """Errors of energies and forces on held-out frames beside their standard deviations."""
    parity = view.parity(material)
    rows = []
    for phase in view.heldout_phases(material):
        errors = view.summary["heldout"][material][phase]
        p = errors["potential"]
        pairs = parity.get(f"{phase}/energy_ev_atom")
        offset = scatter = None
        if pairs is not None:
            difference = pairs[:, 1] - pairs[:, 0]
            offset, scatter = float(difference.mean()), float(difference.std())
        elements = [k.removeprefix("rmse_force_") for k in p if k.startswith("rmse_force_")]
        each = ", ".join(
            f"{e}\u00a0{_ratio(p[f'rmse_force_{e}'], p.get(f'std_force_{e}'))}" for e in elements
        )
        rows.append(
            [
                phase,
                p["n_frames"],
                _milli(p["rmse_force"]),
                _milli(p["std_force"]),
                number(p["ratio_force"], 2),
                each,
                _milli(p["rmse_energy"]),
                _milli(offset),
                _milli(scatter),
                _milli(p["std_energy"]),
            ]
        )
    published = view.summary["reference"].get(material, {}).get("errors", {})
    if {"rmse_force", "rmse_energy"} <= published.keys():
        f, e = published["rmse_force"]["value"], published["rmse_energy"]["value"]
        rows.append(["paper", ABSENT, f, ABSENT, ABSENT, ABSENT, e, ABSENT, ABSENT, ABSENT])
    head = [
        "phase",
        "frames",
        "force RMSE (meV/Å)",
        "force std (meV/Å)",
        "RMSE/std",
        "RMSE/std by element",
        "energy RMSE (meV/atom)",
        "of it: constant offset",
        "of it: scatter",
        "energy std (meV/atom)",
    ]
    note = (
        "A constant offset of the energy moves no atom; the scatter is what dynamics feel. A "
        "scatter near the standard deviation means that energies carry no information."
    )
    body = table(head, rows, numbers=[1, 2, 3, 4, 6, 7, 8, 9])
    return join((body, tag("p", note, css="note"), _by_quantity(view, material)))


def _by_quantity(view: CampaignView, material: str) -> Html:
    """Table of all errors of the potential beside the spread of the labels."""
    rows: list[list[object]] = []
    for phase in view.heldout_phases(material):
        p = view.summary["heldout"][material][phase]["potential"]
        elements = [k.removeprefix("rmse_force_") for k in p if k.startswith("rmse_force_")]
        quantities = [("energy", "energy (meV/atom)", 1e3), ("force", "force (meV/Å)", 1e3)]
        quantities += [(f"force_{e}", f"force on {e} (meV/Å)", 1e3) for e in elements]
        quantities += [("stress", "stress (GPa)", 1.0 / GPa)] if "rmse_stress" in p else []
        for key, label, scale in quantities:
            values = [p[f"{kind}_{key}"] for kind in ("mae", "rmse", "std")]
            cells = [number(scale * value, 3) for value in values]
            rows.append([phase, label, *cells, _ratio(values[1], values[2])])
    head = ["phase", "quantity", "MAE", "RMSE", "standard deviation", "RMSE/std"]
    body = table(head, rows, numbers=[2, 3, 4, 5])
    return details("Energy, forces by element, stress: MAE and RMSE", body)


def _efg_row(errors: Mapping[str, Any]) -> list[object]:
    e = errors["efg"]
    return [
        e["n_tensors"],
        number(e["omega_q"]["mae"]),
        number(e["omega_q"]["mae_over_std"], 2),
        number(e["cq_abs"]["mae"]),
        number(e["cq_abs"]["mae_over_std"], 2),
        number(e["eta"]["mae"], 2),
        _percent(e["quaternion_fraction"]),
        _percent(e["quaternion_fraction_random"]),
        _percent(e["quaternion_fraction_shuffled"]),
        number(e["frobenius_overlap_mean"], 3),
    ]


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{number(100.0 * share, 2)}\u00a0%"


EFG_HEAD = (
    "tensors",
    "MAE ω_Q (kHz)",
    "MAE/std",
    "MAE |C_Q| (kHz)",
    "MAE/std",
    "MAE η",
    "q·q\u00a0≥\u00a00.9",
    "random pairs",
    "shuffled pairs",
    "mean Frobenius overlap",
)


def efg_table(view: CampaignView, material: str) -> Html:
    """Errors of the tensors on held-out frames, orientations beside random pairs."""
    phases = view.summary["heldout"][material]
    order = view.heldout_phases(material)
    rows: list[list[object]] = [[phase, *_efg_row(phases[phase])] for phase in order]
    published = view.summary["reference"].get(material, {}).get("errors", {}).get("mae_omega_q")
    if published:
        rows.append(["paper", ABSENT, published["value"], *[ABSENT] * 8])
    fit = view.summary["efg"][material]
    note = (
        f"{_trained(fit)} ω_Q is averaged over 64 field directions. Orientations count only "
        "against the share that random pairs reach. About 10 kHz is what an echo experiment "
        "resolves."
    )
    body = table(["phase", *EFG_HEAD], rows, numbers=range(1, 11))
    return join((body, tag("p", note, css="note")))


def _trained(fit: Mapping[str, Any]) -> str:
    """Say what a model was trained on, and where it is from if it was not fitted here."""
    said = (
        f"Trained on {fit['n_tensors']} tensors of {fit['n_structures']} structures, "
        f"{fit['n_features']} features, {_kind(fit)}{fit['ridge']:g} chosen by cross-validation "
        "over structures."
    )
    if "file" not in fit:
        return said
    return f"Not fitted here: read from {fit['file']} (SHA-256 {fit['sha256'][:16]}). {said}"


def untested(fit: Mapping[str, Any]) -> str:
    """Say what is known of a model that no labels of this campaign test."""
    return f"{_trained(fit)} This campaign has no labels that test it."


def _kind(fit: Mapping[str, Any]) -> str:
    if fit["model"] == "ridge":
        return "ridge "
    inducing, zeta = fit["n_inducing"], fit["zeta"]
    return f"sparse SA-GPR with {inducing} inducing environments and zeta {zeta}, ridge "


def trajectory_table(view: CampaignView, material: str) -> Html:
    """Held-out errors of each trajectory."""
    rows: list[list[object]] = []
    for phase in view.heldout_phases(material):
        for run, own in view.summary["heldout"][material][phase]["trajectories"].items():
            p = own["potential"]
            tensors = _efg_row(own)[1:7] if view.tested(material) else ()
            errors = [number(p["ratio_force"], 2), _milli(p["rmse_energy"])]
            rows.append([phase, run, p["n_frames"], *errors, *tensors])
    head = ["phase", "trajectory", "frames", "force RMSE/std", "energy RMSE (meV/atom)"]
    head += EFG_HEAD[1:7] if view.tested(material) else ()
    return table(head, rows, numbers=range(2, len(head)))


def round_table(view: CampaignView, material: str) -> Html:
    """Errors and test runs of each round of the learning loop."""
    rows: list[list[object]] = []
    for status in view.summary["learning"][material]:
        rows.append(
            [
                status["round"],
                status["n_training"] or "not known",
                *_errors_cells(status["errors"].get("audit", {})),
                *_errors_cells(status["errors"].get("held_out", {})),
                badge(status["gate"]["accepted"]),
                "yes" if status["converged"] else "no",
                "; ".join(status["gate"]["failures"]) or ABSENT,
            ]
        )
    head = [
        "round",
        "training frames",
        "audit: force RMSE/std",
        "audit: energy RMSE (meV/atom)",
        "withheld: force RMSE/std",
        "withheld: energy RMSE (meV/atom)",
        "test runs",
        "converged",
        "failures of test runs",
    ]
    return table(head, rows, numbers=[0, 1])


def _errors_cells(errors: Mapping[str, Mapping[str, float]]) -> list[object]:
    def cell(key: str, scale: float) -> Html:
        lines = (f"{phase}\u00a0{number(scale * e[key], 2)}" for phase, e in errors.items())
        return join(tag("div", line) for line in lines)

    return [cell("force_relative", 1.0), cell("rmse_energy", 1e3)]
