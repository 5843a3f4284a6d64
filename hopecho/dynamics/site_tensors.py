"""Tensors site by site, the jump matrix, and the decay time that the two predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.correlation.exchange import (
    Exchange,
    equal_classes,
    exchange_decay,
    exchange_from_counts,
    stationary_correlation,
    tensor_correlation,
)
from hopecho.correlation.quantities import BOUND_LEVEL
from hopecho.correlation.sae import long_tp_plateau
from hopecho.dynamics.hops import HopLog
from hopecho.dynamics.rates import SiteRates, site_rates
from hopecho.dynamics.sites import CrystalSites
from hopecho.errors import HopechoError
from hopecho.units import Quantity

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_JUMPS = 10
"""Jumps that change the tensor, below which no time is predicted from them."""

EQUAL_SHARE = 0.1
"""Distance of tensors that count as equal, as a share of their rms norm."""

MAX_LOG_ERROR = 0.5
"""Largest error of log tau of a prediction that is a value, as for fits."""


@dataclass(frozen=True)
class SiteTensors:
    """Jumps and mean tensors of the sites of one unit cell; translations are pooled."""

    kind: tuple[str, ...]
    """(n_sites,)."""
    tensors_khz: Array
    """(n_sites, 5), mean while an ion is there, isometric components times eQ/2h."""
    time_ps: Array
    """(n_sites,), ion time, ps."""
    counts: Ints
    """(n_sites, n_sites), jumps from row to column; the diagonal leads to another cell's copy."""
    mean_square_khz2: float
    """<|t|^2> over all frames, vibrations included."""
    by_kind: SiteRates
    return_share: float | None
    """Share of jumps whose ion's next jump leads back; None without two jumps of an ion."""

    def exchange(self) -> Exchange:
        """Markov exchange with these counts, rates in 1/ps."""
        return exchange_from_counts(self.counts, self.time_ps)

    @property
    def site_share(self) -> float:
        """Share of the mean square that site tensors keep: A of the fit, if ions only jump."""
        p = self.time_ps / self.time_ps.sum()
        return float(p @ (self.tensors_khz**2).sum(axis=1) / self.mean_square_khz2)


def site_tensors(
    logs: Sequence[HopLog],
    replicas_khz: Sequence[NDArray[np.floating]],
    sites: CrystalSites,
    *,
    stride_ps: float,
) -> SiteTensors:
    """Gather jumps and tensors of all replicas.

    Parameters
    ----------
    logs : sequence of HopLog
        From `hopecho.dynamics.sites.site_log`, one for each replica.
    replicas_khz : sequence of ndarray (n_frames, n_ions, 5)
        Frequency tensors of the same frames and ions.
    sites : CrystalSites
        The sites.
    stride_ps : float
        Time between frames, ps.

    Raises
    ------
    HopechoError
        If tensors and positions are not of the same frames and ions.
    """
    n = int(sites.unit.max()) + 1
    frames, sums = np.zeros(n), np.zeros((n, 5))
    counts = np.zeros((n, n), dtype=np.int64)
    square, back, followed = 0.0, 0, 0
    for log, series in zip(logs, replicas_khz, strict=True):
        occupied = _occupation(log)
        if occupied.shape != series.shape[:2]:
            raise HopechoError(
                "Tensors and positions are not of the same frames and ions.",
                got=f"positions {occupied.shape}, tensors {series.shape[:2]}",
                fix="predict the tensors of these segments again",
            )
        unit = sites.unit[occupied].ravel()
        flat = np.asarray(series, dtype=np.float64).reshape(-1, 5)
        frames += np.bincount(unit, minlength=n)
        for c in range(5):
            sums[:, c] += np.bincount(unit, weights=flat[:, c], minlength=n)
        square += float((flat**2).sum())
        np.add.at(counts, (sites.unit[log.origin], sites.unit[log.destination]), 1)
        b, f = _returns(log)
        back, followed = back + b, followed + f
    first = {int(u): k for k, u in reversed(list(enumerate(sites.unit)))}
    mean = np.divide(sums, frames[:, None], out=np.zeros_like(sums), where=frames[:, None] > 0)
    return SiteTensors(
        kind=tuple(sites.kind[first[u]] for u in range(n)),
        tensors_khz=mean,
        time_ps=frames * stride_ps,
        counts=counts,
        mean_square_khz2=square / float(frames.sum()),
        by_kind=site_rates(logs, labels=sites.kind, stride_ps=stride_ps),
        return_share=back / followed if followed else None,
    )


def _occupation(log: HopLog) -> Ints:
    if log.occupation is None:
        raise HopechoError("Site tensors need hops between sites, not cage jumps.")
    return log.occupation


def _returns(log: HopLog) -> tuple[int, int]:
    """Jumps whose ion's next one leads back, and jumps that have a next one."""
    back = followed = 0
    for ion in np.unique(log.ion):
        own = np.flatnonzero(log.ion == ion)
        own = own[np.argsort(log.time_ps[own], kind="stable")]
        origin, destination = log.origin[own], log.destination[own]
        followed += len(own) - 1
        back += int((origin[:-1] == destination[1:]).sum())
    return back, followed


@dataclass(frozen=True)
class PredictedDecay:
    """Decay of the tensor correlation that jumps without memory between the sites would give."""

    tau: Quantity
    """Integral time, ns."""
    plateau_b2: float
    """What is left of the site tensors' mean square."""
    n_effective: int
    """Jumps between sites whose tensors differ."""


