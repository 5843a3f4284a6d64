"""H5MD: round trip, layout, determinism, what MDAnalysis reads."""

import time
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, iterate, n_frames, read_segment, write_segment

CELL = np.array([[10.0, 0, 0], [2.0, 11.0, 0], [1.0, -1.0, 12.0]])


def segment(n: int = 7, start: int = 0) -> Segment:
    rng = np.random.default_rng(start)
    steps = start + 50 * np.arange(1, n + 1)
    return Segment(
        steps * 2e-3,
        rng.normal(scale=50.0, size=(n, 4, 3)),
        CELL,
        np.array([3, 15, 16, 16]),
        steps,
        {"temperature": rng.normal(300, 5, n), "potential_energy": rng.normal(-400, 1, n)},
    )


def test_round_trip_to_single_precision(tmp_path):
    original = segment()
    write_segment(tmp_path / "a.h5md", original)
    back = read_segment(tmp_path / "a.h5md")
    np.testing.assert_array_equal(back.positions, original.positions.astype(np.float32))
    for name in ("time_ps", "cell", "numbers", "step"):
        np.testing.assert_array_equal(getattr(back, name), getattr(original, name))
    for name, values in original.observables.items():
        np.testing.assert_array_equal(back.observables[name], values)
    assert n_frames(tmp_path / "a.h5md") == 7


def moving(n: int = 7) -> Segment:
    return replace(segment(n), velocities=np.random.default_rng(9).normal(size=(n, 4, 3)))


def test_velocities_go_round(tmp_path):
    original = moving()
    write_segment(tmp_path / "a.h5md", original)
    back = read_segment(tmp_path / "a.h5md")
    assert back.velocities.dtype == np.float32
    np.testing.assert_array_equal(back.velocities, original.velocities.astype(np.float32))
    part = read_segment(tmp_path / "a.h5md", start=2, stop=4)
    np.testing.assert_array_equal(part.velocities, back.velocities[2:4])
    with h5py.File(tmp_path / "a.h5md") as file:
        group = file["particles/all"]
        assert group["velocity/value"].attrs["unit"] == "A ps-1"
        assert group["velocity/time"] == group["position/time"]
    write_segment(tmp_path / "b.h5md", segment())
    assert read_segment(tmp_path / "b.h5md").velocities is None


def test_foreign_velocities_are_converted_or_refused(tmp_path):
    path = tmp_path / "a.h5md"
    write_segment(path, moving())
    with h5py.File(path, "r+") as file:
        file["particles/all/velocity/value"].attrs["unit"] = "nm ps-1"
    expected = 10.0 * moving().velocities.astype(np.float32)
    np.testing.assert_allclose(read_segment(path).velocities, expected, rtol=1e-6)
    with h5py.File(path, "r+") as file:
        file["particles/all/velocity/value"].attrs["unit"] = "bohr"
    with pytest.raises(HopechoError, match=r"unknown unit\n?.*bohr"):
        read_segment(path)
    with h5py.File(path, "r+") as file:
        del file["particles/all/velocity/value"]
        file["particles/all/velocity/value"] = np.zeros((6, 4, 3))
    with pytest.raises(HopechoError, match="do not fit its positions"):
        read_segment(path)


def test_float32_keeps_a_tenth_of_a_milliangstrom_below_1000_angstrom(tmp_path):
    x = np.random.default_rng(1).uniform(-1000, 1000, size=(100, 4, 3))
    write_segment(
        tmp_path / "a.h5md", Segment(np.arange(100.0), x, CELL, np.array([3, 15, 16, 16]))
    )
    assert np.abs(read_segment(tmp_path / "a.h5md").positions - x).max() < 3.1e-5


def test_slices_and_iteration(tmp_path):
    paths = [tmp_path / "a.h5md", tmp_path / "b.h5md"]
    parts = [segment(7), segment(5, start=350)]
    for path, part in zip(paths, parts):
        write_segment(path, part)
    middle = read_segment(paths[0], start=2, stop=5)
    assert len(middle.time_ps) == len(middle.observables["temperature"]) == 3
    np.testing.assert_array_equal(middle.step, parts[0].step[2:5])
    blocks = list(iterate(paths, chunk=3))
    assert [len(b.time_ps) for b in blocks] == [3, 3, 1, 3, 2]
    np.testing.assert_array_equal(
        np.concatenate([b.time_ps for b in blocks]), np.concatenate([p.time_ps for p in parts])
    )


