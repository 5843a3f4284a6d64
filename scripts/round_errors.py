"""Errors of a round's potential on its training, withheld and audit frames."""

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.io.uf3 import read_uf3
from hopecho.learning.evaluation import error_sample
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("potential", "constants", "dataset", "withheld", "audit", "errors")
    args = arguments(argv, __doc__, *names)
    potential = read_uf3(args.potential, sidecar=args.constants)
    sets = {"training": args.dataset, "held_out": args.withheld, "audit": args.audit}
    samples = {
        name: error_sample(potential, read_frames(path, allow_empty=True))
        for name, path in sets.items()
    }
    write_json(args.errors, {name: sample.to_dict() for name, sample in samples.items()})


if __name__ == "__main__":
    run(main)
