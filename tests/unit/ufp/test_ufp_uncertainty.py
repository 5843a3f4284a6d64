import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import cho_solve, cholesky
from scipy.spatial.transform import Rotation

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.calibration import Calibration, Term, calibrate
from hopecho.ufp.coverage import coverage, error_against_leverage
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.evaluate import evaluate
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential
from hopecho.ufp.leverage import LeverageModel, leverage, load_leverage, save_leverage
from hopecho.ufp.normal import Weights, weighted_rows
from hopecho.ufp.penalty import Regularisation, penalty_matrix
from hopecho.ufp.uncertainty import (
    assess,
    learning_curve,
    leverages,
    posterior,
    predict_uncertainty,
    residuals,
    textbook_calibration,
)

SPEC = BasisSpec(("Li", "S"), 5.0, 3.4, intervals_2b=10, intervals_3b=3, intervals_jk=3)
PENALTY = Regularisation(ridge_2b=0.02, ridge_3b=0.05, curvature_2b=0.1)


def cell_of_eight(rng, n_li=4):
    corners = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3), axis=-1).reshape(-1, 3)
    symbols = ["Li"] * n_li + ["S"] * (8 - n_li)
    cell = 6.0 * (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
    atoms = Atoms(symbols, scaled_positions=corners, cell=cell, pbc=True)
    atoms.positions += rng.normal(scale=0.25, size=(8, 3))
    return atoms


@pytest.fixture(scope="module")
def truth():
    c = np.random.default_rng(4).normal(scale=0.02, size=layout(SPEC).n_columns)
    for row in layout(SPEC).pair_column:
        fitted = row[row >= 0]
        c[fitted] = 40 * np.exp(-1.1 * np.arange(len(fitted))) - 0.05
    return potential_from(SPEC, c, {})


@pytest.fixture(scope="module")
def frames(truth):
    """Labels with noise of 0.1 eV/A on the forces."""
    rng = np.random.default_rng(5)
    out = []
    for number in range(30):
        atoms = cell_of_eight(rng, 3 + number % 3)
        energy, forces, stress = evaluate(truth, atoms)
        forces = forces + rng.normal(scale=0.1, size=forces.shape)
        out.append(LabelledFrame(atoms, energy, forces, stress, f"frame {number}"))
    return out


@pytest.fixture(scope="module")
def result(frames):
    return fit_potential(frames[:12], SPEC, shares={"stress": 0.0})


@pytest.fixture(scope="module")
def model(result):
    return posterior(result)


def test_the_posterior_is_exact_where_the_model_is_right():
    """Coefficients from the prior and Gaussian noise: chi2 = 1 and 68.3 % at one sigma."""
    rng = np.random.default_rng(1)
    s, weights, free = 0.3, Weights(2.0, 0.7, 0.0), np.arange(2, layout(SPEC).n_columns)
    train = [LabelledFrame(cell_of_eight(rng), 0.0, np.zeros((8, 3)), None, "") for _ in range(3)]
    test = cell_of_eight(rng)
    rows = np.concatenate([weighted_rows(f, SPEC, weights)[0] for f in train])[:, free]
    probe = weighted_rows(LabelledFrame(test, 0, np.zeros((8, 3)), None, ""), SPEC, weights)[0]
    prior = penalty_matrix(SPEC, PENALTY)[np.ix_(free, free)]
    factor = cholesky(rows.T @ rows + prior, lower=True)
    draws = 4000
    true = s * np.linalg.solve(cholesky(prior), rng.normal(size=(len(free), draws)))
    labels = rows @ true + s * rng.normal(size=(len(rows), draws))
    errors = probe[:, free] @ (true - cho_solve((factor, True), rows.T @ labels))
    errors += s * rng.normal(size=errors.shape)
    found = leverages(posterior(LeverageModel(SPEC, weights, factor, free)), test)
    h = np.concatenate([[found.energy], found.forces.ravel()])
    assert h.max() > 0.5
    z = errors / (s * np.sqrt(1 + h))[:, None]
    np.testing.assert_allclose(np.mean(z**2, axis=1), 1.0, atol=0.1)
    assert np.mean(z**2) == pytest.approx(1.0, abs=0.01)
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.6827, abs=0.006)


def test_leverages_of_the_training_rows_add_up_to_the_effective_dof(result, model, frames):
    found = [leverages(model, frame.atoms) for frame in frames[:12]]
    total = sum(own.energy + own.forces.sum() for own in found)
    assert total == pytest.approx(result.effective_dof, rel=1e-3)


def test_single_precision_agrees_with_the_factor_and_with_its_file(result, model, frames, tmp_path):
    save_leverage(tmp_path / "leverage.npz", result)
    loaded = posterior(load_leverage(tmp_path / "leverage.npz"))
    for frame in frames[20:23]:
        found = leverages(model, frame.atoms)
        exact = leverage(result, frame.atoms)
        np.testing.assert_allclose(found.forces.sum(axis=1), exact, rtol=1e-4)
        np.testing.assert_allclose(leverages(loaded, frame.atoms).forces, found.forces)


def test_leverages_do_not_depend_on_axes_order_or_number_of_cells(model, frames):
    atoms = frames[20].atoms
    found = leverages(model, atoms)
    turned = atoms.copy()
    matrix = Rotation.from_euler("xyz", [0.4, -1.1, 2.0]).as_matrix()
    turned.set_cell(atoms.cell.array @ matrix.T)
    turned.positions = atoms.positions @ matrix.T
    other = leverages(model, turned)
    assert other.energy == pytest.approx(found.energy, rel=1e-4)
    np.testing.assert_allclose(other.forces.sum(axis=1), found.forces.sum(axis=1), rtol=1e-4)
    order = np.random.default_rng(0).permutation(len(atoms))
    np.testing.assert_allclose(
        leverages(model, atoms[order]).forces, found.forces[order], rtol=1e-4
    )
    twice = leverages(model, atoms.repeat((2, 1, 1)))
    np.testing.assert_allclose(twice.forces, np.tile(found.forces, (2, 1)), rtol=1e-4)
    # The row is the energy of one atom, so that a bigger cell has the same.
    assert twice.energy == pytest.approx(found.energy, rel=1e-4)


