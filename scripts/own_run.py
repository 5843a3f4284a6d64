"""A run that the user brings, checked and stored as the one segment of its run."""

from hopecho.io.h5md import write_segment
from hopecho.io.results import write_json
from hopecho.own_data import import_run, named, run_record
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "h5md", "report", lists=["files"])
    s = args.settings
    with named(f"phases.{s['phase']}.trajectories"):
        trajectory = import_run(
            args.files, elements=s["elements"], mobile=s["mobile"], stride_ps=s["stride_ps"]
        )
    write_segment(args.h5md, trajectory)
    known = {name: s[name] for name in ("phase", "temperature_k", "quench", "replica")}
    write_json(args.report, known | run_record(trajectory, args.files))


if __name__ == "__main__":
    run(main)
