"""What every script of the workflow shares: argument parsing, logging, and clean errors."""

from __future__ import annotations

import argparse
import atexit
import functools
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hopecho.errors import HopechoError
from hopecho.locks import held


def arguments(
    argv: Sequence[str] | None, doc: str | None, *names: str, lists: Sequence[str] = ()
) -> argparse.Namespace:
    """Parse ``--name value`` options, all required; set up logging from ``--log``.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None means those of the process.
    doc : str or None
        Description for ``--help``.
    names : str
        Options with one value; ``settings`` is parsed as JSON into a dict.
    lists : sequence of str
        Options with any number of values.
    """
    parser = argparse.ArgumentParser(description=doc)
    for name in names:
        kind = json.loads if name == "settings" else str
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    for name in lists:
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="*", required=True)
    parser.add_argument("--log", help="also write the messages to this file")
    args = parser.parse_args(argv)
    _log_to(args.log)
    return args


def _log_to(path: str | None) -> None:
    """Send messages to the terminal, with the job's name, and to the job's log."""
    terminal = logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[terminal], force=True)
    if path:
        # Several jobs share the terminal.
        terminal.setFormatter(logging.Formatter(f"[{Path(path).stem}] %(message)s"))
        _only_one(Path(path).absolute())
        logging.getLogger().addHandler(logging.FileHandler(path, mode="w"))


@functools.cache
def _only_one(log: Path) -> None:
    """Be the only process that does the job of a log, as long as this one lives.

    A Snakemake that was killed leaves its jobs running, and the next one starts them again; it also
    removes their logs, so that these cannot be the lock.
    """
    lock = held(log.with_name(f"{log.name}.lock"), f"Another process still does the job of {log}")
    lock.__enter__()
    atexit.register(lock.__exit__, None, None, None)


def run(main: Callable[[], None]) -> None:
    """Call a script's main and turn a `HopechoError` into one clear message and exit status 1.

    A termination signal ends the script as an exception would: what it started is ended, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except HopechoError as error:
        logging.error("error: %s", error)
        sys.exit(1)
