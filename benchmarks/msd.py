"""MSD against freud, tidynamics, MDAnalysis and kinisi: ``python benchmarks/msd.py``, minutes.

The peers run in their own environment, made on first use in ``benchmarks/.venv/msd`` from the
pinned ``requirements-msd.txt``. All get one thread and the same positions and are timed in
processor seconds; their curves must agree with ours. The memory of each, above what holds the
positions, is the peak of a process of its own. A run too long for memory (10^6 frames of 200
ions, 2.4 GB in a temporary folder) is streamed in a process of its own, whose peak is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from timing import RESULTS, best_of, peer_environment, peer_python, write

from hopecho.dynamics.msd import msd_mean, msd_per_ion
from hopecho.dynamics.msd_stream import msd_streamed

HERE = Path(__file__).parent
N_FRAMES, N_IONS, STEP_A = 10_000, 144, 0.1
LONG_FRAMES, LONG_IONS, LONG_LAGS = 1_000_000, 200, 10_000
# freud and MDAnalysis hold positions in single precision.
TOLERANCE = 2e-3


def peers(x: np.ndarray, lags: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return what msd_peer.py measured, and the memory of every package and ours, MiB."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f for f in ("x.npy", "lags.npy", "result.npz")]
        np.save(paths[0], x)
        np.save(paths[1], lags)
        python = peer_python("msd", HERE / "requirements-msd.txt")
        command = [str(python), str(HERE / "msd_peer.py"), *map(str, paths)]
        subprocess.run(command, check=True, env=peer_environment())
        with np.load(paths[2], allow_pickle=False) as data:
            found = dict(data)
        own = [sys.executable, __file__, "memory", str(paths[0])]
        memory = {"hopecho": _printed(own)}
        for name in [key.partition("/")[0] for key in found if key.endswith("/seconds")]:
            memory[name] = _printed([*command[:-1], name], env=peer_environment())
        return found, memory


def _printed(command: list[str], **options: Any) -> float:
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return round(float(done.stdout), 1)


def compare() -> None:
    """Same positions for all; every package against our curve."""
    x = np.cumsum(STEP_A * np.random.default_rng(2).normal(size=(N_FRAMES, N_IONS, 3)), axis=0)
    lags = np.unique(np.rint(np.geomspace(1, N_FRAMES // 5, 100)).astype(np.int64))
    # Like the peers: the sum of the axes.
    each = best_of(lambda: msd_per_ion(x, n_lags=N_FRAMES, axes=False))
    axes = best_of(lambda: msd_per_ion(x, n_lags=N_FRAMES))
    short = best_of(lambda: msd_mean(x, n_lags=N_FRAMES // 5))
    ours = msd_per_ion(x, n_lags=N_FRAMES, axes=False).mean(1)[lags]
    found, memory = peers(x, lags)
    names = [key.partition("/")[0] for key in found if key.endswith("/seconds")]
    for name in names:
        gap = float(np.abs(found[f"{name}/msd"] / ours - 1.0).max())
        print(f"{name}: largest relative difference {gap:.1e}")
        if not gap < TOLERANCE:
            sys.exit(f"{name} gives another MSD: the times do not compare")
    write(
        "msd",
        work=f"MSD of each of {N_IONS} ions over {N_FRAMES} frames, all lags "
        f"(kinisi: mean over ions at {len(lags)} lags)",
        unit="s",
        ours=each,
        peers={name: float(found[f"{name}/seconds"]) for name in names},
    )
    path = RESULTS / "msd.json"
    record = json.loads(path.read_text()) | {
        "command": "python benchmarks/msd.py",
        "each_axis_s": float(f"{axes:.3g}"),
        "mean_to_a_fifth_s": float(f"{short:.3g}"),
        "memory_mb": memory,
        "long_run": long_run(),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


def long_run() -> dict[str, float | str]:
    """Write a long run and stream it in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "long.npy"
        shape = (LONG_FRAMES, LONG_IONS, 3)
        data = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        rng, last = np.random.default_rng(3), np.zeros((1, LONG_IONS, 3))
        for start in range(0, LONG_FRAMES, 10_000):
            steps = STEP_A * rng.standard_normal((10_000, LONG_IONS, 3), dtype=np.float32)
            part = last + np.cumsum(steps, axis=0, dtype=np.float64)
            data[start : start + 10_000] = part
            last = part[-1:]
        data.flush()
        del data
        command = [sys.executable, __file__, str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def stream(path: str) -> None:
    """Print time and peak memory of the streamed MSD of one file, read with plain reads."""
    before = status_mb()
    source = FramesOnDisk(path)
    start = time.process_time()
    curve = msd_streamed(source, n_lags=LONG_LAGS).sum(1)
    seconds = time.process_time() - start
    expected = 3 * STEP_A**2 * np.arange(LONG_LAGS)
    record = {
        "work": f"{LONG_FRAMES} frames x {LONG_IONS} ions, {LONG_LAGS} lags, streamed",
        "seconds": float(f"{seconds:.3g}"),
        "file_mb": round(Path(path).stat().st_size / 2**20),
        "peak_mb": round(status_mb()),
        "peak_above_start_mb": round(status_mb() - before),
        "largest_deviation_from_6Dt": float(f"{np.abs(curve[1:] / expected[1:] - 1).max():.2g}"),
    }
    print(json.dumps(record))


def memory(path: str) -> None:
    """Print the peak of our MSD above what this process held before, MiB."""
    x = np.load(path, allow_pickle=False)
    msd_per_ion(x[:200, :4], n_lags=100, axes=False)
    before = status_mb("VmRSS")
    msd_per_ion(x, n_lags=len(x), axes=False)
    print(status_mb("VmHWM") - before)


def status_mb(key: str = "VmHWM") -> float:
    """Resident memory of this process, MiB, at its peak; ru_maxrss would count its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(key))


class FramesOnDisk:
    """Frames of a .npy file by file reads: pages of a memory map would count as memory."""

    def __init__(self, path: str) -> None:
        header = np.lib.format.open_memmap(path, mode="r")
        self.shape, self._path, self._offset = header.shape, path, header.offset

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        frames, ions = key
        per_frame = self.shape[1] * 3
        count = (frames.stop - frames.start) * per_frame
        at = self._offset + frames.start * per_frame * 4
        values = np.fromfile(self._path, dtype=np.float32, count=count, offset=at)
        return values.reshape(-1, *self.shape[1:])[:, ions]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        memory(sys.argv[2])
    elif len(sys.argv) > 1:
        stream(sys.argv[1])
    else:
        compare()
