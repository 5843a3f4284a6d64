"""Velocities whose autocorrelation and density of states are known in closed form."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hopecho.dynamics.vibrations import (
    MAX_STRIDE_PS,
    Vdos,
    band_centre,
    difference,
    remove_centre_of_mass,
    running_diffusion,
    smooth,
    vacf,
    vdos,
)
from hopecho.errors import HopechoError
from hopecho.units import THZ_TO_CM1

DT = 0.005


def ornstein_uhlenbeck(gamma, *, variance=4.0, n_frames=20_000, n_ions=60, seed=0):
    """Exact sampling of dv = -gamma v dt + noise, (n_frames, n_ions, 3)."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-gamma * DT)
    noise = rng.normal(size=(n_frames, n_ions, 3)) * np.sqrt(variance * (1 - decay**2))
    noise[0] = rng.normal(size=(n_ions, 3)) * np.sqrt(variance)
    return lfilter([1.0], [1.0, -decay], noise, axis=0)


def oscillators(bands, *, n_frames=8000, seed=0):
    """One harmonic velocity a component, cos(2 pi nu t + phase), of the wavenumbers given."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_frames)[:, None, None] * DT
    nu = np.asarray(bands)[None, :, None] / THZ_TO_CM1
    return np.cos(2 * np.pi * (nu * t + rng.random((1, len(bands), 3))))


def test_vacf_is_its_definition():
    v = np.random.default_rng(0).normal(size=(41, 5, 3)) + 1.0
    expected = [np.mean((v[lag:] * v[: len(v) - lag]).sum(2)) for lag in range(41)]
    np.testing.assert_allclose(vacf(v, n_lags=41), expected, atol=1e-12)
    with pytest.raises(HopechoError, match="lags"):
        vacf(v, n_lags=42)


def test_an_ou_velocity_has_its_vacf_its_diffusion_and_a_lorentzian():
    gamma, variance = 8.0, 4.0
    v = ornstein_uhlenbeck(gamma, variance=variance)
    lags = np.arange(300) * DT
    c = vacf(v, n_lags=300)
    np.testing.assert_allclose(c, 3 * variance * np.exp(-gamma * lags), atol=0.25)
    d = running_diffusion(c, stride_ps=DT)[-1]
    assert d == pytest.approx(variance / gamma, rel=0.05)
    density = vdos(
        [v], numbers=np.full(60, 3), masses_u=np.full(60, 7.0), stride_ps=DT, resolution_cm1=4.0
    )
    nu, g = density.wavenumber_cm1, density.g["Li"]
    omega = 2 * np.pi * nu / THZ_TO_CM1
    lorentzian = 3 * 60 * 4 * gamma / (gamma**2 + omega**2) / THZ_TO_CM1
    low = nu < 300
    # The sampled process folds what lies beyond Nyquist back, under 2 % below 300 cm-1.
    np.testing.assert_allclose(g[low][1:], lorentzian[low][1:], rtol=0.10)
    # At zero frequency stands the diffusion coefficient: 12 N m D / kT, with <v^2> = kT/m.
    assert g[0] * THZ_TO_CM1 == pytest.approx(12 * 60 * d / variance, rel=0.15)


def test_harmonic_oscillators_stand_at_their_wavenumbers_with_areas_3n():
    bands = {"Li": [80.0, 120.0], "P": [450.0], "S": [200.0, 200.0, 300.0]}
    numbers = np.array([3, 3, 15, 16, 16, 16])
    v = oscillators([*bands["Li"], *bands["P"], *bands["S"]])
    masses = np.array([7.0, 7.0, 31.0, 32.0, 32.0, 32.0])
    result = vdos([v[:3000], v], numbers=numbers, masses_u=masses, stride_ps=DT)
    for element, own in bands.items():
        area = np.trapezoid(result.g[element], result.wavenumber_cm1)
        assert area == pytest.approx(3 * len(own), rel=1e-9)
    assert result.wavenumber_cm1[np.argmax(result.g["P"])] == pytest.approx(450, abs=3)
    assert np.trapezoid(result.total, result.wavenumber_cm1) == pytest.approx(18)


def test_the_band_centre_of_oscillators_is_their_mean_wavenumber():
    # A frame of heavy atoms at rest takes the removal of the centre of mass.
    numbers, masses = np.array([3, 3, 16]), np.array([7.0, 7.0, 1e7])
    v = np.concatenate([oscillators([80.0, 120.0]), np.zeros((8000, 1, 3))], axis=1)
    v[:, 2] = 1e-6
    centre = vdos([v], numbers=numbers, masses_u=masses, stride_ps=DT).band_centre("Li")
    assert centre == pytest.approx(100.0, abs=0.5)


def test_the_drift_of_the_cell_is_no_vibration():
    v = oscillators([100.0, 300.0])
    masses = np.array([7.0, 32.0])
    drifting = v + np.array([5.0, -3.0, 1.0])
    a, b = (
        vdos([x], numbers=np.array([3, 16]), masses_u=masses, stride_ps=DT) for x in (v, drifting)
    )
    np.testing.assert_allclose(a.total, b.total, atol=1e-9)
    moved = remove_centre_of_mass(drifting, masses)
    np.testing.assert_allclose(np.einsum("tak,a->tk", moved, masses), 0.0, atol=1e-9)


def test_smoothing_keeps_area_and_centre_and_widens_lines():
    nu = np.arange(0.0, 600.0, 1.0)
    g = np.exp(-0.5 * ((nu - 250) / 3) ** 2)
    smoothed = smooth(nu, g)
    assert np.trapezoid(smoothed, nu) == pytest.approx(np.trapezoid(g, nu), rel=1e-6)
    assert band_centre(nu, smoothed) == pytest.approx(250.0, abs=1e-6)
    assert smoothed.max() < g.max()
    # A parabola passes an order-2 filter unchanged.
    np.testing.assert_allclose(smooth(nu, nu**2), nu**2, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(smooth(nu[::20], g[::20]), g[::20])


def test_a_difference_is_taken_on_the_coarser_grid():
    fine = Vdos(np.arange(0.0, 101.0), {"Li": np.arange(0.0, 101.0), "S": np.ones(101)})
    coarse = Vdos(np.arange(0.0, 101.0, 10.0), {"Li": np.zeros(11)})
    up, down = difference(fine, coarse), difference(coarse, fine)
    np.testing.assert_allclose(up.g["Li"], np.arange(0.0, 101.0, 10.0))
    np.testing.assert_allclose(down.g["Li"], -up.g["Li"])
    assert list(up.g) == ["Li"]


def test_sparse_or_missing_velocities_are_refused():
    v, one = np.zeros((100, 1, 3)), {"numbers": np.array([3]), "masses_u": np.array([7.0])}
    with pytest.raises(HopechoError, match="sparsely"):
        vdos([v], stride_ps=2 * MAX_STRIDE_PS, **one)
    with pytest.raises(HopechoError, match="eight frames"):
        vdos([], stride_ps=DT, **one)
