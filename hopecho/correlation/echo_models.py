"""What an echo with real pulses would show, from runs that are far shorter than the pulses.

A run of picoseconds to nanoseconds does not contain tp = 10 us. Each *route* to S2 is named with
what it assumes, and none is a prediction beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.correlation.regime import sae_regime
from hopecho.correlation.sae import (
    PREFACTOR,
    EchoSignal,
    detection_us,
    echo_decay_us,
    gaussian_echo,
    static_echo,
    trajectory_echo,
)
from hopecho.correlation.verdict import AcfResult
from hopecho.io.efg_series import Series
from hopecho.units import cq_khz_per_au, time_text

Array = NDArray[np.float64]

BLOCK_VALUES = 20_000_000
"""Components of tensors that are worked on at once."""

BASES: Mapping[str, str] = {
    "frozen": "every ion keeps the tensor that it had on average over the run: motion slower than "
    "the run is left out, so that S2 is an upper limit of the echo at long mixing times",
    "gaussian_exponential": "the fit with gamma = 1 holds at all times and many independent "
    "changes add up during tp (Gaussian process): its plateau is taken for the residual coupling",
    "gaussian_stretched": "the same with the fit whose gamma is free: where the two differ, the "
    "plateau is not known",
    "trajectory": "no model: phases are integrals over the run itself",
    "exchange": "ions jump between the sites at the rates counted in the run, without memory",
}
"""What each route assumes."""


@dataclass(frozen=True)
class EchoPlan:
    """Times of the experiment, microseconds."""

    tp_us: tuple[float, ...]
    """Evolution times."""
    tm_us: tuple[float, float]
    """First and last mixing time."""
    dead_time_us: float
    """After the last pulse; nothing is detected before its end."""

    def mixing_times(self) -> Array:
        """Ten mixing times a decade, us."""
        first, last = self.tm_us
        return np.geomspace(first, last, int(np.ceil(10 * np.log10(last / first))) + 1)


def frequency_tensors(efg: NDArray[np.floating], isotope: str) -> Array:
    """Isometric components times eQ/2h, kHz: their product with those of b b is a frequency."""
    return np.asarray(efg, dtype=np.float64) * (0.5 * cq_khz_per_au(isotope))


def model_echoes(
    replicas: Sequence[Series],
    *,
    stride_ps: float,
    isotope: str,
    powder: AcfResult,
    plan: EchoPlan,
) -> dict[str, list[EchoSignal]]:
    """S2 by every route that the runs allow, one signal for each tp.

    Parameters
    ----------
    replicas : sequence of ndarray or Series (n_frames, n_ions, 5)
        Isometric components, a.u.; read a few ions at a time.
    stride_ps : float
        Time between frames, ps.
    isotope : str
        Probe nucleus.
    powder : AcfResult
        Analysis of the raw powder curve, kHz^2.
    plan : EchoPlan
        Times of the experiment.

    Returns
    -------
    dict
        ``frozen`` always; ``gaussian_exponential`` and ``gaussian_stretched`` where the decay is
        resolved; ``trajectory`` for the tp that fit into the runs.
    """
    tm = plan.mixing_times()
    mean = np.concatenate(
        [
            frequency_tensors(np.mean(part, axis=0, dtype=float), isotope)
            for r in replicas
            for part in _ion_blocks(r)
        ]
    )
    routes: dict[str, list[EchoSignal]] = {"frozen": []}
    run_us = min(r.shape[0] for r in replicas) * stride_ps * 1e-6
    fits = {"exponential": powder.exponential.fit, "stretched": powder.stretched.fit}
    known = fits if powder.verdict == "resolved" else {}
    for tp in plan.tp_us:
        td = detection_us(tp, plan.dead_time_us)
        value, order = static_echo(mean, tp_us=tp, td_us=td)
        routes["frozen"].append(EchoSignal(tp, td, tm, np.full(tm.size, value), order))
        for name, fit in known.items():
            signal = gaussian_echo(powder.zero_lag, fit, tp_us=tp, td_us=td, tm_us=tm)
            routes.setdefault(f"gaussian_{name}", []).append(signal)
        # Half a run of time origins at least, else the average is of a single event.
        inside = tm[tp + tm + td < 0.5 * run_us]
        if inside.size and tp > 2e-6 * stride_ps:
            signal = _direct_echo(
                replicas, isotope, stride_us=stride_ps * 1e-6, tp_us=tp, td_us=td, tm_us=inside
            )
            routes.setdefault("trajectory", []).append(signal)
    return routes


def _ion_blocks(series: Series) -> Iterator[NDArray[np.floating]]:
    """All frames of a few ions at a time, (n_frames, n_some, 5)."""
    n_frames, n_ions = series.shape[:2]
    step = max(1, BLOCK_VALUES // (5 * n_frames))
    for start in range(0, n_ions, step):
        yield np.asarray(series[:, start : start + step])


def _direct_echo(replicas: Sequence[Series], isotope: str, **times: Any) -> EchoSignal:
    """`trajectory_echo` of all runs; of long ones the mean over blocks of ions."""
    if sum(math.prod(r.shape) for r in replicas) <= BLOCK_VALUES:
        groups = [[np.asarray(r[:, :]) for r in replicas]]
    else:
        groups = [[part] for r in replicas for part in _ion_blocks(r)]
    echoes, weights = [], []
    for group in groups:
        series = [frequency_tensors(part, isotope) for part in group]
        echoes.append(trajectory_echo(series, tolerance=1e-3, **times))
        weights.append(sum(part.size for part in group))
    s2 = np.average([e.s2 for e in echoes], axis=0, weights=weights)
    return replace(echoes[0], s2=s2, order=max(e.order for e in echoes))


def echo_columns(routes: Mapping[str, Sequence[EchoSignal]]) -> dict[str, Any]:
    """Columns of a CSV in long form: route, tp, td, tm (us), S2 absolute and over its first value.

    The normalised column is 0 where there is no signal to divide by.
    """
    parts = [(name, s) for name, signals in routes.items() for s in signals]
    scaled = [0.0 * s.s2 if s.normalised is None else s.normalised for _, s in parts]
    return {
        "route": np.concatenate([[name] * s.tm_us.size for name, s in parts]),
        "tp_us": np.concatenate([np.full(s.tm_us.size, s.tp_us) for _, s in parts]),
        "td_us": np.concatenate([np.full(s.tm_us.size, s.td_us) for _, s in parts]),
        "tm_us": np.concatenate([s.tm_us for _, s in parts]),
        "s2": np.concatenate([s.s2 for _, s in parts]),
        "s2_normalised": np.concatenate(scaled),
    }


def echo_record(
    routes: Mapping[str, Sequence[EchoSignal]],
    *,
    plan: EchoPlan,
    run_ps: float,
    rms_omega_q_khz: float,
) -> dict[str, Any]:
    """JSON of the echo: every route with what it assumes, and its numbers for each tp.

    Parameters
    ----------
    routes : mapping
        From `model_echoes`.
    plan : EchoPlan
        Times of the experiment.
    run_ps : float
        Longest single run, ps.
    rms_omega_q_khz : float
        Typical frequency, for the regime of each decay time, kHz.
    """
    direct = "trajectory" in routes
    return {
        "statement": (
            "runs are longer than the pulses: the route `trajectory` assumes nothing"
            if direct
            else f"the longest run is {time_text(1e-3 * run_ps)} and the shortest tp "
            f"{min(plan.tp_us):g} us: every S2 here rests on the assumption that is named with it"
        ),
        "largest_possible_s2": PREFACTOR,
        "dead_time_us": plan.dead_time_us,
        "longest_run_ps": run_ps,
        "routes": {
            name: {"basis": BASES[name], "echoes": [_numbers(s, rms_omega_q_khz) for s in signals]}
            for name, signals in routes.items()
        },
        "not_simulated": "7Li-7Li and 7Li-31P dipolar couplings (they limit tp to about 100 us), "
        "spin diffusion at long mixing times, relaxation (T1, T1Q)",
    }


def _numbers(signal: EchoSignal, nu_khz: float) -> dict[str, Any]:
    tau = echo_decay_us(signal)
    normalised = signal.normalised
    return {
        "tp_us": signal.tp_us,
        "td_us": signal.td_us,
        "s2_first": float(signal.s2[0]),
        "s2_last": float(signal.s2[-1]),
        "plateau_normalised": None if normalised is None else float(normalised[-1]),
        "tau_us": tau,
        "regime": "flat over these mixing times" if tau is None else sae_regime(tau * 1e3, nu_khz),
        "quadrature_order": signal.order,
    }
