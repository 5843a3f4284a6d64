"""The streamed MSD against the one in memory, from arrays and files, in bounded memory."""

import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hopecho.dynamics.msd_stream as stream
from hopecho.dynamics.msd import msd_mean, msd_per_ion
from hopecho.dynamics.msd_stream import msd_streamed
from hopecho.errors import HopechoError


def walk(n_frames, n_ions, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)), 0) + 700.0


@settings(max_examples=40, deadline=None)
@given(
    n_frames=st.integers(2, 90), n_ions=st.integers(1, 7), share=st.floats(0.0, 1.0),
    block=st.integers(1, 40), max_bytes=st.sampled_from([1, 20_000, 10**8]),
)  # fmt: skip
def test_any_window_gives_the_msd_of_the_whole(n_frames, n_ions, share, block, max_bytes):
    x = walk(n_frames, n_ions, seed=block)
    n_lags = max(1, round(share * n_frames))
    known, stream.MIN_BLOCK_FRAMES = stream.MIN_BLOCK_FRAMES, block
    try:
        mean = msd_streamed(x, n_lags=n_lags, max_bytes=max_bytes)
        each = msd_streamed(x, n_lags=n_lags, max_bytes=max_bytes, per_ion=True)
    finally:
        stream.MIN_BLOCK_FRAMES = known
    np.testing.assert_allclose(mean, msd_mean(x, n_lags=n_lags), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(each, msd_per_ion(x, n_lags=n_lags), rtol=1e-9, atol=1e-9)


def test_a_file_is_read_in_windows_and_its_drift_removed(tmp_path):
    x, drift = walk(9000, 5), np.linspace(0.0, 50.0, 9000)[:, None] * np.ones(3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset("position", data=(x + drift[:, None]), chunks=(500, 5, 3))
        found = msd_streamed(data, n_lags=300, drift=drift)
    np.testing.assert_allclose(found, msd_mean(x, n_lags=300), rtol=1e-7, atol=1e-8)


def test_memory_does_not_grow_with_the_run(tmp_path):
    peaks = []
    for n_frames in (20_000, 80_000):
        path = tmp_path / f"{n_frames}.npy"
        np.save(path, walk(n_frames, 4).astype(np.float32))
        data = np.load(path, mmap_mode="r")
        tracemalloc.start()
        msd_streamed(data, n_lags=500, max_bytes=4 * 2**20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 8 * 2**20


@pytest.mark.parametrize("n_ions", [1, 3])
def test_the_run_is_left_as_it_was(n_ions):
    x = walk(4097, n_ions)
    before = x.copy()
    drift = np.ones((4097, 3))
    for per_ion in (True, False):
        msd_streamed(x, n_lags=1, drift=drift, per_ion=per_ion)
        msd_streamed(x, n_lags=50, drift=drift, per_ion=per_ion)
    np.testing.assert_array_equal(x, before)


def test_lags_beyond_the_run_are_refused():
    with pytest.raises(HopechoError, match="n_lags"):
        msd_streamed(np.zeros((10, 2, 3)), n_lags=11)
