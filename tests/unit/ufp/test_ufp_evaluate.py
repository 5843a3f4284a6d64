"""Features, evaluation and LAMMPS against each other, finite differences and naive sums."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation

from hopecho.errors import HopechoError
from hopecho.io.uf3 import write_uf3
from hopecho.labels.model_pes import ModelPes
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.features import featurise
from hopecho.ufp.neighbours import neighbour_list

ELEMENTS = ("Li", "P", "S")


def naive_energy(potential, atoms):
    """Sum splines over all images, triplet by triplet, with scipy."""
    shifts = [(np.array(s) @ atoms.cell.array) for s in itertools.product(range(-2, 3), repeat=3)]
    symbols, order = atoms.get_chemical_symbols(), potential.elements.index
    energy = sum(potential.one_body[name] for name in symbols)
    for i, centre in enumerate(symbols):
        near = [
            (symbols[j], d)
            for j, shift in itertools.product(range(len(atoms)), shifts)
            for d in [atoms.positions[j] + shift - atoms.positions[i]]
            if 1e-9 < np.linalg.norm(d) < 5.0
        ]
        for name, d in near:
            pair = potential.two_body[tuple(sorted((centre, name), key=order))]
            energy += BSpline(pair.knots, pair.coefficients, 3)(np.linalg.norm(d))
        short = [(name, d) for name, d in near if np.linalg.norm(d) < 3.6]
        for one, two in itertools.combinations(short, 2):
            (a, da), (b, db) = sorted((one, two), key=lambda item: order(item[0]))
            term = potential.three_body[centre, a, b]
            r = [np.linalg.norm(da), np.linalg.norm(db), np.linalg.norm(db - da)]
            rows = [
                BSpline.design_matrix([x], knots, 3).toarray()[0]
                for x, knots in zip(r, (term.knots_ij, term.knots_ik, term.knots_jk))
            ]
            energy += np.einsum("l,m,n,lmn", *rows, term.coefficients)
    return energy


def numerical(potential, atoms, step=1e-5):
    """Central differences of the energy: forces of two atoms and the stress."""
    packed = pack(potential)
    forces = np.zeros((2, 3))
    for atom, axis in itertools.product(range(2), range(3)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(evaluate(packed, moved).energy)
        forces[atom, axis] = -(energies[0] - energies[1]) / (2 * step)
    stress = []
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(evaluate(packed, moved).energy)
        stress.append((energies[0] - energies[1]) / (2 * step * atoms.get_volume()))
    return forces, np.array(stress)


def test_energy_equals_the_naive_sum(potential, crystal):
    assert evaluate(potential, crystal).energy == pytest.approx(
        naive_energy(potential, crystal), abs=1e-10
    )


def test_features_times_coefficients_equal_evaluate(spec, potential, coefficients, big_crystal):
    features = featurise(big_crystal, spec)
    prediction = evaluate(potential, big_crystal)
    assert features.energy @ coefficients == pytest.approx(prediction.energy, abs=1e-10)
    np.testing.assert_allclose(features.forces @ coefficients, prediction.forces, atol=1e-10)
    np.testing.assert_allclose(features.stress @ coefficients, prediction.stress, atol=1e-10)


@pytest.mark.parametrize("size", ["crystal", "big_crystal"])
def test_forces_and_stress_are_derivatives(size, potential, request):
    atoms = request.getfixturevalue(size)
    forces, stress = numerical(potential, atoms)
    prediction = evaluate(potential, atoms)
    np.testing.assert_allclose(prediction.forces[:2], forces, atol=1e-7)
    np.testing.assert_allclose(prediction.stress, stress, atol=1e-8)
    np.testing.assert_allclose(prediction.forces.sum(axis=0), 0, atol=1e-10)


def test_rotation_translation_permutation_and_wrapping(potential, crystal):
    reference = evaluate(potential, crystal)
    rotation = Rotation.random(rng=1).as_matrix()
    turned = crystal.copy()
    turned.set_cell(crystal.cell.array @ rotation.T)
    turned.positions = crystal.positions @ rotation.T + [3.0, -7.0, 11.0]
    prediction = evaluate(potential, turned)
    assert prediction.energy == pytest.approx(reference.energy, abs=1e-10)
    np.testing.assert_allclose(prediction.forces, reference.forces @ rotation.T, atol=1e-10)
    order = np.random.default_rng(2).permutation(len(crystal))
    shuffled = crystal[order]
    shuffled.wrap()
    prediction = evaluate(potential, shuffled)
    assert prediction.energy == pytest.approx(reference.energy, abs=1e-10)
    np.testing.assert_allclose(prediction.forces, reference.forces[order], atol=1e-10)


def test_small_triclinic_cell_equals_its_supercell(potential, spec, crystal):
    supercell = crystal.repeat((2, 3, 1))
    small, large = evaluate(potential, crystal), evaluate(potential, supercell)
    assert large.energy == pytest.approx(6 * small.energy, abs=1e-9)
    np.testing.assert_allclose(large.forces, np.tile(small.forces, (6, 1)), atol=1e-10)
    np.testing.assert_allclose(large.stress, small.stress, atol=1e-11)
    few, many = featurise(crystal, spec), featurise(supercell, spec)
    np.testing.assert_allclose(many.energy, 6 * few.energy, atol=1e-9)


def test_molecule_without_cell_equals_one_in_a_large_box(potential):
    molecule = Atoms("PS3Li", [[0, 0, 0], [2, 0, 0], [0, 2.1, 0], [0, 0, 2.2], [2, 2, 1]])
    boxed = molecule.copy()
    boxed.set_cell(np.eye(3) * 40)
    boxed.pbc = True
    free, periodic = evaluate(potential, molecule), evaluate(potential, boxed)
    assert free.energy == pytest.approx(periodic.energy, abs=1e-12)
    np.testing.assert_allclose(free.forces, periodic.forces, atol=1e-12)
    assert (free.stress == 0).all()


@pytest.mark.parametrize("case", ["crystal", "big_crystal", "inside the core"])
def test_lammps_gives_the_same_energy_forces_and_stress(case, potential, tmp_path, request):
    size = case if case != "inside the core" else "big_crystal"
    atoms = request.getfixturevalue(size)
    if case == "inside the core":
        atoms.positions[1] = atoms.positions[0] + [0.3, 0.4, 0.1]
    check_against_lammps(potential, atoms, tmp_path)


def test_lammps_agrees_for_four_elements(big_crystal, tmp_path):
    elements = ("Li", "Ge", "P", "S")
    spec = BasisSpec(elements, 5.0, 3.6, intervals_2b=9, intervals_3b=4, intervals_jk=5)
    rng = np.random.default_rng(12)
    coefficients = rng.normal(scale=0.05, size=layout(spec).n_columns)
    big_crystal.numbers[::7] = 32
    for shift in ([0.0, 0.0, 0.0], [0.3, 0.4, 0.1]):
        if any(shift):  # inside the core
            big_crystal.positions[1] = big_crystal.positions[0] + shift
        check_against_lammps(potential_from(spec, coefficients, {}), big_crystal, tmp_path)


def check_against_lammps(potential, atoms, folder):
    elements = tuple(potential.elements)
    write_uf3(folder / "potential.uf3", potential)
    words = " ".join(elements)
    commands = ["pair_style uf3 3", f"pair_coeff * * {folder}/potential.uf3 {words}"]
    with ModelPes(elements=elements, commands=commands) as lammps:
        energy, forces, stress = lammps.evaluate(atoms)
    offset = sum(potential.one_body[name] for name in atoms.get_chemical_symbols())
    prediction = evaluate(potential, atoms)
    assert energy + offset == pytest.approx(prediction.energy, abs=1e-9)
    np.testing.assert_allclose(forces, prediction.forces, atol=1e-9)
    np.testing.assert_allclose(stress, prediction.stress, atol=1e-9)


def test_neighbour_list_equals_brute_force_over_images(crystal):
    found = neighbour_list(crystal, 5.0)
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ crystal.cell.array
    for i in range(len(crystal)):
        d = crystal.positions[None] + shifts[:, None] - crystal.positions[i]
        r = np.linalg.norm(d, axis=-1)
        expected = np.sort(r[(r > 1e-9) & (r < 5.0)])
        rows = slice(found.first[i], found.first[i + 1])
        np.testing.assert_allclose(np.sort(found.distance[rows]), expected)
        np.testing.assert_allclose(np.linalg.norm(found.vector[rows], axis=1), found.distance[rows])


def test_coincident_atoms_and_unknown_elements_are_named(potential):
    with pytest.raises(HopechoError, match="one point"):
        evaluate(potential, Atoms("Li2", [[0, 0, 0], [0, 0, 0]]))
    with pytest.raises(HopechoError, match="Na"):
        evaluate(potential, Atoms("LiNa", [[0, 0, 0], [0, 0, 2]]))
