"""Result versions of the expensive stages.

Everything up to and including a trajectory does not follow source files. Raise a stage's number
when a fix changes its results: it is a parameter of the stage's rules, which then run again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SURFACE = Path(
    os.environ.get("HOPECHO_RESOURCES", Path(__file__).resolve().parents[1] / "resources")
).joinpath("model_pes")
"""Parameter files of the model surface."""


def surface_identity() -> str:
    """Return a short hash of the model surface's parameters, part of every label made from it."""
    digest = hashlib.sha256()
    for path in sorted(SURFACE.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


RESULT_VERSIONS = {
    "start": 1,
    "label": 1,
    "select": 1,
    "fit": 1,
    "sampling": 1,
    "structure": 1,
    "production": 1,
    "own_run": 1,
    "burst": 1,
    "step_test": 1,
    "validation": 1,
}
