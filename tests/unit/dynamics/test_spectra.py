"""Spectra, current and polyanions of bursts made of known vibrations and rotations."""

import numpy as np
import pytest

from hopecho.dynamics.block_means import cut
from hopecho.dynamics.rotation import polyanions
from hopecho.dynamics.spectra import vibrations
from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment
from hopecho.trajectory import Trajectory

C_CM_PS = 0.0299792458
STRIDE, EDGE = 0.005, 12.0
MASSES = {"Li": 7.0, "P": 31.0, "S": 32.0}
OXIDATION = {"Li": 1.0, "P": 5.0, "S": -2.0}
LINES = {3: 400.0, 15: 300.0, 16: 200.0}
POLYANION = {"centre": "P", "ligand": "S", "cutoff_angstrom": 2.6}
# Li3PS4, a regular tetrahedron of bond 2.05 A.
NUMBERS = np.array([3, 3, 3, 15, 16, 16, 16, 16])
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)
SITES = np.vstack([[[5, 0, 0], [0, 5, 0], [0, 0, 5]], [[0, 0, 0]], CORNERS]) + 3.0


def ringing(seed, n_frames=600):
    """Every element rings at its own wavenumber, with random phases."""
    rng = np.random.default_rng(seed)
    omega = 2 * np.pi * C_CM_PS * np.array([LINES[z] for z in NUMBERS])[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (1, len(NUMBERS), 3))
    t = STRIDE * np.arange(1, n_frames + 1)
    x = SITES + 0.02 * np.sin(omega * t[:, None, None] + phase)
    v = 0.02 * omega * np.cos(omega * t[:, None, None] + phase)
    return Segment(t, x, np.eye(3) * EDGE, NUMBERS, velocities=v.astype(np.float32))


def analyse(bursts, **changes):
    known = {
        "run": range(len(bursts)), "quench": [0] * len(bursts), "masses_u": MASSES,
        "oxidation": OXIDATION, "temperature_k": 300.0,
    }  # fmt: skip
    return vibrations(bursts, **(known | changes))


def turning(rate_deg_ps, n_frames=200):
    """The unit turns about z as a rigid body."""
    t = STRIDE * np.arange(1, n_frames + 1)
    angle = np.radians(rate_deg_ps) * t
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(t), np.ones_like(t)
    turn = np.moveaxis(np.array([[c, -s, o], [s, c, o], [o, o, i]]), -1, 0)
    x = np.tile(SITES, (n_frames, 1, 1))
    v = np.zeros_like(x)
    x[:, 4:] = SITES[3] + np.einsum("tkl,al->tak", turn, CORNERS)
    v[:, 4:] = np.cross([0, 0, np.radians(rate_deg_ps)], x[:, 4:] - SITES[3])
    return Segment(t, x, np.eye(3) * EDGE, NUMBERS, velocities=v)


def run_of(segment):
    return Trajectory(segment.time_ps, segment.positions, segment.cell, segment.numbers)


def tetrahedra(runs, bursts, **changes):
    known = {"quench": [0] * len(runs), "masses_u": MASSES, "polyanion": POLYANION,
             "mobile": "Li", "min_residence_ps": 0.1}  # fmt: skip
    return polyanions(runs, bursts, **(known | changes))


def test_every_element_has_its_line_its_area_and_its_band_centre():
    result = analyse([ringing(s) for s in range(3)])
    nu = result.spectrum.wavenumber_cm1
    for element, z in (("Li", 3), ("P", 15), ("S", 16)):
        g = result.spectrum.g[element]
        assert abs(nu[np.argmax(g)] - LINES[z]) <= nu[1]
        assert np.trapezoid(g, nu) == pytest.approx(3 * (z == NUMBERS).sum())
    # Two of the elements are moved by what is taken from the centre of mass; Li hardly is.
    centre = result.band_centre["Li"]
    assert (centre.unit, centre.n_independent, centre.verdict) == ("cm-1", 3, "resolved")
    assert abs(centre.value - 400.0) < 25.0
    table = result.vdos_columns()
    assert {len(v) for v in table.values()} == {3 * len(nu)}
    mean, err = result.vacf["Li"]
    assert mean[0] == pytest.approx(1.5 * (0.02 * 2 * np.pi * C_CM_PS * 400) ** 2, rel=0.1)
    assert len(mean) == len(err) == len(result.lag_ps) == 300
    assert result.record()["resolution_cm1"] == pytest.approx(1 / (600 * STRIDE * C_CM_PS))


