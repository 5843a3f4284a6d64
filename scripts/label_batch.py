"""Label one batch of frames; labels go to the store, hashes and states to the index."""

import logging
from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.labels.batch import label_batch
from hopecho.labels.campaign import backend_from_settings, raise_if_missing
from hopecho.labels.store import LabelStore
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("frames", "batch", "command", "settings", "store", "scratch", "index")
    args = arguments(argv, __doc__, *names)
    s, batch = args.settings | {"command": args.command}, int(args.batch)
    frames = read_frames(args.frames)[batch * s["per_job"] : (batch + 1) * s["per_job"]]
    result = label_batch(
        frames,
        backend_from_settings(s),
        LabelStore(Path(args.store)),
        Path(args.scratch),
        progress=lambda done, n, key, state: logging.info(
            "%d of %d %s %s", done, n, key[:12], state
        ),
    )
    raise_if_missing(result)
    write_json(args.index, result.to_dict() | {"keys": result.keys})


if __name__ == "__main__":
    run(main)
