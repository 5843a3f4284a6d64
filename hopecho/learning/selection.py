"""Choose from the frames of the current potential's own MD those worth a first-principles label.

The rule is farthest-point sampling on environments: a frame is as novel as its most novel atom
(SOAP distance to the nearest environment already known), and each choice makes its environments
known before the next. One broken bond among 128 atoms therefore counts in full, where a mean over
atoms would drown it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from scipy.stats import rankdata

from hopecho.errors import HopechoError
from hopecho.learning.candidates import Origin, origin_of, unphysical
from hopecho.learning.novelty import (
    Novelty,
    frame_novelty,
    is_duplicate,
    known_after,
    most_novel_atom,
    novelty_against,
)
from hopecho.learning.soap import SoapSettings

STRATEGIES = ("soap", "random")


@dataclass(frozen=True)
class SelectionSettings:
    """How frames are chosen (config block ``learning``)."""

    strategy: str = "soap"
    """``soap``, or ``random``: strata and sanity filter only, the control that novelty is compared
    with."""
    min_distance: float = 1.2
    """A frame with a pair closer than this (Angstrom) is never labelled: no code converges
    there."""
    duplicate_distance: float = 0.005
    """Kernel distance to one known frame below which a frame may be its duplicate."""
    known_distance: float = 0.06
    """... and is one if no atom of it is farther than this from all known environments."""
    stratified_fraction: float = 0.5
    """Share of the choices dealt out evenly to the (phase, temperature) strata; the rest go by
    novelty alone."""
    max_unstable_fraction: float = 0.25
    """Largest share of frames from runs marked ``unstable``; else one explosion would take the
    whole batch."""
    model_weight: float = 0.5
    """Weight w of the rank of `model_score`, where one is given: (1 - w) rank(novelty) + w
    rank(score)."""
    soap: SoapSettings = field(default_factory=SoapSettings)


@dataclass(frozen=True)
class Selected:
    """One chosen frame and why."""

    index: int
    reason: str
    novelty: float | None
    """SOAP distance of the most novel atom when the frame was chosen; None with strategy
    ``random``."""
    phase: str
    temperature_k: int
    seed: int


@dataclass(frozen=True)
class Rejected:
    """One frame that may not be labelled and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class SelectionResult:
    """What `select` chose, in order of choice, and what it ruled out, by index."""

    selected: tuple[Selected, ...]
    rejected: tuple[Rejected, ...]
    n_candidates: int

    @property
    def indices(self) -> list[int]:
        """Indices of the chosen candidates, in order of choice."""
        return [s.index for s in self.selected]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, built-in types only."""
        return {
            "n_candidates": self.n_candidates,
            "selected": [asdict(s) for s in self.selected],
            "rejected": [asdict(r) for r in self.rejected],
        }


def select(
    candidates: Sequence[Atoms],
    training: Sequence[Atoms],
    *,
    n_select: int,
    settings: SelectionSettings,
    rng: np.random.Generator,
    model_score: np.ndarray | None = None,
) -> SelectionResult:
    """Choose up to `n_select` candidates to label.

    Parameters
    ----------
    candidates : sequence of Atoms
        Frames with ``info`` keys phase, temperature_k, seed, and ``unstable`` (bool) where their
        run failed a gate.
    training : sequence of Atoms
        Frames already labelled; may be empty.
    n_select : int
        Number wanted; fewer come back when the others are duplicates, unphysical or over a cap.
    settings : SelectionSettings
        Thresholds and shares.
    rng : Generator
        Breaks ties and draws for strategy ``random``; equal input and seed give an equal result.
    model_score : ndarray, optional
        (n_candidates,) larger is more uncertain, any unit (the leverage of the fit, a committee's
        spread). Combined by rank with weight ``settings.model_weight``, because its unit differs
        from that of a SOAP distance. It never overrules the filters.

    Returns
    -------
    SelectionResult
        Choices with reason and novelty, and the frames ruled out.

    Raises
    ------
    HopechoError
        If an info key is missing, a setting is out of range or `model_score` has the wrong shape or
        is not finite.
    """
    _check(settings, n_select=n_select, n_candidates=len(candidates), model_score=model_score)
    origins = [origin_of(i, frame) for i, frame in enumerate(candidates)]
    rejected = {
        i: text
        for i, f in enumerate(candidates)
        if (text := unphysical(f, min_distance=settings.min_distance))
    }
    sane = np.array([i for i in range(len(candidates)) if i not in rejected], dtype=int)
    tie = rng.permutation(len(candidates))[sane]
    random_score = rng.random(len(candidates))[sane]
    score = None if model_score is None else np.asarray(model_score, dtype=float)[sane]
    state = None
    if settings.strategy == "soap" and sane.size:
        state = novelty_against(training, [candidates[i] for i in sane], settings=settings.soap)
    choices, state = _greedy(
        [origins[i] for i in sane],
        state,
        n_select=n_select,
        settings=settings,
        random_score=random_score,
        model_score=score,
        tie=tie,
    )
    selected = []
    for pick, reason, novelty in choices:
        o = origins[int(sane[pick])]
        selected.append(
            Selected(int(sane[pick]), reason, novelty, o.phase, o.temperature_k, o.seed)
        )
    if state is not None:
        chosen = {pick for pick, _, _ in choices}
        for pick in set(np.flatnonzero(_duplicates(state, settings)).tolist()) - chosen:
            distance = state.frame_distance[pick]
            rejected[int(sane[pick])] = (
                f"duplicate: kernel distance {distance:.4f} to a known frame"
            )
    return SelectionResult(
        selected=tuple(selected),
        rejected=tuple(Rejected(i, rejected[i]) for i in sorted(rejected)),
        n_candidates=len(candidates),
    )


def _check(
    settings: SelectionSettings,
    *,
    n_select: int,
    n_candidates: int,
    model_score: np.ndarray | None,
) -> None:
    if settings.strategy not in STRATEGIES:
        raise HopechoError(
            "unknown selection strategy",
            got=repr(settings.strategy),
            fix=f"set learning.strategy to one of {', '.join(STRATEGIES)}",
        )
    if n_select < 1:
        raise HopechoError(
            "nothing to select",
            got=f"n_select = {n_select}",
            fix="set learning.select_per_round >= 1",
        )
    for key in ("stratified_fraction", "max_unstable_fraction", "model_weight"):
        value = asdict(settings)[key]
        if not 0.0 <= value <= 1.0:
            raise HopechoError(
                f"{key} is a share", got=f"{value}", fix=f"set learning.{key} in [0, 1]"
            )
    if model_score is not None:
        shape = np.shape(model_score)
        if shape != (n_candidates,) or not np.isfinite(model_score).all():
            raise HopechoError(
                "model_score must be one finite number a candidate",
                got=f"shape {shape} for {n_candidates} candidates",
                fix="evaluate the score on the candidates in their order",
            )


def _greedy(
    origins: Sequence[Origin],
    state: Novelty | None,
    *,
    n_select: int,
    settings: SelectionSettings,
    random_score: np.ndarray,
    model_score: np.ndarray | None,
    tie: np.ndarray,
) -> tuple[list[tuple[int, str, float | None]], Novelty | None]:
    """Return (frame, reason, novelty) of each choice in order, and what is known after the last."""
    choices: list[tuple[int, str, float | None]] = []
    free = np.ones(len(origins), dtype=bool)
    unstable = np.array([o.unstable for o in origins], dtype=bool)
    n_unstable = math.ceil(settings.max_unstable_fraction * n_select)
    if unstable.all():
        # The first rounds may know nothing but explosions; their sane frames are then all there is
        # to learn from.
        n_unstable = n_select
    turns = _turns(origins, n_stratified=round(settings.stratified_fraction * n_select))
    while len(choices) < n_select:
        allowed = free.copy()
        if n_unstable == 0:
            allowed &= ~unstable
        if state is not None:
            allowed &= ~_duplicates(state, settings)
        if not allowed.any():
            break
        stratum = next(turns, None)
        if stratum is not None:
            member = allowed & np.array([o.stratum == stratum for o in origins], dtype=bool)
            if not member.any():
                continue
            allowed = member
        score = random_score if state is None else frame_novelty(state)
        pick = _best(score, model_score, allowed=allowed, weight=settings.model_weight, tie=tie)
        choices.append(
            _explain(pick, state, stratum=stratum, origin=origins[pick], ranked=model_score)
        )
        free[pick] = False
        n_unstable -= int(unstable[pick])
        if state is not None:
            state = known_after(state, [state.environments[pick]])
    return choices, state


def _duplicates(state: Novelty, settings: SelectionSettings) -> np.ndarray:
    return is_duplicate(
        state,
        duplicate_distance=settings.duplicate_distance,
        known_distance=settings.known_distance,
    )


def _turns(origins: Sequence[Origin], *, n_stratified: int) -> Iterator[tuple[str, int]]:
    """Deal turns to the strata in sorted order, no stratum more often than it has frames."""
    left = Counter(o.stratum for o in origins)
    while n_stratified > 0 and left:
        for stratum in sorted(left):
            if n_stratified == 0:
                return
            yield stratum
            n_stratified -= 1
            left[stratum] -= 1
        left = +left


def _best(
    score: np.ndarray,
    model_score: np.ndarray | None,
    *,
    allowed: np.ndarray,
    weight: float,
    tie: np.ndarray,
) -> int:
    rows = np.flatnonzero(allowed)
    value = score[rows]
    if model_score is not None:
        value = (1.0 - weight) * rankdata(value) + weight * rankdata(model_score[rows])
    return int(rows[np.lexsort((tie[rows], -value))[0]])


def _explain(
    pick: int,
    state: Novelty | None,
    *,
    stratum: tuple[str, int] | None,
    origin: Origin,
    ranked: np.ndarray | None,
) -> tuple[int, str, float | None]:
    where = "all frames" if stratum is None else f"{stratum[0]} at {stratum[1]} K"
    suffix = ", ranked with the model's score" if ranked is not None else ""
    if origin.unstable:
        suffix += ", from an unstable run"
    if state is None:
        return pick, f"random draw from {where}{suffix}", None
    element, atom, distance = most_novel_atom(state, pick)
    reason = f"most novel of {where}: {element} atom {atom} at SOAP distance {distance:.3f}{suffix}"
    return pick, reason, round(distance, 6)
