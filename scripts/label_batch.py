"""Label one batch of frames; labels go to the store, hashes and states to the index."""

import json
import logging
from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.labels.batch import label_batch
from hopecho.labels.campaign import (
    backend_from_settings,
    raise_if_missing,
    rules_from_settings,
)
from hopecho.labels.store import LabelStore
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("frames", "batch", "command", "efg_command", "attempts", "settings")
    args = arguments(argv, __doc__, *names, "store", "scratch", "index")
    programs = {"command": args.command, "efg_command": args.efg_command}
    s = args.settings | programs | json.loads(args.attempts)
    batch = int(args.batch)
    frames = read_frames(args.frames)[batch * s["per_job"] : (batch + 1) * s["per_job"]]
    result = label_batch(
        frames,
        backend_from_settings(s),
        LabelStore(Path(args.store)),
        Path(args.scratch),
        rules=rules_from_settings(s),
        progress=lambda done, n, key, state: logging.info(
            "%d of %d %s %s", done, n, key[:12], state
        ),
    )
    for key, problem in result.problems:
        logging.warning("%s %s", key[:12], problem)
    raise_if_missing(result)
    write_json(args.index, result.to_dict() | {"keys": result.keys})


if __name__ == "__main__":
    run(main)
