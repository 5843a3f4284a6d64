"""Random frames of a round's MD, to be labelled and never trained on in that round."""

import numpy as np

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.learning.frames import audit_frames
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "frames", lists=["runs"])
    frames = audit_frames(
        [frame for path in args.runs for frame in read_frames(path, allow_empty=True)],
        audit_per_phase=args.settings["audit_per_phase"],
        min_distance=args.settings["min_distance_angstrom"],
        rng=np.random.default_rng(args.settings["seed"]),
    )
    write_frames(args.frames, frames)


if __name__ == "__main__":
    run(main)
