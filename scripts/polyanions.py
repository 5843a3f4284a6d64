"""Angles, rotation and bond life of the polyanions of one phase and temperature."""

import pandas as pd

from hopecho.dynamics.rotation import polyanions
from hopecho.io.h5md import read_segment
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.md.potentials import Species
from hopecho.script import arguments, run
from hopecho.trajectory import load


def main(argv: list[str] | None = None) -> None:
    names = ("settings", "rotation", "r_phi", "json")
    args = arguments(argv, __doc__, *names, lists=["h5md", "bursts"])
    s, runs = args.settings, group_runs(args.h5md)
    species = Species.of(s["elements"], masses=s["masses_u"])
    sampled = {(r.quench, r.replica): r.paths for r in group_runs(args.bursts)}
    result = polyanions(
        [load(r.paths) for r in runs],
        [[read_segment(p) for p in sampled.get((r.quench, r.replica), ())] for r in runs],
        quench=[r.quench for r in runs],
        masses_u=dict(zip(species.elements, species.masses, strict=True)),
        polyanion=s["polyanion"],
        mobile=s["mobile"],
        min_residence_ps=s["hop_window_ps"],
    )
    inputs = [*args.h5md, *args.bursts]
    origin = provenance(inputs, label_source=s["source"], settings=str(sorted(s.items())))
    write_csv(args.rotation, pd.DataFrame(result.columns()), provenance=origin)
    write_csv(args.r_phi, pd.DataFrame(result.r_phi_columns()), provenance=origin)
    write_json(args.json, result.record(), provenance=origin)


if __name__ == "__main__":
    run(main)
