"""How far the environments of one phase's runs are from the training data of the potential."""

from dataclasses import asdict

import pandas as pd

from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, read_json, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run
from hopecho.ufp.calibration import Calibration
from hopecho.ufp.leverage import load_leverage
from hopecho.ufp.uncertainty import posterior
from hopecho.validation.extrapolation import extrapolation_record, reach, watch


def main(argv: list[str] | None = None) -> None:
    names = ("leverage", "dataset", "errors", "settings", "table", "record")
    args = arguments(argv, __doc__, *names, lists=["h5md"])
    s = args.settings
    model = posterior(load_leverage(args.leverage))
    known = reach(model, read_frames(args.dataset))
    uncertainty = read_json(args.errors)["uncertainty"]
    known_widths = "calibration" in uncertainty
    snapshots = list(
        watch(
            model,
            known,
            group_runs(args.h5md),
            stride_ps=s["watch_stride_ps"],
            calibration=Calibration.from_dict(uncertainty["calibration"]) if known_widths else None,
        )
    )
    origin = provenance([args.leverage, args.dataset, *args.h5md], label_source=s["source"])
    write_csv(args.table, pd.DataFrame([asdict(x) for x in snapshots]), provenance=origin)
    write_json(args.record, extrapolation_record(snapshots, known), provenance=origin)


if __name__ == "__main__":
    run(main)
