"""How the cost of `uf3/fast` depends on atoms, elements and MPI ranks: free MD at 300 K.

python benchmarks/scaling.py

Writes benchmarks/results/scaling.json. Sizes and elements take turns within one process on one
core, best processor time; ranks are alternating processes, best wall time of runs of
two milliseconds.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from engines import Engine, settle, turn
from pair_style import CUTOFFS, ELEMENTS, RESULTS, cpu_flags, machine, training_frames

from hopecho.io.uf3 import Uf3Potential, pair_keys, triplet_keys, write_uf3
from hopecho.labels.model_pes import open_lammps
from hopecho.md.fast_style import fast_style
from hopecho.md.lammps_input import neighbours
from hopecho.md.potentials import uf3_commands
from hopecho.md.run import child_environment, lammps_command
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.fit import fit_potential

ROUNDS, TURN_S = 5, 0.15
SIZES = {128: (1, 2, 2), 384: (2, 2, 3), 1024: (2, 4, 4), 8192: (4, 8, 8)}
RANK_ROUNDS, RANK_RUNS = 3, 200
RANK_STEPS = {384: 2, 1024: 1}
"""Steps of a run of each size: short enough that other work on the machine spares some."""
SPLIT = {"Li": "Li", "Na": "Li", "P": "P", "S": "S", "Cl": "S"}
"""Five elements that behave as three: the same motion, more tables."""


def split_elements(potential: Uf3Potential) -> Uf3Potential:
    """Give the terms of Li and S to further elements as well."""
    names = tuple(SPLIT)
    two = {k: potential.two_body[SPLIT[k[0]], SPLIT[k[1]]] for k in pair_keys(names)}
    three = {
        k: potential.three_body[SPLIT[k[0]], SPLIT[k[1]], SPLIT[k[2]]] for k in triplet_keys(names)
    }
    return Uf3Potential(names, two, three)


def five_elements(engine: Engine, lines: list[str]) -> Engine:
    """Call every second Li Na, and every second S Cl."""
    atoms = engine.atoms.copy()
    for old, new in (("Li", 11), ("S", 17)):
        own = np.flatnonzero(np.array(engine.atoms.get_chemical_symbols()) == old)
        atoms.numbers[own[::2]] = new
    return Engine(lines, atoms, tuple(SPLIT), engine.system, engine.dt_fs)


def all_engines(folder: Path, plugin: Path) -> dict[str, Engine]:
    """Every combination that takes a turn on one core; names end in what varies."""
    frames, crystal = training_frames(), load_crystal("beta-Li3PS4")
    cells = {n: supercell(crystal, repeat) for n, repeat in SIZES.items()}
    engines: dict[str, Engine] = {}
    for file, (pair, triplet) in CUTOFFS.items():
        label = f"{pair:g} / {triplet:g} A"
        fit = fit_potential(frames, BasisSpec(ELEMENTS, pair, triplet, 24, 5, 8)).potential
        write_uf3(folder / f"{file}.uf3", fit)
        write_uf3(folder / f"{file}-5.uf3", split_elements(fit))
        for style, own in (("uf3/fast", plugin), ("uf3", None)):
            lines = uf3_commands(folder / f"{file}.uf3", ELEMENTS, plugin=own)
            for n, atoms in cells.items():
                if style == "uf3/fast" or n == 384:
                    engines[f"{style}, {label}, {n}"] = Engine(lines, atoms, ELEMENTS, "", 2.0)
            lines = uf3_commands(folder / f"{file}-5.uf3", tuple(SPLIT), plugin=own)
            three = engines[f"{style}, {label}, 384"]
            engines[f"{style}, {label}, 384, 5 elements"] = five_elements(three, lines)
    return engines


def one_core(
    engines: Mapping[str, Engine], restarts: Mapping[str, Path], folder: Path
) -> dict[str, list[float]]:
    """Times of all engines in turns, s per atom-step."""
    lammps, per_step = open_lammps(), {}
    for name, engine in engines.items():
        if not name.startswith("uf3/fast"):
            # The same state as the fast style's; ten times its cost is near enough here.
            fast = name.replace("uf3", "uf3/fast")
            shutil.copy(restarts[fast], restarts[name])
            per_step[name] = 10 * per_step[fast]
            continue
        steps = 1000 if len(engine.atoms) < 1000 else 300
        per_step[name] = settle(lammps, folder, restarts[name], engine, steps=steps)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            steps = max(round(TURN_S / per_step[name]), 20)
            times[name].append(turn(lammps, restarts[name], engine, steps))
    lammps.close()
    return times


def on_ranks(engine: Engine, restart: Path, folder: Path, *, ranks: int, steps: int) -> list[float]:
    """Wall times of short runs, s per step."""
    lines = [
        "atom_modify map array",
        f"read_restart {restart}",
        *engine.lines,
        *neighbours(),
        f"timestep {engine.dt_fs * 1e-3:.10g}",
        "fix move all nve",
        *[f"run {steps}" for _ in range(RANK_RUNS + 1)],
    ]
    (folder / "ranks.lmp").write_text("\n".join(lines) + "\n")
    words = [*lammps_command(), "-in", "ranks.lmp", "-log", "none", "-nocite"]
    if ranks > 1:
        words = ["mpiexec", "-n", str(ranks), *words]
    done = subprocess.run(
        words, cwd=folder, env=child_environment(), capture_output=True, text=True, check=True
    )
    found = [float(x) for x in re.findall(r"Loop time of (\S+) on", done.stdout)]
    return [x / steps for x in found[1:]]


def rank_speed_up(
    engines: Mapping[str, Engine], restarts: Mapping[str, Path], folder: Path
) -> dict[str, float]:
    """Speed of two ranks over one."""
    speed_up = {}
    for name, engine in engines.items():
        steps = RANK_STEPS.get(len(engine.atoms), 0)
        if not steps or not name.startswith("uf3/fast, 7 / 4.5"):
            continue
        best = {1: np.inf, 2: np.inf}
        for _ in range(RANK_ROUNDS):
            for ranks in best:
                found = on_ranks(engine, restarts[name], folder, ranks=ranks, steps=steps)
                best[ranks] = min(best[ranks], *found)
        speed_up[name] = float(f"{best[1] / best[2]:.3g}")
        print(name, speed_up[name], flush=True)
    return speed_up


def record_of(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Best and median times, us per atom-step, and the spread over sizes."""
    best = {name: min(own) for name, own in times.items()}
    sizes = {
        label: [best[f"uf3/fast, {label}, {n}"] for n in SIZES]
        for label in (f"{pair:g} / {triplet:g} A" for pair, triplet in CUTOFFS.values())
    }
    return {
        "us_per_atom_step": {k: float(f"{v * 1e6:.3g}") for k, v in best.items()},
        "median_us": {k: float(f"{np.median(v) * 1e6:.3g}") for k, v in times.items()},
        "largest_over_smallest": {k: float(f"{max(v) / min(v):.3g}") for k, v in sizes.items()},
        "ratio_to_pair_style_uf3": {
            k: float(f"{best[k.replace('uf3/fast', 'uf3')] / v:.3g}")
            for k, v in best.items()
            if k.startswith("uf3/fast") and k.replace("uf3/fast", "uf3") in best
        },
    }


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = fast_style("", folder)
        if style.plugin is None:
            raise SystemExit(f"uf3/fast is not available: {style.reason}")
        engines = all_engines(folder, style.plugin)
        restarts = {engine: folder / f"{i}.restart" for i, engine in enumerate(engines)}
        times = one_core(engines, restarts, folder)
        record = record_of(times)
        if shutil.which("mpiexec", path=child_environment()["PATH"]):
            record["speed_of_2_ranks"] = rank_speed_up(engines, restarts, folder)
    record |= {"work": "a step of one atom of beta-Li3PS4, free MD at 300 K, us"}
    record |= {"cpu_flags": cpu_flags(), "command": "make bench", "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scaling.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
