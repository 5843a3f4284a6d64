"""Attempts with changed settings, programs with a time limit, and what is left of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.interface import LabelFailure, Options, settings_hash
from hopecho.labels.program import Program, excerpt

ATOMS = Atoms("LiS", positions=[[0, 0, 0], [2, 0, 0]], cell=[6, 6, 6], pbc=True)


class Stubborn(BaseBackend):
    """Converges only with the mixing that a test names, for energies and for tensors."""

    code = "stubborn"
    changeable = ("scf.*", "bands")

    def __init__(self, *, energy=0.7, efg=0.7, retries=(), reason="scf_unconverged", stress=None):
        super().__init__(
            Options(dataset="d", retries=retries),
            version="1",
            source="Stubborn 1",
            identity={"a": 1},
            keywords={"scf": {"mixing": 0.7, "steps": 10}, "bands": 4},
        )
        self.needs, self.reason, self.stress, self.runs = (energy, efg), reason, stress, []

    def run_energy(self, atoms, directory, keywords, *, efg):
        self._run("energy", directory, keywords, self.needs[0])
        return Results(-1.0, np.zeros((2, 3)), self.stress)

    def run_efg(self, atoms, directory, keywords):
        self._run("efg", directory, keywords, self.needs[1])
        return np.zeros((2, 3, 3))

    def _run(self, part, directory, keywords, needed):
        self.runs.append((part, directory.parent.name, keywords["scf"]["mixing"]))
        assert keywords["scf"]["steps"] == 10
        if keywords["scf"]["mixing"] != needed:
            raise LabelFailure([self.reason], log=f"{part} at {keywords['scf']['mixing']}")


RETRIES = ({"scf": {"mixing": 0.2}}, {"scf": {"mixing": 0.1}, "bands": 8})


def test_retries_are_taken_in_turn_and_the_label_says_which(tmp_path):
    backend = Stubborn(energy=0.1, efg=0.1, retries=RETRIES)
    label = backend.compute(ATOMS, tmp_path)
    assert [run[0::2] for run in backend.runs] == [
        ("energy", 0.7),
        ("energy", 0.2),
        ("energy", 0.1),
        ("efg", 0.1),
    ]
    assert label.changes == RETRIES[1]
    assert label.stress is None
    # The key is that of the settings: a retry changes how the result is found, not what it is.
    assert label.key == Stubborn().compute(ATOMS, tmp_path).key


def test_attempts_that_failed_before_are_not_made_again(tmp_path):
    backend = Stubborn(energy=0.1, efg=0.1, retries=RETRIES)
    backend.compute(ATOMS, tmp_path, tried=[settings_hash({}), settings_hash(RETRIES[0])])
    assert [run[0::2] for run in backend.runs] == [("energy", 0.1), ("efg", 0.1)]


def test_an_energy_that_is_there_is_not_computed_again(tmp_path):
    backend = Stubborn(energy=0.7, efg=0.2, retries=RETRIES)
    label = backend.compute(ATOMS, tmp_path)
    assert [run[0] for run in backend.runs] == ["energy", "efg", "efg"]
    assert label.efg is not None


def test_the_failure_names_all_attempts_and_keeps_what_there_is(tmp_path):
    backend = Stubborn(energy=0.7, efg=-1.0, retries=RETRIES)
    with pytest.raises(LabelFailure) as caught:
        backend.compute(ATOMS, tmp_path)
    assert [a["changes"] for a in caught.value.attempts] == [{}, *RETRIES]
    assert caught.value.part == "efg"
    assert caught.value.partial.energy == -1.0
    assert caught.value.log == "efg at 0.1"


@pytest.mark.parametrize("reason", ["killed", "atom_order", "not_finite"])
def test_other_failures_are_not_tried_with_other_settings(tmp_path, reason):
    backend = Stubborn(energy=0.1, retries=RETRIES, reason=reason)
    with pytest.raises(LabelFailure):
        backend.compute(ATOMS, tmp_path)
    assert len(backend.runs) == 1


def test_a_retry_may_not_change_what_a_label_is():
    with pytest.raises(HopechoError, match=r"labels\.retries") as caught:
        Stubborn(retries=[{"scf": {"mixing": 0.2}}, {"cutoff": 300}])
    assert caught.value.got == "cutoff"


def test_results_that_cannot_be_are_failures(tmp_path):
    for stress, reason in ((np.full(6, np.nan), "not_finite"), (np.zeros(3), "stress_shape")):
        with pytest.raises(LabelFailure, match=reason):
            Stubborn(stress=stress).compute(ATOMS, tmp_path)


def python(code):
    return Program.resolve(f'{sys.executable} -c "{code}"')


def test_how_a_program_ended(tmp_path):
    assert python("print(1)").run([], tmp_path, stdout="out") == []
    assert (tmp_path / "out").read_text() == "1\n"
    assert python("raise SystemExit(3)").run([], tmp_path, stdout="out") == ["exit_code"]
    killed = python("import os; os.kill(os.getpid(), 9)")
    assert killed.run([], tmp_path, stdout="out") == ["killed"]
    # A shell or mpirun says 128 + signal.
    assert python("raise SystemExit(137)").run([], tmp_path, stdout="out") == ["killed"]
    with pytest.raises(HopechoError, match="Cannot run"):
        Program.resolve("/nowhere/castep").run([], tmp_path, stdout="out")


def test_the_time_limit_ends_all_processes(tmp_path):
    script = tmp_path / "both.py"
    script.write_text(
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    start = time.monotonic()
    program = Program.resolve(f"{sys.executable} {script}")
    assert program.run([], tmp_path, stdout="out", timeout_s=2.0) == ["wall_time"]
    assert time.monotonic() - start < 20
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        # An orphan that ended may stay as a zombie where nobody reaps it.
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(pid, 9)
        pytest.fail("the program's child outlived it")


TERMINATED = """
import sys, pathlib
from hopecho.labels.program import Program
from hopecho.script import run
def main():
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    Program.resolve(f'{sys.executable} -c "{code}"').run([], pathlib.Path('.'), stdout='out')
run(main)
"""


def test_a_terminated_job_ends_its_program(tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", TERMINATED],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    pid_file = tmp_path / "pid"
    for _ in range(400):
        if pid_file.exists() and pid_file.read_text():
            break
        time.sleep(0.05)
    pid = int(pid_file.read_text())
    job.terminate()
    assert job.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_relative_command_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tool = tmp_path / "bin" / "code.sh"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho here $1\n")
    tool.chmod(0o755)
    assert Program.resolve("bin/code.sh").output(["you"]) == "here you\n"


def test_excerpts_say_what_is_missing(tmp_path):
    (tmp_path / "a").write_text("\n".join(str(k) for k in range(100)))
    (tmp_path / "b").write_text("")
    said = excerpt(tmp_path, ["a", "b", "c"], lines=2)
    assert said == "a:\n98\n99\nb:\n(empty)\nc:\n(missing)"


def test_excerpts_keep_the_warning_far_above_the_end(tmp_path):
    lines = [f"row {k}" for k in range(500)]
    lines[7] = " *Warning* max. SCF cycles performed but system has not reached the groundstate."
    (tmp_path / "a").write_text("\n".join(lines))
    assert excerpt(tmp_path, ["a"], lines=2).splitlines()[1:] == [lines[7], "...", *lines[-2:]]
