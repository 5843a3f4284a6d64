"""Gather the labels of a set of frames from the store; stop if too many failed."""

from pathlib import Path

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.io.results import read_json, write_json
from hopecho.labels.batch import read_labels
from hopecho.labels.campaign import census
from hopecho.labels.imported import require_checks
from hopecho.labels.store import LabelStore
from hopecho.learning.frames import with_origin
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("frames", "settings", "store", "max_failed_share", "labelled", "report")
    args = arguments(argv, __doc__, *names, lists=["batches"])
    frames = read_frames(args.frames)
    indices = [read_json(path) for path in args.batches]
    keys = [key for index in indices for key in index["keys"]]
    report = census(
        indices, max_failed_share=float(args.max_failed_share), source=args.settings["source"]
    )
    require_checks(frames, report.checks)
    labels = read_labels(report.labelled, LabelStore(Path(args.store)))
    write_frames(args.labelled, with_origin(labels, dict(zip(keys, frames, strict=True))))
    write_json(args.report, report.to_dict())


if __name__ == "__main__":
    run(main)
