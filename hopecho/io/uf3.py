"""UF3 potentials in memory and in the `.uf3` text format that LAMMPS `pair_style uf3 3` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from hopecho.errors import HopechoError
from hopecho.io.results import read_json
from hopecho.io.uf3_check import (
    REPEATS as REPEATS,
)
from hopecho.io.uf3_check import UNIFORM, check_pair, check_triplet, is_uniform, row_text

HEADER = "#UF3 POT UNITS: metal DATE: none AUTHOR: hopecho CITATION: 10.1038/s41524-023-01092-7"
LEADING_TRIM, TRAILING_TRIM = 0, 3


@dataclass(frozen=True, eq=False)
class PairSpline:
    """Two-body term phi2(r) = sum_n c_n B_n(r) of one pair of elements.

    Attributes
    ----------
    knots : (n_coefficients + 4,), Angstrom
        Clamped uniform knots (up to rounding): both ends stand four times.
    coefficients : (n_coefficients,), eV
        The last three are zero, so that phi2 ends with two continuous derivatives.
    """

    knots: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True, eq=False)
class TripletSpline:
    """Three-body term phi3 = sum_lmn c_lmn B_l(r_ij) B_m(r_ik) B_n(r_jk) of one (centre; j, k).

    Attributes
    ----------
    knots_ij, knots_ik, knots_jk : (n + 4,), Angstrom
        Clamped uniform knots; the last jk knot is the sum of the last ij and ik knots.
    coefficients : (L, M, N), eV
        Axes ij, ik, jk. Symmetric in the first two axes where j and k are one element.
    """

    knots_ij: np.ndarray
    knots_ik: np.ndarray
    knots_jk: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True, eq=False)
class Uf3Potential:
    """A two- and three-body UF3 potential.

    E = sum_i c1 + sum over ordered pairs phi2(r_ij) + sum_i sum over unordered {j, k} phi3.

    Attributes
    ----------
    elements : tuple of str
        Order of the LAMMPS types.
    two_body : dict of (a, b) to PairSpline
        Keys follow the order of `elements`.
    three_body : dict of (centre, a, b) to TripletSpline
        a and b follow the order of `elements`.
    one_body : dict of str to float, eV
        Energy of one atom of each element; not part of the `.uf3` file.

    Source: Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023), eqs. 2-6.
    """

    elements: tuple[str, ...]
    two_body: Mapping[tuple[str, str], PairSpline]
    three_body: Mapping[tuple[str, str, str], TripletSpline]
    one_body: Mapping[str, float] = field(default_factory=dict)

    @property
    def cutoff_2b_angstrom(self) -> float:
        """Longest two-body cutoff."""
        return max((float(pair.knots[-1]) for pair in self.two_body.values()), default=0.0)

    @property
    def cutoff_3b_angstrom(self) -> float:
        """Longest centre-neighbour cutoff of the three-body terms."""
        return max((float(t.knots_ij[-1]) for t in self.three_body.values()), default=0.0)


def pair_keys(elements: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the unordered pairs of elements in file order."""
    return [(a, b) for a, b in combinations_with_replacement(elements, 2)]


