"""SOAP vectors: symmetries that hold exactly, and distances that mean something."""

import numpy as np
import pytest
from ase.build import bulk
from numpy.testing import assert_allclose

from hopecho.errors import HopechoError
from hopecho.learning.soap import (
    UNRELATED,
    SoapSettings,
    describe,
    fingerprint,
    kernel_distance,
    nearest_distance,
    structure_kernel,
)
from hopecho.structures.crystals import load_crystal

ELEMENTS = ["Li", "P", "S"]


def soap(*frames, elements=ELEMENTS):
    return list(describe(frames, elements=elements, settings=SoapSettings()))


@pytest.fixture(scope="module")
def crystal():
    atoms = load_crystal("beta-Li3PS4")
    atoms.rattle(0.1, seed=3)
    return atoms


def test_vectors_are_unit_and_one_an_atom(crystal):
    (env,) = soap(crystal)
    assert env.vectors.shape[0] == len(crystal)
    assert_allclose(np.linalg.norm(env.vectors, axis=1), 1.0, rtol=1e-6)


def test_invariant_under_rotation_shift_and_unwrapping(crystal):
    rng = np.random.default_rng(1)
    moved = crystal.copy()
    moved.rotate(37.0, (1, 2, -1), rotate_cell=True)
    moved.positions += [0.3, -2.0, 11.0]
    moved.positions += rng.integers(-3, 4, size=(len(moved), 3)) @ moved.cell.array
    a, b = soap(crystal, moved)
    assert_allclose(a.vectors, b.vectors, atol=2e-6)


def test_follows_permutation_of_atoms_and_drops_no_species_order(crystal):
    order = np.random.default_rng(2).permutation(len(crystal))
    a, b = soap(crystal, crystal[order])
    assert_allclose(b.vectors, a.vectors[order], atol=1e-6)
    assert_allclose(b.numbers, a.numbers[order])


def test_supercell_repeats_the_cell(crystal):
    a, b = soap(crystal, crystal.repeat((1, 2, 1)))
    assert_allclose(b.vectors[: len(crystal)], a.vectors, atol=1e-6)
    assert structure_kernel(a, b, elements=ELEMENTS) == pytest.approx(1.0, abs=1e-9)


def test_info_and_arrays_of_any_kind_do_not_reach_quip(crystal):
    odd = crystal.copy()
    odd.info.update(phase="beta", nested={"a": [1, None]})
    odd.set_array("efg", np.zeros((len(odd), 3, 3)))
    a, b = soap(crystal, odd)
    assert_allclose(a.vectors, b.vectors)


def test_distance_grows_with_displacement(crystal):
    frames = []
    for scale in (0.0, 0.02, 0.06, 0.18):
        frame = crystal.copy()
        frame.positions += scale * np.random.default_rng(4).normal(size=(len(frame), 3))
        frames.append(frame)
    vectors = [e.vectors for e in soap(*frames)]
    fingerprints = np.array([fingerprint(e, elements=ELEMENTS) for e in soap(*frames)])
    lithium = crystal.numbers == 3
    local = [np.linalg.norm(v - vectors[0], axis=1)[lithium].mean() for v in vectors]
    assert local[0] == 0.0
    assert np.all(np.diff(local) > 0)
    assert np.all(np.diff(kernel_distance(fingerprints, fingerprints[0])) > 0)


def test_nearest_distance_equals_naive_loop():
    rng = np.random.default_rng(5)
    a = rng.normal(size=(7, 20)).astype(np.float32)
    b = rng.normal(size=(9, 20)).astype(np.float32)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    naive = [min(np.linalg.norm(x - y) for y in b) for x in a]
    assert_allclose(nearest_distance(a, b), naive, rtol=1e-5)
    assert_allclose(nearest_distance(a, b[:0]), UNRELATED)
    assert_allclose(nearest_distance(a, a), 0.0, atol=1e-3)


def test_kernel_distance_is_the_kernels_own(crystal):
    hot = crystal.copy()
    hot.rattle(0.3, seed=9)
    a, b = soap(crystal, hot)
    k = structure_kernel(a, b, elements=ELEMENTS)
    fa, fb = (fingerprint(e, elements=ELEMENTS) for e in (a, b))
    assert kernel_distance(fa[None], fb)[0] == pytest.approx(np.sqrt(2 - 2 * k), rel=1e-6)


def test_foreign_element_is_an_error_not_ignored(crystal):
    foreign = crystal.copy()
    foreign.numbers[0] = 32
    with pytest.raises(HopechoError, match="Ge"):
        soap(foreign)


def test_one_element_and_perfect_lattice():
    (env,) = soap(bulk("Li", "bcc", a=3.49, cubic=True), elements=["Li"])
    assert_allclose(env.vectors[0], env.vectors[1], atol=1e-6)
