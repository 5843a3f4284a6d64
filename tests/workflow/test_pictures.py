"""The graph of the rules in the docs, and Snakemake's own report."""

import base64
import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_graph_in_the_docs_is_the_graph_of_the_rules(finished):
    spec = importlib.util.spec_from_file_location("rulegraph_page", DOCS / "rulegraph.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = finished.run("--rulegraph", "--nolock")
    assert done.returncode == 0, done.stdout
    page = (DOCS / "rulegraph.md").read_text()
    assert module.page(done.stdout) == page, "draw it again: see docs/rulegraph.md"
    drawn = set(re.findall(r"^    (\w+)$", page, re.M))
    optional = {"grid_candidate", "grid_choice", "efg_candidate", "efg_choice", "import_potential"}
    optional |= {"own_run", "own_runs", "own_tensors", "import_efg"}
    optional |= {
        "gap_comparison",
        *(f"validation_{n}" for n in ("run", "tensors", "phase", "page")),
    }
    assert {rule for rules in module.stages().values() for rule in rules} == drawn | optional


def test_snakemakes_own_report_holds_page_and_tables(finished, tmp_path):
    target = tmp_path / "snakemake-report.html"
    done = finished.run("--report", str(target), "--nolock")
    assert done.returncode == 0, done.stdout
    text = target.read_text()
    for name in ("report.html", "summary.json", "ledger.csv"):
        assert f'"name": "{name}"' in text
    for said in ("one self-contained page", "the same claims as the page", "what every job cost"):
        assert said in text
    page = (finished.results / "report.html").read_bytes()
    assert base64.b64encode(page).decode()[:200] in text
