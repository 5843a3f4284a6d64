"""Activation energies of one phase from its conductivities at all temperatures."""

from hopecho.dynamics.arrhenius import series_record
from hopecho.io.results import provenance, read_json, write_json
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "series", lists=["conductivity"])
    s = args.settings
    records = {
        float(t): read_json(path)
        for t, path in zip(s["temperatures_k"], args.conductivity, strict=True)
    }
    origin = provenance(
        args.conductivity, label_source=s["source"], settings=str(sorted(s.items()))
    )
    write_json(args.series, series_record(records), provenance=origin)


if __name__ == "__main__":
    run(main)
