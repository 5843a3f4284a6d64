import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels import model_pes
from hopecho.labels.model_pes import ModelPes
from hopecho.structures import build, crystals

VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


@pytest.fixture(scope="module")
def pes():
    with ModelPes() as surface:
        yield surface


@pytest.fixture
def bent() -> Atoms:
    """A triclinic, rattled gamma cell: no symmetry left."""
    rng = np.random.default_rng(5)
    gamma = crystals.load_crystal("gamma-Li3PS4")
    rattled = build.rattle(gamma, stdev_angstrom=0.1, rng=rng)
    return build.strain(rattled, amplitude=0.08, rng=rng)


def test_forces_are_minus_the_energy_gradient(pes: ModelPes, bent: Atoms) -> None:
    forces = pes.evaluate(bent)[1]
    step = 5e-5
    for atom in (0, 5, 7, 10, 15):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = bent.copy()
                moved.positions[atom, axis] += sign * step
                energies.append(pes.evaluate(moved)[0])
            slope = (energies[0] - energies[1]) / (2 * step)
            assert forces[atom, axis] == pytest.approx(-slope, abs=1e-6)


def test_stress_is_the_strain_derivative(pes: ModelPes, bent: Atoms) -> None:
    stress = pes.evaluate(bent)[2]
    step = 1e-4
    for component, (i, j) in enumerate(VOIGT):
        energies = []
        for sign in (1, -1):
            epsilon = np.zeros((3, 3))
            epsilon[i, j] += sign * step / 2
            epsilon[j, i] += sign * step / 2
            moved = bent.copy()
            moved.set_cell(bent.cell.array @ (np.eye(3) + epsilon), scale_atoms=True)
            energies.append(pes.evaluate(moved)[0])
        slope = (energies[0] - energies[1]) / (2 * step * bent.get_volume())
        assert stress[component] == pytest.approx(slope, abs=1e-6)


def test_forces_have_no_jump_at_a_cutoff(pes: ModelPes) -> None:
    """Along a pair distance through every cutoff, forces change no faster than a bound."""
    near = np.arange(-0.04, 0.04, 0.005)
    for pair, cutoff in (("LiS", 6.5), ("LiS", 8.0), ("SS", 8.0), ("PS", 8.0), ("LiLi", 8.0)):
        pull = []
        for distance in cutoff + near:
            positions = [[1, 5, 5], [1 + distance, 5, 5]]
            atoms = Atoms(pair, positions=positions, cell=[20] * 3, pbc=True)
            pull.append(pes.evaluate(atoms)[1][1, 0])
        steps = np.diff(pull)
        assert np.abs(steps).max() < 5e-4
        assert np.abs(np.diff(steps)).max() < 5e-4


def test_pairs_repel_at_short_distance_without_a_well(pes: ModelPes) -> None:
    bonds = {"PS": 2.0, "LiS": 2.0, "LiLi": 3.0, "LiP": 2.5, "PP": 3.5, "SS": 3.2}
    for pair, inner in bonds.items():
        energies = []
        for distance in np.arange(0.5, inner, 0.05):
            atoms = Atoms(
                pair, positions=[[5, 5, 5], [5 + distance, 5, 5]], cell=[18] * 3, pbc=True
            )
            energies.append(pes.evaluate(atoms)[0])
        assert (np.diff(energies) < 0).all(), pair


def test_shift_rotation_and_permutation(pes: ModelPes, bent: Atoms) -> None:
    energy, forces, stress = pes.evaluate(bent)
    moved = bent.copy()
    moved.positions += [3.3, -20.1, 0.7]
    assert pes.evaluate(moved)[0] == pytest.approx(energy, abs=1e-9)

    turned = bent.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    rotation = np.linalg.solve(bent.cell.array, turned.cell.array)
    energy_t, forces_t, stress_t = pes.evaluate(turned)
    assert energy_t == pytest.approx(energy, abs=1e-9)
    assert np.allclose(forces_t, forces @ rotation, atol=1e-9)
    full = np.array([[stress[v] for v in row] for row in ((0, 5, 4), (5, 1, 3), (4, 3, 2))])
    full_t = rotation.T @ full @ rotation
    assert np.allclose(stress_t, [full_t[v] for v in VOIGT], atol=1e-10)

    order = np.random.default_rng(1).permutation(len(bent))
    energy_p, forces_p, _ = pes.evaluate(bent[order])
    assert energy_p == pytest.approx(energy, abs=1e-9)
    assert np.allclose(forces_p, forces[order], atol=1e-9)


