"""Read a potential made elsewhere, in place of a fit."""

import logging

from hopecho.io.extxyz import read_frames
from hopecho.io.results import sha256, write_json
from hopecho.io.uf3 import write_sidecar, write_uf3
from hopecho.script import arguments, run
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.imported import import_potential


def main(argv: list[str] | None = None) -> None:
    names = ("potential", "dataset", "settings", "uf3", "constants", "report")
    args = arguments(argv, __doc__, *names)
    frames = labelled_frames(read_frames(args.dataset))
    imported = import_potential(args.potential, args.settings["elements"], frames)
    potential = imported.potential
    logging.info("one-body energies from the %s: %s", imported.one_body, potential.one_body)
    write_uf3(args.uf3, potential)
    write_sidecar(args.constants, potential)
    report = {
        "file": args.potential,
        "sha256": sha256(args.potential),
        "one_body_from": imported.one_body,
        "cutoff_2b_angstrom": potential.cutoff_2b_angstrom,
        "cutoff_3b_angstrom": potential.cutoff_3b_angstrom,
        "n_coefficients": sum(t.coefficients.size for t in potential.two_body.values())
        + sum(t.coefficients.size for t in potential.three_body.values()),
    }
    write_json(args.report, report)


if __name__ == "__main__":
    run(main)
