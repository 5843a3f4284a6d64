"""Errors of the accepted potential and of the EFG model on held-out frames."""

import logging

from hopecho.efg.model import load_model
from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, write_arrays, write_json
from hopecho.io.uf3 import read_uf3
from hopecho.script import arguments, run
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.leverage import load_leverage
from hopecho.ufp.uncertainty import assess, posterior
from hopecho.validation.heldout import heldout_errors


def main(argv: list[str] | None = None) -> None:
    names = ("potential", "constants", "labelled", "leverage", "audit", "settings")
    args = arguments(argv, __doc__, *names, "errors", "tensors", lists=["model"])
    potential = read_uf3(args.potential, sidecar=args.constants)
    frames = read_frames(args.labelled)
    result = heldout_errors(
        potential,
        load_model(args.model[0]) if args.model else None,
        frames,
        isotope=args.settings["isotope"],
    )
    origin = provenance(
        [args.potential, *args.model, args.labelled, args.leverage, args.audit],
        label_source=args.settings["source"],
    )
    try:
        uncertainty = assess(
            posterior(load_leverage(args.leverage)),
            potential,
            labelled_frames(read_frames(args.audit)),
            labelled_frames(frames),
        )
    except HopechoError as error:
        # A campaign of a few frames has errors, but too few to say how large they may be.
        logging.warning("no uncertainty: %s", error)
        uncertainty = {"reason": error.what}
    record = {"phases": result.phases, "uncertainty": uncertainty}
    write_json(args.errors, record, provenance=origin)
    write_arrays(args.tensors, result.parity)


if __name__ == "__main__":
    run(main)
