"""Errors of the accepted potential and of the EFG model on held-out frames of the potential's MD.

Errors and standard deviations are taken on the same frames, per phase; frames of one trajectory
share their error, so that each trajectory's own errors stand beside those of the phase.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hopecho.efg.contract import Kernel, make_kernel
from hopecho.efg.metrics import efg_metrics, split_error
from hopecho.efg.model import EfgModel
from hopecho.efg.predict import predict, probe_ids
from hopecho.efg.sites import coordination, first_shell, site_classes
from hopecho.errors import HopechoError
from hopecho.io.extxyz import EFG, ENERGY, FORCES, STRESS
from hopecho.io.uf3 import Uf3Potential
from hopecho.tensors import cq_abs, isometric_from_matrix, matrix_from_isometric, omega_q_isometric
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.leverage import load_leverage
from hopecho.ufp.uncertainty import assess, posterior
from hopecho.units import ISOTOPES

LOG = logging.getLogger(__name__)
Array = NDArray[np.float64]

SITE_TENSORS = 20
"""A class of sites with fewer tensors has no errors of its own."""


@dataclass(frozen=True)
class HeldoutErrors:
    """Errors per phase, and the pairs of true and predicted values behind the parity plots."""

    phases: dict[str, dict[str, Any]]
    """Per phase: ``potential`` and ``efg`` metrics, ``efg_trust`` (see `trust`), ``trajectories``
    with the same for each run, and ``sites`` with those of the tensors for each number of ligands
    around the ion."""
    parity: dict[str, Array]
    """``<phase>/<quantity>`` -> (n, 2) true and predicted."""


def heldout_errors(
    potential: Uf3Potential,
    model: EfgModel | None,
    frames: Sequence[Atoms],
    *,
    isotope: str,
    ligand: str | None = None,
) -> HeldoutErrors:
    """Evaluate potential and EFG model on labelled frames.

    Parameters
    ----------
    potential : Uf3Potential
        With its one-body energies.
    model : EfgModel or None
        Of the tensors; None in a campaign without field gradients.
    frames : sequence of Atoms
        Labelled, with info ``phase`` and ``trajectory``.
    isotope : str
        Probe nucleus.
    ligand : str, optional
        Element whose number around an ion makes the class of its site (``sites`` of each phase).

    Raises
    ------
    HopechoError
        If no frame is left, or one carries no tensors.
    """
    if not frames:
        raise HopechoError(
            "no held-out frame was labelled",
            fix="look at the quarantine (hopecho labels list) and at heldout.runs",
        )
    tensors = None
    if model is not None:
        kernel = make_kernel(model)
        tensors = [_tensors(model, kernel, frame) for frame in frames]
    radius = None
    if model is not None and ligand is not None:
        radius = first_shell(frames, probe=ISOTOPES[isotope].symbol, ligand=ligand)
    phases: dict[str, dict[str, Any]] = {}
    parity: dict[str, Array] = {}
    for phase in sorted({f.info["phase"] for f in frames}):
        own = [i for i, f in enumerate(frames) if f.info["phase"] == phase]
        phases[phase] = _metrics(potential, frames, tensors, own, isotope)
        runs = sorted({str(frames[i].info["trajectory"]) for i in own})
        phases[phase]["trajectories"] = {
            run: _metrics(
                potential,
                frames,
                tensors,
                [i for i in own if frames[i].info["trajectory"] == run],
                isotope,
            )
            for run in runs
        }
        if radius is not None and tensors is not None and ligand is not None:
            phases[phase]["sites"] = _sites(frames, tensors, own, isotope, ligand, radius)
        parity |= _parity(potential, frames, tensors, own, phase, isotope)
    return HeldoutErrors(phases, parity)


def predicted_uncertainty(
    leverage: str | Path | None,
    potential: Uf3Potential,
    audit: Sequence[Atoms],
    heldout: Sequence[Atoms],
) -> dict[str, Any]:
    """Judge the predicted widths of the potential's errors, calibrated on audit frames.

    Parameters
    ----------
    leverage : path or None
        ``leverage.npz`` of the fit; None for a potential made elsewhere.
    potential : Uf3Potential
    audit, heldout : sequence of Atoms
        Labelled frames to calibrate on and to test on.

    Returns
    -------
    dict
        Of `hopecho.ufp.uncertainty.assess`, or ``reason``: a campaign of a few frames has errors,
        but too few to say how large they may be.
    """
    if leverage is None:
        return {"reason": "the training data of a potential from a file are not known"}
    try:
        frames = [labelled_frames(part) for part in (audit, heldout)]
        return assess(posterior(load_leverage(leverage)), potential, *frames)
    except HopechoError as error:
        LOG.warning("no uncertainty: %s", error)
        return {"reason": error.what}


@dataclass(frozen=True)
class _Tensors:
    """Tensors of one frame, (n_probe, 5), a.u., and how far the model trusts them, (n_probe,)."""

    true: Array
    predicted: Array
    sigma: Array
    spread: Array
    score: Array


def _tensors(model: EfgModel, kernel: Kernel, frame: Atoms) -> _Tensors:
    if EFG not in frame.arrays:
        raise HopechoError(
            "a held-out frame was labelled without field gradients",
            got=f"frame of {frame.info['trajectory']}",
            fix="label them again: stored labels without tensors are completed",
        )
    found = predict(
        model, frame.positions[None], frame.cell.array, frame.numbers, kernel=kernel, spread_every=1
    )
    true = isometric_from_matrix(frame.arrays[EFG][probe_ids(model, frame.numbers)])
    return _Tensors(true, found.efg[0], found.sigma[0], found.spread[0], found.score[0])


def trust(
    true: Array, predicted: Array, *, sigma: Array, spread: Array, score: Array
) -> dict[str, float]:
    """Judge predicted errors and the flag of unknown environments.

    Parameters
    ----------
    true, predicted : (..., 5), a.u.
    sigma, spread : (...), a.u.
        Calibrated error of a component, and the committee's bare spread.
    score : (...)
        Above one: flagged.

    Returns
    -------
    dict
        ``share_68`` and ``share_68_raw`` (of component errors within sigma and within the spread;
        0.683 is right), ``chi2`` (mean of error^2/sigma^2), ``flagged_share``.
    """
    error = np.abs(predicted - true)
    return {
        "share_68": float(np.mean(error < sigma[..., None])),
        "share_68_raw": float(np.mean(error < spread[..., None])),
        "chi2": float(np.mean((error / sigma[..., None]) ** 2)),
        "flagged_share": float(np.mean(score > 1)),
    }


def _metrics(
    potential: Uf3Potential,
    frames: Sequence[Atoms],
    tensors: Sequence[_Tensors] | None,
    own: Sequence[int],
    isotope: str,
) -> dict[str, Any]:
    errors = error_metrics(potential, labelled_frames([frames[i] for i in own]))
    if tensors is None:
        return {"potential": errors}
    true, predicted, sigma, spread, score = (
        np.stack([getattr(tensors[i], name) for i in own])
        for name in ("true", "predicted", "sigma", "spread", "score")
    )
    result: dict[str, Any] = {
        "potential": errors,
        "efg": efg_metrics(true, predicted, isotope=isotope),
        "efg_trust": trust(true, predicted, sigma=sigma, spread=spread, score=score),
    }
    one_run = len({frames[i].info["trajectory"] for i in own}) == 1
    if one_run and len(own) > 1:
        # The same ions in several frames: what of the error stays with the ion, what fluctuates.
        result["efg_split"] = split_error(true, predicted, isotope=isotope)
    return result


def _sites(
    frames: Sequence[Atoms],
    tensors: Sequence[_Tensors],
    own: Sequence[int],
    isotope: str,
    ligand: str,
    radius: float,
) -> dict[str, Any]:
    """Errors of the tensors by the number of ligands around the ion."""
    probe = ISOTOPES[isotope].symbol
    counts = np.concatenate(
        [coordination(frames[i], probe=probe, ligand=ligand, radius=radius) for i in own]
    )
    true, predicted = (
        np.concatenate([getattr(tensors[i], name) for i in own]) for name in ("true", "predicted")
    )
    groups = site_classes(counts, probe=probe, ligand=ligand, least=SITE_TENSORS)
    classes = {}
    for name, members in groups.items():
        errors = efg_metrics(true[members], predicted[members], isotope=isotope)
        mean = float(cq_abs(matrix_from_isometric(true[members]), isotope=isotope).mean())
        # The curves are those of the phase; a class needs its numbers only.
        classes[name] = {k: v for k, v in errors.items() if k != "cdf"} | {"cq_abs_mean": mean}
    return {"radius_angstrom": radius, "ligand": ligand, "classes": classes}


def _parity(
    potential: Uf3Potential,
    frames: Sequence[Atoms],
    tensors: Sequence[_Tensors] | None,
    own: Sequence[int],
    phase: str,
    isotope: str,
) -> dict[str, Array]:
    packed = pack(potential)
    predictions = [evaluate(packed, frames[i]) for i in own]
    energies = [
        (frames[i].info[ENERGY] / len(frames[i]), p.energy / len(frames[i]))
        for i, p in zip(own, predictions, strict=True)
    ]
    forces = [
        np.stack([frames[i].arrays[FORCES].ravel(), p.forces.ravel()], axis=1)
        for i, p in zip(own, predictions, strict=True)
    ]
    pairs = {
        f"{phase}/energy_ev_atom": np.array(energies, dtype=float),
        f"{phase}/force_ev_a": np.concatenate(forces),
    }
    stresses = [
        np.stack([frames[i].info[STRESS], p.stress], axis=1)
        for i, p in zip(own, predictions, strict=True)
        if STRESS in frames[i].info
    ]
    if stresses:
        pairs[f"{phase}/stress_ev_a3"] = np.concatenate(stresses)
    if tensors is None:
        return pairs
    both = [
        np.concatenate([getattr(tensors[i], name) for i in own]) for name in ("true", "predicted")
    ]
    omega = [omega_q_isometric(t, [0, 0, 1], isotope=isotope) for t in both]
    coupling = [cq_abs(matrix_from_isometric(t), isotope=isotope) for t in both]
    return pairs | {
        f"{phase}/omega_q_khz": np.stack(omega, axis=1),
        f"{phase}/cq_abs_khz": np.stack(coupling, axis=1),
    }
