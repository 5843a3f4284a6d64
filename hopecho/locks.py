"""A lock that one process holds: who comes second waits, and says so if that takes too long."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hopecho.errors import HopechoError

WAIT_S = 60.0


@contextmanager
def held(path: Path, busy: str, *, wait_s: float | None = None) -> Iterator[int]:
    """Hold a lock file, which is removed afterwards; the lock ends with the process at the latest.

    Parameters
    ----------
    path : Path
        File to make and lock, of nothing but this lock; its folder is made.
    busy : str
        What to say if the lock stays taken: "Another LAMMPS works in ...".
    wait_s : float, optional
        How long to wait, s (`WAIT_S`).

    Yields
    ------
    int
        Descriptor that holds the lock; a child that inherits it holds the lock, too.

    Raises
    ------
    HopechoError
        Somebody else keeps it.
    """
    deadline = time.monotonic() + (WAIT_S if wait_s is None else wait_s)
    while (descriptor := _take(path)) is None:
        if time.monotonic() > deadline:
            fix = "wait for it or end it, then run again"
            raise HopechoError(busy, got=f"{path} stays locked", fix=fix)
        time.sleep(0.2)
    try:
        yield descriptor
    finally:
        # Before the lock ends: who waited for it finds the file gone, and makes his own.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path) -> int | None:
    """Lock the file; None if somebody else has it, or had it until now."""
    import fcntl  # not on Windows, where no campaign is run

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        return descriptor  # a file system without locks: go on without
    if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
        return descriptor
    os.close(descriptor)
    return None
