"""Errors of the accepted potential and of the EFG model on held-out frames."""

from hopecho.efg.model import load_model
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, write_arrays, write_json
from hopecho.io.uf3 import read_uf3
from hopecho.script import arguments, run
from hopecho.validation.heldout import heldout_errors


def main(argv: list[str] | None = None) -> None:
    names = ("potential", "constants", "labelled", "settings", "errors", "tensors")
    args = arguments(argv, __doc__, *names, lists=["model"])
    result = heldout_errors(
        read_uf3(args.potential, sidecar=args.constants),
        load_model(args.model[0]) if args.model else None,
        read_frames(args.labelled),
        isotope=args.settings["isotope"],
    )
    origin = provenance(
        [args.potential, *args.model, args.labelled], label_source=args.settings["source"]
    )
    write_json(args.errors, {"phases": result.phases}, provenance=origin)
    write_arrays(args.tensors, result.parity)


if __name__ == "__main__":
    run(main)
