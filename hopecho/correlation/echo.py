"""The correlation functions of a campaign: powder average, one field axis, |C_Q| and P_Q."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.correlation.acf import POWDER_FACTOR, log_spaced_lags
from hopecho.correlation.advisor import advise
from hopecho.correlation.regime import regime_word, sae_regime
from hopecho.correlation.sweep import View, mean_over_all, sweep
from hopecho.correlation.verdict import AcfResult, AcfSettings, analyse_acf
from hopecho.errors import HopechoError
from hopecho.io.efg_series import Series
from hopecho.tensors import cq_abs_isometric, omega_q_isometric, p_q
from hopecho.units import Quantity, cq_khz_per_au

Array = NDArray[np.float64]

CURVES = ("acf_powder", "acf_omega_q", "acf_cq", "acf_pq")
COUPLINGS = ("acf_cq", "acf_pq")
"""Sizes of the coupling: not zero on average, and no frequency of a line."""


@dataclass(frozen=True)
class EchoCurve:
    """One correlation function: raw and with the global mean removed."""

    name: str
    raw: AcfResult
    centred: AcfResult
    """With the mean over all ions, replicas and times removed."""
    headline: AcfResult
    """The one that is reported: raw, but centred for couplings, whose mean is not zero."""
    rms_omega_q_khz: float
    """Typical quadrupolar frequency of the tensors, kHz: of this curve, or of the powder for
    couplings, which are no frequencies of a line."""
    per_ion: tuple[Array, ...]
    """(n_ions, n_lags) of each run: the headline's curve ion by ion, kHz^2."""

    def columns(self) -> dict[str, Array]:
        """Columns of the CSV: normalised curves, errors (1 sigma), and the raw curve, kHz^2."""
        return {
            "lag_ps": self.headline.lag_ps,
            self.name: self.headline.acf,
            f"{self.name}_err": self.headline.acf_err,
            f"{self.name}_uncentred": self.raw.acf,
            f"{self.name}_uncentred_err": self.raw.acf_err,
            f"{self.name}_centred": self.centred.acf,
            f"{self.name}_centred_err": self.centred.acf_err,
            f"{self.name}_raw_khz2": self.raw.acf * self.raw.zero_lag,
        }


def echo_curves(
    replicas: Sequence[Series],
    *,
    stride_ps: float,
    quench: Sequence[int],
    isotope: str,
    b0: ArrayLike,
    settings: AcfSettings,
    max_lag_fraction: float,
    seed: int,
    average_ps: float = 0.0,
) -> list[EchoCurve]:
    r"""Analyse the tensors of all replicas of one phase and temperature.

    The powder curve is :math:`(2/15) \langle Tr[V(0) V(t)] \rangle (eQ/2h)^2`, exact for any
    number of field directions.

    Parameters
    ----------
    replicas : sequence of ndarray or Series
        Each (n_frames, n_ions, 5), isometric components, a.u.; read a few ions at a time.
    stride_ps : float
        Time between frames, ps.
    quench : sequence of int
        Quench of each replica.
    isotope : str
        Probe nucleus.
    b0 : array_like
        (3,), direction of the field for ``acf_omega_q``.
    settings : AcfSettings
        Choices of the analysis.
    max_lag_fraction : float
        Longest lag as a share of the shortest run.
    seed : int
        Of the bootstrap.
    average_ps : float
        Tensors are running means over this time before anything is made of them, ps; 0: as given.

    Raises
    ------
    HopechoError
        If the window holds a single frame, or a run is too short.

    Source: Faraday Discuss. 255, 411 (2025), eqns (4)-(6).
    """
    n_window = window_frames(average_ps, stride_ps)
    lengths = [r.shape[0] - n_window + 1 for r in replicas]
    n_frames, run_ps = min(lengths), [n * stride_ps for n in lengths]
    lags = log_spaced_lags(
        n_frames, stride_ps=stride_ps, max_lag_ps=max_lag_fraction * n_frames * stride_ps
    )
    # nu = (eQ/2h) b.V.b: half of C_Q per a.u.; squared with 2/15 it makes the powder curve kHz^2.
    scale = 0.5 * cq_khz_per_au(isotope) * np.sqrt(POWDER_FACTOR)
    views: dict[str, View] = {
        "acf_powder": lambda t: t * scale,
        "acf_omega_q": lambda t: omega_q_isometric(t, b0, isotope=isotope),
        "acf_cq": lambda t: cq_abs_isometric(t, isotope=isotope),
        "acf_pq": lambda t: p_q(t, isotope=isotope),
    }
    runs = [sweep(r, views=views, lags=lags, n_window=n_window) for r in replicas]
    curves: list[EchoCurve] = []
    for k, name in enumerate(CURVES):
        results = []
        sums = [run[name] for run in runs]
        mean = mean_over_all(sums)
        for offset in (np.zeros_like(mean), mean):
            results.append(
                analyse_acf(
                    [s.centred(offset) for s in sums],
                    (lags * stride_ps).astype(np.float64),
                    groups=quench,
                    run_ps=run_ps,
                    settings=settings,
                    rng=np.random.default_rng([seed, k]),
                    plateaus=[s.plateaus(offset) for s in sums],
                )
            )
        raw, removed = results
        coupling = name in COUPLINGS
        mean_square = curves[0].raw.zero_lag if coupling else raw.zero_lag
        rms_khz = float(np.sqrt(max(mean_square, 0.0)))
        ions = tuple(s.centred(mean if coupling else np.zeros_like(mean)) for s in sums)
        head = removed if coupling else raw
        curves.append(EchoCurve(name, raw, removed, head, rms_khz, ions))
    return curves


