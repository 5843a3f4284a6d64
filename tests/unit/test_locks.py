"""A file that one process holds."""

import os
import subprocess
import sys
import time

import pytest

from hopecho.config import PROJECT_ROOT
from hopecho.errors import HopechoError
from hopecho.locks import hold

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from hopecho.locks import hold
lock = hold(Path(sys.argv[1]), "busy")
if sys.argv[2] == "child":
    subprocess.Popen(["sleep", sys.argv[3]], pass_fds=[lock], stdout=subprocess.DEVNULL)
print("held", flush=True)
if sys.argv[2] == "self":
    time.sleep(float(sys.argv[3]))
"""


def holder(path, who, seconds):
    """A process that holds the lock, or has left it to a child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), who, str(seconds)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def test_contents_stay_and_the_lock_ends_with_its_descriptor(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("said\n")
    for _ in range(2):
        os.close(hold(path, "busy"))
    assert path.read_text() == "said\n"


def test_who_stays_away_is_told(tmp_path):
    path = tmp_path / "a.log"
    first = hold(path, "busy")
    with pytest.raises(HopechoError, match="somebody works") as error:
        hold(path, "somebody works", wait_s=0.3)
    assert "run again" in str(error.value)
    os.close(first)
    os.close(hold(path, "busy", wait_s=0.0))


def test_a_killed_process_holds_nothing(tmp_path):
    process = holder(tmp_path / "lock", "self", 60)
    with pytest.raises(HopechoError):
        hold(tmp_path / "lock", "busy", wait_s=0.0)
    process.kill()
    process.communicate()
    os.close(hold(tmp_path / "lock", "busy", wait_s=5.0))


def test_a_child_that_lives_on_is_waited_for(tmp_path):
    start = time.monotonic()
    process = holder(tmp_path / "lock", "child", 1.0)
    process.communicate()
    os.close(hold(tmp_path / "lock", "busy", wait_s=10.0))
    assert time.monotonic() - start > 0.9