def test_what_the_data_did_not_hold_has_a_larger_leverage(model, frames):
    near, far = frames[0].atoms, frames[0].atoms.copy()
    far.set_cell(near.cell.array * 0.8, scale_atoms=True)
    assert leverages(model, far).forces.max() > 3 * leverages(model, near).forces.max()


def test_residuals_are_label_minus_prediction_per_atom_and_component(result, model, frames):
    potential, shift = result.potential, np.array([0.3, -0.2, 0.1])
    shifted = []
    for frame in frames[20:22]:
        energy, forces, _ = evaluate(potential, frame.atoms)
        shifted.append(replace(frame, energy=energy + 8 * 0.01, forces=forces + shift))
    found = residuals(model, potential, shifted)
    np.testing.assert_allclose(found.energy, 0.01)
    np.testing.assert_allclose(found.force, np.tile(shift, (16, 1)))
    np.testing.assert_array_equal(found.frame, np.repeat([0, 1], 8))
    symbols = [found.elements[k] for k in found.element[:8]]
    assert symbols == frames[20].atoms.get_chemical_symbols()


def test_prediction_combines_leverage_and_calibration(model, frames):
    atoms = frames[20].atoms
    forces = {"Li": Term(0.1, 2.0, 1.0, 1.0, 99), "S": Term(0.3, 0.0, 1.0, 1.0, 99)}
    calibration = Calibration(forces, Term(0.002, 0.5, 1.0, 1.0, 9), 1.0, 9)
    energy, sigma = predict_uncertainty(model, calibration, atoms)
    found = leverages(model, atoms)
    light = np.array(atoms.get_chemical_symbols()) == "Li"
    np.testing.assert_allclose(sigma[light] ** 2, 0.01 + 4 * found.forces[light], rtol=1e-6)
    np.testing.assert_allclose(sigma[~light], 0.3)
    assert energy == pytest.approx(np.sqrt(4e-6 + 0.25 * found.energy), rel=1e-6)
    with pytest.raises(HopechoError, match="no forces on S"):
        predict_uncertainty(model, replace(calibration, forces={"Li": forces["Li"]}), atoms)


def test_a_fit_of_its_own_form_is_described_at_once(result, model, frames):
    """The form is right here, so that calibration finds sigma near the noise of 0.1 eV/A."""
    found = residuals(model, result.potential, frames[12:])
    calibration = calibrate(found)
    raw = textbook_calibration(result)
    for name in ("Li", "S"):
        assert 0.07 < raw.forces[name].floor < 0.12
        assert 0.08 < calibration.forces[name].constant < 0.16
    checked = coverage(calibration, found)
    assert checked["force"].chi2 == pytest.approx(1.0, abs=1e-6)
    assert checked["force"].share_68 == pytest.approx(0.683, abs=0.05)
    assert checked["force"].n_values == 18 * 24


def test_assessment_is_plain_and_repeats_its_parts(result, model, frames):
    found = assess(model, result.potential, frames[12:20], frames[20:], n_bins=3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    calibration = calibrate(residuals(model, result.potential, frames[12:20]))
    errors = residuals(model, result.potential, frames[20:])
    assert Calibration.from_dict(found["calibration"]) == calibration
    chi2 = coverage(calibration, errors)["force_S"].chi2
    assert found["coverage"]["force_S"]["chi2"] == pytest.approx(chi2)
    own = errors.element == 0
    sigma = calibration.forces["Li"].sigma(errors.force_leverage[own])
    count = error_against_leverage(errors, element="Li", n_bins=3).count
    mean_square = np.average(np.square(found["bins"]["Li"]["sigma"]), weights=count)
    assert mean_square == pytest.approx(np.mean(sigma**2))


def test_what_cannot_be_asked_is_refused(result, model, frames):
    with pytest.raises(HopechoError, match="no frame"):
        residuals(model, result.potential, [])
    found = residuals(model, result.potential, frames[12:16])
    with pytest.raises(HopechoError, match="levels"):
        coverage(calibrate(found), found, levels=[0.5, 1.0])
    with pytest.raises(HopechoError, match="of P for the bins"):
        error_against_leverage(found, element="P")
    with pytest.raises(HopechoError, match="counts from 1"):
        learning_curve(frames[:4], SPEC, [2, 5], frames[12:])
    singular = result.factor.copy(order="F")
    singular[3, 3] = 0.0
    with pytest.raises(HopechoError, match="singular"):
        posterior(replace(result, factor=singular))


def test_learning_curve_falls_and_fits_the_whole_set_once(frames):
    rows = learning_curve(frames[:12], SPEC, [2, 12], frames[12:], seeds=[0, 1])
    assert [(row["n_structures"], row["seed"]) for row in rows] == [(2, 0), (12, 0), (2, 1)]
    assert rows[1]["rmse_force"] < 0.8 * min(rows[0]["rmse_force"], rows[2]["rmse_force"])
    assert rows[0]["rmse_force"] != rows[2]["rmse_force"]
    whole = error_metrics(fit_potential(frames[:12], SPEC).potential, frames[12:])
    assert rows[1]["rmse_force_Li"] == pytest.approx(whole["rmse_force_Li"], rel=1e-6)
