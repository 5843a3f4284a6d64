"""Error metrics of a potential on labelled frames, as plain dicts for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential
from hopecho.ufp.evaluate import Prediction, evaluate, pack
from hopecho.ufp.features import LabelledFrame, check_frame


def error_metrics(potential: Uf3Potential, frames: Sequence[LabelledFrame]) -> dict[str, float]:
    """Return `prediction_metrics` of a potential."""
    packed = pack(potential)
    return prediction_metrics(lambda atoms: evaluate(packed, atoms), frames)


def prediction_metrics(
    predict: Callable[[Atoms], Prediction], frames: Sequence[LabelledFrame]
) -> dict[str, float]:
    """Return RMSE and MAE of energy, forces and stress, and the spread of the labels beside them.

    Parameters
    ----------
    predict : callable
        Energy, forces and stress of a structure, from any potential.
    frames : labelled frames

    Returns
    -------
    dict
        rmse_energy, mae_energy, std_energy (eV/atom); rmse_force, mae_force, std_force and, for
        each element, rmse_force_<element>, mae_force_<element>, std_force_<element> (eV/A, over
        Cartesian components); ratio_force = rmse_force / std_force; rmse_stress, mae_stress,
        std_stress (eV/A^3) if labelled; n_frames. A ratio without spread is left out.

    Raises
    ------
    HopechoError
        If there is no frame or a label is not finite.
    """
    if not frames:
        raise HopechoError("no frame to measure the errors on", fix="give at least one")
    energy, forces, stress = [], [], []
    symbols: list[str] = []
    for frame in frames:
        check_frame(frame)
        prediction = predict(frame.atoms)
        n_atoms = len(frame.atoms)
        energy.append((prediction.energy / n_atoms, frame.energy / n_atoms))
        forces.append(np.stack([prediction.forces, np.asarray(frame.forces)]))
        symbols += frame.atoms.get_chemical_symbols()
        if frame.stress is not None:
            stress.append(np.stack([prediction.stress, np.asarray(frame.stress)]))
    out: dict[str, float] = {"n_frames": len(frames)}
    out |= _spread("energy", *np.array(energy).T)
    predicted, true = np.concatenate(forces, axis=1)
    out |= _spread("force", predicted, true)
    for element in sorted(set(symbols)):
        mask = np.array(symbols) == element
        out |= _spread(f"force_{element}", predicted[mask], true[mask])
    if out["std_force"] > 0:
        out["ratio_force"] = out["rmse_force"] / out["std_force"]
    if stress:
        out |= _spread("stress", *np.concatenate(stress, axis=1))
    return out


def _spread(name: str, predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    error = predicted - true
    return {
        f"rmse_{name}": float(np.sqrt(np.mean(error**2))),
        f"mae_{name}": float(np.mean(np.abs(error))),
        f"std_{name}": float(np.std(true)),
    }
