"""Existing data sets as labels: read, taken over, and checked against the code they are said to be.

A data set made elsewhere enters as frames that bring their label. Most are taken over as they are;
a few are computed again with the campaign's own code and settings. If the two disagree the campaign
stops: energies of two codes, cut-offs or pseudopotential sets in one fit spoil it silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.io import extxyz
from hopecho.labels.interface import Backend, Label, label_set, structure_hash
from hopecho.labels.quality import efg_reasons, results_reasons
from hopecho.labels.store import LabelStore

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

LABEL_SET = "label_set"
"""Info key of a labelled frame: frames of different sets are never fitted together."""
IMPORTED, CHECKED = "imported", "checked"
"""Info keys: the file that a frame's label came in; whether it is computed again to be compared."""
_NAMES: Mapping[str, str] = {
    extxyz.ENERGY: "energy",
    extxyz.FORCES: "forces",
    extxyz.STRESS: "stress",
}
_DIMENSIONS = {extxyz.ENERGY: 0, extxyz.STRESS: 2, extxyz.FORCES: 2, extxyz.EFG: 3}


@dataclass(frozen=True)
class Differences:
    """Largest differences between an imported label and the code's own."""

    energy_ev_atom: float = 0.002
    force_ev_a: float = 0.02
    """Of a component of a force."""
    stress_ev_a3: float = 0.002
    """Of a component of the stress."""
    efg_au: float = 0.002
    """Of a component of a field gradient."""


def read_dataset(path: Path | str, *, n_check: int) -> list[Atoms]:
    """Read labelled structures from an extended XYZ file.

    Parameters
    ----------
    path : Path
        Frames with ``REF_energy``, ``REF_forces``, ``REF_stress`` or ASE's ``energy``, ``forces``,
        ``stress`` (eV, eV/A, eV/A^3 in ASE sign; stress may be missing) and the array ``efg``
        (nine columns, a.u.; what is missing is computed where the campaign wants it).
    n_check : int
        Frames, spread evenly, that will be computed again and compared.

    Returns
    -------
    list of Atoms
        Frames that bring their label: the REF keys, info ``imported`` and ``checked``.

    Raises
    ------
    HopechoError
        A frame has no energy, no forces or no periodic cell, or the labels are of several kinds.
    """
    frames = extxyz.read_frames(path)
    sets = sorted({str(a.info.get(LABEL_SET, "")) for a in frames})
    if len(sets) > 1:
        raise HopechoError(
            f"Labels of different code, settings or dataset stand in {path}",
            got=", ".join(name or "not said" for name in sets),
            fix="split the file: one campaign takes labels of one kind",
        )
    count = min(n_check, len(frames))
    chosen = set(np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int)).tolist())
    return [
        _normal(atoms, Path(path), index, checked=index in chosen)
        for index, atoms in enumerate(frames)
    ]


def _normal(atoms: Atoms, path: Path, index: int, *, checked: bool) -> Atoms:
    from ase import Atoms

    frame = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    # With smearing the forces belong to the free energy.
    results["energy"] = results.get("free_energy", results.get("energy"))
    for key, name in _NAMES.items():
        place = "arrays" if key == extxyz.FORCES else "info"
        value = getattr(atoms, place).get(key, results.get(name))
        if value is not None:
            getattr(frame, place)[key] = _plain(key, value, where=f"frame {index} of {path}")
        elif key != extxyz.STRESS:
            raise HopechoError(
                f"Frame {index} of {path} has no {name}",
                got=f"info {sorted(atoms.info)}, arrays {sorted(atoms.arrays)}",
                fix=f"write {key} (or ASE's {name}) for every frame",
            )
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-6:
        raise HopechoError(
            f"Frame {index} of {path} has no periodic cell",
            got=f"pbc {atoms.pbc.tolist()}, volume {atoms.cell.volume:.3g} A^3",
            fix='write Lattice="..." and pbc="T T T" for every frame',
        )
    frame.info[extxyz.ENERGY] = float(frame.info[extxyz.ENERGY])
    if extxyz.EFG in atoms.arrays:
        tensors = atoms.arrays[extxyz.EFG]
        frame.arrays[extxyz.EFG] = _plain(extxyz.EFG, tensors, where=f"frame {index} of {path}")
    frame.info |= {IMPORTED: path.name, CHECKED: checked}
    if LABEL_SET in atoms.info:
        frame.info[LABEL_SET] = str(atoms.info[LABEL_SET])
    return frame


