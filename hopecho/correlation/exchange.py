r"""Exchange between sites as a Markov jump process: its correlation function and its decay time.

Convention: :math:`W_{ij}` is the rate from i to j, rows add up to zero, populations obey
:math:`\dot p = p W`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm
from scipy.sparse.csgraph import connected_components

from hopecho.errors import HopechoError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Exchange:
    """Rates between sites and the populations that they keep."""

    rates: Array
    """(n_sites, n_sites), inverse time; rows add up to zero."""
    population: Array
    """(n_sites,), adds up to 1; stationary."""

    def __post_init__(self) -> None:
        n = self.population.size
        if self.rates.shape != (n, n) or not np.isfinite(self.rates).all():
            raise HopechoError(
                "Rates of an exchange must be a finite square matrix, one row a site.",
                got=f"shape {self.rates.shape}, {n} populations",
            )
        scale = max(float(np.abs(self.rates).max(initial=0.0)), 1e-300)
        off = self.rates - np.diag(np.diag(self.rates))
        wrong = max(
            float(np.abs(self.rates.sum(axis=1)).max()),
            float(np.abs(self.population @ self.rates).max()),
            float(-off.min(initial=0.0)),
        )
        total = float(self.population.sum())
        if wrong > 1e-9 * scale or abs(total - 1.0) > 1e-9 or self.population.min() < 0.0:
            raise HopechoError(
                "These are no rates and stationary populations of an exchange.",
                got=f"largest violation {wrong:.3g} of rates up to {scale:.3g}, sum {total:.6g}",
                fix="use exchange_from_rates or exchange_from_counts",
            )


def exchange_from_rates(jump_rates: ArrayLike, population: ArrayLike) -> Exchange:
    """Make an exchange from rates of jumps (n, n), whose diagonal does not count."""
    rates = np.array(jump_rates, dtype=np.float64)
    np.fill_diagonal(rates, 0.0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    p = np.asarray(population, dtype=np.float64)
    return Exchange(rates, p / p.sum())


def exchange_from_counts(counts: ArrayLike, site_time: ArrayLike) -> Exchange:
    r"""Exchange of a measured jump matrix: :math:`k_{ij} = (n_{ij} + n_{ji}) / 2 T_i`.

    Both directions are pooled, as detailed balance has it. The populations are then the shares of
    the ions' time, and they are stationary exactly, however few jumps there were.

    Parameters
    ----------
    counts : array_like (n_sites, n_sites)
        Jumps from row to column.
    site_time : array_like (n_sites,)
        Ion time spent on every site; its unit is that of the rates.

    Raises
    ------
    HopechoError
        If ions jumped to a site on which they spent no time.
    """
    n = np.array(counts, dtype=np.float64)
    t = np.asarray(site_time, dtype=np.float64)
    np.fill_diagonal(n, 0.0)
    flux = 0.5 * (n + n.T)
    if (flux[t <= 0.0] > 0.0).any():
        raise HopechoError(
            "Jumps lead to a site on which no time was spent.",
            got=f"sites {np.flatnonzero((t <= 0.0) & (flux.sum(axis=1) > 0.0)).tolist()}",
            fix="count time and jumps in the same frames",
        )
    rates = np.divide(flux, t[:, None], out=np.zeros_like(flux), where=t[:, None] > 0.0)
    return exchange_from_rates(rates, t)


def propagators(exchange: Exchange, times: ArrayLike) -> Array:
    r"""Probabilities :math:`[e^{Wt}]_{ij}` to be on j a time t after i, (n_times, n, n)."""
    return np.asarray(expm(np.asarray(times, dtype=float)[:, None, None] * exchange.rates)).real


def tensor_correlation(exchange: Exchange, tensors: ArrayLike, times: ArrayLike) -> Array:
    r"""Correlation function of the tensors of ions that exchange, exactly.

    .. math:: C(t) = \sum_{ij} p_i [e^{Wt}]_{ij}\, V_i \cdot V_j

    Parameters
    ----------
    exchange : Exchange
        Rates and populations.
    tensors : array_like (n_sites, n_components)
        Isometric components of each site, or any series' values.
    times : array_like (n_times,)
        In the inverse unit of the rates.

    Returns
    -------
    ndarray (n_times,)
        In the square of the unit of `tensors`; its decay leads to
        ``stationary_correlation``.
    """
    t = np.asarray(tensors, dtype=np.float64).reshape(exchange.population.size, -1)
    weight = exchange.population[:, None] * (t @ t.T)
    return np.einsum("ij,tij->t", weight, propagators(exchange, times))


def stationary_correlation(exchange: Exchange, tensors: ArrayLike) -> float:
    """Value to which `tensor_correlation` falls: mean tensors of the sites that are connected."""
    t = np.asarray(tensors, dtype=np.float64).reshape(exchange.population.size, -1)
    label = connected_components(exchange.rates != 0.0, directed=False)[1]
    total = 0.0
    for k in range(label.max() + 1):
        p = exchange.population[label == k]
        if p.sum() > 0.0:
            total += float(((p @ t[label == k]) ** 2).sum() / p.sum())
    return total


def lump(
    counts: ArrayLike, site_time: ArrayLike, tensors: ArrayLike, *, tolerance: float
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Join sites whose tensors are equal within a tolerance: jumps between them do not count.

    Parameters
    ----------
    counts : array_like (n_sites, n_sites)
        Jumps.
    site_time : array_like (n_sites,)
        Ion time on each site; it weighs the mean tensor.
    tensors : array_like (n_sites, n_components)
        Isometric components.
    tolerance : float
        Largest distance of a tensor from the first of its class, in the unit of `tensors`.

    Returns
    -------
    counts, site_time, tensors : ndarray
        Of the classes, (n, n), (n,), (n, n_components).
    class_of : ndarray (n_sites,), int
    """
    t, time = np.asarray(tensors, dtype=np.float64), np.asarray(site_time, dtype=np.float64)
    class_of = equal_classes(t, tolerance=tolerance)
    member = (class_of[:, None] == np.arange(class_of.max() + 1)).astype(np.float64)
    joined = member.T @ np.asarray(counts, dtype=np.float64) @ member
    np.fill_diagonal(joined, 0.0)
    # Sites never visited have a tensor but no time: they count a little, so that no class is 0/0.
    weight = member * np.maximum(time, 1e-12 * max(time.max(), 1e-300))[:, None]
    return joined, member.T @ time, (weight.T @ t) / weight.sum(axis=0)[:, None], class_of


