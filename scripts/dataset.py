"""Training frames and withheld frames of a round: what came before, and the new labels."""

from hopecho.io.extxyz import read_frames, write_frames
from hopecho.labels.campaign import require_one_set
from hopecho.learning.frames import split_roles
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "dataset", "withheld", lists=["labelled", "before"])
    frames = [frame for path in args.before + args.labelled for frame in read_frames(path)]
    require_one_set(frames)
    train, withheld = split_roles(frames)
    write_frames(args.dataset, train)
    write_frames(args.withheld, withheld)


if __name__ == "__main__":
    run(main)
