"""Rates of hops with Poisson intervals: of all ions, of each ion, and between kinds of sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopecho.dynamics.estimate import (
    BOUND_LEVEL,
    LEVEL,
    block_error,
    poisson_interval,
    poisson_upper,
    resolved_quantity,
)
from hopecho.dynamics.hops import HopLog
from hopecho.errors import HopechoError
from hopecho.units import PS_S, Quantity

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


MIN_HOPS = 10
"""Hops of a replica from which on its rate tells about its scatter."""

MIN_FRAMES = 20
"""Frames below which a thinned run shows no rate."""


@dataclass(frozen=True)
class SiteRates:
    """Hops between kinds of sites."""

    labels: tuple[str, ...]
    counts: Ints
    """(n_labels, n_labels), hops from the row's kind to the column's."""
    time_ps: Array
    """(n_labels,), ion time spent on each kind, ps."""
    rates: dict[str, Quantity]
    """"A->B" -> hops per time spent on A, 1/s."""


def rate_quantity(count: int, time_ps: float) -> Quantity:
    """Rate of a Poisson process, 1/s, with Garwood interval; no event: < 3.0/time at 95 %."""
    time_s = time_ps * PS_S
    if time_s <= 0.0:
        return Quantity(None, None, (None, None), "1/s", 0, BOUND_LEVEL, "not_seen")
    if count == 0:
        upper = poisson_upper(0) / time_s
        return Quantity(None, None, (None, upper), "1/s", 0, BOUND_LEVEL, "not_seen")
    low, high = poisson_interval(count)
    return Quantity(
        value=count / time_s,
        stderr=math.sqrt(count) / time_s,
        interval=(float(low) / time_s, float(high) / time_s),
        unit="1/s",
        n_independent=count,
        level=LEVEL,
    )


def hop_rate(logs: Sequence[HopLog], *, quench: Sequence[int] | None = None) -> Quantity:
    """Hops per ion and time over all replicas, 1/s.

    Hops come in bunches (`dispersion`) and quenches differ: where every replica has enough hops to
    show it, the error is the scatter of the replicas (or quenches) if that is wider than Poisson's.
    """
    poisson = rate_quantity(sum(len(g.ion) for g in logs), sum(g.ion_time_ps for g in logs))
    if len(logs) < 2 or min(len(g.ion) for g in logs) < MIN_HOPS:
        return poisson
    rates = [len(g.ion) / (g.ion_time_ps * PS_S) for g in logs]
    error = block_error(rates, replica=range(len(logs)), quench=quench)
    scatter = resolved_quantity(float(np.mean(rates)), error, unit="1/s")
    wider = (scatter.stderr or 0.0) > (poisson.stderr or 0.0)
    return scatter if wider else poisson


def rates_per_ion(log: HopLog) -> tuple[Array, Array, Array]:
    """Rate, lower and upper end of its 68 % Garwood interval for each ion, 1/s, (n_ions,) each."""
    counts = np.bincount(log.ion, minlength=log.n_ions)
    time_s = log.duration_ps * PS_S
    low, high = poisson_interval(counts)
    return counts / time_s, low / time_s, high / time_s


def dispersion(log: HopLog, *, n_segments: int = 10) -> tuple[float, float]:
    """Variance over mean of the hops in segments of time, and its p-value against Poisson.

    Concerted hops and returns come in bunches: over 1, by which the variance of the rate is larger
    than Poisson's.
    """
    counts, _ = np.histogram(log.time_ps, bins=n_segments, range=(0.0, log.duration_ps))
    if counts.sum() == 0:
        return 1.0, 1.0
    index = float(counts.var(ddof=1) / counts.mean())
    return index, float(stats.chi2.sf(index * (n_segments - 1), n_segments - 1))


def site_rates(logs: Sequence[HopLog], *, labels: Sequence[str], stride_ps: float) -> SiteRates:
    """Rates between kinds of sites, such as LiS4 and LiS6.

    Parameters
    ----------
    logs : sequence of HopLog
        From `site_hops`, all with the same sites.
    labels : sequence of str
        Kind of each site.
    stride_ps : float
        Time between frames, ps.

    Raises
    ------
    HopechoError
        For logs without sites.
    """
    names = tuple(sorted(set(labels)))
    kind = np.array([names.index(label) for label in labels])
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    frames = np.zeros(len(names))
    for log in logs:
        if log.occupation is None:
            raise HopechoError("Rates between sites need hops between sites, not cage jumps.")
        np.add.at(counts, (kind[log.origin], kind[log.destination]), 1)
        frames += np.bincount(kind[log.occupation].ravel(), minlength=len(names))
    rates = {
        f"{a}->{b}": rate_quantity(int(counts[i, j]), float(frames[i] * stride_ps))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    }
    return SiteRates(names, counts, frames * stride_ps, rates)


def rate_against_stride(
    runs: Sequence[NDArray[np.floating[Any]]],
    detect: Sequence[Callable[[NDArray[np.floating[Any]], float], HopLog]],
    *,
    stride_ps: float,
    factors: Sequence[int] = (1, 2, 5, 10),
) -> list[tuple[float, Quantity]]:
    """Rate from every factor-th frame only: hops and their returns between frames are missed.

    Thinnings that leave fewer than `MIN_FRAMES` frames, or an ion that is never seen on a site,
    are left out.

    Parameters
    ----------
    runs : sequence of ndarray
        (n_frames, n_ions, 3) each, A.
    detect : sequence of callable
        (positions, stride_ps) -> HopLog, one for each run.
    stride_ps : float
        Time between frames, ps.
    factors : sequence of int
        Thinning factors.

    Returns
    -------
    list of (stride in ps, rate)
        Counts of all runs together, with Poisson intervals.
    """
    found = []
    for f in factors:
        if min(len(x) for x in runs) < f * MIN_FRAMES:
            continue
        try:
            logs = [find(x[::f], f * stride_ps) for x, find in zip(runs, detect, strict=True)]
        except HopechoError:
            continue
        count, time_ps = sum(len(g.ion) for g in logs), sum(g.ion_time_ps for g in logs)
        found.append((f * stride_ps, rate_quantity(count, time_ps)))
    return found
