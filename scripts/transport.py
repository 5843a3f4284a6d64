"""Mobility and conductivity of one phase and temperature from its unwrapped trajectories."""

import pandas as pd

from hopecho.dynamics.transport import msd_record, transport
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run
from hopecho.trajectory import load


def main(argv: list[str] | None = None) -> None:
    names = ("settings", "msd", "msd_json", "conductivity", "collective", "hops")
    names += ("rdf", "van_hove")
    args = arguments(argv, __doc__, *names, lists=["h5md"])
    s = args.settings
    runs = group_runs(args.h5md)
    result = transport(
        [load(r.paths) for r in runs],
        quench=[r.quench for r in runs],
        mobile=s["mobile"],
        oxidation=s["oxidation"],
        temperature_k=s["temperature_k"],
        hop_distance_angstrom=s["hop_distance_angstrom"],
        hop_window_ps=s["hop_window_ps"],
        max_lag_fraction=s["max_lag_fraction"],
    )
    origin = provenance(
        args.h5md, label_source=s["source"], seed=s["seed"], settings=str(sorted(s.items()))
    )
    write_csv(args.msd, pd.DataFrame(result.msd_columns()), provenance=origin)
    write_csv(args.collective, pd.DataFrame(result.collective_columns()), provenance=origin)
    write_csv(args.rdf, pd.DataFrame(result.rdf_columns()), provenance=origin)
    write_csv(args.van_hove, pd.DataFrame(result.van_hove.columns()), provenance=origin)
    write_json(args.msd_json, msd_record(result, mobile=s["mobile"]), provenance=origin)
    write_json(args.conductivity, result.conductivity_record(), provenance=origin)
    write_json(args.hops, result.hops_record(), provenance=origin)


if __name__ == "__main__":
    run(main)
