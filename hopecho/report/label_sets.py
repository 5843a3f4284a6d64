"""What became of the labels of a campaign: counts, cost, imports, and why some are set aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hopecho.io.results import read_json
from hopecho.labels.quality import ADVICE
from hopecho.labels.store import LabelStore
from hopecho.report.markup import Html, details, join, table, tag
from hopecho.report.words import ABSENT, number


def gather(folder: Path, store: LabelStore) -> dict[str, Any]:
    """Read the sets of labels of a material, and what the store knows of them.

    Parameters
    ----------
    folder : Path
        ``{results}/{material}``, with one ``labelled.json`` a set.
    store : LabelStore
        Labels and quarantine records.

    Returns
    -------
    dict
        ``sets`` (name -> ``n_labelled``, ``n_quarantined``, ``n_imported``, ``n_changed``,
        ``cpu_s``), ``quarantine`` (key -> ``reason``, ``part``, ``failures``, ``log``),
        ``checks`` of imported labels.
    """
    sets: dict[str, dict[str, Any]] = {}
    quarantine: dict[str, dict[str, Any]] = {}
    checks: dict[str, Any] = {}
    for path in sorted(folder.glob("**/labelled.json")):
        census = read_json(path)
        labels = [label for key in census["labelled"] if (label := store.get(key)) is not None]
        sets[path.parent.relative_to(folder).as_posix()] = {
            "n_labelled": census["n_labelled"],
            "n_quarantined": len(census["quarantined"]),
            "n_imported": sum(bool(label.imported) for label in labels),
            "n_changed": sum(bool(label.changes) for label in labels),
            "cpu_s": sum(label.cpu_s for label in labels),
        }
        for key, reason in census["quarantined"].items():
            quarantine[key] = {"reason": reason} | _record(store, key)
        checks |= {check["key"]: check for check in census["checks"]}
    return {"sets": sets, "quarantine": quarantine, "checks": list(checks.values())}


def _record(store: LabelStore, key: str) -> dict[str, Any]:
    record = store.quarantined(key)
    if record is None:
        return {"part": None, "failures": None, "formula": None, "log": ""}
    return {
        "part": record.part,
        "failures": record.failures,
        "formula": store.atoms(key).get_chemical_formula(),
        "log": "\n".join(record.log.splitlines()[-12:]),
    }


def label_table(labels: Mapping[str, Any]) -> Html:
    """Return counts and cost of every set of labels."""
    rows = []
    for name, s in labels["sets"].items():
        computed = s["n_labelled"] - s["n_imported"]
        each = number(s["cpu_s"] / computed, 3) if computed else ABSENT
        rows.append(
            [
                name,
                s["n_labelled"],
                s["n_imported"],
                s["n_changed"],
                s["n_quarantined"],
                number(s["cpu_s"], 3),
                each,
            ]
        )
    head = [
        "set",
        "labelled",
        "of them imported",
        "of them after a retry",
        "quarantined",
        "CPU time (s)",
        "CPU time a label (s)",
    ]
    note = (
        "CPU time is what the labels cost when they were computed, failed attempts included, also "
        "where this campaign found them in the store. A label after a retry was found with other "
        "settings of the self-consistency, which its record names."
    )
    return join(
        (table(head, rows, numbers=range(1, 7)), _checks(labels), tag("p", note, css="note"))
    )


def _checks(labels: Mapping[str, Any]) -> Html:
    """Imported labels against the code's own."""
    checks = labels["checks"]
    imported = sum(s["n_imported"] for s in labels["sets"].values())
    if not checks:
        said = f"{imported} imported labels were not compared with this code's own."
        return tag("p", said, css="warning") if imported else Html("")
    parts = [
        f"energy {1e3 * max(c['energy_ev_atom'] for c in checks):.2g} meV/atom",
        f"force {1e3 * max(c['force_ev_a'] for c in checks):.2g} meV/Å",
    ]
    tensors = [c["efg_au"] for c in checks if c["efg_au"] is not None]
    parts += [f"field gradient {max(tensors):.2g} a.u."] if tensors else []
    return tag(
        "p",
        f"{len(checks)} structures of imported files were computed again; largest differences: "
        f"{', '.join(parts)}.",
    )


def quarantine_table(quarantine: Mapping[str, Mapping[str, Any]]) -> Html:
    """Return the structures that are set aside, with reason, advice and the end of the log."""
    if not quarantine:
        return tag("p", "None.")
    said = f"{len(quarantine)} labels failed their own gates and were trained on nowhere."
    if len(quarantine) == 1:
        said = "One label failed its own gates and was trained on nowhere."
    rows = [
        [
            tag("code", key[:16]),
            entry["formula"] or ABSENT,
            entry["reason"],
            entry["part"] or ABSENT,
            ADVICE.get(entry["reason"], ABSENT),
        ]
        for key, entry in sorted(quarantine.items())
    ]
    logs = [
        join((tag("p", tag("code", key[:16])), tag("pre", entry["log"])))
        for key, entry in sorted(quarantine.items())
        if entry["log"]
    ]
    parts = [
        tag("p", said),
        table(["label", "content", "reason", "run", "what to do"], rows),
    ]
    return join((*parts, details("Ends of their logs", join(logs)) if logs else Html("")))
