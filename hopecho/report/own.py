"""What the user brought: trajectories, tensors and a model of them, by file and hash, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from hopecho.io.results import read_json
from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, file_name, join, table, tag
from hopecho.report.words import ABSENT, number


def own_records(
    folder: Path, brought: Mapping[str, Mapping[str, Any]], members: Collection[str] | None = None
) -> dict[str, Any]:
    """Gather what was brought of a material.

    Parameters
    ----------
    folder : Path
        ``{results}/{material}``.
    brought : mapping
        Phase -> ``temperatures_k`` and ``tensors``, of `hopecho.own_plan.own_phases`.
    members : collection of str, optional
        Files that belong to the campaign; all when left out.

    Returns
    -------
    dict
        Phase -> ``tensors`` (table, file, fit or empty) and ``runs``: records of
        `hopecho.own_data.run_record`, with the record of their table under ``tensors``.
    """
    found = {}
    for phase, known in brought.items():
        place, runs = folder / "phases" / phase, []
        paths = [place / f"{t}K/own.json" for t in known["temperatures_k"]]
        for path in (p for p in paths if members is None or str(p) in members):
            for run in read_json(path)["runs"]:
                replica = f"quench{run['quench']}/{run['temperature_k']}K/replica{run['replica']}"
                of_table = place / replica / "efg0.json"
                table = read_json(of_table) if known["tensors"] == "table" else {}
                runs.append(run | {"tensors": table.get("files", [])})
        found[phase] = {"tensors": known["tensors"], "runs": runs}
    return found


def own_words(view: CampaignView) -> Iterator[str]:
    """Say in sentences whose trajectories and tensors they are, phase by phase."""
    for material, phases in view.own.items():
        for phase, known in phases.items():
            yield (
                f"The trajectories of {phase} are your own, not simulated here. "
                f"{_tensor_words(view, material, phase, known['tensors'])}"
            )


def _tensor_words(view: CampaignView, material: str, phase: str, how: str) -> str:
    if how == "table":
        return "So are its tensors."
    if how == "file":
        model = view.summary["efg"][material]
        return f"Its tensors are predicted by {model['file']}, which was not fitted here."
    if how == "fit":
        labels = view.summary["labels"]
        return f"Its tensors are predicted by the model that is fitted to labels of {labels}."
    return (
        f"It has no tensors, and so no echo: give phases.{phase}.efg (tables of them), or efg.file"
        " (a model that predicts them)."
    )


def own_section(view: CampaignView, material: str) -> Html:
    """Table of all files that were brought, with what they hold."""
    rows: list[list[object]] = []
    for phase, known in view.own[material].items():
        for run in known["runs"]:
            name = [phase, run["temperature_k"], run["quench"], run["replica"]]
            held = [
                "".join(f"{e}{n}" for e, n in run["atoms"].items()),
                run["n_frames"],
                number(run["stride_ps"]),
                number(run["length_ps"], 3),
            ]
            files = [("trajectory", f) for f in run["files"]]
            files += [("tensors", f) for f in run["tensors"]]
            for kind, file in files:
                rows.append([*name, *held, kind, *_named(file)])
                name, held = [""] * 4, [""] * 4
    head = [
        "phase", "T\u00a0(K)", "quench", "replica", "atoms", "frames", "every (ps)", "length (ps)",
        "", "file", "SHA-256, first 16 digits",
    ]  # fmt: skip
    model = view.summary["efg"].get(material, {})
    if "file" in model:
        row: list[object] = [ABSENT] * 8
        rows.append([*row, "model of the tensors", *_named(model | {"path": model["file"]})])
    note = (
        "Read, checked (unwrapped, one cell, no gap, one stride, the material's elements) and not "
        "changed; hashes in full are in summary.json under own."
    )
    body = table(head, rows, numbers=[1, 2, 3, 5, 6, 7])
    return join((body, tag("p", note, css="note")))


def _named(file: Mapping[str, Any]) -> tuple[Html, Html]:
    return file_name(file["path"]), tag("code", file["sha256"][:16])
