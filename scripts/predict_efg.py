"""Tensors of every probe ion in every snapshot of a segment, and how far to trust them."""

from hopecho.efg.model import load_model
from hopecho.efg.predict import predict_segment
from hopecho.io.results import provenance, sha256, write_json
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "model", "h5md", "settings", "efg", "report")
    s = args.settings
    said = predict_segment(
        load_model(args.model),
        args.h5md,
        args.efg,
        isotope=s["isotope"],
        provenance={
            "labels": s["source"],
            "model_sha256": sha256(args.model),
            "trajectory_sha256": sha256(args.h5md),
        },
    )
    record = {"phase": s["phase"], "temperature_k": s["temperature_k"]} | said
    origin = provenance([args.model, args.h5md], label_source=s["source"])
    write_json(args.report, record, provenance=origin)


if __name__ == "__main__":
    run(main)
