"""Tensors of every probe ion in every snapshot of a segment."""

from hopecho.efg.model import load_model
from hopecho.efg.predict import predict_segment
from hopecho.io.results import sha256
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "model", "h5md", "settings", "efg")
    predict_segment(
        load_model(args.model),
        args.h5md,
        args.efg,
        provenance={
            "labels": args.settings["source"],
            "model_sha256": sha256(args.model),
            "trajectory_sha256": sha256(args.h5md),
        },
    )


if __name__ == "__main__":
    run(main)
