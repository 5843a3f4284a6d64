"""A real part of a campaign through profiles/slurm, on a Slurm of one node that this test starts.

As root, with slurm-wlm and munge installed (nothing is installed here); only what was started here
is stopped, and only a slurm.conf of this test is ever replaced.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

ETC = Path("/etc/slurm")
MARK = "# hopecho: written by tests/integration/test_slurm.py\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun")
CONFIGS = {
    "slurm.conf": """ClusterName=hopecho
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=1-0 State=UP
""",
    # No GPU is touched: files that exist stand for them.
    "gres.conf": """NodeName=localhost Name=gpu File=/dev/zero
NodeName=localhost Name=gpu File=/dev/null
""",
}
# One round, one phase, one batch of labels.
SMALL = {
    "results": "results-slurm",
    "run": {"li3ps4": ["beta"]},
    "labels": {"store": "store/slurm", "per_job": 24,
               "resources": {"cpus": 1, "mem_mb": 700, "runtime_min": 20}},
    "learning": {"phases": ["beta"], "seeds": 1, "initial_per_phase": 24, "max_rounds": 1},
    "potential": {"ridge_3b": 1.0e-4},  # stiff: the MD must be stable, not right
    "md": {"resources": {"cpus": 1, "mem_mb": 800, "runtime_min": 30, "gpus": 1}},
}  # fmt: skip
FAILING = """
rule hungry:
    output: "fed"
    resources: mem_mb=lambda wildcards, attempt: attempt * 400
    shell: "{python} -c '{eat}' && touch {{output}}"
"""
LOST = """
rule long:
    output: "fed"
    resources: mem_mb=200
    shell: "echo $SLURM_JOB_ID >> starts; sleep 20; touch {output}"
"""
EAT = "import time; kept = bytearray(500_000_000); time.sleep(8)"


def wait_for(check, what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.5)
    raise AssertionError(f"{what} not within {seconds} s")


def end_processes(folder: Path) -> None:
    """Kill what works in a folder: a lost node does not end the processes of its jobs."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in command.read_bytes():
                os.kill(int(command.parent.name), signal.SIGKILL)
        except OSError:
            continue  # ended by itself


