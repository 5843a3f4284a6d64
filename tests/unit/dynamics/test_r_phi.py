"""Ions at known places about a tetrahedron, and ions that are spread evenly."""

import numpy as np
import pytest

from hopecho.dynamics.polyanions import find_units
from hopecho.dynamics.r_phi import PHI_EDGES, R_EDGES, r_phi, r_phi_map
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory

CELL = np.array([[12.0, 0.0, 0.0], [0.0, 12.0, 0.0], [3.0, 0.0, 12.0]])
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)
PS4 = np.concatenate([np.zeros((1, 3)), CORNERS]) + np.array([0.2, 4.0, 11.9])


def ion_at(r, phi_degree, ligand=0):
    """Place r from a ligand, at the angle centre-ligand-ion."""
    along = -CORNERS[ligand] / 2.05
    across = np.cross(along, [0.3, 0.1, 1.0])
    across /= np.linalg.norm(across)
    c, s = np.cos(np.radians(phi_degree)), np.sin(np.radians(phi_degree))
    return PS4[1 + ligand] + r * (c * along + s * across)


def run_of(ions):
    """A rigid PS4 at rest, and Li at (n_frames, n_ions, 3)."""
    n_frames, n_ions, _ = ions.shape
    x = np.concatenate([np.tile(PS4, (n_frames, 1, 1)), ions], axis=1)
    numbers = np.array([15, 16, 16, 16, 16] + [3] * n_ions)
    return Trajectory(np.arange(n_frames) * 0.1, x, CELL, numbers)


def units_of(run):
    return find_units(run.positions[0], run.numbers, CELL, centre="P", ligand="S",
                      cutoff_angstrom=2.9)  # fmt: skip


def analyse(runs, mobile="Li"):
    return r_phi(runs, [units_of(t) for t in runs], quench=[0] * len(runs), mobile=mobile)


def test_an_ion_stands_in_its_own_cell_of_the_map():
    run = run_of((ion_at(2.5, 95.0) + CELL[2] - CELL[0])[None, None])
    r_edges, phi_edges = np.linspace(2.0, 3.0, 11), np.linspace(0.0, 180.0, 19)
    known = {"mobile": run.numbers == 3, "cell": CELL, "phi_edges": phi_edges}
    rho = r_phi_map(run.positions, units_of(run), r_edges=r_edges, **known)
    area = np.outer(np.diff(r_edges), np.diff(phi_edges))
    assert (rho * area).sum() == pytest.approx(1.0)
    where = np.unravel_index(np.argmax(rho), rho.shape)
    assert where in ((4, 9), (5, 9))  # the edge between them is 2.5 A
    with pytest.raises(HopechoError, match="No mobile ion"):
        r_phi_map(run.positions, units_of(run), r_edges=np.array([0.1, 0.2]), **known)


def test_an_ion_straight_behind_a_ligand_is_at_180_degrees():
    result = analyse([run_of(np.repeat(ion_at(3.05, 180.0)[None, None], 8, axis=0))])
    i, j = np.unravel_index(np.argmax(result.density), result.density.shape)
    assert result.r_edges[i] <= 3.05 <= result.r_edges[i + 1]
    assert result.phi_edges[j + 1] == 180.0
    # The three other ligands are 6.1 A away, beyond the map.
    assert result.density.astype(bool).sum() == 1


def test_ions_spread_evenly_have_the_density_one_and_the_jacobian():
    rng = np.random.default_rng(0)
    runs = [run_of(rng.random((400, 40, 3)) @ CELL) for _ in range(3)]
    result = analyse(runs)
    assert result.r_edges[-1] == pytest.approx(0.5 * 12.0 * 12.0 / np.hypot(12.0, 3.0), abs=0.1)
    far, middle = result.r_edges[:-1] > 3.0, abs(PHI_EDGES[:-1] - 90.0) < 45.0
    inside = result.relative[np.ix_(far, middle)]
    assert inside.mean() == pytest.approx(1.0, abs=0.03)
    assert inside.std() < 0.3
    r = 0.5 * (result.r_edges[1:] + result.r_edges[:-1])
    shape = np.outer(r**2, np.sin(np.radians(0.5 * (PHI_EDGES[1:] + PHI_EDGES[:-1]))))
    area = np.outer(np.diff(result.r_edges), np.diff(PHI_EDGES))
    shape /= (shape * area).sum()
    assert (result.density * area).sum() == pytest.approx(1.0)
    # Within the errors over the three runs, which hold 68 % where noise is all there is.
    off = abs(result.density - shape)[np.ix_(far, middle)]
    err = result.density_err[np.ix_(far, middle)]
    assert 0.45 < (off < err).mean() < 0.75
    table = result.columns()
    assert {len(v) for v in table.values()} == {result.density.size}
    assert table["r_angstrom"][0] == pytest.approx(0.5 * (R_EDGES[0] + R_EDGES[1]))
    assert table["r_angstrom"][len(PHI_EDGES) - 2] == table["r_angstrom"][0]


def test_no_ion_nearby_or_a_mobile_centre_gives_no_map():
    far = PS4[0] + np.array([6.0, 6.0, 6.0])
    assert analyse([run_of(np.repeat(far[None, None], 4, axis=0))]) is None
    near = run_of(np.repeat(ion_at(2.5, 90.0)[None, None], 4, axis=0))
    assert analyse([near]) is not None
    assert analyse([near], mobile="P") is None
