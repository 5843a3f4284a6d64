"""What a run cost, read from LAMMPS's own logs and from the kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SECONDS_PER_DAY = 86400.0

_LOOP = re.compile(r"^Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms", re.M)
_USE = re.compile(r"^(\S+)% CPU use with", re.M)


@dataclass(frozen=True)
class RunCost:
    """Cost of the steps of a run; steps that were lost to a kill do not count."""

    wall_s: float
    """In LAMMPS's loop, s."""
    cpu_s: float
    """Of all ranks, s."""
    atom_steps: int
    ns_per_day: float
    us_per_atom_step: float
    """CPU time over atoms and steps, us."""


def run_cost(logs: Iterable[Path], *, dt_fs: float) -> RunCost | None:
    """Sum the loops of LAMMPS logs; None if they hold none.

    Parameters
    ----------
    logs : iterable of Path
        Logs of consecutive chunks.
    dt_fs : float
        Time step, fs.
    """
    wall_s = cpu_s = 0.0
    atom_steps = steps = 0
    for path in logs:
        text = path.read_text(errors="replace")
        for loop, use in zip(_LOOP.findall(text), _USE.findall(text)):
            wall, ranks, n_steps, n_atoms = float(loop[0]), int(loop[1]), int(loop[2]), int(loop[3])
            wall_s += wall
            cpu_s += wall * ranks * float(use) / 100.0
            steps += n_steps
            atom_steps += n_steps * n_atoms
    if not atom_steps or wall_s <= 0.0:
        return None
    ns_per_day = steps * dt_fs * 1e-6 / wall_s * SECONDS_PER_DAY
    return RunCost(wall_s, cpu_s, atom_steps, ns_per_day, cpu_s * 1e6 / atom_steps)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children on this machine so far, s; 0 where /proc is not."""
    ticks, queue = 0, [pid]
    while queue:
        folder = Path(f"/proc/{queue.pop()}")
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(x) for x in fields[11:15])
            children = (folder / f"task/{folder.name}/children").read_text().split()
        except (OSError, ValueError):
            continue  # it ended meanwhile
        queue += [int(child) for child in children]
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0
