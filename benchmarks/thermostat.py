"""What a thermostat does to dynamics: diffusion and vibrations of Li against constant energy.

python benchmarks/thermostat.py [--results results] [--out benchmarks/results]

Needs a finished default campaign in `results`, whose potential and glasses it runs: every ensemble
starts from the same states, so that differences are taken pair by pair and the disorder of the
quenches drops out. One thread, about eight CPU minutes with the compiled pair style. Writes
thermostat.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.signal import welch

from hopecho.dynamics.msd import msd_per_ion
from hopecho.io.extxyz import read_frames
from hopecho.md import lammps_input as lines
from hopecho.md.anneal import equilibrate, execute
from hopecho.md.fast_style import fast_style
from hopecho.md.harvest import read_dump, read_log
from hopecho.md.lammps_input import Thermostat, lammps_seed
from hopecho.md.potentials import Species, uf3_commands
from hopecho.md.run import scratch_lock
from hopecho.units import A2_PS_TO_M2_S

ELEMENTS, MASSES = ("Li", "P", "S"), {"Li": 7.016, "P": 30.974, "S": 32.06}
TEMPERATURE_K, DT_FS, LENGTH_PS, BURST_PS = 400.0, 2.0, 60.0, 20.0
STRIDE_PS, BURST_STRIDE_PS = 0.1, 0.01
SEEDS = 2
WINDOW_PS = (3.0, 12.0)
"""Lags of the diffusive window."""
VACF_PS = 2.0
CM1_PER_THZ = 33.35640951981521
T, T_FAST = f"{TEMPERATURE_K:g} {TEMPERATURE_K:g} 1.0", f"{TEMPERATURE_K:g} {TEMPERATURE_K:g} 0.05"
CASES: dict[str, list[str]] = {
    "NVE": ["fix move all nve"],
    "Nose-Hoover chain, 1 ps": [f"fix move all nvt temp {T}"],
    "CSVR, 1 ps": ["fix move all nve", f"fix bath all temp/csvr {T} SEED"],
    "Nose-Hoover chain, 0.05 ps": [f"fix move all nvt temp {T_FAST}"],
    "CSVR, 0.05 ps": ["fix move all nve", f"fix bath all temp/csvr {T_FAST} SEED"],
    "Langevin, 1 ps": ["fix move all nve", f"fix bath all langevin {T} SEED zero yes"],
    "Langevin, 0.1 ps": [
        "fix move all nve",
        f"fix bath all langevin {T[:-3]} 0.1 SEED zero yes",
    ],
}


def start(atoms: Atoms, pair: list[str], folder: Path, *, seed: int) -> Path:
    """Equilibrate a glass: a sample of the canonical ensemble, without total momentum."""
    restart = folder / f"start{seed}.restart"
    equilibrate(
        atoms,
        pair,
        species=Species.of(ELEMENTS, masses=MASSES),
        thermostat=Thermostat("nve", TEMPERATURE_K),
        length_ps=10.0,
        dt_fs=DT_FS,
        seed=seed,
        scratch=folder / "equilibrate",
        restart=restart,
    )
    return restart


def trajectory(
    restart: Path, pair: list[str], fixes: list[str], folder: Path, *, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Positions (n, n_li, 3) of Li every 0.1 ps, velocities every 10 fs, temperature."""
    scratch = folder / "run"
    every = round(STRIDE_PS * 1e3 / DT_FS)
    often = round(BURST_STRIDE_PS * 1e3 / DT_FS)
    burst, rest = (round(x * 1e3 / DT_FS) for x in (BURST_PS, LENGTH_PS - BURST_PS))
    columns = "id type xu yu zu"
    form = "sort id format float %.6f"
    text = lines.script(
        "one ensemble",
        ["log run.log", *lines.settings(), f"read_restart {restart}", *pair],
        [*lines.neighbours(), f"timestep {DT_FS * 1e-3:g}", "group li type 1"],
        [line.replace("SEED", str(lammps_seed(seed, 7))) for line in fixes],
        ["thermo_style custom step temp pe econserve", "thermo 50"],
        [f"dump far li custom {every} run.dump {columns}", f"dump_modify far {form}"],
        [f"dump near li custom {often} near.dump {columns} vx vy vz", f"dump_modify near {form}"],
        [f"run {burst}", "undump near", f"run {rest}", "write_restart end.restart"],
    )
    with scratch_lock(scratch) as lock:
        execute(scratch, text, "end.restart", "", lock)
        positions = np.array([f.positions for f in read_dump(scratch / "run.dump")])
        velocities = np.array([f.velocities for f in read_dump(scratch / "near.dump")])
        temperature = read_log(scratch / "run.log")["temperature"]
    shutil.rmtree(scratch)
    return {"positions": positions, "velocities": velocities, "temperature": temperature}


