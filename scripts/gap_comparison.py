"""Compare the accepted potential with a Gaussian approximation potential of the same labels."""

from dataclasses import asdict
from pathlib import Path

from hopecho.io.extxyz import read_frames
from hopecho.io.results import provenance, read_json, write_csv, write_json
from hopecho.io.uf3 import read_uf3
from hopecho.script import arguments, run
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import Regularisation, fit_potential
from hopecho.ufp.grid import BASIS, PENALTIES
from hopecho.validation.gap import GapSettings, evenly, fit_gap
from hopecho.validation.gap_comparison import RunSettings, compare


def main(argv: list[str] | None = None) -> None:
    names = ("dataset", "labelled", "potential", "constants", "fit", "start", "settings")
    args = arguments(argv, __doc__, *names, "folder", "record", "curves")
    s, used = args.settings, read_json(args.fit)["settings"]
    elements = tuple(s["elements"])
    of_runs = {name: s["gap"].pop(name) for name in ("temperature_k", "md_ps", "runs")}
    fit, md = GapSettings(**s["gap"]), RunSettings(**of_runs, seed=s["seed"])
    frames = labelled_frames(read_frames(args.dataset))
    chosen = evenly(frames, fit.max_frames)
    xml = fit_gap(chosen, args.folder, fit, elements=elements, seed=s["seed"])
    # With as little data as the GAP, so that the two forms are compared and not the data.
    twin = fit_potential(
        chosen,
        BasisSpec(elements, **{name: used[name] for name in BASIS}),
        regularisation=Regularisation(**{name: used[name] for name in PENALTIES}),
        shares={n: s[f"weight_{n}"] for n in ("energy", "force", "stress")},
    )
    result = compare(
        read_uf3(args.potential, sidecar=args.constants),
        xml,
        read_frames(args.labelled),
        start=read_frames(args.start)[0],
        settings=md,
        others={"ufp_same_frames": twin.potential},
        plugin=Path(s["plugin"]) if s.get("plugin") else None,
    )
    counts = {"ufp": len(frames), "gap": len(chosen), "ufp_same_frames": len(chosen)}
    record = result.record | {"settings": asdict(fit) | asdict(md), "n_train_frames": counts}
    origin = provenance(
        [args.dataset, args.labelled, args.potential, args.start],
        label_source=s["source"],
        seed=s["seed"],
        settings=str(sorted(s.items())),
    )
    write_json(args.record, record, provenance=origin)
    write_csv(args.curves, result.curves, provenance=origin)


if __name__ == "__main__":
    run(main)
