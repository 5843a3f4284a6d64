"""Settings and input files of the backend ``espresso``."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from ase import Atoms

DEFAULTS: Mapping[str, Any] = {
    "input_data": {
        "control": {},
        # Rattled frames have no symmetry. A crystal computed with it could get other k-points than
        # its rattled neighbour and forces forced onto the symmetry: all labels are made alike.
        "system": {"nosym": True},
        "electrons": {"conv_thr": 1e-8},
    },
    "stress": True,
}
"""What is set unless the user sets it."""

_PREFIX = "label"
_SECTIONS = ("control", "system", "electrons")
_KEYS = (
    "input_data",
    "pseudopotentials",
    "pseudo_dir",
    "kpts",
    "koffset",
    "kspacing",
    "stress",
    "gipaw",
)
_OURS: Mapping[str, str] = {
    "calculation": "it is a single point",
    "prefix": "files get their names from the label",
    "outdir": "it is a folder of the run",
    "wfcdir": "it is a folder of the run",
    "pseudo_dir": "set labels.espresso.pseudo_dir",
    "tprnfor": "forces are always printed",
    "tstress": "set labels.espresso.stress",
    "restart_mode": "every run starts from scratch",
    "nat": "it follows from the structure",
    "ntyp": "it follows from the structure",
    "ibrav": "the cell is written out",
    "max_seconds": "set labels.max_wall_min",
    "scf_must_converge": "every label must be converged",
    "nspin": "spin polarisation is not supported",
    "noncolin": "spin polarisation is not supported",
    "lspinorb": "spin polarisation is not supported",
}
"""Keywords of pw.x that are not the user's, and why."""
_NO_WAVEFUNCTIONS = ("none", "nowf", "minimal")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


