"""One production segment; a killed job resumes at its last chunk."""

from dataclasses import asdict
from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.md.segments import SegmentOutputs
from hopecho.md.stages import production_segment
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = (
        "structure",
        "potential",
        "start",
        "settings",
        "lammps",
        "pair_style",
        "max_wall_min",
        "scratch",
        "h5md",
        "restart",
        "report",
    )
    args = arguments(argv, __doc__, *names)
    started = {"command": args.lammps, "pair_style": args.pair_style}
    started |= {"max_wall_min": float(args.max_wall_min)}
    summary = production_segment(
        read_frames(args.structure)[0],
        Path(args.potential),
        args.settings | started,
        start=Path(args.start),
        scratch=Path(args.scratch),
        outputs=SegmentOutputs(Path(args.h5md), Path(args.restart), Path(args.report)),
    )
    if args.log and summary.cost:  # no output: its digits are other ones each time
        write_json(Path(args.log).with_suffix(".json"), asdict(summary.cost))


if __name__ == "__main__":
    run(main)
