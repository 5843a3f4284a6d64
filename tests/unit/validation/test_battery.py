"""Distances with closed forms, error bars that hold them, and equal sides that stay equal."""

import math

import numpy as np
import pytest

from hopecho.dynamics.polyanions import find_units
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory
from hopecho.units import THZ_TO_CM1
from hopecho.validation.battery import Curve, battery, l1, l1_shells, log_ratio, wasserstein
from hopecho.validation.observables import Burst, observables

X = np.linspace(-10.0, 10.0, 801)


def gauss(mean, width=1.0):
    return np.exp(-0.5 * ((X - mean) / width) ** 2) / (width * math.sqrt(2 * np.pi))


def side(rng, mean, *, n=5, scatter=0.05, kind="wasserstein"):
    return [
        {"angle": Curve(kind, "degree", X, gauss(mean + scatter * rng.normal()))} for _ in range(n)
    ]


def test_closed_forms_of_the_distances():
    assert wasserstein(X, gauss(0.0), 7.0 * gauss(0.7)) == pytest.approx(0.7, abs=1e-6)
    # Equal means: W1 of N(0, s) and N(0, 1) is |s - 1| sqrt(2 / pi).
    assert wasserstein(X, gauss(0.0, 1.5), gauss(0.0)) == pytest.approx(
        0.5 * math.sqrt(2 / np.pi), abs=1e-4
    )
    r = np.linspace(0.05, 5.0, 100)
    half = np.where(r < 2.5, 2.0, 0.0)
    assert l1_shells(r, half, 2.0 - half) == pytest.approx(1.0)
    assert l1_shells(r, half, half) == 0.0
    assert l1(r, half, 2.0 - half) == pytest.approx(1.0)
    assert l1(r, np.array([1.0, 3.0]), np.array([3.0, 1.0])) == pytest.approx(0.5)
    assert log_ratio(r, np.array([2.0]), np.array([1.0])) == pytest.approx(math.log(2))
    with pytest.raises(HopechoError, match="no area"):
        wasserstein(X, 0 * X, gauss(0.0))


def test_a_shift_is_found_with_an_interval_that_holds_it():
    rng, hits, resolved = np.random.default_rng(0), 0, 0
    for _ in range(100):
        found = battery(side(rng, 0.0), side(rng, 0.2))["angle"]
        resolved += found.distance.verdict == "resolved"
        if found.distance.value is not None:
            low, high = found.distance.interval
            hits += low <= 0.2 <= high
    assert resolved == 100
    assert 0.56 <= hits / resolved <= 0.80


def test_equal_sides_are_called_different_in_no_more_than_5_percent():
    rng, wrong, held = np.random.default_rng(1), 0, 0
    for _ in range(100):
        found = battery(side(rng, 0.0), side(rng, 0.0))["angle"]
        wrong += found.distance.verdict == "resolved"
        held += found.distance.value is not None or found.distance.interval[1] > 0
        assert found.chance > 0
    assert wrong <= 11  # 5 expected, 99 % up to 11
    assert held == 100


def test_few_replicas_bound_and_never_resolve():
    rng = np.random.default_rng(2)
    found = battery(side(rng, 0.0, n=3), side(rng, 3.0, n=3))["angle"]
    assert found.p_value == pytest.approx(0.1)
    assert found.distance.value is None
    assert found.distance.interval[1] > 3.0 - 0.2
    with pytest.raises(HopechoError, match="two replicas"):
        battery(side(rng, 0.0, n=1), side(rng, 0.0))


def test_replicas_on_other_grids_are_refused():
    rng = np.random.default_rng(3)
    other = [{"angle": Curve("wasserstein", "degree", X[::2], gauss(0.0)[::2])}] * 2
    with pytest.raises(HopechoError, match="different grids"):
        battery(side(rng, 0.0), other)
    with pytest.raises(HopechoError, match="in common"):
        battery(side(rng, 0.0), [{"rdf": other[0]["angle"]}] * 2)


NUMBERS = np.array([3] * 12 + [15] + [16] * 4)
CELL = np.eye(3) * 12.0
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)


def replica(seed, *, step, swing, band):
    """Li that walk and swing at a wavenumber, about one PS4 that rattles."""
    rng = np.random.default_rng(seed)
    centre = np.concatenate([rng.uniform(0, 12, (12, 3)), [[6.0] * 3], 6.0 + CORNERS])
    x = np.repeat(centre[None], 600, axis=0)
    x[:, :12] += np.cumsum(step * rng.normal(size=(600, 12, 3)), axis=0)
    x[:, 12:] += swing * rng.normal(size=(600, 5, 3))
    t = np.arange(1500)[:, None, None] * 0.005
    nu = band * (1 + 0.05 * rng.normal(size=(1, 17, 3))) / THZ_TO_CM1
    angle = 2 * np.pi * (nu * t + rng.random((1, 17, 3)))
    swinging = np.sin(angle) * 0.05
    burst = Burst(centre + swinging, 2 * np.pi * nu * 0.05 * np.cos(angle), 0.005)
    units = find_units(centre, NUMBERS, CELL, centre="P", ligand="S", cutoff_angstrom=2.9)
    return observables(
        Trajectory(np.arange(600) * 0.1, x, CELL, NUMBERS),
        mobile="Li", oxidation={"Li": 1.0, "P": 5.0, "S": -2.0}, lag_window_ps=(1.0, 6.0),
        r_max_angstrom=6.0, units=units, bursts=[burst],
        masses_u=np.array([7.0] * 12 + [31.0] + [32.0] * 4),
    )  # fmt: skip


def test_the_battery_finds_what_differs_and_only_that():
    ours = [replica(s, step=0.3, swing=0.05, band=200.0) for s in range(5)]
    other = [replica(10 + s, step=0.42, swing=0.05, band=230.0) for s in range(5)]
    found = battery(ours, other)
    assert set(found) == {
        *(f"rdf {p}" for p in ("Li-Li", "Li-P", "Li-S", "P-P", "P-S", "S-S")), "d_tracer",
        "tetrahedral_angle", "angular_velocity", "van_hove_self", "van_hove_distinct", "r_phi",
        *(f"{k} {e}" for k in ("vdos", "band centre") for e in ("Li", "P", "S")),
    }  # fmt: skip
    ratio = found["d_tracer"].distance
    assert abs(ratio.value - 2 * math.log(0.42 / 0.3)) < 3 * ratio.stderr
    # Of a walk the mean displacement grows as the step: by 40 %, some A after 60 frames.
    assert found["van_hove_self"].distance.value > 0.5
    assert found["r_phi"].p_value > 0.0
    for name in ("vdos Li", "band centre Li", "vdos S"):
        d = found[name].distance
        assert d.verdict == "resolved", name
        assert abs(d.value - 30.0) < 4 * d.stderr + 1.0, name
    # Of equal parts one in twenty is called different by chance: they must be small all the same.
    for name, small in (("tetrahedral_angle", 0.1), ("rdf P-S", 0.2)):
        assert found[name].distance.interval[1] < small, name
    record = found["d_tracer"].record()
    assert set(record) == {"kind", "distance", "by_chance", "p_value"}
