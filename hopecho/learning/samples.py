"""Errors of a potential, structure by structure, and the numbers made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hopecho.errors import HopechoError

METRICS = {"rmse_energy": "eV/atom", "force_relative": "1"}
"""Errors that are watched, with their unit in files."""

_NO_FORCE2 = 1e-6
"""(1 meV/A)^2: below such forces (an ideal crystal) a relative error has no meaning."""


@dataclass(frozen=True)
class ErrorSample:
    """Errors of one potential, structure by structure."""

    ids: tuple[str, ...]
    """(n,) identity of each structure (its label's hash); equal ids in two rounds allow a paired
    comparison."""
    phases: tuple[str, ...]
    """(n,) phase of each structure."""
    n_atoms: np.ndarray
    """(n,) atoms."""
    energy_error: np.ndarray
    """(n,) predicted minus true energy, eV/atom."""
    force_error2: np.ndarray
    """(n,) mean square error of a force component, (eV/A)^2."""
    force_true2: np.ndarray
    """(n,) mean square of the true force component, (eV/A)^2."""

    def __post_init__(self) -> None:
        arrays = (self.n_atoms, self.energy_error, self.force_error2, self.force_true2)
        shapes = {(len(self.ids),), (len(self.phases),), *(np.shape(a) for a in arrays)}
        if len(shapes) != 1 or not all(np.isfinite(a).all() for a in arrays):
            raise HopechoError(
                "errors must be one finite number a structure",
                got=f"shapes {sorted(shapes)}",
                fix="evaluate every labelled structure; leave quarantined ones out",
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Sequence[Any]]) -> ErrorSample:
        """Build from the lists of ``errors.json``."""
        return cls(
            ids=tuple(data["ids"]),
            phases=tuple(data["phases"]),
            n_atoms=np.array(data["n_atoms"], dtype=float),
            energy_error=np.array(data["energy_error"], dtype=float),
            force_error2=np.array(data["force_error2"], dtype=float),
            force_true2=np.array(data["force_true2"], dtype=float),
        )

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the JSON form, built-in types only."""
        return {
            "ids": list(self.ids),
            "phases": list(self.phases),
            "n_atoms": [int(n) for n in self.n_atoms],
            "energy_error": [float(x) for x in self.energy_error],
            "force_error2": [float(x) for x in self.force_error2],
            "force_true2": [float(x) for x in self.force_true2],
        }


@dataclass(frozen=True)
class RoundErrors:
    """Errors of the potential of one round."""

    round: int
    samples: Mapping[str, ErrorSample]
    """``audit`` (random frames of this round) and, where there is one, ``held_out`` (the same
    frames every round)."""


def metric(sample: ErrorSample, name: str, rows: np.ndarray) -> np.ndarray:
    r"""Return an error over the structures `rows`, for each row of resamples.

    rmse_energy is :math:`\sqrt{\langle \delta e^2 \rangle}`, force_relative
    :math:`\sqrt{\sum N |\delta F|^2 / \sum N |F|^2}`.

    Parameters
    ----------
    sample : ErrorSample
        Errors by structure.
    name : str
        Key of `METRICS`.
    rows : ndarray
        (..., n) structure indices.

    Returns
    -------
    ndarray
        (...) the error, eV/atom or a fraction.
    """
    if name == "rmse_energy":
        return np.sqrt((sample.energy_error[rows] ** 2).mean(axis=-1))
    weight = sample.n_atoms[rows]
    wrong = (weight * sample.force_error2[rows]).sum(axis=-1)
    true = (weight * sample.force_true2[rows]).sum(axis=-1)
    return np.sqrt(wrong / np.maximum(true, weight.sum(axis=-1) * _NO_FORCE2))


def rows_of(sample: ErrorSample, phase: str) -> np.ndarray:
    """Return the indices of the structures of a phase."""
    return np.flatnonzero(np.array([p == phase for p in sample.phases]))


def errors_of(errors: RoundErrors) -> list[tuple[str, str, str, float]]:
    """Return (set, phase, metric, value), sorted."""
    found = []
    for name in sorted(errors.samples):
        sample = errors.samples[name]
        for phase in sorted(set(sample.phases)):
            rows = rows_of(sample, phase)
            found += [(name, phase, m, float(metric(sample, m, rows))) for m in METRICS]
    return found