def test_left_handed_cell_gives_the_same_forces(pes: ModelPes, bent: Atoms) -> None:
    energy, forces, stress = pes.evaluate(bent)
    swapped = Atoms(
        bent.symbols, positions=bent.positions, cell=bent.cell.array[[1, 0, 2]], pbc=True
    )
    energy_s, forces_s, stress_s = pes.evaluate(swapped)
    assert energy_s == pytest.approx(energy, abs=1e-9)
    assert np.allclose(forces_s, forces, atol=1e-9)
    assert np.allclose(stress_s, stress, atol=1e-10)


def test_supercell_is_extensive_and_total_force_zero(pes: ModelPes, bent: Atoms) -> None:
    energy, forces, stress = pes.evaluate(bent)
    big = build.supercell(bent, (2, 1, 1))
    energy_b, forces_b, stress_b = pes.evaluate(big)
    assert energy_b == pytest.approx(2 * energy, abs=1e-8)
    assert np.allclose(forces_b[: len(bent)], forces, atol=1e-9)
    assert np.allclose(stress_b, stress, atol=1e-10)
    assert np.abs(forces.sum(axis=0)).max() < 1e-9


def test_reused_instance_equals_a_fresh_one(pes: ModelPes, bent: Atoms) -> None:
    pes.evaluate(crystals.load_crystal("gamma-Li3PS4"))
    reused = pes.evaluate(bent)
    with ModelPes() as fresh:
        first = fresh.evaluate(bent)
    assert reused[0] == pytest.approx(first[0], abs=1e-9)
    assert np.allclose(reused[1], first[1], atol=1e-9)


def test_embedding_is_beyond_three_bodies(pes: ModelPes) -> None:
    """A Li with S around it: the fourth-order difference over S presence is not zero."""
    arms = 2.45 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    total = 0.0
    for mask in range(16):
        chosen = [k for k in range(4) if mask >> k & 1]
        symbols = "Li" + "S" * len(chosen)
        atoms = Atoms(symbols, positions=[[0, 0, 0], *arms[chosen]], cell=[40] * 3, pbc=True)
        total += (-1) ** len(chosen) * pes.evaluate(atoms)[0]
    # Every sum of one-, two- and three-body terms that share the Li cancels in this difference.
    assert abs(total) > 1e-3


def test_beta_is_bound() -> None:
    beta = build.supercell(crystals.load_crystal("beta-Li3PS4"), (1, 2, 2))
    with ModelPes() as surface:
        energy, forces, _ = surface.evaluate(beta)
    assert energy / len(beta) < -1
    assert forces.shape == (128, 3)


def test_commands_follow_the_order_of_elements(bent: Atoms, pes: ModelPes) -> None:
    with ModelPes(elements=("S", "Li", "P")) as other:
        assert other.evaluate(bent)[0] == pytest.approx(pes.evaluate(bent)[0], abs=1e-9)


def test_unknown_element_and_open_boundary_are_refused(pes: ModelPes) -> None:
    with pytest.raises(HopechoError, match="no parameters"):
        model_pes.lammps_commands(["Li", "Ge"])
    with pytest.raises(HopechoError, match="periodic cell"):
        pes.evaluate(Atoms("Na", cell=[9] * 3, pbc=True))
    with pytest.raises(HopechoError, match="periodic cell"):
        pes.evaluate(Atoms("Li", cell=[9] * 3, pbc=False))


def test_shipped_files_follow_the_parameter_table(tmp_path) -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "model_surface.py"
    spec = importlib.util.spec_from_file_location("model_surface", path)
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    table.write_core(tmp_path / "core.vashishta")
    table.write_embedding(tmp_path / "embedding.eam.fs")
    for name in ("core.vashishta", "embedding.eam.fs"):
        assert (tmp_path / name).read_bytes() == (model_pes.PARAMETERS / name).read_bytes()
