"""A copy of the project in a temporary folder, and one finished quick campaign in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    "Snakefile", "config.yaml", "rules", "scripts", "hopecho", "schemas", "campaigns", "envs",
    "profiles", "report", "resources",
]  # fmt: skip
QUICK = "campaigns/quick.yaml"


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

    def hopecho(self, *args: str) -> str:
        """Output of the ``hopecho`` command on the quick campaign."""
        done = subprocess.run(
            [sys.executable, "-m", "hopecho", "--configfile", QUICK, *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def planned(self, *args: str, configfile: str = QUICK) -> dict[str, int]:
        """Jobs that a dry run would start, by rule; without the collecting rule `all`."""
        done = self.run("-n", *args, configfile=configfile)
        assert done.returncode == 0, done.stdout
        table = re.search(r"^job +count\n-[- ]*\n(.*?)\n\n", done.stdout + "\n\n", re.M | re.S)
        if table is None:
            assert "Nothing to be done" in done.stdout, done.stdout
            return {}
        rows = (line.split() for line in table.group(1).splitlines())
        return {name: int(count) for name, count in rows if name not in ("all", "total")}

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


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The quick campaign, run to its end once; tests must not change it."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    done = project.run("--cores", "2")
    assert done.returncode == 0, done.stdout[-6000:]
    return project


@pytest.fixture
def copy_of_finished(finished, tmp_path) -> Project:
    """A private copy of the finished campaign, time stamps and Snakemake's records included."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2, symlinks=True)
    return Project(folder)


@pytest.fixture
def project(tmp_path) -> Project:
    """A fresh checkout without results."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    return copy_project(folder)
