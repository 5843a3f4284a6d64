"""A file that one process holds: who comes second waits, and says so if that takes too long."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hopecho.errors import HopechoError

WAIT_S = 60.0


def hold(path: Path, busy: str, *, wait_s: float | None = None) -> int:
    """Take the lock of a file; it ends with the process, and with children that inherit it.

    Parameters
    ----------
    path : Path
        File to lock; made if it is not there, its contents stay.
    busy : str
        What to say if the lock stays taken: "Another LAMMPS works in ...".
    wait_s : float, optional
        How long to wait, s (`WAIT_S`).

    Returns
    -------
    int
        Descriptor that holds the lock.

    Raises
    ------
    HopechoError
        Somebody else keeps it.
    """
    import fcntl  # not on Windows, where no campaign is run

    limit = WAIT_S if wait_s is None else wait_s
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + limit
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise HopechoError(
                    busy,
                    got=f"{path} locked for more than {limit:.0f} s",
                    fix="wait for it or end it, then run again",
                ) from None
            time.sleep(0.2)
        except OSError:
            return descriptor  # a file system without locks: go on without
