"""Errors of a fitted potential on labelled frames, structure by structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from hopecho.io.extxyz import ENERGY, FORCES
from hopecho.io.uf3 import Uf3Potential
from hopecho.learning.samples import ErrorSample
from hopecho.ufp.evaluate import evaluate, pack


def error_sample(potential: Uf3Potential, frames: Sequence[Atoms]) -> ErrorSample:
    """Evaluate a potential on labelled frames.

    Parameters
    ----------
    potential : Uf3Potential
        With its one-body energies.
    frames : sequence of Atoms
        With the labels of `hopecho.io.extxyz` and info ``hash`` and ``phase``.

    Returns
    -------
    ErrorSample
        Energy errors, eV/atom; mean square force errors and forces, (eV/A)^2.
    """
    packed = pack(potential)
    predictions = [evaluate(packed, frame) for frame in frames]
    errors = [p.forces - f.arrays[FORCES] for p, f in zip(predictions, frames, strict=True)]
    energies = [
        (p.energy - float(f.info[ENERGY])) / len(f)
        for p, f in zip(predictions, frames, strict=True)
    ]
    return ErrorSample(
        ids=tuple(str(f.info["hash"]) for f in frames),
        phases=tuple(str(f.info["phase"]) for f in frames),
        n_atoms=np.array([len(f) for f in frames], dtype=float),
        energy_error=np.array(energies),
        force_error2=np.array([(e**2).mean() for e in errors]),
        force_true2=np.array([(f.arrays[FORCES] ** 2).mean() for f in frames]),
    )
