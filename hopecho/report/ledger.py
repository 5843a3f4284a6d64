"""What every stage cost, from the benchmark files of the workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from hopecho.io.results import read_json
from hopecho.labels.store import LabelStore

COLUMNS = (
    *("rule", "wildcards", "wall_s", "cpu_s", "max_rss_mb", "labels", "cpu_s_per_label"),
    *("atom_steps", "us_per_atom_step", "ns_per_day"),
)


def ledger(results: Path, store: LabelStore) -> pd.DataFrame:
    """Read all benchmark files of a campaign.

    Parameters
    ----------
    results : Path
        The campaign's folder, with ``benchmarks/<rule>/<wildcards>.tsv``.
    store : LabelStore
        Labels, each of which knows what it cost.

    Returns
    -------
    DataFrame
        One row a job: rule, wildcards, wall_s, cpu_s, max_rss_mb; jobs too short to be measured
        count 0. Jobs of labels also have their number and the CPU time that one took when it was
        computed, by this campaign or another; segments of MD have atoms times steps, and LAMMPS's
        own CPU time and speed; other jobs have 0 there. The CPU time of a segment is at least
        LAMMPS's: Snakemake samples it and misses the end of a job.
    """
    rows = []
    root = results / "benchmarks"
    for path in sorted(root.glob("**/*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["NA", "-"])
        rule, *rest = path.relative_to(root).with_suffix("").parts
        last = table.iloc[-1].fillna(0.0)
        md = _md(results, rule, "/".join(rest))
        rows.append(
            (
                rule,
                "/".join(rest),
                float(last["s"]),
                max(float(last["cpu_time"]), md["cpu_s"]),
                float(last["max_rss"]),
                *_labels(results / "/".join(rest), store, rule),
                *(md["atom_steps"], md["us_per_atom_step"], md["ns_per_day"]),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _md(results: Path, rule: str, job: str) -> dict[str, Any]:
    """What LAMMPS said of a segment's cost, which the job leaves beside its log."""
    path = results / "logs" / rule / f"{job}.json"
    if rule != "segment" or not path.is_file():
        return {"cpu_s": 0.0, "atom_steps": 0, "us_per_atom_step": 0.0, "ns_per_day": 0.0}
    return read_json(path)


def md_costs(table: pd.DataFrame, job: str) -> tuple[float, float, float] | None:
    """CPU time (s), us an atom and step, and ns a day of the segments whose name fits; or None.

    Parameters
    ----------
    table : DataFrame
        A ledger.
    job : str
        Regular expression for the whole of ``wildcards``.
    """
    own = table[(table["rule"] == "segment") & table["wildcards"].str.fullmatch(job)]
    own = own[own["atom_steps"] > 0]
    if own.empty:
        return None
    md_cpu_s = float((own["atom_steps"] * own["us_per_atom_step"]).sum()) * 1e-6
    return md_cpu_s, md_cpu_s * 1e6 / float(own["atom_steps"].sum()), own["ns_per_day"].median()


def _labels(job: Path, store: LabelStore, rule: str) -> tuple[int, float]:
    """Labels of a batch ``{material}/{label_set}-{batch}``, and the mean CPU time of one, s."""
    folder, _, batch = job.as_posix().rpartition("-")
    index = Path(folder) / f"labels{batch}.json"
    if rule != "label_batch" or not index.is_file():
        return 0, 0.0
    found = [label for key, _ in read_json(index)["labels"] if (label := store.get(key))]
    costs = [label.cpu_s for label in found if not label.imported]
    return len(found), (sum(costs) / len(costs) if costs else 0.0)


def by_rule(table: pd.DataFrame) -> pd.DataFrame:
    """Sum a ledger by rule: jobs, wall_s, cpu_s, and the largest max_rss_mb, dearest first."""
    grouped = table.groupby("rule").agg(
        jobs=("wall_s", "size"),
        wall_s=("wall_s", "sum"),
        cpu_s=("cpu_s", "sum"),
        max_rss_mb=("max_rss_mb", "max"),
    )
    return grouped.sort_values("cpu_s", ascending=False).reset_index()
