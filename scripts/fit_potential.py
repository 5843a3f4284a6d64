"""Fit the ultra-fast potential of a round; say what was wrong with its labels."""

import logging

from hopecho.io.extxyz import read_frames
from hopecho.io.results import read_json, write_json
from hopecho.io.uf3 import write_sidecar, write_uf3
from hopecho.script import arguments, run
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import Regularisation
from hopecho.ufp.grid import BASIS, PENALTIES
from hopecho.ufp.leverage import save_leverage
from hopecho.ufp.screening import ScreenRules, fit_screened


def main(argv: list[str] | None = None) -> None:
    names = ("dataset", "settings", "uf3", "constants", "leverage", "report")
    args = arguments(argv, __doc__, *names, lists=["grid"])
    s = args.settings
    chosen = read_json(args.grid[0])["chosen"]["settings"] if args.grid else {}
    used = {name: s[name] for name in (*BASIS, *PENALTIES)} | chosen
    result, findings = fit_screened(
        labelled_frames(read_frames(args.dataset)),
        BasisSpec(tuple(s["elements"]), **{name: used[name] for name in BASIS}),
        rules=ScreenRules(**s["screen"]),
        regularisation=Regularisation(**{name: used[name] for name in PENALTIES}),
        shares={n: s[f"weight_{n}"] for n in ("energy", "force", "stress")},
    )
    write_uf3(args.uf3, result.potential)
    write_sidecar(args.constants, result.potential)
    save_leverage(args.leverage, result)
    for finding in findings:
        logging.warning(
            "%s: %s (%s), %s", finding.frame, finding.kind, finding.seen, finding.action
        )
    for name, value in result.train_errors.items():
        logging.info("training %s %.5g", name, value)
    logging.info("effective degrees of freedom %.0f", result.effective_dof)
    report = {
        "settings": used,
        "findings": [finding.to_dict() for finding in findings],
        "n_columns": len(result.coefficients),
        "effective_dof": result.effective_dof,
        "train_errors": result.train_errors,
    }
    write_json(args.report, report)


if __name__ == "__main__":
    run(main)
