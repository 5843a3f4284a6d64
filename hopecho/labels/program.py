"""External programs: find them, run them with a time limit, say how they ended."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hopecho
from hopecho.errors import HopechoError

STAND_INS: Mapping[str, tuple[str, ...]] = {
    "hopecho-castep": ("hopecho.standins.castep",),
    "hopecho-pw": ("hopecho.standins.espresso", "pw"),
    "hopecho-gipaw": ("hopecho.standins.espresso", "gipaw"),
}
"""Commands that run with this interpreter, installed or not: what stands behind ``python -m``."""

_GRACE_S = 10.0
_TELLING = re.compile(
    r"warning|error|not (?:achieved|converged|reached)|exceeded|insufficient|net +charge", re.I
)
_MAX_LINE = 1000
_MAX_TELLING = 12


@dataclass(frozen=True)
class Program:
    """A command with its environment; never run through a shell."""

    words: tuple[str, ...]
    environment: Mapping[str, str]

    @classmethod
    def resolve(cls, command: str, *, key: str = "labels.command") -> Program:
        """Split a command as a shell would.

        Parameters
        ----------
        command : str
            Such as ``mpirun -n 32 castep.mpi`` or a name of `STAND_INS`.
        key : str
            Config key for messages.

        Raises
        ------
        HopechoError
            The command is empty.
        """
        words, environment = tuple(shlex.split(command)), dict(os.environ)
        if not words:
            raise HopechoError(f"{key} is empty", fix=f"set {key}, e.g. castep.serial")
        if words[0] in STAND_INS:
            words = (sys.executable, "-m", *STAND_INS[words[0]], *words[1:])
            root = str(Path(hopecho.__file__).resolve().parent.parent)
            paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(paths)
        elif os.sep in words[0]:
            # It will run in another folder.
            words = (os.path.abspath(words[0]), *words[1:])
        return cls(words, environment)

    def __str__(self) -> str:
        return shlex.join(self.words)

    def output(
        self, arguments: Sequence[str] = (), *, stdin: str = "", timeout_s: float = 120.0
    ) -> str:
        """Return what a short call prints, run in a folder that is thrown away.

        Raises
        ------
        OSError, subprocess.TimeoutExpired
            The program cannot be started, or takes too long.
        """
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(
                [*self.words, *arguments],
                cwd=folder,
                env=dict(self.environment),
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            ).stdout

    def run(
        self,
        arguments: Sequence[str],
        directory: Path,
        *,
        stdout: str,
        timeout_s: float | None = None,
    ) -> list[str]:
        """Run in a folder and wait.

        Parameters
        ----------
        arguments : sequence of str
            Added to the command.
        directory : Path
            Working folder.
        stdout : str
            File there that takes what the program prints, errors too.
        timeout_s : float, optional
            After it the program and all its children are ended.

        Returns
        -------
        list of str
            Nothing, ``killed`` (by a signal), ``wall_time`` or ``exit_code``.

        Raises
        ------
        HopechoError
            The program cannot be started.
        """
        with open(directory / stdout, "wb") as out:
            try:
                # A process group of its own: mpirun's ranks end with it.
                child = subprocess.Popen(
                    [*self.words, *arguments],
                    cwd=directory,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            except OSError as error:
                raise HopechoError(
                    f"Cannot run {self}",
                    got=str(error.strerror),
                    fix="set labels.command to a program that can be run",
                ) from error
            try:
                status = child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return ["wall_time"]
            finally:
                _end_group(child)
        return _reasons(status)


def _reasons(status: int) -> list[str]:
    if status == 0:
        return []
    # mpirun and shells report a signal as 128 + its number; 255 is an exit(-1).
    return ["killed" if status < 0 or 128 < status <= 128 + signal.NSIG else "exit_code"]


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with all that it started."""
    if child.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
            return


def text_of(path: Path) -> str:
    """Return what a program wrote, or nothing; damaged bytes and endless lines do no harm.

    Lines are cut after `_MAX_LINE` characters: the time of a search can grow with their square.
    """
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    if max(map(len, text.split("\n"))) <= _MAX_LINE:
        return text
    return "\n".join(line[:_MAX_LINE] for line in text.split("\n"))


def excerpt(directory: Path, names: Sequence[str], *, lines: int = 40) -> str:
    """Return warnings and ends of the named files, and say which are missing or empty."""
    parts = []
    for name in names:
        path = directory / name
        everything = text_of(path).splitlines()
        before = [line for line in everything[:-lines] if _TELLING.search(line)][:_MAX_TELLING]
        kept = [*before, *(["..."] if before else []), *everything[-lines:]]
        empty = "(empty)" if path.is_file() else "(missing)"
        parts.append(f"{name}:\n" + ("\n".join(kept) or empty))
    return "\n".join(parts)
