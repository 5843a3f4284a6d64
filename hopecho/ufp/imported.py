"""A potential made elsewhere, brought into the form that production and reports read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential, pair_keys, read_uf3, reordered, triplet_keys
from hopecho.io.uf3_json import read_uf3_json
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.features import LabelledFrame

READERS = {".uf3": read_uf3, ".json": read_uf3_json}
"""By the end of the name: the file that LAMMPS reads, and the model of the uf3 package."""


@dataclass(frozen=True, eq=False)
class ImportedPotential:
    """A potential of this material, read from a file.

    Attributes
    ----------
    potential : Uf3Potential
        Its elements are those of the material, in that order.
    one_body : str
        Where the one-body energies are from: ``file`` or ``labels``.
    """

    potential: Uf3Potential
    one_body: str


def import_potential(
    path: str | Path, elements: Sequence[str], frames: Sequence[LabelledFrame]
) -> ImportedPotential:
    """Read a potential, keep the terms of a material, and give it one-body energies.

    A ``.uf3`` file holds no one-body energies. They move no atom; they are the least squares
    solution (of smallest norm, where the frames have one composition) of the energies of `frames`
    that the other terms leave.

    Parameters
    ----------
    path : path of a ``.uf3`` file, or of a model of the uf3 package (``.json``)
    elements : sequence of str
        Of the material, in the order of its LAMMPS types.
    frames : sequence of LabelledFrame
        Labels of the campaign's own code.

    Raises
    ------
    HopechoError
        If the file is of neither kind or damaged, or lacks a term of the material.
    """
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise HopechoError(
            f"the potential {path} is of an unknown kind",
            got=f"a name that ends with '{Path(path).suffix}'",
            fix="give a .uf3 file or a .json model of the uf3 package in potential.file",
        )
    potential = _of_material(path, reader(path), tuple(elements))
    if any(potential.one_body.values()):
        return ImportedPotential(potential, "file")
    return ImportedPotential(replace(potential, one_body=_one_body(potential, frames)), "labels")


def _of_material(
    path: str | Path, potential: Uf3Potential, elements: tuple[str, ...]
) -> Uf3Potential:
    """Drop terms with other elements; insist on every term of these."""
    wanted = set(elements)
    kept = replace(
        potential,
        elements=tuple(name for name in potential.elements if name in wanted),
        two_body={k: v for k, v in potential.two_body.items() if wanted.issuperset(k)},
        three_body={k: v for k, v in potential.three_body.items() if wanted.issuperset(k)},
        one_body={k: v for k, v in potential.one_body.items() if k in wanted},
    )
    absent = [name for name in elements if name not in kept.elements]
    if not absent:
        kept = reordered(kept, elements)
        needed = [*pair_keys(elements), *(triplet_keys(elements) if potential.three_body else [])]
        known = {*kept.two_body, *kept.three_body}
        absent = ["-".join(key) for key in needed if key not in known]
    if absent:
        raise HopechoError(
            f"the potential {path} does not cover the material",
            got=f"no {', '.join(absent)}; it holds {', '.join(potential.elements)}",
            fix="give a potential with every pair (and triplet) of materials.<m>.elements",
        )
    return kept


def _one_body(potential: Uf3Potential, frames: Sequence[LabelledFrame]) -> dict[str, float]:
    packed = pack(replace(potential, one_body=dict.fromkeys(potential.elements, 0.0)))
    counts = np.array(
        [
            [frame.atoms.get_chemical_symbols().count(name) for name in potential.elements]
            for frame in frames
        ],
        dtype=float,
    )
    left = np.array([frame.energy - evaluate(packed, frame.atoms).energy for frame in frames])
    energies = np.linalg.lstsq(counts, left, rcond=None)[0]
    return dict(zip(potential.elements, energies.tolist(), strict=True))
