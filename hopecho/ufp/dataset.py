"""Labelled frames of a fit from the frames of the label store."""

from __future__ import annotations

from collections.abc import Iterable

from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import ENERGY, FORCES, STRESS
from hopecho.labels.campaign import require_one_set
from hopecho.ufp.features import LabelledFrame


def labelled_frames(structures: Iterable[Atoms]) -> list[LabelledFrame]:
    """Return the labels of `hopecho.io.extxyz` in the form that fit and metrics take.

    Raises
    ------
    HopechoError
        If a structure has no label, or the labels are of different code, settings or data set.
    """
    structures = list(structures)
    require_one_set(structures)
    return [_frame(number, atoms) for number, atoms in enumerate(structures)]


def _frame(number: int, atoms: Atoms) -> LabelledFrame:
    key = str(atoms.info.get("hash", ""))[:12]
    name = f"frame {number} ({atoms.info.get('trajectory', atoms.symbols)} {key})"
    if ENERGY not in atoms.info or FORCES not in atoms.arrays:
        raise HopechoError(f"{name} carries no label", fix="label it before the fit")
    return LabelledFrame(
        atoms, float(atoms.info[ENERGY]), atoms.arrays[FORCES], atoms.info.get(STRESS), name
    )
