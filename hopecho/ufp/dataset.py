"""Labelled frames of a fit from the frames of the label store."""

from __future__ import annotations

from collections.abc import Iterable

from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import ENERGY, FORCES, STRESS
from hopecho.ufp.features import LabelledFrame


def labelled_frames(structures: Iterable[Atoms]) -> list[LabelledFrame]:
    """Return the labels of `hopecho.io.extxyz` in the form that fit and metrics take.

    Raises
    ------
    HopechoError
        If a structure has no label, or the labels come from different sources.
    """
    structures = list(structures)
    sources = sorted({str(atoms.info.get("source", "unknown")) for atoms in structures})
    if len(sources) > 1:
        raise HopechoError(
            "labels of different sources must not be mixed in one fit",
            got=", ".join(sources),
            fix="use one labels.code, labels.dataset and settings for all frames of a dataset",
        )
    return [_frame(number, atoms) for number, atoms in enumerate(structures)]


def _frame(number: int, atoms: Atoms) -> LabelledFrame:
    key = str(atoms.info.get("hash", ""))[:12]
    name = f"frame {number} ({atoms.info.get('trajectory', atoms.symbols)} {key})"
    if ENERGY not in atoms.info or FORCES not in atoms.arrays:
        raise HopechoError(f"{name} carries no label", fix="label it before the fit")
    return LabelledFrame(
        atoms, float(atoms.info[ENERGY]), atoms.arrays[FORCES], atoms.info.get(STRESS), name
    )
