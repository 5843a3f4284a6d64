"""Green-Kubo against the exact conductivity of OU currents and against Einstein's form."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hopecho.dynamics.conductivity import conductivity
from hopecho.dynamics.green_kubo import current, green_kubo
from hopecho.errors import HopechoError
from hopecho.units import sigma_s_per_m

DT, GAMMA, VARIANCE = 0.02, 2.0, 3.0
VOLUME, T = 4000.0, 600.0


def ou_velocities(seed, *, n_frames=8000, n_ions=6):
    rng = np.random.default_rng(seed)
    decay = np.exp(-GAMMA * DT)
    noise = rng.normal(size=(n_frames, n_ions, 3)) * np.sqrt(VARIANCE * (1 - decay**2))
    noise[0] = rng.normal(size=(n_ions, 3)) * np.sqrt(VARIANCE)
    return lfilter([1.0], [1.0, -decay], noise, axis=0)


def exact(n_ions=6, charge=1.0):
    return sigma_s_per_m(
        VARIANCE / GAMMA * 1e-8, number_density_m3=n_ions / (VOLUME * 1e-30),
        charge_e=charge, temperature_k=T,
    )  # fmt: skip


def test_independent_ou_ions_give_nernst_einstein_at_a_cut_of_some_decay_times():
    result = green_kubo(
        [ou_velocities(s).sum(1) for s in range(12)],
        stride_ps=DT, volume_a3=VOLUME, temperature_k=T,
    )  # fmt: skip
    sigma = result.sigma_gk
    assert (sigma.verdict, sigma.unit) == ("resolved", "S/m")
    assert abs(sigma.value - exact()) < 3 * sigma.stderr
    assert sigma.stderr < 0.1 * sigma.value
    assert 1.0 / GAMMA < result.cut_ps < 40.0 / GAMMA
    at_cut = np.argmin(abs(result.lag_ps - result.cut_ps))
    assert result.running[at_cut] == pytest.approx(sigma.value)
    # The error of the running integral grows with its upper limit.
    assert result.running_err[-1] > 1.5 * result.running_err[at_cut]


def test_green_kubo_is_einstein():
    velocities = [ou_velocities(s) for s in range(8)]
    positions = [np.cumsum(0.5 * (v[1:] + v[:-1]) * DT, axis=0)[::25] for v in velocities]
    einstein = conductivity(
        positions, stride_ps=25 * DT, volume_a3=VOLUME, temperature_k=T, charge_e=1.0,
        lag_window_ps=(2.5, 7.5),
    ).sigma_einstein  # fmt: skip
    gk = green_kubo(
        [v.sum(1) for v in velocities], stride_ps=DT, volume_a3=VOLUME, temperature_k=T
    ).sigma_gk
    assert abs(gk.value - einstein.value) < 2 * np.hypot(gk.stderr, einstein.stderr)
    for sigma in (gk, einstein):
        assert abs(sigma.value - exact()) < 3 * sigma.stderr


def test_a_drift_of_the_cell_is_no_current():
    numbers = np.array([3, 3, 3, 15, 16, 16, 16, 16])
    charges = {"Li": 1.0, "P": 5.0, "S": -2.0}
    v = ou_velocities(0, n_ions=8, n_frames=400)
    still = current(v, numbers, charges=charges)
    moved = current(v + np.array([30.0, -20.0, 5.0]), numbers, charges=charges)
    np.testing.assert_allclose(moved, still, rtol=1e-6, atol=1e-10)
    expected = v[:, :3].sum(1) + 5 * v[:, 3] - 2 * v[:, 4:].sum(1)
    np.testing.assert_allclose(still, expected)
    with pytest.raises(HopechoError, match="do not cancel"):
        current(v[:, 1:], numbers[1:], charges=charges)
    with pytest.raises(HopechoError, match="no formal charge"):
        current(v, numbers, charges={"Li": 1.0, "P": 5.0})


def test_bound_ions_carry_no_current():
    """The velocity of a rattle integrates to nothing: a bound, and no number."""
    rng = np.random.default_rng(1)
    t = np.arange(4000) * DT
    currents = [
        sum(np.cos(2 * np.pi * (f * t[:, None] + rng.random(3))) for f in (1.0, 2.3, 3.1))
        for _ in range(6)
    ]
    result = green_kubo(currents, stride_ps=DT, volume_a3=VOLUME, temperature_k=T).sigma_gk
    assert result.value is None
    assert result.interval[0] is None


def test_short_currents_and_impossible_conditions_are_refused():
    j = np.zeros((20, 3))
    with pytest.raises(HopechoError, match="too short"):
        green_kubo([j], stride_ps=DT, volume_a3=VOLUME, temperature_k=T)
    with pytest.raises(HopechoError, match="a volume"):
        green_kubo([j], stride_ps=DT, volume_a3=VOLUME, temperature_k=0.0)


def test_lags_that_end_within_the_vibrations_bound_nothing():
    short = [ou_velocities(s, n_frames=160).sum(1) for s in range(6)]
    result = green_kubo(short, stride_ps=DT, volume_a3=VOLUME, temperature_k=T, min_blocks=6)
    assert result.lag_ps[-1] < 1.0
    assert result.sigma_gk.interval == (None, None)
    assert "are needed" in result.reason


def test_an_integral_that_still_swings_is_bounded_by_what_it_swings_to():
    rng = np.random.default_rng(3)
    t = np.arange(500) * DT
    swinging = [5 * np.cos(9.0 * t[:, None] + rng.uniform(0, 7, (1, 3))) for _ in range(5)]
    result = green_kubo(swinging, stride_ps=DT, volume_a3=VOLUME, temperature_k=T, min_blocks=5)
    assert not result.flat
    assert result.sigma_gk.value is None
    assert result.sigma_gk.interval[1] >= result.running[len(result.running) // 2 :].max()
    assert "not flat" in result.reason
