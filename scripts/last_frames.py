"""Frames spread over the second half of each run."""

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.learning.frames import spread_frames
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "frames", lists=["runs"])
    frames = spread_frames(
        [read_frames(path, allow_empty=True) for path in args.runs],
        frames_per_run=args.settings["frames_per_run"],
        min_distance=args.settings.get("min_distance_angstrom", 0.0),
    )
    write_frames(args.frames, frames)


if __name__ == "__main__":
    run(main)
