"""Conversion factors against published values, quantities and errors."""

import json
import math

import pytest

from hopecho import units
from hopecho.errors import HopechoError
from hopecho.units import QUANTITIES, Quantity, cq_khz_per_au, sigma_s_per_m, time_text


def test_factors_against_published_values():
    assert pytest.approx(9.7173624e21, rel=1e-7) == units.EFG_AU_V_M2
    assert pytest.approx(97.173624, rel=1e-7) == units.EFG_AU_V_A2
    assert pytest.approx(160.21766, rel=1e-7) == units.EV_A3_TO_GPA
    assert pytest.approx(1e-8) == units.A2_PS_TO_M2_S
    assert pytest.approx(8.617333e-5, rel=1e-6) == units.BOLTZMANN_EV_K


def test_coupling_of_a_unit_gradient():
    """A barn and an atomic unit give 234.9647 MHz; 7Li has -40.1 mb."""
    assert cq_khz_per_au("7Li") == pytest.approx(234.9647e3 * -0.0401, rel=1e-5)
    with pytest.raises(KeyError):
        cq_khz_per_au("4He")


def test_isotopes_are_those_of_sopranos_table():
    from soprano.data.nmr import _get_nmr_data

    table = _get_nmr_data()
    for name, isotope in units.ISOTOPES.items():
        theirs = table[isotope.symbol][str(isotope.mass_number)]
        assert (isotope.spin, isotope.quadrupole_mb) == (theirs["I"], theirs["Q"]), name
        assert isotope.mass_u == pytest.approx(isotope.mass_number, abs=0.1)


def test_nernst_einstein_by_hand():
    # 1e28 ions/m3 of charge e with D = 1e-12 m2/s at 300 K
    e, k = 1.602176634e-19, 1.380649e-23
    sigma = sigma_s_per_m(1e-12, number_density_m3=1e28, charge_e=1.0, temperature_k=300.0)
    assert sigma == pytest.approx(1e28 * e**2 * 1e-12 / (k * 300))
    doubled = sigma_s_per_m(1e-12, number_density_m3=1e28, charge_e=-2.0, temperature_k=600.0)
    assert doubled == pytest.approx(2 * sigma)


def quantity(**changes):
    known = {"value": 1.0, "stderr": 0.1, "interval": (0.9, 1.1), "unit": "ns", "n_independent": 4}
    return Quantity(**(known | changes))


def test_a_quantity_survives_json():
    bound = quantity(value=None, stderr=None, interval=(3.0, None), verdict="bound")
    for q in (quantity(), bound):
        assert Quantity.from_dict(json.loads(json.dumps(q.to_dict()))) == q


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({"value": math.nan}, "NaN"),
        ({"interval": (0.0, math.inf)}, "infinity"),
        ({"value": None}, "needs a value"),
        ({"verdict": "not_seen"}, "has no value"),
    ],
)
def test_a_quantity_cannot_lie(changes, match):
    with pytest.raises(ValueError, match=match):
        quantity(**changes)


def test_shown_units_follow_from_file_units():
    assert QUANTITIES["rmse_energy"].scale == 1e3
    assert QUANTITIES["rmse_energy"].unit == "meV/atom"


def test_an_error_says_what_got_and_fix():
    error = HopechoError("it broke", got="7", fix="use 8")
    assert str(error) == "it broke\n  got: 7\n  fix: use 8"
    assert str(HopechoError("it broke")) == "it broke"


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0.0189, "18.9 ps"), (2.78, "2.78 ns"), (46.0, "46 ns"), (1190.0, "1.19 us"), (4e7, "40 ms")],
)
def test_times_are_written_in_the_unit_of_their_size(ns, text):
    assert time_text(ns) == text