def test_same_content_same_bytes(tmp_path):
    write_segment(tmp_path / "a.h5md", segment())
    time.sleep(1.1)  # HDF5 time stamps count in seconds
    write_segment(tmp_path / "b.h5md", segment())
    assert (tmp_path / "a.h5md").read_bytes() == (tmp_path / "b.h5md").read_bytes()


def test_layout_follows_the_standard(tmp_path):
    write_segment(tmp_path / "a.h5md", segment())
    with h5py.File(tmp_path / "a.h5md") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert {"name"} <= set(file["h5md/author"].attrs)
        assert {"name", "version"} <= set(file["h5md/creator"].attrs)
        box = file["particles/all/box"]
        assert box.attrs["dimension"] == 3
        assert box.attrs["boundary"].tolist() == [b"periodic"] * 3
        position = file["particles/all/position"]
        assert position["value"].dtype == np.float32
        assert (position["value"].compression, position["value"].shuffle) == ("gzip", True)
        assert box["edges/time"] == position["time"]
        assert file["observables/temperature/time"] == position["time"]
        assert position["time"].attrs["unit"] == "ps"


def test_mdanalysis_opens_it(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed")
        original = moving()
        write_segment(tmp_path / "a.h5md", original)
        universe = mda.Universe.empty(4, trajectory=False)
        universe.load_new(str(tmp_path / "a.h5md"), format="H5MD")
        frames = [(ts.time, ts.positions.copy(), ts.dimensions) for ts in universe.trajectory]
        velocities = [ts.velocities.copy() for ts in universe.trajectory]
        universe.trajectory.close()
    assert len(frames) == 7
    np.testing.assert_allclose([f[0] for f in frames], original.time_ps)
    np.testing.assert_allclose([f[1] for f in frames], original.positions, rtol=1e-6)
    np.testing.assert_allclose(velocities, original.velocities, rtol=1e-6)
    lengths = np.linalg.norm(CELL, axis=1)
    np.testing.assert_allclose(frames[0][2][:3], lengths, rtol=1e-6)


def test_foreign_files_with_images_nanometres_and_fixed_interval(tmp_path):
    wrapped = np.full((3, 1, 3), 0.5)
    images = np.zeros((3, 1, 3), dtype=int)
    images[1, 0, 0], images[2, 0] = 1, [2, 0, -1]
    with h5py.File(tmp_path / "f.h5md", "w") as file:
        group = file.create_group("particles/mine")
        group["position/value"] = wrapped
        group["position/value"].attrs["unit"] = "nm"
        group["position/step"] = 10
        group["position/time"] = 20.0
        group["position/time"].attrs["unit"] = "fs"
        group["image/value"] = images
        group["box/edges"] = np.array([1.0, 2.0, 3.0])
        group["species"] = np.array([3])
    back = read_segment(tmp_path / "f.h5md")
    np.testing.assert_allclose(back.cell, np.diag([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(back.positions[:, 0], [[5, 5, 5], [15, 5, 5], [25, 5, -25]])
    np.testing.assert_allclose(back.time_ps, [0.0, 0.02, 0.04])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.full((7, 4, 3), np.nan)}, "not finite"),
        ({"positions": np.zeros((6, 4, 3))}, "do not fit"),
        ({"velocities": np.zeros((7, 3, 3))}, "velocities for .* do not fit"),
        ({"velocities": np.full((7, 4, 3), np.inf)}, "not finite"),
        ({"observables": {"temperature": np.zeros(3)}}, "one value a frame"),
        ({"time_ps": np.zeros(0), "positions": np.zeros((0, 4, 3))}, "no frame"),
    ],
)
def test_bad_content_is_refused(tmp_path, change, message):
    fields = {**segment().__dict__, **change}
    with pytest.raises(HopechoError, match=message):
        write_segment(tmp_path / "a.h5md", Segment(**fields))


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "torn.h5md").write_bytes(b"\x89HDF torn")
    for name in ("torn.h5md", "absent.h5md"):
        with pytest.raises(HopechoError, match=name):
            read_segment(tmp_path / name)
    with h5py.File(tmp_path / "empty.h5md", "w"):
        pass
    with pytest.raises(HopechoError, match="particle"):
        read_segment(tmp_path / "empty.h5md")
