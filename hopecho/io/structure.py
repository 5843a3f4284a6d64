"""Structures of other programs: CIF, POSCAR, XSF, RES, FHI-aims and LAMMPS data files.

ASE's parsers read them. They believe what a file says of itself: they make the atoms that it claims
before they look for them, pass over rows that they do not understand, and stop counting where the
file says so. What a file claims is therefore compared with its lines first.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.io.formats import filetype

from hopecho.errors import HopechoError
from hopecho.io.extxyz import read_frames

LONGEST_LINE = 2000
"""Characters; the time of a search can grow with their square."""
MOST_OPERATIONS, MOST_SITES = 192, 20_000
"""Of a CIF: no space group has more operations; an asymmetric unit has fewer sites."""
SAME_PLACE = 1e-4
"""Fractional; atoms nearer than this are one that was written twice."""
MASS_TOLERANCE_U = 1.5

_AIMS = {
    *("atom", "atom_frac", "lattice_vector", "initial_moment", "initial_charge"),
    *("constrain_relaxation", "velocity"),
}
_AFTER_XSF = ("PRIMVEC", "CONVVEC", "PRIMCOORD", "CONVCOORD", "BEGIN", "CRYSTAL")
_RES_ATOM = re.compile(r"\w+ \d+( -?[\d.]+){4}.*", re.ASCII)
_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
_LOST = "Wrong number|Duplicated loop tags|.*are equivalent"
"""What ASE's reader of CIF warns of when it leaves something out."""


def read_structure_file(path: str | Path) -> Atoms:
    """Read the last structure of a file of one of `FORMATS`.

    Nothing in the file is evaluated or unpickled, and no other file is looked for.

    Raises
    ------
    HopechoError
        The file is of another format, is damaged, claims what it does not hold, or holds an atom
        twice, partly, or of no known element.
    """
    path = Path(path)
    try:
        kind = filetype(str(path))
        if kind not in FORMATS or path.suffix in (".gz", ".bz2", ".xz"):
            raise ValueError(f"{kind} is none of the formats {', '.join(FORMATS)}")
        return read_frames(path)[-1] if kind == "extxyz" else _parsed(path, kind)
    except HopechoError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise HopechoError(
            f"cannot read a structure from {path}",
            got=f"{type(error).__name__}: {error}",
            fix="correct phases.<p>.structure: a CIF, POSCAR, extended XYZ, ... of a crystal",
        ) from error


def _parsed(path: Path, kind: str) -> Atoms:
    # The standard of CIF before 2.0; nothing but comments is beyond ASCII elsewhere.
    text = path.read_text(encoding="latin-1" if kind == "cif" else "utf-8")
    lines = text.split("\n")
    if kind != "cif":
        lines = [" ".join(line.split()) for line in lines]
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} has {len(line)} characters")
    atoms = _PARSERS[kind](lines)
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ValueError("a coordinate or the cell is not finite")
    if not len(atoms) or not 1 <= atoms.numbers.min() <= atoms.numbers.max() < len(
        chemical_symbols
    ):
        raise ValueError("no atoms, or one of no known element")
    if atoms.cell.rank == 3:
        _check_places(atoms)
    return atoms


def _check_places(atoms: Atoms) -> None:
    places = np.rint(atoms.get_scaled_positions(wrap=False) / SAME_PLACE).astype(np.int64)
    places %= round(1 / SAME_PLACE)
    _, first, count = np.unique(places, axis=0, return_index=True, return_counts=True)
    if count.max() > 1:
        atom = int(first[np.argmax(count > 1)])
        raise ValueError(f"another atom stands where atom {atom + 1} ({atoms[atom].symbol}) is")


def _number(words: str, line: int) -> int:
    if not re.fullmatch(r"\d{1,9}", words, re.ASCII):
        raise ValueError(f"line {line}: {words!r} is no number of atoms")
    return int(words)


def _check_rows(lines: Sequence[str], start: int, count: int, after: tuple[str, ...]) -> None:
    """`count` rows from a line on, then nothing, an empty line, or one that begins in a way."""
    rows = lines[start : start + count]
    if len(rows) < count or not all(rows):
        raise ValueError(f"{count} atoms claimed, {len([r for r in rows if r])} rows there")
    end = lines[start + count] if start + count < len(lines) else ""
    if end and not end.startswith(after):
        raise ValueError(f"{count} atoms claimed, but line {start + count + 1} is {end[:40]!r}")


def _poscar(lines: list[str]) -> Atoms:
    from ase.io.vasp import read_vasp

    if len(lines) < 8:
        raise ValueError(f"{len(lines)} lines")
    symbols = [word.split("_")[0].split("/")[0] for word in lines[5].split()]
    if not symbols or not set(symbols) <= set(atomic_numbers):
        raise ValueError(f"line 6 names no elements: {lines[5][:40]!r} (write them, as VASP 5)")
    counts = [_number(word, 7) for word in lines[6].split("!")[0].split()]
    if len(counts) != len(symbols):
        raise ValueError(f"{len(symbols)} elements, {len(counts)} numbers of atoms")
    first = 9 if lines[7][:1] in ("s", "S") else 8
    if len(lines) < first or lines[first - 1][:1] not in tuple("dDcCkK"):
        raise ValueError(f"line {first} says neither Direct nor Cartesian")
    _check_rows(lines, first, sum(counts), ("l", "L"))
    # ASE would take a lone number for all three coordinates.
    for number, line in enumerate(lines[first : first + sum(counts)], start=first + 1):
        if len(line.split()) < 3:
            raise ValueError(f"line {number} has no three coordinates")
    return read_vasp(io.StringIO("\n".join(lines) + "\n"))


