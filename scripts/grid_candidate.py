"""Cross-validate one basis of the grid with every regularisation, structures left out in groups."""

import logging

from hopecho.io.extxyz import read_frames
from hopecho.io.results import write_json
from hopecho.script import arguments, run
from hopecho.ufp.basis import BasisSpec, layout
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import Regularisation, cross_validate
from hopecho.ufp.grid import BASIS, PENALTIES, relative_cost


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "dataset", "settings", "result")
    s = args.settings
    defaults = {name: s[name] for name in (*BASIS, *PENALTIES)}
    basis = defaults | s["basis"]
    spec = BasisSpec(tuple(s["elements"]), **{name: basis[name] for name in BASIS})
    candidates = [defaults | s["basis"] | penalty for penalty in s["penalties"]]
    frames = read_frames(args.dataset)
    found = cross_validate(
        labelled_frames(frames),
        spec,
        [Regularisation(**{name: c[name] for name in PENALTIES}) for c in candidates],
        folds=s["grid_folds"],
        shares={n: s[f"weight_{n}"] for n in ("energy", "force", "stress")},
    )
    rows = [
        {
            "settings": candidate,
            "loss": float(loss),
            "loss_stderr": float(stderr),
            "n_columns": layout(spec).n_columns,
            "relative_cost": relative_cost(candidate, defaults),
        }
        for candidate, loss, stderr in zip(candidates, found.losses, found.stderr, strict=True)
    ]
    for row in rows:
        logging.info("%s loss %.4g", row["settings"], row["loss"])
    write_json(args.result, {"rows": rows})


if __name__ == "__main__":
    run(main)
