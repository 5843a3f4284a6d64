"""What a candidate frame must say and must not be before its novelty is asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from hopecho.errors import HopechoError


class Origin(NamedTuple):
    """Which run a frame comes from."""

    phase: str
    temperature_k: int
    seed: int
    unstable: bool

    @property
    def stratum(self) -> tuple[str, int]:
        """Phase and temperature."""
        return (self.phase, self.temperature_k)


def origin_of(index: int, frame: Atoms) -> Origin:
    """Read the info keys of candidate `index`; raise HopechoError if one is missing."""
    for key in ("phase", "temperature_k", "seed"):
        if key not in frame.info:
            raise HopechoError(
                f"candidate {index} does not say which run it comes from",
                got=f"info keys {sorted(frame.info)}",
                fix=f"write info key '{key}' when harvesting frames",
            )
    info = frame.info
    return Origin(
        phase=str(info["phase"]),
        temperature_k=int(info["temperature_k"]),
        seed=int(info["seed"]),
        unstable=bool(info.get("unstable", False)),
    )


def unphysical(frame: Atoms, *, min_distance: float) -> str | None:
    """Return why no code could label this frame, None if one could."""
    if not np.isfinite(frame.positions).all():
        return "unphysical: a position is not finite"
    distances = neighbor_list("d", frame, min_distance)
    if distances.size:
        return f"unphysical: a pair at {distances.min():.2f} A, below {min_distance:g} A"
    return None
