r"""The whole chain against the truth: what the potential and the EFG model do to the echo.

Three sets of tensors with the same analysis: (a) the potential's runs with the EFG model, (b) the
same frames with exact tensors, (c) runs of the surface itself with exact tensors. a - b is the EFG
model's part: the same ions, so that their scatter cancels. b - c is the potential's part and the
statistics of independent runs; its standard error says how much of it the statistics are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopecho.correlation.acf import POWDER_FACTOR, acf_replicas, log_spaced_lags
from hopecho.correlation.bootstrap import IonRows, Spread, spread, stack_rows
from hopecho.correlation.decay import fit_decay
from hopecho.correlation.echo_models import frequency_tensors
from hopecho.correlation.quantities import normalise
from hopecho.correlation.sae import detection_us, static_echo
from hopecho.correlation.verdict import AcfResult, AcfSettings, analyse_acf
from hopecho.errors import HopechoError
from hopecho.units import Quantity

Array = NDArray[np.float64]

SETS = ("ufp_model", "ufp_exact", "reference_exact")
PARTS: Mapping[str, tuple[str, str]] = {
    "efg_model": ("ufp_model", "ufp_exact"),
    "ufp": ("ufp_exact", "reference_exact"),
    "total": ("ufp_model", "reference_exact"),
}
"""Part of the shift -> the two sets whose difference it is."""
QUANTITIES = ("log_tau_sae", "plateau_b2", "vibrational_amplitude", "last_lag", "rms_omega_q_khz")
UNITS: Mapping[str, str] = {"rms_omega_q_khz": "kHz"}
LEVEL = 0.68
EQUAL_LEVEL = 0.95
"""Differences whose interval of this level holds zero are called equal within errors."""


@dataclass(frozen=True)
class EchoChoices:
    """How tensors become a decay; the campaign's own choices."""

    isotope: str
    t_min_ps: float
    max_lag_fraction: float
    stretch: str
    bootstrap: int
    tp_us: tuple[float, ...]
    dead_time_us: float
    seed: int


@dataclass(frozen=True)
class EndToEnd:
    """Result for one phase."""

    record: dict[str, Any]
    """JSON: every set, and the parts of the shift of every quantity."""
    curves: dict[str, AcfResult]
    """Powder correlation function of every set."""


def end_to_end(
    sets: Mapping[str, Sequence[NDArray[np.floating[Any]]]],
    *,
    quench: Sequence[int],
    stride_ps: float,
    choices: EchoChoices,
) -> EndToEnd:
    """Compare decay and echo of the three sets of tensors.

    Parameters
    ----------
    sets : mapping
        `SETS` -> replicas, each (n_frames, n_ions, 5), isometric components, a.u. Those of
        ``ufp_model`` and ``ufp_exact`` belong to the same frames.
    quench : sequence of int
        Starting structure of each replica, the same in all sets.
    stride_ps : float
        Time between frames, ps.
    choices : EchoChoices
        Of the analysis.

    Raises
    ------
    HopechoError
        If a set is missing, the two sets of the same frames differ in shape, or runs are too short.
    """
    _check(sets, quench)
    lags, n_frames = _lags(sets, stride_ps, choices)
    lag_ps, run_ps = (lags * stride_ps).astype(np.float64), n_frames * stride_ps
    rows = {name: _rows(sets[name], lags, quench, run_ps, choices) for name in SETS}
    curves = {
        name: analyse_acf(
            rows[name][0],
            lag_ps,
            groups=quench,
            run_ps=[run_ps] * len(quench),
            settings=_settings(choices),
            rng=np.random.default_rng([choices.seed, k]),
        )
        for k, name in enumerate(SETS)
    }
    single = {name: _spread(rows[name][1], lag_ps, run_ps, choices) for name in SETS}
    paired = _paired(rows["ufp_model"][1], rows["ufp_exact"][1], lag_ps, run_ps, choices)
    fitted = {name: curves[name].verdict == "resolved" for name in SETS}
    shifts = {
        quantity: {part: _shift(quantity, k, part, single, paired, fitted) for part in PARTS}
        for k, quantity in enumerate(QUANTITIES)
    }
    echoes = {name: _echo(sets[name], choices) for name in SETS}
    for k, tp in enumerate(choices.tp_us):
        shifts[f"s2_{tp:g}us"] = {part: _echo_shift(echoes, k, part) for part in PARTS}
    record = {
        "sets": {
            name: _set_record(curves[name], single[name], echoes[name], choices) for name in SETS
        },
        "shifts": {
            quantity: {part: shift.record() for part, shift in parts.items() if shift}
            for quantity, parts in shifts.items()
        },
        "n_replicas": len(quench),
        "run_ps": run_ps,
        "stride_ps": stride_ps,
        "fitted_lags_ps": [choices.t_min_ps, float(lag_ps[-1])],
    }
    return EndToEnd(record | {"statement": statement(record)}, curves)


