"""The structure that production runs from: the start, brought to the accepted potential."""

from pathlib import Path

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.io.results import write_json
from hopecho.md.stages import anneal_structure
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
        "structure",
        "report",
    )
    atoms, report = anneal_structure(
        read_frames(args.start)[0],
        Path(args.potential),
        args.settings | {"command": args.lammps, "pair_style": args.pair_style},
        scratch=Path(args.scratch),
    )
    write_json(args.report, report)
    write_frames(args.structure, [atoms])


if __name__ == "__main__":
    run(main)
