"""The ultra-fast potential beside a Gaussian approximation potential: errors, cost, short runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.bussi import Bussi
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from hopecho.dynamics.msd import msd_by_element
from hopecho.dynamics.rdf import Rdf, rdf
from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential, write_uf3
from hopecho.labels.model_pes import open_lammps
from hopecho.md.guards import conserved_drift
from hopecho.md.lammps_input import SETTLE_SHARE, from_structure, velocities, whole_steps
from hopecho.md.potentials import Species, uf3_commands, write_data
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.errors import prediction_metrics
from hopecho.ufp.evaluate import Prediction, evaluate, pack
from hopecho.ufp.features import LabelledFrame
from hopecho.validation.gap import bare, read_gap

Array = NDArray[np.float64]
Curves = list[tuple[str, str, str, float, float]]

GR_BINS = 80


class UfpCalculator(Calculator):
    """The ultra-fast potential for ASE, so that one integrator drives both potentials."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]  # type: ignore[misc]

    def __init__(self, potential: Uf3Potential) -> None:
        super().__init__()
        self._packed = pack(potential)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill the results; all of them, as they cost little more than one."""
        super().calculate(atoms, properties, system_changes)
        energy, forces, stress = evaluate(self._packed, self.atoms)
        self.results = {"energy": energy, "forces": forces, "stress": stress}


def predict(calculator: Calculator, atoms: Atoms) -> Prediction:
    """Return energy, forces and stress of a periodic structure."""
    calculator.calculate(bare(atoms), ["energy", "forces", "stress"], list(all_changes))
    found = calculator.results
    return Prediction(float(found["energy"]), np.array(found["forces"]), np.array(found["stress"]))


def heldout_metrics(calculator: Calculator, frames: Sequence[LabelledFrame]) -> dict[str, float]:
    """Return the metrics of `hopecho.ufp.errors.error_metrics` for any calculator."""
    return prediction_metrics(lambda atoms: predict(calculator, atoms), frames)


@dataclass(frozen=True)
class RunSettings:
    """Short MD at constant energy that both potentials run from the same start and velocities."""

    temperature_k: float = 300.0
    dt_fs: float = 2.0
    md_ps: float = 1.0
    """Length of a run, after a quarter of it more in which a fast thermostat settles it."""
    stride_ps: float = 0.01
    """Distance of the frames that are kept."""
    runs: int = 2
    """Runs of each potential, each with velocities of its own."""
    seed: int = 1

    @property
    def steps(self) -> tuple[int, int]:
        """Steps of a run and between its frames."""
        steps = whole_steps(self.md_ps, self.dt_fs, key="gap.md_ps")
        stride = whole_steps(self.stride_ps, self.dt_fs, key="gap.stride_ps")
        if self.runs < 1 or steps < 20 * stride:
            raise HopechoError(
                "The runs that compare the potentials need 20 frames",
                got=f"{steps // stride} frames in each of {self.runs} run(s)",
                fix="raise gap.md_ps or gap.runs",
            )
        return steps, stride


@dataclass(frozen=True, eq=False)
class MdRun:
    """One short run."""

    seed: int
    positions: Array
    """(n_frames, n_atoms, 3), A, unwrapped, at constant energy."""
    temperature_k: float
    drift_ev_atom_ps: float
    reason: str
    """Why it stopped early; empty when it did not."""


def short_md(calculator: Calculator, start: Atoms, settings: RunSettings, *, seed: int) -> MdRun:
    """Settle with stochastic velocity rescaling, then run at constant energy.

    Source: Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).
    """
    steps, stride = settings.steps
    t, dt = settings.temperature_k, settings.dt_fs * units.fs
    atoms, rng = bare(start), np.random.default_rng([settings.seed, seed])
    atoms.calc = calculator
    mass = atoms.get_masses()[:, None]
    velocity = rng.standard_normal((len(atoms), 3)) * np.sqrt(units.kB * t / mass)
    atoms.set_velocities(velocity - (mass * velocity).sum(axis=0) / mass.sum())
    Bussi(atoms, dt, t, 100 * units.fs, rng=rng).run(int(SETTLE_SHARE * steps))
    motion = VelocityVerlet(atoms, dt)
    frames, kinetic, total, reason = [atoms.positions.copy()], [], [], ""
    for _ in range(steps // stride):
        motion.run(stride)
        now = atoms.get_temperature()
        if not now < 3 * t + 500:  # a temperature that is not a number, too
            reason = f"{now:.4g} K after {len(frames) * stride * settings.dt_fs * 1e-3:g} ps"
            break
        frames.append(atoms.positions.copy())
        kinetic.append(now)
        total.append(atoms.get_total_energy())
    time_ps = np.arange(len(total), dtype=np.float64) * settings.stride_ps
    energies = np.array(total, dtype=np.float64)
    drift = conserved_drift(time_ps, energies, n_atoms=len(atoms)).slope if total else 0.0
    mean = float(np.mean(kinetic)) if kinetic else 0.0
    return MdRun(seed, np.array(frames), mean, drift, reason)


def gr_distance(a: Rdf, b: Rdf, pair: str) -> float:
    r"""Half of :math:`\int |g_a - g_b| r^2 dr` over the mean of :math:`\int g r^2 dr`.

    The share of neighbours that stand at another distance: 0 the same, 1 nothing in common.
    """
    first, second = a.g[pair] * a.r**2, b.g[pair] * b.r**2
    whole = float(np.sum(first + second))
    return float(np.sum(np.abs(first - second))) / whole if whole > 0 else 0.0


def _structure(runs: Mapping[str, Sequence[MdRun]], start: Atoms) -> tuple[dict[str, Any], Curves]:
    """g(r) of both potentials, and their distance beside that of two runs of one potential."""
    cell, numbers = start.cell.array, start.numbers
    each = {
        k: [rdf(r.positions, numbers, cell, n_bins=GR_BINS) for r in v] for k, v in runs.items()
    }
    record, curves = {}, []
    for pair in each["ufp"][0].g:
        seen = any(g.g[pair].any() for found in each.values() for g in found)
        if not seen or pair.split("-") != sorted(pair.split("-")):
            continue  # out of reach; A-B and B-A are the same
        apart = [gr_distance(a, b, pair) for a in each["ufp"] for b in each["gap"]]
        same = [gr_distance(a, b, pair) for v in each.values() for a, b in combinations(v, 2)]
        record[pair] = {"distance": float(np.mean(apart))}
        if same:
            record[pair]["distance_of_runs_of_one_potential"] = float(np.mean(same))
        for name, found in each.items():
            mean = np.mean([g.g[pair] for g in found], axis=0)
            curves += [("g", pair, name, r, y) for r, y in zip(found[0].r, mean)]
    return record, curves


def _mobility(
    runs: Mapping[str, Sequence[MdRun]], start: Atoms, stride_ps: float
) -> tuple[dict[str, Any], Curves]:
    """MSD of every element of both potentials, with errors (1 sigma) from blocks of the runs."""
    record: dict[str, Any] = {}
    curves: Curves = []
    for name, own in runs.items():
        found = msd_by_element(
            [r.positions for r in own],
            numbers=start.numbers,
            stride_ps=stride_ps,
            max_lag_fraction=0.4,
            n_segments=2,
        )
        for element, c in found.items():
            values = {"msd_a2": float(c.msd[-1]), "msd_err_a2": float(c.msd_err[-1])}
            record.setdefault(element, {"lag_ps": float(c.lag_ps[-1])})[name] = values
            curves += [("msd", element, name, t, y) for t, y in zip(c.lag_ps, c.msd)]
    return record, curves


def dynamics(
    calculators: Mapping[str, Calculator], start: Atoms, settings: RunSettings
) -> tuple[dict[str, Any], Curves]:
    """Run ``ufp`` and ``gap`` from the same start; g(r), MSD and energy drift side by side.

    Returns
    -------
    record : dict
        ``runs`` of each potential (seed, temperature_k, drift_ev_atom_ps, reason), ``rdf`` of each
        pair, ``msd`` of each element; the last two from the runs that reached their end, and empty
        when one of the potentials has none.
    curves : list of (curve, of, potential, x, y)
        ``g`` over r (A), ``msd`` (A^2) over lag (ps).
    """
    runs = {
        name: [short_md(c, start, settings, seed=k) for k in range(1, settings.runs + 1)]
        for name, c in calculators.items()
    }
    record: dict[str, Any] = {"start": str(start.symbols), "n_atoms": len(start), "rdf": {}}
    record |= {"temperature_k": settings.temperature_k, "md_ps": settings.md_ps, "msd": {}}
    record["runs"] = {
        k: [{n: x for n, x in vars(r).items() if n != "positions"} for r in v]
        for k, v in runs.items()
    }
    ended = {name: [r for r in own if not r.reason] for name, own in runs.items()}
    if not all(ended.values()):
        return record, []
    record["rdf"], structure = _structure(ended, start)
    record["msd"], mobility = _mobility(ended, start, settings.stride_ps)
    return record, structure + mobility


def force_seconds(calculator: Calculator, atoms: Atoms, *, repeats: int = 3) -> float:
    """Smallest processor time of a force call per atom, s, after a first one."""
    moved, times = bare(atoms), []
    for _ in range(repeats + 1):
        moved.positions += 1e-4  # a calculator keeps the results of a structure that it knows
        begun = time.process_time()
        calculator.calculate(moved, ["energy", "forces"], list(all_changes))
        times.append(time.process_time() - begun)
    return min(times[1:]) / len(atoms)


def lammps_seconds(
    potential: Uf3Potential,
    atoms: Atoms,
    *,
    temperature_k: float = 300.0,
    plugin: Path | None = None,
    steps: int = 200,
) -> float:
    """Processor time of an MD step of one atom in LAMMPS, s; three times `steps`, the best."""
    lammps, times = open_lammps(), []
    try:
        with tempfile.TemporaryDirectory() as folder:
            path, data = Path(folder) / "potential.uf3", Path(folder) / "start.data"
            write_uf3(path, potential)
            write_data(data, atoms, Species.of(potential.elements))
            pair = uf3_commands(path, potential.elements, plugin=plugin)
            lammps.commands_list(from_structure(str(data), pair, dt_fs=2.0))
            lammps.commands_list(velocities(temperature_k, seed=1))
            lammps.commands_list(["fix integrate all nve", "run 10 post no"])
            for _ in range(3):
                begun = time.process_time()
                lammps.command(f"run {steps} post no")
                times.append(time.process_time() - begun)
    finally:
        lammps.close()
    # A run needs one force evaluation more than it has steps.
    return min(times) / (len(atoms) * (steps + 1))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Tables, and the curves behind them."""

    record: dict[str, Any]
    """``errors`` of each phase, ``cost`` (s per atom-step), ``dynamics``."""
    curves: pd.DataFrame
    """Columns curve, of, potential, x, y; see `dynamics`."""


