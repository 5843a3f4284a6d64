"""What Snakemake itself costs: time to plan and to run jobs that do nothing.

``python benchmarks/overhead.py [--run 100 1000] [--plan 100 1000 10000] [--part 10000]``; the
numbers of docs/cluster.md. Every job is one of a pair (a chain of two, as a segment and its
tensors), with log and benchmark files and one string of settings, like the jobs of a campaign.
``--part`` runs the first minutes of a large workflow, as it is and with ``--scheduler-subsample``:
at each choice of a job Snakemake otherwise looks at all that are ready.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import RESULTS, machine

SNAKEFILE = """
rule all:
    input: [f"second/{{n}}" for n in range({pairs})]
rule first:
    output: "first/{{n}}"
    log: "logs/first/{{n}}"
    benchmark: "costs/first/{{n}}"
    params: settings=lambda w: f"replica={{w.n}} dt_fs=2.0"
    shell: "echo {{params.settings:q}} > {{output:q}}"
rule second:
    input: "first/{{n}}"
    output: "second/{{n}}"
    log: "logs/second/{{n}}"
    benchmark: "costs/second/{{n}}"
    params: settings=lambda w: f"replica={{w.n}} dt_fs=2.0"
    shell: "echo {{params.settings:q}} > {{output:q}}"
"""


def snakemake_s(folder: Path, *words: str) -> tuple[float, float]:
    """Wall and processor time of one call, with the jobs that it starts, s."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--quiet", "all", *words],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.perf_counter() - start, cpu - before.children_user - before.children_system


def measure(jobs: int, *words: str) -> dict[str, float]:
    """One call in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(SNAKEFILE.format(pairs=jobs // 2))
        wall_s, cpu_s = snakemake_s(Path(folder), *words)
    return {"jobs": jobs, "wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2)}


def measure_part(jobs: int, minutes: float, *words: str) -> dict[str, float | str]:
    """The first minutes of a workflow, from its first finished job on; then it is stopped."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(SNAKEFILE.format(pairs=jobs // 2))
        command = [sys.executable, "-m", "snakemake", "--quiet", "all", *words]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=folder, **silent) as child:
            while not (begun := finished(Path(folder))) and child.poll() is None:
                time.sleep(0.5)
            cpu_s, start = tree_cpu_s(child.pid), time.perf_counter()
            while time.perf_counter() - start < 60.0 * minutes and child.poll() is None:
                time.sleep(0.5)
            done, wall_s = finished(Path(folder)) - begun, time.perf_counter() - start
            cpu_s = tree_cpu_s(child.pid) - cpu_s
            child.kill()
    return {
        "jobs": jobs,
        "done": done,
        "options": " ".join(words),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "cpu_s_per_job": round(cpu_s / max(done, 1), 4),
        "jobs_per_min": round(60.0 * done / wall_s, 1),
    }


def finished(folder: Path) -> int:
    """Output files that are there."""
    return sum(1 for name in ("first", "second") for _ in folder.glob(f"{name}/*"))


def tree_cpu_s(pid: int) -> float:
    """Processor time of a process and its finished children, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def main(argv: list[str] | None = None) -> None:
    """Measure and write ``results/overhead.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--plan", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--part", type=int, nargs="*", default=[10000])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--subsample", type=int, default=100)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args(argv)
    plan = [measure(jobs, "-n") for jobs in arguments.plan]
    cores = ["--cores", str(arguments.cores)]
    run = [measure(jobs, *cores) for jobs in arguments.run]
    for row in run:
        row["jobs_per_min"] = round(60.0 * row["jobs"] / row["wall_s"], 1)
    subsample = ["--scheduler-subsample", str(arguments.subsample)]
    part = [
        measure_part(jobs, arguments.minutes, *cores, *more)
        for jobs in arguments.part
        for more in ([], subsample)
    ]
    record = {
        "work": "jobs that do nothing, in chains of two",
        "unit": "s of one call",
        "plan": plan,
        "run": run,
        "part": part,
        "cores": arguments.cores,
        "command": "python benchmarks/overhead.py",
        "machine": machine(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    (RESULTS / "overhead.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
