"""A whole fit, 1 000 structures of 64 atoms on one core: ``python benchmarks/fit.py``, two minutes.

Rattled beta- and gamma-Li3PS4 with energies, forces and stresses of the model surface, given in
memory. Timed: `fit_potential` from labelled frames to potential and training errors, in a process
of its own with one thread, after a small fit that compiles. Peak memory is that of the process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
from timing import RESULTS, machine

from hopecho.labels.model_pes import ModelPes
from hopecho.structures.build import rattle, strain, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec, layout
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential

N_STRUCTURES = 1000
SPEC = BasisSpec(
    ("Li", "P", "S"),
    cutoff_2b_angstrom=7.0,
    cutoff_3b_angstrom=4.5,
    intervals_2b=24,
    intervals_3b=5,
    intervals_jk=10,
)


def labelled() -> list[LabelledFrame]:
    """Return rattled and strained cells with labels."""
    rng = np.random.default_rng(1)
    cells = [
        supercell(load_crystal("gamma-Li3PS4"), (1, 2, 2)),
        supercell(load_crystal("beta-Li3PS4"), (1, 1, 2)),
    ]
    frames = []
    for cell in cells:
        # One LAMMPS instance for each order of atoms.
        with ModelPes() as surface:
            for number in range(N_STRUCTURES // len(cells)):
                atoms = strain(cell, amplitude=0.02, rng=rng)
                atoms = rattle(atoms, stdev_angstrom=rng.uniform(0.03, 0.15), rng=rng)
                energy, forces, stress = surface.evaluate(atoms)
                frames.append(LabelledFrame(atoms, energy, forces, stress, f"frame {number}"))
    return frames


def rss_gb() -> float:
    """Return the peak resident memory of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure() -> dict[str, float]:
    """Return times (s), peak memory (GB) and training errors of one fit."""
    frames = labelled()
    fit_potential(frames[:2], BasisSpec(SPEC.elements))
    before = rss_gb()
    wall, cpu = time.perf_counter(), time.process_time()
    result = fit_potential(frames, SPEC)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_gb": rss_gb(),
        "rss_before_fit_gb": before,
        "rmse_energy_ev_atom": result.train_errors["rmse_energy"],
        "rmse_force_ev_a": result.train_errors["rmse_force"],
        "std_force_ev_a": result.train_errors["std_force"],
    }


def main() -> None:
    """Measure in a process with one thread, and write."""
    if "--measure" in sys.argv:
        print(json.dumps(measure()))
        return
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    child = subprocess.run(
        [sys.executable, __file__, "--measure"],
        env=os.environ | dict.fromkeys(names, "1"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    numbers = {k: float(f"{v:.3g}") for k, v in json.loads(child.stdout.splitlines()[-1]).items()}
    record = {
        "work": f"fit of {N_STRUCTURES} structures x 64 atoms, cutoffs 7 and 4.5 A, intervals 24 "
        f"and [5, 5, 10], {layout(SPEC).n_columns} columns, energies, forces and stresses",
        "unit": "s",
        "ours": numbers.pop("wall_s"),
        "peers": {},
        "ratio": {},
        **numbers,
        "command": "python benchmarks/fit.py",
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fit.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
