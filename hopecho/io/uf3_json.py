"""UF3 potentials in the JSON of the uf3 package (`WeightedLinearModel.to_json`, uf3 0.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from hopecho.errors import HopechoError
from hopecho.io.uf3 import (
    LEADING_TRIM,
    TRAILING_TRIM,
    PairSpline,
    TripletSpline,
    Uf3Potential,
    pair_keys,
    reordered,
    triplet_keys,
)
from hopecho.io.uf3_check import check_pair, check_triplet

NEEDED = ("element_list", "degree", "coefficients", "knots_map")


def read_uf3_json(path: str | Path) -> Uf3Potential:
    """Read a model that the uf3 package wrote.

    uf3 orders elements by atomic number, names a term by its elements joined with dashes (the
    centre first), and writes triplets as full grids (ij, ik, jk), both halves of the exchange of
    equal neighbours filled. That is our form, and so are its energies: c1 of each atom, phi2 of
    each ordered pair, phi3 of each centre and unordered pair of neighbours.

    Parameters
    ----------
    path : path of the JSON file

    Returns
    -------
    Uf3Potential
        Elements in the order of atomic numbers; energies in eV, lengths in Angstrom.

    Raises
    ------
    HopechoError
        If the file is not such a model, a term is missing or misshapen, its knots are not
        uniform, or it does not vanish smoothly at its cutoff (`trailing_trim` other than 3).

    Source: https://github.com/uf3/uf3, uf3/regression/least_squares.py (as_dict, load).
    """
    record = _record(path)
    elements = _elements(path, record["element_list"])
    coefficients, knots = record["coefficients"], record["knots_map"]
    expected = [*elements, *("-".join(key) for key in pair_keys(elements))]
    if record["degree"] == 3:
        expected += ["-".join(key) for key in triplet_keys(elements)]
    _check_names(path, "coefficients", coefficients, expected)
    _check_names(path, "knots_map", knots, expected[len(elements) :])
    one_body = {e: float(_array(path, e, coefficients[e], 0)) for e in elements}
    two_body, three_body = {}, {}
    for pair in pair_keys(elements):
        name = "-".join(pair)
        vector = _array(path, name, knots[name], 1)
        two_body[pair] = PairSpline(vector, _array(path, name, coefficients[name], 1))
    for key in triplet_keys(elements) if record["degree"] == 3 else []:
        name = "-".join(key)
        if not isinstance(knots[name], list) or len(knots[name]) != 3:
            raise HopechoError(f"{path}: {name} needs three knot vectors", fix="ij, ik and jk")
        ij, ik, jk = (_array(path, name, axis, 1) for axis in knots[name])
        three_body[key] = TripletSpline(ij, ik, jk, _array(path, name, coefficients[name], 3))
    potential = Uf3Potential(elements, two_body, three_body, one_body)
    try:
        _check(potential)
    except HopechoError as error:
        raise HopechoError(f"{path}: {error.what}", got=error.got, fix=error.fix) from error
    return potential


def write_uf3_json(path: str | Path, potential: Uf3Potential) -> None:
    """Write a model that the uf3 package loads (`WeightedLinearModel.from_json`).

    Raises
    ------
    HopechoError
        If a term is missing, its knots are not uniform, or it does not vanish smoothly at its
        cutoff: uf3 would drop coefficients or refuse the file.
    """
    elements = tuple(sorted(potential.elements, key=lambda name: atomic_numbers[name]))
    potential = reordered(potential, elements)
    degree = 3 if potential.three_body else 2
    terms = set(pair_keys(elements)) | (set(triplet_keys(elements)) if degree == 3 else set())
    missing = terms - set(potential.two_body) - set(potential.three_body)
    if missing:
        names = sorted("-".join(key) for key in missing)
        raise HopechoError("uf3 wants a term for every set of elements", got=f"no {names}")
    _check(potential)
    knots: dict[str, Any] = {}
    coefficients: dict[str, Any] = {e: float(potential.one_body.get(e, 0.0)) for e in elements}
    for pair, two in potential.two_body.items():
        knots["-".join(pair)] = two.knots.tolist()
        coefficients["-".join(pair)] = two.coefficients.tolist()
    for key, three in potential.three_body.items():
        axes = (three.knots_ij, three.knots_ik, three.knots_jk)
        knots["-".join(key)] = [axis.tolist() for axis in axes]
        coefficients["-".join(key)] = three.coefficients.tolist()
    record = {
        "element_list": list(elements),
        "degree": degree,
        "knot_strategy": "linear",
        "offset_1b": True,
        "leading_trim": LEADING_TRIM,
        "trailing_trim": TRAILING_TRIM,
        "knots_map": knots,
        "coefficients": coefficients,
    }
    Path(path).write_text(_text(record), encoding="utf-8")


def _text(record: dict[str, Any]) -> str:
    """Return JSON with one line a term: shortest numbers that read back to the same doubles."""
    lines = []
    for name, value in record.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _record(path: str | Path) -> dict[str, Any]:
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HopechoError(
            f"{path} cannot be read as JSON",
            got=str(error),
            fix="write it with the model's to_json",
        ) from error
    missing = [key for key in NEEDED if not isinstance(record, dict) or key not in record]
    if missing:
        raise HopechoError(
            f"{path} is not a model of the uf3 package: {', '.join(missing)} missing",
            fix="write it with WeightedLinearModel.to_json of uf3 0.4",
        )
    if type(record["degree"]) is not int or record["degree"] not in (2, 3):
        raise HopechoError(f"{path} is not of degree 2 or 3", got=str(record["degree"]))
    return record


def _elements(path: str | Path, names: Any) -> tuple[str, ...]:
    known = isinstance(names, list) and names and set(map(str, names)) <= set(atomic_numbers)
    if not known or len(set(names)) != len(names):
        raise HopechoError(f"{path}: element_list is not a list of elements", got=str(names))
    return tuple(sorted(names, key=lambda name: atomic_numbers[name]))


def _check_names(path: str | Path, part: str, record: Any, expected: list[str]) -> None:
    got = set(record) if isinstance(record, dict) else set()
    missing, unknown = sorted(set(expected) - got), sorted(got - set(expected))
    if missing or unknown:
        raise HopechoError(
            f"{path}: {part} does not hold one entry a term",
            got=f"missing {missing}, unknown {unknown}",
            fix="name terms as uf3 does: centre first, the others by atomic number",
        )


def _array(path: str | Path, name: str, value: Any, dimensions: int) -> np.ndarray:
    """Return an array of finite numbers of the expected number of dimensions."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise HopechoError(f"{path}: {name} holds no array of numbers", got=str(error)) from error
    if array.ndim != dimensions or not np.all(np.isfinite(array)):
        raise HopechoError(
            f"{path}: {name} is not an array of finite numbers of {dimensions} dimensions",
            got=f"shape {array.shape}",
            fix="write the model with to_json of uf3 0.4, which stores triplets as full grids",
        )
    return array


