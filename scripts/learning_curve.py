"""Held-out errors of fits to parts of the accepted round's data, against their size."""

import pandas as pd

from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, read_json, write_csv
from hopecho.script import arguments, run
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import Regularisation
from hopecho.ufp.grid import BASIS, PENALTIES
from hopecho.ufp.uncertainty import learning_curve

FEWEST = 4
SEEDS = 3


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "dataset", "fit", "labelled", "settings", "table")
    s, used = args.settings, read_json(args.fit)["settings"]
    frames = labelled_frames(read_frames(args.dataset))
    counts = sorted({max(min(FEWEST, len(frames)), len(frames) // 2**k) for k in range(4)})
    rows = learning_curve(
        frames,
        BasisSpec(tuple(s["elements"]), **{name: used[name] for name in BASIS}),
        counts,
        labelled_frames(read_frames(args.labelled)),
        seeds=[s["seed"] + k for k in range(SEEDS)],
        regularisation=Regularisation(**{name: used[name] for name in PENALTIES}),
        shares={n: s[f"weight_{n}"] for n in ("energy", "force", "stress")},
    )
    names = ("n_structures", "seed", "rmse_force", "rmse_energy")
    table = pd.DataFrame([{name: row[name] for name in names} for row in rows])
    units = {"rmse_force": "rmse_force_ev_a", "rmse_energy": "rmse_energy_ev_atom"}
    origin = provenance([args.dataset, args.labelled], label_source=s["source"], seed=s["seed"])
    write_csv(args.table, table.rename(columns=units), provenance=origin)


if __name__ == "__main__":
    run(main)
