"""Compare a compiled `uf3/fast` with LAMMPS's own `pair_style uf3` before it is used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from hopecho.io.uf3 import (
    PairSpline,
    TripletSpline,
    Uf3Potential,
    pair_keys,
    triplet_keys,
    write_uf3,
)
from hopecho.md.lammps_input import settings
from hopecho.md.potentials import quoted
from hopecho.md.run import child_environment

ELEMENTS = ("Li", "S")
TOLERANCE = 1e-9
EDGE_ANGSTROM, PER_EDGE = 9.0, 3


def disagreement(program: Path, plugin: Path, folder: Path) -> str:
    """Return what differs between the two styles on a small random structure; empty if nothing.

    Parameters
    ----------
    program : Path
        LAMMPS.
    plugin : Path
        The compiled plugin.
    folder : Path
        Scratch.
    """
    potential = folder / "check.uf3"
    write_uf3(potential, _random_potential(np.random.default_rng(1)))
    _write_data(folder / "check.data", np.random.default_rng(2))
    results = []
    for name, lines in (("stock", ["pair_style uf3 3"]), ("fast", _fast_lines(plugin))):
        script = folder / f"{name}.lmp"
        script.write_text("\n".join(_script(lines, potential, folder / f"{name}.txt")) + "\n")
        words = [str(program), "-in", str(script), "-log", "none", "-nocite"]
        try:
            done = subprocess.run(
                words, env=child_environment(), capture_output=True, text=True, timeout=120
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"LAMMPS could not be run: {error}"
        if done.returncode != 0:
            errors = [x for x in (done.stdout + done.stderr).splitlines() if "ERROR" in x]
            return (errors or [f"LAMMPS ended with {done.returncode}"])[0]
        results.append(np.loadtxt(folder / f"{name}.txt", skiprows=9))
    stock, fast = results
    scale = float(np.abs(stock).max())
    worst = float(np.abs(stock - fast).max()) / scale
    return "" if worst < TOLERANCE else f"energies and forces differ by {worst:.1e} of the largest"


def _fast_lines(plugin: Path) -> list[str]:
    return [f"plugin load {quoted(plugin)}", "pair_style uf3/fast 3"]


def _script(pair_lines: list[str], potential: Path, dump: Path) -> list[str]:
    """One step from rest; energies come from the per-atom sums, forces from both code paths."""
    return [
        *settings(),
        f"read_data {quoted(potential.with_name('check.data'))}",
        *pair_lines,
        f"pair_coeff * * {quoted(potential)} {' '.join(ELEMENTS)}",
        "neighbor 1.0 bin",
        "compute energy all pe/atom",
        "fix move all nve",
        "timestep 0.002",
        "run 20",
        f"dump all all custom 1 {quoted(dump)} id c_energy fx fy fz x y z",
        "dump_modify all sort id format float %.16g",
        "run 0",
    ]


def _random_potential(rng: np.random.Generator) -> Uf3Potential:
    """Splines with every coefficient but the trimmed ones different from zero."""

    def knots(first: float, last: float, intervals: int) -> np.ndarray:
        inner = np.linspace(first, last, intervals + 1)
        return np.concatenate([[first] * 3, inner, [last] * 3])

    pair, arm, base = knots(0.0, 5.0, 10), knots(0.8, 4.0, 4), knots(0.8, 8.0, 6)
    two, three = {}, {}
    for two_key in pair_keys(ELEMENTS):
        c = rng.normal(scale=0.1, size=len(pair) - 4)
        c[:5] += [20.0, 12.0, 6.0, 2.0, 0.5]
        c[-3:] = 0.0
        two[two_key] = PairSpline(pair, c)
    for key in triplet_keys(ELEMENTS):
        grid = rng.normal(scale=0.1, size=(len(arm) - 4, len(arm) - 4, len(base) - 4))
        grid[-3:], grid[:, -3:], grid[:, :, -3:] = 0.0, 0.0, 0.0
        grid[0], grid[:, 0], grid[:, :, 0] = 0.0, 0.0, 0.0
        if key[1] == key[2]:
            grid = (grid + grid.transpose(1, 0, 2)) / 2
        three[key] = TripletSpline(arm, arm, base, grid)
    return Uf3Potential(ELEMENTS, two, three)


def _write_data(path: Path, rng: np.random.Generator) -> None:
    """A disturbed simple cubic structure of two elements in a triclinic cell."""
    n = PER_EDGE
    cell = np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [-0.1, 0.3, 1.0]]) * EDGE_ANGSTROM
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3), axis=-1).reshape(-1, 3) / n
    positions = grid @ cell + rng.normal(scale=0.25, size=grid.shape)
    kinds = rng.integers(1, 3, len(grid))
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell
    rows = [
        f"{i} {kind} 0 {x:.16g} {y:.16g} {z:.16g}"
        for i, (kind, (x, y, z)) in enumerate(zip(kinds, positions), start=1)
    ]
    bounds = [f"0 {edge:.16g} {axis}lo {axis}hi" for axis, edge in zip("xyz", (xx, yy, zz))]
    lines = ["check", "", f"{len(grid)} atoms", "2 atom types", *bounds]
    lines += [f"{xy} {xz} {yz} xy xz yz", "", "Masses", "", "1 6.94", "2 32.06", ""]
    path.write_text("\n".join([*lines, "Atoms  # charge", "", *rows]) + "\n")
