"""Frames of round 0: rattled and strained starting structures, and data sets that exist."""

import numpy as np

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.learning.frames import imported_frames, initial_frames
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "frames", lists=["starts"])
    s = args.settings
    frames = initial_frames(
        [frame for path in args.starts for frame in read_frames(path)],
        phases=s["phases"],
        initial_per_phase=s["initial_per_phase"],
        rattle_angstrom=s["rattle_angstrom"],
        strain_amplitude=s["strain"],
        heldout_every=s["heldout_every"],
        rng=np.random.default_rng(s["seed"]),
    )
    brought = imported_frames(
        s["initial_files"],
        n_check=s.get("imported", {}).get("check", 0),
        heldout_every=s["heldout_every"],
    )
    write_frames(args.frames, frames + brought)


if __name__ == "__main__":
    run(main)
