"""Hops and tensors together, for one phase and temperature: sites, traces, maps, predicted tau."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d

from hopecho.correlation.echo import regime_of, seen_by
from hopecho.correlation.echo_models import EchoPlan, echo_record, frequency_tensors
from hopecho.correlation.exchange import Exchange
from hopecho.correlation.sae import detection_us, exchange_echo
from hopecho.dynamics.hops import HopLog, cage_hops
from hopecho.dynamics.probes import (
    CHOICE_BIAS,
    angle_map,
    averaged,
    group_acf,
    histograms,
    hop_columns,
    ion_table,
    thin,
    traces,
)
from hopecho.dynamics.rates import rate_against_stride
from hopecho.dynamics.site_tensors import (
    MIN_JUMPS,
    SiteTensors,
    predicted_decay,
    site_record,
    site_tensors,
)
from hopecho.dynamics.sites import CrystalSites, aligned, kind_census, site_log
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory, framework_frame

LOG = logging.getLogger(__name__)
Array = NDArray[np.float64]

STRIDE_FACTORS = (1, 2, 5, 10, 20, 50, 100)
"""Every n-th frame only, to see how many hops the stride misses."""

NO_SITES = "cage"
"""Kind of every place in a phase without a list of sites."""


@dataclass(frozen=True)
class SiteAnalysis:
    """Files of the analysis: one record, and tables in long form."""

    record: dict[str, Any]
    tables: dict[str, dict[str, Any]]
    """histograms, traces, angles, acf, hops."""


@dataclass(frozen=True)
class SiteSettings:
    """Choices of the analysis."""

    mobile: str
    oxidation: Mapping[str, float]
    isotope: str
    b0: ArrayLike
    hop_distance_angstrom: float
    hop_window_ps: float
    max_lag_fraction: float
    plan: EchoPlan
    seed: int


def analyse_sites(
    trajectories: Sequence[Trajectory],
    efg: Sequence[NDArray[np.floating]],
    *,
    sites: CrystalSites | None,
    settings: SiteSettings,
) -> SiteAnalysis:
    """Analyse all replicas of one phase and temperature.

    Parameters
    ----------
    trajectories : sequence of Trajectory
        Replicas.
    efg : sequence of ndarray (n_frames, n_ions, 5)
        Tensors of the mobile ions in the same frames, isometric components, a.u.
    sites : CrystalSites or None
        Sites of the crystal; None for a phase without, whose hops are jumps of cages. So are those
        of a crystal whose framework left its places; the record says why (``sites_lost``).
    settings : SiteSettings
        Choices.

    Raises
    ------
    HopechoError
        If tensors and positions do not belong together.
    """
    stride = trajectories[0].stride_ps
    window = settings.hop_window_ps
    for t, x in zip(trajectories, efg, strict=True):
        expected = (len(t.time_ps), int(t.select(settings.mobile).sum()), 5)
        if x.shape != expected:
            raise HopechoError(
                "Tensors and positions are not of the same frames and ions.",
                got=f"tensors {x.shape}, positions {expected[:2]}",
                fix="predict the tensors of these segments again",
            )
    sites, lost = _still_there(trajectories, sites, settings)
    placed = [_framework(t, settings) for t in trajectories]
    means = [_averaged(x, stride, settings) for x, _ in placed]
    own = [None if sites is None else aligned(sites, frame) for _, frame in placed]
    logs = [_log(x, s, stride, settings) for x, s in zip(means, own, strict=True)]
    kinds = [_kinds(log, sites, len(x)) for log, x in zip(logs, efg, strict=True)]
    n_window = max(1, round(window / stride))
    slow = averaged(efg, n_window)
    # The label in the middle of the window belongs to its average.
    labels = [k[n_window // 2 :][: len(x)] for k, x in zip(kinds, slow, strict=True)]
    known: dict[str, Any] = {"isotope": settings.isotope, "b0": settings.b0}
    columns, moments = histograms(thin(slow), thin(labels), **known)
    record: dict[str, Any] = {
        "kinds": moments,
        "window_ps": n_window * stride,
        "n_hops": [len(log.ion) for log in logs],
        "n_hopping_ions": [len(np.unique(log.ion)) for log in logs],
        "rate_against_stride": _against_stride(means, own, stride, settings),
        "ions": ion_table(logs, kinds),
        "choice_bias": CHOICE_BIAS,
        "census": None if sites is None else kind_census(sites),
        "sites_lost": lost,
        "exchange": None,
        "echo": None,
    }
    if sites is not None:
        record |= _exchange(logs, efg, sites, stride, settings)
    acf = group_acf(
        efg,
        _groups(logs, kinds),
        stride_ps=stride,
        max_lag_fraction=settings.max_lag_fraction,
    )
    tables = {
        "histograms": columns,
        "traces": traces(efg, logs, stride_ps=stride, n_window=n_window, **known),
        "angles": dict(angle_map(thin(slow), settings.b0)),
        "acf": acf,
        "hops": hop_columns(logs, None if sites is None else sites.kind),
    }
    return SiteAnalysis(record, tables)


def _still_there(
    trajectories: Sequence[Trajectory], sites: CrystalSites | None, s: SiteSettings
) -> tuple[CrystalSites | None, str | None]:
    """Return the sites if the framework kept them in every run, or why they mean nothing."""
    if sites is None:
        return None, None
    try:
        for t in trajectories:
            aligned(sites, _framework(t, s)[1])
    except HopechoError as error:
        LOG.warning("hops are those of cages: %s (%s)", error.what, error.got)
        return None, f"{error.what} Got {error.got}."
    return sites, None


def _framework(t: Trajectory, s: SiteSettings) -> tuple[Array, Array]:
    """Mobile ions (n_frames, n_ions, 3) in the framework's frame, and its mean positions, A."""
    mask = t.select(s.mobile)
    x, _ = framework_frame(t.positions, t.numbers, mask, charges=s.oxidation)
    return x[:, mask], x[:, ~mask].mean(axis=0)


