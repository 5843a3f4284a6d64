"""Write the parameter files of the model surface, or measure the table of docs/model-surface.md.

python benchmarks/model_surface.py write
python benchmarks/model_surface.py measure beta --temperature 300 --ps 30
python benchmarks/model_surface.py measure glass --seed 1 --temperature 300 --ps 60
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data
from scipy.optimize import curve_fit

from hopecho.labels import model_pes
from hopecho.structures import build, crystals
from hopecho.structures.bonds import bond_report
from hopecho.structures.disorder import disorder
from hopecho.structures.quench import QuenchPlan, cube_edge, quench_commands

ELEMENTS = model_pes.ELEMENTS
CHARGE = 0.4323
SCREENING, CUTOFF = 5.0, 8.0
# pair: H (eV A^eta), eta, D (eV A^4), lambda4 (A)
PAIRS = {
    "Li-Li": (24170.0, 11, 0.0, 2.5),
    "Li-P": (4.788, 7, 0.0, 2.5),
    "Li-S": (123.2, 8, 1.589, 2.5),
    "P-P": (1.7e8, 14, 0.0, 2.5),
    "P-S": (711.4, 7, 328.0, 2.0),
    "S-S": (718.9, 7, 7.663, 2.5),
}
# centre, ends: B (eV), costheta0; range gamma = 1 A, r0 = 3.5 A
ANGLES = {("P", "S", "S"): (10.88, -1 / 3), ("S", "P", "P"): (18.46, 1.0)}
EMBEDDING = {"A": 0.923, "shift": 1.0, "r1": 2.45, "decay": 0.6, "cutoff": 6.5, "rho_max": 20.0}


def write_core(path: Path) -> None:
    """Write U2 and U3 as a LAMMPS Vashishta file."""
    charge = {"Li": CHARGE, "P": CHARGE, "S": -CHARGE}
    lines = [
        "# Core of the model surface; made by benchmarks/model_surface.py write",
        "# e1 e2 e3 H eta Zi Zj lambda1 D lambda4 W rc B gamma r0 C costheta0",
    ]
    for a in ELEMENTS:
        for b in ELEMENTS:
            pair = "-".join(sorted((a, b), key=ELEMENTS.index))
            height, eta, dipole, decay = PAIRS[pair]
            charges = f"{charge[a]:g} {charge[b]:g} {SCREENING:g}"
            two = f"{height:.8g} {eta:g} {charges} {dipole:.8g} {decay:g}"
            for c in ELEMENTS:
                strength, cosine = ANGLES.get((a, b, c), (0.0, 0.0))
                reach = 3.5 if strength else 0.0
                three = f"{strength:.8g} 1 {reach:g} 0 {cosine:.15g}"
                lines.append(f"{a} {b} {c} {two} 0 {CUTOFF:g} {three}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_embedding(path: Path, *, n_r: int = 800, n_rho: int = 1000) -> None:
    """Write F(rho) of Li and the density of S as an eam/fs file."""
    p = EMBEDDING
    r = np.linspace(0, p["cutoff"], n_r)
    rho = np.linspace(0, p["rho_max"], n_rho)
    density = np.exp(-(r - p["r1"]) / p["decay"]) * (1 - (r / p["cutoff"]) ** 2) ** 3
    energy = -p["A"] * (np.sqrt(rho + p["shift"]) - np.sqrt(p["shift"]))

    def block(values: np.ndarray) -> str:
        rows = [" ".join(f"{v:.10e}" for v in values[i : i + 5]) for i in range(0, len(values), 5)]
        return "\n".join(rows)

    none = block(np.zeros(n_r))
    lines = [
        "# Embedding of Li in the density of S; made by benchmarks/model_surface.py write",
        f"# F = -A (sqrt(rho + s) - sqrt(s)), {p}",
        "# no pair term here: it stands in core.vashishta",
        "2 Li S",
        f"{n_rho} {rho[1]:.14g} {n_r} {r[1]:.14g} {p['cutoff']}",
        *("3 6.94 0 x", block(energy), none, none),
        *("16 32.06 0 x", block(0 * rho), block(density), none),
        *(none, none, none),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Run:
    """One LAMMPS instance with the surface and a structure."""

    def __init__(self, atoms: Atoms) -> None:
        self.lammps = model_pes.open_lammps()
        self.symbols = np.array(atoms.get_chemical_symbols())
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "start.data"
            write_lammps_data(
                str(data), atoms, specorder=list(ELEMENTS), atom_style="charge", force_skew=True
            )
            masses = zip((1, 2, 3), (7.016, 30.974, 32.06), strict=True)
            self(
                *("units metal", "atom_style charge", "atom_modify map array", "box tilt large"),
                f"read_data {data}",
                *(f"mass {k} {m}" for k, m in masses),
                *model_pes.lammps_commands(ELEMENTS),
                "thermo_style custom step temp pe etotal press",
            )

    def __call__(self, *lines: str) -> None:
        """Issue LAMMPS lines."""
        for line in lines:
            self.lammps.command(line)

    def atoms(self) -> Atoms:
        """Return the present structure, unwrapped."""
        low, high, xy, yz, xz, *_ = self.lammps.extract_box()
        length = np.subtract(high, low)
        cell = np.array([[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]])
        x = np.array(self.lammps.gather_atoms("x", 1, 3)).reshape(-1, 3)
        image = np.array(self.lammps.gather_atoms("image", 0, 3)).reshape(-1, 3)
        return Atoms(self.symbols, positions=x + image @ cell, cell=cell, pbc=True)


def proxy_tensors(frames: np.ndarray, cell: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Return sum over S within 6 A of r^-5 (3 r r - r^2), (n_frames, n_li, 5)."""
    inverse, out = np.linalg.inv(cell), []
    for x in frames:
        d = x[symbols == "S"][None] - x[symbols == "Li"][:, None]
        f = d @ inverse
        d = (f - np.round(f)) @ cell
        r = np.linalg.norm(d, axis=2)
        w = np.where(r < 6, (1 - (r / 6) ** 2) ** 2, 0) / r**5
        a, b, c = d[..., 0], d[..., 1], d[..., 2]
        parts = [
            a * b,
            b * c,
            (2 * c * c - a * a - b * b) / np.sqrt(12),
            a * c,
            (a * a - b * b) / 2,
        ]
        out.append(np.stack([(w * part).sum(axis=1) for part in parts], axis=1))
    return np.array(out)


