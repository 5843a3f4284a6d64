"""Segment files grouped by the run that their path names."""

import random

import pytest

from hopecho.errors import HopechoError
from hopecho.io.runs import group_runs


def path(quench, replica, segment, temperature=300, stem="segment", suffix="h5md"):
    return f"out/m/phases/p/quench{quench}/{temperature}K/replica{replica}/{stem}{segment}.{suffix}"


def test_runs_come_in_order_whatever_the_order_of_the_files():
    paths = [path(q, r, s) for q in (0, 2) for r in (0, 1) for s in range(12)]
    shuffled = random.Random(1).sample(paths, len(paths))
    runs = group_runs(shuffled)
    assert [(r.quench, r.replica) for r in runs] == [(0, 0), (0, 1), (2, 0), (2, 1)]
    # Segment 10 stands after segment 9, not after segment 1.
    assert [p for r in runs for p in r.paths] == paths
    assert group_runs([path(0, 0, 0, stem="efg", suffix="h5")])[0].paths[0].endswith("efg0.h5")


def test_a_gap_is_an_error():
    with pytest.raises(HopechoError, match=r"quench 1, replica 0 is missing[\s\S]*\[0, 2\]"):
        group_runs([path(0, 0, 0), path(1, 0, 0), path(1, 0, 2)])


def test_a_foreign_path_is_an_error():
    with pytest.raises(HopechoError, match=r"got: my/run\.h5md"):
        group_runs(["my/run.h5md"])


def test_two_temperatures_are_not_mixed_silently():
    with pytest.raises(HopechoError, match="two files are segment 0 of quench 0, replica 0"):
        group_runs([path(0, 0, 0), path(0, 0, 0, temperature=400)])
