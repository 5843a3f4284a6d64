"""Pseudopotential files for pw.x and Abinit out of the data packages of Debian.

``cp2k-data`` holds the norm-conserving potentials of Goedecker, Teter and Hutter (GTH); written as
Abinit's pspcod 10 text with a name ending in ``.gth`` they are read by pw.x. ``gpaw-data`` holds
PAW setups, which Abinit reads once they are unpacked and named as ASE's calculator expects.

Sources: S. Goedecker, M. Teter, J. Hutter, Phys. Rev. B 54, 1703 (1996); C. Hartwigsen,
S. Goedecker, J. Hutter, Phys. Rev. B 58, 3641 (1998); M. Krack, Theor. Chem. Acc. 114, 145 (2005).
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hopecho.errors import HopechoError

GTH_SOURCE = Path("/usr/share/cp2k/GTH_POTENTIALS")
PAW_SOURCE = Path("/usr/share/gpaw-setups")
_PSPXC = {"PBE": 11, "PADE": 1, "BLYP": 18}
"""Abinit's numbers of the functionals that both files know."""
_MOST_PROJECTORS = (3, 3, 2, 1)
"""What pw.x evaluates for l = 0..3."""
_MOST_LOCAL = 4
_COUNT = re.compile(r"-q(\d+)$")


@dataclass(frozen=True)
class GthPotential:
    """One entry of a GTH file; lengths in Bohr, energies in Hartree."""

    element: str
    names: tuple[str, ...]
    """Name and aliases, such as ``GTH-PBE-q5`` and ``GTH-PBE``."""
    valence: int
    """Number of valence electrons."""
    r_loc: float
    """Radius of the local part."""
    local: tuple[float, ...]
    """Coefficients C_1.. of the local part."""
    channels: tuple[tuple[float, tuple[tuple[float, ...], ...]], ...]
    """For l = 0, 1, ..: radius and upper triangle of h_ij, row by row."""


def read_gth(text: str) -> Iterator[GthPotential]:
    """Read the entries of a file of GTH potentials in CP2K's format.

    Raises
    ------
    ValueError
        A line is not what its place asks for.
    """
    lines = [line.split() for line in text.splitlines() if line.split("#")[0].strip()]
    at = 0
    while at < len(lines):
        (element, *names), electrons, (r_loc, count, *local) = lines[at : at + 3]
        if not names or not names[0].startswith("GTH"):
            raise ValueError(f"expected the head of an entry, found {' '.join(lines[at])!r}")
        if len(local) != int(count):
            raise ValueError(f"{element} {names[0]}: {count} local coefficients expected")
        channels, at = _read_channels(lines, at + 3)
        valence = sum(int(n) for n in electrons)
        yield GthPotential(
            element, tuple(names), valence, float(r_loc), tuple(map(float, local)), channels
        )


def _read_channels(
    lines: list[list[str]], at: int
) -> tuple[tuple[tuple[float, tuple[tuple[float, ...], ...]], ...], int]:
    """Projector channels that start at a line, and the line after them."""
    channels = []
    (number,) = lines[at]
    at += 1
    for _ in range(int(number)):
        radius, count, *first = lines[at]
        rows = [first, *lines[at + 1 : at + int(count)]]
        if int(count) == 0:
            rows = []
        if [len(row) for row in rows] != list(range(int(count), 0, -1)):
            raise ValueError(f"projectors do not form a triangle: {' '.join(lines[at])!r}")
        channels.append((float(radius), tuple(tuple(map(float, row)) for row in rows)))
        at += max(int(count), 1)
    return tuple(channels), at


def convert_gth(source: Path, element: str, out: Path, functional: str = "PBE") -> Path:
    """Write ``<element>.gth``, which pw.x (and Abinit) reads, from CP2K's file.

    The potential is the default of its functional: the entry that also carries the short name
    ``GTH-<functional>`` (Li 3, P 5, S 6 electrons), or the only one there is.

    Parameters
    ----------
    source : Path
        CP2K's ``GTH_POTENTIALS``.
    element : str
        Such as ``Li``.
    out : Path
        Folder, made if need be.
    functional : str
        ``PBE``, ``PADE`` (local density) or ``BLYP``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    HopechoError
        No such file, functional or entry, or projectors that pw.x does not evaluate.
    """
    functional = functional.upper()
    if functional not in _PSPXC:
        raise HopechoError(
            "No number is known for this functional",
            got=functional,
            fix=f"choose one of {', '.join(_PSPXC)}",
        )
    text = _source_text(source, "cp2k-data")
    try:
        entries = [p for p in read_gth(text) if p.element == element]
    except ValueError as error:
        raise HopechoError(
            f"{source} is not a file of GTH potentials in CP2K's format",
            got=str(error),
            fix="use GTH_POTENTIALS of the package cp2k-data",
        ) from error
    potential = _default(entries, f"GTH-{functional}")
    if potential is None:
        names = ", ".join(sorted(p.names[0] for p in entries)) or "no entry for the element"
        raise HopechoError(
            f"{source} has no default GTH-{functional} potential of {element}",
            got=names,
            fix="check the element's symbol, choose another functional, or name a UPF file in "
            "labels.espresso.pseudopotentials instead",
        )
    _check_projectors(potential)
    return _write(out / f"{element}.gth", _pspcod10(potential, functional))


