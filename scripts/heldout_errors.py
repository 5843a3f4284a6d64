"""Errors of the accepted potential and of the EFG model on held-out frames."""

from hopecho.efg.model import load_model
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, write_arrays, write_json
from hopecho.io.uf3 import read_uf3
from hopecho.script import arguments, run
from hopecho.validation.heldout import heldout_errors, predicted_uncertainty


def main(argv: list[str] | None = None) -> None:
    names = ("potential", "constants", "labelled", "audit", "settings", "errors", "tensors")
    args = arguments(argv, __doc__, *names, lists=["model", "leverage"])
    potential = read_uf3(args.potential, sidecar=args.constants)
    frames = read_frames(args.labelled)
    result = heldout_errors(
        potential,
        load_model(args.model[0]) if args.model else None,
        frames,
        isotope=args.settings["isotope"],
        ligand=args.settings["ligand"],
    )
    origin = provenance(
        [args.potential, *args.model, args.labelled, *args.leverage, args.audit],
        label_source=args.settings["source"],
    )
    leverage = args.leverage[0] if args.leverage else None
    uncertainty = predicted_uncertainty(leverage, potential, read_frames(args.audit), frames)
    record = {"phases": result.phases, "uncertainty": uncertainty}
    write_json(args.errors, record, provenance=origin)
    write_arrays(args.tensors, result.parity)


if __name__ == "__main__":
    run(main)
