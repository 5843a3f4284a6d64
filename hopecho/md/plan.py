"""What a segment is: its times in whole steps, and its input script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.md import lammps_input as lines
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.wall_time import CONTROL

SCRIPT = "segment.lmp"


@dataclass(frozen=True)
class SegmentPlan:
    """One segment of one replica."""

    index: int
    replica: int
    thermostat: Thermostat
    dt_fs: float
    stride_steps: int
    chunk_steps: int
    n_chunks: int
    seed: int
    limits: Limits

    @classmethod
    def from_times(
        cls,
        *,
        index: int,
        replica: int,
        thermostat: Thermostat,
        dt_fs: float,
        stride_ps: float,
        segment_ps: float,
        chunks: int,
        seed: int,
        limits: Limits | None = None,
    ) -> SegmentPlan:
        """Build a plan from times.

        Parameters
        ----------
        index, replica : int
            0-based; `replica` is used for messages.
        thermostat : Thermostat
            Ensemble and temperature.
        dt_fs, stride_ps, segment_ps : float
            Time step, time between frames (whole steps), length (whole strides).
        chunks : int
            Wished number of restarts in the segment; the nearest whole division is taken.
        seed : int
            Seed of the replica.
        limits : Limits, optional
            In-run guards; by default those of the temperature.

        Raises
        ------
        HopechoError
            When the times do not divide, or the stride is longer than the segment.
        """
        stride = lines.whole_steps(stride_ps, dt_fs, key="md.stride_ps")
        if stride_ps > segment_ps * (1 + 1e-9):
            raise HopechoError(
                "No frame would be written: the stride is longer than the run",
                got=f"md.stride_ps = {stride_ps}, md.segment_ps = {segment_ps}",
                fix=f"set md.stride_ps <= {segment_ps}",
            )
        steps = lines.whole_steps(segment_ps, dt_fs, key="md.segment_ps")
        if steps % stride:
            raise HopechoError(
                "A segment must hold whole strides",
                got=f"md.segment_ps = {segment_ps}, md.stride_ps = {stride_ps}",
                fix=f"set md.segment_ps = {-(-steps // stride) * stride * dt_fs * 1e-3:.10g}",
            )
        n_chunks = _nearest_divisor(steps // stride, chunks)
        limits = limits or Limits.for_temperature(thermostat.temperature_k)
        return cls(
            index,
            replica,
            thermostat,
            dt_fs,
            stride,
            steps // n_chunks,
            n_chunks,
            seed,
            limits,
        )

    @property
    def n_steps(self) -> int:
        """Steps of the segment."""
        return self.chunk_steps * self.n_chunks

    @property
    def steps(self) -> NDArray[np.int64]:
        """MD step of every frame, (n_frames,): after the start, up to and including the end."""
        n = self.n_steps // self.stride_steps
        return self.index * self.n_steps + self.stride_steps * np.arange(1, n + 1)

    def describe(self) -> str:
        """Return the name of the segment for messages."""
        return f"replica {self.replica} segment {self.index}"


def _nearest_divisor(n: int, wish: int) -> int:
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    return min(divisors, key=lambda d: abs(np.log(d / max(wish, 1))))


def segment_script(plan: SegmentPlan, pair_commands: Sequence[str]) -> str:
    """Return the input script; ``-var first k`` starts it at chunk k (1-based)."""
    t = plan.thermostat
    title = (
        f"{plan.describe()}: {t.ensemble}, {t.temperature_k:g} K, {plan.n_chunks} chunks of "
        f"{plan.chunk_steps} steps of {plan.dt_fs:g} fs\n"
        f"# by hand: lmp -in {SCRIPT}, after an interruption: lmp -in {SCRIPT} -var first <chunk>"
    )
    loop = [
        "variable first index 1",
        f"variable chunk loop ${{first}} {plan.n_chunks}",
        "label next_chunk",
        "variable previous equal ${chunk}-1",
        "clear",
        "log chunk${chunk}.log",
    ]
    system = [
        *lines.settings(),
        "read_restart chunk${previous}.restart",
        *pair_commands,
        *lines.neighbours(),
        f"timestep {plan.dt_fs * 1e-3:.10g}",
    ]
    run = [
        *t.commands(seed=plan.seed),
        *plan.limits.commands(),
        *lines.output(thermo_every=lines.thermo_interval(plan.stride_steps)),
        *lines.dump("chunk${chunk}.dump", every=plan.stride_steps),
        f"run {plan.chunk_steps}",
        "undump frames",
    ]
    close = [
        "write_restart chunk${chunk}.part",
        "shell mv chunk${chunk}.part chunk${chunk}.restart",
        f"include {CONTROL}",
        "next chunk",
        f"jump {SCRIPT} next_chunk",
    ]
    return lines.script(title, loop, system, run, close)
