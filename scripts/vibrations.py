"""Spectra of the elements and the Green-Kubo conductivity of one phase and temperature."""

import pandas as pd

from hopecho.dynamics.spectra import vibrations
from hopecho.io.h5md import read_segment
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.md.potentials import Species
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("settings", "vdos", "vacf", "json", "current", "current_json")
    args = arguments(argv, __doc__, *names, lists=["bursts"])
    s, runs = args.settings, group_runs(args.bursts)
    species = Species.of(s["elements"], masses=s["masses_u"])
    result = vibrations(
        [read_segment(path) for r in runs for path in r.paths],
        run=[k for k, r in enumerate(runs) for _ in r.paths],
        quench=[r.quench for r in runs for _ in r.paths],
        masses_u=dict(zip(species.elements, species.masses, strict=True)),
        oxidation=s["oxidation"],
        temperature_k=s["temperature_k"],
    )
    origin = provenance(args.bursts, label_source=s["source"], settings=str(sorted(s.items())))
    write_csv(args.vdos, pd.DataFrame(result.vdos_columns()), provenance=origin)
    write_csv(args.vacf, pd.DataFrame(result.vacf_columns()), provenance=origin)
    write_csv(args.current, pd.DataFrame(result.current_columns()), provenance=origin)
    write_json(args.json, result.record(), provenance=origin)
    write_json(args.current_json, result.current_record(), provenance=origin)


if __name__ == "__main__":
    run(main)
