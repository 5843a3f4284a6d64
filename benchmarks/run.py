"""Measurements behind the numbers in docs, one thread, peers in the same run: ``make bench``.

Each benchmark writes ``benchmarks/results/<name>.json``: work, unit, ours, peers, ratio (how many
times faster ours is), command, machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from hopecho.efg.model import EfgModel, EfgSettings, explicit_prediction, fit_efg_model
from hopecho.efg.predict import predict_frames
from hopecho.labels.model_efg import model_efg
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal

RESULTS = Path(__file__).parent / "results"
PAPER_S_PER_LI = 0.83  # 500 CPUh for 10 000 snapshots of 216 Li, Faraday Discuss. 255, 411 (2025)


def best_of(work: Callable[[], object], *, repeats: int = 5) -> float:
    """Smallest processor time of a call, s, after one call that compiles and fills caches."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def machine() -> str:
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def peer_python(name: str, requirements: Path) -> Path:
    """Return the interpreter of a peer's own environment, made where it is not complete."""
    venv = Path(__file__).parent / ".venv" / name
    python, done = venv / "bin" / "python", venv / "installed.txt"
    if not done.exists() or done.read_bytes() != requirements.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--prefer-binary"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        done.write_bytes(requirements.read_bytes())
    return python


def peer_environment() -> dict[str, str]:
    """Environment variables of a peer: one thread, and no hopecho."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "1")
    environment.pop("PYTHONPATH", None)
    return environment


def write(name: str, *, work: str, unit: str, ours: float, peers: dict[str, float]) -> None:
    """Write one result."""
    record = {
        "work": work,
        "unit": unit,
        "ours": float(f"{ours:.3g}"),
        "peers": {k: float(f"{v:.3g}") for k, v in peers.items()},
        "ratio": {k: float(f"{v / ours:.3g}") for k, v in peers.items()},
        "command": "make bench",
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


def efg_model(cell: Atoms) -> EfgModel:
    """Fit a model of the default size; its quality does not matter for its speed."""
    rng = np.random.default_rng(1)
    frames = [rattle(cell, stdev_angstrom=0.1, rng=rng) for _ in range(10)]
    for frame in frames:
        frame.arrays["efg"] = model_efg(frame)
    return fit_efg_model(frames, settings=EfgSettings(n_folds=2))


def efg() -> None:
    """EFG tensors of every Li of beta-Li3PS4, 384 atoms."""
    small = supercell(load_crystal("beta-Li3PS4"), (1, 1, 2))
    model = efg_model(small)
    atoms = supercell(load_crystal("beta-Li3PS4"), (2, 2, 3))
    n_li = int((atoms.numbers == 3).sum())
    positions, cell = atoms.positions[None], atoms.cell.array
    ours = best_of(lambda: predict_frames(model, positions, cell, atoms.numbers)) / n_li
    explicit = best_of(lambda: explicit_prediction(model, atoms), repeats=2) / n_li
    write(
        "efg",
        work="tensor of one Li, 384 atoms, cutoff 6 A, n 4, l 6",
        unit="s",
        ours=ours,
        peers={"features formed explicitly": explicit, "the paper's SA-GPR": PAPER_S_PER_LI},
    )


if __name__ == "__main__":
    efg()
