"""Which run a segment's file belongs to: read from its path.

Segment files stand at ``.../quench{q}/{T}K/replica{r}/<stem>{s}.<suffix>``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hopecho.errors import HopechoError

_PATTERN = re.compile(r"quench(\d+)/(\d+)K/replica(\d+)/[a-z]+(\d+)\.[a-z0-9]+$")


class RunFiles(NamedTuple):
    """The consecutive files of one run."""

    quench: int
    replica: int
    paths: tuple[str, ...]


def group_runs(paths: Iterable[str | Path]) -> list[RunFiles]:
    """Group segment files by run, in order of quench, replica and segment.

    Raises
    ------
    HopechoError
        If a path does not say which run it belongs to, a segment is missing, or two files claim to
        be the same segment (of another phase or temperature).
    """
    runs: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
    for path in paths:
        match = _PATTERN.search(Path(path).as_posix())
        if match is None:
            raise HopechoError(
                "a segment's path does not say which run it belongs to",
                got=str(path),
                fix="use .../quench{q}/{T}K/replica{r}/segment{s}.h5md",
            )
        quench, _, replica, segment = (int(x) for x in match.groups())
        if segment in runs[quench, replica]:
            raise HopechoError(
                f"two files are segment {segment} of quench {quench}, replica {replica}",
                got=f"{runs[quench, replica][segment]} and {path}",
                fix="give the files of one phase and one temperature, each once",
            )
        runs[quench, replica][segment] = str(path)
    for (quench, replica), files in runs.items():
        if sorted(files) != list(range(len(files))):
            raise HopechoError(
                f"a segment of quench {quench}, replica {replica} is missing",
                got=f"segments {sorted(files)}",
                fix="rerun the workflow; it computes the missing one",
            )
    return [
        RunFiles(q, r, tuple(runs[q, r][s] for s in sorted(runs[q, r]))) for q, r in sorted(runs)
    ]


def quench_of(runs: Sequence[object], quench: Sequence[int] | None) -> list[int]:
    """Return the starting structure of every run; each has its own if none are given.

    Raises
    ------
    HopechoError
        If there is not one for every run.
    """
    groups = list(range(len(runs))) if quench is None else list(quench)
    if len(groups) != len(runs):
        raise HopechoError(
            "Every run needs one quench.",
            got=f"{len(groups)} for {len(runs)} runs",
            fix="give one number a run, the same for runs that share a starting structure",
        )
    return groups
