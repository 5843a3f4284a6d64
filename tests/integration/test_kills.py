"""Every rule of a campaign is killed once while it runs, and the numbers stay what they were."""

import itertools
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import ROOT, make_environment

TABLE = yaml.safe_load((ROOT / "docs/reruns.yaml").read_text())
RULES = set(TABLE["groups"]["everything"]["rules"].split())
"""All rules of the quick campaign."""
QUICK = ["--configfile", "campaigns/quick.yaml"]
COSTS = ("cpu_s", "wall_s", "max_rss_mb", "us_per_atom_step", "ns_per_day", "pair_style_reason")
TIME_LIMIT_S = 900


def numbers(node):
    """A summary without what its jobs cost."""
    if isinstance(node, dict):
        return {key: numbers(value) for key, value in node.items() if key not in COSTS}
    return [numbers(value) for value in node] if isinstance(node, list) else node


class Campaign:
    """A clone in which Snakemake is started, and ended before it is done."""

    def __init__(self, folder: Path, snakemake: Path, environment: dict[str, str]) -> None:
        self.folder, self.snakemake, self.environment = folder, str(snakemake), environment
        self.said = folder / "said.txt"

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        # Into a file: the jobs of a killed Snakemake keep on writing.
        with open(self.said, "wb") as said:
            return subprocess.Popen(
                [self.snakemake, *args, *QUICK],
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell's background jobs do not hear Ctrl-C; those in the foreground do.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def run(self, *args: str) -> str:
        status = self.start(*args).wait(TIME_LIMIT_S)
        text = self.said.read_text()
        assert status == 0, text[-4000:]
        return text

    def running(self) -> set[str]:
        """Rules of the jobs that Snakemake has started and not seen end."""
        text = self.said.read_text(errors="replace")
        head = r"^(?:local)?(?:rule|checkpoint) (\w+):\n(?:    .*\n)*?    jobid: (\d+)$"
        ended = set(re.findall(r"^Finished jobid: (\d+)", text, re.M))
        return {rule for rule, job in re.findall(head, text, re.M) if job not in ended}

    def wait_for(self, process: subprocess.Popen[bytes], rules: set[str]) -> set[str]:
        """Wait until jobs of some of the rules run; return these rules, none at the end."""
        deadline = time.monotonic() + TIME_LIMIT_S
        while time.monotonic() < deadline:
            if found := self.running() & rules:
                return found
            if process.poll() is not None:
                assert process.returncode == 0, self.said.read_text()[-4000:]
                return set()
            time.sleep(0.02)
        raise AssertionError(f"nothing ended in {TIME_LIMIT_S} s")


def end(process: subprocess.Popen[bytes], how: str) -> None:
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif how == "kill -9 of everything":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()  # the jobs go on without Snakemake
    process.wait(120)


@pytest.fixture(scope="module")
def killed(finished_clone, tmp_path_factory) -> Campaign:
    """A campaign from nothing, each of whose rules was ended once while it ran."""
    folder = tmp_path_factory.mktemp("killed") / "hopecho"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    campaign = Campaign(folder, finished_clone / ".venv/bin/snakemake", make_environment())
    rng, left = random.Random(9), set(RULES)
    ways = itertools.cycle(["kill -9 of everything", "Ctrl-C", "kill -9 of Snakemake alone"])
    process = campaign.start("--cores", "2")
    while found := campaign.wait_for(process, left):
        time.sleep(rng.uniform(0.0, 0.4))
        left -= found | campaign.running()
        how = next(ways)
        end(process, how)
        if how != "Ctrl-C":
            campaign.run("--unlock")
        process = campaign.start("--cores", "2")
    assert left <= {"accept_potential"}  # a copy of two files may be too quick to be met
    return campaign


def test_numbers_are_those_of_an_uninterrupted_campaign(killed, finished_clone):
    mine, other = (
        json.loads((folder / "results-quick/summary.json").read_text())
        for folder in (killed.folder, finished_clone)
    )
    assert numbers(mine) == numbers(other)
    names = ("*/potential/potential.uf3", "**/segment*.h5md", "**/efg*.h5", "**/*.csv")
    compared = 0
    for pattern in names:
        for path in (finished_clone / "results-quick").glob(pattern):
            relative = path.relative_to(finished_clone)
            if relative.name != "ledger.csv":
                assert (killed.folder / relative).read_bytes() == path.read_bytes(), relative
                compared += 1
    assert compared > 30


def test_nothing_is_left_over(killed):
    assert "Nothing to be done" in killed.run("--cores", "1")
    results = killed.folder / "results-quick"
    assert not [path for path in results.rglob("*") if path.suffix in (".part", ".lock")]
    left = [path for path in (results / "scratch").rglob("*") if path.is_file()]
    assert left == []
