"""The correlation functions of a campaign: powder average, one field axis, and |C_Q|."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.correlation.acf import POWDER_FACTOR, log_spaced_lags
from hopecho.correlation.advisor import advise
from hopecho.correlation.regime import sae_regime
from hopecho.correlation.sweep import View, mean_over_all, sweep
from hopecho.correlation.verdict import AcfResult, AcfSettings, analyse_acf
from hopecho.io.efg_series import Series
from hopecho.tensors import cq_abs_isometric, omega_q_isometric
from hopecho.units import Quantity, cq_khz_per_au

Array = NDArray[np.float64]

CURVES = ("acf_powder", "acf_omega_q", "acf_cq")


@dataclass(frozen=True)
class EchoCurve:
    """One correlation function: raw and with the global mean removed."""

    name: str
    raw: AcfResult
    centred: AcfResult
    """With the mean over all ions, replicas and times removed."""
    headline: AcfResult
    """The one that is reported: raw, but centred for |C_Q|, whose mean is not zero by symmetry."""
    rms_omega_q_khz: float
    """Typical quadrupolar frequency of the tensors, kHz: of this curve, or of the powder for
    |C_Q|, which is no frequency of a line."""

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

    Source: Faraday Discuss. 255, 411 (2025), eqns (4)-(6).
    """
    n_frames = min(r.shape[0] for r in replicas)
    run_ps = [r.shape[0] * stride_ps for r in replicas]
    lags = log_spaced_lags(
        n_frames, stride_ps=stride_ps, max_lag_ps=max_lag_fraction * n_frames * stride_ps
    )
    # nu = (eQ/2h) b.V.b: half of C_Q per a.u.; squared with 2/15 it makes the powder curve kHz^2.
    scale = 0.5 * cq_khz_per_au(isotope) * np.sqrt(POWDER_FACTOR)
    views: dict[str, View] = {
        "acf_powder": lambda t: t * scale,
        "acf_omega_q": lambda t: omega_q_isometric(t, b0, isotope=isotope),
        "acf_cq": lambda t: cq_abs_isometric(t, isotope=isotope),
    }
    runs = [sweep(r, views=views, lags=lags) for r in replicas]
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
        coupling = name == "acf_cq"
        mean_square = curves[0].raw.zero_lag if coupling else raw.zero_lag
        rms_khz = float(np.sqrt(max(mean_square, 0.0)))
        curves.append(EchoCurve(name, raw, removed, removed if coupling else raw, rms_khz))
    return curves


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
        "regime": _regime(curve.headline.tau_sae, curve.rms_omega_q_khz),
        "run_ps": float(sum(run_ps)),
        "n_ions": n_ions,
        "advice": None if advice is None else advice.to_dict(),
    }


def _regime(tau: Quantity, nu_khz: float) -> str:
    """What an echo sees of a decay time, or of the bound that is known of it."""
    low, high = tau.interval
    if tau.value is not None:
        return sae_regime(tau.value, nu_khz)
    if low is not None:
        return f"for the lower bound of tau: {sae_regime(low, nu_khz)}"
    if high is not None:
        return f"for the upper bound of tau: {sae_regime(high, nu_khz)}"
    return "no decay is seen within the run"
