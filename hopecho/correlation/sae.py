r"""The spin-alignment echo itself: S2(tp, tm) with phases that gather while the ions move.

.. math:: S_2(t_p, t_m) = \tfrac{9}{20} \langle \sin\Phi_1 \sin\Phi_2 \rangle, \quad
          \Phi_1 = 2\pi \int_0^{t_p} \nu\,dt, \quad
          \Phi_2 = 2\pi \int_{t_p+t_m}^{t_p+t_m+t_d} \nu\,dt

averaged over ions, time and all directions of the field. The usual form with instantaneous
frequencies, :math:`\sin(2\pi\nu(0) t_p) \sin(2\pi\nu(t_m) t_d)`, is its limit for motion much
slower than tp. Tensors must be averages over vibrations.

Frequencies are in kHz, times in microseconds, tensors isometric components times eQ/2h (kHz), whose
scalar product with those of b b is the frequency of a satellite.

Source: Faraday Discuss. 255, 411 (2025), eqn (3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.linalg import expm

from hopecho.correlation.decay import DecayFit, fit_decay
from hopecho.correlation.exchange import Exchange, equal_classes, propagators
from hopecho.correlation.powder import largest_frequency, powder_average
from hopecho.errors import HopechoError

Array = NDArray[np.float64]

PREFACTOR = 9.0 / 20.0
"""Largest signal of a spin 3/2."""

RAD = 2.0e-3 * np.pi
"""2 pi times kHz times microseconds, rad."""


@dataclass(frozen=True)
class EchoSignal:
    """S2 against the mixing time for one length of the evolution."""

    tp_us: float
    td_us: float
    tm_us: Array
    """(n_tm,), microseconds."""
    s2: Array
    """(n_tm,), absolute: 9/20 at most."""
    order: int
    """Of the powder quadrature; 0 where none was needed."""

    @property
    def normalised(self) -> Array | None:
        """S2(tm) over its first value; None where there is no signal to divide by (below 1e-4)."""
        return None if abs(self.s2[0]) < 1e-4 else self.s2 / self.s2[0]


def detection_us(tp_us: float, dead_time_us: float) -> float:
    """Time td of the echo's top, tp; where the receiver is still blocked, the end of that."""
    return max(tp_us, dead_time_us)


def exchange_echo(
    exchange: Exchange,
    tensors_khz: ArrayLike,
    *,
    tp_us: float,
    td_us: float,
    tm_us: ArrayLike,
    tolerance: float = 1e-6,
) -> EchoSignal:
    r"""Echo of ions that jump between sites, exactly, at any speed of the jumps.

    With :math:`L = p\,e^{(W + 2\pi i \nu) t_p}` and :math:`R = e^{(W + 2\pi i \nu) t_d} 1`,

    .. math:: \langle \sin\Phi_1 \sin\Phi_2 \rangle = \mathrm{Im} L \cdot e^{W t_m} \cdot
              \mathrm{Im} R

    Parameters
    ----------
    exchange : Exchange
        Rates in 1/us.
    tensors_khz : array_like (n_sites, 5) or (n_sites,)
        Frequency tensors, averaged over a powder; or frequencies for one direction.
    tp_us, td_us : float
        Evolution and detection times, us.
    tm_us : array_like (n_tm,)
        Mixing times, us.
    tolerance : float
        Largest change of <sin sin> by doubling the order of the quadrature.
    """
    t = np.asarray(tensors_khz, dtype=np.float64)

    def both_sides(nu_khz: Array) -> Array:
        left, right = _phase_factors(exchange, nu_khz, tp_us, td_us)
        return left[:, :, None] * right[:, None, :]

    if t.ndim == 1:
        sides, order = both_sides(t[None])[0], 0
    else:
        sides, order = powder_average(
            lambda dyads: both_sides(dyads @ t.T),
            largest_phase=RAD * largest_frequency(t) * (tp_us + td_us),
            tolerance=tolerance,
        )
    signal = np.einsum("ij,tij->t", sides, propagators(exchange, tm_us))
    return EchoSignal(tp_us, td_us, np.asarray(tm_us, dtype=float), PREFACTOR * signal, order)


def _phase_factors(
    exchange: Exchange, nu_khz: Array, tp_us: float, td_us: float
) -> tuple[Array, Array]:
    """Imaginary parts of L and R, (n_directions, n_sites) each."""
    n = exchange.population.size
    generator = np.zeros((len(nu_khz), n, n), dtype=np.complex128)
    generator[:] = exchange.rates
    generator[:, np.arange(n), np.arange(n)] += 1j * RAD * nu_khz
    during_tp = expm(generator * tp_us)
    during_td = during_tp if td_us == tp_us else expm(generator * td_us)
    left = np.einsum("i,dij->dj", exchange.population, during_tp)
    return left.imag, during_td.sum(axis=2).imag


