"""216 ions in runs beyond memory: peak memory and processor time against the number of frames.

`benchmarks/acf.py` measures the same up to 1 000 000 frames.
"""

import importlib
from pathlib import Path

import pytest

FRAMES = (50_000, 200_000)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("acf")


def test_memory_is_bounded_and_time_grows_as_the_frames(bench, tmp_path, record_property):
    rows = []
    for n in FRAMES:
        folder = tmp_path / str(n)
        folder.mkdir()
        bench.write_run(folder, n)
        rows.append(bench.in_child(folder))
        record_property(f"peak_mb_{n}", rows[-1]["peak_mb"])
        print(f"{n} frames: {rows[-1]}")
    short, long = rows
    more = FRAMES[1] - FRAMES[0]
    # One ion at a time: 240 bytes a frame, where the tensors of all take 4 320.
    assert long["peak_mb"] - short["peak_mb"] < 480 * more / 2**20
    assert long["peak_mb"] < 500
    assert long["table_mb"] > 800
    # n log n, and what does not grow.
    assert long["cpu_s"] < 1.4 * FRAMES[1] / FRAMES[0] * short["cpu_s"]
    assert abs(long["tau_ps"] - 20.0) < 4 * long["tau_err_ps"]
