import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import erf, erfc

from hopecho.errors import HopechoError
from hopecho.labels.model_efg import EfgParams, induced_dipoles, model_efg
from hopecho.units import cq_khz_per_au

RIGID = EfgParams(polarisabilities={})
AU = Bohr**3


def small(seed: int = 3, triclinic: bool = True) -> Atoms:
    """Li3PS4 in a small skewed cell, atoms apart by more than 1.5 A."""
    cell = [[6.2, 0.3, -0.4], [0.5, 5.9, 0.2], [-0.7, 0.4, 6.4]] if triclinic else [6.2, 5.9, 6.4]
    rng = np.random.default_rng(seed)
    atoms = Atoms("Li3PS4", cell=cell, pbc=True)
    grid = np.array(list(itertools.product((0.0, 0.5), repeat=3))) + 0.1
    atoms.set_scaled_positions(grid[rng.permutation(8)] + rng.uniform(-0.06, 0.06, (8, 3)))
    return atoms


def naive_potential(point, atoms, charges, dipoles, *, damping, skip=None, split=0.9):
    """phi(point), term by term: undamped charges (without `skip`) and damped dipoles."""
    cell = atoms.cell.array
    volume = abs(np.linalg.det(cell))
    images = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ cell
    k = np.array(list(itertools.product(range(-12, 13), repeat=3))) @ (
        2 * np.pi * np.linalg.inv(cell).T
    )
    k2 = (k**2).sum(1)
    k, k2 = k[(k2 > 0) & (k2 < 11.5**2)], k2[(k2 > 0) & (k2 < 11.5**2)]
    weight = 4 * np.pi / volume * np.exp(-k2 / (4 * split**2)) / k2
    phi = 0.0
    for j, r_j in enumerate(atoms.positions):
        d = point - r_j - images
        r = np.linalg.norm(d, axis=1)
        phase = k @ (point - r_j)
        # g = erf(split r)/r in reciprocal space; -mu.grad cos(k.r) = (mu.k) sin(k.r)
        phi += (weight * (charges[j] * np.cos(phase) + (k @ dipoles[j]) * np.sin(phase))).sum()
        if j == skip:
            far = r > 0.3
            phi += charges[j] * (erfc(split * r[far]) / r[far]).sum()
            near = np.maximum(r[~far], 1e-9)
            phi -= charges[j] * (erf(split * near) / near).sum()
            r, d = r[far], d[far]
        else:
            phi += charges[j] * (erfc(split * r) / r).sum()
        gauss = (
            2
            / np.sqrt(np.pi)
            * (damping * np.exp(-((damping * r) ** 2)) - split * np.exp(-((split * r) ** 2)))
        )
        slope = gauss / r - (erf(damping * r) - erf(split * r)) / r**2
        phi -= (slope * (d @ dipoles[j]) / r).sum()
    return phi


def second_derivative(function, point, h=2e-2):
    """Fourth-order central differences of a scalar, (3, 3)."""
    hessian = np.zeros((3, 3))
    weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    for a, b in itertools.product(range(3), repeat=2):
        for (m, wm), (n, wn) in itertools.product(weights.items(), repeat=2):
            shift = np.zeros(3)
            shift[a] += m * h
            shift[b] += n * h
            hessian[a, b] += wm * wn * function(point + shift)
    return hessian / h**2


@pytest.mark.parametrize("params", [RIGID, EfgParams()], ids=["rigid", "polarisable"])
def test_gradient_is_the_second_derivative_of_the_potential(params):
    atoms = small()
    charges = np.array([params.charges[s] for s in atoms.get_chemical_symbols()])
    dipoles = induced_dipoles(atoms, params=params)
    nucleus = int(np.nonzero(atoms.numbers == 3)[0][0])

    def phi(point):
        return naive_potential(point, atoms, charges, dipoles, damping=params.damping, skip=nucleus)

    expected = second_derivative(phi, atoms.positions[nucleus]) * AU * 0.744
    got = model_efg(atoms, params=params)[nucleus]
    trace = np.trace(expected)
    # Point charges leave no trace; the cloud of a damped dipole does, and it is taken out.
    assert (abs(trace) < 1e-9) == (params is RIGID)
    assert np.abs(got - (expected - trace / 3 * np.eye(3))).max() < 2e-7 * np.abs(got).max()


