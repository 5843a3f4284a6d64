r"""Decays of a mix of grains and glass: a model of two scales, not a simulation.

Inside a grain (or a glassy region) the tensor correlation falls as MD says, to the plateau b^2.
What is left falls when the ion reaches a grain of another orientation, at a single rate:

.. math:: C(t) = \sum_k x_k \{(1 - b_k^2) e^{-(t/\tau_k)^{\gamma_k}} + b_k^2 e^{-t/\tau_{g,k}}\}

It takes grains for randomly oriented, equal in size, and much larger than a jump; ions do not
change from one kind of region to another. Nothing of the grains is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.errors import HopechoError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """One kind of region; times in ns."""

    share: float
    """Share of the ions."""
    tau_ns: float
    """Decay time inside, from MD."""
    plateau_b2: float
    """What is left inside, from MD."""
    gamma: float = 1.0
    grain_ns: float = np.inf
    """Time to reach another orientation; infinite for a single crystal."""


def grain_time_ns(radius_m: float, diffusion_m2_s: float) -> float:
    r"""Time to leave a spherical grain, :math:`R^2 / \pi^2 D`: its slowest diffusion mode, ns."""
    return radius_m**2 / (np.pi**2 * diffusion_m2_s) * 1e9


def mixed_decay(regions: Sequence[Region], time_ns: ArrayLike) -> Array:
    """Correlation function of a mix of regions, divided by its value at 0, (n_times,).

    Raises
    ------
    HopechoError
        If the shares do not add up to 1, or a plateau is not between 0 and 1.
    """
    total = sum(r.share for r in regions)
    if abs(total - 1.0) > 1e-9 or any(not 0.0 <= r.plateau_b2 <= 1.0 for r in regions):
        raise HopechoError(
            "Shares of regions must add up to 1, and plateaus lie between 0 and 1.",
            got=f"sum {total:g}, plateaus {[r.plateau_b2 for r in regions]}",
        )
    t = np.asarray(time_ns, dtype=np.float64)
    result = np.zeros_like(t)
    for r in regions:
        inside = (1.0 - r.plateau_b2) * np.exp(-((t / r.tau_ns) ** r.gamma))
        result += r.share * (inside + r.plateau_b2 * np.exp(-t / r.grain_ns))
    return result
