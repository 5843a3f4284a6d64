"""Ionic conductivity: Nernst-Einstein, collective (Einstein), and the Haven ratio between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.dynamics.diffusion import Diffusion, diffusion, slope_weights
from hopecho.dynamics.estimate import (
    BOUND_LEVEL,
    RESOLVED_Z,
    chi2_upper,
    resolved_quantity,
    scaled,
    upper_bound,
)
from hopecho.dynamics.msd import N_SEGMENTS, MsdCurves, msd_curves
from hopecho.errors import HopechoError
from hopecho.units import A2_PS_TO_M2_S, ANGSTROM_M, SIGMA_UNITS, Quantity, sigma_s_per_m

COLLECTIVE_SPAN = 5
"""End over start of the collective lag window; fixed, so that the error falls with run length."""


@dataclass(frozen=True)
class Conductivity:
    """Single-ion and collective transport of one phase at one temperature."""

    tracer: Diffusion
    d_sigma: Quantity
    """<|sum_i dr_i|^2>/(6 t N), m2/s."""
    haven_ratio: Quantity
    """d_tracer/d_sigma."""
    sigma_ne: Quantity
    """Nernst-Einstein, S/m."""
    sigma_einstein: Quantity
    """Collective, S/m."""
    sigma_self: Quantity
    """Part of sigma_einstein from each ion with itself, S/m: tracer slope in its lag window."""
    sigma_distinct: Quantity
    """The rest, from pairs of ions, S/m; positive where they go along, negative where they
    exchange."""
    lag_window_ps: tuple[float, float]
    """Lags of the collective fit, ps."""
    tracer_curves: MsdCurves
    collective_curves: MsdCurves
    """MSD of sum_i r_i over N, A^2."""
    sigma_per_d: float
    """Conductivity that a diffusion coefficient of 1 m2/s amounts to, n q^2 / (kB T), S/m."""


def collective_curves(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    stride_ps: float,
    quench: Sequence[int] | None = None,
    n_segments: int = N_SEGMENTS,
) -> MsdCurves:
    r"""Collective MSD over N, :math:`\langle |\sum_i \Delta r_i|^2 \rangle / N`.

    Arguments as `hopecho.dynamics.msd.msd_curves`; mobile ions only, in the frame of the
    framework's centre of charge.
    """
    root_n = np.sqrt(replicas[0].shape[1]) if replicas else 1.0
    # Displacements from frame 0 are summed: sums of positions would lose digits.
    sums = [
        (np.asarray(x, dtype=np.float64) - np.asarray(x[0], dtype=np.float64)).sum(1, keepdims=True)
        / root_n
        for x in replicas
    ]
    return msd_curves(sums, stride_ps=stride_ps, quench=quench, n_segments=n_segments)


def conductivity(
    replicas: Sequence[NDArray[np.floating[Any]]],
    *,
    stride_ps: float,
    volume_a3: float,
    temperature_k: float,
    charge_e: float,
    quench: Sequence[int] | None = None,
    lag_window_ps: tuple[float, float] | None = None,
    hop_length_a: float = 3.0,
    n_segments: int = N_SEGMENTS,
) -> Conductivity:
    r"""Diffusion and conductivity with and without the correlation between ions.

    :math:`\sigma_{NE} = N q^2 D / (V k_B T)`,
    :math:`\sigma = \frac{1}{6 V k_B T} \frac{d}{dt} \langle |\sum_i q \Delta r_i|^2 \rangle`, H = D
    / D_sigma.

    Parameters
    ----------
    replicas : sequence of ndarray
        Each (n_frames, n_ions, 3), A: the mobile ions, unwrapped, in the framework's frame (centre
        of charge).
    stride_ps : float
        Time between frames, ps.
    volume_a3 : float
        Volume of the cell, A^3.
    temperature_k : float
        Temperature, K.
    charge_e : float
        Formal oxidation number of the mobile ion, never the charge in a potential.
    quench : sequence of int, optional
        Quench of each replica.
    lag_window_ps : tuple, optional
        Lags of the collective slope, ps. Default: from the start of the tracer's diffusive window
        to five times it. Give it when runs of different length are compared.
    hop_length_a : float
        As in `hopecho.dynamics.diffusion.diffusion`.
    n_segments : int
        Blocks in the shortest replica.

    Raises
    ------
    HopechoError
        For a volume, temperature or charge that cannot be, or a window outside the lags of a block.
    """
    _check_conditions(volume_a3, temperature_k, charge_e)
    tracer_curves = msd_curves(replicas, stride_ps=stride_ps, quench=quench, n_segments=n_segments)
    together = collective_curves(
        replicas, stride_ps=stride_ps, quench=quench, n_segments=n_segments
    )
    tracer = diffusion(tracer_curves, hop_length_a=hop_length_a)
    window = _collective_window(together, tracer, lag_window_ps)
    value, blocks = _collective_slope(together, window)
    d_sigma = _d_sigma(together, window, value, blocks, tracer)
    to_sigma = sigma_s_per_m(
        1.0,
        number_density_m3=replicas[0].shape[1] / (volume_a3 * ANGSTROM_M**3),
        charge_e=charge_e,
        temperature_k=temperature_k,
    )
    own, distinct = _onsager_split(tracer_curves, together, window, d_sigma)
    return Conductivity(
        tracer=tracer,
        d_sigma=d_sigma,
        haven_ratio=_haven_ratio(tracer_curves, tracer, d_sigma, value, blocks),
        sigma_ne=scaled(tracer.d_tracer, to_sigma, unit="S/m"),
        sigma_einstein=scaled(d_sigma, to_sigma, unit="S/m"),
        sigma_self=scaled(own, to_sigma, unit="S/m"),
        sigma_distinct=scaled(distinct, to_sigma, unit="S/m"),
        lag_window_ps=(
            float(together.lag_ps[window.start]),
            float(together.lag_ps[window.stop - 1]),
        ),
        tracer_curves=tracer_curves,
        collective_curves=together,
        sigma_per_d=to_sigma,
    )


def sigma_in(sigma: Quantity, unit: str) -> Quantity:
    """A conductivity in another unit of `hopecho.units.SIGMA_UNITS`."""
    if sigma.unit not in SIGMA_UNITS or unit not in SIGMA_UNITS:
        raise HopechoError(
            "No such unit of conductivity.",
            got=f"{sigma.unit} to {unit}",
            fix="use one of " + ", ".join(SIGMA_UNITS),
        )
    return scaled(sigma, SIGMA_UNITS[unit] / SIGMA_UNITS[sigma.unit], unit=unit)


def _check_conditions(volume_a3: float, temperature_k: float, charge_e: float) -> None:
    if volume_a3 <= 0.0 or temperature_k <= 0.0 or charge_e == 0.0:
        raise HopechoError(
            "A conductivity needs a volume, a temperature and a charge.",
            got=f"{volume_a3:g} A^3, {temperature_k:g} K, {charge_e:g} e",
        )


def _collective_window(
    curves: MsdCurves, tracer: Diffusion, wanted_ps: tuple[float, float] | None
) -> slice:
    """Lag window in frames."""
    stride, last = float(curves.lag_ps[1]), curves.n_fit - 1
    if wanted_ps is None:
        first = round(tracer.window_ps[0] / stride)
        return slice(first, min(max(COLLECTIVE_SPAN * first, first + 2), last) + 1)
    low, high = round(wanted_ps[0] / stride), round(wanted_ps[1] / stride)
    if not 1 <= low < high <= last:
        raise HopechoError(
            "The collective lag window does not fit the run.",
            got=f"{wanted_ps[0]:g}-{wanted_ps[1]:g} ps",
            fix=f"choose it within {stride:g}-{last * stride:g} ps, or run longer",
        )
    return slice(low, high + 1)


def _collective_slope(curves: MsdCurves, window: slice) -> tuple[float, NDArray[np.float64]]:
    """D_sigma as the mean over blocks, and of each block, m2/s."""
    weights = slope_weights(curves.lag_ps, window) * A2_PS_TO_M2_S / 6.0
    blocks = curves.blocks.sum(-1) @ weights
    return float(blocks.mean()), blocks


def _d_sigma(
    curves: MsdCurves,
    window: slice,
    value: float,
    blocks: NDArray[np.float64],
    tracer: Diffusion,
) -> Quantity:
    """Resolved where the tracer diffuses and the slope stands out; else an upper bound."""
    error = curves.error(blocks)
    grows = value > RESOLVED_Z * error.stderr
    if grows and tracer.d_tracer.verdict == "resolved":
        return resolved_quantity(value, error, unit="m2/s")
    last = window.stop - 1
    to_d = A2_PS_TO_M2_S / (6.0 * float(curves.lag_ps[last]))
    blocks_apparent = curves.blocks[:, last].sum(-1) * to_d
    apparent = curves.error(blocks_apparent)
    upper = chi2_upper(float(blocks_apparent.mean()), apparent)
    return upper_bound(
        upper,
        unit="m2/s",
        n_independent=apparent.n_units,
        seen=grows or tracer.d_tracer.verdict == "resolved",
    )


def _onsager_split(
    tracer_curves: MsdCurves, curves: MsdCurves, window: slice, d_sigma: Quantity
) -> tuple[Quantity, Quantity]:
    """Self and distinct part of D_sigma, which add up to it, m2/s; paired blocks."""
    if d_sigma.value is None:
        nothing = Quantity(
            None, None, (None, None), "m2/s", d_sigma.n_independent, BOUND_LEVEL, "not_seen"
        )
        return nothing, nothing
    own, own_blocks = _collective_slope(tracer_curves, window)
    _, all_blocks = _collective_slope(curves, window)
    parts = []
    for value, blocks in ((own, own_blocks), (d_sigma.value - own, all_blocks - own_blocks)):
        error = curves.error(blocks)
        half = error.t() * error.stderr
        interval = (value - half, value + half)
        parts.append(Quantity(value, error.stderr, interval, "m2/s", error.n_units))
    return parts[0], parts[1]


def _haven_ratio(
    curves: MsdCurves,
    tracer: Diffusion,
    d_sigma: Quantity,
    value: float,
    blocks: NDArray[np.float64],
) -> Quantity:
    """Ratio from paired blocks; a lower bound, or nothing, where a part is not resolved."""
    d_tracer = tracer.d_tracer
    if d_tracer.value is None:
        n = d_tracer.n_independent
        return Quantity(None, None, (None, None), "1", n, BOUND_LEVEL, "not_seen")
    if d_sigma.value is None:
        assert d_sigma.interval[1] is not None
        low = d_tracer.value / d_sigma.interval[1]
        return Quantity(None, None, (low, None), "1", d_sigma.n_independent, BOUND_LEVEL, "bound")
    ratio = d_tracer.value / value
    # Influence of each block on ln H: what both coefficients share drops out.
    influence = tracer.blocks / d_tracer.value - blocks / value
    return resolved_quantity(ratio, curves.error(ratio * influence), unit="1")