def _default(entries: list[GthPotential], short: str) -> GthPotential | None:
    """The entry that carries the short name; else the only one of that functional."""
    marked = [p for p in entries if short in p.names]
    whole = re.compile(re.escape(short) + r"(-q\d+)?")
    ours = marked or [p for p in entries if any(whole.fullmatch(name) for name in p.names)]
    return ours[0] if len(ours) == 1 else None


def _check_projectors(potential: GthPotential) -> None:
    counts = [len(rows) for _, rows in potential.channels]
    fits = len(counts) <= len(_MOST_PROJECTORS) and len(potential.local) <= _MOST_LOCAL
    if not fits or any(n > most for n, most in zip(counts, _MOST_PROJECTORS)):
        raise HopechoError(
            f"pw.x cannot evaluate the GTH potential of {potential.element}",
            got=f"projectors for l = 0, 1, ..: {counts}; local terms: {len(potential.local)}",
            fix="name a UPF file in labels.espresso.pseudopotentials instead",
        )
    printed = _COUNT.search(potential.names[0])
    if printed and int(printed.group(1)) != potential.valence:
        raise HopechoError(
            f"The GTH entry of {potential.element} contradicts itself",
            got=f"{potential.names[0]} with {potential.valence} electrons",
            fix="use GTH_POTENTIALS of the package cp2k-data as it is",
        )


def _pspcod10(potential: GthPotential, functional: str) -> str:
    """Abinit's pspcod 10 text: h_ij of every l from 0 on, k_ij (spin-orbit) zero for l > 0."""
    from ase.data import atomic_numbers

    number = atomic_numbers[potential.element]
    # Without projectors one empty channel stands for l = 0.
    channels = potential.channels or ((0.0, ()),)
    lines = [
        f"{potential.names[0]} {potential.element}, from CP2K's GTH_POTENTIALS",
        f"{number} {potential.valence} 210212  znucl zion pspdat",
        f"10 {_PSPXC[functional]} {len(channels) - 1} 0 2001 0  pspcod pspxc lmax lloc mmax r2well",
        " ".join([_number(potential.r_loc), str(len(potential.local)), *_row(potential.local)]),
        str(len(potential.channels)),
    ]
    for l, (radius, rows) in enumerate(channels):
        lines.append(" ".join([_number(radius), str(len(rows)), *_row(rows[0] if rows else ())]))
        lines += [" ".join(_row(row)) for row in rows[1:]]
        if l > 0:
            lines += [" ".join(_row([0.0] * len(row))) for row in rows]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.8f}"


def _row(values: Sequence[float]) -> list[str]:
    return [_number(value) for value in values]


def unpack_paw(source: Path, element: str, out: Path) -> Path:
    """Unpack a PAW setup of gpaw-data to ``<element>.GGA_PBE-gpaw.xml``, ASE's name for Abinit.

    Parameters
    ----------
    source : Path
        Folder with ``<element>.PBE.gz``.
    element : str
        Such as ``Li``.
    out : Path
        Folder, made if need be.

    Raises
    ------
    HopechoError
        No such folder or setup, or it is not what it should be.
    """
    packed = source / f"{element}.PBE.gz"
    if not source.is_dir():
        raise _not_installed(source, "gpaw-data")
    try:
        text = gzip.decompress(packed.read_bytes()).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise HopechoError(
            f"Cannot read the PAW setup of {element}",
            got=f"{packed}: {error}",
            fix="check the element's symbol, or install gpaw-data again",
        ) from error
    if "<paw_setup" not in text or f'symbol="{element}"' not in text.replace("'", '"'):
        raise HopechoError(
            f"{packed} is not a PAW setup of {element}",
            got=text[:80],
            fix="install gpaw-data again: apt-get install --reinstall gpaw-data",
        )
    return _write(out / f"{element}.GGA_PBE-gpaw.xml", text)


def write_set(
    kind: Literal["gth", "paw"], elements: Sequence[str], folder: Path, source: Path | None = None
) -> list[str]:
    """Write the pseudopotentials of some elements into a folder.

    Parameters
    ----------
    kind : str
        ``gth`` for pw.x, ``paw`` for Abinit.
    elements : sequence of str
        Such as ``["Li", "P", "S"]``.
    folder : Path
        Made if need be.
    source : Path, optional
        Default: where Debian's ``cp2k-data`` or ``gpaw-data`` puts its files.

    Returns
    -------
    list of str
        Paths of the files, in the order of `elements`.

    Raises
    ------
    HopechoError
        Unknown kind, no elements, or a potential that cannot be had.
    """
    if kind not in ("gth", "paw"):
        raise HopechoError(
            "Unknown kind of pseudopotential",
            got=str(kind),
            fix="gth (for pw.x) or paw (for Abinit)",
        )
    if not elements:
        raise HopechoError("No elements were named", fix="name them, e.g. Li P S")
    if kind == "gth":
        return [str(convert_gth(source or GTH_SOURCE, e, folder)) for e in elements]
    return [str(unpack_paw(source or PAW_SOURCE, e, folder)) for e in elements]


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all: other processes may be reading the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def _source_text(source: Path, package: str) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise _not_installed(source, package) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HopechoError(
            f"Cannot read {source}",
            got=str(error),
            fix=f"install it again: apt-get install --reinstall {package}",
        ) from error


def _not_installed(source: Path, package: str) -> HopechoError:
    return HopechoError(
        "The source of the pseudopotentials is not there",
        got=str(source),
        fix=f"apt-get install {package}, or name another place",
    )
