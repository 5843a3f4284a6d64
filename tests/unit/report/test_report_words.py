"""Numbers and verdicts in words."""

import math

import pytest

from hopecho.report.words import (
    bound_text,
    conductivity_text,
    greek,
    number,
    quantity_text,
    value_text,
)
from hopecho.units import Quantity


def words(text):
    return text.replace("\u00a0", " ")


def resolved(value, error, unit, low=None, high=None):
    ends = (value - error if low is None else low, value + error if high is None else high)
    return Quantity(value, error, ends, unit, 20.0).to_dict()


def limit(unit, low, high, verdict):
    return Quantity(None, None, (low, high), unit, 3.0, 0.95, verdict).to_dict()


@pytest.mark.parametrize(
    ("claim", "quantity", "expected"),
    [
        (
            "tau_sae",
            resolved(0.0123, 0.0013, "ns", 0.0111, 0.0136),
            "12.3 ps (68 %: 11.1 to 13.6)",
        ),
        ("tau_sae", resolved(46.0, 2.4, "ns"), "46.0 ns (68 %: 43.6 to 48.4)"),
        ("tau_sae", resolved(1190.0, 310.0, "ns"), "1.19 µs (68 %: 0.88 to 1.50)"),
        ("d_tracer", resolved(3.04e-11, 2.4e-12, "m2/s"), "3.04 × 10⁻¹¹ m²/s (68 %: 2.80 to 3.28)"),
        ("haven_ratio", resolved(0.62, 0.17, "1"), "0.62 (68 %: 0.45 to 0.79)"),
        (
            "tau_sae",
            limit("ns", 0.0041801, None, "not_seen"),
            "no decay seen, τ > 4.1 ps (95 %)",
        ),
        (
            "tau_sae",
            limit("ns", 0.000599, None, "bound"),
            "decay seen, not resolved, τ > 0.59 ps (95 %)",
        ),
        (
            "tau_sae",
            limit("ns", None, 0.000601, "bound"),
            "decay seen, not resolved, τ < 0.61 ps (95 %)",
        ),
        ("tau_sae", limit("ns", None, None, "not_seen"), "no decay seen"),
        (
            "d_tracer",
            limit("m2/s", None, 2.34e-12, "not_seen"),
            "no diffusion seen, D < 2.4 × 10⁻¹² m²/s (95 %)",
        ),
        ("d_tracer", limit("m2/s", None, 2.886e-9, "bound"), "D < 2.9 × 10⁻⁹ m²/s (95 %)"),
        (
            "hop_rate",
            limit("1/s", None, 3.11e8, "not_seen"),
            "no hop seen, rate < 3.2 × 10⁸ /s (95 %)",
        ),
        ("haven_ratio", limit("1", None, None, "not_seen"), "not determined"),
        ("plateau_b2", limit("1", None, 1.0, "bound"), "not determined"),
        ("plateau_b2", limit("1", None, 0.973, "bound"), "b² < 0.98 (95 %)"),
    ],
)
def test_quantities_in_words(claim, quantity, expected):
    assert words(quantity_text(claim, quantity)) == expected


def test_bounds_are_rounded_to_the_safe_side():
    assert words(bound_text(0.0449, "ns", lower=True)) == "44 ps"
    assert words(bound_text(0.0441, "ns", lower=False)) == "45 ps"
    assert words(bound_text(5131.0, "mS/cm", lower=False)) == "5200 mS/cm"
    assert words(bound_text(0.0, "S/m", lower=True)) == "0 S/m"


def test_conductivity_stands_in_both_units():
    said = words(conductivity_text("sigma_ne", resolved(19.71, 5.1, "S/m")))
    assert said == "197 mS/cm (68 %: 146 to 248) = 19.7 S/m"
    said = words(conductivity_text("sigma_ne", limit("S/m", None, 0.0231, "not_seen")))
    assert said == "no diffusion seen, σ < 0.24 mS/cm (95 %), that is < 0.024 S/m"


def test_values_without_an_error_invent_no_digits():
    assert words(value_text(46.0, "ns")) == "46 ns"
    assert words(value_text(7.0e7, "1/s")) == "7 × 10⁷ /s"
    assert words(value_text(0.000535413, "ns")) == "0.535 ps"


def test_an_error_larger_than_the_value_keeps_a_digit_of_it():
    assert value_text(3.2, "1", error=140.0) == "3"


@pytest.mark.parametrize("x", [None, math.nan, math.inf])
def test_what_is_not_a_number_is_a_dash(x):
    assert number(x) == "–"


def test_numbers():
    assert [number(x) for x in (0.0, 0.12345, 1234.5, -2.5)] == ["0", "0.123", "1234", "−2.50"]
    assert words(number(2.31e-6, 2)) == "2.3 × 10⁻⁶"


def test_greek_letters_and_units_of_a_sentence():
    assert greek("2 pi nu tau = 1 (tau = 3 us, nu = 2)") == "2πντ = 1 (τ = 3 µs, ν = 2)"
    assert greek("the plateau thus") == "the plateau thus"
