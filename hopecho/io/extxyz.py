"""Extended XYZ: structures and labels, exact to the last digit, the same bytes for the same frames.

Labels live under these keys (eV, A, eV/A^3 in ASE sign and order xx yy zz yz xz xy, a.u.), which
ASE does not turn into a calculator: ``info["REF_energy"]``, ``info["REF_stress"]``,
``arrays["REF_forces"]``, ``arrays["efg"]`` (n, 3, 3), and words such as ``info["source"]`` and
``info["hash"]``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io.extxyz import read_extxyz

from hopecho.errors import HopechoError

ENERGY, FORCES, STRESS, EFG = "REF_energy", "REF_forces", "REF_stress", "efg"

_TENSOR_ARRAYS = (EFG,)
_PROPERTIES = re.compile(r'(?:^|\s)Properties="?([^\s"]+)')
# What ASE's parser raises on damaged text; a RuntimeWarning is a number too large for its type.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    StopIteration,
    RuntimeError,
)
_KINDS = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S"}


def write_frames(path: Path | str, frames: Sequence[Atoms]) -> None:
    """Write structures with their info and arrays; results of an attached calculator are not.

    Parameters
    ----------
    path : Path
        File to write.
    frames : sequence of ase.Atoms
        Info values: str, bool, int, float or one-dimensional numbers. Arrays: (n,), (n, m) or
        (n, 3, 3).

    Raises
    ------
    HopechoError
        A value that the format cannot hold.
    """
    text = "".join(_frame_text(atoms) for atoms in frames)
    Path(path).write_text(text, encoding="utf-8")


def read_frames(path: Path | str, *, allow_empty: bool = False) -> list[Atoms]:
    """Read all structures; ``efg`` comes back as (n, 3, 3).

    Parameters
    ----------
    path : Path
        File to read.
    allow_empty : bool
        An empty file is no error but a run that gave no frame.

    Raises
    ------
    HopechoError
        The file is missing, empty, truncated or not extended XYZ.
    """
    if allow_empty and Path(path).is_file() and Path(path).stat().st_size == 0:
        return []
    place = ""
    try:
        lines = _lines(path)
        frames = []
        for number, (start, stop) in enumerate(_frames(lines)):
            place = f", frame {number} (line {start + 1})"
            frames.append(_frame(lines[start:stop]))
    except _DAMAGE as error:
        raise HopechoError(
            f"Cannot read structures from {path}{place}",
            got=f"{type(error).__name__}: {error}",
            fix="the file must be complete extended XYZ with Lattice and Properties",
        ) from error
    return frames


def count_frames(path: Path | str) -> int:
    """Count the frames of a file without reading their atoms.

    Raises
    ------
    HopechoError
        The file is missing, empty or truncated.
    """
    try:
        return len(_frames(_lines(path)))
    except (OSError, ValueError) as error:
        raise HopechoError(
            f"Cannot read structures from {path}",
            got=f"{type(error).__name__}: {error}",
            fix="the file must be complete extended XYZ",
        ) from error


def _lines(path: Path | str) -> list[str]:
    """Lines without their ends, whichever these are (LF, CRLF, CR), and without blank ones last."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise ValueError("the file is empty")
    return lines


def _frames(lines: list[str]) -> list[tuple[int, int]]:
    """First line of every frame and the one after its last; ValueError for a truncated file."""
    found: list[tuple[int, int]] = []
    line = 0
    while line < len(lines):
        if not lines[line].strip().isdecimal():
            raise ValueError(f"line {line + 1} is no number of atoms: {lines[line][:40]!r}")
        stop = line + int(lines[line]) + 2
        if stop > len(lines):
            raise ValueError(f"frame {len(found)} ends after line {len(lines)} instead of {stop}")
        found.append((line, stop))
        line = stop
    return found


def _frame(lines: list[str]) -> Atoms:
    """Read one frame whose rows have been counted, column by column, before ASE reads them."""
    found = _PROPERTIES.search(lines[1])
    parts = (found.group(1) if found else "species:S:1:pos:R:3").split(":")
    sizes = [int(size) for size in parts[2::3]]
    if len(parts) % 3 or min(sizes) < 1 or len(set(parts[::3])) != len(sizes):
        raise ValueError(f"Properties {found and found.group(1)[:80]!r} are no name:type:columns")
    for number, line in enumerate(lines[2:], start=1):
        if len(line.split()) != sum(sizes):
            raise ValueError(f"atom {number} has {len(line.split())} columns, not {sum(sizes)}")
    atoms = next(read_extxyz(io.StringIO("\n".join(lines) + "\n"), index=slice(None)))
    if len(atoms) != len(lines) - 2:
        raise ValueError(f"{len(atoms)} of {len(lines) - 2} atoms are readable")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ValueError("a coordinate or the cell is not finite")
    if len(atoms) and not 1 <= atoms.numbers.min() <= atoms.numbers.max() < len(chemical_symbols):
        raise ValueError("an atom is of no known element")
    _restore_tensors(atoms)
    return atoms


def _restore_tensors(atoms: Atoms) -> None:
    for name in _TENSOR_ARRAYS:
        if name in atoms.arrays:
            flat = atoms.arrays.pop(name)
            atoms.arrays[name] = np.ascontiguousarray(flat.reshape(len(atoms), 3, 3))


def _frame_text(atoms: Atoms) -> str:
    names = sorted(set(atoms.arrays) - {"numbers", "positions"})
    columns = [np.asarray(atoms.get_chemical_symbols())[:, None], atoms.positions]
    properties = ["species:S:1", "pos:R:3"]
    for name in names:
        values = np.asarray(atoms.arrays[name]).reshape(len(atoms), -1)
        if values.dtype.kind not in _KINDS or not values.shape[1]:
            raise _cannot_write(f"array {name!r}", f"dtype {values.dtype}, shape {values.shape}")
        columns.append(values)
        properties.append(f"{name}:{_KINDS[values.dtype.kind]}:{values.shape[1]}")
    lattice = " ".join(_plain(x) for x in atoms.cell.array.ravel())
    header = [f'Lattice="{lattice}"', "Properties=" + ":".join(properties)]
    header += [f"{key}={_info_text(key, atoms.info[key])}" for key in sorted(atoms.info)]
    header.append('pbc="{}"'.format(" ".join("TF"[not p] for p in atoms.pbc)))
    rows = [
        " ".join(_plain(x) for values in row for x in values)
        for row in zip(*(column.tolist() for column in columns))
    ]
    return "\n".join([str(len(atoms)), " ".join(header), *rows]) + "\n"


def _plain(value: Any) -> str:
    """Shortest text that reads back as the same value."""
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return str(value)


def _info_text(key: str, value: Any) -> str:
    if isinstance(value, str):
        if "\n" in value or '"' in value:
            raise _cannot_write(f"info {key!r}", f"text with a quote or line break: {value!r}")
        return json.dumps(value, ensure_ascii=False)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim > 1:
        raise _cannot_write(f"info {key!r}", f"{type(value).__name__} {value!r}")
    if array.ndim == 0:
        return _plain(array.item())
    return '"{}"'.format(" ".join(_plain(x) for x in array.tolist()))


def _cannot_write(what: str, got: str) -> HopechoError:
    return HopechoError(
        f"Extended XYZ cannot hold {what}",
        got=got,
        fix="remove it from the structure, or make it text, a number or a row of numbers",
    )
