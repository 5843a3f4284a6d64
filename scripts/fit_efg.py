"""Fit the model of the electric field gradient on the rounds' labels and the gate runs' frames."""

from hopecho.efg.model import EfgSettings, fit_efg_model, save_model
from hopecho.efg.radial import RadialBasis
from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, write_json
from hopecho.labels.campaign import require_one_set
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "frames", "dataset", "settings", "model", "report")
    s = args.settings
    frames = read_frames(args.frames) + read_frames(args.dataset)
    require_one_set(frames)
    basis = RadialBasis(
        cutoff=s["cutoff_angstrom"],
        n_radial=s["n_radial"],
        l_max=s["l_max"],
        sigma=s["sigma_angstrom"],
    )
    settings = EfgSettings(probe=s["mobile"], basis=basis, n_folds=s["folds"])
    model = fit_efg_model(frames, settings=settings)
    save_model(args.model, model)
    report = {
        "ridge": model.ridge,
        "ridge_candidates": model.ridge_candidates,
        "cv_rmse_au": model.cv_rmse,
        "n_structures": model.n_structures,
        "n_tensors": model.n_tensors,
        "n_features": len(model.weights),
    }
    origin = provenance([args.frames, args.dataset], label_source=s["source"], seed=s["seed"])
    write_json(args.report, report, provenance=origin)


if __name__ == "__main__":
    run(main)
