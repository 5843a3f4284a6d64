"""A tiny GAP of the model surface: physics of the potential, and its comparison with the UFP."""

import numpy as np
import pytest

from hopecho.dynamics.rdf import rdf
from hopecho.errors import HopechoError
from hopecho.labels.model_pes import ModelPes
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.fit import fit_potential
from hopecho.validation import gap as module
from hopecho.validation import gap_comparison as comparison
from hopecho.validation.gap import GapSettings, evenly, fit_gap, read_gap
from hopecho.validation.gap_comparison import (
    RunSettings,
    UfpCalculator,
    compare,
    gr_distance,
    heldout_metrics,
    predict,
    short_md,
)

ELEMENTS = ("Li", "P", "S")
SMALL = GapSettings(max_frames=10, cutoff_angstrom=3.5, n_max=3, l_max=2, n_sparse_soap=12)


def labelled(count, seed):
    rng = np.random.default_rng(seed)
    cell = load_crystal("gamma-Li3PS4")
    frames = [rattle(cell, stdev_angstrom=0.04 + 0.02 * (i % 3), rng=rng) for i in range(count)]
    with ModelPes() as surface:
        for i, atoms in enumerate(frames):
            energy, forces, stress = surface.evaluate(atoms)
            atoms.info |= {
                "REF_energy": energy, "REF_stress": stress, "source": "model PES",
                "phase": "gamma", "hash": f"{seed}-{i}",
            }  # fmt: skip
            atoms.arrays["REF_forces"] = forces
    return frames


@pytest.fixture(scope="module")
def train():
    return labelled_frames(labelled(10, 1))


@pytest.fixture(scope="module")
def heldout():
    return labelled(4, 2)


@pytest.fixture(scope="module")
def xml(train, tmp_path_factory):
    return fit_gap(train, tmp_path_factory.mktemp("a fit"), SMALL, elements=ELEMENTS, seed=3)


@pytest.fixture(scope="module")
def potential(xml):
    return read_gap(xml)


@pytest.fixture(scope="module")
def ufp(train):
    return fit_potential(train, BasisSpec(ELEMENTS, 4.5, 3.0, 8, 3, 4)).potential


def test_it_describes_frames_that_it_has_not_seen(potential, heldout):
    errors = heldout_metrics(potential, labelled_frames(heldout))
    assert errors["n_frames"] == 4
    assert errors["ratio_force"] < 0.5
    assert errors["rmse_energy"] < 0.5 * errors["std_energy"]
    assert errors["rmse_stress"] < 0.5 * errors["std_stress"]


def test_the_metrics_are_those_of_the_ultra_fast_potential(ufp, heldout):
    frames = labelled_frames(heldout)
    assert heldout_metrics(UfpCalculator(ufp), frames) == pytest.approx(error_metrics(ufp, frames))


def test_energy_does_not_turn_and_forces_turn_with_the_crystal(potential, heldout):
    atoms = heldout[0].copy()
    before = predict(potential, atoms)
    q, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    q *= np.linalg.det(q)
    atoms.set_cell(atoms.cell.array @ q, scale_atoms=True)
    after = predict(potential, atoms)
    assert np.isfinite(before.energy)
    assert after.energy == pytest.approx(before.energy, abs=1e-8)
    np.testing.assert_allclose(after.forces, before.forces @ q, atol=1e-7)