def succeeds(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Cluster:
    """munged, slurmctld and slurmd on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen] = []
        self.before: dict[str, str | None] = {}

    def start(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        for name, text in CONFIGS.items():
            path = ETC / name
            self.before[name] = path.read_text() if path.exists() else None
            filled = text.format(host=socket.gethostname(), folder=self.folder, cpus=os.cpu_count())
            path.write_text(MARK + filled)
        if not succeeds("munge", "-n"):
            run = Path("/run/munge")
            run.mkdir(mode=0o755, exist_ok=True)
            shutil.chown(run, "munge", "munge")
            self.spawn("runuser", "-u", "munge", "--", "munged", "--foreground")
            wait_for(lambda: succeeds("munge", "-n"), "munged answers")
        self.spawn("slurmctld", "-D", "-c")
        self.spawn("slurmd", "-D", "-c", "-N", "localhost")
        idle = ("sinfo", "-h", "-o", "%T")
        wait_for(
            lambda: subprocess.run(idle, capture_output=True, text=True).stdout.strip() == "idle",
            "the node is idle",
        )

    def spawn(self, *words: str) -> None:
        with (self.folder / f"{len(self.started)}.out").open("w") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        self.started.append(process)

    def stop(self) -> None:
        if len(self.started) > 1:
            subprocess.run(["scancel", "--full", "--partition", "test"], check=False)
            time.sleep(1.0)
        for process in reversed(self.started):
            process.terminate()
        for process in reversed(self.started):
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name, text in self.before.items():
            (ETC / name).unlink(missing_ok=True) if text is None else (ETC / name).write_text(text)

    def jobs(self) -> list[dict[str, str]]:
        """Every job so far, finished ones too, in order of submission."""
        shown = subprocess.run(
            ["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True
        ).stdout
        found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines()]
        return sorted((job for job in found if "JobId" in job), key=lambda job: int(job["JobId"]))


def why_not() -> str:
    """Why no Slurm can be started here; empty if it can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        return f"needs root and {', '.join(missing) or 'nothing else'} (Debian: slurm-wlm munge)"
    for name in CONFIGS:
        path = ETC / name
        if path.exists() and not path.read_text().startswith(MARK):
            return f"{path} is not this test's: there is a cluster here already"
    if shutil.which("scontrol") and succeeds("scontrol", "ping"):
        return "a slurmctld answers already"
    return ""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def snakemake(environment):
    """Run Snakemake in a folder, as a user at a login node would."""

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    return run


def on_slurm(profile: Path) -> list[str]:
    """The profile as it is shipped; only the waits are made for a test."""
    waits = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5"]
    return ["--profile", str(profile), *waits]


def test_labels_fit_and_a_segment_of_md_run_as_jobs(cluster, clone, snakemake):
    base = yaml.safe_load((clone / "campaigns/quick.yaml").read_text())
    update_config(base, SMALL)
    (clone / "slurm.yaml").write_text(yaml.safe_dump(base))
    config, material = ["--configfile", "slurm.yaml"], "results-slurm/li3ps4"
    cluster_profile = on_slurm(clone / "profiles/slurm")

    def local(*targets: str) -> None:
        snakemake(clone, "--cores", "2", *targets, *config)

    def jobs(*targets: str) -> list[dict[str, str]]:
        """What the targets were sent as."""
        seen = len(cluster.jobs())
        snakemake(clone, *targets, *cluster_profile, *config)
        new = cluster.jobs()[seen:]
        assert {job["JobState"] for job in new} == {"COMPLETED"}
        return new

    local(f"{material}/al/0/candidates/frames.extxyz")
    (labels,) = jobs(f"{material}/al/0/candidates/labels0.json")
    assert (labels["MinMemoryNode"], labels["TimeLimit"]) == ("700M", "00:20:00")
    local(f"{material}/al/0/dataset.extxyz")
    (fit,) = jobs(f"{material}/al/0/potential.uf3")
    assert fit["MinMemoryNode"] == "4000M"

    runs = [f"{material}/phases/beta/quench0/300K/replica{r}" for r in range(2)]
    local(*(f"{run}/equilibrated.restart" for run in runs))
    segment = f"{runs[0]}/segment0.h5md"
    sent = jobs(segment, *(f"{run}/burst0.h5md" for run in runs))
    assert sorted(job["MinMemoryNode"] for job in sent) == ["1600M", "800M"]  # bursts: one group
    assert all("gpu" in job["TresPerJob"] for job in sent)
    for run in runs:
        assert (clone / run / "burst0.h5md").exists()
    assert (clone / segment).exists()


def test_a_job_over_its_memory_is_tried_again_with_more(cluster, clone, snakemake, tmp_path):
    (tmp_path / "Snakefile").write_text(FAILING.format(python=sys.executable, eat=EAT))
    seen = len(cluster.jobs())
    snakemake(tmp_path, "fed", *on_slurm(clone / "profiles/slurm"))
    first, second = cluster.jobs()[seen:]
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("400M", "800M")
    assert first["JobState"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert second["JobState"] == "COMPLETED"


def test_a_job_of_a_lost_node_is_done_again(cluster, clone, environment, tmp_path):
    (tmp_path / "Snakefile").write_text(LOST)
    starts = tmp_path / "starts"
    command = [sys.executable, "-m", "snakemake", "fed", *on_slurm(clone / "profiles/slurm")]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        wait_for(starts.exists, "the job runs", 300)
        node = ["scontrol", "update", "NodeName=localhost"]
        subprocess.run([*node, "State=DOWN", "Reason=lost"], check=True)
        time.sleep(2)
        subprocess.run([*node, "State=RESUME"], check=True)
        last = cluster.jobs()[-1]
        # Slurm waits two minutes before it starts a job again.
        succeeds("scontrol", "update", f"JobId={last['JobId']}", "StartTime=now")
        assert running.wait(timeout=600) == 0, (tmp_path / "log").read_text()[-4000:]
    end_processes(tmp_path)
    assert len(starts.read_text().split()) == 2
    assert (tmp_path / "fed").exists()