def window_frames(average_ps: float, stride_ps: float) -> int:
    """Frames of a running mean over `average_ps`; 1 for 0 ps.

    Raises
    ------
    HopechoError
        If frames are too sparse to average anything.
    """
    n_window = max(1, round(average_ps / stride_ps))
    if average_ps > 0.0 and n_window < 2:
        raise HopechoError(
            "Frames are too sparse to average vibrations out.",
            got=f"correlation.average_ps = {average_ps:g} ps, frames every {stride_ps:g} ps",
            fix="store frames more often, or set correlation.average_ps: 0",
        )
    return n_window


def ion_columns(curves: Sequence[EchoCurve]) -> dict[str, Array]:
    """Columns of a CSV with every ion's own curve: run, ion, lag, and each curve, kHz^2."""
    first = curves[0]
    lag, counts = first.headline.lag_ps, [len(x) for x in first.per_ion]
    return {
        "replica": np.repeat(np.arange(len(counts)), np.array(counts) * lag.size),
        "ion": np.concatenate([np.repeat(np.arange(n), lag.size) for n in counts]),
        "lag_ps": np.tile(lag, sum(counts)),
    } | {f"{c.name}_khz2": np.concatenate([x.ravel() for x in c.per_ion]) for c in curves}


def curve_record(
    curve: EchoCurve, *, run_ps: Sequence[float], n_ions: int, wanted_error: float, max_lag: float
) -> dict[str, Any]:
    """Return what a curve's JSON says: its quantities, both forms, the regime of its tau, advice.

    Parameters
    ----------
    curve : EchoCurve
        One correlation function.
    run_ps : sequence of float
        Length of every run, ps.
    n_ions : int
        Ions of one run.
    wanted_error, max_lag : float
        Relative error of tau that is wanted; longest lag as a share of the run.
    """
    advice = advise(
        curve.headline.tau_sae,
        n_ions=n_ions,
        run_ps=min(run_ps),
        total_ps=sum(run_ps),
        wanted_error=wanted_error,
        max_lag_fraction=max_lag,
    )
    return curve.headline.to_dict() | {
        "uncentred": curve.raw.to_dict(),
        "centred": curve.centred.to_dict(),
        "rms_omega_q_khz": curve.rms_omega_q_khz,
        "regime": regime_of(curve.headline.tau_sae, curve.rms_omega_q_khz),
        "seen_by": seen_by(curve.headline.tau_sae, curve.rms_omega_q_khz),
        "run_ps": float(sum(run_ps)),
        "n_ions": n_ions,
        "advice": None if advice is None else advice.to_dict(),
    }


def regime_of(tau: Quantity, nu_khz: float) -> str:
    """What an echo sees of a decay time, or of the bound that is known of it."""
    low, high = tau.interval
    if tau.value is not None:
        return sae_regime(tau.value, nu_khz)
    if low is not None:
        return f"for the lower bound of tau: {sae_regime(low, nu_khz)}"
    if high is not None:
        return f"for the upper bound of tau: {sae_regime(high, nu_khz)}"
    return "no decay is seen within the run"


def seen_by(tau: Quantity, nu_khz: float) -> str | None:
    """Regime of a decay time in a word (`regime_word`); None for bounds, that leave it open."""
    return None if tau.value is None else regime_word(tau.value, nu_khz)
