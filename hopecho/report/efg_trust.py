"""How far the tensors can be trusted: predicted errors, unknown environments, the grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from hopecho.report.campaign import CampaignView
from hopecho.report.fit_tables import grid_table
from hopecho.report.markup import Html, join, table, tag
from hopecho.report.words import number

SHORT: Mapping[str, str] = {
    "cutoff_angstrom": "cutoff (Å)",
    "n_radial": "radial functions",
    "l_max": "largest l",
    "sigma_angstrom": "Gaussian width (Å)",
}


def trust_section(view: CampaignView, material: str) -> Html:
    """Return coverage of the predicted errors, flagged shares, and the grid if there is one."""
    parts = [_coverage(view, material)] if view.tested(material) else []
    parts.append(_flags(view, material))
    grid = view.summary["efg_grid"].get(material)
    if grid:
        said = (
            "The density expansion was chosen by cross-validation over whole trajectories, the "
            "regularisation anew for each: {reason}. The loss is the mean square error of a "
            "component over its mean square; 1 is no model at all."
        )
        parts.append(grid_table(grid, SHORT, said=said, cost="cost of a tensor, relative"))
    return join(parts)


def _coverage(view: CampaignView, material: str) -> Html:
    rows = []
    for phase in view.heldout_phases(material):
        own = view.summary["heldout"][material][phase]["efg_trust"]
        rows.append(
            [
                phase,
                f"{100 * own['share_68']:.0f}",
                f"{100 * own['share_68_raw']:.0f}",
                number(own["chi2"], 2),
                _percent(own["flagged_share"]),
            ]
        )
    head = [
        "held-out phase",
        "inside one sigma (%)",
        "inside the bare spread (%)",
        "χ²",
        "unlike training",
    ]
    c = view.summary["efg"][material]["calibration"]
    khz = view.summary["efg"][material]["omega_khz_per_au"]
    note = (
        "σ² = a² + b²s², s the spread of a committee of fits that each lack one fold of the "
        f"training trajectories; a = {number(khz * c['floor'])} kHz of ω_Q and "
        f"b = {number(c['slope'])} come from training structures that none of the fits involved "
        "has seen, and are judged here on the held-out runs. 68 % is right. The bare spread is "
        f"{number(c['factor'])} times too small."
    )
    return join((table(head, rows, numbers=range(1, 5)), tag("p", note, css="note")))


def _flags(view: CampaignView, material: str) -> Html:
    rows = []
    for own in view.summary["efg_segments"][material]:
        worst = own["worst"]
        path = PurePath(worst["path"])
        # Quench, replica and segment say which file it is.
        where = f"atom {worst['atom']} of {path.parts[-4]}/{path.parts[-2]}/{path.name}"
        rows.append(
            [
                own["phase"],
                own["temperature_k"],
                own["n_tensors"],
                _percent(own["flagged_share"]),
                number(own["sigma_khz"]),
                f"{number(worst['score'])}: frame {worst['frame']}, {where}",
            ]
        )
    head = [
        "phase",
        "T (K)",
        "tensors",
        "unlike training",
        "predicted error of ω_Q (kHz)",
        "largest distance, limit 1",
    ]
    note = (
        "Unlike training: further from the training environments, along or outside their leading "
        "32 principal directions of the scalar power spectrum, than 99.9 % of them are. Every "
        "tensor is judged; frames and atoms stand in efg{s}.h5 under flagged. The predicted error "
        "is a root mean square over ions, field directions and every tenth frame."
    )
    return join((table(head, rows, numbers=range(1, 5)), tag("p", note, css="note")))


def _percent(share: float) -> str:
    return f"{100 * share:.3f}\u00a0%"