def equal_classes(tensors: Array, *, tolerance: float) -> NDArray[np.int64]:
    """Class of each tensor (n_sites,): the first one nearer than `tolerance`, or a new one."""
    heads: list[Array] = []
    class_of = np.empty(len(tensors), dtype=np.int64)
    for i, tensor in enumerate(tensors):
        near = [k for k, head in enumerate(heads) if np.linalg.norm(tensor - head) <= tolerance]
        class_of[i] = near[0] if near else len(heads)
        if not near:
            heads.append(tensor)
    return class_of


def exchange_modes(exchange: Exchange, tensors: ArrayLike) -> tuple[Array, Array]:
    r"""Rates and amplitudes of the decay: :math:`C(t) = \sum_k a_k e^{-\lambda_k t}`.

    Needs detailed balance, which `exchange_from_counts` gives. Rates of zero carry the plateau.

    Returns
    -------
    rates : ndarray (n_sites,)
        Increasing, inverse time.
    amplitudes : ndarray (n_sites,)
        Not negative, in the square of the unit of `tensors`.

    Raises
    ------
    HopechoError
        Without detailed balance.
    """
    p, t = exchange.population, np.asarray(tensors, dtype=np.float64)
    t = t.reshape(p.size, -1)
    flux = p[:, None] * exchange.rates
    if np.abs(flux - flux.T).max(initial=0.0) > 1e-9 * max(np.abs(flux).max(initial=0.0), 1e-300):
        raise HopechoError(
            "These rates have no detailed balance.",
            got="p_i W_ij differs from p_j W_ji",
            fix="use exchange_from_counts, or tensor_correlation",
        )
    used = p > 0.0
    root = np.sqrt(p[used])
    symmetric = root[:, None] * exchange.rates[np.ix_(used, used)] / root
    values, vectors = np.linalg.eigh(0.5 * (symmetric + symmetric.T))
    amplitudes = ((vectors.T @ (root[:, None] * t[used])) ** 2).sum(axis=1)
    order = np.argsort(-values)
    rates = np.maximum(-values[order], 0.0)
    scale = float(rates.max(initial=0.0))
    return np.where(rates > 1e-10 * scale, rates, 0.0), amplitudes[order]


def exchange_decay(exchange: Exchange, tensors: ArrayLike) -> tuple[float, float]:
    r"""Integral time of the decaying part, and the plateau as a share of C(0).

    .. math:: \bar\tau = \sum_{\lambda > 0} a_k / \lambda_k \Big/ \sum_{\lambda > 0} a_k

    The time is infinite where nothing decays; the plateau is 1 then.
    """
    rates, amplitudes = exchange_modes(exchange, tensors)
    decays = rates > 0.0
    moving, total = float(amplitudes[decays].sum()), float(amplitudes.sum())
    if moving <= 1e-12 * total:
        return float("inf"), 1.0
    return float((amplitudes[decays] / rates[decays]).sum()) / moving, 1.0 - moving / total
