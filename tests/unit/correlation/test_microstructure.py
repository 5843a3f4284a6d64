"""The two-scale model of grains: limits, and the size that a measured time would need."""

import numpy as np
import pytest

from hopecho.correlation.microstructure import Region, grain_time_ns, mixed_decay
from hopecho.errors import HopechoError


def test_forty_milliseconds_are_a_grain_of_eighteen_nanometres():
    assert grain_time_ns(17.8e-9, 8e-16) * 1e-6 == pytest.approx(40.0, rel=0.01)


def test_the_family_runs_from_a_glass_to_a_single_crystal():
    t = np.geomspace(1.0, 1e9, 40)
    crystal = Region(1.0, 1000.0, 0.6)
    single = mixed_decay([crystal], t)
    assert single[-1] == pytest.approx(0.6)
    grains = mixed_decay([Region(1.0, 1000.0, 0.6, grain_ns=4e7)], t)
    assert grains[-1] == pytest.approx(0.0, abs=1e-6)
    glass = mixed_decay([Region(1.0, 46.0, 0.0)], t)
    assert glass == pytest.approx(np.exp(-t / 46.0))
    ceramic = mixed_decay([Region(0.5, 46.0, 0.0), Region(0.5, 1000.0, 0.6, grain_ns=4e7)], t)
    assert ceramic == pytest.approx(0.5 * (glass + grains))
    assert np.all(np.diff(ceramic) <= 0)


def test_shares_must_add_up():
    with pytest.raises(HopechoError, match="add up to 1"):
        mixed_decay([Region(0.5, 1.0, 0.2)], [1.0])
    with pytest.raises(HopechoError, match="between 0 and 1"):
        mixed_decay([Region(1.0, 1.0, 1.2)], [1.0])
