"""How far candidate frames are from what is known: by their most novel atom, and as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from hopecho.learning.soap import (
    UNRELATED,
    ElementPool,
    Environments,
    SoapSettings,
    describe,
    fingerprint,
    kernel_distance,
    nearest_distance,
    pool_by_element,
)

_CHUNK_FRAMES = 16


class Novelty(NamedTuple):
    """Candidates' environments and their distances to everything known so far."""

    elements: tuple[str, ...]
    environments: tuple[Environments, ...]
    """One a candidate."""
    pools: dict[int, ElementPool]
    """All candidates' environments by atomic number."""
    nearest: dict[int, np.ndarray]
    """By atomic number, (n_environments,) SOAP distance to the nearest known environment."""
    fingerprints: np.ndarray
    """(n_candidates, n) fingerprint of each candidate."""
    frame_distance: np.ndarray
    """(n_candidates,) kernel distance to the nearest known frame."""


def novelty_against(
    training: Sequence[Atoms], candidates: Sequence[Atoms], *, settings: SoapSettings
) -> Novelty:
    """Measure `candidates` against `training`.

    Training frames are streamed: memory holds the candidates' vectors and one chunk, at any size of
    training set.
    """
    numbers = np.unique(np.concatenate([f.numbers for f in (*candidates, *training)]))
    elements = tuple(chemical_symbols[z] for z in numbers)
    environments = tuple(describe(candidates, elements=elements, settings=settings))
    pools = pool_by_element(environments)
    state = Novelty(
        elements=elements,
        environments=environments,
        pools=pools,
        nearest={z: np.full(len(p.frame), UNRELATED, np.float32) for z, p in pools.items()},
        fingerprints=np.array([fingerprint(e, elements=elements) for e in environments]),
        frame_distance=np.full(len(candidates), UNRELATED),
    )
    for chunk in _chunks(describe(training, elements=elements, settings=settings)):
        state = known_after(state, chunk)
    return state


def _chunks(frames: Iterator[Environments]) -> Iterator[list[Environments]]:
    chunk: list[Environments] = []
    for frame in frames:
        chunk.append(frame)
        if len(chunk) == _CHUNK_FRAMES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def known_after(state: Novelty, known: Sequence[Environments]) -> Novelty:
    """Return the distances after the environments of `known` became known; they can only shrink."""
    pools = pool_by_element(known)
    nearest = {}
    for z, pool in state.pools.items():
        vectors = pools[z].vectors if z in pools else pool.vectors[:0]
        nearest[z] = np.minimum(state.nearest[z], nearest_distance(pool.vectors, vectors))
    frame_distance = state.frame_distance
    for frame in known:
        distance = kernel_distance(state.fingerprints, fingerprint(frame, elements=state.elements))
        frame_distance = np.minimum(frame_distance, distance)
    return state._replace(nearest=nearest, frame_distance=frame_distance)


def frame_novelty(state: Novelty) -> np.ndarray:
    """Return (n_candidates,) the SOAP distance of each frame's most novel atom."""
    novelty = np.zeros(len(state.environments))
    for z, pool in state.pools.items():
        np.maximum.at(novelty, pool.frame, state.nearest[z].astype(float))
    return novelty


def is_duplicate(state: Novelty, *, duplicate_distance: float, known_distance: float) -> np.ndarray:
    """Return (n_candidates,) bool: near one known frame as a whole, and without any novel atom.

    Both, because the kernel is a mean over atoms: in a large cell one broken bond hardly moves it.
    """
    close = state.frame_distance < duplicate_distance
    return close & (frame_novelty(state) < known_distance)


def most_novel_atom(state: Novelty, frame: int) -> tuple[str, int, float]:
    """Return element, index and SOAP distance of the most novel atom of a candidate."""
    best = ("", -1, -1.0)
    for z, pool in state.pools.items():
        rows = np.flatnonzero(pool.frame == frame)
        if rows.size:
            row = rows[np.argmax(state.nearest[z][rows])]
            distance = float(state.nearest[z][row])
            if distance > best[2]:
                best = (chemical_symbols[z], int(pool.atom[row]), distance)
    return best
