"""Every claim of the campaign as JSON, and what every stage cost as CSV."""

from pathlib import Path

from hopecho.io.results import provenance, write_csv, write_json
from hopecho.labels.store import LabelStore
from hopecho.report.ledger import ledger
from hopecho.report.summary import summarise
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("results", "settings", "store", "summary", "ledger")
    args = arguments(argv, __doc__, *names, lists=["members"])
    s, results = args.settings, Path(args.results)
    summary = summarise(
        results,
        run=s["run"],
        temperatures_k=s["temperatures_k"],
        source=s["source"],
        store=LabelStore(Path(args.store)),
        efg=s["efg"],
        grid=bool(s["grid"]),
        efg_grid=bool(s["efg_grid"]) and s["efg"],
        bursts=s["bursts"],
        own=s["own"],
        members=set(args.members),
        grains=s["grains"],
        targets={
            "force_relative": s["target_force_ratio"],
            "rmse_energy": s["target_energy_ev_atom"],
        },
    )
    paths = sorted({claim["path"] for claim in summary["claims"]})
    origin = provenance(paths, label_source=s["source"])
    write_json(args.summary, summary, provenance=origin)
    write_csv(
        args.ledger,
        ledger(results, LabelStore(Path(args.store))),
        provenance=provenance([], label_source=s["source"]),
    )


if __name__ == "__main__":
    run(main)