def test_dipoles_are_polarisability_times_damped_field():
    atoms = small(4)
    params = EfgParams()
    symbols = atoms.get_chemical_symbols()
    charges = np.array([params.charges[s] for s in symbols])
    dipoles = induced_dipoles(atoms)
    site = symbols.index("S")

    def phi(point):
        # Every cloud damped, the site's own dipole taken out at the end.
        total = naive_potential(point, atoms, charges, dipoles, damping=params.damping)
        cell = atoms.cell.array
        images = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ cell
        for j, r_j in enumerate(atoms.positions):
            d = point - r_j - images
            r = np.linalg.norm(d, axis=1)
            total += charges[j] * ((erf(params.damping * r) - 1) / r).sum()
        return total

    centre = atoms.positions[site] + 0.0
    # Symmetric steps around the nucleus: own charge cancels, own dipole is known in closed form.
    field = np.zeros(3)
    for axis in range(3):
        for m, w in {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}.items():
            step = np.zeros(3)
            step[axis] = m * 2e-2
            field[axis] -= w * phi(centre + step) / 2e-2
    own = -4 * params.damping**3 / (3 * np.sqrt(np.pi)) * dipoles[site]
    assert np.allclose(dipoles[site], 2.5 * (field - own), rtol=0, atol=3e-6)
    assert not dipoles[np.array(symbols) != "S"].any()


def test_independent_of_the_ewald_splitting():
    atoms = small()
    reference = model_efg(atoms)
    for cutoff in (7.6, 9.0, 12.0):
        difference = np.abs(model_efg(atoms, cutoff_a=cutoff) - reference).max()
        assert difference < 1e-10 * np.abs(reference).max()


def test_too_short_cutoff_is_refused():
    with pytest.raises(ValueError, match="damping range"):
        model_efg(small(), cutoff_a=5.0)


def lattice(symbols, positions, cell, charges) -> np.ndarray:
    atoms = Atoms(symbols, positions=positions, cell=cell, pbc=True)
    return model_efg(atoms, params=EfgParams(charges=charges, polarisabilities={}, sternheimer={}))


def test_cubic_sites_have_no_gradient():
    rocksalt = [[0, 0, 0], [2, 0, 0]]
    cell = [[0, 2, 2], [2, 0, 2], [2, 2, 0]]
    tensors = lattice(["Li", "S"], rocksalt, cell, {"Li": 1.0, "S": -1.0})
    assert np.abs(tensors).max() < 1e-13


def test_tetragonal_lattice_against_direct_sum():
    # CsCl stretched along z: neutral, inversion-symmetric Evjen cells, summed shell by shell.
    a, c, n = 3.0, 3.6, 40
    tensors = lattice(
        ["Li", "S"], [[0, 0, 0], [a / 2, a / 2, c / 2]], [a, a, c], {"Li": 1.0, "S": -1.0}
    )
    index = np.arange(-n, n + 1)
    edge = np.where(np.abs(index) == n, 0.5, 1.0)
    w = edge[:, None, None] * edge[None, :, None] * edge[None, None, :]
    x, y, z = np.meshgrid(index * a, index * a, index * c, indexing="ij")
    r2 = x**2 + y**2 + z**2
    r2[n, n, n] = np.inf
    vzz = (w * (3 * z**2 - r2) / np.where(np.isinf(r2), 1, r2) ** 2.5)[np.isfinite(r2)].sum()
    half = np.arange(-n, n) + 0.5
    x, y, z = np.meshgrid(half * a, half * a, half * c, indexing="ij")
    r2 = x**2 + y**2 + z**2
    vzz -= ((3 * z**2 - r2) / r2**2.5).sum()
    assert tensors[0, 2, 2] == pytest.approx(vzz * AU, rel=2e-3)
    assert tensors[0, 0, 0] == pytest.approx(-tensors[0, 2, 2] / 2, rel=1e-10)


