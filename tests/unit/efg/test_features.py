"""Features of any elements and any periodic cell: featomic, explicit supercells, symmetries."""

import featomic
import numpy as np
import pytest
from ase import Atoms
from metatensor import Labels

from hopecho.efg.density import density, kinds_of, make_frame
from hopecho.efg.features import FeatureSpec, channels, features
from hopecho.efg.harmonics import coupled_pairs, coupling
from hopecho.efg.radial import RadialBasis, tabulate
from hopecho.tensors import matrix_from_isometric, random_rotations

BASIS = RadialBasis(cutoff=5.0, n_radial=3, l_max=3, sigma=0.4)
TABLE = tabulate(BASIS, cells=1024)
CELLS = {
    "smaller than the cutoff": [[4.2, 0, 0], [1.1, 3.9, 0], [-0.8, 1.3, 4.5]],
    "very skew": [[6.0, 0, 0], [5.0, 4.0, 0], [-4.0, 3.0, 5.0]],
    "flat": [[3.0, 0, 0], [0.4, 14.0, 0], [0, -1.0, 15.0]],
    "larger than two cutoffs": [[13.0, 0, 0], [2.0, 12.0, 0], [-3.0, 1.0, 14.0]],
}


def structure(cell, formula="Li2PS3Na", *, spacing=2.0, seed=0):
    """Atoms on a jittered grid, at least about 1 A apart."""
    rng = np.random.default_rng(seed)
    cell = np.array(cell, dtype=float)
    widths = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    n = np.maximum(np.floor(widths / spacing).astype(int), 1)
    grid = np.stack(np.meshgrid(*[np.arange(k) for k in n], indexing="ij"), -1).reshape(-1, 3)
    scaled = (grid + rng.uniform(-0.15, 0.15, grid.shape)) / n
    symbols = rng.choice(Atoms(formula).get_chemical_symbols(), len(grid)).tolist()
    return Atoms(symbols, scaled_positions=scaled, cell=cell, pbc=True)


def spec_of(atoms, *, probe, basis=BASIS, table=TABLE, **changes):
    elements = tuple(sorted(set(atoms.numbers.tolist())))
    rest = {"centre_weight": 1.0, "long_range_width": 0.0} | changes
    return FeatureSpec(probe, elements, basis, table, **rest)


def frame_of(atoms, spec):
    kinds = kinds_of(atoms.numbers, spec.elements)
    centres = np.flatnonzero(atoms.numbers == spec.probe)
    return make_frame(atoms.positions, atoms.cell.array, kinds, centres)


def naive_density(atoms, spec, centre):
    """Density of one centre from an explicit block of images: no bins, no bounds, no wrapping."""
    from hopecho.efg.harmonics import harmonics

    n = np.arange(-6, 7)
    shifts = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3) @ atoms.cell.array
    d = atoms.positions[:, None] + shifts - atoms.positions[centre]
    r = np.linalg.norm(d, axis=-1)
    basis, table = spec.basis, spec.table.coefficients
    out = np.zeros((len(spec.elements), (basis.l_max + 1) ** 2, basis.n_radial))
    for kind, element in enumerate(spec.elements):
        near = (r < basis.cutoff) & (r > 1e-6) & (atoms.numbers == element)[:, None]
        y = harmonics(d[near] / r[near][:, None], l_max=basis.l_max)
        x = (r[near] - 0.25) / (basis.cutoff - 0.25) * len(table)
        cell = x.astype(int)
        values = np.einsum("np,npf->nf", (x - cell)[:, None] ** np.arange(4), table[cell])
        for l in range(basis.l_max + 1):
            radial = values[:, l * basis.n_radial : (l + 1) * basis.n_radial]
            out[kind, l * l : (l + 1) ** 2] = y[:, l * l : (l + 1) ** 2].T @ radial
    return out


