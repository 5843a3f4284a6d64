"""One phase of a validation: distances of all observables, and the chain from end to end."""

from hopecho.io.efg_table import read_efg
from hopecho.io.h5md import read_segment
from hopecho.io.results import provenance, read_json, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run
from hopecho.trajectory import load
from hopecho.validation.end_to_end import SETS
from hopecho.validation.runs import SIDES
from hopecho.validation.surface import validate_phase


def main(argv: list[str] | None = None) -> None:
    bursts = [f"{side}_bursts" for side in SIDES]
    lists = [*SIDES, *bursts, *SETS, "reports"]
    args = arguments(argv, __doc__, "settings", "record", "curves", lists=lists)
    s, runs = args.settings, group_runs(args.ufp)
    tables = {n: [read_efg(r.paths) for r in group_runs(getattr(args, n))] for n in SETS}
    tables = {n: t for n, t in tables.items() if t}
    times = tables["ufp_exact"][0].time_ps if tables else [0.0, 0.0]
    result = validate_phase(
        {side: [load(r.paths) for r in group_runs(getattr(args, side))] for side in SIDES},
        {
            side: [read_segment(r.paths[0]) for r in group_runs(getattr(args, f"{side}_bursts"))]
            for side in SIDES
        },
        {n: [t.efg for t in replicas] for n, replicas in tables.items()},
        quench=[r.quench for r in runs],
        echo_stride_ps=float(times[1] - times[0]),
        settings=s,
    )
    failed = [path for path in args.reports if not read_json(path)["passed"]]
    record = result.record | {"temperature_k": s["temperature_k"], "failed_gates": failed}
    inputs = [*args.ufp, *args.reference, *(p for n in SETS for p in getattr(args, n))]
    origin = provenance(
        inputs, label_source=s["source"], seed=s["seed"], settings=str(sorted(s.items()))
    )
    write_json(args.record, record, provenance=origin)
    write_csv(args.curves, result.curves, provenance=origin)


if __name__ == "__main__":
    run(main)
