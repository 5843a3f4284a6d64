"""One run of a validation: equilibration, trajectory and burst, of the potential or the surface."""

from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.script import arguments, run
from hopecho.validation.runs import RunOutputs, validation_run


def main(argv: list[str] | None = None) -> None:
    names = ("structure", "settings", "lammps", "pair_style", "scratch", "h5md", "burst", "report")
    args = arguments(argv, __doc__, *names, lists=["potential"])
    record = validation_run(
        read_frames(args.structure)[0],
        Path(args.potential[0]) if args.potential else None,
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        scratch=Path(args.scratch),
        outputs=RunOutputs(Path(args.h5md), Path(args.burst)),
    )
    write_json(args.report, record)


if __name__ == "__main__":
    run(main)
