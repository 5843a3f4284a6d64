"""Committee, its calibration, and the flag of unknown environments."""

from dataclasses import replace

import numpy as np
import pytest

from hopecho.efg.committee import calibrate, members, nested_members, spread_of
from hopecho.efg.model import EfgSettings, fit_efg_model, frame_features
from hopecho.efg.normal import accumulate, cross_validate, solve, total_of
from hopecho.efg.novelty import Moments, with_limits
from hopecho.efg.predict import predict, predict_segment
from hopecho.efg.radial import RadialBasis
from hopecho.errors import HopechoError
from hopecho.io.efg_table import read_efg
from hopecho.io.h5md import Segment, write_segment
from hopecho.tensors import isometric_from_matrix

SETTINGS = EfgSettings(basis=RadialBasis(cutoff=5.0, n_radial=2, l_max=4), n_folds=4)


@pytest.fixture(scope="module")
def model(data):
    return fit_efg_model(data[:24], settings=SETTINGS)


def _predict(model, frames, **more):
    x = np.array([a.positions for a in frames])
    return predict(model, x, np.array(frames[0].cell), frames[0].numbers, **more)


def linear_structures(rng, *, n_structures, noise, n=6, n_folds=5):
    """Random linear problems: every structure has 4 environments and n columns."""
    truth = rng.normal(size=n)
    out = []
    for k in range(n_structures):
        x = rng.normal(size=(4, 5, n))
        y = x @ truth + noise * rng.normal(size=(4, 5))
        out.append((k % n_folds, lambda x=x: x, y))
    return out


def test_left_out_folds_are_exactly_refits():
    data = linear_structures(np.random.default_rng(0), n_structures=20, noise=0.1)
    folds = accumulate(data, n=6, n_folds=5)
    without = accumulate([d for d in data if d[0] not in (1, 3)], n=6, n_folds=5)
    direct = solve(total_of(without), 1e-3)
    np.testing.assert_allclose(nested_members(folds, 1e-3)[1, 3], direct, rtol=1e-9)
    np.testing.assert_array_equal(nested_members(folds, 1e-3)[2, 2], members(folds, 1e-3)[2])
    # Squares by subtraction are those of the left-out structures.
    w = members(folds, 1e-3)[2]
    naive = sum(np.sum((rows() @ w - y) ** 2) for fold, rows, y in data if fold == 2)
    assert cross_validate(folds, [1e-3])[2, 0] == pytest.approx(naive, rel=1e-9)


def test_spread_is_the_jackknife_error_of_the_mean():
    """For the mean of K groups the jackknife variance is that of the mean."""
    x = np.random.default_rng(1).normal(size=(6, 1, 5))
    left_out = (x.sum(axis=0) - x) / 5
    expected = np.sqrt(np.mean(x.var(axis=0, ddof=1) / 6))
    assert spread_of(left_out)[0] == pytest.approx(expected)


def test_calibration_finds_planted_widths():
    """Errors with sigma^2 = floor^2 + slope^2 s^2 where members differ by a known spread."""
    rng = np.random.default_rng(2)
    nested = rng.normal(size=(4, 4, 1))
    structures = []
    for k in range(400):
        x = np.exp(rng.normal(size=(5, 1, 1))) * np.ones((1, 5, 1))
        spread = spread_of(np.moveaxis(x @ np.delete(nested[k % 4], k % 4, axis=0).T, 2, 0))
        sigma = np.sqrt(0.5**2 + (3.0 * spread) ** 2)[:, None]
        y = (x @ nested[k % 4, k % 4]) + sigma * rng.normal(size=(5, 5))
        structures.append((k % 4, lambda x=x: x, y))
    found = calibrate(structures, nested)
    assert found.floor == pytest.approx(0.5, rel=0.05)
    assert found.slope == pytest.approx(3.0, rel=0.05)
    assert found.share == pytest.approx(0.683, abs=0.02)
    assert found.share_raw < 0.35
    assert found.factor > 3


def test_sigma_covers_held_out_errors(data, model):
    found = _predict(model, data[24:], spread_every=1)
    true = isometric_from_matrix([a.arrays["efg"][a.numbers == 3] for a in data[24:]])
    error = np.abs(found.efg - true)
    assert np.mean(error < found.sigma[..., None]) == pytest.approx(0.683, abs=0.08)
    assert np.mean(error < found.spread[..., None]) < 0.55


def test_spread_is_that_of_refitted_models(data, model):
    """The committee goes through the same kernel as the model."""
    x = frame_features(data[30], model.spec)
    naive = spread_of(np.stack([x @ w for w in model.members]))
    np.testing.assert_allclose(_predict(model, [data[30]]).spread[0], naive, rtol=1e-9)


