"""Fit the model of the electric field gradient on the rounds' labels and the gate runs' frames."""

from dataclasses import asdict

from hopecho.efg.candidates import settings_of
from hopecho.efg.grid import BASIS
from hopecho.efg.model import fit_efg_model, save_model
from hopecho.efg.predict import omega_khz
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, read_json, write_json
from hopecho.labels.campaign import require_one_set
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    names = ("frames", "dataset", "settings", "model", "report")
    args = arguments(argv, __doc__, *names, lists=["grid"])
    chosen = read_json(args.grid[0])["chosen"]["settings"] if args.grid else {}
    s = args.settings | chosen
    frames = read_frames(args.frames) + read_frames(args.dataset)
    require_one_set(frames)
    model = fit_efg_model(frames, settings=settings_of(s))
    save_model(args.model, model)
    report = {
        "model": model.kind,
        "settings": {name: s[name] for name in BASIS},
        "zeta": model.inducing.zeta if model.inducing else None,
        "n_inducing": model.inducing.count if model.inducing else None,
        "ridge": model.ridge,
        "ridge_candidates": model.ridge_candidates,
        "cv_rmse_au": model.cv_rmse,
        "calibration": asdict(model.calibration),
        "omega_khz_per_au": omega_khz(s["isotope"]),
        "n_structures": model.n_structures,
        "n_tensors": model.n_tensors,
        "n_features": model.spec.n_features,
    }
    origin = provenance(
        [args.frames, args.dataset, *args.grid], label_source=s["source"], seed=s["seed"]
    )
    write_json(args.report, report, provenance=origin)


if __name__ == "__main__":
    run(main)
