"""Hops of ions: between the sites of a crystal, or between cages where there are no sites."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree

from hopecho.errors import HopechoError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class HopLog:
    """All hops of one replica, sorted by time."""

    ion: Ints
    """(n_hops,), index of the ion."""
    time_ps: Array
    """(n_hops,), ps after the first frame: arrival."""
    origin: Ints
    """(n_hops,), site left; without sites, how many cages the ion had before."""
    destination: Ints
    """(n_hops,), site entered; without sites, origin + 1."""
    displacement: Array
    """(n_hops, 3), A, between the sites or cage centres."""
    n_ions: int
    duration_ps: float
    occupation: Ints | None = None
    """(n_frames, n_ions), site of each ion, -1 before its first; None without sites."""

    @property
    def ion_time_ps(self) -> float:
        """Ions times run length, ps."""
        return self.n_ions * self.duration_ps


def site_hops(
    positions: NDArray[np.floating[Any]],
    *,
    sites: Array,
    cell: Array,
    stride_ps: float,
    core_radius_a: float,
    min_residence_ps: float = 0.0,
) -> HopLog:
    """Hops between known sites with hysteresis.

    An ion leaves its site only by entering the core of another one, and a visit shorter than the
    minimum residence did not take place. A periodic image of a site is another site.

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_ions, 3), A, unwrapped, in the frame of the framework.
    sites : ndarray
        (n_sites, 3), A.
    cell : ndarray
        (3, 3), A.
    stride_ps : float
        Time between frames, ps.
    core_radius_a : float
        Radius of a core, A; cores must not overlap.
    min_residence_ps : float
        Shortest visit that counts, ps.

    Raises
    ------
    HopechoError
        If cores overlap, or an ion never enters one.
    """
    cell = np.asarray(cell, dtype=np.float64)
    images, image_of, shift = _site_images(np.asarray(sites, dtype=np.float64), cell, core_radius_a)
    _check_cores(images, core_radius_a)
    state, places = _visited(positions, images, image_of, shift, cell, core_radius_a)
    lost = np.flatnonzero((state < 0).all(0))
    if len(lost):
        raise HopechoError(
            f"Ion {lost[0]} never enters the core of a site.",
            got=f"{len(lost)} such ion(s), core radius {core_radius_a:g} A",
            fix="complete the list of sites, enlarge the cores, or count cage jumps instead",
        )
    held = _hysteresis(state, math.ceil(min_residence_ps / stride_ps - 1e-9))
    centres = places[:, 1:] @ cell + np.asarray(sites)[places[:, 0]]
    frame, ion = np.nonzero(held[1:] != held[:-1])
    before, after = held[frame, ion], held[frame + 1, ion]
    return HopLog(
        ion=ion.astype(np.int64),
        time_ps=(frame + 1).astype(np.float64) * stride_ps,
        origin=places[before, 0],
        destination=places[after, 0],
        displacement=centres[after] - centres[before],
        n_ions=held.shape[1],
        duration_ps=len(held) * stride_ps,
        occupation=places[held, 0],
    )


def _site_images(sites: Array, cell: Array, margin: float) -> tuple[Array, Ints, Ints]:
    """Site images within a margin around the unit cell: positions, site, cell shift."""
    inverse = np.linalg.inv(cell)
    reach = margin * np.linalg.norm(inverse, axis=0)
    fractional = sites @ inverse
    span = [
        np.arange(math.floor(-f.max() - reach[k]), math.ceil(1.0 - f.min() + reach[k]) + 1)
        for k, f in enumerate(fractional.T)
    ]
    shifts = np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3)
    every = (fractional[:, None] + shifts).reshape(-1, 3)
    site = np.repeat(np.arange(len(sites)), len(shifts))
    shift = np.tile(shifts, (len(sites), 1))
    near = ((every > -reach - 1e-9) & (every < 1.0 + reach + 1e-9)).all(1)
    return every[near] @ cell, site[near], shift[near].astype(np.int64)


def _check_cores(images: Array, radius: float) -> None:
    pairs = cKDTree(images).query_pairs(2.0 * radius * (1.0 - 1e-9))
    if radius <= 0.0 or pairs:
        distance = min(
            (float(np.linalg.norm(images[a] - images[b])) for a, b in pairs), default=0.0
        )
        raise HopechoError(
            "Cores of sites must not overlap.",
            got=f"core radius {radius:g} A, closest sites {distance:.3f} A apart",
            fix="choose a radius below half that distance",
        )


def _visited(
    positions: NDArray[np.floating[Any]],
    images: Array,
    image_of: Ints,
    shift: Ints,
    cell: Array,
    radius: float,
) -> tuple[Ints, Ints]:
    """State (n_frames, n_ions), -1 outside cores; row (site, a, b, c) of each state."""
    tree, inverse = cKDTree(images), np.linalg.inv(cell)
    n_frames, n_ions, _ = positions.shape
    rows = np.full((n_frames, n_ions, 4), -1, dtype=np.int64)
    for ion in range(n_ions):
        fractional = np.asarray(positions[:, ion], dtype=np.float64) @ inverse
        home = np.floor(fractional).astype(np.int64)
        _, found = tree.query((fractional - home) @ cell, distance_upper_bound=radius)
        inside = found < len(images)
        hit = found[inside]
        rows[inside, ion, 0] = image_of[hit]
        rows[inside, ion, 1:] = home[inside] + shift[hit]
    known = rows[..., 0] >= 0
    seen = rows[known]
    if len(seen) == 0:
        return np.full((n_frames, n_ions), -1, dtype=np.int64), seen
    # One integer a place: sorting integers is many times faster than sorting rows.
    low = seen.min(0)
    key = np.ravel_multi_index((seen - low).T, tuple(seen.max(0) - low + 1))
    _, first, inverse_key = np.unique(key, return_index=True, return_inverse=True)
    state = np.full((n_frames, n_ions), -1, dtype=np.int64)
    state[known] = inverse_key
    return state, seen[first]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _hysteresis(state: Ints, n_min: int) -> Ints:
    """Keep a state until another core is entered and held for n_min frames; (n_frames, n_ions)."""
    n_frames, n_ions = state.shape
    held = np.empty_like(state)
    for i in range(n_ions):
        current, candidate, since = -1, -1, 0
        for t in range(n_frames):
            s = state[t, i]
            if s >= 0 and s != candidate:
                candidate, since = s, t
            held[t, i] = current
            if candidate >= 0 and candidate != current and t - since + 1 >= n_min:
                # The visit counts from its beginning; frames before the first visit belong to it.
                begin = since if current >= 0 else 0
                current = candidate
                for u in range(begin, t + 1):
                    held[u, i] = current
        if current < 0:  # no visit was long enough: the ion stayed where it was last seen
            held[:, i] = candidate
    return held


def cage_hops(
    positions: NDArray[np.floating[Any]],
    *,
    stride_ps: float,
    threshold_a: float = 1.5,
    window_ps: float = 1.0,
    min_residence_ps: float = 2.0,
) -> HopLog:
    """Hops as jumps of vibrationally averaged positions, for a glass without known sites.

    Positions are averaged over a window. An ion hops when it stays further than the threshold from
    its cage centre for the minimum residence; the mean over the second half of that stay is its new
    cage. Going back takes another step over the threshold (hysteresis).

    Parameters
    ----------
    positions : ndarray
        (n_frames, n_ions, 3), A, unwrapped, in the frame of the framework.
    stride_ps : float
        Time between frames, ps.
    threshold_a : float
        A, between the vibrational amplitude and the distance of sites.
    window_ps : float
        Averaging window, ps; a stride or less means none.
    min_residence_ps : float
        Shortest stay, ps.

    Raises
    ------
    HopechoError
        If the run is shorter than two residences, or the threshold is not positive.
    """
    window = max(1, round(window_ps / stride_ps))
    stay = max(1, math.ceil(min_residence_ps / stride_ps - 1e-9))
    if threshold_a <= 0.0 or len(positions) < 2 * max(stay, window):
        raise HopechoError(
            "Cage jumps need a threshold and a run longer than two residences and windows.",
            got=f"{threshold_a:g} A, {len(positions)} frames, residence {stay}, window {window}",
            fix="run longer, or shorten the residence",
        )
    mean = np.asarray(positions, dtype=np.float64)
    if window > 1:
        mean = uniform_filter1d(mean, window, axis=0, mode="nearest")
    rows = _cage_jumps(np.ascontiguousarray(mean), threshold_a, stay)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    frame, ion, ordinal = rows[:, :3].astype(np.int64).T
    return HopLog(
        ion=ion,
        time_ps=frame.astype(np.float64) * stride_ps,
        origin=ordinal,
        destination=ordinal + 1,
        displacement=rows[:, 3:],
        n_ions=mean.shape[1],
        duration_ps=len(mean) * stride_ps,
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _cage_jumps(mean: Array, threshold: float, stay: int) -> Array:
    """Rows (frame, ion, ordinal, displacement) of every cage jump, (n_hops, 6)."""
    n_frames, n_ions, _ = mean.shape
    out = np.empty((64, 6))
    n = 0
    for i in range(n_ions):
        centre = np.zeros(3)
        for t in range(stay):
            centre += mean[t, i] / stay
        since, ordinal = -1, 0
        for t in range(n_frames):
            away = mean[t, i] - centre
            if (away * away).sum() <= threshold * threshold:
                since = -1
                continue
            if since < 0:
                since = t
            if t - since + 1 < stay:
                continue
            fresh = np.zeros(3)
            half = since + stay // 2
            for u in range(half, t + 1):
                fresh += mean[u, i] / (t + 1 - half)
            if n == len(out):
                out = np.concatenate((out, np.empty_like(out)))
            out[n, 0], out[n, 1], out[n, 2] = since, i, ordinal
            out[n, 3:] = fresh - centre
            n += 1
            centre, since, ordinal = fresh, -1, ordinal + 1
    return out[:n]
