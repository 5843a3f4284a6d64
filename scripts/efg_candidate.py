"""Cross-validate one density expansion of the EFG model with every regularisation."""

import logging

from hopecho.efg.candidates import candidate
from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.labels.campaign import require_one_set
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "frames", "dataset", "settings", "result")
    frames = read_frames(args.frames) + read_frames(args.dataset)
    require_one_set(frames)
    row = candidate(frames, args.settings, args.settings["basis"])
    logging.info("%s loss %.4g, ridge %g", row["settings"], row["loss"], row["ridge"])
    write_json(args.result, {"rows": [row]})


if __name__ == "__main__":
    run(main)