@dataclass(frozen=True)
class Shift:
    """Difference of one quantity between two sets."""

    value: float
    stderr: float
    dof: float
    unit: str

    def record(self) -> dict[str, Any]:
        """JSON form: the difference, and whether its 95 % interval holds zero."""
        half = float(stats.t.ppf(0.5 + 0.5 * LEVEL, self.dof)) * self.stderr
        limit = float(stats.t.ppf(0.5 + 0.5 * EQUAL_LEVEL, self.dof)) * self.stderr
        difference = Quantity(
            self.value,
            self.stderr,
            (self.value - half, self.value + half),
            self.unit,
            self.dof + 1.0,
            LEVEL,
        )
        # Equal to the last digit is equal, also where the error is zero.
        equal = abs(self.value) <= limit + 1e-12
        return {"difference": difference.to_dict(), "limit_95": limit, "equal": equal}


def _check(sets: Mapping[str, Sequence[Any]], quench: Sequence[int]) -> None:
    missing = [name for name in SETS if name not in sets]
    counts = {name: len(replicas) for name, replicas in sets.items()}
    if missing or any(n != len(quench) for n in counts.values()) or len(quench) < 2:
        raise HopechoError(
            "The chain needs the same runs, two or more, in each of its three sets.",
            got=f"{counts}, {len(quench)} quenches",
            fix="raise validation.replicas, or rerun the workflow; it computes what is missing",
        )
    for a, b in zip(sets["ufp_model"], sets["ufp_exact"], strict=True):
        if np.shape(a) != np.shape(b):
            raise HopechoError(
                "Predicted and exact tensors are not of the same frames and ions.",
                got=f"{np.shape(a)} and {np.shape(b)}",
            )


def _lags(
    sets: Mapping[str, Sequence[Any]], stride_ps: float, choices: EchoChoices
) -> tuple[NDArray[np.int64], int]:
    n_frames = min(len(r) for replicas in sets.values() for r in replicas)
    longest = choices.max_lag_fraction * n_frames * stride_ps
    return log_spaced_lags(n_frames, stride_ps=stride_ps, max_lag_ps=longest), n_frames


def _settings(choices: EchoChoices) -> AcfSettings:
    return AcfSettings(choices.t_min_ps, stretch=choices.stretch, n_resamples=choices.bootstrap)


def _rows(
    replicas: Sequence[NDArray[np.floating[Any]]],
    lags: NDArray[np.int64],
    quench: Sequence[int],
    run_ps: float,
    choices: EchoChoices,
) -> tuple[list[Array], IonRows]:
    """Per-ion powder correlation functions, kHz^2."""
    scale = math.sqrt(POWDER_FACTOR)
    series = [frequency_tensors(r, choices.isotope) * scale for r in replicas]
    each = acf_replicas(series, lags=lags)
    return each, stack_rows(each, groups=quench, replica_weight=[run_ps] * len(each))


def _values(means: Array, lag_ps: Array, run_ps: float, choices: EchoChoices) -> Array:
    """`QUANTITIES` of mean correlation functions, (n_means, 5)."""
    fitted = (lag_ps >= choices.t_min_ps * (1.0 - 1e-9)) & (lag_ps > 0.0)
    y = normalise(means)
    fit = fit_decay(
        lag_ps[fitted],
        y[:, fitted],
        gamma=None if choices.stretch == "stretched" else 1.0,
        weights=np.maximum(1.0 - lag_ps[fitted] / run_ps, 0.0),
        resolution=3e-4,
    )
    rms = np.sqrt(np.maximum(means[:, 0], 0.0))
    columns = [np.log(fit.tau_ps), fit.plateau_b2, 1.0 - fit.amplitude, y[:, -1], rms]
    return np.stack(columns, axis=1)


def _spread(rows: IonRows, lag_ps: Array, run_ps: float, choices: EchoChoices) -> Spread:
    return spread(
        rows,
        lambda means: _values(means, lag_ps, run_ps, choices),
        n_resamples=choices.bootstrap,
        rng=np.random.default_rng([choices.seed, 100]),
    )


def _paired(a: IonRows, b: IonRows, lag_ps: Array, run_ps: float, choices: EchoChoices) -> Spread:
    """Differences a - b, whose ions, replicas and quenches are resampled together."""
    n = lag_ps.size
    both = IonRows(np.hstack([a.values, b.values]), a.weight, a.replica, a.group)

    def statistic(means: Array) -> Array:
        first, second = (_values(m, lag_ps, run_ps, choices) for m in (means[:, :n], means[:, n:]))
        return first - second

    rng = np.random.default_rng([choices.seed, 101])
    return spread(both, statistic, n_resamples=choices.bootstrap, rng=rng)


