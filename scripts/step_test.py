"""The integrator's time step, tested by runs at constant energy."""

from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.md.short_runs import time_step_test
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = (
        "structure",
        "potential",
        "start",
        "settings",
        "lammps",
        "pair_style",
        "scratch",
        "report",
    )
    args = arguments(argv, __doc__, *names)
    report = time_step_test(
        read_frames(args.structure)[0],
        Path(args.potential),
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        start=Path(args.start),
        scratch=Path(args.scratch),
    )
    write_json(args.report, report)


if __name__ == "__main__":
    run(main)