def test_spread_is_made_every_so_often_counted_from_the_start(data, model):
    all_ = _predict(model, data[24:34], spread_every=1).spread
    some = _predict(model, data[24:34], spread_every=4, first=7).spread
    np.testing.assert_array_equal(some, all_[[1, 5, 9]])


def test_only_the_extreme_quantile_of_the_training_set_is_flagged(data, model):
    # 0.1 % of 288 environments: one at most.
    assert np.sum(_predict(model, data[:24]).score > 1) <= 1
    assert np.mean(_predict(model, data[24:]).score > 1) < 0.05


def test_an_atom_in_a_strange_place_is_flagged_with_its_neighbours(data, model):
    strange = data[28].copy()
    ids = np.flatnonzero(strange.numbers == 3)
    # Halfway to a sulfur: closer than in any training frame.
    away = strange.get_distances(ids[2], np.flatnonzero(strange.numbers == 16), mic=True)
    other = np.flatnonzero(strange.numbers == 16)[int(np.argmin(away))]
    strange.positions[ids[2]] += 0.35 * strange.get_distance(ids[2], other, mic=True, vector=True)
    score = _predict(model, [strange]).score[0]
    assert score[2] > 1
    assert score[2] == score.max()


def test_distances_follow_the_gaussian_law():
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(40, 40)) * np.linspace(2, 0.1, 40)
    points = rng.normal(size=(4000, 40)) @ mixing.T + 100
    moments = Moments(40)
    for part in np.split(points, 40):
        moments.add(part)
    novelty = moments.principal()
    t2, q = novelty.distances(points.T)
    assert t2.mean() == pytest.approx(len(novelty.variance), rel=1e-9)
    inverse = np.linalg.inv(np.cov(points.T, bias=True))
    away = points[0] - points.mean(axis=0)
    rest = novelty.axes.T @ away
    assert t2[0] <= away @ inverse @ away + 1e-9
    assert q[0] == pytest.approx(away @ away - rest @ rest)
    score = with_limits(novelty, np.stack([t2, q])).score(points.T)
    assert np.mean(score > 1) == pytest.approx(0.001, abs=0.0005)


def test_a_segment_says_which_atoms_of_which_frames_are_unknown(tmp_path, data, model):
    frames = [a.copy() for a in data[24:31]]
    ids = np.flatnonzero(frames[0].numbers == 3)
    sulfur = np.flatnonzero(frames[0].numbers == 16)
    away = frames[5].get_distances(ids[4], sulfur, mic=True)
    vector = frames[5].get_distance(ids[4], sulfur[int(np.argmin(away))], mic=True, vector=True)
    frames[5].positions[ids[4]] += 0.35 * vector
    x = np.array([a.positions for a in frames])
    cell, numbers = np.array(frames[0].cell), frames[0].numbers
    write_segment(tmp_path / "s.h5md", Segment(0.1 * np.arange(7), x, cell, numbers))
    said = predict_segment(model, tmp_path / "s.h5md", tmp_path / "e.h5", chunk=2)
    import h5py

    with h5py.File(tmp_path / "e.h5") as file:
        flagged, score = file["flagged"][:], file["flagged_score"][:]
    assert [5, ids[4]] in flagged.tolist()
    assert (score > 1).all()
    assert said["n_flagged"] == len(flagged)
    assert said["worst"]["frame"] == 5
    assert said["worst"]["atom"] == ids[4]
    assert said["flagged_share"] == pytest.approx(len(flagged) / (7 * len(ids)))
    assert said["sigma_khz"] > 0
    assert len(read_efg(tmp_path / "e.h5").time_ps) == 7


def test_a_bad_frame_stops_the_stream_and_leaves_no_table(tmp_path, data, model, monkeypatch):
    from hopecho.efg import predict as module

    atoms = data[0]
    x = np.repeat(atoms.positions[None], 3, axis=0)
    x[2, 3, 0] = np.nan
    parts = [
        Segment(np.array([0.1 * k]), x[k : k + 1], np.array(atoms.cell), atoms.numbers)
        for k in range(3)
    ]
    monkeypatch.setattr(module.h5md, "read_segment", lambda *_, **__: parts[0])
    monkeypatch.setattr(module.h5md, "n_frames", lambda *_: len(parts))
    monkeypatch.setattr(module.h5md, "iterate", lambda *_, **__: iter(parts))
    with pytest.raises(HopechoError, match="NaN or infinity"):
        predict_segment(model, "s.h5md", tmp_path / "e.h5")
    assert not list(tmp_path.iterdir())
    parts[1] = replace(parts[1], numbers=np.where(atoms.numbers == 15, 14, atoms.numbers))
    with pytest.raises(HopechoError, match=r"atomic numbers \[14\]"):
        predict_segment(model, "s.h5md", tmp_path / "e.h5")
