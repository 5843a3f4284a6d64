"""Output of gipaw.x: field gradients of every nucleus, in the order of pw.x's input.

gipaw.x prints three lines an atom with the Fortran format ``5X,A,I3,2X,3(F14.6,2X)``: the label
(padded to three characters, six in newer versions), the number of the atom, one row of the tensor.
From atom 1000 on the number is ``***``; the atoms still come in order without a gap, so that the
place in the block is the number. A label that ends in a digit can run into the number: it is
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

HEAD = "----- total EFG (symmetrized) -----"
TAIL = "NQR/NMR SPECTROSCOPIC PARAMETERS"
_UNIT = "Hartree/bohrradius^2"
_LINE = re.compile(r"\s+([A-Za-z]+)\s*(\d+|\*+)\s{2,}(\S+)\s+(\S+)\s+(\S+)\s*")
_WIDTH = 3
"""Digits of the printed number of an atom."""


@dataclass(frozen=True, eq=False)
class GipawEfg:
    """Field gradients of a run of gipaw.x, in the order of the file."""

    symbols: tuple[str, ...]
    """Labels of the n atoms."""
    efg: Array
    """(n, 3, 3), a.u. (Hartree/Bohr^2)."""


def read_gipaw(text: str, *, where: str = "the output of gipaw.x") -> GipawEfg:
    """Read the total symmetrised field gradients.

    Parameters
    ----------
    text : str
        What gipaw.x printed.
    where : str
        Name of the file for messages.

    Raises
    ------
    HopechoError
        The block is missing, there twice or cut short, in another unit, or a line does not say
        beyond doubt to which atom it belongs.
    """
    try:
        rows = _rows(_block(text))
        if not rows or len(rows) % 3:
            raise ValueError(f"{len(rows)} lines are not three an atom")
        symbols = []
        for number in range(1, len(rows) // 3 + 1):
            three = rows[3 * number - 3 : 3 * number]
            symbols.append(_check_atom([(label, printed) for label, printed, _ in three], number))
        tensors = np.array([values for _, _, values in rows], dtype=float).reshape(-1, 3, 3)
    except ValueError as error:
        raise HopechoError(
            f"Cannot read field gradients from {where}",
            got=str(error),
            fix="the file must hold one whole block of total symmetrised field gradients",
        ) from error
    return GipawEfg(tuple(symbols), tensors)


def _block(text: str) -> str:
    """Text between the head of the block and what gipaw.x prints after it."""
    if text.count(HEAD) != 1:
        raise ValueError(f"{text.count(HEAD)} blocks headed {HEAD!r}")
    before, after = text.split(HEAD)
    if _UNIT not in before:
        raise ValueError(f"the unit {_UNIT} is not named")
    block, tail, _ = after.partition(TAIL)
    if not tail:
        raise ValueError(f"cut short: no {TAIL!r} after the block")
    return block


def _rows(block: str) -> list[tuple[str, str, list[float]]]:
    """Label, printed number and values of every line."""
    rows = []
    for line in block.splitlines():
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"unclear line {line!r}")
        label, number, *values = found.groups()
        rows.append((label, number, [_value(value, line) for value in values]))
    return rows


def _value(word: str, line: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is no number in {line!r}") from None


def _check_atom(heads: list[tuple[str, str]], number: int) -> str:
    """Label of an atom whose three lines must all name it."""
    overflown = {"*" * _WIDTH} if number >= 10**_WIDTH else set()
    if len(set(heads)) != 1 or heads[0][1] not in {str(number), *overflown}:
        found = ", ".join(f"{label} {printed}" for label, printed in heads)
        raise ValueError(f"expected three lines of atom {number}, found {found}")
    return heads[0][0]


def format_block(symbols: tuple[str, ...] | list[str], efg: Array, *, digits: int = 6) -> str:
    """Text of the block as gipaw.x prints it.

    Parameters
    ----------
    symbols : sequence of str
        Labels of the n atoms.
    efg : (n, 3, 3) array, a.u.
        Field gradients in the same order.
    digits : int
        Decimals; gipaw.x has six.
    """
    lines = [f"     ELECTRIC FIELD GRADIENTS TENSORS IN {_UNIT}:", "", f"     {HEAD}"]
    for number, (symbol, tensor) in enumerate(zip(symbols, efg), start=1):
        printed = f"{number:3d}" if number < 10**_WIDTH else "*" * _WIDTH
        for row in tensor:
            values = "  ".join(f"{x:{digits + 8}.{digits}f}" for x in row)
            lines.append(f"     {symbol:<6s}{printed}  {values}  ")
        lines.append("")
    return "\n".join([*lines, "", f"     {TAIL}:", ""])
