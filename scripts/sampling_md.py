"""Short MD with a candidate potential: frames to learn from, and whether it held."""

from pathlib import Path

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.io.results import write_json
from hopecho.md.stages import raise_unless_survived, sample
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(
        argv,
        __doc__,
        "start",
        "potential",
        "settings",
        "lammps",
        "pair_style",
        "scratch",
        "frames",
        "report",
    )
    frames, record = sample(
        read_frames(args.start)[0],
        Path(args.potential),
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        scratch=Path(args.scratch),
    )
    if args.settings.get("must_survive"):
        raise_unless_survived(record)
    write_frames(args.frames, frames)
    write_json(args.report, record)


if __name__ == "__main__":
    run(main)
