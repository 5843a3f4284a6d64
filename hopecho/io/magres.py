"""Magres files: field gradients of every nucleus, in the order of the code that wrote them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]


# What ASE's parser raises on damaged text.
_DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
)


@dataclass(frozen=True, eq=False)
class MagresEfg:
    """Structure and field gradients of a magres file, in the file's atom order."""

    numbers: Array
    """(n,) atomic numbers."""
    cell: Array
    """(3, 3), A."""
    positions: Array
    """(n, 3), A."""
    efg: Array
    """(n, 3, 3), a.u."""


def read_magres(path: Path) -> MagresEfg:
    """Read structure and total field gradients.

    Raises
    ------
    HopechoError
        The file is missing, truncated, not magres, or lacks a tensor.
    """
    # Not above: who only writes, as the stand-in does for every label, starts in half the time.
    from ase.io import magres as ase_magres

    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        n_atoms, plain = _plain_text(text)
        atoms = ase_magres.read_magres(io.StringIO(plain))
        efg = np.array(atoms.arrays["efg"], dtype=float)
        if efg.shape != (n_atoms, 3, 3):
            raise ValueError(f"field gradients of shape {efg.shape} for {len(atoms)} atoms")
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise ValueError("a coordinate or the cell is not finite")
    except _DAMAGE as error:
        raise HopechoError(
            f"Cannot read field gradients from {path}",
            got=f"{type(error).__name__}: {error}",
            fix="the file needs closed [atoms] and [magres] blocks with one efg line an atom",
        ) from error
    return MagresEfg(
        numbers=atoms.numbers, cell=atoms.cell.array, positions=atoms.positions, efg=efg
    )


def _plain_text(text: str) -> tuple[int, str]:
    """Number of atoms, of which each must have one tensor, and the lines that say so.

    ASE's parser drops a block without its closing tag, takes the last of several blocks or tensors
    of an atom, and needs a time that grows with the cube of the number of unclosed brackets.
    """
    atoms, magres = _rows(text, "atoms"), _rows(text, "magres")
    sites = [row for row in atoms if row[0] == "atom"]
    tensors = [_split_name(row) for row in magres if row[0] == "efg"]
    if any(len(row) != 7 for row in sites) or any(len(row) != 12 for row in tensors):
        raise ValueError("a line of an atom or a tensor has the wrong number of words")
    names = [tuple(row[2:4]) for row in sites], [tuple(row[1:3]) for row in tensors]
    if any(len(set(part)) != len(part) for part in names) or set(names[0]) != set(names[1]):
        raise ValueError(f"{len(tensors)} field gradients for {len(sites)} atoms, or one twice")
    units = [row for row in magres if row[:2] == ["units", "efg"]]
    geometry = [row for row in atoms if row[0] in ("units", "lattice")]
    if [row[0] for row in geometry].count("lattice") != 1 or len(units) != 1:
        raise ValueError("lattice, or the unit of efg, is missing or there twice")
    rows = [["[atoms]"], *geometry, *sites, ["[/atoms]"], ["[magres]"], *units, *tensors]
    lines = [text.split("\n", 1)[0], *(" ".join(row) for row in rows), "[/magres]", ""]
    return len(sites), "\n".join(lines)


def _rows(text: str, block: str) -> list[list[str]]:
    """Words of every line of a block that stands there once."""
    ends = [list(re.finditer(rf"[\[<]{mark}{block}[\]>]", text)) for mark in ("", "/")]
    if [len(end) for end in ends] != [1, 1]:
        raise ValueError(f"the block [{block}] is missing, not closed or there twice")
    body = text[ends[0][0].end() : ends[1][0].start()]
    if re.search(r"[\[\]<>]", body):
        raise ValueError(f"another block begins inside [{block}]")
    return [row for line in body.splitlines() if (row := line.partition("#")[0].split())]


def _split_name(row: list[str]) -> list[str]:
    """CASTEP writes no space between a label and a number of four digits."""
    glued = re.fullmatch(r"([A-Za-z:]+)(\d{3,})", row[1]) if len(row) == 11 else None
    return row if glued is None else [row[0], *glued.groups(), *row[2:]]


def write_magres(path: Path, atoms: Atoms, efg: Array, *, comment: str, version: str) -> None:
    """Write structure and field gradients, every digit.

    Parameters
    ----------
    path : Path
        File to write.
    atoms : ase.Atoms
        Structure, in the order to be written.
    efg : (n, 3, 3) array, a.u.
        Field gradients in the same order.
    comment : str
        One line on who made the numbers.
    version : str
        Version of the code.
    """
    symbols = atoms.get_chemical_symbols()
    indices = [symbols[: i + 1].count(s) for i, s in enumerate(symbols)]
    lines = ["#$magres-abinitio-v1.0", f"# {comment}", "[calculation]"]
    lines += ["  calc_code CASTEP", f"  calc_code_version {version}", "[/calculation]", "[atoms]"]
    lines += ["  units lattice Angstrom", "  lattice " + _row(atoms.cell.array)]
    lines.append("  units atom Angstrom")
    for symbol, index, position in zip(symbols, indices, atoms.positions):
        lines.append(f"  atom {symbol} {symbol} {index} {_row(position)}")
    lines += ["[/atoms]", "[magres]", "  units efg au"]
    for symbol, index, tensor in zip(symbols, indices, efg):
        lines.append(f"  efg {symbol} {index} {_row(tensor)}")
    lines.append("[/magres]")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(values: Array) -> str:
    return " ".join(repr(float(x)) for x in np.ravel(values))