def predicted_decay(
    tensors: SiteTensors, *, rng: np.random.Generator, n_resamples: int = 200
) -> PredictedDecay:
    """Decay time from the measured jump matrix and the site tensors, with the Poisson error.

    A jump counts if the two tensors differ by more than a tenth of their rms norm. With fewer than
    `MIN_JUMPS` of them the time is a lower bound: what fits three more jumps than were seen. It is
    a bound, too, where the slow part of the decay hangs on so few jumps that the error of log tau
    exceeds `MAX_LOG_ERROR`.
    """
    t, counts = tensors.tensors_khz, tensors.counts
    norm = float(np.sqrt((t**2).sum(axis=1).mean()))
    far = np.linalg.norm(t[:, None] - t[None], axis=2) > EQUAL_SHARE * norm
    effective = int(counts[far].sum())
    tau_ps, plateau = exchange_decay(tensors.exchange(), t)
    if effective < MIN_JUMPS:
        low = _fewest(tensors, effective)
        return PredictedDecay(_bound(low, effective), plateau, effective)
    pooled = np.triu(counts + counts.T, 1)
    logs = []
    for _ in range(n_resamples):
        again = rng.poisson(pooled).astype(np.float64)
        time, _ = exchange_decay(exchange_from_counts(again + again.T, 2.0 * tensors.time_ps), t)
        logs.append(np.log(time))
    finite = np.array(logs)[np.isfinite(logs)]
    low, high = np.quantile(finite, [0.16, 0.84])
    error, value = 0.5 * float(high - low), tau_ps / 1e3
    if error > MAX_LOG_ERROR:
        bound = min(value * np.exp(-1.645 * error), float(np.exp(np.quantile(finite, 0.05))) / 1e3)
        return PredictedDecay(_bound(float(bound), effective), plateau, effective)
    ends = (value * float(np.exp(-error)), value * float(np.exp(error)))
    tau = Quantity(value, value * error, ends, "ns", effective)
    return PredictedDecay(tau, plateau, effective)


def _bound(low_ns: float, n: int) -> Quantity:
    return Quantity(None, None, (low_ns, None), "ns", n, BOUND_LEVEL, "bound")


def _fewest(tensors: SiteTensors, effective: int) -> float:
    """Lower bound of a decay time, ns: ion time over the 95 % limit of the jumps."""
    upper = effective + 3.0 + 1.7 * np.sqrt(effective)
    return float(tensors.time_ps.sum() / upper) / 1e3


def predicted_curve(tensors: SiteTensors, lag_ps: Array) -> Array:
    """Correlation function of the exchange over <|t|^2>, vibrations included, (n_lags,)."""
    exchange = tensors.exchange()
    curve = tensor_correlation(exchange, tensors.tensors_khz, lag_ps)
    return np.asarray(curve / tensors.mean_square_khz2)


def classes_visited(tensors: SiteTensors) -> dict[str, Any]:
    """Classes of equal tensors among the sites visited, and the echo that they leave at long tp.

    ``plateau_normalised``, the sum of p_a^2, is for ions that reach every site visited; ions that
    are confined to some of them keep more.
    """
    visited = tensors.time_ps > 0.0
    t, time = tensors.tensors_khz[visited], tensors.time_ps[visited]
    tolerance = EQUAL_SHARE * float(np.sqrt((t**2).sum(axis=1).mean()))
    class_of = equal_classes(t, tolerance=tolerance)
    share = np.bincount(class_of, weights=time) / time.sum()
    return {
        "n_sites": int(visited.sum()),
        "n_classes": int(class_of.max()) + 1,
        "class_share": share.tolist(),
        "plateau_normalised": long_tp_plateau(t, time, tolerance=tolerance),
        "tolerance_khz": tolerance,
    }


def site_record(
    tensors: SiteTensors, predicted: PredictedDecay, *, longest_lag_ps: float
) -> dict[str, Any]:
    """JSON of the sites: tensors, times, jump matrix, rates between kinds, predicted decay."""
    lag_ps = np.geomspace(longest_lag_ps * 0.01, longest_lag_ps, 40)
    plateau = stationary_correlation(tensors.exchange(), tensors.tensors_khz)
    return {
        "sites": [
            {"kind": k, "tensor_khz": t.tolist(), "ion_time_ns": float(x) / 1e3}
            for k, t, x in zip(tensors.kind, tensors.tensors_khz, tensors.time_ps, strict=True)
        ],
        "jumps": tensors.counts.tolist(),
        "rates": {k: q.to_dict() for k, q in tensors.by_kind.rates.items()},
        "kinds": {
            name: {"ion_time_ns": float(x) / 1e3}
            for name, x in zip(tensors.by_kind.labels, tensors.by_kind.time_ps, strict=True)
        },
        "return_share": tensors.return_share,
        "site_share": tensors.site_share,
        "tau_predicted": predicted.tau.to_dict(),
        "plateau_predicted": predicted.plateau_b2,
        "residual_khz2": plateau,
        "n_effective_jumps": predicted.n_effective,
        "long_tp": classes_visited(tensors),
        "predicted_curve": {
            "lag_ps": lag_ps.tolist(),
            "acf": predicted_curve(tensors, lag_ps).tolist(),
        },
    }