def _shift(
    quantity: str,
    k: int,
    part: str,
    single: Mapping[str, Spread],
    paired: Spread,
    fitted: Mapping[str, bool],
) -> Shift | None:
    """One part of the shift; None where a fit does not resolve what is compared."""
    first, second = PARTS[part]
    if quantity in ("log_tau_sae", "plateau_b2") and not (fitted[first] and fitted[second]):
        return None
    unit = UNITS.get(quantity, "1")
    if part == "efg_model":
        return Shift(float(paired.estimate[k]), float(paired.stderr[k]), float(paired.dof[k]), unit)
    a, b = single[first], single[second]
    return _independent(
        float(a.estimate[k] - b.estimate[k]),
        (float(a.stderr[k]) ** 2, float(b.stderr[k]) ** 2),
        (float(a.dof[k]), float(b.dof[k])),
        unit,
    )


def _independent(
    value: float, variances: tuple[float, float], dofs: tuple[float, float], unit: str
) -> Shift:
    """Difference of independent sets; degrees of freedom of Welch and Satterthwaite."""
    total = sum(variances)
    below = sum(v**2 / d for v, d in zip(variances, dofs, strict=True))
    dof = total**2 / below if below > 0.0 else min(dofs)
    return Shift(value, math.sqrt(total), max(dof, 1.0), unit)


def _echo(replicas: Sequence[NDArray[np.floating[Any]]], choices: EchoChoices) -> Array:
    """S2 of each replica and tp with the tensors that ions have on average, (n_tp, n_replicas)."""
    means = [frequency_tensors(np.mean(r, axis=0, dtype=float), choices.isotope) for r in replicas]
    return np.array(
        [
            [
                static_echo(mean, tp_us=tp, td_us=detection_us(tp, choices.dead_time_us))[0]
                for mean in means
            ]
            for tp in choices.tp_us
        ]
    )


def _echo_shift(echoes: Mapping[str, Array], k: int, part: str) -> Shift:
    a, b = (echoes[name][k] for name in PARTS[part])
    n = len(a)
    if part == "efg_model":
        return Shift(float((a - b).mean()), float((a - b).std(ddof=1) / math.sqrt(n)), n - 1.0, "1")
    variances = (float(a.var(ddof=1) / n), float(b.var(ddof=1) / n))
    return _independent(float(a.mean() - b.mean()), variances, (n - 1.0, n - 1.0), "1")


def _set_record(
    curve: AcfResult, single: Spread, echo: Array, choices: EchoChoices
) -> dict[str, Any]:
    n = echo.shape[1]
    half = float(stats.t.ppf(0.5 + 0.5 * LEVEL, n - 1))
    s2 = {}
    for tp, values in zip(choices.tp_us, echo, strict=True):
        mean, error = float(values.mean()), float(values.std(ddof=1) / math.sqrt(n))
        interval = (mean - half * error, mean + half * error)
        s2[f"{tp:g}us"] = Quantity(mean, error, interval, "1", n, LEVEL).to_dict()
    return curve.to_dict() | {
        "s2_frozen": s2,
        "last_lag": float(single.estimate[QUANTITIES.index("last_lag")]),
        "last_lag_err": float(single.stderr[QUANTITIES.index("last_lag")]),
        "rms_omega_q_khz": math.sqrt(curve.zero_lag),
    }


NAMES: Mapping[str, str] = {
    "log_tau_sae": "tau",
    "plateau_b2": "b2",
    "vibrational_amplitude": "vibrational amplitude",
    "last_lag": "C at the longest lag",
    "rms_omega_q_khz": "rms frequency",
}


def statement(record: Mapping[str, Any]) -> str:
    """Say in words which quantities of the whole chain equal those of the truth, and which do not.

    Parameters
    ----------
    record : mapping
        With ``sets`` and ``shifts``, as `end_to_end` makes it.
    """
    equal, apart, unknown = [], [], []
    for quantity, parts in record["shifts"].items():
        name = NAMES.get(quantity, quantity.replace("s2_", "S2 at tp = ").replace("us", " us"))
        if "total" not in parts:
            unknown.append(name)
        elif parts["total"]["equal"]:
            equal.append(name)
        else:
            d = parts["total"]["difference"]
            unit = "" if d["unit"] == "1" else f" {d['unit']}"
            if quantity == "log_tau_sae":
                apart.append(f"{name} by {100 * math.expm1(d['value']):+.0f} %")
            else:
                apart.append(f"{name} by {d['value']:+.3g} ± {d['stderr']:.2g}{unit}")
    said = [f"equal within errors (95 %): {', '.join(equal)}" if equal else "nothing is equal"]
    if apart:
        said.append(f"different: {'; '.join(apart)}")
    if unknown:
        verdicts = ", ".join(f"{n}: {s['tau_sae']['verdict']}" for n, s in record["sets"].items())
        said.append(f"not compared, since the decay is not resolved in every set: "
                    f"{', '.join(unknown)} ({verdicts})")  # fmt: skip
    return "; ".join(said)
