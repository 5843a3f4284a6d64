"""Conductivity: units, and Haven ratios that are known exactly."""

import numpy as np
import pytest
from ase.data import atomic_masses

from hopecho.dynamics.conductivity import conductivity, sigma_in
from hopecho.errors import HopechoError
from hopecho.trajectory import framework_frame
from hopecho.units import sigma_s_per_m

CONDITIONS = {"volume_a3": 5000.0, "temperature_k": 500.0, "charge_e": 1.0}
N = 24


def walks(shared, *, seed=0, n_frames=1200, n_replicas=3):
    rng = np.random.default_rng(seed)
    return [
        np.cumsum(
            np.sqrt(1 - shared) * rng.normal(size=(n_frames, N, 3))
            + np.sqrt(shared) * rng.normal(size=(n_frames, 1, 3)),
            axis=0,
        )
        for _ in range(n_replicas)
    ]


def test_unit_check():
    sigma = sigma_s_per_m(1.5706e-9, number_density_m3=2.4557e28, charge_e=1.0, temperature_k=650.0)
    assert sigma == pytest.approx(110.32, abs=0.01)


@pytest.mark.parametrize("shared", [0.0, 0.1, 0.5])
def test_haven_ratio_of_shared_noise(shared):
    result = conductivity(walks(shared), stride_ps=1.0, **CONDITIONS)
    h = result.haven_ratio
    assert h.verdict == "resolved"
    assert abs(h.value - 1 / (1 + (N - 1) * shared)) < 4 * h.stderr
    assert h.stderr < 0.2 * h.value


def test_rigid_motion_has_a_haven_ratio_of_exactly_one_over_n():
    result = conductivity(walks(1.0), stride_ps=1.0, **CONDITIONS)
    again = conductivity(
        walks(1.0), stride_ps=1.0, lag_window_ps=result.tracer.window_ps, **CONDITIONS
    )
    assert again.haven_ratio.value == pytest.approx(1 / N, rel=1e-9)
    # What both coefficients share drops out of the error of the ratio.
    assert again.haven_ratio.stderr < 1e-9


def test_sigma_is_nernst_einstein_and_their_ratio_is_the_haven_ratio():
    r = conductivity(walks(0.1), stride_ps=1.0, **CONDITIONS)
    expected = sigma_s_per_m(
        r.tracer.d_tracer.value, number_density_m3=N / 5000e-30, charge_e=1.0, temperature_k=500.0
    )
    assert r.sigma_ne.value == pytest.approx(expected)
    assert r.sigma_ne.value / r.sigma_einstein.value == pytest.approx(r.haven_ratio.value)
    assert r.sigma_einstein.unit == "S/m"
    cm = sigma_in(r.sigma_einstein, "S/cm")
    assert (cm.unit, cm.value) == ("S/cm", pytest.approx(r.sigma_einstein.value / 100))
    milli = sigma_in(cm, "mS/cm")
    assert (milli.unit, milli.value) == ("mS/cm", pytest.approx(r.sigma_einstein.value * 10))
    assert sigma_in(milli, "S/m").interval == pytest.approx(r.sigma_einstein.interval)
    with pytest.raises(HopechoError, match="unit of conductivity"):
        sigma_in(r.d_sigma, "S/cm")


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_self_and_distinct_part_add_up_and_are_those_of_shared_noise(shared):
    r = conductivity(walks(shared), stride_ps=1.0, **CONDITIONS)
    own, distinct = r.sigma_self, r.sigma_distinct
    assert own.value + distinct.value == pytest.approx(r.sigma_einstein.value)
    free = sigma_s_per_m(0.5e-8, number_density_m3=N / 5000e-30, charge_e=1.0, temperature_k=500.0)
    assert abs(own.value - free) < 4 * own.stderr
    assert abs(distinct.value - shared * (N - 1) * free) < 4 * distinct.stderr
    assert distinct.interval[0] < distinct.value < distinct.interval[1]


def test_ions_that_exchange_have_a_negative_distinct_part():
    """Every step of an ion is half undone by the others: the sum hardly moves."""
    replicas = [x - 0.9 * x.mean(1, keepdims=True) for x in walks(0.0)]
    r = conductivity(replicas, stride_ps=1.0, **CONDITIONS)
    assert r.sigma_distinct.value < -5 * r.sigma_distinct.stderr


