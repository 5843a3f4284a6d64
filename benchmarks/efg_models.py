"""Held-out error of ridge and sparse SA-GPR against the number of training environments.

``python benchmarks/efg_models.py results/li3ps4`` takes the labelled frames of a finished campaign:
training structures are drawn at random from ``efg/labelled.extxyz`` and the accepted round's
``dataset.extxyz``, errors are those on ``heldout/labelled.extxyz``. Also measured: the memory of a
fit against the number of structures (copies, 48 Li each).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from timing import RESULTS, machine

from hopecho.efg.contract import make_kernel
from hopecho.efg.metrics import efg_metrics
from hopecho.efg.model import EfgModel, EfgSettings, fit_efg_model
from hopecho.efg.predict import Prediction, predict
from hopecho.io.extxyz import read_frames
from hopecho.tensors import isometric_from_matrix
from hopecho.validation.heldout import trust

SIZES = (200, 1000, 4000)
LI_PER_STRUCTURE = 48
SEEDS = {200: (0, 1, 2), 1000: (0, 1, 2), 3000: (0,), 4000: (0,)}
MEMORY = (50, 500)


def settings(kind: str, frames: Sequence[Atoms]) -> EfgSettings:
    """Return the campaign's default settings; few structures have fewer trajectories than folds."""
    runs = {a.info["trajectory"] for a in frames}
    n = sum(int((a.numbers == 3).sum()) for a in frames)
    return EfgSettings(kind=kind, n_folds=min(5, len(runs)), n_inducing=min(300, n))


def errors(model: EfgModel, frames: Sequence[Atoms]) -> dict[str, Any]:
    """Return held-out errors of every phase."""
    kernel, out = make_kernel(model), {}

    def predicted(a: Atoms) -> Prediction:
        x = a.positions[None]
        return predict(model, x, a.cell.array, a.numbers, kernel=kernel, spread_every=1)

    for phase in sorted({a.info["phase"] for a in frames}):
        own = [a for a in frames if a.info["phase"] == phase]
        true = np.stack([isometric_from_matrix(a.arrays["efg"][a.numbers == 3]) for a in own])
        found = [predicted(a) for a in own]
        efg, sigma, spread, score = (
            np.concatenate([getattr(p, name) for p in found])
            for name in ("efg", "sigma", "spread", "score")
        )
        said = efg_metrics(true, efg)
        out[phase] = {
            "mae_omega_q_khz": said["omega_q"]["mae"],
            "mae_over_std": said["omega_q"]["mae_over_std"],
            "mae_cq_khz": said["cq_abs"]["mae"],
            **trust(true, efg, sigma=sigma, spread=spread, score=score),
        }
    return out


def row(kind: str, size: int, seed: int, known: Sequence[Atoms], held: Sequence[Atoms]) -> Any:
    """Fit one model on structures drawn with a seed."""
    count = round(size / LI_PER_STRUCTURE)
    drawn = np.random.default_rng(seed).permutation(len(known))[:count]
    frames = [known[i] for i in np.sort(drawn)]
    start = time.process_time()
    model = fit_efg_model(frames, settings=settings(kind, frames))
    return {
        "model": kind,
        "n_environments": model.n_tensors,
        "size": size,
        "seed": seed,
        "fit_cpu_s": time.process_time() - start,
        "ridge": model.ridge,
        "spread_factor": model.calibration.factor,
        "phases": errors(model, held),
    }


def memory(folder: Path, kind: str, count: int) -> dict[str, float]:
    """Return the peak memory of a fit on `count` structures in this process, MB."""
    known = read_frames(folder / "efg/labelled.extxyz")
    frames = [known[i % len(known)] for i in range(count)]
    fit_efg_model(frames, settings=EfgSettings(kind=kind, ridge=(1e-7,)))
    return {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Fit all models and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", nargs=2)
    args = parser.parse_args()
    if args.memory:
        print(json.dumps(memory(args.folder, args.memory[0], int(args.memory[1]))))
        return
    last = max(args.folder.glob("al/*/fit.json"), key=lambda p: int(p.parent.name)).parent
    known = read_frames(args.folder / "efg/labelled.extxyz") + read_frames(last / "dataset.extxyz")
    held = read_frames(args.folder / "heldout/labelled.extxyz")
    record: dict[str, Any] = {
        "work": "MAE of omega_Q (64 field directions) on held-out frames, cutoff 6 A, n 4, l 6; "
        "SA-GPR: zeta 2, 300 inducing environments",
        "unit": "kHz",
        "rows": [],
        "memory": [],
        "command": "python benchmarks/efg_models.py results/li3ps4",
        "machine": machine(),
    }
    for kind in ("ridge", "sa_gpr"):
        for count in MEMORY if kind == "ridge" else ():
            child = [sys.executable, __file__, str(args.folder), "--memory", kind, str(count)]
            said = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=True).stdout
            record["memory"].append({"model": kind, "n_structures": count, **json.loads(said)})
            print(json.dumps(record["memory"][-1]), flush=True)
        for size in (*SIZES, 3000) if kind == "ridge" else SIZES:
            for seed in SEEDS[size]:
                record["rows"].append(row(kind, size, seed, known, held))
                print(json.dumps(record["rows"][-1]), flush=True)
                (RESULTS / "efg_models.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
