"""Tensors and a model from elsewhere, checked against the trajectory and the material."""

import numpy as np
import pytest

from hopecho.efg.model import EfgSettings, fit_efg_model, save_model
from hopecho.efg.radial import RadialBasis
from hopecho.efg.record import model_record
from hopecho.errors import HopechoError
from hopecho.io.efg_table import EfgTrajectory, read_efg, write_efg
from hopecho.io.h5md import Segment, write_segment
from hopecho.io.results import plain
from hopecho.own_tensors import import_model, import_tensors
from hopecho.structures.build import rattle
from hopecho.structures.crystals import load_crystal

NUMBERS = np.array([15, 3, 16, 3, 3])
LI = np.array([1, 3, 4])
N, STRIDE = 30, 0.5


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 9, (5, 3)) + rng.normal(scale=0.05, size=(N, 5, 3))
    # A dump's times begin at the step that it begins with.
    write_segment("run.h5md", Segment(100 + STRIDE * np.arange(N), x, np.eye(3) * 9, NUMBERS))


def table(name, *, n=N, ions=LI, stride=STRIDE, first=0.0, seed=1):
    efg = np.random.default_rng(seed).normal(size=(n, len(ions), 5)).astype(np.float32)
    write_efg(name, EfgTrajectory(first + stride * np.arange(n), np.asarray(ions), efg))
    return efg


def bring(*paths):
    return import_tensors(
        paths, "run.h5md", "efg0.h5", mobile="Li", provenance={"labels": "own"}
    )  # fmt: skip


def test_ions_come_into_the_order_of_the_atoms_and_times_are_the_trajectorys():
    efg = table("mine.h5", ions=[4, 1, 3])
    said = bring("mine.h5")
    assert (said["n_frames"], said["n_ions"]) == (N, 3)
    assert said["files"][0]["path"] == "mine.h5"
    assert len(said["files"][0]["sha256"]) == 64
    stored = read_efg("efg0.h5")
    np.testing.assert_array_equal(stored.ion_id, LI)
    np.testing.assert_array_equal(stored.efg, efg[:, [1, 2, 0]])
    np.testing.assert_allclose(stored.time_ps, 100 + STRIDE * np.arange(N))


def test_consecutive_tables_are_joined_without_the_frame_at_the_seam():
    first, second = table("a.h5", n=20), table("b.h5", n=11, first=19 * STRIDE, seed=2)
    bring("a.h5", "b.h5")
    np.testing.assert_array_equal(read_efg("efg0.h5").efg, np.concatenate([first, second[1:]]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": N - 1}, "29 frames every 0.5 ps, and 30 every 0.5 ps"),
        ({"n": N // 2, "stride": 1.0}, "15 frames every 1 ps"),
        ({"stride": 0.4}, "not of the frames"),
        ({"ions": LI + 1}, "counted from 1: subtract 1"),
        ({"ions": [0, 2, 3]}, "every Li"),
        ({"ions": [1, 3]}, "2 ions"),
    ],
)
def test_tensors_of_something_else_are_refused_by_name(options, said):
    table("mine.h5", **options)
    with pytest.raises(HopechoError) as caught:
        bring("mine.h5")
    assert said in str(caught.value)
    assert "mine.h5" in str(caught.value)
    assert "fix: " in str(caught.value)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    frames = [rattle(load_crystal("beta-Li3PS4"), stdev_angstrom=0.1, rng=rng) for _ in range(3)]
    for frame in frames:
        half = rng.normal(scale=0.01, size=(len(frame), 3, 3))
        efg = half + np.swapaxes(half, 1, 2)
        frame.arrays["efg"] = efg - np.trace(efg, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    small = EfgSettings(n_folds=2, basis=RadialBasis(cutoff=4.0, n_radial=2, l_max=2))
    return fit_efg_model(frames, settings=small)


def test_a_model_made_elsewhere_is_for_its_elements_and_its_nucleus(model):
    save_model("model.npz", model)
    read = import_model("model.npz", elements=["P", "Li"], isotope="7Li")
    record = model_record(read, isotope="7Li")
    assert record["settings"] == {
        "cutoff_angstrom": 4.0, "n_radial": 2, "l_max": 2, "sigma_angstrom": 0.4,
    }  # fmt: skip
    assert plain(record) == plain(model_record(model, isotope="7Li"))
    for elements, isotope in ((["Li", "Cl"], "7Li"), (["Na", "P"], "23Na")):
        with pytest.raises(HopechoError, match=r"model\.npz is not a model for this material"):
            import_model("model.npz", elements=elements, isotope=isotope)
