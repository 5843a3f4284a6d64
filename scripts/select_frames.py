"""Choose the frames of a round's MD that are worth a label, by their SOAP novelty."""

import numpy as np

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.io.results import write_json
from hopecho.learning.selection import SelectionSettings, select
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(
        argv, __doc__, "dataset", "audit", "settings", "frames", "report", lists=["runs"]
    )
    s = args.settings
    candidates = [frame for path in args.runs for frame in read_frames(path, allow_empty=True)]
    result = select(
        candidates,
        read_frames(args.dataset) + read_frames(args.audit),
        n_select=s["select_per_round"],
        settings=SelectionSettings(
            strategy=s["strategy"],
            min_distance=s["min_distance_angstrom"],
            duplicate_distance=s["duplicate_distance"],
        ),
        rng=np.random.default_rng(s["seed"]),
    )
    write_frames(args.frames, [candidates[i] for i in result.indices])
    write_json(args.report, result.to_dict())


if __name__ == "__main__":
    run(main)