def static_echo(
    tensors_khz: ArrayLike, *, tp_us: float, td_us: float, tolerance: float = 1e-6
) -> tuple[float, int]:
    r"""Powder echo S2 of ions that keep their tensors, and the order of its quadrature.

    It is the plateau of ions whose tensors these averages remain, and the value at tm = 0 of ions
    that are slow against tp.

    Parameters
    ----------
    tensors_khz : array_like (n_ions, 5)
        Frequency tensors.
    tp_us, td_us : float
        Evolution and detection times, us.
    """
    t = np.asarray(tensors_khz, dtype=np.float64)

    def product(dyads: Array) -> Array:
        phase = RAD * (dyads @ t.T)
        return np.asarray((np.sin(phase * tp_us) * np.sin(phase * td_us)).mean(axis=1))

    value, order = powder_average(
        product, largest_phase=RAD * largest_frequency(t) * (tp_us + td_us), tolerance=tolerance
    )
    return PREFACTOR * float(value), order


def trajectory_echo(
    replicas_khz: Sequence[NDArray[np.floating]],
    *,
    stride_us: float,
    tp_us: float,
    td_us: float,
    tm_us: ArrayLike,
    tolerance: float = 1e-4,
) -> EchoSignal:
    """Echo straight from series that are longer than tp + tm + td; no model enters.

    Phases are integrals of the tensor (trapezoids), so that a direction of the field is a scalar
    product. Time origins stand a twentieth of tp apart: closer ones say nothing new.

    Parameters
    ----------
    replicas_khz : sequence of ndarray (n_frames, n_ions, 5) or (n_frames, n_ions)
        Frequency tensors, averaged over a powder; or frequencies for one direction.
    stride_us : float
        Time between frames, us.
    tp_us, td_us, tm_us : float, float, array_like (n_tm,)
        Times, us; rounded to whole strides.
    tolerance : float
        Largest change of <sin sin> by doubling the order of the quadrature.

    Raises
    ------
    HopechoError
        If tp, td or tm do not fit into the run, or tp is shorter than a stride.
    """
    steps = [round(x / stride_us) for x in (tp_us, td_us)]
    lags = np.rint(np.asarray(tm_us, dtype=float) / stride_us).astype(np.int64) + steps[0]
    shortest = min(len(x) for x in replicas_khz)
    if min(steps) < 1 or int(lags.max()) + steps[1] >= shortest:
        raise HopechoError(
            "An echo needs series longer than tp + tm + td, with a stride below tp.",
            got=f"tp {tp_us:g}, td {td_us:g}, tm to {np.max(tm_us):g} us; "
            f"{shortest} frames of {stride_us:g} us",
            fix="use the exchange model, or run longer",
        )
    phases = [[_phase_tensors(x, n, stride_us) for n in steps] for x in replicas_khz]

    def product(dyads: Array | None) -> Array:
        total, count = 0.0, 0
        for first, second in phases:
            total = total + _delayed_products(first, second, lags, dyads, steps[0]) * len(first)
            count += len(first)
        return np.asarray(total / count)

    if np.ndim(replicas_khz[0]) == 2:
        signal, order = product(None)[0], 0
    else:
        nu = max(largest_frequency(np.asarray(x)) for x in replicas_khz)
        signal, order = powder_average(
            product, largest_phase=RAD * nu * (tp_us + td_us), tolerance=tolerance
        )
    tm = np.asarray((lags - steps[0]) * stride_us, dtype=np.float64)
    return EchoSignal(steps[0] * stride_us, steps[1] * stride_us, tm, PREFACTOR * signal, order)


def _phase_tensors(series: NDArray[np.floating], n: int, stride_us: float) -> Array:
    """Integral over n strides from every frame times 2 pi, (n_frames - n, n_ions, ...), rad."""
    x = np.asarray(series, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(x[:1]), np.cumsum(0.5 * (x[1:] + x[:-1]), axis=0)])
    return RAD * stride_us * (sums[n:] - sums[:-n])


