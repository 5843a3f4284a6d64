"""Restartable segments that end in the same digits however often they are interrupted.

A segment is a fixed number of chunks. Every chunk starts with ``clear; read_restart``, also when
nothing failed: reading a restart file rebuilds neighbour lists and atom order, and the round-off of
that would otherwise make a resumed run drift away from an uninterrupted one. A chunk counts once
its restart file has its name, which is the last thing it does; whatever a killed chunk had written
is written again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment
from hopecho.md.cost import RunCost, run_cost
from hopecho.md.guards import GateLimits, segment_gates
from hopecho.md.harvest import Chunk, harvest, join_logs, publish_trajectory
from hopecho.md.plan import SCRIPT, SegmentPlan, segment_script
from hopecho.md.potentials import Species, lammps_frame
from hopecho.md.run import LammpsError, Progress, run_lammps, scratch_lock
from hopecho.md.wall_time import CONTROL, ChunkWatch

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentOutputs:
    """Files of a finished segment."""

    trajectory: Path
    restart: Path
    summary: Path


@dataclass(frozen=True)
class SegmentSummary:
    """What a finished segment reports."""

    content: dict[str, Any]
    """What stands in segment.json: the same however often the run was interrupted."""
    passed: bool
    resumed_at_chunk: int
    """Chunks that were already there."""
    ns_per_day: float | None
    """Speed of this process; None when only the harvest was left."""
    cost: RunCost | None
    """Of all chunks, whichever process ran them."""


def run_segment(
    plan: SegmentPlan,
    structure: Atoms,
    *,
    restart: Path,
    pair_commands: Sequence[str],
    species: Species,
    scratch: Path,
    outputs: SegmentOutputs,
    command: str = "",
    gates: GateLimits | None = None,
    about: Mapping[str, str] | None = None,
    deadline: float | None = None,
    keep_scratch: bool = False,
) -> SegmentSummary:
    """Run a segment, or the rest of it, and write its trajectory, end state and summary.

    Parameters
    ----------
    plan : SegmentPlan
        What to run.
    structure : ase.Atoms
        The structure that `equilibrate` started from: order, species and axes of the trajectory.
    restart : Path
        End state of the equilibration (segment 0) or of the segment before.
    pair_commands : sequence of str
        LAMMPS commands of the potential.
    species : Species
        Elements of the LAMMPS types.
    scratch : Path
        Folder for chunks, of this segment alone; it must outlive a failed job. Chunks of another
        plan, restart file or potential found there are discarded.
    outputs : SegmentOutputs
        Files to write, each by an atomic rename.
    command : str
        ``md.lammps.command``.
    gates : GateLimits, optional
        Limits of the gates in the summary.
    about : mapping, optional
        What else the summary is to say.
    deadline : float, optional
        When the job will be ended, s since 1970: the run stops at the end of a chunk before that.
    keep_scratch : bool
        Keep the folder after success.

    Raises
    ------
    LammpsError
        When LAMMPS stops; `physical` tells a bad potential from a killed job. Also when the run
        stopped before its deadline: called again, it goes on.
    HopechoError
        When the harvest does not verify.
    """
    scratch = Path(scratch)
    with scratch_lock(scratch) as lock:
        _prepare(plan, pair_commands, Path(restart), scratch)
        done = _finished_chunks(plan, scratch)
        started = time.monotonic()
        if done < plan.n_chunks:
            _run_chunks(plan, scratch, done, command, lock, deadline)
        wall_s = time.monotonic() - started
        chunks = [_chunk(scratch, k) for k in range(1, plan.n_chunks + 1)]
        segment = harvest(
            chunks,
            frame=lammps_frame(structure.cell.array),
            cell=structure.cell.array,
            type_numbers=species.numbers,
            numbers=structure.numbers,
            dt_fs=plan.dt_fs,
            steps=plan.steps,
        )
        content = _summary(plan, structure, segment, chunks, gates or GateLimits())
        content = {**(about or {}), **content}
        cost = run_cost([chunk.log for chunk in chunks], dt_fs=plan.dt_fs)
        _publish(plan, segment, content, scratch, outputs)
        if not keep_scratch:
            shutil.rmtree(scratch)
    fresh_ps = (plan.n_chunks - done) * plan.chunk_steps * plan.dt_fs * 1e-3
    speed = fresh_ps * 86.4 / wall_s if fresh_ps else None
    if cost is not None:
        LOG.info(
            "%s: done, %.3g ns/day, %.1f s of CPU, %.3g us an atom and step",
            *(plan.describe(), cost.ns_per_day, cost.cpu_s, cost.us_per_atom_step),
        )
    return SegmentSummary(content, content["passed"], done, speed, cost)


def _chunk(scratch: Path, k: int) -> Chunk:
    return Chunk(scratch / f"chunk{k}.dump", scratch / f"chunk{k}.log")


def _prepare(plan: SegmentPlan, pair_commands: Sequence[str], restart: Path, scratch: Path) -> None:
    """Lay out the scratch folder; keep chunks only if they come from the same input."""
    if not restart.is_file():
        raise HopechoError(
            f"There is no restart file to start {plan.describe()} from",
            got=str(restart),
            fix="run the equilibration or the segment before it",
        )
    text = segment_script(plan, pair_commands)
    identity = json.dumps(_identity(text, pair_commands, restart), indent=1)
    marker = scratch / "identity.json"
    if not marker.is_file() or marker.read_text() != identity:
        for old in [marker, *scratch.glob("chunk*")]:
            old.unlink(missing_ok=True)
        (scratch / SCRIPT).write_text(text)
        shutil.copyfile(restart, scratch / "chunk0.restart")
        _replace(marker, identity)  # last: it vouches for the rest


def _identity(text: str, pair_commands: Sequence[str], restart: Path) -> dict[str, str]:
    names = {word for line in pair_commands for word in shlex.split(line)}
    files = {name: Path(name) for name in sorted(names) if os.sep in name and Path(name).is_file()}
    hashed = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return {
        "script": hashlib.sha256(text.encode()).hexdigest(),
        "restart": hashlib.sha256(restart.read_bytes()).hexdigest(),
        **hashed,
    }


def _finished_chunks(plan: SegmentPlan, scratch: Path) -> int:
    done = 0
    while done < plan.n_chunks:
        k = done + 1
        chunk = _chunk(scratch, k)
        if not all(p.is_file() for p in (scratch / f"chunk{k}.restart", chunk.dump, chunk.log)):
            break
        done = k
    return done


def _run_chunks(
    plan: SegmentPlan, scratch: Path, done: int, command: str, lock: int, deadline: float | None
) -> None:
    ps = plan.dt_fs * 1e-3
    first_step = plan.index * plan.n_steps
    watch = ChunkWatch(scratch / CONTROL, first_step, plan.chunk_steps, done, deadline)
    progress = Progress(
        plan.describe(),
        total_ps=plan.n_steps * ps,
        done_ps=done * plan.chunk_steps * ps,
        dt_fs=plan.dt_fs,
        origin_step=first_step,
    )

    def on_row(row: Mapping[str, float]) -> None:
        progress(row)
        watch(row)

    run_lammps(
        scratch / SCRIPT,
        command=command,
        variables={"first": done + 1},
        on_row=on_row,
        on_start=progress.watch,
        inherit=[lock],
    )
    finished = _finished_chunks(plan, scratch)
    if finished == plan.n_chunks:
        return
    if finished > done:
        raise LammpsError(
            f"{plan.describe()} stopped at the end of a chunk, before its time limit",
            got=f"{finished} of {plan.n_chunks} chunks, {watch.seconds_left():.0f} s left, "
            f"the longest chunk took {watch.longest_s:.0f} s",
            fix=f"run again: it goes on from chunk {finished + 1}",
            physical=False,
        )
    raise LammpsError(
        f"LAMMPS ended well but {plan.describe()} is not complete",
        got=f"{finished} of {plan.n_chunks} chunks",
        fix="check that md.lammps.command runs LAMMPS and passes its arguments on",
        physical=False,
    )


def _summary(
    plan: SegmentPlan,
    structure: Atoms,
    segment: Segment,
    chunks: Sequence[Chunk],
    gates: GateLimits,
) -> dict[str, Any]:
    verdicts = segment_gates(
        join_logs(chunks),
        segment,
        structure=structure,
        thermostat=plan.thermostat,
        dt_fs=plan.dt_fs,
        limits=gates,
    )
    ps = plan.dt_fs * 1e-3
    return {
        "segment": plan.index,
        "replica": plan.replica,
        "seed": plan.seed,
        **asdict(plan.thermostat),
        "dt_fs": plan.dt_fs,
        "stride_ps": round(plan.stride_steps * ps, 9),
        "start_ps": round(plan.index * plan.n_steps * ps, 9),
        "length_ps": round(plan.n_steps * ps, 9),
        "n_frames": len(plan.steps),
        "n_atoms": len(structure),
        "passed": all(gate["passed"] for gate in verdicts.values()),
        "gates": verdicts,
    }


def _publish(
    plan: SegmentPlan,
    segment: Segment,
    content: dict[str, Any],
    scratch: Path,
    outputs: SegmentOutputs,
) -> None:
    for path in (outputs.trajectory, outputs.restart, outputs.summary):
        path.parent.mkdir(parents=True, exist_ok=True)
    publish_trajectory(outputs.trajectory, segment)
    end = outputs.restart.with_name(outputs.restart.name + ".part")
    shutil.copyfile(scratch / f"chunk{plan.n_chunks}.restart", end)
    os.replace(end, outputs.restart)
    _replace(outputs.summary, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)
