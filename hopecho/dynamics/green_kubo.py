"""Green-Kubo conductivity from sampled currents, with a cut chosen by its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.dynamics.estimate import (
    BOUND_LEVEL,
    RESOLVED_Z,
    BlockError,
    block_error,
    resolved_quantity,
    upper_bound,
)
from hopecho.dynamics.vibrations import running_diffusion, vacf
from hopecho.errors import HopechoError
from hopecho.units import A2_PS_TO_M2_S, ANGSTROM_M, Quantity, sigma_s_per_m

Array = NDArray[np.float64]

MIN_BLOCKS = 12
"""Blocks over all bursts that an error bar should rest on."""

LAG_FRACTION = 0.25
"""Longest lag over block length."""

PLATEAU_Z = 2.0
"""The integral is flat from a lag on if no later change exceeds this many of its errors."""

CUT_FACTOR = 2
"""Cut over the first flat lag: what an exponential tail still lacks there is squared."""

MIN_LAG_PS = 1.0
"""Longest lag that must be reached before anything is said: vibrations of the current last about
as long, and an integral that ends within them bounds nothing."""

MIN_BLOCK_FRAMES = 40
NEUTRAL_E = 1e-6


@dataclass(frozen=True)
class GreenKubo:
    """Running integral of the current's autocorrelation, and the conductivity at its cut."""

    lag_ps: Array
    """(n_lags,), ps."""
    running: Array
    """(n_lags,), S/m, mean over blocks."""
    running_err: Array
    """(n_lags,), S/m, one sigma; grows with the root of the lag."""
    cut_ps: float
    """Where sigma_gk is read."""
    flat: bool
    """Whether the integral was flat from half the cut on."""
    sigma_gk: Quantity
    """S/m."""
    reason: str = ""
    """Why there is no value; empty where there is one."""


def current(
    velocities: NDArray[np.floating[Any]],
    numbers: NDArray[np.integer[Any]],
    *,
    charges: Mapping[str, float],
) -> Array:
    r"""Current :math:`\sum_i q_i v_i` of all ions with formal charges, which no drift changes.

    Parameters
    ----------
    velocities : ndarray
        (n_frames, n_atoms, 3), A/ps.
    numbers : ndarray
        (n_atoms,), atomic numbers.
    charges : mapping
        Formal oxidation number of each element, e.

    Returns
    -------
    ndarray
        (n_frames, 3), e A/ps.

    Raises
    ------
    HopechoError
        For an element without charge, or a cell that is not neutral: its current depends on the
        frame.
    """
    symbols = [chemical_symbols[z] for z in numbers]
    missing = sorted(set(symbols) - set(charges))
    if missing:
        raise HopechoError(
            "An element has no formal charge.", got=", ".join(missing), fix="give its oxidation"
        )
    q = np.array([charges[s] for s in symbols], dtype=np.float64)
    if abs(q.sum()) > NEUTRAL_E:
        raise HopechoError(
            "The formal charges do not cancel, so the current depends on the frame.",
            got=f"{q.sum():g} e in all",
            fix="check materials.<m>.oxidation",
        )
    return np.einsum("tak,a->tk", np.asarray(velocities, dtype=np.float64), q)