def _delayed_products(
    first: Array, second: Array, lags: NDArray[np.int64], dyads: Array | None, n_phase: int
) -> Array:
    """<sin first(t) sin second(t + lag)> over time and ions, (n_directions, n_lags)."""
    step = max(1, n_phase // 20)
    rows = []
    for dyad in dyads if dyads is not None else [None]:
        s1 = np.sin(first if dyad is None else first @ dyad)
        s2 = s1 if second is first else np.sin(second if dyad is None else second @ dyad)
        row = []
        for k in lags:
            n = min(len(s1), len(s2) - k)
            row.append(float((s1[:n:step] * s2[k : k + n : step]).mean()))
        rows.append(row)
    return np.array(rows)


def gaussian_echo(
    variance_khz2: float,
    decay: DecayFit,
    *,
    tp_us: float,
    td_us: float,
    tm_us: ArrayLike,
) -> EchoSignal:
    r"""Echo of frequencies that fluctuate as a Gaussian process with a fitted correlation function.

    A model: it holds where many independent changes add up during tp (a line narrowed to its
    average, a glass), not for ions that stay on a few sites. With :math:`s_{ab} = \langle \Phi_a
    \Phi_b \rangle`, :math:`\langle \sin\Phi_1 \sin\Phi_2 \rangle = e^{-(s_{11} + s_{22})/2} \sinh
    s_{12}`.

    Parameters
    ----------
    variance_khz2 : float
        <nu^2> at lag 0 before vibrations are taken off, kHz^2: the raw powder curve's.
    decay : DecayFit
        One fit; its amplitude takes the vibrations off.
    tp_us, td_us, tm_us : float, float, array_like (n_tm,)
        Times, us.
    """
    tm = np.asarray(tm_us, dtype=np.float64)
    scale = RAD**2 * variance_khz2 * float(decay.amplitude[0])
    f = _twice_integrated(decay)
    s11, s22 = 2.0 * scale * f(np.array(tp_us)), 2.0 * scale * f(np.array(td_us))
    s12 = scale * (f(tp_us + tm + td_us) - f(tp_us + tm) - f(tm + td_us) + f(tm))
    # exp(-a) sinh(s) in a form that does not overflow.
    mean = 0.5 * (s11 + s22)
    signal = 0.5 * (np.exp(s12 - mean) - np.exp(-s12 - mean))
    return EchoSignal(tp_us, td_us, tm, PREFACTOR * signal, 0)


def _twice_integrated(decay: DecayFit) -> Callable[[Array], Array]:
    r"""F(t) in us^2, the integral of (t - s) C(s) over s from 0 to t; C = b^2 + (1 - b^2) decay."""
    b2, gamma = float(decay.plateau_b2[0]), float(decay.gamma[0])
    tau = float(decay.tau_ps[0]) * 1e-6

    def integral(t: Array) -> Array:
        x = (np.asarray(t, dtype=float) / tau) ** gamma
        first, second = (
            special.gammainc(k / gamma, x) * special.gamma(k / gamma) * tau**k / gamma
            for k in (1, 2)
        )
        return np.asarray(0.5 * b2 * np.asarray(t) ** 2 + (1.0 - b2) * (t * first - second))

    return integral


def long_tp_plateau(tensors: ArrayLike, population: ArrayLike, *, tolerance: float) -> float:
    r"""Normalised echo at long tm and long tp, of ions that jump among all sites: sum of p_a^2.

    a runs over classes of sites with equal tensors, which no field direction can tell apart. Sites
    of exactly opposite tensors have equal |nu| but opposite sines: they subtract.

    Parameters
    ----------
    tensors : array_like (n_sites, 5)
        Isometric components.
    population : array_like (n_sites,)
        Populations.
    tolerance : float
        Largest distance of equal tensors, in their unit.
    """
    t = np.array(tensors, dtype=np.float64)
    p = np.asarray(population, dtype=np.float64) / np.sum(population)
    signs = np.ones(len(t))
    for i in range(len(t)):
        if any(np.linalg.norm(t[i] + t[j]) <= tolerance for j in range(i)):
            signs[i], t[i] = -1.0, -t[i]
    class_of = equal_classes(t, tolerance=tolerance)
    return float((np.bincount(class_of, weights=signs * p) ** 2).sum())


def echo_decay_us(signal: EchoSignal) -> float | None:
    """Decay time of S2 over tm, us, from a fit with free gamma; None if it falls by less than 2 %.

    It is what the same fit makes of a measured curve with these tp and tm, to be laid over it.
    """
    y = signal.normalised
    keep = signal.tm_us > 0.0
    if y is None or keep.sum() < 5 or y[keep].max() - y[keep].min() < 0.02:
        return None
    fit = fit_decay(signal.tm_us[keep], y[keep], gamma=None)
    return float(fit.tau_ps[0])
