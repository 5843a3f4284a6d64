from dataclasses import replace

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.uf3 import (
    PairSpline,
    TripletSpline,
    Uf3Potential,
    pair_keys,
    read_sidecar,
    read_uf3,
    triplet_keys,
    write_sidecar,
    write_uf3,
)

ELEMENTS = ("S", "Li")


def clamped(first, last, intervals):
    inner = np.linspace(first, last, intervals + 1)
    return np.concatenate([[first] * 3, inner, [last] * 3])


@pytest.fixture
def potential():
    rng = np.random.default_rng(1)
    pair, arm, base = clamped(0.0, 5.5, 8), clamped(0.8, 4.1, 3), clamped(0.8, 8.2, 5)
    return Uf3Potential(
        ELEMENTS,
        {key: PairSpline(pair, rng.normal(size=11)) for key in pair_keys(ELEMENTS)},
        {
            key: TripletSpline(arm, arm, base, rng.normal(size=(6, 6, 8)) * 1e-7)
            for key in triplet_keys(ELEMENTS)
        },
        {"S": -312.123456789012, "Li": 1 / 3},
    )


def test_round_trip_is_exact_in_every_bit(potential, tmp_path):
    write_uf3(tmp_path / "a.uf3", potential)
    write_sidecar(tmp_path / "a.json", potential)
    back = read_uf3(tmp_path / "a.uf3", sidecar=tmp_path / "a.json")
    assert back.elements == potential.elements
    assert back.one_body == potential.one_body
    assert list(back.two_body) == list(potential.two_body)
    assert list(back.three_body) == list(potential.three_body)
    for key, pair in potential.two_body.items():
        np.testing.assert_array_equal(back.two_body[key].knots, pair.knots)
        np.testing.assert_array_equal(back.two_body[key].coefficients, pair.coefficients)
    for key, term in potential.three_body.items():
        for name in ("knots_ij", "knots_ik", "knots_jk", "coefficients"):
            np.testing.assert_array_equal(getattr(back.three_body[key], name), getattr(term, name))
    write_uf3(tmp_path / "b.uf3", back)
    assert (tmp_path / "a.uf3").read_bytes() == (tmp_path / "b.uf3").read_bytes()


def test_without_a_sidecar_the_elements_come_from_the_pairs(potential, tmp_path):
    write_uf3(tmp_path / "a.uf3", potential)
    back = read_uf3(tmp_path / "a.uf3")
    assert back.elements == ELEMENTS
    assert back.one_body == {"S": 0.0, "Li": 0.0}
    assert (back.cutoff_2b_angstrom, back.cutoff_3b_angstrom) == (5.5, 4.1)


def test_sidecar_of_another_potential_is_refused(potential, tmp_path):
    write_uf3(tmp_path / "a.uf3", potential)
    write_sidecar(tmp_path / "a.json", replace(potential, elements=("S",)))
    assert read_sidecar(tmp_path / "a.json")["elements"] == ["S"]
    with pytest.raises(HopechoError, match="elements differ"):
        read_uf3(tmp_path / "a.uf3", sidecar=tmp_path / "a.json")


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ("2B S S 0 3 uk", "2B S S 0 3 xk", "not of the supported kind"),
        ("2B S S 0 3 uk", "2B S S 1 3 uk", "not of the supported kind"),
        ("6 6 8", "6 6 9", "damaged"),
        ("5.5 5.5 5.5", "5.5 5.5 5.4", "not uniform"),
        ("e-07", "e-x", "damaged"),
    ],
)
def test_damaged_files_are_named(potential, tmp_path, find, put, message):
    path = tmp_path / "a.uf3"
    write_uf3(path, potential)
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put, 1))
    with pytest.raises(HopechoError, match=message):
        read_uf3(path)


def test_what_lammps_cannot_read_is_not_written(potential, tmp_path):
    wrong = replace(potential.three_body["S", "Li", "Li"], knots_jk=clamped(0.8, 8.0, 5))
    broken = replace(potential, three_body={("S", "Li", "Li"): wrong})
    with pytest.raises(HopechoError, match="rjk = 2 rij"):
        write_uf3(tmp_path / "a.uf3", broken)
    pair = potential.two_body["S", "S"]
    spoiled = replace(pair, coefficients=pair.coefficients * np.inf)
    with pytest.raises(HopechoError, match="not finite"):
        write_uf3(tmp_path / "a.uf3", replace(potential, two_body={("S", "S"): spoiled}))
