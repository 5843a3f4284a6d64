"""Equilibration of one production run: fresh velocities, thermostatted, ends in a restart file."""

from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.md.stages import equilibrate_run
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = (
        "structure",
        "potential",
        "settings",
        "lammps",
        "pair_style",
        "scratch",
        "restart",
        "report",
    )
    args = arguments(argv, __doc__, *names)
    report = equilibrate_run(
        read_frames(args.structure)[0],
        Path(args.potential),
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        scratch=Path(args.scratch),
        restart=Path(args.restart),
    )
    write_json(args.report, report)


if __name__ == "__main__":
    run(main)