def compare(
    ufp: Uf3Potential,
    gap: Path | str,
    heldout: Sequence[Atoms],
    *,
    start: Atoms,
    settings: RunSettings | None = None,
    others: Mapping[str, Uf3Potential] | None = None,
    plugin: Path | None = None,
) -> Comparison:
    """Compare both potentials: errors on the same frames, cost on one core, short MD.

    Parameters
    ----------
    ufp : Uf3Potential
        With its one-body energies.
    gap : Path
        From `fit_gap`.
    heldout : sequence of Atoms
        Labelled; errors are given for each info ``phase`` and for ``all``.
    start : Atoms
        Near equilibrium; the cost is measured here, the runs start here.
    settings : RunSettings, optional
    others : mapping, optional
        Further potentials whose errors are given.
    plugin : Path, optional
        Compiled ``uf3/fast``; its cost is that of the ultra-fast potential.

    Raises
    ------
    HopechoError
        Without held-out frames, or as `read_gap`.
    """
    if not heldout:
        raise HopechoError("no held-out frame to compare on", fix="look at heldout.runs")
    settings = settings or RunSettings()
    both: dict[str, Calculator] = {"ufp": UfpCalculator(ufp), "gap": read_gap(gap)}
    every = both | {name: UfpCalculator(p) for name, p in (others or {}).items()}
    frames = labelled_frames(heldout)
    groups: dict[str, list[LabelledFrame]] = {"all": frames}
    for atoms, frame in zip(heldout, frames, strict=True):
        groups.setdefault(str(atoms.info.get("phase", "unnamed")), []).append(frame)
    cost = {
        "n_atoms": len(start),
        "ufp_lammps_s": lammps_seconds(
            ufp, start, temperature_k=settings.temperature_k, plugin=plugin
        ),
        "ufp_python_s": force_seconds(both["ufp"], start),
        "gap_quippy_s": force_seconds(both["gap"], start),
    }
    motion, curves = dynamics(both, start, settings)
    record = {
        "errors": {
            group: {name: heldout_metrics(c, own) for name, c in every.items()}
            for group, own in groups.items()
        },
        "cost": cost | {"gap_over_ufp": cost["gap_quippy_s"] / cost["ufp_lammps_s"]},
        "dynamics": motion,
    }
    return Comparison(record, pd.DataFrame(curves, columns=["curve", "of", "potential", "x", "y"]))
