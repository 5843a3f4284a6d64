"""Correlation functions of the tensors of one phase and temperature, with fits and verdicts."""

from pathlib import Path

import pandas as pd

from hopecho.correlation.echo import CURVES
from hopecho.correlation.products import echo_products
from hopecho.io.efg_series import open_runs
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run

FILES = ("ions", "sae", "sae_json", "spectrum", "relaxation")


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", *FILES, lists=["efg", "csv", "json"])
    s = args.settings
    runs = group_runs(args.efg)
    with open_runs([r.paths for r in runs], scratch=Path(args.sae).parent) as series:
        products = echo_products(
            series,
            quench=[r.quench for r in runs],
            isotope=s["isotope"],
            seed=s["seed"],
            settings=s,
        )
    origin = provenance(
        args.efg, label_source=s["source"], seed=s["seed"], settings=str(sorted(s.items()))
    )
    csv = dict(zip(CURVES, args.csv, strict=True))
    csv |= {"acf_ions": args.ions, "sae": args.sae, "spectral_density": args.spectrum}
    for name, table in products.tables.items():
        write_csv(csv[name], pd.DataFrame(table), provenance=origin)
    json = dict(zip(CURVES, args.json, strict=True))
    json |= {"sae": args.sae_json, "relaxation": args.relaxation}
    for name, record in products.records.items():
        write_json(json[name], record, provenance=origin)


if __name__ == "__main__":
    run(main)
