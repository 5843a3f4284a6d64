"""What the benchmarks share: processor times, peers' environments, the form of the results.

Measurements behind the numbers in docs, one thread, peers in the same run: ``make bench``.

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

RESULTS = Path(__file__).parent / "results"


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
