"""Temperature series with a known activation energy, and series that are no line."""

import numpy as np
import pytest

from hopecho.dynamics.arrhenius import arrhenius, series_record
from hopecho.errors import HopechoError
from hopecho.io.results import plain
from hopecho.units import BOLTZMANN_EV_K, Quantity

E_A, SIGMA_0 = 0.35, 2.0e7
HOT = (450.0, 500.0, 600.0, 700.0)


def sigma(t, *, ea=E_A, error=0.05, factor=1.0):
    value = factor * SIGMA_0 / t * np.exp(-ea / (BOLTZMANN_EV_K * t))
    stderr = error * value
    return Quantity(value, stderr, (value - stderr, value + stderr), "S/m", 12)


def test_exact_points_give_their_line_and_its_value_anywhere():
    fit = arrhenius({t: sigma(t) for t in HOT}, times_t=True)
    assert fit.activation_energy.value == pytest.approx(E_A, rel=1e-9)
    assert np.exp(fit.log_prefactor) == pytest.approx(SIGMA_0, rel=1e-7)
    cold = fit.at(300.0)
    assert cold.value == pytest.approx(sigma(300.0).value, rel=1e-7)
    assert cold.unit == "S/m"
    assert fit.chi2_per_dof == pytest.approx(0.0, abs=1e-12)
    assert not fit.surprised


def test_the_error_grows_with_the_distance_of_the_extrapolation():
    fit = arrhenius({t: sigma(t) for t in HOT}, times_t=True)
    relative = [fit.at(t).stderr / fit.at(t).value for t in (550.0, 400.0, 300.0, 250.0)]
    assert relative[0] < 0.05
    assert np.all(np.diff(relative) > 0)
    # By hand: two points of error e at x1, x2 extrapolate to x with weights (x - x2)/(x1 - x2).
    two = arrhenius({500.0: sigma(500.0), 600.0: sigma(600.0)}, times_t=True)
    x1, x2, x = (1 / t for t in (500.0, 600.0, 300.0))
    expected = 0.05 * np.hypot((x - x2) / (x1 - x2), (x - x1) / (x1 - x2))
    assert two.at(300.0).stderr / two.at(300.0).value == pytest.approx(expected)


def test_intervals_hold_the_truth():
    """68 % of the intervals of energy and extrapolated value, of 400 noisy series."""
    rng = np.random.default_rng(2)
    hits = np.zeros(2)
    for _ in range(400):
        noise = np.exp(0.05 * rng.normal(size=len(HOT)))
        fit = arrhenius({t: sigma(t, factor=f) for t, f in zip(HOT, noise)}, times_t=True)
        low, high = fit.activation_energy.interval
        hits[0] += low <= E_A <= high
        low, high = fit.at(300.0).interval if not fit.surprised else (0.0, np.inf)
        hits[1] += low <= sigma(300.0).value <= high
    assert ((hits / 400 > 0.60) & (hits / 400 < 0.76)).all(), hits / 400


def test_another_mechanism_in_the_cold_is_a_surprise_and_forbids_the_extrapolation():
    """Straight and convincing in the heat; the coldest run moves ten times faster than that."""
    points = {t: sigma(t) for t in HOT} | {350.0: sigma(350.0, factor=10.0)}
    fit = arrhenius(points, times_t=True)
    assert fit.surprise_z > 10
    assert fit.surprised
    assert fit.at(300.0).value is None
    assert arrhenius({t: sigma(t) for t in (350.0, *HOT)}, times_t=True).at(300.0).value > 0


def test_scatter_beyond_the_errors_widens_them():
    even = {t: sigma(t, factor=f) for t, f in zip(HOT, (1.0, 1.5, 0.67, 1.0))}
    tidy = arrhenius({t: sigma(t) for t in HOT}, times_t=True).activation_energy
    rough = arrhenius(even, times_t=True).activation_energy
    assert rough.stderr > 3 * tidy.stderr


def test_points_without_a_value_are_left_out_and_named():
    bound = Quantity(None, None, (None, 1e-9), "S/m", 12, 0.95, "bound")
    fit = arrhenius({300.0: bound} | {t: sigma(t) for t in HOT}, times_t=True)
    assert fit.left_out_k == (300.0,)
    assert fit.temperatures_k == HOT
    alone = arrhenius({300.0: bound, 500.0: sigma(500.0)}, times_t=True)
    assert alone.activation_energy.verdict == "not_seen"
    assert alone.at(300.0).value is None


def test_a_diffusion_coefficient_is_not_multiplied_by_t():
    d = {t: Quantity(np.exp(-0.2 / (BOLTZMANN_EV_K * t)), 1e-6, (0.0, 1.0), "m2/s", 5) for t in HOT}
    assert arrhenius(d, times_t=False).activation_energy.value == pytest.approx(0.2, rel=1e-6)


def test_mixed_units_and_impossible_points_are_refused():
    with pytest.raises(HopechoError, match="one unit"):
        arrhenius({500.0: sigma(500.0), 600.0: Quantity(1.0, 0.1, (0.9, 1.1), "m2/s", 5)},
                  times_t=True)  # fmt: skip
    with pytest.raises(HopechoError, match="positive values"):
        arrhenius({500.0: sigma(500.0), 600.0: Quantity(-1.0, 0.1, (-1.1, -0.9), "S/m", 5)},
                  times_t=True)  # fmt: skip


def test_the_record_of_a_series_is_json_of_both_quantities():
    records = {
        t: plain({"sigma_einstein": sigma(t), "d_tracer": Quantity(1e-9, 1e-10, (9e-10, 1.1e-9),
                                                                   "m2/s", 12)})
        for t in HOT
    }  # fmt: skip
    record = series_record(records)
    assert record["sigma_einstein"]["activation_energy"].value == pytest.approx(E_A)
    assert record["sigma_einstein"]["at_300k"].value == pytest.approx(sigma(300.0).value)
    assert record["d_tracer"]["activation_energy"].value == pytest.approx(0.0, abs=1e-9)
    assert record["d_tracer"]["temperatures_k"] == list(HOT)


def test_the_line_is_the_fit_and_there_is_none_where_it_failed():
    fit = arrhenius({t: sigma(t) for t in HOT}, times_t=True)
    line = fit.line(300.0, 700.0)
    assert (line["temperature_k"][0], line["temperature_k"][-1]) == pytest.approx((700.0, 300.0))
    np.testing.assert_allclose(line["value"], [sigma(t).value for t in line["temperature_k"]])
    widths = np.log(np.array(line["high"]) / np.array(line["low"]))
    assert widths[-1] == widths.max()
    points = {t: sigma(t) for t in HOT}
    broken = arrhenius(points | {350.0: sigma(350.0, factor=10.0)}, times_t=True)
    assert broken.surprised
    assert broken.line(300.0, 700.0) is None
    assert arrhenius({500.0: sigma(500.0)}, times_t=True).line(300.0, 500.0) is None
