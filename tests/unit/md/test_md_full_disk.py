"""A disk that is full while LAMMPS or the harvest writes: an error, and the next run goes on."""

import importlib.util
import resource
import signal
from pathlib import Path

import pytest

from hopecho.errors import HopechoError
from hopecho.io.h5md import read_segment
from hopecho.md.harvest import publish_trajectory

_SPEC = importlib.util.spec_from_file_location(
    "segments_of_argon", Path(__file__).with_name("test_md_segments.py")
)
argon = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(argon)
start = argon.start
# No file may grow beyond so many KiB, and no signal says so: as on a full disk, writing fails.
FULL = """bash -c 'trap "" XFSZ; ulimit -f {kib}; exec lmp "$@"' lmp"""


@pytest.mark.parametrize("kib", [2, 10])
def test_a_full_disk_under_lammps_loses_what_was_being_written(tmp_path, start, kib):
    whole, _ = argon.run(tmp_path / "whole", argon.plan(), start)
    with pytest.raises(HopechoError):
        argon.run(tmp_path / "cut", argon.plan(), start, command=FULL.format(kib=kib))
    outputs, _ = argon.run(tmp_path / "cut", argon.plan(), start)
    for a, b in (
        (whole.trajectory, outputs.trajectory),
        (whole.restart, outputs.restart),
        (whole.summary, outputs.summary),
    ):
        assert a.read_bytes() == b.read_bytes()


def test_a_full_disk_under_the_harvest_leaves_no_trajectory(tmp_path, start):
    outputs, _ = argon.run(tmp_path, argon.plan(), start)
    segment, target = read_segment(outputs.trajectory), tmp_path / "new.h5md"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(HopechoError, match=r"new\.h5md\.part.*is the disk full"):
            publish_trajectory(target, segment)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not target.exists()
    publish_trajectory(target, segment)
    assert target.read_bytes() == outputs.trajectory.read_bytes()
