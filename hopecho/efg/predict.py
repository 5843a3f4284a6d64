"""Fast prediction of field gradient tensors, of their errors and of unknown environments.

Tensors and the flag of unknown environments are made for every frame, the committee's spread for
every tenth. A trajectory streams through in chunks; memory does not depend on its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.efg.committee import spread_of
from hopecho.efg.contract import Kernel, expand, invariants, make_kernel, scalar_kernel, tensors
from hopecho.efg.density import kinds_of, make_frame
from hopecho.efg.longrange import k_vectors
from hopecho.efg.model import EfgModel
from hopecho.errors import HopechoError
from hopecho.io import h5md
from hopecho.io.efg_table import EfgWriter
from hopecho.units import cq_khz_per_au

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPREAD_EVERY = 10
"""Frames from one evaluation of the committee to the next: each costs a contraction a member."""


@dataclass(frozen=True)
class Prediction:
    """Tensors of the probes of some frames and how far to trust them."""

    efg: Array
    """(n_frames, n_probe, 5), isometric components, a.u., probes in atom order."""
    score: Array
    """(n_frames, n_probe): above one the environment is unlike the training set's."""
    sigma: Array
    """(n_spread_frames, n_probe), a.u.: calibrated standard error of a component."""
    spread: Array
    """As `sigma`: the committee's bare spread."""


def predict_frames(
    model: EfgModel, positions: ArrayLike, cell: ArrayLike, numbers: ArrayLike
) -> Array:
    """Predict the tensors of all probe atoms.

    Parameters
    ----------
    model : EfgModel
        The model.
    positions : array_like, (n_frames, n_atoms, 3), A
        Wrapped or unwrapped.
    cell : array_like, (3, 3), A
        Rows are lattice vectors; the same for all frames.
    numbers : array_like, (n_atoms,)
        Atomic numbers.

    Returns
    -------
    ndarray, (n_frames, n_probe, 5)
        Isometric components, a.u., probes in atom order.

    Raises
    ------
    HopechoError
        Unknown element, no probe, overlapping atoms, or numbers that are not finite.
    """
    return _predict(model, make_kernel(model), positions, cell, numbers, trust=False).efg


def predict(
    model: EfgModel,
    positions: ArrayLike,
    cell: ArrayLike,
    numbers: ArrayLike,
    *,
    kernel: Kernel | None = None,
    spread_every: int = SPREAD_EVERY,
    first: int = 0,
) -> Prediction:
    """Predict tensors, scores and errors; as `predict_frames`.

    Parameters
    ----------
    kernel : Kernel, optional
        From `make_kernel`, to save making it again for the next frames.
    spread_every : int
        Frames k, 2k, ... get a spread and sigma.
    first : int
        Index of the first frame in its trajectory.
    """
    return _predict(
        model,
        kernel or make_kernel(model),
        positions,
        cell,
        numbers,
        trust=True,
        spread_every=spread_every,
        first=first,
    )


def _predict(
    model: EfgModel,
    kernel: Kernel,
    positions: ArrayLike,
    cell: ArrayLike,
    numbers: ArrayLike,
    *,
    trust: bool,
    spread_every: int = SPREAD_EVERY,
    first: int = 0,
) -> Prediction:
    positions = np.asarray(positions, dtype=float)
    cell, numbers = np.asarray(cell, dtype=float), np.asarray(numbers)
    _check_shapes(positions, cell, numbers)
    spec = model.spec
    kinds, centres = kinds_of(numbers, spec.elements), probe_ids(model, numbers)
    if spec.n_long_range and len(positions) and np.all(np.isfinite(cell)):
        waves = k_vectors(cell, spec.long_range_width)
    else:
        waves = np.zeros((0, 3), dtype=np.int64), np.zeros((0, 5))
    efg = np.empty((len(positions), len(centres), 5))
    score, spread = np.zeros(efg.shape[:2]), []
    scalars, p = np.zeros((0, 0)), np.zeros((0, 0))
    for i, frame_positions in enumerate(positions):
        e = expand(make_frame(frame_positions, cell, kinds, centres), kernel, waves)
        if trust or len(kernel.known):
            p = invariants(e, spec)
        if len(kernel.known):
            scalars = scalar_kernel(p, kernel)
        efg[i] = tensors(e, kernel, scalars)
        if not trust:
            continue
        score[i] = model.novelty.score(p)
        if (first + i) % spread_every == 0:
            each = [tensors(e, kernel, scalars, member=k) for k in range(1, len(kernel.weights))]
            spread.append(spread_of(np.stack(each)))
    spreads = np.array(spread).reshape(-1, len(centres))
    return Prediction(efg, score, model.calibration.sigma(spreads), spreads)


