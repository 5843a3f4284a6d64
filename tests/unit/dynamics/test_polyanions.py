"""Tetrahedra with known angles and rotation, and the life of their bonds."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hopecho.dynamics.bond_life import bond_life
from hopecho.dynamics.polyanions import (
    angular_velocity,
    angular_velocity_exact,
    density,
    find_units,
    low_pass,
    rotation,
    tetrahedral_angles,
)
from hopecho.errors import HopechoError

CELL = np.array([[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [2.0, 0.0, 8.0]])
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)
NUMBERS = np.array([15, 16, 16, 16, 16])
MASSES = np.array([31.0, 32.0, 32.0, 32.0, 32.0])


def frames(corners, *, centre=(0.2, 4.0, 7.9), wrapped=False):
    """One PS4 across the faces of the cell, (n_frames, 5, 3)."""
    x = np.concatenate([np.zeros((len(corners), 1, 3)), corners], axis=1) + np.array(centre)
    if wrapped:
        x = x - np.floor(x[:1] @ np.linalg.inv(CELL)) @ CELL
    return x


def units_of(x):
    return find_units(x[0], NUMBERS, CELL, centre="P", ligand="S", cutoff_angstrom=2.9)


def test_a_regular_tetrahedron_has_twelve_angles_of_60_degrees_over_any_face():
    x = frames(CORNERS[None], wrapped=True)
    angles = tetrahedral_angles(x, units_of(x))
    assert angles.shape == (1, 1, 12)
    np.testing.assert_allclose(angles, 60.0, atol=1e-9)


def test_a_rigid_rotor_turns_at_its_angular_velocity_and_keeps_its_angles():
    omega, dt = np.array([1.5, -0.7, 2.0]), 0.002
    turns = [Rotation.from_rotvec(omega * dt * k).as_matrix() for k in range(40)]
    corners = np.array([CORNERS @ r.T for r in turns])
    x = frames(corners, wrapped=True)
    drift = np.array([3.0, 1.0, -2.0])
    v = np.concatenate([np.zeros((40, 1, 3)), np.cross(omega, corners)], axis=1) + drift
    units = units_of(x)
    np.testing.assert_allclose(
        rotation(x, v, units, masses_u=MASSES), np.broadcast_to(omega, (40, 1, 3)), atol=1e-9
    )
    np.testing.assert_allclose(angular_velocity_exact(x, v, units), 0.0, atol=1e-8)
    rates = angular_velocity(tetrahedral_angles(x, units), stride_ps=dt)
    np.testing.assert_allclose(rates, 0.0, atol=1e-8)


def scissor(rate_deg_ps, dt, n_frames):
    """Ligands 1 and 2 turn about ligand 0, so that the angle 1-0-2 opens at a known rate."""
    angle = np.radians(60.0 + rate_deg_ps * dt * np.arange(n_frames))
    corners = np.zeros((n_frames, 4, 3))
    corners[:, 1] = [3.0, 0.0, 0.0]
    corners[:, 2] = 3.0 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    corners[:, 3] = [1.5, 1.0, 2.4]
    speed = np.radians(rate_deg_ps) * 3.0
    v = np.zeros((n_frames, 5, 3))
    v[:, 3] = speed * np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=1)
    middle = np.array([1.5, 0.9, 0.8])
    return frames(corners - middle), v


def test_an_angle_opens_at_its_known_rate():
    dt = 0.001
    x, v = scissor(40.0, dt, 30)
    units = units_of(x)
    angles = tetrahedral_angles(x, units)
    finite = angular_velocity(angles, stride_ps=dt)
    exact = angular_velocity_exact(x, v, units)
    # Corner 0 (atoms 1-0-2) is the first of the twelve.
    np.testing.assert_allclose(finite[:, 0, 0], 40.0, rtol=1e-9)
    np.testing.assert_allclose(exact[:, 0, 0], 40.0, rtol=1e-9)
    np.testing.assert_allclose(finite, exact[1:-1], atol=1e-3)


def test_a_step_of_10_fs_loses_a_fifth_of_the_rate_at_600_cm1():
    nu = 600.0 / 33.35640952
    swing = 5.0 * np.sin(2 * np.pi * nu * np.arange(5000) * 0.010)
    rate = angular_velocity(swing, stride_ps=0.010).std()
    assert rate / (2 * np.pi * nu * 5.0 / np.sqrt(2)) == pytest.approx(0.80, abs=0.01)


def test_frames_too_far_apart_and_cells_too_skewed_are_refused():
    with pytest.raises(HopechoError, match="too sparsely sampled for angular velocities"):
        angular_velocity(np.zeros((9, 1, 12)), stride_ps=0.05)
    x = frames(CORNERS[None])
    for cell, message in (
        (np.array([[8.0, 0, 0], [30.0, 8.0, 0], [0, 0, 8.0]]), "triclinic cell is too skewed"),
        (np.eye(3) * 5.0, "cell is too small"),
    ):
        with pytest.raises(HopechoError, match=message):
            find_units(x[0], NUMBERS, cell, centre="P", ligand="S", cutoff_angstrom=2.9)


def test_densities_integrate_to_the_share_within():
    edges = np.linspace(-1.0, 1.0, 41)
    values = np.random.default_rng(0).normal(size=200_000)
    rho = density(values, edges)
    assert (rho * np.diff(edges)).sum() == pytest.approx(0.6827, abs=0.005)
    assert rho[20] == pytest.approx(0.398, abs=0.02)


def test_the_low_pass_keeps_slow_and_removes_fast_swings():
    t = np.arange(4000) * 0.01
    slow, fast = (np.sin(2 * np.pi * f * t) for f in (0.1, 5.0))
    np.testing.assert_allclose(low_pass(slow + fast, stride_ps=0.01), slow, atol=1e-9)


def test_no_tetrahedron_is_an_error():
    x = frames(CORNERS[None] * 2.0)
    with pytest.raises(HopechoError, match="No P has four S"):
        units_of(x)


def breaking(n_frames, when, *, back=None):
    """The first ligand leaves at a frame, and may return at another."""
    corners = np.repeat(CORNERS[None], n_frames, axis=0)
    corners[when:back, 0] *= 1.8
    return frames(corners)


def life(replicas, **changes):
    known = {
        "cell": CELL, "ligand": NUMBERS == 16, "cutoff_angstrom": 2.9, "stride_ps": 0.1,
    }  # fmt: skip
    return bond_life(replicas, units_of(replicas[0]), **(known | changes))


def test_bonds_that_hold_give_a_lower_bound_of_their_life():
    result = life([breaking(101, 101)] * 3)
    assert (result.n_changed, result.n_units) == (0, 3)
    assert (result.survival == 1.0).all()
    assert result.lifetime.verdict == "not_seen"
    assert result.lifetime.interval == (pytest.approx(3 * 10.0e-3 / 2.9957, rel=1e-4), None)


def test_a_stretched_bond_that_returns_is_no_change():
    replicas = [breaking(101, 40, back=43), breaking(101, 50)]
    quick = life(replicas)
    patient = life(replicas, min_residence_ps=1.0)
    assert (quick.n_changed, patient.n_changed) == (2, 1)
    assert patient.survival[49] == 1.0
    assert patient.survival[50] == 0.5
    assert patient.lifetime.value == pytest.approx((10.0 + 5.0) * 1e-3)


def test_a_known_rate_of_exchange_gives_its_lifetime():
    rng = np.random.default_rng(4)
    replicas = [breaking(400, int(t)) for t in rng.exponential(150.0, size=200) + 1]
    tau = life(replicas).lifetime
    assert abs(tau.value - 15e-3) < 3 * tau.stderr
    assert tau.stderr < 0.1 * tau.value
