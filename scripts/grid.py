"""Gather the candidates of the grid and choose one."""

import logging

from hopecho.io.results import read_json, write_json
from hopecho.script import arguments, run
from hopecho.ufp.grid import choose


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "grid", lists=["candidates"])
    rows = [row for path in args.candidates for row in read_json(path)["rows"]]
    chosen = choose(rows)
    logging.info("chosen: %s (%s)", chosen["settings"], chosen["reason"])
    write_json(args.grid, {"rows": rows, "chosen": chosen})


if __name__ == "__main__":
    run(main)