def measure(run: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """D by Einstein and Green-Kubo (m2/s), MSD at 3 ps (A2), spectrum of Li (1/cm-1), T (K)."""
    n_lags = round(WINDOW_PS[1] / STRIDE_PS) + 1
    msd = msd_per_ion(run["positions"], n_lags=n_lags).sum(axis=2).mean(axis=1)
    lag = STRIDE_PS * np.arange(n_lags)
    window = lag >= WINDOW_PS[0] - 1e-9
    slope = np.polyfit(lag[window], msd[window], 1)[0]
    v = run["velocities"]
    frequency, power = welch(v, fs=1.0 / BURST_STRIDE_PS, nperseg=256, axis=0, detrend=False)
    cm1, spectrum = frequency * CM1_PER_THZ, power.sum(axis=2).mean(axis=1)
    spectrum = spectrum / np.trapezoid(spectrum, cm1)
    band = cm1 <= 700.0
    n = round(VACF_PS / BURST_STRIDE_PS) + 1
    vacf = np.array([(v[: len(v) - k] * v[k:]).sum(axis=2).mean() for k in range(n)])
    integral = cumulative_trapezoid(vacf, dx=BURST_STRIDE_PS)[-1] / 3.0
    return {
        "d_einstein": slope / 6.0 * A2_PS_TO_M2_S,
        "d_green_kubo": integral * A2_PS_TO_M2_S,
        "msd_3ps_a2": msd[window][0],
        "band_centre_cm1": np.average(cm1[band], weights=spectrum[band]),
        "share_below_50_cm1": np.trapezoid(spectrum[cm1 <= 50.0], cm1[cm1 <= 50.0]),
        "temperature_k": run["temperature"].mean(),
        "temperature_std_k": run["temperature"].std(),
        "spectrum": spectrum[band],
    }


def compare(own: list[dict[str, Any]], nve: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of every quantity, and its difference from NVE with the error of paired differences."""
    said: dict[str, Any] = {}
    for name in own[0]:
        if name == "spectrum":
            continue
        a, b = (np.array([m[name] for m in group]) for group in (own, nve))
        error = (a - b).std(ddof=1) / np.sqrt(len(a))
        said[name] = {
            "value": float(f"{a.mean():.5g}"),
            "stderr": float(f"{a.std(ddof=1) / np.sqrt(len(a)):.3g}"),
            "difference": float(f"{(a - b).mean():.4g}"),
            "difference_stderr": float(f"{error:.3g}"),
        }
    gap = np.array([m["spectrum"] for m in own]) - np.array([m["spectrum"] for m in nve])
    n = len(gap)
    if np.any(gap):
        z = gap.mean(axis=0) / (gap.std(axis=0, ddof=1) / np.sqrt(n))
        # The mean square of Student's t with n - 1 degrees of freedom is (n - 1)/(n - 3).
        said["spectrum_chi2"] = float(f"{(z**2).mean() * (n - 3) / (n - 1):.3g}")
    return said


def _cpu_s() -> float:
    """Processor time of this process and of its finished children, s."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, who))


def _machine() -> str:
    lines_of = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.partition(":")[2].strip() for x in lines_of if x.startswith("model name")), "")


def main() -> None:
    """Run every ensemble from every start, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    material, begin = args.results / "li3ps4", _cpu_s()
    plugin = fast_style("", Path("store/plugins")).plugin
    pair = uf3_commands(material / "potential/potential.uf3", ELEMENTS, plugin=plugin)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    glasses = sorted(material.glob("phases/amorphous/quench*/structure.extxyz"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for k, path in enumerate(glasses * SEEDS):
            restart = start(read_frames(path)[0], pair, folder, seed=k + 1)
            for case, fixes in CASES.items():
                run = trajectory(restart, pair, fixes, folder, seed=k + 1)
                found[case].append(measure(run))
    record = {
        "work": f"Li of amorphous Li3PS4, 128 atoms, {TEMPERATURE_K:g} K, {len(glasses)} quenches "
        f"x {SEEDS} seeds, {LENGTH_PS:g} ps each, D from lags of 3 to 12 ps, vibrations from "
        f"{BURST_PS:g} ps every 10 fs",
        "units": {"d_einstein": "m2/s", "d_green_kubo": "m2/s", "msd_3ps_a2": "A2"},
        "cases": {case: compare(own, found["NVE"]) for case, own in found.items()},
        "cpu_min": round((_cpu_s() - begin) / 60.0, 1),
        "machine": _machine(),
        "command": "python benchmarks/thermostat.py",
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "thermostat.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
