"""Magres files: field gradients of every nucleus, in the order of the code that wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.io import magres as ase_magres

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]


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
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
            # The parser drops a block without its closing tag; say so instead.
            if text.count("[/") + text.count("</") < 2:
                raise ValueError("a block is missing or not closed")
            stream.seek(0)
            atoms = ase_magres.read_magres(stream)
        efg = np.array(atoms.arrays["efg"], dtype=float)
        if efg.shape != (len(atoms), 3, 3):
            raise ValueError(f"field gradients of shape {efg.shape} for {len(atoms)} atoms")
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise HopechoError(
            f"Cannot read field gradients from {path}",
            got=f"{type(error).__name__}: {error}",
            fix="the file needs closed [atoms] and [magres] blocks with one efg line an atom",
        ) from error
    return MagresEfg(
        numbers=atoms.numbers, cell=atoms.cell.array, positions=atoms.positions, efg=efg
    )


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
