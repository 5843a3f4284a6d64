"""A copy of the project in a temporary folder, and one finished quick campaign in it."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    "Snakefile", "config.yaml", "rules", "scripts", "hopecho", "schemas", "campaigns", "envs",
    "profiles", "report", "resources",
]  # fmt: skip
QUICK = "campaigns/quick.yaml"


def plan_of(output: str) -> dict[str, int]:
    """Jobs that a dry run announces, by rule; without the collecting rule `all`."""
    table = re.search(r"^job +count\n-[- ]*\n(.*?)\n\n", output + "\n\n", re.M | re.S)
    if table is None:
        assert "Nothing to be done" in output, output
        return {}
    rows = (line.split() for line in table.group(1).splitlines())
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


class Project:
    """A checkout in which Snakemake is run as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results-quick"

    def command(self, *args: str, configfile: str | None = QUICK) -> list[str]:
        base = [sys.executable, "-m", "snakemake", *args]
        return [*base, "--configfile", configfile] if configfile else base

    @property
    def environment(self) -> dict[str, str]:
        drop = ("PYTHONPATH", "LD_LIBRARY_PATH")  # the Snakefile has to set them itself
        return {k: v for k, v in os.environ.items() if k not in drop}

    def run(self, *args: str, configfile: str | None = QUICK) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args, configfile=configfile),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def hopecho(self, *args: str, overlays: tuple[str, ...] = ()) -> str:
        """Output of the ``hopecho`` command on the quick campaign."""
        files = [word for name in (QUICK, *overlays) for word in ("--configfile", name)]
        done = subprocess.run(
            [sys.executable, "-m", "hopecho", *files, *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def planned(self, *args: str, configfile: str | None = QUICK) -> dict[str, int]:
        """Jobs that a dry run would start, by rule."""
        done = self.run("-n", *args, configfile=configfile)
        assert done.returncode == 0, done.stdout
        return plan_of(done.stdout)

    def dry_runs(self, cases: Iterable[tuple[str, ...]]) -> list[tuple[int, str]]:
        """Exit status and output of many dry runs: an overlay's text, then targets and options."""
        arguments = []
        for number, (text, *rest) in enumerate(cases):
            overlay = f"edit{number}.yaml"
            (self.folder / overlay).write_text(text)
            # A file without a key is no configuration for Snakemake.
            files = [QUICK, overlay] if text else [QUICK]
            arguments.append([*rest, "--configfile", *files])
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("dry_runs.py")), "2"],
            cwd=self.folder,
            env=self.environment,
            input=json.dumps(arguments),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [(status, output) for status, output in json.loads(done.stdout)]

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that must occur exactly once."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, (path, old, text.count(old))
        (self.folder / path).write_text(text.replace(old, new))


def copy_project(folder: Path) -> Project:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return Project(folder)


def copy_of(project: Project, folder: Path) -> Project:
    """Copy a campaign, time stamps and Snakemake's records included."""
    shutil.copytree(project.folder, folder, copy_function=shutil.copy2, symlinks=True)
    return Project(folder)


def pytest_collection_modifyitems(items):
    """Let tests that need no finished campaign run while another worker makes it.

    Of two workers each starts with one half of the list.
    """
    needing = [item for item in items if {"finished", "edited"} & set(item.fixturenames)]
    others = [item for item in items if item not in needing]
    half = len(items) // 2
    items[:] = [*needing[:half], *others, *needing[half:]]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> Project:
    """The quick campaign, run to its end once for all workers; tests must not change it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    folder, said = shared / "finished", shared / "finished.txt"
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            folder.mkdir()
            done = copy_project(folder).run("--cores", "2")
            said.write_text("" if done.returncode == 0 else done.stdout)
    assert said.read_text()[-6000:] == ""
    return Project(folder)


@pytest.fixture
def copy_of_finished(finished, tmp_path) -> Project:
    """A private copy of the finished campaign."""
    return copy_of(finished, tmp_path / "copy")


@pytest.fixture(scope="session")
def edited(finished, tmp_path_factory) -> Project:
    """A copy of the finished campaign for dry runs only, with files that some edits name."""
    project = copy_of(finished, tmp_path_factory.mktemp("edited") / "copy")
    material = project.results / "li3ps4"
    shutil.copy2(material / "potential/potential.uf3", project.folder / "foreign.uf3")
    shutil.copy2(material / "al/0/withheld.extxyz", project.folder / "initial.extxyz")
    shutil.copy2(material / "phases/beta/start0.extxyz", project.folder / "start.extxyz")
    shutil.copy2(material / "efg/model.npz", project.folder / "model.npz")
    for name in ("own.h5md", "own.h5"):
        (project.folder / name).write_bytes(b"")
    return project


@pytest.fixture
def project(tmp_path) -> Project:
    """A fresh checkout without results."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    return copy_project(folder)
