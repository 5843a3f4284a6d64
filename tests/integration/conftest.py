"""Fresh clones; where HOPECHO_NO_SKIP is set, a skipped test is a failure."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("HOPECHO_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"


def make_environment() -> dict[str, str]:
    """The environment of a user who has not activated anything."""
    drop = ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    own = str(ROOT / ".venv")
    environment["PATH"] = os.pathsep.join(
        p for p in environment["PATH"].split(os.pathsep) if not p.startswith(own)
    )
    return environment


@pytest.fixture
def environment() -> dict[str, str]:
    """What a user's shell would pass on."""
    return make_environment()


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """A fresh clone of what is committed."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs git and a git checkout")
    folder = tmp_path_factory.mktemp("clone") / "hopecho"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def finished_clone(clone) -> Path:
    """README's first command in that clone, with the quick campaign: environment and all."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    done = subprocess.run(
        ["make", "run", "CONFIG=campaigns/quick.yaml", "CORES=2"],
        cwd=clone,
        env=make_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return clone
