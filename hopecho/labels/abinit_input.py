"""Settings of Abinit and its input file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase.data import chemical_symbols

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from ase import Atoms

INPUT_VERSION = 1
"""Raised when a change of the input alters the numbers."""

DEFAULTS: Mapping[str, Any] = {
    "nsym": 1,
    "kptopt": 1,
    "nshiftk": 1,
    "shiftk": [0, 0, 0],
    "chkprim": 0,
    "prtwf": 0,
    "prtden": 0,
    "prtebands": 0,
    "prtgsr": 0,
}
"""Set unless the settings do: no symmetry, grid with Gamma, any supercell, no big files."""
_OURS = (
    "natom ntypat typat znucl acell rprim angdeg xred xcart xangst ngkpt kptrlatt pseudos "
    "pp_dirpath ndtset jdtset nimage ionmov optcell optforces optstress charge cellcharge"
)
"""Variables that follow from the structure and the task."""
_TOLERANCES = frozenset({"toldfe", "toldff", "tolrff", "tolvrs", "tolwfr"})


def input_text(
    atoms: Atoms, elements: Sequence[str], files: Sequence[str], variables: Mapping[str, Any]
) -> str:
    """Text of the input file: variables first, then the structure in its own order.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure; positions and cell are written in Angstrom with twelve decimals.
    elements, files : sequences of str
        Symbols and pseudopotential files, in the order of Abinit's types.
    variables : mapping
        Everything else, by Abinit's names.
    """
    types = [elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    lines = [f"{name} {_words(value)}" for name, value in variables.items()]
    lines += ["acell 1 1 1 Angstrom", "rprim", *_rows(atoms.cell.array)]
    lines += [f"ntypat {len(elements)}", f"natom {len(atoms)}"]
    lines.append(f"znucl {_words([chemical_symbols.index(e) for e in elements])}")
    lines += ["typat", *(_words(types[i : i + 20]) for i in range(0, len(types), 20))]
    lines += ["xcart", *_rows(atoms.positions), "Angstrom", f'pseudos "{", ".join(files)}"']
    return "\n".join(lines) + "\n"


def _rows(vectors: Any) -> Iterator[str]:
    return (" ".join(f"{x:.12f}" for x in vector) for vector in vectors)


def _words(value: Any) -> str:
    """Value of a variable as Abinit reads it; lists of lists in one line."""
    if isinstance(value, (list, tuple)):
        return " ".join(_words(x) for x in value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``parameters`` with lower-case names and the k-point grid ``kpts``.

    Raises
    ------
    HopechoError
        Unknown or reserved names, no cutoff, no convergence criterion, or no grid.
    """
    unknown = sorted(set(settings) - {"parameters", "pseudopotentials", "pseudo_dir", "kpts"})
    parameters = {str(k).lower(): v for k, v in (settings.get("parameters") or {}).items()}
    reserved = sorted(set(parameters) & set(_OURS.split()))
    if unknown or reserved:
        raise HopechoError(
            "Settings of Abinit that cannot be used",
            got=", ".join([*unknown, *reserved]),
            fix="labels.abinit takes parameters, pseudopotentials, pseudo_dir and kpts; structure,"
            " charge and k-point grid are no parameters",
        )
    if "ecut" not in parameters or not _TOLERANCES & set(parameters):
        raise HopechoError(
            "Abinit needs a cutoff and a convergence criterion",
            got=f"labels.abinit.parameters: {', '.join(parameters) or 'nothing'}",
            fix="set ecut (and pawecutdg), Hartree, and tolvrs, e.g. 1.0e-10",
        )
    kpts = list(settings.get("kpts") or [1, 1, 1])
    if len(kpts) != 3 or any(not isinstance(k, int) or k < 1 for k in kpts):
        raise HopechoError(
            "labels.abinit.kpts is no grid", got=repr(kpts), fix="give three numbers from 1 up"
        )
    return {"parameters": parameters, "kpts": kpts}


def pseudopotential_paths(settings: Mapping[str, Any]) -> dict[str, Path]:
    """Return the absolute path of every element's file.

    Raises
    ------
    HopechoError
        A file is missing, or none is named.
    """
    folder = Path(settings.get("pseudo_dir") or ".").expanduser()
    names = settings.get("pseudopotentials") or {}
    paths = {str(e): (folder / str(name)).resolve() for e, name in names.items()}
    missing = [str(path) for path in paths.values() if not path.is_file()]
    if missing or not paths:
        raise HopechoError(
            "Abinit's pseudopotential files are missing",
            got=", ".join(missing) or "no labels.abinit.pseudopotentials",
            fix="name a PAW file for every element, and their folder as labels.abinit.pseudo_dir",
        )
    return paths
