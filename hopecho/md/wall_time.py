"""A segment that stops itself at the end of a chunk, before its job's time limit kills it.

LAMMPS includes a control file at the end of every chunk; it holds a comment, or ``quit``. Rank 0
reads it for all, so that ranks never disagree.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hopecho.errors import HopechoError

LOG = logging.getLogger(__name__)

CONTROL = "chunk_end.lmp"
GO_ON = "# read at the end of every chunk; `quit` in this line ends the run there\n"
STOP = "quit\n"
MARGIN = 1.25
"""The next chunk may take so many times the longest so far."""
RESERVE_S = 60.0
RESERVE_SHARE = 0.05
"""Kept for the harvest: the smaller of a minute and this share of the whole time."""


def deadline(
    max_wall_min: float, *, environment: Mapping[str, str] | None = None, now: float | None = None
) -> float | None:
    """Return the time at which the job will be ended, s since 1970; None without a limit.

    Parameters
    ----------
    max_wall_min : float
        ``md.max_wall_min``, counted from now; 0 for none.
    environment : mapping, optional
        Of the process. Slurm gives the end of a job in ``SLURM_JOB_END_TIME``; where it does not
        (before 23.02, and in steps whose environment was cleaned), ``squeue`` is asked about
        ``SLURM_JOB_ID``. The earlier of this and ``max_wall_min`` counts.
    now : float, optional
        s since 1970.

    Raises
    ------
    HopechoError
        If Slurm's time is no number.
    """
    now = time.time() if now is None else now
    environment = os.environ if environment is None else environment
    said, job = (environment.get(f"SLURM_JOB_{name}", "") for name in ("END_TIME", "ID"))
    try:
        ends = [float(said)] if said else _end_of_job(job)
    except ValueError:
        raise HopechoError(
            "SLURM_JOB_END_TIME is not a time", got=repr(said), fix="unset it, or set seconds"
        ) from None
    if max_wall_min > 0:
        ends.append(now + 60.0 * max_wall_min)
    return min(ends, default=None)


def _end_of_job(job: str) -> list[float]:
    """Return the end of a Slurm job as squeue says it, s since 1970; nothing outside of a job."""
    if not job:
        return []
    words = ["squeue", "--noheader", f"--jobs={job}", "--format=%e"]
    environment = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return [datetime.fromisoformat(done.stdout.strip()).timestamp()]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        LOG.warning(
            "squeue does not say when job %s ends (%s): only md.max_wall_min counts", job, error
        )
        return []


@dataclass
class ChunkWatch:
    """Watch a run's thermo rows and ask for the stop in time; call it with every row.

    The stop is asked for while a chunk runs, because LAMMPS begins the next one at once.
    """

    control: Path
    first_step: int
    """MD step at which the segment starts."""
    chunk_steps: int
    done: int
    """Chunks that are finished."""
    deadline: float | None
    clock: Callable[[], float] = time.time
    longest_s: float = 0.0
    """Longest chunk of this process so far."""
    stopping: bool = False
    _warned: bool = False
    _reserve_s: float = 0.0
    _mark: float = field(default=0.0)

    def __post_init__(self) -> None:
        self._mark = self.clock()
        self.control.write_text(GO_ON)
        if self.deadline is not None:
            self._reserve_s = min(RESERVE_S, RESERVE_SHARE * max(self.deadline - self._mark, 0.0))

    def __call__(self, row: Mapping[str, float]) -> None:
        """Take one thermo row."""
        if self.deadline is None:
            return
        now = self.clock()
        done, rest = divmod(int(row["Step"]) - self.first_step, self.chunk_steps)
        if done > self.done:
            self.longest_s = max(self.longest_s, now - self._mark)
            self.done, self._mark = done, now
            end, chunk_s = now, self.longest_s
        else:
            share = rest / self.chunk_steps
            chunk_s = max(self.longest_s, (now - self._mark) / share if share else 0.0)
            end = self._mark + chunk_s
            if share > 0.1 and end > self.deadline and not self._warned:
                self._warn(chunk_s)
        self._ask(chunk_s > 0.0 and end + MARGIN * chunk_s + self._reserve_s > self.deadline)

    def _ask(self, stop: bool) -> None:
        if stop != self.stopping:
            part = self.control.with_suffix(".part")
            part.write_text(STOP if stop else GO_ON)
            os.replace(part, self.control)
            self.stopping = stop

    def _warn(self, chunk_s: float) -> None:
        self._warned = True
        LOG.warning(
            "a chunk takes about %.3g min and will not end within the time limit: raise it "
            "(md.max_wall_min, md.resources.runtime_min) or md.chunks_per_segment",
            chunk_s / 60.0,
        )

    def seconds_left(self) -> float:
        """Time to the deadline, s."""
        return float("inf") if self.deadline is None else self.deadline - self.clock()
