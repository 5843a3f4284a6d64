"""Held-out error of the EFG model against the number of training environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.metrics import efg_metrics
from hopecho.efg.model import EfgSettings, fit_efg_model
from hopecho.efg.predict import predict_frames, probe_ids
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]


def efg_learning_curve(
    frames: Sequence[Atoms],
    counts: Sequence[int],
    heldout: Sequence[Atoms],
    *,
    settings: EfgSettings,
    seeds: Sequence[int] = (0, 1, 2),
    isotope: str = "7Li",
) -> list[dict[str, float]]:
    """Return held-out errors of fits to parts of the data.

    Each seed shuffles the structures once; its smaller sets are parts of its larger ones. The
    regularisation of every fit is chosen anew among `settings.ridge`.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Training structures with an array ``efg``.
    counts : sequence of int
        Numbers of training structures; that of all is fitted once.
    heldout : sequence of ase.Atoms
        In no fit.
    settings : EfgSettings
        Of every fit; fewer folds where a set has fewer trajectories.
    seeds : sequence of int
        Of the shuffles.
    isotope : str
        Key of `hopecho.units.ISOTOPES`.

    Returns
    -------
    list of dict
        One a fit: ``n_structures``, ``n_tensors``, ``seed``, ``mae_omega_q_khz``, ``mae_over_std``
        (of omega_Q) and ``mae_cq_abs_khz``.

    Raises
    ------
    HopechoError
        A count below 2 or above the number of structures, and as `fit_efg_model`.
    """
    if not counts or min(counts) < 2 or max(counts) > len(frames):
        raise HopechoError(
            "A learning curve needs counts from 2 to the number of structures",
            got=f"counts {list(counts)}, {len(frames)} structures",
            fix="label more structures",
        )
    rows = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(frames))
        for count in counts:
            if count == len(frames) and seed != seeds[0]:
                continue
            row = _errors([frames[k] for k in order[:count]], heldout, settings, isotope)
            rows.append({"n_structures": float(count), "seed": float(seed)} | row)
    return rows


def _errors(
    chosen: Sequence[Atoms], heldout: Sequence[Atoms], settings: EfgSettings, isotope: str
) -> dict[str, float]:
    n_runs = len({str(a.info.get("trajectory", id(a))) for a in chosen})
    folds = max(2, min(settings.n_folds, n_runs))
    if n_runs < 2:
        # Frames of one run only: folds of single frames are all that is left.
        chosen = [_without_trajectory(atoms) for atoms in chosen]
    model = fit_efg_model(chosen, settings=replace(settings, n_folds=folds))
    true, predicted = [], []
    for atoms in heldout:
        probes = probe_ids(model, atoms.numbers)
        true.append(isometric_from_matrix(atoms.arrays["efg"][probes]))
        frame = predict_frames(model, atoms.positions[None], atoms.cell.array, atoms.numbers)
        predicted.append(frame[0])
    errors = efg_metrics(np.concatenate(true), np.concatenate(predicted), isotope=isotope)
    return {
        "n_tensors": float(model.n_tensors),
        "mae_omega_q_khz": errors["omega_q"]["mae"],
        "mae_over_std": errors["omega_q"]["mae_over_std"],
        "mae_cq_abs_khz": errors["cq_abs"]["mae"],
    }


def _without_trajectory(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.info.pop("trajectory", None)
    return atoms
