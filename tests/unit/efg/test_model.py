"""Fit and fast prediction: symmetries, equality with explicit features, held-out error."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from hopecho.efg.features import channels, features
from hopecho.efg.metrics import efg_metrics
from hopecho.efg.model import (
    EfgSettings,
    explicit_prediction,
    fit_efg_model,
    frame_features,
    load_model,
    make_spec,
    save_model,
)
from hopecho.efg.predict import predict_frames, predict_segment
from hopecho.efg.radial import RadialBasis
from hopecho.errors import HopechoError
from hopecho.io.arrays import read_arrays
from hopecho.io.efg_table import read_efg
from hopecho.io.h5md import Segment, write_segment
from hopecho.io.results import write_arrays
from hopecho.tensors import isometric_from_matrix, matrix_from_isometric, random_rotations

SETTINGS = EfgSettings(basis=RadialBasis(cutoff=5.0, n_radial=3, l_max=4), n_folds=4)


@pytest.fixture(scope="module")
def model(data):
    return fit_efg_model(data[:28], settings=SETTINGS)


def _held_out(frames):
    return isometric_from_matrix([a.arrays["efg"][a.numbers == 3] for a in frames])


def _predict(model, atoms):
    return predict_frames(model, atoms.positions[None], np.array(atoms.cell), atoms.numbers)[0]


def test_held_out_error_is_below_a_fifth_of_the_spread(data, model):
    predicted = np.array([_predict(model, atoms) for atoms in data[28:]])
    result = efg_metrics(_held_out(data[28:]), predicted)
    assert result["omega_q"]["mae_over_std"] < 0.2
    assert result["component_rmse_over_rms"] < 0.2
    # Cross-validation over structures must tell the error that held-out structures show.
    rmse = np.sqrt(np.mean((predicted - _held_out(data[28:])) ** 2))
    assert model.cv_rmse.min() == pytest.approx(rmse, rel=0.3)


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_fast_prediction_equals_explicit_features(data, width):
    settings = replace(SETTINGS, long_range_width=width, ridge=(1e-6,))
    model = fit_efg_model(data[:4], settings=settings)
    cells = [data[5], data[5].repeat((2, 1, 1))]
    skew = data[6].copy()
    skew.set_cell(
        np.array(skew.cell) + np.array([[0, 0, 0], [2, 0, 0], [1, -1, 0]]), scale_atoms=False
    )
    for atoms in [*cells, skew]:
        slow = explicit_prediction(model, atoms)
        np.testing.assert_allclose(_predict(model, atoms), slow, atol=1e-10 * np.abs(slow).max())


def test_features_rotate_like_tensors_and_are_even(data):
    spec = make_spec(data, SETTINGS)
    atoms = data[0]
    x = frame_features(atoms, spec)
    rotation = random_rotations(1, rng=np.random.default_rng(5))[0]
    for matrix in (rotation, -np.eye(3), -rotation):
        turned = Atoms(
            atoms.numbers,
            atoms.positions @ matrix.T,
            cell=np.array(atoms.cell) @ matrix.T,
            pbc=True,
        )
        y = frame_features(turned, spec)
        before = matrix_from_isometric(np.swapaxes(x, 1, 2))
        after = matrix_from_isometric(np.swapaxes(y, 1, 2))
        expected = matrix @ before @ matrix.T
        np.testing.assert_allclose(after, expected, atol=1e-10 * np.abs(expected).max())


def test_predictions_rotate_like_tensors_and_are_even(data, model):
    atoms = data[29]
    before = matrix_from_isometric(_predict(model, atoms))
    rotation = random_rotations(1, rng=np.random.default_rng(6))[0]
    for matrix in (rotation, -np.eye(3), -rotation):
        cell = np.array(atoms.cell) @ matrix.T
        turned = Atoms(atoms.numbers, atoms.positions @ matrix.T, cell=cell, pbc=True)
        after = matrix_from_isometric(_predict(model, turned))
        expected = matrix @ before @ matrix.T
        np.testing.assert_allclose(after, expected, atol=1e-10 * np.abs(expected).max())


def test_supercell_and_permutation_of_neighbours_change_nothing(data, model):
    atoms = data[3]
    small, large = _predict(model, atoms), _predict(model, atoms.repeat((1, 1, 2)))
    np.testing.assert_allclose(large, np.tile(small, (2, 1)), atol=1e-12)
    order = np.random.default_rng(2).permutation(len(atoms))
    ids = np.flatnonzero(atoms.numbers == 3)
    rank = [int(np.flatnonzero(ids == i)[0]) for i in order if i in ids]
    np.testing.assert_allclose(_predict(model, atoms[order]), small[rank], atol=1e-12)


def test_a_planted_linear_model_is_recovered(data):
    spec = make_spec(data, SETTINGS)
    weights = np.zeros(spec.n_features)
    weights[: spec.n_channels] = np.random.default_rng(1).normal(size=spec.n_channels)
    efgs = []
    for atoms in data[:12]:
        efg = np.full((len(atoms), 3, 3), np.nan)  # tensors of other elements are never read
        efg[atoms.numbers == 3] = matrix_from_isometric(frame_features(atoms, spec) @ weights)
        efgs.append(efg)
    model = fit_efg_model(data[:12], efgs, settings=replace(SETTINGS, ridge=(1e-12,)))
    truth = frame_features(data[30], spec) @ weights
    np.testing.assert_allclose(_predict(model, data[30]), truth, atol=1e-3 * np.abs(truth).max())


def test_another_probe_and_own_gaussian(data):
    settings = replace(SETTINGS, probe="P", centre_weight=0.5)
    spec = make_spec(data, settings)
    base = replace(spec, centre_weight=0.0)
    atoms = data[0]
    from hopecho.efg.density import kinds_of, make_frame

    frame = make_frame(
        atoms.positions,
        np.array(atoms.cell),
        kinds_of(atoms.numbers, spec.elements),
        np.flatnonzero(atoms.numbers == 15),
    )
    difference = channels(frame, spec) - channels(frame, base)
    expected = np.zeros_like(difference)
    expected[:, 0, 3:6] = 0.5 * spec.table.centre
    np.testing.assert_allclose(difference, expected, atol=1e-12)
    assert features(frame, spec).shape == (4, 5, spec.n_features)


def test_model_file_round_trip_is_exact_and_reproducible(tmp_path, data, model):
    save_model(tmp_path / "a.npz", model)
    save_model(tmp_path / "b.npz", load_model(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_model(tmp_path / "a.npz")
    np.testing.assert_array_equal(_predict(again, data[30]), _predict(model, data[30]))


def test_a_damaged_model_is_refused(tmp_path, data, model):
    path = tmp_path / "model.npz"
    save_model(path, model)
    good = read_arrays(path)
    for change in (
        {"weights": good["weights"] * np.nan},
        {"weights": good["weights"][:-1]},
        {"members": good["members"][:, :-1]},
        {"basis": good["basis"][:2]},
        {"elements": np.array(["Li"])},
        {"counts": np.array(1)},
        {"members": good["members"][:0]},
        {"table": good["table"][:0]},
        {"table": good["table"][..., :-1]},
        {"table_centre": good["table_centre"][:-1]},
        {"basis_size": np.array([10**9, 4])},
        {"basis_size": np.array([3, 10**12]), "table": np.empty((0, 4, 3))},
        {"basis": good["basis"] * [1e6, 1, 1]},
        {"widths": np.array([1.0, 1e-6])},
        {"widths": good["widths"] * np.inf},
        {"elements": np.array([3, 3, 16])},
        {"novelty_mean": good["novelty_mean"][:-1]},
        {"novelty_axes": good["novelty_axes"][:, :-1]},
        {"novelty_variance": -good["novelty_variance"]},
        {"novelty_limits": np.zeros(2)},
        {"calibration": good["calibration"] * np.nan},
        {"zeta": np.array(2)},
    ):
        write_arrays(path, good | change)
        with pytest.raises(HopechoError, match=r"Cannot read the EFG model .*model\.npz"):
            load_model(path)


def test_segment_is_predicted_in_chunks(tmp_path, data, model):
    atoms = data[28]
    positions = np.array([a.positions for a in data[28:33]]) + 3 * np.array(atoms.cell)[1]
    time = 0.5 * np.arange(5)
    cell = np.array(atoms.cell)
    write_segment(tmp_path / "s.h5md", Segment(time, positions, cell, atoms.numbers))
    predict_segment(model, tmp_path / "s.h5md", tmp_path / "efg.h5", chunk=2)
    table = read_efg(tmp_path / "efg.h5")
    np.testing.assert_array_equal(table.ion_id, np.flatnonzero(atoms.numbers == 3))
    direct = predict_frames(model, positions, cell, atoms.numbers)
    np.testing.assert_allclose(table.efg, direct, atol=1e-4 * np.abs(direct).max())


def test_what_the_model_cannot_do_is_an_error(tmp_path, data, model):
    atoms = data[0]
    cell, numbers = np.array(atoms.cell), atoms.numbers.copy()
    bad = atoms.positions.copy()
    bad[3, 1] = np.nan
    with pytest.raises(HopechoError, match="NaN or infinity"):
        predict_frames(model, bad[None], cell, numbers)
    numbers[20] = 14
    with pytest.raises(HopechoError, match=r"atomic numbers \[14\]"):
        predict_frames(model, atoms.positions[None], cell, numbers)
    with pytest.raises(HopechoError, match="no atom whose tensor"):
        predict_frames(model, atoms.positions[None], cell, np.full(len(atoms), 16))
    with pytest.raises(HopechoError, match="Shapes of a trajectory"):
        predict_frames(model, atoms.positions, cell, atoms.numbers)
    (tmp_path / "x.npz").write_bytes(b"junk")
    with pytest.raises(HopechoError, match="Cannot read the EFG model"):
        load_model(tmp_path / "x.npz")


def test_bad_training_sets_are_errors(data):
    with pytest.raises(HopechoError, match="Too few labelled"):
        fit_efg_model(data[:3], settings=SETTINGS)
    with pytest.raises(HopechoError, match=r"probe = 'Na'"):
        fit_efg_model(data[:5], settings=replace(SETTINGS, probe="Na"))
    efgs = [a.arrays["efg"].copy() for a in data[:5]]
    efgs[2][0, 0, 0] = np.nan
    with pytest.raises(HopechoError, match="structure 2"):
        fit_efg_model(data[:5], efgs, settings=SETTINGS)
    bare = data[0].copy()
    del bare.arrays["efg"]
    with pytest.raises(HopechoError, match="has no tensors"):
        fit_efg_model([bare, *data[:4]], settings=SETTINGS)
