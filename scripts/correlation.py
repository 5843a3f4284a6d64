"""Correlation functions of the tensors of one phase and temperature, with fits and verdicts."""

import pandas as pd

from hopecho.correlation.echo import curve_record, echo_curves
from hopecho.correlation.verdict import AcfSettings
from hopecho.io.efg_table import read_efg
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", lists=["efg", "csv", "json"])
    s = args.settings
    runs = group_runs(args.efg)
    tables = [read_efg(r.paths) for r in runs]
    stride_ps = float(tables[0].time_ps[1] - tables[0].time_ps[0])
    curves = echo_curves(
        [t.efg for t in tables],
        stride_ps=stride_ps,
        quench=[r.quench for r in runs],
        isotope=s["isotope"],
        b0=s["b0"],
        settings=AcfSettings(
            t_min_ps=s["t_min_ps"], stretch=s["stretch"], n_resamples=s["bootstrap"]
        ),
        max_lag_fraction=s["max_lag_fraction"],
        seed=s["seed"],
    )
    origin = provenance(
        args.efg, label_source=s["source"], seed=s["seed"], settings=str(sorted(s.items()))
    )
    run_ps = float(sum(len(t.time_ps) for t in tables) * stride_ps)
    for curve, csv, json in zip(curves, args.csv, args.json, strict=True):
        write_csv(csv, pd.DataFrame(curve.columns()), provenance=origin)
        record = curve_record(curve, run_ps=run_ps, n_ions=tables[0].efg.shape[1])
        write_json(json, record, provenance=origin)


if __name__ == "__main__":
    run(main)
