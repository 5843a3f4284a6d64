"""Fit the model of the electric field gradient on the rounds' labels and the gate runs' frames."""

from hopecho.efg.candidates import settings_of
from hopecho.efg.model import fit_efg_model, save_model
from hopecho.efg.record import model_record
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
    report = model_record(model, isotope=s["isotope"])
    origin = provenance(
        [args.frames, args.dataset, *args.grid], label_source=s["source"], seed=s["seed"]
    )
    write_json(args.report, report, provenance=origin)


if __name__ == "__main__":
    run(main)
