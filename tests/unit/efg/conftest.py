"""Rattled crystals with a many-body toy label."""

import numpy as np
import pytest

from hopecho.structures.crystals import load_crystal


def naive_efg(atoms):
    """Many-body toy label: screened charges within 9 A, plus dipoles of S induced by them."""
    n = np.arange(-2, 3)
    shifts = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3) @ np.array(atoms.cell)
    charge = np.array([{3: 0.8, 15: 0.8, 16: -0.8}[z] for z in atoms.numbers])
    d = atoms.positions[None, :, None] + shifts - atoms.positions[:, None, None]
    r = np.linalg.norm(d, axis=-1)
    near = (r > 0.1) & (r < 9.0)
    r = np.where(near, r, np.inf)
    # Screening exp(-r/4) keeps the cut-off sum smooth; the form is still no sum of pair terms.
    screened = np.exp(-np.where(near, r, 0) / 4) * near
    field = -np.einsum("j,ijs,ijsx->ix", charge, screened / r**3, d)
    dipole = 1.5 * field * (atoms.numbers == 16)[:, None]
    second = 3 * np.einsum("j,ijs,ijsx,ijsy->ixy", charge, screened / r**5, d, d)
    along = np.einsum("jx,ijsx->ijs", dipole, d) * screened
    second += 15 * np.einsum("ijs,ijsx,ijsy->ixy", along / r**7, d, d)
    mixed = 3 * np.einsum("jx,ijs,ijsy->ixy", dipole, screened / r**5, d)
    second -= mixed + mixed.transpose(0, 2, 1)
    second -= np.trace(second, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return 0.1 * second


@pytest.fixture(scope="session")
def data():
    rng = np.random.default_rng(0)
    crystal = load_crystal("beta-Li3PS4")
    frames = []
    for _ in range(34):
        atoms = crystal.copy()
        size = np.where(atoms.numbers == 3, 0.2, 0.1)
        atoms.positions += rng.normal(size=(len(atoms), 3)) * size[:, None] / np.sqrt(3)
        atoms.arrays["efg"] = naive_efg(atoms)
        frames.append(atoms)
    return frames
