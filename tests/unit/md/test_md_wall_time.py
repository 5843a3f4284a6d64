"""When a segment is to stop, told from rows that come at planned times."""

import logging
from datetime import datetime

import pytest

from hopecho.errors import HopechoError
from hopecho.md.wall_time import ChunkWatch, deadline


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(folder, clock, end, **changes) -> ChunkWatch:
    settings = {"first_step": 5000, "chunk_steps": 100, "done": 2, "deadline": end, "clock": clock}
    return ChunkWatch(folder / "chunk_end.lmp", **{**settings, **changes})


def play(one: ChunkWatch, clock: Clock, *, chunk_s: float, chunks: int, rows: int = 4) -> int:
    """Let chunks of equal length pass as LAMMPS would print them; returns the chunks that ran."""
    for ran in range(1, chunks + 1):
        begin = clock.now
        for k in range(rows + 1):
            clock.now = begin + chunk_s * k / rows
            one({"Step": one.first_step + 100 * (1 + ran) + 100 * k / rows})
            asked = one.control.read_text() == "quit\n"
            if k == rows - 1:
                before_its_end = asked
        if before_its_end:
            return ran
    return chunks


@pytest.mark.parametrize(
    ("end", "ran"),
    # A chunk takes 100 s: the next one may take 125 s, and up to a minute is kept.
    [(None, 8), (10_000.0, 8), (1000.0, 8), (600.0, 5), (400.0, 3), (120.0, 1), (1.0, 1)],
)
def test_the_stop_comes_before_the_last_chunk_that_still_fits(tmp_path, end, ran):
    clock = Clock()
    assert play(watch(tmp_path, clock, end), clock, chunk_s=100.0, chunks=8) == ran


def test_a_slow_start_does_not_stop_for_good(tmp_path):
    clock = Clock()
    one = watch(tmp_path, clock, 1000.0)
    clock.now = 20.0  # the first 2 % of a chunk, compilation included
    one({"Step": 5202})
    assert one.control.read_text() == "quit\n"
    clock.now = 60.0
    one({"Step": 5250})
    assert one.control.read_text().startswith("#")


def test_a_chunk_longer_than_the_limit_is_said_once(tmp_path, caplog):
    clock = Clock()
    one = watch(tmp_path, clock, 300.0)
    with caplog.at_level(logging.WARNING):
        for k in (1, 2, 3):
            clock.now = 100.0 * k
            one({"Step": 5200 + 20 * k})
    (record,) = caplog.records
    assert "a chunk takes about 8.33 min" in record.getMessage()
    assert "md.chunks_per_segment" in record.getMessage()


def test_the_earlier_of_the_own_limit_and_slurms_counts():
    assert deadline(0.0, environment={}) is None
    assert deadline(2.0, environment={}, now=1000.0) == 1120.0
    slurm = {"SLURM_JOB_END_TIME": "1060"}
    assert deadline(2.0, environment=slurm, now=1000.0) == 1060.0
    assert deadline(0.5, environment=slurm, now=1000.0) == 1030.0
    assert deadline(0.0, environment=slurm, now=1000.0) == 1060.0
    with pytest.raises(HopechoError, match="SLURM_JOB_END_TIME"):
        deadline(0.0, environment={"SLURM_JOB_END_TIME": "soon"})


def squeue(folder, monkeypatch, line: str) -> None:
    """Put a squeue on the path that prints a line."""
    program = folder / "squeue"
    program.write_text(f'#!/bin/sh\necho "{line}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_squeue_is_asked_where_slurm_does_not_give_the_end(tmp_path, monkeypatch, caplog):
    squeue(tmp_path, monkeypatch, "2026-03-01T12:00:00")
    end = datetime(2026, 3, 1, 12).timestamp()
    job = {"SLURM_JOB_ID": "42"}
    assert deadline(0.0, environment=job) == end
    assert deadline(1.0, environment=job, now=end - 90.0) == end - 30.0
    assert deadline(0.0, environment={**job, "SLURM_JOB_END_TIME": "1060"}) == 1060.0
    assert not caplog.records
    squeue(tmp_path, monkeypatch, "N/A")
    assert deadline(0.0, environment=job) is None
    assert "42" in caplog.text
    monkeypatch.setenv("PATH", "")
    assert deadline(2.0, environment=job, now=1000.0) == 1120.0