@pytest.mark.parametrize("name", CELLS)
def test_neighbours_of_any_cell_are_those_of_a_block_of_images(name):
    atoms = structure(CELLS[name], spacing=2.6)
    atoms.numbers[0] = 3
    spec = spec_of(atoms, probe=3)
    frame = frame_of(atoms, spec)
    found = density(frame, basis=BASIS, table=TABLE, n_kinds=len(spec.elements))
    for k, centre in enumerate(frame.centres[:4]):
        expected = naive_density(atoms, spec, centre)
        np.testing.assert_allclose(found[k], expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", CELLS)
def test_a_supercell_has_the_features_of_its_cell(name):
    atoms = structure(CELLS[name], spacing=2.6, seed=1)
    atoms.numbers[0] = 3
    spec = spec_of(atoms, probe=3, long_range_width=2.0)
    one = features(frame_of(atoms, spec), spec)
    large = atoms.repeat((2, 1, 3))
    many = features(frame_of(large, spec), spec).reshape(6, *one.shape)
    np.testing.assert_allclose(many, np.tile(one, (6, 1, 1, 1)), atol=1e-10 * np.abs(one).max())


@pytest.mark.parametrize("formula", ["Li", "Li2NaPS3"])
def test_pair_and_triplet_features_are_featomics(formula):
    """One element and four, in a skew cell smaller than the cutoff sphere, to 1e-8."""
    atoms = structure([[6.2, 0, 0], [1.1, 5.9, 0], [-0.8, 1.3, 6.5]], formula, seed=2)
    atoms.numbers[:4] = sorted(set(Atoms(formula).numbers.tolist()))[:1] * 4
    spec = spec_of(atoms, probe=3)
    c = channels(frame_of(atoms, spec), spec)
    scale = np.abs(c).max()
    options = hypers(BASIS)
    pair = featomic.SphericalExpansion(**options).compute([atoms])
    n = BASIS.n_radial
    for k, element in enumerate(spec.elements):
        key = {"o3_lambda": 2, "o3_sigma": 1, "center_type": 3, "neighbor_type": element}
        theirs = np.asarray(pair.block(key).values)
        np.testing.assert_allclose(c[:, 4:9, k * n : (k + 1) * n], theirs, atol=1e-8 * scale)
    triplet = power_spectrum(options, atoms, spec.elements)
    product = scale**2
    for first, one in enumerate(spec.elements):
        for second, two in enumerate(spec.elements[first:], start=first):
            block = triplet.block(
                {"o3_lambda": 2, "o3_sigma": 1, "center_type": 3,
                 "neighbor_1_type": one, "neighbor_2_type": two}
            )  # fmt: skip
            names = block.properties.names
            order = np.asarray(block.properties.values)
            values = np.asarray(block.values)
            for l1, l2 in coupled_pairs(BASIS.l_max):
                mine = coupled(c, l1, l2)
                rows = (order[:, names.index("l_1")] == l1) & (order[:, names.index("l_2")] == l2)
                assert rows.sum() == n * n
                n1, n2 = order[rows][:, [names.index("n_1"), names.index("n_2")]].T
                ours = mine[:, :, first * n + n1, second * n + n2]
                sign = np.sign(np.sum(ours * values[:, :, rows]))
                np.testing.assert_allclose(sign * ours, values[:, :, rows], atol=1e-8 * product)


def hypers(basis):
    return {
        "cutoff": {
            "radius": basis.cutoff,
            "smoothing": {"type": "ShiftedCosine", "width": basis.smoothing},
        },
        "density": {"type": "Gaussian", "width": basis.sigma, "center_atom_weight": 1.0},
        "basis": {
            "type": "TensorProduct",
            "max_angular": basis.l_max,
            "radial": {"type": "Gto", "max_radial": basis.n_radial - 1},
            "spline_accuracy": 1e-9,
        },
    }


def power_spectrum(options, atoms, elements):
    """lambda = 2, even parity; neighbour lists of every element, absent ones as zeros."""
    calculator = featomic.clebsch_gordan.EquivariantPowerSpectrum(
        featomic.SphericalExpansion(**options), neighbor_types=list(elements)
    )
    selected = Labels(["o3_lambda", "o3_sigma"], np.array([[2, 1]]))
    return calculator.compute([atoms], selected_keys=selected, neighbors_to_properties=False)


def coupled(c, l1, l2):
    """Coupled products of every pair of channels, straight from the definition."""
    first, second = c[:, l1 * l1 : (l1 + 1) ** 2], c[:, l2 * l2 : (l2 + 1) ** 2]
    return np.einsum("iaq,abm,ibr->imqr", first, coupling(l1, l2), second)


def test_packed_triplets_are_the_coupled_products():
    atoms = structure(CELLS["very skew"], seed=3)
    atoms.numbers[0] = 3
    spec = spec_of(atoms, probe=3)
    frame = frame_of(atoms, spec)
    x, c = features(frame, spec), channels(frame, spec)
    q, start = spec.n_channels, spec.n_channels
    for l1, l2 in coupled_pairs(BASIS.l_max):
        full = coupled(c, l1, l2)
        if l1 == l2:
            i, j = np.triu_indices(q)
            full = full[:, :, i, j]
        full = full.reshape(*full.shape[:2], -1)
        block = x[:, :, start : start + full.shape[2]]
        np.testing.assert_allclose(block, full, atol=1e-12 * np.abs(full).max())
        start += full.shape[2]
    assert start == spec.n_features


@pytest.mark.parametrize("formula", ["Li", "Li2P", "Li2NaPS3"])
@pytest.mark.parametrize("name", ["smaller than the cutoff", "very skew"])
def test_features_turn_with_the_structure_and_are_even(formula, name):
    atoms = structure(CELLS[name], formula, seed=4)
    atoms.numbers[:2] = 3
    spec = spec_of(atoms, probe=3, long_range_width=1.5)
    before = as_matrices(features(frame_of(atoms, spec), spec))
    turn = random_rotations(2, rng=np.random.default_rng(5))
    for matrix in (turn[0], -turn[1], -np.eye(3), np.diag([1.0, -1, 1])):
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ matrix.T, scale_atoms=True)
        moved.positions += np.array([0.7, -11.0, 3.3])
        after = as_matrices(features(frame_of(moved, spec), spec))
        expected = matrix @ before @ matrix.T
        np.testing.assert_allclose(after, expected, atol=1e-10 * np.abs(expected).max())


def as_matrices(x):
    return matrix_from_isometric(np.swapaxes(x, 1, 2))


def test_atoms_on_the_edge_of_a_bin_are_found_once():
    """A simple cubic crystal whose atoms lie on cell and bin faces, displaced by rounding."""
    a = 2.5
    atoms = Atoms("Li", positions=[[0, 0, 0]], cell=np.eye(3) * a, pbc=True).repeat(4)
    spec = spec_of(atoms, probe=3)
    expected = naive_density(atoms, spec, 0)
    for shift in (0.0, 1e-17, -1e-17, 4 * a - 1e-16):
        moved = atoms.copy()
        moved.positions += shift
        found = density(frame_of(moved, spec), basis=BASIS, table=TABLE, n_kinds=1)
        np.testing.assert_allclose(found, np.tile(expected, (64, 1, 1, 1)), atol=1e-10)
    # An inversion centre with cubic symmetry has no l = 2 part.
    np.testing.assert_allclose(found[:, :, 4:9], 0, atol=1e-10)
