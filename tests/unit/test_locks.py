"""A lock that one process holds."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError
from hopecho.locks import held

HOLDER = """
import shutil, subprocess, sys, time
from pathlib import Path
from hopecho.locks import held
path, who, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with held(path, "busy") as lock:
    if who == "child":
        subprocess.Popen(["sleep", seconds], pass_fds=[lock], stdout=subprocess.DEVNULL)
    print("held", flush=True)
    time.sleep(float(seconds))
    if who == "cleaner":
        shutil.rmtree(path.parent)
"""


def holder(path, who, seconds):
    """A process that holds the lock, or has left it to a child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), who, str(seconds)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def test_the_file_is_there_while_the_lock_is_held(tmp_path):
    path = tmp_path / "deep/lock"
    for _ in range(2):
        with held(path, "busy"):
            assert path.exists()
        assert not path.exists()


def test_who_stays_away_is_told(tmp_path):
    path = tmp_path / "lock"
    with held(path, "busy"):
        with (
            pytest.raises(HopechoError, match="somebody works") as error,
            held(path, "somebody works", wait_s=0.3),
        ):
            pass
        assert "run again" in str(error.value)
    with held(path, "busy", wait_s=0.0):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    process = holder(tmp_path / "lock", "self", 60)
    with pytest.raises(HopechoError), held(tmp_path / "lock", "busy", wait_s=0.0):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / "lock").exists()
    with held(tmp_path / "lock", "busy", wait_s=5.0):
        pass


def test_a_child_that_lives_on_is_waited_for(tmp_path):
    start = time.monotonic()
    process = holder(tmp_path / "lock", "child", 1.5)
    process.kill()
    with held(tmp_path / "lock", "busy", wait_s=10.0):
        pass
    process.communicate()
    assert time.monotonic() - start > 1.0


def test_who_waited_for_a_folder_that_is_removed_has_a_lock_of_his_own(tmp_path):
    path = tmp_path / "scratch/lock"
    process = holder(path, "cleaner", 0.5)
    with held(path, "busy", wait_s=10.0):
        process.communicate()
        assert path.exists()
        with pytest.raises(HopechoError), held(path, "busy", wait_s=0.0):
            pass
    shutil.rmtree(path.parent)
