r"""The integrator's time step, tested: the same state run at constant energy with several steps.

Velocity Verlet conserves a nearby energy, so that the total energy only fluctuates, with an
amplitude that grows as the square of the step. A total energy that drifts, or fluctuations that do
not grow so, mean too long a step or forces that are no gradient of the energy.

Source: Hairer, Lubich and Wanner, Acta Numerica 12, 399 (2003).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.md import lammps_input as lines
from hopecho.md.anneal import execute, files
from hopecho.md.harvest import read_log
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.run import LammpsError, scratch_lock
from hopecho.units import BOLTZMANN_EV_K

START = "start.restart"
SAMPLE_FS = 6.0
"""Time between energies; the fastest vibrations of the energy have periods of some 25 fs."""
SIGMAS = 3.0
WINDOWS = 8
"""Parts of a run whose slopes are averaged."""
ROWS_PER_WINDOW = 20


@dataclass(frozen=True)
class StepLimits:
    """What a time step must keep to."""

    max_drift: float
    """Of the total energy, eV/atom/ps, give or take three standard errors."""
    max_rms_share: float
    """Of the rms of the total energy in the rms of the kinetic energy."""


def run_step_test(
    restart: Path,
    pair_commands: Sequence[str],
    *,
    dt_fs: Sequence[float],
    length_ps: float,
    temperature_k: float,
    n_atoms: int,
    limits: StepLimits,
    scratch: Path,
    command: str = "",
) -> dict[str, Any]:
    """Run a state at constant energy with each time step and judge the energies.

    Parameters
    ----------
    restart : Path
        An equilibrated state.
    pair_commands : sequence of str
        LAMMPS commands of the potential.
    dt_fs : sequence of float
        Time steps, fs.
    length_ps : float
        Length of each run, to the nearest whole step.
    temperature_k : float
        Temperature of the state, K; sets the guards.
    n_atoms : int
        Number of atoms.
    limits : StepLimits
        Limits of the verdicts.
    scratch : Path
        Working folder.
    command : str
        ``md.lammps.command``.

    Returns
    -------
    dict
        ``steps`` (one record for each, see `step_record`), ``exponent`` and ``exponent_stderr`` of
        rms against step, ``largest_passing_fs``, limits and length.

    Raises
    ------
    HopechoError
        When LAMMPS fails for another reason than the dynamics, or a run is too short to judge.
    """
    records = []
    for dt in sorted(dt_fs):
        try:
            table = _energies(
                restart, pair_commands, dt, length_ps, temperature_k, scratch, command
            )
        except LammpsError as error:
            if not error.physical:
                raise
            # An explosion is a verdict on the step.
            records.append(failed_record(dt, f"{error.what} ({error.got})"))
            continue
        records.append(step_record(table, dt_fs=dt, n_atoms=n_atoms, limits=limits))
    exponent, stderr = rms_exponent(records)
    return {
        "temperature_k": temperature_k,
        "length_ps": length_ps,
        "n_atoms": n_atoms,
        "max_drift_ev_atom_ps": limits.max_drift,
        "max_rms_share": limits.max_rms_share,
        "steps": records,
        "exponent": exponent,
        "exponent_stderr": stderr,
        "largest_passing_fs": largest_passing(records),
    }


def _energies(
    restart: Path,
    pair_commands: Sequence[str],
    dt_fs: float,
    length_ps: float,
    temperature_k: float,
    scratch: Path,
    command: str,
) -> dict[str, NDArray[np.float64]]:
    """Run once; thermo table without its first row, which belongs to the start."""
    steps = max(round(length_ps * 1e3 / dt_fs), 1)
    text = lines.script(
        f"time step of {dt_fs:g} fs at constant energy, {steps} steps",
        ["log run.log"],
        [
            *lines.settings(),
            f"read_restart {START}",
            *pair_commands,
            *lines.neighbours(),
            f"timestep {dt_fs * 1e-3:.10g}",
            "reset_timestep 0",
        ],
        Thermostat("nve", temperature_k).commands(seed=0),
        Limits.for_temperature(temperature_k).commands(),
        ["thermo_style custom step temp pe econserve"],
        ["thermo_modify format float %.15g", f"thermo {max(1, int(SAMPLE_FS / dt_fs + 1e-9))}"],
        [f"run {steps}", "write_restart end.restart"],
    )
    with scratch_lock(Path(scratch)) as lock:
        shutil.copyfile(restart, Path(scratch) / START)
        execute(Path(scratch), text, "end.restart", command, lock)
        table = read_log(files(Path(scratch)).log)
        shutil.rmtree(scratch)
    return {name: column[1:] for name, column in table.items()}


def step_record(
    table: Mapping[str, NDArray[np.float64]], *, dt_fs: float, n_atoms: int, limits: StepLimits
) -> dict[str, Any]:
    """Judge the energies of one run.

    Parameters
    ----------
    table : mapping
        ``step``, ``temperature`` (K) and ``conserved`` (eV), each (n_rows,).
    dt_fs : float
        Time step, fs.
    n_atoms : int
        3N - 3 degrees of freedom.
    limits : StepLimits
        Limits.

    Returns
    -------
    dict
        ``drift`` and ``drift_stderr`` (eV/atom/ps), ``rms`` and ``rms_stderr`` (eV/atom, about the
        lines through the windows), ``rms_share`` (of the kinetic energy's rms), ``temperature_k``,
        ``kelvin_per_ns`` (what the drift heats), ``verdict`` (passed | failed | undecided, when a
        drift of the limit would not be seen) and ``reasons``.

    Raises
    ------
    HopechoError
        When there are too few rows.
    """
    rows = WINDOWS * ROWS_PER_WINDOW
    if len(table["step"]) < rows:
        raise HopechoError(
            f"A run with a time step of {dt_fs:g} fs is too short to judge it",
            got=f"{len(table['step'])} energies, needed are {rows}",
            fix=f"set md.step_test.length_ps >= {(rows + 1) * max(SAMPLE_FS, dt_fs) * 1e-3:.2g}",
        )
    lines_found = window_lines(
        table["step"] * dt_fs * 1e-3, table["conserved"] / n_atoms, n_windows=WINDOWS
    )
    per_kelvin = 0.5 * (3 * n_atoms - 3) / n_atoms * BOLTZMANN_EV_K
    rms = lines_found.rms
    record: dict[str, Any] = {
        "dt_fs": dt_fs,
        "drift": lines_found.slope,
        "drift_stderr": lines_found.slope_stderr,
        "kelvin_per_ns": lines_found.slope * 1e3 / (3 * BOLTZMANN_EV_K),
        "rms": rms,
        "rms_stderr": lines_found.rms_stderr,
        "rms_share": rms / (per_kelvin * float(table["temperature"].std())),
        "temperature_k": float(table["temperature"].mean()),
    }
    return record | _verdict(record, limits)


def failed_record(dt_fs: float, reason: str) -> dict[str, Any]:
    """Record of a step with which the run did not reach its end."""
    names = ("drift", "drift_stderr", "kelvin_per_ns", "rms", "rms_stderr", "rms_share")
    empty = dict.fromkeys((*names, "temperature_k"))
    return {"dt_fs": dt_fs, **empty, "verdict": "failed", "reasons": [reason]}


def _verdict(record: Mapping[str, Any], limits: StepLimits) -> dict[str, Any]:
    """Say whether a step may be used, and why not."""
    failed, open_ = [], []
    drift, error = abs(record["drift"]), SIGMAS * record["drift_stderr"]
    if drift > limits.max_drift + error:
        said = f"{record['drift']:.2g} +- {record['drift_stderr']:.1g} eV/atom/ps"
        failed.append(f"the energy drifts by {said}, allowed are {limits.max_drift:.2g}")
    elif error > limits.max_drift:
        open_.append(
            f"the run is too short: a drift below {error:.1g} eV/atom/ps would not be seen"
        )
    if record["rms_share"] > limits.max_rms_share:
        failed.append(
            f"the energy fluctuates by {record['rms_share']:.2g} of the kinetic energy's "
            f"fluctuation, allowed are {limits.max_rms_share:.2g}"
        )
    verdict = "failed" if failed else "undecided" if open_ else "passed"
    return {"verdict": verdict, "reasons": failed or open_}


@dataclass(frozen=True)
class WindowLines:
    """Straight lines through the windows of a noisy conserved quantity."""

    slope: float
    """Mean over the windows."""
    slope_stderr: float
    rms: float
    """About the lines."""
    rms_stderr: float


def window_lines(
    time: NDArray[np.float64], values: NDArray[np.float64], *, n_windows: int
) -> WindowLines:
    """Mean slope of consecutive windows, and its error from their scatter.

    The energy of a shadow Hamiltonian wanders on all times up to the run's, and one line through
    all of it takes part of that for a drift: its block-mean error was 2 to 5 times too small for
    10 ps of Li3PS4. The slopes of windows scatter as their noise does, slow part included.

    Parameters
    ----------
    time, values : (n_rows,) arrays
        Any units.
    n_windows : int
        At least two, of at least three rows.
    """
    slopes, squares = [], []
    for t, x in zip(np.array_split(time, n_windows), np.array_split(values, n_windows)):
        t, x = t - t.mean(), x - x.mean()
        slopes.append(t @ x / (t @ t))
        squares.append(np.mean((x - slopes[-1] * t) ** 2))
    rms = float(np.sqrt(np.mean(squares)))
    root = np.sqrt(n_windows)
    return WindowLines(
        slope=float(np.mean(slopes)),
        slope_stderr=float(np.std(slopes, ddof=1) / root),
        rms=rms,
        rms_stderr=float(0.5 * np.std(squares, ddof=1) / root / rms) if rms else 0.0,
    )


def rms_exponent(records: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """Exponent p of rms proportional to dt^p, and its standard error.

    None for fewer than two steps. A line through the logarithms, each weighted by its error.
    """
    known = [r for r in records if r["rms"]]
    if len(known) < 2:
        return None, None
    x = np.log([r["dt_fs"] for r in known])
    y = np.log([r["rms"] for r in known])
    sigma = np.array([max(r["rms_stderr"] / r["rms"], 1e-6) for r in known])
    weight = sigma**-2
    x = x - np.average(x, weights=weight)
    spread = np.sum(weight * x**2)
    return float(np.sum(weight * x * y) / spread), float(spread**-0.5)


def largest_passing(records: Sequence[Mapping[str, Any]]) -> float | None:
    """The longest step that passes together with all shorter ones, fs; None if there is none."""
    best = None
    for record in sorted(records, key=lambda r: r["dt_fs"]):
        if record["verdict"] != "passed":
            break
        best = float(record["dt_fs"])
    return best
