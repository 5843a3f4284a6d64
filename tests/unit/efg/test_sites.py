"""Coordination classes on structures whose first shell is known."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.efg.sites import coordination, first_shell, site_classes
from hopecho.errors import HopechoError
from hopecho.structures.crystals import load_crystal

A = 5.0


def rocksalt():
    """Six S at A/2 around every Li, the next at A sqrt(3)/2."""
    li = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    scaled = np.concatenate([li, li + np.array([0.5, 0, 0])])
    return Atoms("Li4S4", scaled_positions=scaled, cell=np.eye(3) * A, pbc=True)


def test_the_first_shell_ends_between_the_shells():
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        atoms = rocksalt()
        atoms.positions += rng.normal(scale=0.08, size=(8, 3))
        frames.append(atoms)
    radius = first_shell(frames, probe="Li", ligand="S")
    assert A / 2 + 0.25 < radius < A * np.sqrt(3) / 2 - 0.25
    for atoms in frames:
        found = coordination(atoms, probe="Li", ligand="S", radius=radius)
        np.testing.assert_array_equal(found, [6, 6, 6, 6])


def test_a_cell_smaller_than_the_shell_counts_images():
    atoms = Atoms("SLi", positions=[[1.5, 0, 0], [0, 0, 0]], cell=np.eye(3) * 3.0, pbc=True)
    found = coordination(atoms, probe="Li", ligand="S", radius=1.6)
    np.testing.assert_array_equal(found, [2])
    np.testing.assert_array_equal(coordination(atoms, probe="Li", ligand="S", radius=1.4), [0])


def test_beta_has_four_and_six_fold_lithium():
    crystal = load_crystal("beta-Li3PS4")
    found = coordination(crystal, probe="Li", ligand="S", radius=3.2)
    assert set(found.tolist()) == {4, 6}


def test_small_classes_are_joined():
    counts = np.array([4, 6, 4, 4, 5, 6, 6, 3])
    groups = site_classes(counts, probe="Li", ligand="S", least=2)
    assert list(groups) == ["LiS4", "LiS6", "other"]
    assert groups["LiS6"].tolist() == [1, 5, 6]
    assert sorted(groups["other"].tolist()) == [4, 7]
    assert list(site_classes(counts, probe="Li", ligand="S", least=3)) == ["LiS4", "LiS6"]


def test_no_ligand_is_an_error():
    with pytest.raises(HopechoError, match="No ligand"):
        first_shell([Atoms("Li", cell=np.eye(3) * 20, pbc=True)], probe="Li", ligand="S")
