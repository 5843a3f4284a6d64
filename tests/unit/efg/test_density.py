"""Density coefficients against featomic, in a skew cell smaller than the cutoff."""

import featomic
import numpy as np
import pytest
from ase import Atoms

from hopecho.efg.density import density, kinds_of, make_frame
from hopecho.efg.longrange import smooth_gradient
from hopecho.efg.radial import CLOSEST_A, RadialBasis, sample_featomic, tabulate
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix

CELL = np.array([[5.0, 0, 0], [1.5, 6, 0], [-1, 2, 7.0]])
ELEMENTS = (3, 15, 16)
BASIS = RadialBasis(cutoff=5.5, n_radial=3, l_max=3, sigma=0.4)


@pytest.fixture(scope="module")
def table():
    return tabulate(BASIS)


def _atoms():
    rng = np.random.default_rng(4)
    ideal = np.array([[i, j, k] for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)])
    scaled = ideal + rng.uniform(-0.07, 0.07, (8, 3))
    return Atoms("Li3PS4", scaled_positions=scaled, cell=CELL, pbc=True)


def _frame(atoms, shift=0.0):
    kinds = kinds_of(atoms.numbers, ELEMENTS)
    return make_frame(atoms.positions + shift, CELL, kinds, np.arange(3))


def test_coefficients_equal_featomic(table):
    atoms = _atoms()
    ours = density(_frame(atoms), basis=BASIS, table=table, n_kinds=3)
    oracle = featomic.SphericalExpansion(
        cutoff={"radius": 5.5, "smoothing": {"type": "ShiftedCosine", "width": BASIS.smoothing}},
        density={"type": "Gaussian", "width": 0.4, "center_atom_weight": 0.0},
        basis={
            "type": "TensorProduct",
            "max_angular": 3,
            "radial": {"type": "Gto", "max_radial": 2},
            "spline_accuracy": 1e-9,
        },
    ).compute([atoms])
    for l in range(4):
        for kind, element in enumerate(ELEMENTS):
            block = oracle.block(
                {"o3_lambda": l, "o3_sigma": 1, "center_type": 3, "neighbor_type": element}
            )
            part = ours[:, kind, l * l : (l + 1) ** 2]
            np.testing.assert_allclose(part, np.asarray(block.values), atol=3e-7)


def test_unwrapped_and_shifted_positions_change_nothing(table):
    atoms = _atoms()
    images = np.random.default_rng(1).integers(-3, 4, (8, 3)) @ CELL
    a = density(_frame(atoms), basis=BASIS, table=table, n_kinds=3)
    b = density(
        _frame(atoms, images + np.array([0.3, -1.7, 9.0])), basis=BASIS, table=table, n_kinds=3
    )
    np.testing.assert_allclose(a, b, atol=1e-11)


def test_splines_reproduce_the_radial_functions_between_knots(table):
    r = np.random.default_rng(2).uniform(1.0, BASIS.cutoff, 40)
    cells = len(table.coefficients)
    position = (r - CLOSEST_A) / (BASIS.cutoff - CLOSEST_A) * cells
    cell = position.astype(int)
    powers = (position - cell)[:, None] ** np.arange(4)
    ours = np.einsum("np,npf->nf", powers, table.coefficients[cell])
    np.testing.assert_allclose(ours, sample_featomic(BASIS, r), atol=3e-7)


def test_a_table_of_any_cutoff_has_a_knot_where_the_cutoff_function_sets_in():
    r = np.linspace(0.5, 4.37, 301)[:-1]
    for smoothing in (0.5, 0.31, 4.0):
        basis = RadialBasis(cutoff=4.37, n_radial=2, l_max=2, smoothing=smoothing)
        table = tabulate(basis).coefficients
        x = (r - CLOSEST_A) / (basis.cutoff - CLOSEST_A) * len(table)
        cell = x.astype(int)
        ours = np.einsum("np,npf->nf", (x - cell)[:, None] ** np.arange(4), table[cell])
        np.testing.assert_allclose(ours, sample_featomic(basis, r), atol=3e-7)


@pytest.mark.parametrize("width", [1.0, 1.4, 2.0])
def test_smooth_and_short_range_parts_add_up_to_the_same_lattice_sum(width):
    """Point-charge gradients of a neutral crystal do not depend on where Ewald splits them."""
    atoms = _atoms()
    frame = _frame(atoms)
    charges = np.array([1.0, 2.0, -1.25])
    sums = smooth_gradient(frame, width=width, n_kinds=3)
    total = np.einsum("cam,a->cm", sums, charges) + _short(atoms, charges, frame, width)
    reference = np.einsum(
        "cam,a->cm", smooth_gradient(frame, width=0.8, n_kinds=3), charges
    ) + _short(atoms, charges, frame, 0.8)
    assert np.abs(reference).max() > 0.1
    # The sum stops at k s = 4.
    np.testing.assert_allclose(total, reference, atol=3e-3 * np.abs(reference).max())


def test_bad_configurations_are_errors(table):
    atoms = _atoms()
    with pytest.raises(HopechoError, match=r"atomic numbers \[15\]"):
        kinds_of(atoms.numbers, (3, 16))
    with pytest.raises(HopechoError, match="NaN"):
        _frame(atoms, np.nan)
    with pytest.raises(HopechoError, match="three-dimensional"):
        make_frame(atoms.positions, np.zeros((3, 3)), np.zeros(8, int), np.arange(3))
    atoms.positions[7] = atoms.positions[1] + 0.1
    with pytest.raises(HopechoError, match="neighbour of atom 1"):
        density(_frame(atoms), basis=BASIS, table=table, n_kinds=3)
    with pytest.raises(HopechoError, match="smoothing"):
        RadialBasis(cutoff=3.0, smoothing=4.0)
    with pytest.raises(HopechoError, match="rank 2"):
        RadialBasis(l_max=1)


def _short(atoms, charges, frame, width):
    """Naive sum of what Gaussian charges lack, d2/dx_i dx_j of erfc(a r)/r, a = 1/(s sqrt2)."""
    from scipy.special import erfc

    a = 1 / (np.sqrt(2) * width)
    n = np.arange(-4, 5)
    shifts = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3) @ CELL
    out = np.zeros((3, 3, 3))
    for c in range(3):
        d = (atoms.positions[:, None] + shifts - atoms.positions[c]).reshape(-1, 3)
        q = np.repeat(charges[frame.kinds], len(shifts))
        r = np.linalg.norm(d, axis=1)
        d, q, r = d[r > 1e-6], q[r > 1e-6], r[r > 1e-6]
        gauss = 2 * a / np.sqrt(np.pi) * np.exp(-((a * r) ** 2))
        first = (erfc(a * r) / r + gauss) / r**2
        second = (3 * first + 2 * a**2 * gauss) / r**2
        out[c] = np.einsum("n,ni,nj->ij", q * second, d, d)
    return isometric_from_matrix(out)
