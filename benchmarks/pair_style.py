"""Time the pair style `uf3/fast` against LAMMPS's `uf3`: one core, the same file, free MD at 300 K.

python benchmarks/pair_style.py

Writes benchmarks/results/pair_style.json (cutoffs 7 / 4.5 A) and pair_style_short.json
(5.5 / 4.0 A).
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hopecho.io.uf3 import write_uf3
from hopecho.labels.model_pes import ModelPes, open_lammps
from hopecho.md.fast_style import fast_style
from hopecho.md.lammps_input import settings, settling, velocities
from hopecho.md.potentials import Species, uf3_commands, write_data
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential

RESULTS = Path(__file__).parent / "results"
ELEMENTS = ("Li", "P", "S")
CUTOFFS = {"pair_style": (7.0, 4.5), "pair_style_short": (5.5, 4.0)}
ROUNDS = 7
STEPS = {"pair_style uf3": 60, "portable": 150, "avx2": 400, "avx512": 400}
FLAGS = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512dq")


def training_frames() -> list[LabelledFrame]:
    """Rattled crystals and a short hot run of the model surface, 128 atoms each."""
    rng = np.random.default_rng(1)
    cell = supercell(load_crystal("beta-Li3PS4"), (1, 2, 2))
    frames = [rattle(cell, stdev_angstrom=0.02 * (1 + i % 5), rng=rng) for i in range(40)]
    with ModelPes(elements=ELEMENTS) as surface:
        surface.evaluate(frames[0])
        lammps = surface._lammps
        lammps.commands_list(["timestep 0.002", "velocity all create 1200 77 mom yes"])
        lammps.command("fix move all nve")
        for _ in range(60):
            lammps.command("run 60 post no")
            frame = cell.copy()
            flat = np.ctypeslib.as_array(lammps.gather_atoms("x", 1, 3))
            frame.positions = flat.reshape(-1, 3)
            frames.append(frame)
        lammps.command("unfix move")
        return [LabelledFrame(f, *surface.evaluate(f), str(i)) for i, f in enumerate(frames)]


def start(lammps: Any, folder: Path, atoms: Atoms, pair_lines: list[str]) -> None:
    """Bring the crystal to 300 K, then let it move freely."""
    write_data(folder / "start.data", atoms, Species.of(ELEMENTS))
    lammps.commands_list(
        [
            "clear",
            *settings(),
            f"read_data {folder / 'start.data'}",
            *pair_lines,
            "neighbor 1.0 bin",
            "neigh_modify every 1 delay 0 check yes",
            "timestep 0.002",
            *velocities(600.0, seed=1),
            *settling(300.0, 2000, seed=1),
            "fix move all nve",
            "thermo_modify lost error",
        ]
    )


def seconds_per_atom_step(lammps: Any, n_atoms: int, pair_lines: list[str], steps: int) -> float:
    """Processor time of `steps` steps, which need one force evaluation more."""
    lammps.commands_list(pair_lines)
    begun = time.process_time()
    lammps.command(f"run {steps} post no")
    return (time.process_time() - begun) / (n_atoms * (steps + 1))


def compare(folder: Path, atoms: Atoms, potential: Path, plugin: Path) -> dict[str, list[float]]:
    """Times of every style, in turns within one process, s per atom-step."""
    load, style, coefficients = uf3_commands(potential, ELEMENTS, plugin=plugin)
    lammps = open_lammps()
    start(lammps, folder, atoms, [load, style, coefficients])
    supported = cpu_flags()
    styles = {"pair_style uf3": uf3_commands(potential, ELEMENTS)}
    for isa, flag in (("portable", "sse2"), ("avx2", "avx2"), ("avx512", "avx512dq")):
        if flag in supported:
            styles[isa] = [f"{style} isa {isa}", coefficients]
    times: dict[str, list[float]] = {name: [] for name in styles}
    for _ in range(ROUNDS):
        for name, lines in styles.items():
            times[name].append(seconds_per_atom_step(lammps, len(atoms), lines, STEPS[name]))
    lammps.close()
    return times


def cpu_flags() -> list[str]:
    """Instruction sets of this processor that matter here."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return [flag for flag in FLAGS if flag in line.split()]
    return []


def machine() -> str:
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def pair_style() -> None:
    """Write both results; the ratio is that of the best times."""
    frames = training_frames()
    atoms = supercell(load_crystal("beta-Li3PS4"), (2, 2, 3))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = fast_style("", folder)
        if style.plugin is None:
            raise SystemExit(f"uf3/fast is not available: {style.reason}")
        for result, (pair, triplet) in CUTOFFS.items():
            fit = fit_potential(frames, BasisSpec(ELEMENTS, pair, triplet, 24, 5, 8))
            write_uf3(folder / "potential.uf3", fit.potential)
            times = compare(folder, atoms, folder / "potential.uf3", style.plugin)
            write(result, f"cutoffs {pair:g} / {triplet:g} A", times)


def write(name: str, cutoffs: str, times: dict[str, list[float]]) -> None:
    """Write one result; `ours` is the widest instruction set of this processor."""
    best = {style: min(values) for style, values in times.items()}
    fastest = list(best)[-1]
    ours = best.pop(fastest)
    peers = {
        style if " " in style else f"uf3/fast, {style} only": value for style, value in best.items()
    }
    record = {
        "work": f"a step of one atom, 384 atoms of beta-Li3PS4, free MD at 300 K, {cutoffs}",
        "unit": "s",
        "ours": float(f"{ours:.3g}"),
        "peers": {k: float(f"{v:.3g}") for k, v in peers.items()},
        "ratio": {k: float(f"{v / ours:.3g}") for k, v in peers.items()},
        "median_ratio": {
            k: float(f"{np.median(times[s]) / np.median(times[fastest]):.3g}")
            for k, s in zip(peers, best)
        },
        "kernel": fastest,
        "cpu_flags": cpu_flags(),
        "command": "make bench",
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    pair_style()
