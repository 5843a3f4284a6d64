"""Energy conservation of `uf3/fast` beside LAMMPS's `uf3`: several 100 ps runs of each.

python benchmarks/conservation.py

Every replica settles at 300 K with velocities of its own and runs at constant energy with both
styles from the same state: 2 fs, 128 atoms of beta-Li3PS4, cutoffs 5.5 / 4.0 A. Writes
benchmarks/results/conservation.json; takes twelve minutes, most of it `pair_style uf3`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pair_style import ELEMENTS, RESULTS, cpu_flags, machine, training_frames

from hopecho.io.uf3 import write_uf3
from hopecho.labels.model_pes import open_lammps
from hopecho.md.fast_style import fast_style
from hopecho.md.guards import conserved_drift
from hopecho.md.lammps_input import from_structure, neighbours, output, settling, velocities
from hopecho.md.potentials import Species, uf3_commands, write_data
from hopecho.md.run import thermo_rows
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.fit import fit_potential

REPLICAS, REPEAT = {"uf3/fast": 8, "pair_style uf3": 8}, (1, 2, 2)
TEMPERATURE_K, DT_FS, LENGTH_PS, SETTLE_PS, EVERY = 300.0, 2.0, 100.0, 10.0, 50


def steps(time_ps: float) -> int:
    """Steps of a time."""
    return round(time_ps * 1e3 / DT_FS)


def settle(lammps: Any, folder: Path, pair_lines: list[str], seed: int) -> None:
    """Bring the crystal to 300 K, with velocities of its own; write start.restart."""
    lammps.commands_list(
        [
            "clear",
            *from_structure(str(folder / "start.data"), pair_lines, dt_fs=DT_FS),
            *velocities(2 * TEMPERATURE_K, seed=seed),
            *settling(TEMPERATURE_K, steps(SETTLE_PS), seed=seed),
            f"write_restart {folder / 'start.restart'}",
        ]
    )


def constant_energy(lammps: Any, folder: Path, pair_lines: list[str]) -> dict[str, float]:
    """Run from start.restart; slope and rms of the total energy, eV/atom, and mean temperature."""
    log = folder / "log.lammps"
    lammps.commands_list(
        [
            "clear",
            "atom_modify map array",
            f"read_restart {folder / 'start.restart'}",
            *pair_lines,
            *neighbours(),
            f"timestep {DT_FS * 1e-3:.10g}",
            "reset_timestep 0",
            *output(thermo_every=EVERY),
            "fix integrate all nve",
            f"log {log}",
            f"run {steps(LENGTH_PS)}",
            "log none",
        ]
    )
    rows = list(thermo_rows(log.read_text().splitlines()))
    time_ps = np.array([row["Step"] for row in rows]) * DT_FS * 1e-3
    total = np.array([row["Econserve"] for row in rows])
    drift = conserved_drift(time_ps, total, n_atoms=lammps.get_natoms())
    temperature = float(np.mean([row["Temp"] for row in rows]))
    return {"slope": drift.slope, "rms": drift.rms, "temperature_k": temperature}


def pooled_scatter(runs: dict[str, list[dict[str, float]]]) -> float:
    """Standard deviation of slopes about the mean of their style; few runs alone tell it badly."""
    slopes = [np.array([run["slope"] for run in own]) for own in runs.values()]
    squares = sum(float(((own - own.mean()) ** 2).sum()) for own in slopes)
    return float(np.sqrt(squares / sum(len(own) - 1 for own in slopes)))


def summary(runs: list[dict[str, float]], scatter: float) -> dict[str, Any]:
    """Mean slope with its error, eV/atom/ps; rms about the line, eV/atom; and those of each run."""
    slopes = np.array([run["slope"] for run in runs])
    return {
        "slope_ev_atom_ps": float(f"{slopes.mean():.3g}"),
        "slope_err_ev_atom_ps": float(f"{scatter / np.sqrt(len(slopes)):.3g}"),
        "rms_ev_atom": float(f"{np.mean([run['rms'] for run in runs]):.3g}"),
        "temperature_k": float(f"{np.mean([run['temperature_k'] for run in runs]):.4g}"),
        "slopes_ev_atom_ps": [float(f"{slope:.3g}") for slope in slopes],
        "rms_of_runs_ev_atom": [float(f"{run['rms']:.3g}") for run in runs],
    }


def compare(folder: Path, plugin: Path) -> dict[str, list[dict[str, float]]]:
    """All runs of both styles."""
    atoms = supercell(load_crystal("beta-Li3PS4"), REPEAT)
    write_data(folder / "start.data", atoms, Species.of(ELEMENTS))
    fit = fit_potential(training_frames(), BasisSpec(ELEMENTS, 5.5, 4.0, 24, 5, 8))
    path = folder / "potential.uf3"
    write_uf3(path, fit.potential)
    fast = uf3_commands(path, ELEMENTS, plugin=plugin)
    styles = {"uf3/fast": fast, "pair_style uf3": uf3_commands(path, ELEMENTS)}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in styles}
    lammps = open_lammps()
    for seed in range(1, max(REPLICAS.values()) + 1):
        settle(lammps, folder, fast, seed)
        for name, lines in styles.items():
            if seed > REPLICAS[name]:
                continue
            runs[name].append(constant_energy(lammps, folder, lines))
            print(name, seed, runs[name][-1], flush=True)
    lammps.close()
    return runs


def main() -> None:
    """Compare and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = fast_style("", folder)
        if style.plugin is None:
            raise SystemExit(f"uf3/fast is not available: {style.reason}")
        runs = compare(folder, style.plugin)
    write(runs)


def write(runs: dict[str, list[dict[str, float]]]) -> None:
    """Write the result."""
    scatter = pooled_scatter(runs)
    found = {name: summary(own, scatter) for name, own in runs.items()}
    ours, stock = found["uf3/fast"], found["pair_style uf3"]
    difference = ours["slope_ev_atom_ps"] - stock["slope_ev_atom_ps"]
    error = np.hypot(ours["slope_err_ev_atom_ps"], stock["slope_err_ev_atom_ps"])
    record = {
        "work": f"{LENGTH_PS:g} ps at constant energy, {DT_FS:g} fs, {TEMPERATURE_K:g} K, 128 "
        f"atoms of beta-Li3PS4, cutoffs 5.5 / 4.0 A",
        "styles": found,
        "difference_of_slopes_in_errors": float(f"{difference / error:.2g}"),
        "cpu_flags": cpu_flags(),
        "command": "make bench",
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "conservation.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
