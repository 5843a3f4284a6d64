"""A small basis, ternary crystals and a random smooth potential."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell

from hopecho.ufp.basis import BasisSpec, layout, potential_from

ELEMENTS = ("Li", "P", "S")


def triclinic_cell(seed: int = 3) -> Atoms:
    """Eight atoms in a skewed cell smaller than the cutoff."""
    rng = np.random.default_rng(seed)
    corners = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3), axis=-1).reshape(-1, 3)
    cell = np.array([[4.9, 0.0, 0.0], [0.7, 4.6, 0.0], [-0.5, 0.9, 4.8]])
    symbols = ["Li", "S", "Li", "S", "P", "S", "Li", "S"]
    atoms = Atoms(symbols, scaled_positions=corners, cell=cell, pbc=True)
    atoms.positions += rng.normal(scale=0.12, size=(8, 3))
    return atoms


@pytest.fixture(scope="session")
def spec() -> BasisSpec:
    return BasisSpec(ELEMENTS, 5.0, 3.6, intervals_2b=9, intervals_3b=4, intervals_jk=5)


@pytest.fixture(scope="session")
def coefficients(spec) -> np.ndarray:
    columns = layout(spec)
    rng = np.random.default_rng(11)
    out = rng.normal(scale=0.05, size=columns.n_columns)
    out[:3] = [-1.5, -4.0, 0.7]
    return out


@pytest.fixture(scope="session")
def potential(spec, coefficients):
    return potential_from(spec, coefficients, {})


@pytest.fixture
def crystal() -> Atoms:
    return triclinic_cell()


@pytest.fixture
def big_crystal() -> Atoms:
    atoms = make_supercell(triclinic_cell(), [[2, 0, 0], [1, 2, 0], [0, -1, 2]])
    atoms.rattle(0.08, seed=5)
    return atoms