def test_a_single_burst_is_cut_into_halves_and_equal_ones_have_no_error():
    one = analyse([ringing(0)])
    assert one.band_centre["S"].n_independent == 2
    assert one.spectrum.wavenumber_cm1[1] == pytest.approx(1 / (300 * STRIDE * C_CM_PS))
    equal = analyse([ringing(0)] * 2)
    assert equal.band_centre["S"].stderr == 0.0
    assert not equal.spectrum_err["S"].any()


def test_quenches_are_the_units_of_the_errors():
    bursts = [ringing(s) for s in range(4)]
    result = analyse(bursts, quench=[0, 0, 1, 1])
    assert result.band_centre["Li"].n_independent == 2


def test_the_current_of_short_bursts_bounds_nothing_and_says_so():
    record = analyse([ringing(s) for s in range(3)]).current_record()
    sigma = record["sigma_gk"]
    assert (sigma.verdict, sigma.interval) == ("not_seen", (None, None))
    assert "0.745 ps only" in record["reason"]


def test_the_current_of_bound_ions_is_bounded_above_what_its_integral_swings_to():
    result = analyse([ringing(s, n_frames=1000) for s in range(4)])
    sigma = result.current.sigma_gk
    assert sigma.value is None
    later = result.current.running[len(result.current.running) // 2 :]
    if not result.current.flat:
        assert sigma.interval[1] >= later.max()
    assert sigma.interval[1] > 0.0
    assert result.current.reason


def test_bursts_that_do_not_belong_together_are_refused():
    still = ringing(0)
    without = Segment(still.time_ps, still.positions, still.cell, still.numbers)
    slower = Segment(2 * still.time_ps, still.positions, still.cell, NUMBERS,
                     velocities=still.velocities)  # fmt: skip
    for bursts in ([], [without], [still, slower]):
        with pytest.raises(HopechoError, match="do not belong together"):
            analyse(bursts)


def test_a_rigid_turn_is_a_rotation_and_no_change_of_angles():
    bursts = [turning(300.0), turning(300.0)]
    result = tetrahedra([run_of(b) for b in bursts], [[b] for b in bursts])
    # One component of three turns.
    assert result.distributions["rotation"].width.value == pytest.approx(300.0 / np.sqrt(3))
    assert result.distributions["angular_velocity"].width.value < 1e-3
    angle = result.distributions["tilt_angle"]
    assert angle.width.value < 1e-3
    at = angle.edges[np.argmax(angle.density)]
    assert 59.4 < at < 60.1
    assert (result.n_units, result.n_centres) == (2, 2)
    life = result.record()["bond_life"]
    assert life.interval[0] == pytest.approx(2 * 199 * STRIDE * 1e-3 / 2.9957, rel=1e-3)
    table = result.columns()
    assert {str(q) for q in table["quantity"]} == {"tilt_angle", "angular_velocity", "rotation"}
    assert len({len(v) for v in table.values()}) == 1
    # Three Li, 5 A from the centre, about the four ligands.
    around = result.r_phi
    assert around is not None
    assert 3.0 < around.r_edges[np.flatnonzero(around.density.any(1))[0]] < 4.5


def test_finite_differences_lose_what_a_sine_says():
    bursts = [ringing(s) for s in range(2)]
    result = tetrahedra([run_of(b) for b in bursts], [[b] for b in bursts])
    # The angles between ligands ring at 200 cm-1.
    x = 2 * np.pi * C_CM_PS * 200.0 * STRIDE
    assert result.difference_loss == pytest.approx(1.0 - np.sin(x) / x, rel=0.02)


def test_without_bursts_there_are_angles_and_no_rates():
    runs = [run_of(ringing(s)) for s in range(2)]
    result = tetrahedra(runs, [[], []])
    assert set(result.distributions) == {"tilt_angle"}
    assert result.difference_loss is None
    assert "angular_velocity_width" not in result.record()


def test_a_material_without_tetrahedra_has_an_empty_table_and_a_reason():
    result = tetrahedra([run_of(ringing(0))], [[]], polyanion=POLYANION | {"cutoff_angstrom": 1.5})
    assert "No P has four S" in result.record()["reason"]
    assert (result.n_units, result.n_centres) == (0, 1)
    assert not any(len(v) for v in result.columns().values())
    assert not any(len(v) for v in result.r_phi_columns().values())


def test_pieces_of_one_array_are_halves_and_longer_ones_lose_their_ends():
    pieces, of = cut([np.arange(7)], run=[0], quench=[3])
    assert [p.tolist() for p in pieces] == [[0, 1, 2], [3, 4, 5]]
    assert of.quench.tolist() == [3, 3]
    pieces, of = cut([np.arange(5), np.arange(3)], run=[0, 1], quench=[0, 0])
    assert [len(p) for p in pieces] == [3, 3]
    assert of.quantity([1.0, 3.0], unit="1").value == 2.0