def triplet_keys(elements: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return (centre, a, b) with unordered a, b, in file order."""
    return [(centre, a, b) for centre in elements for a, b in pair_keys(elements)]


def reordered(potential: Uf3Potential, elements: tuple[str, ...]) -> Uf3Potential:
    """Return the same potential with its elements, and the keys of its terms, in another order."""
    place = {name: index for index, name in enumerate(elements)}
    two_body = {
        (a, b) if place[a] <= place[b] else (b, a): spline
        for (a, b), spline in potential.two_body.items()
    }
    three_body = {}
    for (centre, a, b), t in potential.three_body.items():
        if place[a] > place[b]:
            grid = np.ascontiguousarray(t.coefficients.transpose(1, 0, 2))
            a, b, t = b, a, TripletSpline(t.knots_ik, t.knots_ij, t.knots_jk, grid)
        three_body[centre, a, b] = t
    pairs = {key: two_body[key] for key in pair_keys(elements) if key in two_body}
    triplets = {key: three_body[key] for key in triplet_keys(elements) if key in three_body}
    return replace(potential, elements=elements, two_body=pairs, three_body=triplets)


def write_uf3(path: str | Path, potential: Uf3Potential) -> None:
    """Write every interaction to one file; equal potentials give equal bytes.

    Knots that a rounded file gave are written as `nk`; LAMMPS wants one kind for a whole file.

    Parameters
    ----------
    path : path of the file to write
    potential : Uf3Potential

    Raises
    ------
    HopechoError
        If a knot vector or a coefficient array is not what LAMMPS reads.
    """
    lines: list[str] = []
    kind = _kind(potential)
    for pair in pair_keys(potential.elements):
        if pair in potential.two_body:
            lines += _pair_block(pair, potential.two_body[pair], kind)
    for key in triplet_keys(potential.elements):
        if key in potential.three_body:
            lines += _triplet_block(key, potential.three_body[key], kind)
    Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def read_uf3(path: str | Path, *, sidecar: str | Path | None = None) -> Uf3Potential:
    """Read a `.uf3` file with uniform knots, of this program or another.

    Blocks, and the two neighbours of a triplet, may stand in any order; comments may stand between
    blocks. Knots may be marked `uk` or `nk`, but must be uniform up to rounding.

    Parameters
    ----------
    path : path of the `.uf3` file
    sidecar : path of the JSON file with the one-body energies; without it they are zero

    Returns
    -------
    Uf3Potential
        Its elements stand in the order of their first two-body block, or of the sidecar.

    Raises
    ------
    HopechoError
        If the units are not metal, or a block is damaged, repeated, cut off elsewhere than at its
        last knot, or holds non-uniform knots.
    """
    two_body: dict[tuple[str, str], PairSpline] = {}
    three_body: dict[tuple[str, str, str], TripletSpline] = {}
    for block in _blocks(path):
        _read_block(path, block, two_body, three_body)
    if not two_body:
        raise HopechoError(f"{path} holds no two-body block", fix="give a UF3 potential file")
    elements = tuple(dict.fromkeys(name for pair in two_body for name in pair))
    strange = sorted({name for key in three_body for name in key} - set(elements))
    if strange:
        raise HopechoError(f"{path} holds triplets without their pairs", got=", ".join(strange))
    one_body = dict.fromkeys(elements, 0.0)
    if sidecar is not None:
        record = read_sidecar(sidecar)
        cutoff = max((float(t.knots_ij[-1]) for t in three_body.values()), default=0.0)
        if abs(float(record.get("cutoff_3b_angstrom") or cutoff) - cutoff) > 1e-6:
            raise HopechoError(
                f"{sidecar} does not belong to {path}, or triplets are missing there",
                got=f"three-body cutoffs {record['cutoff_3b_angstrom']} and {cutoff} A",
                fix="give the .json written beside the .uf3",
            )
        if set(record["elements"]) != set(elements):
            raise HopechoError(
                f"{sidecar} does not belong to {path}: the elements differ",
                got=f"{record['elements']} and {list(elements)}",
                fix="give the .json written beside the .uf3",
            )
        elements = tuple(record["elements"])
        one_body = {name: float(record["one_body_energies_ev"][name]) for name in elements}
    return reordered(Uf3Potential(elements, two_body, three_body, one_body), elements)


def write_sidecar(path: str | Path, potential: Uf3Potential) -> None:
    """Write what the `.uf3` format cannot hold (one-body energies) as plain JSON."""
    record = {
        "elements": list(potential.elements),
        "one_body_energies_ev": {
            e: float(potential.one_body.get(e, 0.0)) for e in potential.elements
        },
        "cutoff_2b_angstrom": potential.cutoff_2b_angstrom,
        "cutoff_3b_angstrom": potential.cutoff_3b_angstrom,
    }
    Path(path).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_sidecar(path: str | Path) -> dict:
    """Read the JSON of `write_sidecar`.

    Returns
    -------
    dict
        elements, one_body_energies_ev (eV), cutoff_2b_angstrom, cutoff_3b_angstrom.

    Raises
    ------
    HopechoError
        If a key is missing.
    """
    record = read_json(path)
    missing = {"elements", "one_body_energies_ev"} - set(record)
    if missing:
        raise HopechoError(f"{path} lacks {sorted(missing)}", fix="write it with the potential")
    elements, energies = record["elements"], record["one_body_energies_ev"]
    named = isinstance(elements, list) and isinstance(energies, dict)
    named = named and isinstance(record.get("cutoff_3b_angstrom", 0.0), int | float)
    if not named or not all(isinstance(energies.get(str(e)), int | float) for e in elements):
        raise HopechoError(
            f"{path} does not give a number for every element",
            got=f"elements {elements!r}, one_body_energies_ev {energies!r}",
            fix="write it with the potential",
        )
    return record


def _kind(potential: Uf3Potential) -> str:
    vectors = [pair.knots for pair in potential.two_body.values()]
    for t in potential.three_body.values():
        vectors += [t.knots_ij, t.knots_ik, t.knots_jk]
    return "uk" if all(is_uniform(knots, UNIFORM) for knots in vectors) else "nk"


def _pair_block(pair: tuple[str, str], spline: PairSpline, kind: str) -> list[str]:
    name = "-".join(pair)
    check_pair(name, spline.knots, spline.coefficients)
    return [
        HEADER,
        f"2B {pair[0]} {pair[1]} {LEADING_TRIM} {TRAILING_TRIM} {kind}",
        f"{float(spline.knots[-1])!r} {len(spline.knots)}",
        row_text(spline.knots),
        str(len(spline.coefficients)),
        row_text(spline.coefficients),
        "#",
    ]


def _triplet_block(key: tuple[str, str, str], spline: TripletSpline, kind: str) -> list[str]:
    name = "-".join(key)
    check_triplet(name, (spline.knots_ij, spline.knots_ik, spline.knots_jk), spline.coefficients)
    vectors = (spline.knots_jk, spline.knots_ik, spline.knots_ij)
    cutoffs = " ".join(repr(float(knots[-1])) for knots in vectors)
    sizes = " ".join(str(len(knots)) for knots in vectors)
    shape = spline.coefficients.shape
    rows = spline.coefficients.reshape(-1, shape[2])
    return [
        HEADER,
        f"3B {' '.join(key)} {LEADING_TRIM} {TRAILING_TRIM} {kind}",
        f"{cutoffs} {sizes}",
        *(row_text(knots) for knots in vectors),
        " ".join(str(size) for size in shape),
        *(row_text(row) for row in rows),
        "#",
    ]


def _blocks(path: str | Path) -> Iterator[list[list[str]]]:
    """Yield the tokenised lines of each block, without its header and closing line."""
    block: list[list[str]] = []
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise HopechoError(f"Cannot read {path}", got=str(error), fix="check the path") from None
    if not text.endswith("\n"):
        raise HopechoError(
            f"{path} is empty or cut off", got=repr(text[-40:]), fix="write the file again"
        )
    for line in text.splitlines():
        if line.startswith("#"):
            units = re.search(r"^#UF3 POT.*UNITS:\s*(\S+)", line)
            if units and units[1] != "metal":
                raise HopechoError(f"{path} is not in metal units", got=line, fix="convert it")
            if block:
                yield block
            block = []
        elif line.strip():
            block.append(line.split())
    if block:
        yield block


def _read_block(
    path: str | Path,
    block: list[list[str]],
    two_body: dict[tuple[str, str], PairSpline],
    three_body: dict[tuple[str, str, str], TripletSpline],
) -> None:
    kind, *names = block[0][:-3] or block[0]
    label = " ".join(block[0])
    trims = [str(LEADING_TRIM), str(TRAILING_TRIM)]
    if block[0][-3:] not in ([*trims, "uk"], [*trims, "nk"]):
        raise HopechoError(
            f"{path}: block {label!r} is not of the supported kind",
            got=" ".join(block[0][-3:]),
            fix="use trims 0 and 3 and uniform knots: '0 3 uk'",
        )
    try:
        if not set(names) <= set(atomic_numbers):
            raise ValueError("it names no elements")
        if kind == "2B" and len(names) == 2:
            if {(names[0], names[1]), (names[1], names[0])} & set(two_body):
                raise ValueError("it stands in the file twice")
            pair = PairSpline(_numbers(block[2]), _numbers(block[4]))
            check_pair(label, pair.knots, pair.coefficients)
            _check_cutoffs(block[1], pair.knots)
            if block[3] != [str(len(pair.coefficients))] or len(block) > 5:
                raise ValueError("another number of coefficients, or lines after them")
            two_body[names[0], names[1]] = pair
        elif kind == "3B" and len(names) == 3:
            centre, a, b = names
            if {(centre, a, b), (centre, b, a)} & set(three_body):
                raise ValueError("it stands in the file twice")
            shape = tuple(int(size) for size in block[5])
            grid = np.concatenate([_numbers(row) for row in block[6:]]).reshape(shape)
            jk, ik, ij = (_numbers(row) for row in block[2:5])
            check_triplet(label, (ij, ik, jk), grid)
            _check_cutoffs(block[1], jk, ik, ij)
            three_body[centre, a, b] = TripletSpline(ij, ik, jk, grid)
        else:
            raise ValueError("expected '2B A B' or '3B A B C'")
    except (HopechoError, ValueError, IndexError, OverflowError) as error:
        raise HopechoError(
            f"{path}: block {label!r} is damaged", got=str(error), fix="write the file again"
        ) from error


def _check_cutoffs(line: list[str], *knots: np.ndarray) -> None:
    """LAMMPS cuts off where this line says; the splines here end at their last knots."""
    cutoffs = [float(word) for word in line[: len(knots)]]
    if cutoffs != [float(vector[-1]) for vector in knots]:
        raise ValueError(f"cutoffs {cutoffs} are not the last knots")
    if line[len(knots) :] != [str(len(vector)) for vector in knots]:
        raise ValueError(f"numbers of knots {line[len(knots) :]} are not those that follow")


def _numbers(tokens: list[str]) -> np.ndarray:
    # Python reads 1_0 as ten; LAMMPS does not.
    if any("_" in token for token in tokens):
        raise ValueError("an underscore in a number")
    return np.array([float(token) for token in tokens])