def _log(mean: Array, placed: CrystalSites | None, stride_ps: float, s: SiteSettings) -> HopLog:
    """Hops between sites aligned with the run, or between cages, from averaged positions.

    Parameters
    ----------
    mean : ndarray (n_frames, n_ions, 3)
        Positions averaged over the hop window, A.
    """
    if placed is None:
        return cage_hops(
            mean,
            stride_ps=stride_ps,
            threshold_a=s.hop_distance_angstrom,
            window_ps=0.0,
            min_residence_ps=s.hop_window_ps,
        )
    return site_log(mean, placed, stride_ps=stride_ps, window_ps=s.hop_window_ps, averaged=True)


def _averaged(ions: Array, stride_ps: float, s: SiteSettings) -> Array:
    """Positions (n_frames, n_ions, 3) averaged over the hop window."""
    window = max(1, round(s.hop_window_ps / stride_ps))
    return np.asarray(uniform_filter1d(ions.astype(float), window, axis=0, mode="nearest"))


def _against_stride(
    means: Sequence[Array], placed: Sequence[CrystalSites | None], stride_ps: float, s: SiteSettings
) -> list[dict[str, Any]]:
    """Hop rate from every n-th frame only, positions averaged before: returns are what is missed.

    Averaged afterwards, sparse frames would show vibrations as hops.
    """

    def finder(own: CrystalSites | None) -> Callable[[NDArray[Any], float], HopLog]:
        return lambda x, stride: _log(x, own, stride, s)

    rates = rate_against_stride(
        means, [finder(own) for own in placed], stride_ps=stride_ps, factors=STRIDE_FACTORS
    )
    return [{"stride_ps": stride, "rate": rate.to_dict()} for stride, rate in rates]


def _kinds(log: HopLog, sites: CrystalSites | None, n_frames: int) -> NDArray[np.str_]:
    """Kind of site of every frame and ion, (n_frames, n_ions)."""
    if sites is None or log.occupation is None:
        return np.full((n_frames, log.n_ions), NO_SITES)
    return np.asarray(np.array(sites.kind)[log.occupation])


def _groups(
    logs: Sequence[HopLog], kinds: Sequence[NDArray[np.str_]]
) -> dict[str, list[NDArray[np.int64]]]:
    """Ions of each replica by starting site, and those that hop and that do not."""
    groups: dict[str, list[NDArray[np.int64]]] = {
        "all": [np.arange(log.n_ions) for log in logs],
        "hop": [np.unique(log.ion) for log in logs],
        "stay": [np.setdiff1d(np.arange(log.n_ions), log.ion) for log in logs],
    }
    names = np.unique(np.concatenate([k[0] for k in kinds]))
    for name in names if len(names) > 1 else []:
        groups[f"start {name}"] = [np.flatnonzero(k[0] == name) for k in kinds]
    return groups


def _exchange(
    logs: Sequence[HopLog],
    efg: Sequence[NDArray[np.floating]],
    sites: CrystalSites,
    stride_ps: float,
    s: SiteSettings,
) -> dict[str, Any]:
    """Jump matrix, tensors, predicted decay, and the echo of the exchange."""
    khz = [frequency_tensors(x, s.isotope) for x in efg]
    tensors = site_tensors(logs, khz, sites, stride_ps=stride_ps)
    predicted = predicted_decay(tensors, rng=np.random.default_rng(s.seed))
    longest = s.max_lag_fraction * min(len(x) for x in efg) * stride_ps
    nu = float(np.sqrt(2.0 / 15.0 * tensors.mean_square_khz2))
    exchange = site_record(tensors, predicted, longest_lag_ps=longest)
    exchange |= {"regime": regime_of(predicted.tau, nu), "seen_by": seen_by(predicted.tau, nu)}
    record: dict[str, Any] = {"exchange": exchange}
    if predicted.n_effective < MIN_JUMPS:
        return record
    run_ps = max(len(x) for x in efg) * stride_ps
    routes = {"exchange": _signals(tensors, s.plan)}
    echo = echo_record(routes, plan=s.plan, run_ps=run_ps, rms_omega_q_khz=nu)
    for numbers, signal in zip(
        echo["routes"]["exchange"]["echoes"], routes["exchange"], strict=True
    ):
        numbers |= {"tm_us": signal.tm_us.tolist(), "s2": signal.s2.tolist()}
    return record | {"echo": echo}


def _signals(tensors: SiteTensors, plan: EchoPlan) -> list[Any]:
    """Echo of ions that jump without memory between the sites that were visited."""
    visited = tensors.time_ps > 0.0
    per_ps = tensors.exchange()
    exchange = Exchange(per_ps.rates[np.ix_(visited, visited)] * 1e6, per_ps.population[visited])
    return [
        exchange_echo(
            exchange,
            tensors.tensors_khz[visited],
            tp_us=tp,
            td_us=detection_us(tp, plan.dead_time_us),
            tm_us=plan.mixing_times(),
            tolerance=1e-5,
        )
        for tp in plan.tp_us
    ]
