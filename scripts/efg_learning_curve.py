"""Held-out errors of EFG models fitted to parts of the training data, against their size."""

import pandas as pd

from hopecho.efg.learning_curve import efg_learning_curve
from hopecho.efg.model import EfgSettings
from hopecho.efg.radial import RadialBasis
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, read_json, write_csv
from hopecho.script import arguments, run

FEWEST = 5
SEEDS = 3


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "frames", "dataset", "fit", "labelled", "settings", "table")
    s = args.settings
    frames = read_frames(args.frames) + read_frames(args.dataset)
    counts = sorted({max(min(FEWEST, len(frames)), len(frames) // 2**k) for k in range(5)})
    basis = RadialBasis(
        cutoff=s["cutoff_angstrom"],
        n_radial=s["n_radial"],
        l_max=s["l_max"],
        sigma=s["sigma_angstrom"],
    )
    # Smaller sets want a stronger penalty than the one chosen for all.
    chosen = read_json(args.fit)["ridge"]
    settings = EfgSettings(
        probe=s["mobile"],
        basis=basis,
        ridge=tuple(chosen * 10.0**k for k in range(3)),
        n_folds=min(s["folds"], 3),
    )
    rows = efg_learning_curve(
        frames,
        counts,
        read_frames(args.labelled),
        settings=settings,
        seeds=[s["seed"] + k for k in range(SEEDS)],
        isotope=s["isotope"],
    )
    inputs = [args.frames, args.dataset, args.labelled]
    origin = provenance(inputs, label_source=s["source"], seed=s["seed"])
    write_csv(args.table, pd.DataFrame(rows), provenance=origin)


if __name__ == "__main__":
    run(main)
