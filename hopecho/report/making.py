"""How the campaign was made: cost, versions, seeds, settings, and the hashes of what went in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hopecho.report.campaign import CampaignView, settings_of
from hopecho.report.ledger import by_rule, md_costs
from hopecho.report.markup import Html, details, file_name, join, table, tag
from hopecho.report.words import ABSENT, number

PRODUCTS = ("acf_powder.json", "conductivity.json")
"""One product of each analysis, whose provenance stands for it."""


def cost(view: CampaignView, ledger: pd.DataFrame) -> Html:
    """Return what every stage cost, dearest first."""
    stages = by_rule(ledger)
    rows = [
        [r["rule"], r["jobs"], number(r["wall_s"]), number(r["cpu_s"]), number(r["max_rss_mb"])]
        for r in stages.to_dict("records")
    ]
    total = ["sum", len(ledger), number(ledger["wall_s"].sum()), number(ledger["cpu_s"].sum()), ""]
    head = ["stage", "jobs", "wall time (s)", "CPU time (s)", "largest memory (MB)"]
    note = (
        "Sums over the jobs in this results folder, as Snakemake measured them; a job that "
        "is too short to be measured counts 0, of programs that come and go some time is missed, "
        "and labels found in the store cost nothing (their own cost stands under Labels)."
    )
    body = table(head, [*rows, total], numbers=range(1, 5))
    return join((body, tag("p", note, css="note"), _md_costs(view, ledger)))


def _md_costs(view: CampaignView, ledger: pd.DataFrame) -> Html:
    """Return the cost of the production runs of every phase and temperature."""
    rows = []
    for case in view.cases:
        name = rf"{re.escape(case.material)}-{re.escape(case.phase)}-\d+-{case.temperature_k}K-.*"
        found = md_costs(ledger, name)
        if found is not None:
            cpu_s, us, ns_per_day = found
            rows.append([str(case), number(cpu_s), number(us, 3), number(ns_per_day, 3)])
    if not rows:
        return join(())
    head = ["production runs", "CPU time in LAMMPS (s)", "CPU time an atom and step (µs)", "ns/day"]
    note = (
        "As LAMMPS measured its loops, setup and steps lost to an interruption left out; ns/day is "
        "the median of the segments, of wall time, with what else the machine did."
    )
    return join((table(head, rows, numbers=[1, 2, 3]), tag("p", note, css="note")))


def made(view: CampaignView) -> Html:
    """Return versions, seeds, settings and inputs."""
    provenance = view.summary.get("provenance", {})
    versions: dict[str, Any] = {
        "hopecho": provenance.get("hopecho"),
        "Python": provenance.get("python"),
    }
    versions |= provenance.get("packages", {})
    rows = [[name, version or ABSENT] for name, version in versions.items()]
    products = {
        f"{case.folder}/{name}": view.record(f"{case.folder}/{name}")
        for case in view.cases
        for name in PRODUCTS
        if case in view.echo_cases or not name.startswith("acf")
    }
    return join(
        (
            tag("h3", "Versions"),
            table(["package", "version"], rows),
            tag("h3", "Seeds and settings of the analyses"),
            _settings_table(products),
            details("Seeds of the production runs", _seed_table(view)),
            details("Hashes of all inputs of the claims", _inputs(view, products)),
        )
    )


def _settings_table(products: Mapping[str, Mapping[str, Any]]) -> Html:
    rows = []
    for path, record in products.items():
        own = settings_of(record)
        said = ", ".join(f"{k} = {v}" for k, v in own.items() if k not in ("seed", "source"))
        provenance = record.get("provenance", {})
        seed = provenance.get("seed")
        rows.append([file_name(path), ABSENT if seed is None else seed, said or ABSENT])
    return table(["product", "seed", "settings"], rows, numbers=[1])


def _seed_table(view: CampaignView) -> Html:
    runs: dict[str, Any] = {}
    for material in view.materials:
        for s in view.summary["segments"][material]:
            runs.setdefault(view.short(s["path"]).rpartition("/")[0], s["seed"])
    rows = [[file_name(run), seed] for run, seed in runs.items()]
    return table(["run", "seed"], rows, numbers=[1])


def _inputs(view: CampaignView, products: Mapping[str, Mapping[str, Any]]) -> Html:
    found: dict[str, str] = {}
    for record in (view.summary, *products.values()):
        for path, digest in record.get("provenance", {}).get("inputs", {}).items():
            found[view.short(path)] = digest
    rows = [[file_name(path), tag("code", digest[:16])] for path, digest in sorted(found.items())]
    return table(["file", "SHA-256, first 16 digits"], rows)
