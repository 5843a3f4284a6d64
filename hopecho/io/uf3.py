"""UF3 potentials in memory and in the `.uf3` text format that LAMMPS `pair_style uf3 3` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from hopecho.errors import HopechoError

HEADER = "#UF3 POT UNITS: metal DATE: none AUTHOR: hopecho CITATION: 10.1038/s41524-023-01092-7"
LEADING_TRIM, TRAILING_TRIM = 0, 3
REPEATS = 4


@dataclass(frozen=True, eq=False)
class PairSpline:
    """Two-body term phi2(r) = sum_n c_n B_n(r) of one pair of elements.

    Attributes
    ----------
    knots : (n_coefficients + 4,), Angstrom
        Clamped uniform knots: both ends stand four times.
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


def write_uf3(path: str | Path, potential: Uf3Potential) -> None:
    """Write every interaction to one file; equal potentials give equal bytes.

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
    for pair in pair_keys(potential.elements):
        if pair in potential.two_body:
            lines += _pair_block(pair, potential.two_body[pair])
    for key in triplet_keys(potential.elements):
        if key in potential.three_body:
            lines += _triplet_block(key, potential.three_body[key])
    Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def read_uf3(path: str | Path, *, sidecar: str | Path | None = None) -> Uf3Potential:
    """Read a `.uf3` file with uniform knots.

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
        If a block is damaged or holds non-uniform knots.
    """
    two_body: dict[tuple[str, str], PairSpline] = {}
    three_body: dict[tuple[str, str, str], TripletSpline] = {}
    for block in _blocks(path):
        _read_block(path, block, two_body, three_body)
    if not two_body:
        raise HopechoError(f"{path} holds no two-body block", fix="give a UF3 potential file")
    elements = tuple(dict.fromkeys(name for pair in two_body for name in pair))
    one_body = dict.fromkeys(elements, 0.0)
    if sidecar is not None:
        record = read_sidecar(sidecar)
        if set(record["elements"]) != set(elements):
            raise HopechoError(
                f"{sidecar} does not belong to {path}: the elements differ",
                got=f"{record['elements']} and {list(elements)}",
                fix="give the .json written beside the .uf3",
            )
        elements = tuple(record["elements"])
        one_body = {name: float(record["one_body_energies_ev"][name]) for name in elements}
    return Uf3Potential(elements, two_body, three_body, one_body)


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
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    missing = {"elements", "one_body_energies_ev"} - set(record)
    if missing:
        raise HopechoError(f"{path} lacks {sorted(missing)}", fix="write it with the potential")
    return record


def _row(values: np.ndarray) -> str:
    """Return numbers as the shortest text that reads back to the same doubles."""
    return " ".join(repr(float(value)) for value in values)


def _check_knots(name: str, knots: np.ndarray, n_coefficients: int) -> None:
    inner = knots[REPEATS - 1 : -REPEATS + 1]
    clamped = np.all(knots[:REPEATS] == knots[0]) and np.all(knots[-REPEATS:] == knots[-1])
    uniform = len(inner) > 1 and np.allclose(
        np.diff(inner), (knots[-1] - knots[0]) / (len(inner) - 1), rtol=1e-9, atol=1e-12
    )
    if not (clamped and uniform and knots[-1] > knots[0]):
        raise HopechoError(
            f"the knots of {name} are not uniform between ends that stand four times",
            got=_row(knots),
            fix="fit with this program or convert the potential to uniform knots ('uk')",
        )
    if len(knots) != n_coefficients + REPEATS:
        raise HopechoError(
            f"{name} has {len(knots)} knots for {n_coefficients} coefficients",
            fix="a cubic spline has four more knots than coefficients",
        )


def _check_pair(name: str, spline: PairSpline) -> None:
    _check_knots(name, spline.knots, len(spline.coefficients))
    if not np.all(np.isfinite(spline.coefficients)):
        raise HopechoError(f"{name} has a coefficient that is not finite", fix="refit")


def _check_triplet(name: str, spline: TripletSpline) -> None:
    knot_vectors = (spline.knots_ij, spline.knots_ik, spline.knots_jk)
    for knots, size in zip(knot_vectors, spline.coefficients.shape, strict=True):
        _check_knots(name, knots, size)
    if not np.all(np.isfinite(spline.coefficients)):
        raise HopechoError(f"{name} has a coefficient that is not finite", fix="refit")
    rij, rik, rjk = (float(knots[-1]) for knots in knot_vectors)
    # LAMMPS accepts one centre-neighbour cutoff a triplet and compares doubles for equality.
    if rij != rik or rjk != 2 * rij:
        raise HopechoError(
            f"the cutoffs of {name} do not fit LAMMPS",
            got=f"rij {rij}, rik {rik}, rjk {rjk}",
            fix="use rik = rij and rjk = 2 rij",
        )


def _pair_block(pair: tuple[str, str], spline: PairSpline) -> list[str]:
    name = "-".join(pair)
    _check_pair(name, spline)
    return [
        HEADER,
        f"2B {pair[0]} {pair[1]} {LEADING_TRIM} {TRAILING_TRIM} uk",
        f"{float(spline.knots[-1])!r} {len(spline.knots)}",
        _row(spline.knots),
        str(len(spline.coefficients)),
        _row(spline.coefficients),
        "#",
    ]


def _triplet_block(key: tuple[str, str, str], spline: TripletSpline) -> list[str]:
    name = "-".join(key)
    _check_triplet(name, spline)
    vectors = (spline.knots_jk, spline.knots_ik, spline.knots_ij)
    cutoffs = " ".join(repr(float(knots[-1])) for knots in vectors)
    sizes = " ".join(str(len(knots)) for knots in vectors)
    shape = spline.coefficients.shape
    rows = spline.coefficients.reshape(-1, shape[2])
    return [
        HEADER,
        f"3B {' '.join(key)} {LEADING_TRIM} {TRAILING_TRIM} uk",
        f"{cutoffs} {sizes}",
        *(_row(knots) for knots in vectors),
        " ".join(str(size) for size in shape),
        *(_row(row) for row in rows),
        "#",
    ]


def _blocks(path: str | Path) -> Iterator[list[list[str]]]:
    """Yield the tokenised lines of each block, without its header and closing line."""
    block: list[list[str]] = []
    for line in Path(path).read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
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
    kind, *names = block[0][:-3]
    label = " ".join(block[0])
    if block[0][-3:] != [str(LEADING_TRIM), str(TRAILING_TRIM), "uk"]:
        raise HopechoError(
            f"{path}: block {label!r} is not of the supported kind",
            got=" ".join(block[0][-3:]),
            fix="use trims 0 and 3 and uniform knots: '0 3 uk'",
        )
    try:
        if kind == "2B" and len(names) == 2:
            pair = PairSpline(_numbers(block[2]), _numbers(block[4]))
            _check_pair(label, pair)
            two_body[names[0], names[1]] = pair
        elif kind == "3B" and len(names) == 3:
            shape = tuple(int(size) for size in block[5])
            grid = np.concatenate([_numbers(row) for row in block[6:]]).reshape(shape)
            jk, ik, ij = (_numbers(row) for row in block[2:5])
            triplet = TripletSpline(ij, ik, jk, grid)
            _check_triplet(label, triplet)
            three_body[names[0], names[1], names[2]] = triplet
        else:
            raise ValueError("expected '2B A B' or '3B A B C'")
    except (ValueError, IndexError) as error:
        raise HopechoError(
            f"{path}: block {label!r} is damaged", got=str(error), fix="write the file again"
        ) from error


def _numbers(tokens: list[str]) -> np.ndarray:
    return np.array([float(token) for token in tokens])
