"""Tables of the field-gradient model's errors: kinds of sites, static and fluctuating part."""

from __future__ import annotations

from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, join, table, tag
from hopecho.report.words import ABSENT, number


def _percent(share: float) -> str:
    return f"{number(100.0 * share, 2)}\u00a0%"


def site_table(view: CampaignView, material: str) -> Html:
    """Errors by the number of ligands around the ion."""
    rows: list[list[object]] = []
    found = {}
    for phase in view.heldout_phases(material):
        found = view.summary["heldout"][material][phase].get("sites", {})
        for name, e in found.get("classes", {}).items():
            rows.append(
                [
                    phase,
                    name,
                    e["n_tensors"],
                    number(e["cq_abs_mean"], 3),
                    number(e["omega_q"]["mae"]),
                    number(e["omega_q"]["mae_over_std"], 2),
                    number(e["cq_abs"]["mae"]),
                    number(e["eta"]["mae"], 2),
                    _percent(e["quaternion_fraction"]),
                    number(e["frobenius_overlap_mean"], 3),
                ]
            )
    if not rows:
        return tag("p", ABSENT)
    head = [
        "phase",
        "site",
        "tensors",
        "mean |C_Q| (kHz)",
        "MAE ω_Q (kHz)",
        "MAE/std",
        "MAE |C_Q| (kHz)",
        "MAE η",
        "q·q\u00a0≥\u00a00.9",
        "mean Frobenius overlap",
    ]
    note = (
        f"Sites by the number of {found['ligand']} within {found['radius_angstrom']:.2f} Å of the "
        "ion at that moment, the first minimum of their pair distribution on these frames. The "
        "mean |C_Q| is that of the true tensors."
    )
    return join((table(head, rows, numbers=range(2, 10)), tag("p", note, css="note")))


def split_table(view: CampaignView, material: str) -> Html:
    """What of the tensors' error stays with an ion, and what fluctuates."""
    rows: list[list[object]] = []
    for phase in view.heldout_phases(material):
        for run, own in view.summary["heldout"][material][phase]["trajectories"].items():
            split = own.get("efg_split")
            if split is None:
                continue
            rows.append(
                [
                    phase,
                    run,
                    split["n_frames"],
                    split["n_ions"],
                    number(split["rms_khz"]),
                    number(split["rms_static_khz"]),
                    number(split["rms_fluctuating_khz"]),
                    _percent(split["static_share"]),
                    number(100.0 * split["cross_term"], 2),
                    number(100.0 * split["cross_term_static"], 2),
                ]
            )
    if not rows:
        return tag("p", "Each trajectory has one frame: nothing can be split.")
    head = [
        "phase",
        "trajectory",
        "frames",
        "ions",
        "rms error of ω_Q (kHz)",
        "static",
        "fluctuating",
        "static share of error²",
        "⟨V·err⟩/⟨V·V⟩ (%)",
        "of the ions' means (%)",
    ]
    note = (
        "The static part stays with an ion over the frames: it changes plateau and jump size of a "
        "correlation function; the rest is noise that ends at the first lag. It is corrected for "
        "the number of frames, and 0 where the frames show none. The cross term of the error with "
        "the tensor changes a correlation function's amplitude by twice its value, and its shape "
        "where the two columns differ."
    )
    return join((table(head, rows, numbers=range(2, 10)), tag("p", note, css="note")))
