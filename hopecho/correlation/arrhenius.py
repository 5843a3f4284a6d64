"""Decay times at several temperatures and the activation energy that they give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from hopecho.units import BOLTZMANN_EV_K, Quantity

LEVEL = 0.68


@dataclass(frozen=True)
class Arrhenius:
    r"""Fit of :math:`\ln\tau = \ln\tau_0 + E_a / k_B T`."""

    activation_energy: Quantity
    """eV."""
    tau0_ns: float | None
    """Prefactor, ns; None without a fit."""
    temperatures_k: tuple[float, ...]
    """Those whose times entered."""
    reason: str
    """What the fit rests on, or why there is none."""

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "activation_energy": self.activation_energy.to_dict(),
            "tau0_ns": self.tau0_ns,
            "temperatures_k": list(self.temperatures_k),
            "reason": self.reason,
        }


def fit_arrhenius(temperatures_k: Sequence[float], taus: Sequence[Quantity]) -> Arrhenius:
    """Weighted straight line of ln tau against 1/kT through the times that are resolved.

    With two temperatures the line goes through both and nothing tests it; its error is that of the
    times. With more, the error is the larger of that and the scatter about the line, whose
    temperatures Student's t counts. Bounds do not enter.

    Parameters
    ----------
    temperatures_k : sequence of float
        K.
    taus : sequence of Quantity
        Decay times, ns.
    """
    known = [
        (t, q.value, q.stderr / q.value)
        for t, q in zip(temperatures_k, taus, strict=True)
        if q.value is not None and q.stderr
    ]
    if len({t for t, _, _ in known}) < 2:
        return Arrhenius(
            Quantity(None, None, (None, None), "eV", len(known), LEVEL, "bound"),
            None,
            tuple(t for t, _, _ in known),
            f"{len(known)} of {len(taus)} decay times are resolved; a slope needs two temperatures",
        )
    temperature, tau, error = (np.array(column) for column in zip(*known, strict=True))
    x = 1.0 / (BOLTZMANN_EV_K * temperature)
    w = 1.0 / error**2
    centre = float((w * x).sum() / w.sum())
    width = float((w * (x - centre) ** 2).sum())
    slope = float((w * (x - centre) * np.log(tau)).sum() / width)
    level = float((w * np.log(tau)).sum() / w.sum())
    intercept = level - slope * centre
    dof = len(known) - 2
    chi2 = float((w * (np.log(tau) - intercept - slope * x) ** 2).sum())
    scatter = max(1.0, chi2 / dof) if dof else 1.0
    stderr = math.sqrt(scatter / width)
    # Student's t is for an error that the scatter gave; that of the times is known.
    reach = stats.t.ppf(0.5 + 0.5 * LEVEL, dof) if scatter > 1.0 else stats.norm.ppf(0.84)
    half = stderr * float(reach)
    said = (
        f"chi2/dof = {chi2 / dof:.2g} over {len(known)} temperatures"
        if dof
        else "two temperatures: the line goes through both and is not tested"
    )
    energy = Quantity(slope, stderr, (slope - half, slope + half), "eV", len(known), LEVEL)
    return Arrhenius(energy, math.exp(intercept), tuple(temperature.tolist()), said)
