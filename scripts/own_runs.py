"""All runs that the user brings of one phase and temperature: whether they belong together."""

from hopecho.io.results import read_json, write_json
from hopecho.own_data import check_together, named
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "record", lists=["runs"])
    runs = [read_json(path) for path in args.runs]
    with named(f"phases.{args.settings['phase']}.trajectories"):
        check_together(runs)
    write_json(args.record, {"runs": runs})


if __name__ == "__main__":
    run(main)
