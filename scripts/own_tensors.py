"""Tensors that the user brings of a run, checked against its trajectory and stored as one table."""

from hopecho.io.results import provenance, sha256, write_json
from hopecho.own_data import named
from hopecho.own_tensors import import_tensors
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "h5md", "efg", "report", lists=["files"])
    s = args.settings
    with named(f"phases.{s['phase']}.efg"):
        said = import_tensors(
            args.files,
            args.h5md,
            args.efg,
            mobile=s["mobile"],
            provenance={"labels": s["source"], "trajectory_sha256": sha256(args.h5md)},
        )
    record = {name: s[name] for name in ("phase", "temperature_k", "quench", "replica")} | said
    origin = provenance([*args.files, args.h5md], label_source=s["source"])
    write_json(args.report, record, provenance=origin)


if __name__ == "__main__":
    run(main)
