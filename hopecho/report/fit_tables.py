"""How the potential was fitted: its size and settings, labels that stood out, the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, join, table, tag
from hopecho.report.model_errors import badge
from hopecho.report.words import number

SHORT: Mapping[str, str] = {
    "cutoff_2b_angstrom": "2-body cutoff (Å)",
    "cutoff_3b_angstrom": "3-body cutoff (Å)",
    "intervals_2b": "intervals, pair",
    "intervals_3b": "intervals, ij and ik",
    "intervals_jk": "intervals, jk",
    "ridge_2b": "ridge, 2-body",
    "ridge_3b": "ridge, 3-body",
    "curvature_2b": "curvature, 2-body",
    "curvature_3b": "curvature, 3-body",
}


def fit_section(view: CampaignView, material: str) -> Html:
    """Return settings and size of the accepted fit, labels that stood out, and the grid."""
    fit = view.summary["fit"][material]
    if "file" in fit:
        return _imported(fit)
    said = (
        f"{fit['n_columns']} coefficients, of which the {fit['train_errors']['n_frames']} training "
        f"structures determine {number(fit['effective_dof'], 3)} (effective degrees of freedom)."
    )
    settings = [[SHORT[name], f"{value:g}"] for name, value in fit["settings"].items()]
    parts = [tag("p", said), table(["setting", "value"], settings, numbers=[1])]
    parts.append(_findings(fit["findings"]))
    grid = view.summary["grid"].get(material)
    if grid:
        said = (
            "Settings were chosen by cross-validation on the frames of round 0: {reason}. The loss "
            "is the weighted mean square error on structures left out; 1 is no model at all. "
        )
        parts.append(grid_table(grid, SHORT, said=said, cost="cost of a force, relative"))
    return join(parts)


def uncertainty_section(view: CampaignView, material: str) -> Html:
    """Return how well the predicted widths of force errors hold on held-out frames."""
    found = view.summary["uncertainty"][material]
    if "reason" in found:
        return tag("p", f"Not determined: {found['reason']}.")
    rows = []
    for name, own in found["coverage"].items():
        spread = own["stderr_68"]
        share = f"{100 * own['share_68']:.0f}" + (
            "" if spread is None else f" ± {100 * spread:.0f}"
        )
        nll = own["nll"]
        rows.append(
            [
                name.replace("_", " of "),
                share,
                number(own["chi2"], 2),
                number(nll["leverage"], 3),
                number(nll["best_constant"], 3),
                badge(nll["leverage"] < nll["best_constant"]),
            ]
        )
    head = [
        "error",
        "inside one sigma (%)",
        "χ²",
        "NLL, predicted",
        "NLL, best constant",
        "better",
    ]
    note = (
        "σ² = a² + b²h for each element, h the leverage of the environment in the fit; a and b "
        "come from the audit frames of the accepted round, which its fit has not seen, and are "
        "judged here on the held-out runs. 68 % is right; χ² above 1 says that widths are too "
        "small. NLL: mean negative log-likelihood, lower is better; the best constant knows the "
        "errors that it is tested on."
    )
    return join((table(head, rows, numbers=range(1, 5)), tag("p", note, css="note")))


def extrapolation_section(view: CampaignView, material: str) -> Html:
    """Return how much of production lies outside the training data of the potential."""
    found = view.summary["extrapolation"].get(material)
    if found is None:
        return tag("p", "Not known of a potential that was not fitted here.")
    rows = []
    for case in view.of_material(material):
        if case.phase in view.own.get(material, {}):
            continue
        own = found[f"{case.phase}/{case.temperature_k}K"]
        at = own["largest_ratio_at"]
        rows.append(
            [
                case.phase,
                case.temperature_k,
                own["n_snapshots"],
                f"{100 * own['share_beyond']:.3g} % ({own['n_beyond']} of {own['n_environments']})",
                number(own["largest_ratio"], 3),
                f"quench {at['quench']}, replica {at['replica']}, {at['time_ps']:g} ps, "
                f"atom {at['atom']}",
                number(own["predicted_force_sigma_ev_a"], 2),
            ]
        )
    head = [
        "phase",
        "T\u00a0(K)",
        "snapshots",
        "environments beyond the training data",
        "largest leverage / largest in training",
        "where",
        "predicted force σ (eV/Å)",
    ]
    note = (
        "The leverage of an environment says how far it is from the training data; beyond means "
        "further than any training environment of its element. Predictions there are "
        "extrapolations, and their predicted widths are, too."
    )
    return join((table(head, rows, numbers=[1, 2, 4, 6]), tag("p", note, css="note")))


def _imported(fit: Mapping[str, Any]) -> Html:
    """Say which file stands in place of a fit."""
    origin = {
        "file": "are the file's",
        "labels": "are fitted to the labels of the first round, as the file holds none",
    }
    said = (
        f"Not fitted here: read from {fit['file']} (SHA-256 {fit['sha256'][:16]}), with "
        f"{fit['n_coefficients']} coefficients and cutoffs of {fit['cutoff_2b_angstrom']:g} and "
        f"{fit['cutoff_3b_angstrom']:g} Å. One-body energies {origin[fit['one_body_from']]}. The "
        "one round below tests it, on frames that it was not fitted to as far as this campaign "
        "can know."
    )
    return tag("p", said)


def _findings(findings: list[Mapping[str, str]]) -> Html:
    if not findings:
        return tag("p", "No training label was found twice, not finite, or far from the others.")
    rows = [[f["frame"], f["kind"], f["seen"], f["action"]] for f in findings]
    head = ["training frame", "kind", "what was seen", "what was done"]
    return join((tag("p", "Training labels that stood out:"), table(head, rows)))


def grid_table(grid: Mapping[str, Any], short: Mapping[str, str], *, said: str, cost: str) -> Html:
    """Table of a grid and its choice; only settings that differ have a column.

    Parameters
    ----------
    grid : mapping
        ``rows`` and ``chosen`` of `hopecho.ufp.grid.choose`.
    short : mapping
        Name of every setting in words.
    said : str
        How the choice was made; the reason is put in for ``{reason}``.
    cost : str
        Head of the column of relative costs.
    """
    rows, chosen = grid["rows"], grid["chosen"]
    names = [n for n in short if len({row["settings"][n] for row in rows}) > 1]
    cells = []
    for row in sorted(rows, key=lambda row: float(row["loss"])):
        mark = "chosen" if row["settings"] == chosen["settings"] else ""
        values = [f"{row['settings'][n]:g}" for n in names]
        loss = f"{number(row['loss'], 3)} ± {number(row['loss_stderr'], 2)}"
        cells.append([*values, row["n_columns"], loss, number(row["relative_cost"], 2), mark])
    head = [short[n] for n in names] + ["coefficients", "cross-validated loss", cost, ""]
    paragraph = tag("p", said.format(reason=chosen["reason"]))
    return join((paragraph, table(head, cells, numbers=range(len(head) - 1))))