def green_kubo(
    currents: Sequence[NDArray[np.floating[Any]]],
    *,
    stride_ps: float,
    volume_a3: float,
    temperature_k: float,
    replica: Sequence[int] | None = None,
    quench: Sequence[int] | None = None,
    max_lag_ps: float | None = None,
    min_blocks: int = MIN_BLOCKS,
) -> GreenKubo:
    r"""Conductivity :math:`\sigma = \int_0^{t_c} \langle J(0) \cdot J(t) \rangle dt / 3 V k_B T`.

    The integral's error grows with its upper limit, its truncation error falls: t_c is twice the
    first lag from which no later change of the integral exceeds two of that change's own errors.
    Where there is none, the bound is the highest upper limit over the second half of the lags.

    Parameters
    ----------
    currents : sequence of ndarray
        One for each burst, (n_frames, 3), e A/ps, from `current`.
    stride_ps : float
        Time between frames, ps; short against the vibrations.
    volume_a3 : float
        A^3.
    temperature_k : float
        K.
    replica, quench : sequence of int, optional
        Of each burst. Default: every burst is a replica of its own.
    max_lag_ps : float, optional
        Longest lag, ps; default and upper limit: a quarter of a block.
    min_blocks : int
        Bursts are cut into at least so many blocks in all.

    Raises
    ------
    HopechoError
        Without currents, for bursts too short to be cut, or impossible conditions.

    Source: Green, J. Chem. Phys. 22, 398 (1954); Kubo, J. Phys. Soc. Jpn. 12, 570 (1957); the cut
    after Lepskii, Theory Probab. Appl. 35, 454 (1991).
    """
    if volume_a3 <= 0.0 or temperature_k <= 0.0 or stride_ps <= 0.0:
        raise HopechoError(
            "A conductivity needs a volume, a temperature and a stride.",
            got=f"{volume_a3:g} A^3, {temperature_k:g} K, {stride_ps:g} ps",
        )
    blocks, owner = _blocks(currents, min_blocks)
    n_lags = max(2, int(LAG_FRACTION * len(blocks[0])))
    if max_lag_ps is not None:
        n_lags = min(n_lags, max(2, round(max_lag_ps / stride_ps) + 1))
    to_sigma = A2_PS_TO_M2_S * sigma_s_per_m(
        1.0,
        number_density_m3=1.0 / (volume_a3 * ANGSTROM_M**3),
        charge_e=1.0,
        temperature_k=temperature_k,
    )
    running = to_sigma * np.array(
        [running_diffusion(vacf(b[:, None], n_lags=n_lags), stride_ps=stride_ps) for b in blocks]
    )
    of_replica = owner if replica is None else np.asarray(replica)[owner]
    of_quench = None if quench is None else np.asarray(quench)[owner]

    def error(values: Array) -> BlockError:
        return block_error(values, replica=of_replica, quench=of_quench)

    cut, flat = _cut(running, error)
    errors = [error(column) for column in running.T]
    lag_ps = np.arange(n_lags) * np.float64(stride_ps)
    sigma, reason = _quantity(running.mean(0), errors, cut, flat=flat, longest_ps=lag_ps[-1])
    return GreenKubo(
        lag_ps=lag_ps,
        running=running.mean(0),
        running_err=np.array([e.stderr for e in errors]),
        cut_ps=cut * stride_ps,
        flat=flat,
        sigma_gk=sigma,
        reason=reason,
    )


def _blocks(
    currents: Sequence[NDArray[np.floating[Any]]], min_blocks: int
) -> tuple[list[Array], NDArray[np.int64]]:
    """Pieces of equal length, at least `min_blocks` in all where bursts are long enough."""
    if not currents or min(len(j) for j in currents) < MIN_BLOCK_FRAMES:
        raise HopechoError(
            "The currents are too short for a Green-Kubo integral.",
            got=f"{min((len(j) for j in currents), default=0)} frames in the shortest burst",
            fix=f"sample at least {MIN_BLOCK_FRAMES} frames a burst",
        )
    pieces = max(1, -(-min_blocks // len(currents)))
    if len(currents) == 1:
        pieces = max(2, pieces)
    length = max(min(len(j) for j in currents) // pieces, MIN_BLOCK_FRAMES // 2)
    blocks, owner = [], []
    for k, j in enumerate(currents):
        for b in range(len(j) // length):
            blocks.append(np.asarray(j[b * length : (b + 1) * length], dtype=np.float64))
            owner.append(k)
    return blocks, np.array(owner, dtype=np.int64)


def _cut(running: Array, error: Any) -> tuple[int, bool]:
    """Lag of the cut in frames, and whether a flat stretch was found before it."""
    last = running.shape[1] - 1
    grid = np.unique(np.rint(np.geomspace(1, last, 40)).astype(np.int64))
    for k in grid[grid * CUT_FACTOR <= last]:
        later = [running[:, m] - running[:, k] for m in grid[grid > k]]
        if all(abs(d.mean()) <= PLATEAU_Z * error(d).stderr for d in later):
            return int(k) * CUT_FACTOR, True
    return last, False


def _quantity(
    running: Array, errors: Sequence[BlockError], cut: int, *, flat: bool, longest_ps: float
) -> tuple[Quantity, str]:
    """Value or bound, and why there is no value."""
    value, error = float(running[cut]), errors[cut]
    seen = value > RESOLVED_Z * error.stderr
    if longest_ps < MIN_LAG_PS * (1.0 - 1e-9):
        said = f"lags reach {longest_ps:.3g} ps only, {MIN_LAG_PS:g} ps are needed: longer bursts"
        nothing = Quantity(None, None, (None, None), "S/m", error.n_units, BOUND_LEVEL, "not_seen")
        return nothing, said
    if flat and seen:
        return resolved_quantity(value, error, unit="S/m"), ""
    said = "the integral is within three errors of zero"
    lags = [cut]
    if not flat:
        said = f"the integral is not flat up to {longest_ps:.3g} ps"
        lags = list(range(len(running) // 2, len(running)))
    upper = max(max(float(running[k]), 0.0) + errors[k].t_upper() * errors[k].stderr for k in lags)
    return upper_bound(upper, unit="S/m", n_independent=error.n_units, seen=seen), said