def test_sigma_scales_with_the_square_of_the_charge():
    one = conductivity(walks(0.0), stride_ps=1.0, **CONDITIONS).sigma_einstein.value
    two = conductivity(walks(0.0), stride_ps=1.0, **{**CONDITIONS, "charge_e": -2.0})
    assert two.sigma_einstein.value == pytest.approx(4 * one)


def test_drift_of_the_whole_cell_changes_nothing():
    numbers = np.array([3] * N + [15] * 8)
    mobile = numbers == 3
    rng = np.random.default_rng(5)
    x = np.concatenate([walks(0.1)[0], 0.1 * rng.normal(size=(1200, 8, 3))], axis=1)
    drift = np.cumsum(rng.normal(size=(1200, 1, 3)) + 0.5, 0)
    plain, moved = (
        conductivity(
            [framework_frame(y, numbers, mobile)[0][:, mobile]], stride_ps=1.0, **CONDITIONS
        )
        for y in (x, x + drift)
    )
    for name in ("sigma_ne", "sigma_einstein", "haven_ratio"):
        assert getattr(moved, name).value == pytest.approx(getattr(plain, name).value, rel=1e-6)


def test_at_zero_momentum_sigma_of_the_framework_is_one_plus_mass_ratio_squared_times_raw():
    numbers = np.array([47] * N + [53] * N)  # AgI: 3.42
    mobile, mass = numbers == 47, atomic_masses[numbers]
    raw, framed = [], []
    for seed, walk in enumerate(walks(0.05)):
        rng = np.random.default_rng(50 + seed)
        x = np.concatenate([walk, 0.1 * rng.normal(size=(len(walk), N, 3))], axis=1)
        x -= np.average(x, axis=1, weights=mass)[:, None]
        raw.append(x[:, mobile])
        framed.append(framework_frame(x, numbers, mobile, kind="mass")[0][:, mobile])
    window = {"lag_window_ps": (2.0, 10.0), "stride_ps": 1.0, **CONDITIONS}
    a, b = conductivity(raw, **window), conductivity(framed, **window)
    factor = (1.0 + mass[mobile].sum() / mass[~mobile].sum()) ** 2
    assert factor == pytest.approx(3.42, abs=0.01)
    ratio = b.sigma_einstein.value / a.sigma_einstein.value
    assert ratio == pytest.approx(factor, rel=1e-6)


def test_the_error_falls_with_the_length_of_the_run_at_a_fixed_window():
    window = {"lag_window_ps": (1.0, 5.0), "stride_ps": 1.0, **CONDITIONS}
    few = conductivity(walks(0.0, n_frames=600, n_replicas=4), **window).haven_ratio
    many = conductivity(walks(0.0, n_frames=9600, n_replicas=4), **window).haven_ratio
    assert many.stderr < 0.5 * few.stderr


def test_traps_give_bounds_and_no_haven_ratio():
    rng = np.random.default_rng(6)
    r = conductivity(
        [0.3 * rng.normal(size=(800, N, 3)) for _ in range(3)], stride_ps=1.0, **CONDITIONS
    )
    assert (r.sigma_distinct.verdict, r.sigma_distinct.interval) == ("not_seen", (None, None))
    for quantity in (r.d_sigma, r.sigma_ne, r.sigma_einstein):
        assert quantity.value is None
        assert quantity.interval[1] > 0
    assert r.haven_ratio.verdict == "not_seen"
    assert r.haven_ratio.interval == (None, None)


def test_a_collective_motion_too_short_to_resolve_bounds_the_haven_ratio_from_below():
    r = conductivity(
        walks(0.0, n_frames=120, n_replicas=1), stride_ps=1.0, lag_window_ps=(10, 15), **CONDITIONS
    )
    assert r.tracer.d_tracer.verdict == "resolved"
    assert (r.d_sigma.verdict, r.haven_ratio.verdict) == ("bound", "bound")
    assert 0 < r.haven_ratio.interval[0] < 1.0
    assert r.haven_ratio.interval[1] is None


def test_impossible_conditions_and_windows_are_refused():
    with pytest.raises(HopechoError, match="volume, a temperature and a charge"):
        conductivity(walks(0.0), stride_ps=1.0, **{**CONDITIONS, "temperature_k": 0.0})
    with pytest.raises(HopechoError, match="lag window"):
        conductivity(walks(0.0), stride_ps=1.0, lag_window_ps=(10.0, 900.0), **CONDITIONS)