def decay(tensors: np.ndarray, *, dt_ps: float) -> dict[str, float]:
    """Fit A [b2 + (1 - b2) exp(-t/tau)] to the powder ACF from 0.5 ps to a quarter of the run."""
    n = len(tensors)
    power = np.abs(np.fft.rfft(tensors, 2 * n, axis=0)) ** 2
    acf = np.fft.irfft(power.sum(axis=(1, 2)), 2 * n)[:n] / (n - np.arange(n))
    lag = np.arange(n) * dt_ps
    use = (lag >= 0.5) & (lag <= n * dt_ps / 4)

    def model(t: np.ndarray, a: float, b2: float, log_tau: float) -> np.ndarray:
        return a * (b2 + (1 - b2) * np.exp(-t / np.exp(log_tau)))

    fits = []
    for start in (1.0, 5.0, 20.0, 80.0):
        box = ([0, 0, np.log(0.1)], [1, 1, np.log(5e3)])
        p = curve_fit(model, lag[use], acf[use] / acf[0], p0=[0.5, 0.2, np.log(start)], bounds=box)[
            0
        ]
        fits.append((((model(lag[use], *p) - acf[use] / acf[0]) ** 2).sum(), p))
    a, b2, log_tau = min(fits, key=lambda fit: fit[0])[1]
    return {"A": round(a, 3), "b2": round(b2, 3), "tau_ps": round(float(np.exp(log_tau)), 2)}