def _check_shapes(positions: Array, cell: Array, numbers: NDArray[np.integer]) -> None:
    if positions.ndim != 3 or positions.shape[1:] != (len(numbers), 3) or cell.shape != (3, 3):
        raise HopechoError(
            "Shapes of a trajectory for the EFG model do not fit",
            got=f"positions {positions.shape}, cell {cell.shape}, numbers {numbers.shape}",
            fix="positions (n_frames, n_atoms, 3), cell (3, 3), numbers (n_atoms,)",
        )


def probe_ids(model: EfgModel, numbers: ArrayLike) -> IntArray:
    """Return the indices of the probe atoms, (n_probe,).

    Raises
    ------
    HopechoError
        If there is none.
    """
    centres = np.flatnonzero(np.asarray(numbers) == model.spec.probe)
    if len(centres) == 0:
        raise HopechoError(
            "A structure has no atom whose tensor the EFG model predicts",
            got=f"atomic numbers {sorted(set(np.asarray(numbers).tolist()))}",
            fix=f"use structures with atomic number {model.spec.probe}",
        )
    return centres


def predict_segment(
    model: EfgModel,
    trajectory: Path | str,
    out: Path | str,
    *,
    chunk: int = 100,
    isotope: str = "7Li",
    provenance: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Predict all frames of an H5MD file into a table, holding `chunk` frames in memory.

    Parameters
    ----------
    model : EfgModel
        The model.
    trajectory : Path or str
        H5MD file, see `hopecho.io.h5md`.
    out : Path or str
        Table to write, see `hopecho.io.efg_table`; it appears only when complete.
    chunk : int
        Frames read at a time.
    isotope : str
        Key of `hopecho.units.ISOTOPES`, for frequencies in the report.
    provenance : mapping of str to str, optional
        Root attributes of the table.

    Returns
    -------
    dict
        ``n_frames``, ``n_ions``, ``n_flagged`` and ``flagged_share`` (environments unlike
        training), ``worst`` (frame, atom, score), ``sigma_khz`` (predicted error of omega_Q, root
        mean square over field directions, ions and every tenth frame) and ``sigma_every``.

    Raises
    ------
    HopechoError
        As `predict_frames`, and for unreadable files.
    """
    ions = probe_ids(model, h5md.read_segment(trajectory, stop=1).numbers)
    kernel = make_kernel(model)
    n_frames, n_flagged, squares, n_sigma = 0, 0, 0.0, 0
    worst = {"frame": 0, "atom": int(ions[0]), "score": 0.0}
    total = h5md.n_frames(trajectory)
    with EfgWriter(out, ion_id=ions, n_frames=total, provenance=provenance) as writer:
        for part in h5md.iterate([trajectory], chunk=chunk):
            found = predict(
                model, part.positions, part.cell, part.numbers, kernel=kernel, first=n_frames
            )
            writer.append(part.time_ps, found.efg)
            frame, ion = np.nonzero(found.score > 1)
            writer.flag(n_frames + frame, ions[ion], found.score[frame, ion])
            n_flagged += len(frame)
            at = np.unravel_index(int(np.argmax(found.score)), found.score.shape)
            if found.score[at] > worst["score"]:
                worst = {
                    "frame": n_frames + int(at[0]),
                    "atom": int(ions[at[1]]),
                    "score": float(found.score[at]),
                }
            squares += float(np.sum(found.sigma**2))
            n_sigma += found.sigma.size
            n_frames += len(part.time_ps)
    return {
        "n_frames": n_frames,
        "n_ions": len(ions),
        "n_flagged": n_flagged,
        "flagged_share": n_flagged / (n_frames * len(ions)),
        "worst": worst,
        "sigma_khz": float(omega_khz(isotope) * np.sqrt(squares / max(n_sigma, 1))),
        "sigma_every": SPREAD_EVERY,
    }


def omega_khz(isotope: str) -> float:
    r"""Return kHz of omega_Q, root mean square over field directions, per a.u. of a component.

    :math:`\nu_{rms} = |eQ/2h| \sqrt{2/15} |t|` and :math:`|t|^2 = 5 \sigma^2`.
    """
    return float(0.5 * abs(cq_khz_per_au(isotope)) * np.sqrt(2 / 3))
