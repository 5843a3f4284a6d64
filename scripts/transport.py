"""Mobility and conductivity of one phase and temperature from its unwrapped trajectories."""

import pandas as pd

from hopecho.dynamics.transport import transport, transport_records, transport_tables
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run
from hopecho.trajectory import load


def main(argv: list[str] | None = None) -> None:
    names = ("settings", "msd", "msd_json", "conductivity", "collective", "hops")
    names += ("rdf", "van_hove", "runs", "ions")
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
    csv = {"msd": args.msd, "conductivity": args.collective}
    csv |= {"rdf": args.rdf, "van_hove": args.van_hove}
    csv |= {"conductivity_runs": args.runs, "msd_ions": args.ions}
    json = {"msd": args.msd_json, "conductivity": args.conductivity, "hops": args.hops}
    for name, table in transport_tables(result).items():
        write_csv(csv[name], pd.DataFrame(table), provenance=origin)
    for name, record in transport_records(result, mobile=s["mobile"]).items():
        write_json(json[name], record, provenance=origin)


if __name__ == "__main__":
    run(main)
