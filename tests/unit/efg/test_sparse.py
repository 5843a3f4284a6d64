"""Sparse SA-GPR: kernel against a naive one, limits, symmetries, file."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from hopecho.efg.features import invariants
from hopecho.efg.metrics import efg_metrics
from hopecho.efg.model import (
    EfgSettings,
    explicit_prediction,
    fit_efg_model,
    frame_features,
    load_model,
    save_model,
)
from hopecho.efg.predict import predict, predict_frames
from hopecho.efg.radial import RadialBasis
from hopecho.efg.sparse import farthest_points, sparse_basis
from hopecho.efg.training import densities_of
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix, matrix_from_isometric, random_rotations

SETTINGS = EfgSettings(
    basis=RadialBasis(cutoff=5.0, n_radial=2, l_max=3), n_folds=3, kind="sa_gpr", n_inducing=40
)


@pytest.fixture(scope="module")
def model(data):
    return fit_efg_model(data[:15], settings=SETTINGS)


def _predict(model, atoms):
    return predict_frames(model, atoms.positions[None], np.array(atoms.cell), atoms.numbers)[0]


def test_the_fast_path_equals_the_explicit_kernel(data, model):
    for atoms in (data[20], data[20].repeat((2, 1, 1))):
        slow = explicit_prediction(model, atoms)
        np.testing.assert_allclose(_predict(model, atoms), slow, atol=1e-10 * np.abs(slow).max())


def test_the_columns_are_a_factor_of_the_naive_kernel(data, model):
    spec, own = model.spec, model.inducing
    basis = sparse_basis(own, spec)
    c, sums = densities_of(data[0], spec)
    phi = basis.rows(c, sums, spec)
    x, p = frame_features(data[0], spec) * own.scale, invariants(c)
    p /= np.linalg.norm(p, axis=1)[:, None]
    # Of a training environment with itself and with another, by the formula.
    at = basis.rows(own.channels, own.long_range, spec)
    for i, j in ((0, 0), (3, 7)):
        y = basis.equivariant[5 * j : 5 * j + 5]
        naive = np.array(
            [[sum(x[i, m] * y[k]) * (p[i] @ basis.scalar[j]) for k in range(5)] for m in range(5)]
        )
        np.testing.assert_allclose(phi[i] @ at[j].T, naive, atol=1e-6 * np.abs(naive).max())


def test_held_out_error_is_below_a_quarter_of_the_spread(data, model):
    true = isometric_from_matrix([a.arrays["efg"][a.numbers == 3] for a in data[28:]])
    predicted = np.array([_predict(model, atoms) for atoms in data[28:]])
    assert efg_metrics(true, predicted)["omega_q"]["mae_over_std"] < 0.25


def test_with_zeta_one_and_every_environment_it_is_the_ridge(data):
    few = data[:4]
    n = sum(int((a.numbers == 3).sum()) for a in few)
    shared = replace(SETTINGS, n_folds=2, ridge=(1e-4,))
    ridge = fit_efg_model(few, settings=replace(shared, kind="ridge"))
    sparse = fit_efg_model(few, settings=replace(shared, zeta=1, n_inducing=n))
    expected = _predict(ridge, data[9])
    got = _predict(sparse, data[9])
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_covariant_under_rotation_and_inversion(data, model):
    atoms = data[21]
    rotation = random_rotations(1, rng=np.random.default_rng(5))[0]
    before = matrix_from_isometric(_predict(model, atoms))
    for matrix in (rotation, -np.eye(3), -rotation):
        cell = np.array(atoms.cell) @ matrix.T
        turned = Atoms(atoms.numbers, atoms.positions @ matrix.T, cell=cell, pbc=True)
        after = matrix_from_isometric(_predict(model, turned))
        expected = matrix @ before @ matrix.T
        np.testing.assert_allclose(after, expected, atol=1e-10 * np.abs(expected).max())


def test_file_round_trip_keeps_everything(tmp_path, data, model):
    save_model(tmp_path / "a.npz", model)
    again = load_model(tmp_path / "a.npz")
    assert again.kind == "sa_gpr"
    for atoms in data[30:32]:
        args = (atoms.positions[None], np.array(atoms.cell), atoms.numbers)
        a, b = predict(model, *args), predict(again, *args)
        for name in ("efg", "score", "sigma"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_farthest_points_cover_every_cluster():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(8, 3)) * 10
    points = np.repeat(centres, 50, axis=0) + 0.01 * rng.normal(size=(400, 3))
    chosen = farthest_points(points, 8)
    assert sorted(chosen // 50) == list(range(8))
    with pytest.raises(HopechoError, match="Too few different environments"):
        farthest_points(np.repeat(centres, 2, axis=0), 9)


def test_bad_choices_are_errors(data):
    with pytest.raises(HopechoError, match=r"kind 'gpr'"):
        fit_efg_model(data[:4], settings=replace(SETTINGS, kind="gpr"))
    with pytest.raises(HopechoError, match=r"efg\.inducing"):
        fit_efg_model(data[:4], settings=replace(SETTINGS, n_inducing=5000))
