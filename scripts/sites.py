"""Sites, hops and tensors of one phase and temperature, and the decay that they predict."""

import pandas as pd

from hopecho.correlation.echo_models import EchoPlan
from hopecho.dynamics.site_analysis import SiteSettings, analyse_sites
from hopecho.dynamics.sites import crystal_sites
from hopecho.io.efg_table import read_efg
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run
from hopecho.trajectory import load

TABLES = ("histograms", "traces", "angles", "acf", "hops")
SAME_NAME = ("mobile", "oxidation", "isotope", "b0", "hop_distance_angstrom", "hop_window_ps")


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "json", *TABLES, lists=["h5md", "efg", "crystal"])
    s = args.settings
    crystal = (
        crystal_sites(
            args.crystal[0],
            supercell=s["supercell"],
            mobile=s["mobile"],
            ligand=s["polyanion"]["ligand"],
            cutoff_angstrom=s["site_cutoff_angstrom"],
        )
        if args.crystal
        else None
    )
    result = analyse_sites(
        [load(r.paths) for r in group_runs(args.h5md)],
        [read_efg(r.paths).efg for r in group_runs(args.efg)],
        sites=crystal,
        settings=SiteSettings(
            **{name: s[name] for name in SAME_NAME},
            max_lag_fraction=s["max_lag_fraction"],
            plan=EchoPlan(tuple(s["echo_tp_us"]), tuple(s["echo_tm_us"]), s["echo_dead_time_us"]),
            seed=s["seed"],
        ),
    )
    origin = provenance(
        [*args.h5md, *args.efg], label_source=s["source"], seed=s["seed"],
        settings=str(sorted(s.items())),
    )  # fmt: skip
    write_json(args.json, result.record, provenance=origin)
    for name in TABLES:
        table = pd.DataFrame(result.tables[name])
        write_csv(getattr(args, name), table, provenance=origin)


if __name__ == "__main__":
    run(main)