def test_forces_and_stress_are_derivatives_of_the_energy(potential, heldout):
    atoms, h = heldout[1].copy(), 1e-4
    found = predict(potential, atoms)
    for atom, axis in ((0, 0), (5, 1), (13, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * h
            energies.append(predict(potential, moved).energy)
        slope = (energies[0] - energies[1]) / (2 * h)
        assert found.forces[atom, axis] == pytest.approx(-slope, abs=1e-5)
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strain = np.eye(3)
        strain[1, 2] = strain[2, 1] = sign * h / 2
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(predict(potential, strained).energy)
    slope = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
    assert found.stress[3] == pytest.approx(slope, abs=1e-6)


def test_the_same_seed_gives_the_same_file(train, xml, tmp_path):
    again = fit_gap(train, tmp_path, SMALL, elements=ELEMENTS, seed=3)
    assert again.read_bytes() == xml.read_bytes()
    assert (tmp_path / module.LOG).stat().st_size > 0


def test_a_missing_program_is_an_error_that_says_what_to_install(train, tmp_path):
    with pytest.raises(HopechoError, match=r"not installed[\s\S]*no_such_fit[\s\S]*quippy-ase"):
        fit_gap(train, tmp_path, GapSettings(command="no_such_fit"), elements=ELEMENTS)


def test_a_fit_that_fails_shows_the_end_of_its_log(train, tmp_path):
    program = tmp_path / "failing"
    program.write_text("#!/bin/sh\necho SYSTEM ABORT: planted\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / module.XML).write_text("<GAP_params></GAP_params> of an earlier fit")
    with pytest.raises(HopechoError, match=r"exit_code[\s\S]*ABORT: planted[\s\S]*max_frames"):
        fit_gap(train, tmp_path, GapSettings(command=str(program)), elements=ELEMENTS)
    assert not (tmp_path / module.XML).exists()


def test_a_file_that_is_no_gap_is_an_error(tmp_path):
    (tmp_path / "bad.xml").write_text("<GAP_params>cut off")
    with pytest.raises(HopechoError, match="holds no GAP"):
        read_gap(tmp_path / "bad.xml")
    with pytest.raises(HopechoError, match="no such file"):
        read_gap(tmp_path / "none.xml")


@pytest.mark.parametrize("wrong", [{"n_max": 0}, {"timeout_min": -1}, {"cutoff_angstrom": 0.5}])
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(HopechoError, match=r"gap\."):
        GapSettings(**wrong)


def test_frames_are_chosen_evenly():
    assert evenly(range(100), 4) == [0, 33, 66, 99]
    assert evenly([1, 2], 4) == [1, 2]


def test_g_of_r_differs_by_the_share_of_neighbours_that_moved():
    # Ten dimers of Li and S in a large cell; in the second structure half of them are longer.
    cell, numbers = np.eye(3) * 100.0, np.array([3] * 10 + [16] * 10)
    li = np.arange(10)[:, None] * np.array([0.0, 0.0, 9.0])
    found = []
    for long in (0, 5):
        length = np.where(np.arange(10) < long, 3.0, 2.0)
        s = li + length[:, None] * np.array([1.0, 0.0, 0.0])
        found.append(rdf(np.concatenate([li, s])[None], numbers, cell, n_bins=70, r_max=7.0))
    assert gr_distance(found[0], found[0], "Li-S") == 0.0
    assert gr_distance(*found, "Li-S") == pytest.approx(0.5, abs=0.02)


def test_both_potentials_face_the_same_frames_and_the_same_start(ufp, xml, heldout):
    start = supercell(load_crystal("gamma-Li3PS4"), (1, 1, 1))
    settings = RunSettings(temperature_k=30.0, md_ps=0.1, stride_ps=0.004)
    result = compare(ufp, xml, heldout, start=start, settings=settings, others={"same": ufp})
    errors = result.record["errors"]
    assert set(errors) == {"all", "gamma"}
    assert errors["all"]["same"] == errors["all"]["ufp"] == errors["gamma"]["ufp"]
    for name in ("std_force", "std_energy", "std_force_Li", "n_frames"):
        assert errors["all"]["gap"][name] == errors["all"]["ufp"][name]
    assert errors["all"]["gap"]["rmse_force"] != errors["all"]["ufp"]["rmse_force"]
    cost = result.record["cost"]
    assert cost["gap_over_ufp"] == cost["gap_quippy_s"] / cost["ufp_lammps_s"] > 1
    motion = result.record["dynamics"]
    assert [len(runs) for runs in motion["runs"].values()] == [2, 2]
    assert set(motion["msd"]) == set(ELEMENTS)
    assert 0 < motion["rdf"]["Li-S"]["distance"] < 1
    assert set(result.curves["curve"]) == {"g", "msd"}
    assert np.isfinite(result.curves[["x", "y"]]).all(axis=None)


def test_a_seed_fixes_a_run(ufp):
    start = load_crystal("gamma-Li3PS4")
    settings = RunSettings(md_ps=0.1, stride_ps=0.004, seed=7)
    runs = [short_md(UfpCalculator(ufp), start, settings, seed=k) for k in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
    assert not np.array_equal(runs[0].positions, runs[2].positions)
    assert len(runs[0].positions) == 26
    drift = np.average(
        runs[0].positions[-1] - runs[0].positions[0], axis=0, weights=start.get_masses()
    )
    np.testing.assert_allclose(drift, 0.0, atol=1e-9)
    assert not runs[0].reason


def test_a_run_that_explodes_says_so_and_no_curve_is_drawn(ufp, xml, heldout):
    crushed = load_crystal("gamma-Li3PS4")
    crushed.set_cell(0.5 * crushed.cell.array, scale_atoms=True)
    settings = RunSettings(md_ps=0.1, stride_ps=0.004, runs=1)
    record, curves = comparison.dynamics({"ufp": UfpCalculator(ufp)}, crushed, settings)
    assert " K after " in record["runs"]["ufp"][0]["reason"]
    assert (record["rdf"], record["msd"], curves) == ({}, {}, [])


def test_nothing_held_out_is_an_error(ufp, xml):
    with pytest.raises(HopechoError, match="no held-out frame"):
        compare(ufp, xml, [], start=load_crystal("gamma-Li3PS4"))


def test_too_few_frames_of_md_are_refused():
    with pytest.raises(HopechoError, match=r"need 20 frames[\s\S]*gap\.md_ps"):
        _ = RunSettings(md_ps=0.1, stride_ps=0.01).steps
