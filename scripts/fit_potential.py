"""Fit the ultra-fast potential of a round."""

import logging

from hopecho.io.extxyz import read_frames
from hopecho.io.uf3 import write_sidecar, write_uf3
from hopecho.script import arguments, run
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import Regularisation, fit_potential


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "dataset", "settings", "uf3", "constants")
    s = args.settings
    names = ("cutoff_2b_angstrom", "cutoff_3b_angstrom", "intervals_2b", "intervals_3b")
    spec = BasisSpec(
        tuple(s["elements"]), **{n: s[n] for n in names}, intervals_jk=s["intervals_jk"]
    )
    penalties = ("ridge_2b", "ridge_3b", "curvature_2b", "curvature_3b")
    result = fit_potential(
        labelled_frames(read_frames(args.dataset)),
        spec,
        regularisation=Regularisation(**{n: s[n] for n in penalties}),
        shares={n: s[f"weight_{n}"] for n in ("energy", "force", "stress")},
    )
    write_uf3(args.uf3, result.potential)
    write_sidecar(args.constants, result.potential)
    for name, value in result.train_errors.items():
        logging.info("training %s %.5g", name, value)
    logging.info("effective degrees of freedom %.0f", result.effective_dof)


if __name__ == "__main__":
    run(main)
