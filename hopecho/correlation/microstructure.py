r"""Decays of a mix of grains and glass: a model of two scales, not a simulation.

Inside a grain (or a glassy region) the tensor correlation falls as MD says, to the plateau b^2.
What is left falls when the ion reaches a grain of another orientation, at a single rate:

.. math:: C(t) = \sum_k x_k \{(1 - b_k^2) e^{-(t/\tau_k)^{\gamma_k}} + b_k^2 e^{-t/\tau_{g,k}}\}

It takes grains for randomly oriented, equal in size, and much larger than a jump; ions do not
change from one kind of region to another. Nothing of the grains is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


MODEL = (
    "a model, not a simulation: the decay inside a region is MD's, the time to reach a grain of "
    "another orientation is given; grains are oriented at random, equal and much larger than a "
    "jump, and ions do not change from grains to glass"
)
"""Said wherever the family is shown."""

TIME_NS = (1e-3, 1e10)
"""First and last time of the family, ns: 1 ps to 10 s."""


def family(
    glass: Mapping[str, Any],
    crystal: Mapping[str, Any],
    *,
    diffusion: Mapping[str, Any],
    crystalline_shares: Sequence[float],
    exchange_ms: Sequence[float],
) -> dict[str, Any]:
    """Decays from glass over glass ceramic and polycrystal to single crystal.

    Parameters
    ----------
    glass, crystal : mapping
        JSON of the powder curve (``acf_powder.json``) of each phase at one temperature.
    diffusion : mapping
        ``d_tracer`` of the crystal, a quantity in m2/s: tells how large grains would be.
    crystalline_shares : sequence of float
        Shares of ions in grains, of the mixtures.
    exchange_ms : sequence of float
        Times to reach another orientation, ms.

    Returns
    -------
    dict
        ``model`` (what is assumed), ``inside`` (of each phase, where its decay is from),
        ``grains`` (exchange time and the radius that it means), ``time_ns``, ``curves`` (name,
        crystalline share, exchange time or None, acf). Without a resolved decay of the glass
        ``curves`` is empty.
    """
    time = np.geomspace(*TIME_NS, 131)
    inside = {"glass": _origin(glass), "crystal": _origin(crystal)}
    grains = [
        {"exchange_ms": t, "radius_nm": _radius_nm(t, diffusion), "diffusion": dict(diffusion)}
        for t in exchange_ms
    ]
    curves: list[dict[str, Any]] = []
    if glass["tau_sae"]["value"] is not None:
        mixed = [x for x in crystalline_shares if 0.0 < x < 1.0]
        cases: list[tuple[str, float, float | None]] = [("glass", 0.0, None)]
        cases += [("glass ceramic", x, t) for x in mixed for t in exchange_ms]
        cases += [("polycrystal", 1.0, t) for t in exchange_ms] + [("single crystal", 1.0, None)]
        for name, share, t in cases:
            grain_ns = np.inf if t is None else 1e6 * t
            regions = [_region(crystal, share, grain_ns), _region(glass, 1.0 - share, np.inf)]
            acf = mixed_decay([r for r in regions if r.share > 0.0], time)
            case = {"name": name, "crystalline_share": share, "exchange_ms": t}
            curves.append(case | {"acf": acf.tolist()})
    return {
        "model": MODEL,
        "inside": inside,
        "grains": grains,
        "time_ns": time.tolist(),
        "curves": curves,
    }


def _region(record: Mapping[str, Any], share: float, grain_ns: float) -> Region:
    """Region with the headline fit of a curve; without a resolved decay nothing falls inside."""
    if record["tau_sae"]["value"] is None:
        return Region(share, 1.0, 1.0, 1.0, grain_ns)
    fit = record["fits"][record["headline_fit"]]
    return Region(share, fit["tau_ns"], fit["plateau_b2"], fit["stretch_gamma"], grain_ns)


def _origin(record: Mapping[str, Any]) -> str:
    if record["tau_sae"]["value"] is not None:
        return f"MD, fit {record['headline_fit']}"
    return "no decay inside: MD resolves none"


def _radius_nm(exchange_ms: float, diffusion: Mapping[str, Any]) -> list[float | None]:
    """Interval of the grain's radius, pi sqrt(D t), nm; an end that is not known is None."""
    low, high = diffusion["interval"]
    if diffusion["value"] is not None:
        low = high = diffusion["value"]
    return [None if d is None else float(np.pi * np.sqrt(d * 1e-3 * exchange_ms) * 1e9)
            for d in (low, high)]  # fmt: skip