def transport(frames: np.ndarray, symbols: np.ndarray, *, dt_ps: float) -> dict[str, float]:
    """Return D of Li (m2/s, framework frame) and hops: 1 ps means that moved more than 2 A."""
    frames = frames - frames[:, symbols != "Li"].mean(axis=1, keepdims=True)
    li = frames[:, symbols == "Li"]
    lags = [len(li) // 10, len(li) // 5]
    msd = [((li[k:] - li[:-k]) ** 2).sum(axis=2).mean() for k in lags]
    window = round(1 / dt_ps)
    means = li[: len(li) // window * window].reshape(-1, window, li.shape[1], 3).mean(axis=1)
    site, hops = means[0].copy(), 0
    for now in means[1:]:
        moved = np.linalg.norm(now - site, axis=1) > 2.0
        hops += int(moved.sum())
        site[moved] = now[moved]
    p = frames[:, symbols == "P"]
    ends = np.linalg.norm(p[-window:].mean(axis=0) - p[:window].mean(axis=0), axis=1)
    return {
        "D_m2_s": float(f"{(msd[1] - msd[0]) / (6 * (lags[1] - lags[0]) * dt_ps) * 1e-8:.3g}"),
        "hops": hops,
        "hops_per_li_ps": round(hops / (li.shape[1] * len(li) * dt_ps), 5),
        "p_shift_max_A": round(float(ends.max()), 2),
    }


def measure(run: Run, *, temperature_k: float, ps: float, seed: int) -> dict[str, object]:
    """Equilibrate 5 ps, then NVE at 2 fs: drift, bonds, D, hops and tau."""
    t = temperature_k
    run(
        "timestep 0.002",
        f"velocity all create {t} {seed} mom yes",
        f"fix t all nvt temp {t} {t} 0.1",
        "run 2500",
        "unfix t",
        "fix e all nve",
        "run 0",
    )
    energy, start, every = run.lammps.get_thermo("etotal"), time.process_time(), 0.1
    frames, whole = [], True
    for k in range(int(ps / every)):
        run(f"run 50 pre {'yes' if k == 0 else 'no'} post no")
        frames.append(run.atoms().positions)
        if k % 10 == 0:
            whole &= bond_report(run.atoms(), centre="P", ligand="S", cutoff=2.9).whole
    cpu = time.process_time() - start
    run("run 0", "unfix e")
    x, cell = np.array(frames), run.atoms().cell.array
    return {
        "temperature_k": t,
        "ps": ps,
        **transport(x, run.symbols, dt_ps=every),
        **decay(proxy_tensors(x, cell, run.symbols), dt_ps=every),
        "units_whole": whole,
        "drift_meV_atom": round((run.lammps.get_thermo("etotal") - energy) / len(x[0]) * 1e3, 4),
        "cpu_us_per_atom_step": round(cpu / (len(x) * 50 * len(x[0])) * 1e6, 2),
    }


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["write", "measure"])
    parser.add_argument("phase", nargs="?", choices=["beta", "glass"], default="beta")
    parser.add_argument("--temperature", type=float, nargs="+", default=[300.0])
    parser.add_argument("--ps", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.task == "write":
        write_core(model_pes.PARAMETERS / "core.vashishta")
        write_embedding(model_pes.PARAMETERS / "embedding.eam.fs")
        return
    if options.phase == "beta":
        run = Run(build.supercell(crystals.load_crystal("beta-Li3PS4"), (1, 2, 2)))
        run("minimize 0 1e-3 500 2000")
    else:
        atoms = build.supercell(crystals.load_crystal("gamma-Li3PS4"), (2, 2, 2))
        plan, start = QuenchPlan(), time.process_time()
        run = Run(atoms)
        edge = cube_edge(atoms, density_g_cm3=plan.density_g_cm3)
        melt = None
        for line in quench_commands(plan, seed=options.seed, edge_angstrom=edge):
            run(line)
            if line == "unfix quench_deform":
                melt = run.atoms().positions
        moved = ((run.atoms().positions - melt)[run.symbols == "P"] ** 2).sum(axis=1).mean()
        report = bond_report(run.atoms(), centre="P", ligand="S", cutoff=2.9)
        order = disorder(run.atoms(), element="P")
        print(
            json.dumps(
                {
                    "seed": options.seed,
                    "cpu_s": round(time.process_time() - start, 1),
                    "msd_P_A2": round(float(moved), 1),
                    "order": round(order.order_parameter, 3),
                    "whole": report.whole,
                    "bridging": report.bridging_ligands,
                    "press_GPa": round(run.lammps.get_thermo("press") / 1e4, 2),
                }
            ),
            flush=True,
        )
    for t in options.temperature:
        result = measure(run, temperature_k=t, ps=options.ps, seed=options.seed)
        print(json.dumps({"phase": options.phase, "seed": options.seed, **result}), flush=True)


if __name__ == "__main__":
    main()