def _check(potential: Uf3Potential) -> None:
    """Refuse what does not mean the same here, in LAMMPS and in uf3."""
    for pair, two in potential.two_body.items():
        name = "-".join(pair)
        check_pair(name, two.knots, two.coefficients)
        _check_end(name, two.coefficients)
    for (centre, a, b), three in potential.three_body.items():
        name = "-".join((centre, a, b))
        check_triplet(name, (three.knots_ij, three.knots_ik, three.knots_jk), three.coefficients)
        _check_end(name, three.coefficients)
        same_arms = np.array_equal(three.knots_ij, three.knots_ik)
        grid = three.coefficients
        if a == b and not (same_arms and np.array_equal(grid, grid.transpose(1, 0, 2))):
            raise HopechoError(
                f"{name} changes when its two {a} are exchanged",
                fix="give equal knots and a grid symmetric in its first two axes",
            )


def _check_end(name: str, coefficients: np.ndarray) -> None:
    for axis in range(coefficients.ndim):
        if np.any(np.moveaxis(coefficients, axis, 0)[-TRAILING_TRIM:]):
            raise HopechoError(
                f"{name} does not vanish smoothly at its cutoff",
                got=f"one of the last {TRAILING_TRIM} coefficients along axis {axis} is not zero",
                fix="fit with trailing_trim 3",
            )
