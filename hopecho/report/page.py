"""The report: one self-contained HTML page made from the summary, the ledger and the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hopecho.io.results import read_csv, read_json
from hopecho.report.campaign import CampaignView
from hopecho.report.claims import banner, claim_tables, headlines, regimes
from hopecho.report.drawings import drawings
from hopecho.report.echo_tables import echo_tables
from hopecho.report.gates import gates
from hopecho.report.making import cost, made
from hopecho.report.markup import Html, join, tag
from hopecho.report.site_drawings import site_table
from hopecho.report.template import page
from hopecho.report.validation import validation_section


def build_page(results: Path, summary_path: Path, validation: Sequence[Path] = ()) -> str:
    """Return the report as HTML text: figures inline, nothing from outside, no script.

    Equal inputs give equal bytes; neither dates nor places of files enter.

    Parameters
    ----------
    results : Path
        The campaign's folder: ``ledger.csv``, the curves of every phase and temperature, and the
        held-out pairs.
    summary_path : Path
        ``summary.json`` of `hopecho.report.summary.summarise`.
    validation : sequence of Path
        ``validation/{phase}.json`` of phases that were compared with the model surface.

    Raises
    ------
    HopechoError
        If a file is missing or cannot be read.
    """
    view = CampaignView(results, read_json(summary_path))
    ledger = read_csv(results / "ledger.csv")
    figures = drawings(view, ledger)
    sections = [
        ("headlines", "In words", headlines(view)),
        ("claims", "Claims", claim_tables(view)),
        *([_echo(view)] if view.tensors else []),
        ("figures", "Figures", tag("div", *(f.markup() for f in figures), css="figures")),
        *([_validation(results, validation)] if validation else []),
        ("gates", "Gates", gates(view)),
        ("cost", "Cost", cost(view, ledger)),
        ("made", "How it was made", made(view)),
    ]
    names = ", ".join(view.materials)
    subject = "Spin-alignment echo and ion transport" if view.tensors else "Ion transport"
    return page(f"{subject}: {names}", banner(view), sections)


def _validation(results: Path, records: Sequence[Path]) -> tuple[str, str, Html]:
    return "validation", "Against the surface itself", validation_section(results, records)


def _echo(view: CampaignView) -> tuple[str, str, Html]:
    said = join((regimes(view), site_table(view), echo_tables(view)))
    return "regimes", "What an echo would see", said
