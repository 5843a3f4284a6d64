"""Tensors from elsewhere for a trajectory from elsewhere, and a model from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from hopecho.efg.model import EfgModel, load_model
from hopecho.errors import HopechoError
from hopecho.io.efg_table import EfgWriter, iterate_efg, join_axes
from hopecho.io.h5md import Segment, iterate, read_segment
from hopecho.io.results import sha256

BLOCK_FRAMES = 1000
TIME_TOLERANCE = 1e-3
"""Largest difference of the times of tensors and positions, as a share of the stride."""


def import_tensors(
    paths: Sequence[str | Path],
    trajectory: str | Path,
    out: str | Path,
    *,
    mobile: str,
    provenance: Mapping[str, str],
) -> dict[str, Any]:
    """Check tables against the trajectory that they are of, and store them as one table.

    Times may start elsewhere than the trajectory's, as its steps may; ions are brought into the
    order of the atoms. Memory does not depend on the length.

    Parameters
    ----------
    paths : sequence of path
        Consecutive tables of a run, see `hopecho.io.efg_table`.
    trajectory : path
        Its positions, H5MD.
    out : path
        Table to write.
    mobile : str
        Element whose ions the tensors are of.
    provenance : mapping of str to str
        Root attributes of `out`.

    Returns
    -------
    dict
        ``files`` with their SHA-256, ``n_frames``, ``n_ions``.

    Raises
    ------
    HopechoError
        Naming the table: other frames than the trajectory, ions that are not the mobile ones, and
        as `hopecho.io.efg_table.read_efg`.
    """
    time, ions, skips = join_axes(paths)
    frames = np.concatenate([part.time_ps for part in iterate([trajectory])])
    order = _order(ions, read_segment(trajectory, stop=1), mobile, paths[0])
    _check_frames(time, frames, paths[0])
    with EfgWriter(out, ion_id=ions[order], provenance=provenance) as writer:
        start = 0
        for path, skip in zip(paths, skips, strict=True):
            for block in iterate_efg(path, first=skip, frames=BLOCK_FRAMES):
                writer.append(frames[start : start + len(block)], block[:, order])
                start += len(block)
    files = [{"path": str(path), "sha256": sha256(path)} for path in paths]
    return {"files": files, "n_frames": len(time), "n_ions": len(ions)}


def _order(
    ions: NDArray[np.int64], first: Segment, mobile: str, path: str | Path
) -> NDArray[np.int64]:
    """Order that sorts the ions of a table, which must be all mobile ones."""
    expected = np.flatnonzero(first.numbers == atomic_numbers[mobile])
    order = np.argsort(ions)
    if np.array_equal(ions[order], expected):
        return order
    shifted = np.array_equal(ions[order] - 1, expected)
    fix = "they are counted from 1: subtract 1" if shifted else "give /ion_id, counted from 0"
    raise HopechoError(
        f"{path} is not of the {mobile} of its trajectory",
        got=f"{len(ions)} ions, atoms {ions[order][:4].tolist()} ...; the trajectory has "
        f"{len(expected)}, atoms {expected[:4].tolist()} ...",
        fix=f"{fix}, and the tensors of every {mobile}",
    )


def _check_frames(time: NDArray[np.float64], frames: NDArray[np.float64], path: str | Path) -> None:
    stride = float(frames[1] - frames[0])
    if len(time) == len(frames):
        shift = np.abs((time - time[0]) - (frames - frames[0]))
        if shift.max() <= TIME_TOLERANCE * stride + 1e-9 * np.abs(time).max():
            return
    every = float(time[1] - time[0]) if len(time) > 1 else 0.0
    raise HopechoError(
        f"{path} is not of the frames of its trajectory",
        got=f"{len(time)} frames every {every:g} ps, and {len(frames)} every {stride:g} ps",
        fix="give the tensors of every frame, or only the frames of the trajectory that have them",
    )


def import_model(path: str | Path, *, elements: Sequence[str], isotope: str) -> EfgModel:
    """Read a model made elsewhere and check that it is for this material.

    Parameters
    ----------
    path : path
        ``model.npz``.
    elements : sequence of str
        Of the material.
    isotope : str
        Its probe nucleus.

    Raises
    ------
    HopechoError
        Naming the file: it is no model, of another nucleus, or does not know an element.
    """
    model = load_model(path)
    probe = chemical_symbols[model.spec.probe]
    known = [chemical_symbols[z] for z in model.spec.elements]
    if probe != isotope.lstrip("0123456789") or not set(elements) <= set(known):
        raise HopechoError(
            f"{path} is not a model for this material",
            got=f"tensors of {probe} among {', '.join(known)}; the material has {isotope} among "
            + ", ".join(elements),
            fix="give a model.npz that was fitted for these elements and this nucleus",
        )
    return model