@dataclass(frozen=True)
class Pseudopotentials:
    """Files by element."""

    folder: Path
    names: Mapping[str, str]
    hashes: Mapping[str, str]
    """SHA-256 of their contents."""
    required: bool

    @classmethod
    def find(cls, settings: Mapping[str, Any], *, required: bool) -> Pseudopotentials:
        """Find the files named in the settings.

        Parameters
        ----------
        settings : mapping
            With ``pseudopotentials`` {element: file name} and ``pseudo_dir``.
        required : bool
            False for the stand-in, which reads none: elements may be left out.

        Raises
        ------
        HopechoError
            None is named, or a file is not there.
        """
        names = {str(k): str(v) for k, v in (settings.get("pseudopotentials") or {}).items()}
        folder = Path(settings.get("pseudo_dir") or ".").expanduser().resolve()
        if required and not names:
            raise HopechoError(
                "labels.espresso.pseudopotentials is missing",
                fix="name a file for every element, e.g. {Li: Li.gth, P: P.gth, S: S.gth}, and "
                "their folder as labels.espresso.pseudo_dir; "
                "'hopecho pseudo gth Li P S --out store/pseudo' makes such files",
            )
        hashes = {}
        for element, name in names.items():
            try:
                hashes[element] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            except OSError as error:
                raise HopechoError(
                    f"The pseudopotential of {element} cannot be read",
                    got=f"{folder / name}: {error.strerror}",
                    fix="mend labels.espresso.pseudopotentials and .pseudo_dir, or make the file: "
                    f"hopecho pseudo gth {element} --out {folder}",
                ) from error
        return cls(folder, names, hashes, required)

    def of(self, elements: list[str]) -> dict[str, str]:
        """File names of some elements.

        Raises
        ------
        HopechoError
            An element has none.
        """
        missing = [e for e in elements if e not in self.names]
        if missing and self.required:
            raise HopechoError(
                "A structure has an element without pseudopotential",
                got=", ".join(missing),
                fix="name its file in labels.espresso.pseudopotentials",
            )
        return {e: self.names.get(e, f"{e}.UPF") for e in elements}


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check and normalise ``labels.espresso``.

    Parameters
    ----------
    settings : mapping
        ``input_data`` {control, system, electrons: pw.x's own keywords}, ``pseudopotentials``
        {element: file}, ``pseudo_dir``; ``kpts`` [n, n, n] with ``koffset``, or ``kpts`` as a list
        of [x, y, z, weight], or ``kspacing`` (1/A, without 2 pi); ``stress`` true or false;
        ``gipaw`` {keyword of gipaw.x: value; ``q_efg`` by element}.

    Returns
    -------
    dict
        The same with keywords in lower case and numbers such as ``1e-9``, which YAML takes for
        text, as numbers.

    Raises
    ------
    HopechoError
        A name is unknown or not the user's, or ``ecutwfc`` is missing.
    """
    unknown = sorted(set(settings) - set(_KEYS))
    data = settings.get("input_data") or {}
    unknown += [f"input_data.{name}" for name in sorted(set(data) - set(_SECTIONS))]
    if unknown:
        raise HopechoError(
            "Unknown settings of Quantum ESPRESSO",
            got=", ".join(unknown),
            fix=f"labels.espresso takes {', '.join(_KEYS)}; "
            f"input_data takes {', '.join(_SECTIONS)}",
        )
    sections = {
        name: {str(k).lower(): _typed(v) for k, v in (data.get(name) or {}).items()}
        for name in _SECTIONS
    }
    for name, section in sections.items():
        for key in sorted(set(section) & set(_OURS)):
            raise HopechoError(
                f"labels.espresso.input_data.{name}.{key} is not to be set",
                got=str(section[key]),
                fix=f"leave it out: {_OURS[key]}",
            )
    if "ecutwfc" not in sections["system"]:
        raise HopechoError(
            "labels.espresso.input_data.system.ecutwfc is missing",
            fix="set the cutoff of the wavefunctions in Ry, e.g. 60",
        )
    _check_grid(settings)
    return {**settings, "input_data": sections}


def _check_grid(settings: Mapping[str, Any]) -> None:
    grid, spacing = settings.get("kpts"), settings.get("kspacing")
    offset = settings.get("koffset")
    good = grid is None or _is_grid(grid) or (_is_list(grid) and offset is None)
    good &= offset is None or (isinstance(offset, (list, tuple)) and len(offset) == 3)
    number = isinstance(spacing, (int, float)) and spacing > 0
    if not good or (spacing is not None and (grid is not None or not number)):
        raise HopechoError(
            "labels.espresso: the k-points are unclear",
            got=f"kpts {grid}, koffset {offset}, kspacing {spacing}",
            fix="give kpts: [n, n, n] (and koffset: [0 or 1, ..]), or kpts: [[x, y, z, weight], "
            "..] in units of the reciprocal cell, or kspacing: a number in 1/A (without 2 pi)",
        )


def _is_grid(points: Any) -> bool:
    return (
        isinstance(points, (list, tuple))
        and len(points) == 3
        and all(isinstance(n, int) and n > 0 for n in points)
    )


def _is_list(points: Any) -> bool:
    return (
        isinstance(points, (list, tuple))
        and len(points) > 0
        and all(isinstance(row, (list, tuple)) and len(row) == 4 for row in points)
        and all(isinstance(x, (int, float)) for row in points for x in row)
    )


def pw_input(
    atoms: Atoms,
    keywords: Mapping[str, Any],
    pseudopotentials: Pseudopotentials,
    *,
    scratch: str,
    wavefunctions: bool,
) -> str:
    """Text of pw.x's input for one structure.

    Parameters
    ----------
    atoms : ase.Atoms
        Species, cell and positions count, nothing else.
    keywords : mapping
        As from `checked_settings`.
    pseudopotentials : Pseudopotentials
        Their files.
    scratch : str
        Folder for pw.x's own files, below the folder of the run.
    wavefunctions : bool
        Whether gipaw.x shall find wavefunctions there.
    """
    from ase import Atoms
    from ase.io.espresso import kspacing_to_grid, write_espresso_in

    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    data = {
        name: {key: _typed(value) for key, value in keywords["input_data"][name].items()}
        for name in _SECTIONS
    }
    disk = str(data["control"].get("disk_io", "low" if wavefunctions else "none"))
    data["control"] |= {
        "calculation": "scf",
        "prefix": _PREFIX,
        "outdir": f"./{scratch}/",
        "pseudo_dir": str(pseudopotentials.folder),
        "tprnfor": True,
        "tstress": bool(keywords["stress"]),
        "disk_io": "low" if wavefunctions and disk in _NO_WAVEFUNCTIONS else disk,
    }
    grid: Any = keywords.get("kpts") or (1, 1, 1)
    if keywords.get("kspacing") is not None:
        grid = kspacing_to_grid(bare, keywords["kspacing"])
    offset = tuple(keywords.get("koffset") or (0, 0, 0))
    grid = np.array(grid, dtype=float) if _is_list(grid) else tuple(grid)
    # At Gamma alone real wavefunctions halve the cost; gipaw.x cannot read them.
    gamma = _is_grid(grid) and grid == (1, 1, 1) and not any(offset) and not wavefunctions
    stream = io.StringIO()
    write_espresso_in(
        stream,
        bare,
        input_data=data,
        pseudopotentials=pseudopotentials.of(_elements(bare)),
        kpts=None if gamma else grid,
        koffset=offset,
    )
    return stream.getvalue()


def gipaw_input(atoms: Atoms, keywords: Mapping[str, Any], *, scratch: str) -> str:
    """Text of gipaw.x's input.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure of pw.x's run.
    keywords : mapping
        ``labels.espresso.gipaw``; ``q_efg`` may be a mapping from element to quadrupole moment
        (1e-30 m^2), which only enters what gipaw.x prints beside the tensors.
    scratch : str
        Folder that pw.x wrote to.

    Raises
    ------
    HopechoError
        A keyword is not the user's.
    """
    values: dict[str, Any] = {"job": "efg", "prefix": _PREFIX, "tmp_dir": f"./{scratch}/"}
    for name, value in keywords.items():
        if name.lower() in values:
            raise HopechoError(
                f"labels.espresso.gipaw.{name} is not to be set",
                got=str(value),
                fix="leave it out: job, prefix and tmp_dir follow from the label",
            )
    moments: Any = {}
    for name, value in keywords.items():
        if name.lower() == "q_efg" and isinstance(value, Mapping):
            moments = value
        else:
            values[name] = _typed(value)
    for number, element in enumerate(_elements(atoms), start=1):
        if element in moments:
            values[f"q_efg({number})"] = _typed(moments[element])
    lines = [f"  {name} = {_fortran(value)}" for name, value in values.items()]
    return "\n".join(["&inputgipaw", *lines, "/", ""])


def _elements(atoms: Atoms) -> list[str]:
    """Elements in the order of pw.x's species: by first appearance."""
    return list(dict.fromkeys(atoms.get_chemical_symbols()))


def _typed(value: Any) -> Any:
    """YAML reads 1e-9 and Fortran's 1.d-9 as text; pw.x wants a number."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value.strip().lower().replace("d", "e"))
        return int(number) if value.strip().lstrip("+-").isdigit() else number
    return value


def _fortran(value: Any) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    return f"'{value}'" if isinstance(value, str) else repr(value)