def test_lorentz_field_of_a_cubic_dipole_lattice():
    # Equal charges cannot polarise a cubic lattice; a displaced one polarises along the shift.
    cell = np.eye(3) * 4.0
    atoms = Atoms("LiS", positions=[[0, 0, 0.0], [2, 2, 2.3]], cell=cell, pbc=True)
    dipoles = induced_dipoles(atoms, params=EfgParams(charges={"Li": 0.8, "S": -0.8}))
    assert np.abs(dipoles[1, :2]).max() < 1e-12
    assert abs(dipoles[1, 2]) > 1e-2


def test_symmetric_traceless_and_sternheimer():
    atoms = small()
    tensors = model_efg(atoms)
    assert np.array_equal(tensors, tensors.transpose(0, 2, 1))
    assert np.abs(np.trace(tensors, axis1=1, axis2=2)).max() < 1e-15
    bare = model_efg(atoms, params=EfgParams(sternheimer={}))
    lithium = atoms.numbers == 3
    assert np.allclose(tensors[lithium], 0.744 * bare[lithium], rtol=1e-14, atol=0)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_covariant_under_rotation_shift_and_permutation(seed):
    rng = np.random.default_rng(seed)
    atoms = small(seed)
    tensors = model_efg(atoms)
    rotation = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    moved = Atoms(
        numbers=atoms.numbers,
        positions=(atoms.positions + rng.normal(size=3) * 5) @ rotation.T,
        cell=atoms.cell.array @ rotation.T,
        pbc=True,
    )[order]
    expected = (rotation @ tensors @ rotation.T)[order]
    assert np.allclose(model_efg(moved), expected, rtol=0, atol=1e-11)


def test_supercell_repeats_the_tensors():
    atoms = small()
    tensors = model_efg(atoms)
    big = model_efg(atoms * (2, 1, 2))
    assert np.allclose(big, np.tile(tensors, (4, 1, 1)), rtol=0, atol=1e-10)


def test_dipoles_make_it_many_body():
    # The change from moving two atoms is not the sum of the changes from moving each.
    def li(shift_1, shift_2, params):
        atoms = small()
        sulfur = np.nonzero(atoms.numbers == 16)[0]
        atoms.positions[sulfur[0], 0] += shift_1
        atoms.positions[sulfur[1], 1] += shift_2
        return model_efg(atoms, params=params)[atoms.numbers == 3]

    def cross(params):
        return np.abs(
            li(0.3, 0.3, params) - li(0.3, 0, params) - li(0, 0.3, params) + li(0, 0, params)
        ).max()

    assert cross(RIGID) < 1e-12
    assert cross(EfgParams()) > 1e-5


@pytest.mark.parametrize("distance", [0.05, 0.3, 1.0, 2.0])
def test_close_sulfurs_do_not_diverge(distance):
    atoms = small()
    sulfur = np.nonzero(atoms.numbers == 16)[0]
    for i, index in enumerate(sulfur[1:], start=1):
        atoms.positions[index] = atoms.positions[sulfur[0]] + i * distance * np.array([0.6, 0.8, 0])
    dipoles = induced_dipoles(atoms)
    assert np.abs(dipoles).max() < 5.0


def test_scale_is_that_of_lithium_in_a_sulfide():
    atoms = small(triclinic=False)
    tensors = model_efg(atoms)[atoms.numbers == 3]
    largest = np.abs(np.linalg.eigvalsh(tensors)).max(axis=1) * abs(cq_khz_per_au("7Li"))
    assert (largest > 20).all()
    assert (largest < 400).all()


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("LiCl", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True), "no charge"),
        (Atoms("LiS2", positions=np.eye(3) * 2, cell=[5, 5, 5], pbc=True), "neutral"),
        (Atoms("LiS", positions=[[0, 0, 0], [2, 2, 2]]), "periodic"),
    ],
)
def test_errors_name_the_cause(atoms, message):
    with pytest.raises(HopechoError, match=message):
        model_efg(atoms)


def test_divergent_parameters_are_refused():
    with pytest.raises(HopechoError, match="diverge"):
        EfgParams(polarisabilities={"S": 3.0}, damping=0.9)
