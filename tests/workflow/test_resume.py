"""A production segment that is killed five times, or stopped by its time limit, and run again."""

import json
import os
import random
import signal
import subprocess
import time

import h5py
import numpy as np

LONG = """
md:
  segment_ps: 60.0
  chunks_per_segment: 12
  length_ps: {beta: {300: 60.0}, amorphous: {300: 60.0}}
"""
CHUNKS = 12
RUN = "li3ps4/phases/beta/quench0/300K/replica0"
SCRATCH = "scratch/li3ps4/beta/0-300K-0/segment0"


def arguments(project, text=LONG, cores="1"):
    """Arguments of snakemake for the first segment, now a longer one."""
    (project.folder / "long.yaml").write_text(text)
    target = str((project.results / RUN / "segment0.h5md").relative_to(project.folder))
    files = ["--configfile", "campaigns/quick.yaml", "long.yaml"]
    return ["--cores", cores, "--nolock", target, *files]


def contents(project):
    names = ("segment0.h5md", "segment0.restart", "segment0.json")
    return {name: (project.results / RUN / name).read_bytes() for name in names}


def kill_after(project, chunk: int, delay_s: float) -> None:
    """Start Snakemake, wait until a chunk is finished and a moment more, and kill everything."""
    process = subprocess.Popen(
        project.command(*arguments(project), configfile=None),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    restart = project.results / SCRATCH / f"chunk{chunk}.restart"
    deadline = time.monotonic() + 120
    while not restart.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay_s)
    assert process.poll() is None, "the segment was finished before it was killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_segment_killed_five_times_ends_in_the_same_bytes(copy_of_finished):
    project = copy_of_finished
    done = project.run(*arguments(project), configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    whole = contents(project)
    for name in whole:
        (project.results / RUN / name).unlink()
    rng = random.Random(5)
    for chunk in sorted(rng.sample(range(CHUNKS - 2), 5)):
        kill_after(project, chunk, delay_s=rng.uniform(0.0, 0.2))
        assert not (project.results / RUN / "segment0.json").exists()
    done = project.run(*arguments(project), configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert contents(project) == whole
    assert not (project.results / SCRATCH).exists()
    with h5py.File(project.results / RUN / "segment0.h5md") as file:
        steps = file["particles/all/position/step"][:]
    np.testing.assert_array_equal(steps, 25 * np.arange(1, 1201))  # no gap, no frame twice
    record = json.loads(whole["segment0.json"])
    assert record["pair_style"] in ("uf3", "uf3/fast")
    cost = json.loads(next(project.results.glob("logs/segment/*beta-0-300K-0-0.json")).read_text())
    assert cost["atom_steps"] == 30_000 * record["n_atoms"]  # of all attempts


def test_a_time_limit_ends_the_job_and_the_next_one_goes_on(copy_of_finished):
    project = copy_of_finished
    limited = arguments(project, LONG + "  max_wall_min: 0.0001\n")
    done = project.run(*limited, configfile=None)
    assert done.returncode != 0
    assert "stopped at the end of a chunk, before its time limit" in done.stdout
    assert "run again: it goes on from chunk" in done.stdout
    chunks = len(list((project.results / SCRATCH).glob("chunk*.restart"))) - 1
    assert 1 <= chunks < CHUNKS
    done = project.run(*limited[:2], "--retries", str(CHUNKS), *limited[2:], configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert json.loads(contents(project)["segment0.json"])["n_frames"] == 1200


def test_two_ranks_run_the_same_segment(copy_of_finished):
    """Through mpiexec, with the pair style of the campaign; round-off grows afterwards."""
    project = copy_of_finished
    with h5py.File(project.results / RUN / "segment0.h5md") as file:
        before = file["particles/all/position/value"][:10]
    ranks = '  resources: {cpus: 2}\n  lammps: {command: "mpiexec -n 2 lmp"}\n'
    text = "md:\n" + ranks
    for name in contents(project):
        (project.results / RUN / name).unlink()
    done = project.run(*arguments(project, text, cores="2"), configfile=None)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("rule segment:") == 1
    with h5py.File(project.results / RUN / "segment0.h5md") as file:
        after = file["particles/all/position/value"][:10]
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-4)
