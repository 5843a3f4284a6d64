"""One burst: a short run at constant energy whose frames hold velocities."""

from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.md.short_runs import production_burst
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
        "h5md",
        "report",
    )
    args = arguments(argv, __doc__, *names)
    production_burst(
        read_frames(args.structure)[0],
        Path(args.potential),
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        start=Path(args.start),
        scratch=Path(args.scratch),
        trajectory=Path(args.h5md),
        summary=Path(args.report),
    )


if __name__ == "__main__":
    run(main)
