"""Tensors of a long trajectory on one core: time, and memory against the number of frames.

``python benchmarks/efg_stream.py`` quenches a glass of 576 atoms (216 Li) on the model surface,
trains a model of the default size on rattled copies of it, writes trajectories of 1 000 and 10 000
frames (thermal noise of 0.1 A about the glass) and predicts each in a process of its own with one
thread. Times are processor times. Peak memory is that of the process; what importing and
compiling take is measured with a trajectory of 10 frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from efg import PAPER_S_PER_LI
from timing import RESULTS, best_of, machine

from hopecho.efg.contract import (
    Environments,
    expand,
    invariants,
    make_kernel,
    scalar_kernel,
    tensors,
)
from hopecho.efg.density import kinds_of, make_frame
from hopecho.efg.longrange import k_vectors
from hopecho.efg.model import EfgSettings, fit_efg_model, load_model, save_model
from hopecho.efg.predict import predict_segment, probe_ids
from hopecho.io.h5md import Segment, read_segment, write_segment
from hopecho.labels.model_efg import model_efg
from hopecho.labels.model_pes import lammps_commands
from hopecho.md.anneal import run_quench
from hopecho.md.potentials import Species
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.structures.quench import QuenchPlan

ELEMENTS = ("Li", "P", "S")
FRAMES = (10, 1_000, 10_000)
KINDS = ("ridge", "sa_gpr")


def glass(folder: Path) -> Atoms:
    """Return 576 atoms, quenched in 20 ps: disordered enough for timing, not for physics."""
    return run_quench(
        supercell(load_crystal("gamma-Li3PS4"), (3, 3, 4)),
        QuenchPlan(deform_ps=3.0, melt_ps=10.0, quench_ps=5.0, hold_ps=2.0),
        lammps_commands(ELEMENTS),
        species=Species.of(ELEMENTS),
        scratch=folder / "quench",
        seed=1,
    )


def prepare(folder: Path) -> None:
    """Write models and trajectories."""
    atoms = glass(folder)
    rng = np.random.default_rng(1)
    frames = [rattle(atoms, stdev_angstrom=0.1, rng=rng) for _ in range(6)]
    for frame in frames:
        frame.arrays["efg"] = model_efg(frame)
    for kind in KINDS:
        model = fit_efg_model(frames, settings=EfgSettings(kind=kind, n_folds=3))
        save_model(folder / f"{kind}.npz", model)
    for count in FRAMES:
        noise = rng.normal(scale=0.1, size=(count, len(atoms), 3)).astype(np.float32)
        x = noise + atoms.positions.astype(np.float32)
        segment = Segment(0.1 * np.arange(count), x, atoms.cell.array, atoms.numbers)
        write_segment(folder / f"{count}.h5md", segment)


def peak_mb() -> float:
    """Return the peak resident memory of this process, MB; getrusage counts the parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(folder: Path, kind: str, count: int) -> dict[str, float]:
    """Return seconds and peak memory of one trajectory."""
    model = load_model(folder / f"{kind}.npz")
    predict_segment(model, folder / f"{FRAMES[0]}.h5md", folder / "warm.h5")
    wall, cpu = time.perf_counter(), time.process_time()
    said = predict_segment(model, folder / f"{count}.h5md", folder / "out.h5")
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_rss_mb": peak_mb(),
        "n_ions": said["n_ions"],
        "us_per_li": (time.process_time() - cpu) / (count * said["n_ions"]) * 1e6,
        "table_mb": (folder / "out.h5").stat().st_size / 1e6,
    }


def steps(folder: Path, kind: str) -> dict[str, float]:
    """Return microseconds per Li of every step of a frame."""
    model, part = load_model(folder / f"{kind}.npz"), read_segment(folder / f"{FRAMES[0]}.h5md")
    kernel, spec = make_kernel(model), model.spec
    kinds, centres = kinds_of(part.numbers, spec.elements), probe_ids(model, part.numbers)
    waves = k_vectors(part.cell, spec.long_range_width)

    def expanded() -> Environments:
        return expand(make_frame(part.positions[0], part.cell, kinds, centres), kernel, waves)

    e = expanded()
    p = invariants(e, spec)

    def predicted(member: int = 0) -> object:
        scalars = scalar_kernel(p, kernel) if len(kernel.known) else p
        return tensors(e, kernel, scalars, member=member)

    work: dict[str, Callable[[], object]] = {
        "expansion and lattice sum": expanded,
        "scalar spectrum and flag": lambda: model.novelty.score(invariants(e, spec)),
        "kernel and contraction": predicted,
    }
    return {name: best_of(f) / len(centres) * 1e6 for name, f in work.items()}


def in_child(*words: str) -> dict[str, float]:
    """Measure in a process with one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    child = subprocess.run(
        [sys.executable, __file__, "--measure", *words],
        env=os.environ | dict.fromkeys(names, "1"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(child.stdout.splitlines()[-1]))


def main() -> None:
    """Measure in processes with one thread, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=3)
    parser.add_argument("--kinds", nargs="+", default=["ridge"], choices=KINDS)
    args = parser.parse_args()
    if args.measure:
        folder, kind, count = args.measure
        work = measure(Path(folder), kind, int(count)) if int(count) else steps(Path(folder), kind)
        print(json.dumps(work))
        return
    rows, costs = [], {}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for kind in args.kinds:
            for count in FRAMES:
                numbers = in_child(name, kind, str(count))
                rounded = {k: float(f"{v:.4g}") for k, v in numbers.items()}
                rows.append({"model": kind, "n_frames": count, **rounded})
                print(json.dumps(rows[-1]), flush=True)
        for kind in KINDS:
            costs[kind] = {k: float(f"{v:.3g}") for k, v in in_child(name, kind, "0").items()}
    ours = rows[len(FRAMES) - 1]["us_per_li"] * 1e-6
    record = {
        "work": "tensors, flags of every frame and spread of every tenth, 10 000 frames x 216 Li "
        "(glass of 576 atoms), cutoff 6 A, n 4, l 6",
        "unit": "CPU s per Li",
        "ours": float(f"{ours:.3g}"),
        "peers": {"the paper's SA-GPR": PAPER_S_PER_LI},
        "ratio": {"the paper's SA-GPR": float(f"{PAPER_S_PER_LI / ours:.3g}")},
        "rows": rows,
        "steps_us_per_li": costs,
        "command": "python benchmarks/efg_stream.py --kinds " + " ".join(args.kinds),
        "machine": machine(),
    }
    (RESULTS / "efg_stream.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
