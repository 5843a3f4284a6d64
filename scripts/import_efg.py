"""A model of the electric field gradient that was fitted elsewhere, in place of a fit."""

import shutil

from hopecho.efg.record import model_record
from hopecho.io.results import provenance, sha256, write_json
from hopecho.own_data import named
from hopecho.own_tensors import import_model
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "file", "settings", "model", "report")
    s = args.settings
    with named("efg.file"):
        model = import_model(args.file, elements=s["elements"], isotope=s["isotope"])
    shutil.copyfile(args.file, args.model)
    known = {"file": args.file, "sha256": sha256(args.file)}
    origin = provenance([args.file], label_source="the model of efg.file")
    write_json(args.report, model_record(model, isotope=s["isotope"]) | known, provenance=origin)


if __name__ == "__main__":
    run(main)
