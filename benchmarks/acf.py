"""The echo of long runs of 216 ions: time, and memory against the number of frames.

``python benchmarks/acf.py`` writes tables of tensors that jump (0.05 jumps per ion and ps, frames
every ps) for runs of 10 000, 100 000 and 1 000 000 frames, in segments, to a temporary folder, and
analyses each as ``hopecho echo`` does, in a process of its own with one thread. Tables are deleted
as soon as they are done with; the longest run needs about 5 GB of disk for that time. Peak memory
is that of the process; what importing takes is measured with a run of 1 000 frames.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import RESULTS, machine

from hopecho.config import load
from hopecho.config_text import PROJECT_ROOT
from hopecho.correlation.products import echo_products
from hopecho.io.efg_series import open_runs
from hopecho.io.efg_table import EfgWriter

N_IONS, RATE, BLOCK = 216, 0.05, 5_000
FRAMES = (1_000, 10_000, 100_000, 1_000_000)
SEGMENT_FRAMES = 100_000


def write_run(folder: Path, n_frames: int) -> float:
    """Write a run of jumping tensors in segments; return the size of its files, MB."""
    rng, paths = np.random.default_rng(1), []
    now = rng.normal(scale=0.004, size=(N_IONS, 5)).astype(np.float32)
    for start in range(0, n_frames, SEGMENT_FRAMES):
        paths.append(folder / f"efg{len(paths)}.h5")
        end = min(start + SEGMENT_FRAMES, n_frames)
        with EfgWriter(paths[-1], ion_id=np.arange(N_IONS)) as writer:
            for first in range(start, end, BLOCK):
                n = min(BLOCK, end - first)
                now = append_block(writer, rng, now, first, n)
    return sum(p.stat().st_size for p in paths) / 1e6


def append_block(
    writer: EfgWriter, rng: np.random.Generator, now: np.ndarray, first: int, n: int
) -> np.ndarray:
    """Write n frames that follow the tensors given; return the last ones, (n_ions, 5)."""
    fresh = rng.random((n, N_IONS)) < -np.expm1(-RATE)
    drawn = np.cumsum(fresh.ravel(order="F")).reshape(n, N_IONS, order="F")
    pool = rng.normal(scale=0.004, size=(int(fresh.sum()) + 1, 5)).astype(np.float32)
    efg = pool[drawn]
    before = ~np.maximum.accumulate(fresh, axis=0)
    efg[before] = np.broadcast_to(now, efg.shape)[before]
    writer.append(np.arange(first, first + n, dtype=float), efg)
    return efg[-1].copy()


def peak_mb() -> float:
    """Peak resident memory of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(folder: Path) -> dict[str, float]:
    """Analyse the tables of a folder; return times and the peak of memory."""
    paths = sorted(folder.glob("efg*.h5"), key=lambda p: int(p.stem[3:]))
    settings = load(PROJECT_ROOT / "config.yaml")["correlation"]
    wall, cpu = time.perf_counter(), time.process_time()
    with open_runs([paths], scratch=folder / "scratch") as runs:
        opened = time.perf_counter()
        found = echo_products(runs, quench=[0], isotope="7Li", seed=1, settings=settings)
    tau = found.records["acf_powder"]["tau_sae"]
    return {
        "wall_s": time.perf_counter() - wall,
        "open_wall_s": opened - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "table_mb": runs[0].efg.shape[0] * N_IONS * 20 / 2**20,
        "tau_ps": 1e3 * float(tau["value"] or 0.0),
        "tau_err_ps": 1e3 * float(tau["stderr"] or 0.0),
    }


def in_child(folder: Path) -> dict[str, float]:
    """Measure in a process with one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    child = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=os.environ | dict.fromkeys(names, "1"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(child.stdout.splitlines()[-1]))


def main() -> None:
    """Measure all lengths, and write."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
        return
    rows = []
    for n_frames in FRAMES:
        with tempfile.TemporaryDirectory() as name:
            files_mb = write_run(Path(name), n_frames)
            numbers = in_child(Path(name)) | {"files_mb": files_mb}
        rounded = {k: float(f"{v:.4g}") for k, v in numbers.items()}
        rows.append({"n_frames": n_frames, "n_ions": N_IONS, **rounded})
        print(json.dumps(rows[-1]), flush=True)
    per_frame = rows[-1]["cpu_s"] / FRAMES[-1]
    record = {
        "work": f"all curves, fits and verdicts of the echo, {FRAMES[-1]} frames x {N_IONS} ions; "
        f"true tau {1 / RATE:g} ps",
        "unit": "CPU s",
        "ours": rows[-1]["cpu_s"],
        "us_per_frame": float(f"{1e6 * per_frame:.3g}"),
        "rows": rows,
        "command": "python benchmarks/acf.py",
        "machine": machine(),
    }
    (RESULTS / "acf.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