def _xsf(lines: list[str]) -> Atoms:
    from ase.io.xsf import read_xsf

    lines = [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(lines):
        if line.startswith("PRIMCOORD"):
            words = lines[number + 1].split()
            _check_rows(lines, number + 2, _number(words[0], number + 2), _AFTER_XSF)
    return read_xsf(io.StringIO("\n".join(lines) + "\n"), index=-1)


def _res(lines: list[str]) -> Atoms:
    from ase.io.res import Res

    start = next((k for k, line in enumerate(lines) if line.startswith("SFAC")), len(lines))
    rows = [line for line in lines[start + 1 :] if line]
    if not rows or rows[-1] != "END":
        raise ValueError("no SFAC, or no END after it")
    bad = next((row for row in rows[:-1] if not _RES_ATOM.fullmatch(row)), None)
    if bad is not None:
        raise ValueError(f"{bad[:60]!r} is no atom: label, number, x, y, z, occupancy")
    if any(float(row.split()[5]) != 1.0 for row in rows[:-1]):
        raise ValueError("a site is partly occupied")
    if sum(line.startswith("CELL") and len(line.split()) == 8 for line in lines[:start]) != 1:
        raise ValueError("no CELL of a wavelength, three lengths and three angles, or several")
    return Res.from_string("\n".join([*lines[: start + 1], *rows])).atoms


def _aims(lines: list[str]) -> Atoms:
    from ase.io.aims import parse_geometry_lines

    lines = [line.partition("#")[0] for line in lines]
    for number, line in enumerate(lines, start=1):
        # Relations between parameters (symmetry_...) are expressions: nothing here evaluates them.
        if line and line.split()[0] not in _AIMS:
            raise ValueError(f"line {number}: {line.split()[0][:40]!r} is not known here")
    return parse_geometry_lines(lines, apply_constraints=False)


def _lammps(lines: list[str]) -> Atoms:
    from ase.io.lammpsdata import read_lammps_data

    plain = [line.partition("#")[0].strip() for line in lines]
    heads = [k for k, line in enumerate(plain) if k and re.match(r"Atoms\b", line)]
    if len(heads) != 1:
        raise ValueError(f"{len(heads)} sections Atoms")
    claims = [k for k, line in enumerate(plain[: heads[0]]) if k and re.search(r" atoms\b", line)]
    if len(claims) != 1:
        raise ValueError("the number of atoms is missing or there twice")
    words = plain[claims[0]]
    count = _number(words.removesuffix(" atoms"), claims[0] + 1)
    if "".join(plain[heads[0] + 1 : heads[0] + 2]):
        raise ValueError(f"line {heads[0] + 2} is not empty")
    _check_rows(plain, heads[0] + 2, count, ())
    if "Masses" not in plain:
        raise ValueError("without Masses nothing says which elements the types are")
    # ASE sorts types and positions, but not labels, by id.
    atoms = read_lammps_data(io.StringIO("\n".join(lines) + "\n"), sort_by_id=False)
    ids = atoms.arrays["id"]
    if len(np.unique(ids)) != count:
        raise ValueError("an id stands there twice")
    if np.abs(atoms.get_masses() - atomic_masses[atoms.numbers]).max() > MASS_TOLERANCE_U:
        raise ValueError("a mass is that of no element")
    return atoms[np.argsort(ids)]


def _cif(lines: list[str]) -> Atoms:
    from ase.io.cif import parse_cif

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=_LOST)
        blocks = [b for b in parse_cif(io.StringIO("\n".join(lines))) if b.has_structure()]
        if not blocks:
            raise ValueError("no block with atoms")
        block = blocks[-1]
        operations = next((block[name] for name in _OPERATIONS if name in block), [])
        sites = len(block.get_symbols())
        if isinstance(operations, list) and len(operations) > MOST_OPERATIONS:
            raise ValueError(f"{len(operations)} symmetry operations")
        if sites > MOST_SITES:
            raise ValueError(f"{sites} sites")
        shares = block.get("_atom_site_occupancy", 1)
        if any(x not in (1, "?", ".") for x in (shares if isinstance(shares, list) else [shares])):
            raise ValueError("a site is partly occupied: order the structure first")
        atoms = block.get_atoms(fractional_occupancies=False)
    _check_formula(block.get("_chemical_formula_sum"), atoms)
    return atoms


def _check_formula(formula: object, atoms: Atoms) -> None:
    """A CIF counts no rows, but many give the composition."""
    words = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", str(formula).replace(" ", ""))
    if not words or "".join(a + b for a, b in words) != str(formula).replace(" ", ""):
        return
    said = dict.fromkeys(set(atoms.get_chemical_symbols()), 0.0)
    for symbol, count in words:
        said[symbol] = said.get(symbol, 0.0) + float(count or 1)
    found = {symbol: atoms.get_chemical_symbols().count(symbol) for symbol in said}
    scale = sum(found.values()) / max(sum(said.values()), 1e-9)
    if any(
        abs(said[symbol] * scale - found[symbol]) > 0.05 + 0.001 * len(atoms) for symbol in said
    ):
        raise ValueError(f"the atoms are {atoms.get_chemical_formula()}, the formula is {formula}")


_PARSERS: Mapping[str, Callable[[list[str]], Atoms]] = {
    "cif": _cif,
    "vasp": _poscar,
    "xsf": _xsf,
    "res": _res,
    "aims": _aims,
    "lammps-data": _lammps,
}
FORMATS = ("extxyz", *_PARSERS)
"""ASE's names of the formats."""
