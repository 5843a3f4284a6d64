"""What every stage cost, from the benchmark files of the workflow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ("rule", "wildcards", "wall_s", "cpu_s", "max_rss_mb")


def ledger(results: Path) -> pd.DataFrame:
    """Read all benchmark files of a campaign.

    Parameters
    ----------
    results : Path
        The campaign's folder, with ``benchmarks/<rule>/<wildcards>.tsv``.

    Returns
    -------
    DataFrame
        One row a job: rule, wildcards, wall_s, cpu_s, max_rss_mb; jobs too short to be measured
        count 0.
    """
    rows = []
    root = results / "benchmarks"
    for path in sorted(root.glob("**/*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["NA", "-"])
        rule, *rest = path.relative_to(root).with_suffix("").parts
        last = table.iloc[-1].fillna(0.0)
        rows.append(
            (
                rule,
                "/".join(rest),
                float(last["s"]),
                float(last["cpu_time"]),
                float(last["max_rss"]),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_rule(table: pd.DataFrame) -> pd.DataFrame:
    """Sum a ledger by rule: jobs, wall_s, cpu_s, and the largest max_rss_mb, dearest first."""
    grouped = table.groupby("rule").agg(
        jobs=("wall_s", "size"),
        wall_s=("wall_s", "sum"),
        cpu_s=("cpu_s", "sum"),
        max_rss_mb=("max_rss_mb", "max"),
    )
    return grouped.sort_values("cpu_s", ascending=False).reset_index()
