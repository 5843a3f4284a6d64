import numpy as np
import pytest
from scipy.interpolate import BSpline

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, bspline4, clamped_knots, layout, potential_from


def basis_row(knots, x):
    value, slope = np.zeros(4), np.zeros(4)
    start = bspline4(knots, len(knots), float(x), value, slope)
    rows = np.zeros((2, len(knots) - 4))
    rows[:, start : start + 4] = value, slope
    return rows


@pytest.mark.parametrize("first", [0.0, 0.8])
def test_splines_are_those_of_scipy_and_sum_to_one(first):
    knots = clamped_knots(first, 5.5, 7)
    for x in np.concatenate([np.linspace(first, 5.5 - 1e-9, 57), knots[3:-4]]):
        value, slope = basis_row(knots, x)
        for n, unit in enumerate(np.eye(len(knots) - 4)):
            reference = BSpline(knots, unit, 3)
            expected = [reference(x), reference(x, 1)]
            np.testing.assert_allclose([value[n], slope[n]], expected, atol=1e-12)
        assert value.sum() == pytest.approx(1, abs=1e-14)
        assert slope.sum() == pytest.approx(0, abs=1e-12)


def test_value_and_slope_are_continuous_at_the_knots():
    knots = clamped_knots(0.8, 4.0, 4)
    for knot in knots[4:-4]:
        below, above = basis_row(knots, knot - 1e-9), basis_row(knots, knot + 1e-9)
        np.testing.assert_allclose(below, above, atol=1e-7)


def test_equal_neighbours_share_columns(spec):
    columns = layout(spec)
    lili = columns.triplet_column[0]
    np.testing.assert_array_equal(lili, lili.T)
    lip = columns.triplet_column[1]
    fitted = lip[lip >= 0]
    assert len(np.unique(fitted)) == len(fitted)
    assert (lili[0] == -1).all()
    assert (lili[-3:] == -1).all()


def test_number_of_columns_of_a_ternary_basis():
    # 3 one-body, 6 pairs of 24, and 3 centres x (3 x 10 + 3 x 16) rows of 8.
    spec = BasisSpec(("Li", "P", "S"), intervals_2b=24, intervals_3b=5, intervals_jk=9)
    assert layout(spec).n_columns == 3 + 6 * 24 + 3 * (3 * 10 + 3 * 16) * 8


def test_potential_has_zero_trailing_layers_and_keeps_every_column(spec, coefficients):
    potential = potential_from(spec, coefficients, {"Li": 2.0})
    assert potential.one_body["Li"] == pytest.approx(coefficients[0] + 2.0)
    for pair in potential.two_body.values():
        assert (pair.coefficients[-3:] == 0).all()
    values = [v for t in potential.three_body.values() for v in np.ravel(t.coefficients)]
    assert set(coefficients[3 + 6 * spec.intervals_2b :]) == set(values) - {0.0}
    same = potential.three_body["P", "S", "S"].coefficients
    np.testing.assert_array_equal(same, same.transpose(1, 0, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cutoff_3b_angstrom": 6.0},
        {"first_knot_3b_angstrom": 4.5},
        {"intervals_2b": 1},
        {"elements": ("Li", "Li")},
    ],
)
def test_impossible_basis_is_refused(wrong):
    with pytest.raises(HopechoError, match="got"):
        BasisSpec(**({"elements": ("Li", "P")} | wrong))