def _plain(key: str, value: Any, *, where: str) -> Array:
    """Values as floats; a stress of nine components as six."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise HopechoError(
            f"{key} of {where} is no number", got=repr(value)[:80], fix="correct the file"
        ) from error
    if array.ndim > _DIMENSIONS[key]:
        raise HopechoError(
            f"{key} of {where} has too many numbers",
            got=f"shape {array.shape}",
            fix="correct the file",
        )
    if key == extxyz.STRESS and array.size == 9:
        full = array.reshape(3, 3)
        return (0.5 * (full + full.T)).flat[[0, 4, 8, 5, 2, 1]]
    return array


def take_imported(atoms: Atoms, backend: Backend, store: LabelStore, key: str) -> None:
    """Store the label that a frame brings, unless it is to be checked or known already.

    A label that cannot be right (not finite, tensors that are none) is quarantined instead; one
    that was taken from a file that has changed since is replaced.

    Raises
    ------
    HopechoError
        The frame says that its label is of another set.
    """
    if IMPORTED not in atoms.info:
        return
    known = store.get(key)
    if atoms.info.get(CHECKED):
        if known is not None and known.imported:
            store.drop(key)  # taken over earlier; now the code itself is asked
        return
    own = label_set(backend.code, backend.settings, backend.dataset)
    if atoms.info.get(LABEL_SET, own) != own:
        raise HopechoError(
            f"Labels of {atoms.info[IMPORTED]} are of another code, settings or dataset",
            got=f"{atoms.info[LABEL_SET]}, the campaign's are {own}",
            fix="leave the file out of learning.initial_files, or set labels as it was made",
        )
    if known is not None and known.imported and _changed(atoms, known):
        store.drop(key)
    elif known is not None or store.quarantined(key) is not None:
        return
    label = Label(
        structure=structure_hash(atoms),
        energy=float(atoms.info[extxyz.ENERGY]),
        forces=np.asarray(atoms.arrays[extxyz.FORCES]),
        stress=atoms.info.get(extxyz.STRESS),
        efg=atoms.arrays.get(extxyz.EFG),
        code=backend.code,
        version=backend.version,
        settings=backend.settings,
        dataset=backend.dataset,
        source=backend.source,
        cpu_s=0.0,
        imported=str(atoms.info[IMPORTED]),
    )
    reasons = results_reasons(label.energy, label.forces, label.stress, n_atoms=len(atoms))
    if label.efg is not None:
        reasons += efg_reasons(label.efg, n_atoms=len(atoms))
    if reasons:
        log = f"read from {label.imported}, not computed"
        store.quarantine(key, atoms, part="energy", reasons=reasons, log=log)
    else:
        store.put(label, atoms)


def _changed(atoms: Atoms, label: Label) -> bool:
    """Whether a frame brings another label than the one that was taken over."""
    found = _differences(atoms, label)
    return any(value is not None and value > 0.0 for value in found.values())


def check_imported(
    frames: Mapping[str, Atoms], store: LabelStore, allowed: Differences
) -> Iterator[dict[str, Any]]:
    """Compare the frames that are marked with what the code itself says of them.

    Yields
    ------
    dict
        ``key``, ``file`` and the largest differences ``energy_ev_atom``, ``force_ev_a``,
        ``stress_ev_a3``, ``efg_au`` (None where there is nothing to compare).

    Raises
    ------
    HopechoError
        A difference is larger than allowed: the data set is not of this code and settings.
    """
    for key, atoms in frames.items():
        label = store.get(key) if atoms.info.get(CHECKED) else None
        if label is None or label.imported:
            continue
        found = _differences(atoms, label)
        for name, limit in asdict(allowed).items():
            value = found[name]
            if value is not None and value > limit:
                raise HopechoError(
                    f"Labels of {atoms.info[IMPORTED]} are not those of this code and settings",
                    got=f"{name} differs by {value:.3g} (allowed {limit:g}) for {key[:12]}, which"
                    f" {label.source} computed again",
                    fix="set labels to the code, settings and pseudopotentials of the data set, or"
                    " leave the file out of learning.initial_files: labels of two kinds are never"
                    " fitted together",
                )
        yield {"key": key, "file": atoms.info[IMPORTED]} | found


def _differences(atoms: Atoms, label: Label) -> dict[str, float | None]:
    energy = abs(float(atoms.info[extxyz.ENERGY]) - label.energy) / len(atoms)
    force = float(np.abs(atoms.arrays[extxyz.FORCES] - label.forces).max())
    stress = _largest(atoms.info.get(extxyz.STRESS), label.stress)
    tensor = _largest(atoms.arrays.get(extxyz.EFG), label.efg)
    return {
        "energy_ev_atom": energy,
        "force_ev_a": force,
        "stress_ev_a3": stress,
        "efg_au": tensor,
    }


def _largest(brought: Array | None, own: Array | None) -> float | None:
    """Largest difference of a component; None where one of the two is not there."""
    if brought is None or own is None:
        return None
    return float(np.abs(np.asarray(brought) - own).max())


def require_checks(frames: Sequence[Atoms], checks: Sequence[Mapping[str, Any]]) -> None:
    """Refuse files of which frames were to be compared and none could be.

    Raises
    ------
    HopechoError
        The code gave no label for any frame that was to be checked.
    """
    wanted = {str(a.info[IMPORTED]) for a in frames if a.info.get(CHECKED)}
    missing = sorted(wanted - {str(check["file"]) for check in checks})
    if missing:
        raise HopechoError(
            "Imported labels could not be compared with this code's own",
            got=f"{', '.join(missing)}: every frame to be checked failed",
            fix="hopecho labels list says why; raise labels.imported.check, or mend the settings",
        )


def imported_counts(labels: Sequence[Atoms]) -> dict[str, int]:
    """Frames taken over from each file, of labelled frames as `read_labels` gives them."""
    names = [str(a.info[IMPORTED]) for a in labels if IMPORTED in a.info]
    return {name: names.count(name) for name in sorted(set(names))}
