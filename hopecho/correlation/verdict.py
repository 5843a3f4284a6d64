"""From per-ion correlation functions to a decay time with an interval, a bound, or "no decay seen".

A fit always returns a number, also for sites that never move. The verdict comes first: is there a
drop between short and long lags, how well is tau known, and is the run long enough for it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.correlation.bootstrap import IonRows, Spread, spread, stack_rows
from hopecho.correlation.decay import DecayFit, fit_decay, integral_time_ps
from hopecho.correlation.plateau import PlateauSums, correct_plateau
from hopecho.correlation.quantities import (
    BOUND_LEVEL,
    Drop,
    FitSummary,
    measure_drop,
    normalise,
    quantities,
)
from hopecho.errors import HopechoError
from hopecho.units import Quantity

Array = NDArray[np.float64]

STRETCH_CHOICES = ("auto", "exponential", "stretched")


@dataclass(frozen=True)
class AcfSettings:
    """Choices of the analysis; the defaults are those of the validation runs."""

    t_min_ps: float
    """First lag after the vibrations, ps; where frames are sparse, the first stored lag."""
    stretch: str = "auto"
    """Headline fit: `exponential`, `stretched`, or `auto` (stretched if gamma differs from 1 at 95
    %)."""
    n_resamples: int = 400
    level: float = 0.68
    """Confidence of the intervals of resolved quantities."""
    z_min: float = 3.0
    """Drop from short to long lags in standard errors below which no decay is seen."""
    drop_floor: float = 0.02
    """Drop as a share of the post-vibrational value below which no decay is seen, however small its
    error."""
    max_log_error: float = 0.5
    """Standard error of log tau above which tau is not resolved."""
    max_tau_share: float = 0.2
    """tau above this share of the run is not resolved."""

    def __post_init__(self) -> None:
        if self.stretch not in STRETCH_CHOICES:
            raise HopechoError(
                "Unknown choice of the decay function.",
                got=f"stretch = {self.stretch!r}",
                fix=f"set correlation.stretch to one of {', '.join(STRETCH_CHOICES)}",
            )


@dataclass(frozen=True)
class AcfResult:
    """Everything that a report says about one correlation function."""

    lag_ps: Array
    """(n_lags,), ps."""
    acf: Array
    """(n_lags,) mean over ions and replicas, divided by its zero-lag value."""
    acf_err: Array
    """(n_lags,) standard error, 1 sigma."""
    zero_lag: float
    """Raw C(0), in the squared unit of the series."""
    exponential: FitSummary
    stretched: FitSummary
    drop: Drop
    smallest_decay: float
    """Smallest loss, as a share of the post-vibrational value, that this run would have called a
    decay."""
    headline: str
    """`exponential` or `stretched`: the fit behind the four quantities."""
    tau_sae: Quantity
    plateau_b2: Quantity
    stretch_gamma: Quantity
    vibrational_amplitude: Quantity
    mean_tau: Quantity
    """Integral time of the fitted decay, ns."""
    integral_time_ns: float | None
    """The same without a model, from the drawn lags; None unless the decay is resolved."""
    plateau_mean_square: float | None
    """A b^2 from mean tensors, corrected for the finite run where tau is resolved; None without
    `plateaus`."""
    plateau_first_last: float | None
    """A b^2 from both ends of the run; None without `plateaus`."""
    reason: str
    """One sentence behind the verdict."""

    @property
    def verdict(self) -> str:
        """`resolved`, `bound` or `not_seen`."""
        return self.tau_sae.verdict

    def to_dict(self) -> dict[str, Any]:
        """JSON form without the curve, which belongs in the CSV beside it."""
        return {
            "tau_sae": self.tau_sae.to_dict(),
            "plateau_b2": self.plateau_b2.to_dict(),
            "stretch_gamma": self.stretch_gamma.to_dict(),
            "vibrational_amplitude": self.vibrational_amplitude.to_dict(),
            "mean_tau": self.mean_tau.to_dict(),
            "integral_time_ns": self.integral_time_ns,
            "headline_fit": self.headline,
            "fits": {
                name: {
                    "tau_ns": float(s.fit.tau_ps[0]) / 1e3,
                    "stretch_gamma": float(s.fit.gamma[0]),
                    "plateau_b2": float(s.fit.plateau_b2[0]),
                    "amplitude": float(s.fit.amplitude[0]),
                    "mean_square_residual": float(s.fit.residual[0]),
                }
                for name, s in (("exponential", self.exponential), ("stretched", self.stretched))
            },
            "drop": self.drop.value,
            "drop_err": self.drop.stderr,
            "smallest_decay": self.smallest_decay,
            "plateau_mean_square": self.plateau_mean_square,
            "plateau_first_last": self.plateau_first_last,
            "zero_lag": self.zero_lag,
            "reason": self.reason,
        }


def analyse_acf(
    per_ion_acf: Sequence[Array],
    lag_ps: Array,
    *,
    groups: Sequence[int],
    run_ps: Sequence[float],
    settings: AcfSettings,
    rng: np.random.Generator,
    plateaus: Sequence[PlateauSums] | None = None,
) -> AcfResult:
    """Mean correlation function, decay fits, verdict and quantities of a set of replicas.

    Parameters
    ----------
    per_ion_acf : sequence of ndarray (n_ions, n_lags)
        Raw (not normalised) correlation functions of every replica, as from `acf_replicas`.
    lag_ps : ndarray (n_lags,), ps
        Lags, log-spaced, the first one 0; at most half the shortest run.
    groups : sequence of int
        Quench of every replica.
    run_ps : sequence of float
        Length of every replica, ps.
    settings : AcfSettings
        Choices.
    rng : numpy.random.Generator
        For the bootstrap.
    plateaus : sequence of PlateauSums, optional
        For the plateau without a fit.

    Raises
    ------
    HopechoError
        If lags, replicas and settings do not belong together or too few lags lie beyond t_min_ps.
    """
    lag_ps = np.asarray(lag_ps, dtype=np.float64)
    rows = stack_rows(per_ion_acf, groups=groups, replica_weight=run_ps)
    fitted = _fitted_lags(lag_ps, rows, settings.t_min_ps)
    t_run = float(min(run_ps))
    curve = spread(rows, normalise, n_resamples=settings.n_resamples, rng=rng)
    drop = measure_drop(rows, lag_ps, fitted, n_resamples=settings.n_resamples, rng=rng)
    weights = np.maximum(1.0 - lag_ps[fitted] / t_run, 0.0)
    fits = {
        name: _fit(rows, lag_ps, fitted, weights, gamma, settings, rng)
        for name, gamma in (("exponential", 1.0), ("stretched", None))
    }
    headline = _choose(fits, settings)
    verdict, reason = _verdict(fits[headline], drop, lag_ps, t_run, settings)
    effective = headline == "exponential" and _is_stretched(fits["stretched"].spread)
    four = quantities(
        verdict,
        fits[headline],
        fits["stretched"],
        drop,
        lag_ps=lag_ps[fitted],
        level=settings.level,
        effective=effective,
    )
    resolved = verdict == "resolved"
    if resolved and effective:
        reason += (
            f"; one exponential does not describe it (free fit: gamma = "
            f"{fits['stretched'].fit.gamma[0]:.2f}): tau is an effective time of the lags fitted, "
            "and b2 is an upper bound"
        )
    plateau_fit = fits[headline].fit.amplitude[0] * fits[headline].fit.plateau_b2[0]
    integral = integral_time_ps(lag_ps[fitted], curve.estimate[fitted], plateau=float(plateau_fit))
    mean_square, first_last = _plateaus(plateaus, run_ps, fits["exponential"].fit, t_run, resolved)
    return AcfResult(
        lag_ps=lag_ps,
        acf=curve.estimate,
        acf_err=curve.stderr,
        zero_lag=float(rows.mean()[0]),
        exponential=fits["exponential"],
        stretched=fits["stretched"],
        drop=drop,
        smallest_decay=_smallest_decay(drop, settings),
        headline=headline,
        integral_time_ns=integral / 1e3 if resolved else None,
        plateau_mean_square=mean_square,
        plateau_first_last=first_last,
        reason=reason,
        **four,
    )


def _fitted_lags(lag_ps: Array, rows: IonRows, t_min_ps: float) -> NDArray[np.bool_]:
    fitted = (lag_ps >= t_min_ps * (1.0 - 1e-9)) & (lag_ps > 0.0)
    if rows.values.shape[1] != lag_ps.size or lag_ps[0] != 0.0 or fitted.sum() < 6:
        raise HopechoError(
            "The correlation needs lag 0 first and at least six lags from t_min_ps on.",
            got=f"{rows.values.shape[1]} columns, {lag_ps.size} lags "
            f"from {lag_ps[0]} to {lag_ps[-1]} ps, {fitted.sum()} of them >= {t_min_ps} ps",
            fix="lower correlation.t_min_ps, raise correlation.max_lag_fraction, or run longer",
        )
    if rows.mean()[0] <= 0.0:
        raise HopechoError(
            "The correlation at lag 0 is not positive.",
            got=f"C(0) = {rows.mean()[0]}",
            fix="the series is constant zero: check the tensors",
        )
    return fitted


def _fit(
    rows: IonRows,
    lag_ps: Array,
    fitted: NDArray[np.bool_],
    weights: Array,
    gamma: float | None,
    settings: AcfSettings,
    rng: np.random.Generator,
) -> FitSummary:
    def statistic(means: Array) -> Array:
        f = fit_decay(
            lag_ps[fitted],
            normalise(means)[:, fitted],
            gamma=gamma,
            weights=weights,
            resolution=3e-4,
        )
        columns = [np.log(f.tau_ps), f.gamma, f.plateau_b2, f.amplitude, np.log(f.mean_tau_ps)]
        return np.stack(columns, axis=1)

    s = spread(rows, statistic, n_resamples=settings.n_resamples, rng=rng)
    mean = normalise(rows.mean()[None])[:, fitted]
    return FitSummary(fit_decay(lag_ps[fitted], mean, gamma=gamma, weights=weights), s)


def _is_stretched(free: Spread) -> bool:
    """Whether gamma of the free fit differs from 1 at 95 %."""
    return bool(abs(free.estimate[1] - 1.0) > free.quantile(0.5 + 0.5 * BOUND_LEVEL)[1])


def _choose(fits: dict[str, FitSummary], settings: AcfSettings) -> str:
    if settings.stretch != "auto":
        return settings.stretch
    s = fits["stretched"].spread
    differs = _is_stretched(s)
    usable = fits["stretched"].log_tau_error() <= settings.max_log_error
    return "stretched" if differs and usable else "exponential"


def _verdict(
    summary: FitSummary, drop: Drop, lag_ps: Array, t_run: float, settings: AcfSettings
) -> tuple[str, str]:
    tau = float(summary.fit.tau_ps[0])
    share = drop.value / max(drop.short, 1e-300)
    if drop.z <= settings.z_min or share < settings.drop_floor:
        return "not_seen", (
            f"the correlation falls by {100 * share:.2g} % of its post-vibrational value "
            f"({drop.z:.1f} standard errors); a decay of "
            f"{100 * _smallest_decay(drop, settings):.2g} % would have been seen; the bound of tau "
            "is that of a decay to zero"
        )
    error = summary.log_tau_error()
    upper = tau * float(np.exp(summary.spread.quantile(0.5 + 0.5 * settings.level)[0]))
    first = float(lag_ps[lag_ps >= settings.t_min_ps * (1.0 - 1e-9)][0])
    limits = (
        (tau < first, f"tau is shorter than the first lag fitted, {first:.3g} ps"),
        (error > settings.max_log_error, f"the standard error of log tau is {error:.2g}"),
        (
            tau > settings.max_tau_share * t_run,
            f"tau exceeds {settings.max_tau_share:.2g} of the run of {t_run:.4g} ps",
        ),
        (
            upper > 0.5 * lag_ps[-1],
            f"the interval of tau reaches half the longest lag, {lag_ps[-1]:.4g} ps",
        ),
    )
    for failed, why in limits:
        if failed:
            return (
                "bound",
                f"a decay is seen ({drop.z:.1f} standard errors) but not resolved: {why}",
            )
    return (
        "resolved",
        f"the drop is {drop.z:.1f} standard errors and the run is {t_run / tau:.0f} tau long",
    )


def _smallest_decay(drop: Drop, settings: AcfSettings) -> float:
    noise = settings.z_min * drop.stderr / max(drop.short, 1e-300)
    return float(min(max(noise, settings.drop_floor), 1.0))


def _plateaus(
    plateaus: Sequence[PlateauSums] | None,
    run_ps: Sequence[float],
    fit: DecayFit,
    t_run: float,
    resolved: bool,
) -> tuple[float | None, float | None]:
    """Mean-square and first-last estimates of A b^2; the first is corrected where tau is known."""
    if plateaus is None:
        return None, None
    weighted = list(zip(run_ps, plateaus, strict=True))
    total = sum(w * p.total.sum() for w, p in weighted)
    x = float(sum(w * p.mean_square.sum() for w, p in weighted) / total)
    ends = float(sum(w * p.first_last.sum() for w, p in weighted) / total)
    if resolved:
        amplitude, tau = float(fit.amplitude[0]), float(fit.tau_ps[0])
        x = correct_plateau(x, amplitude=amplitude, tau_ps=tau, run_ps=t_run)
    return x, ends
