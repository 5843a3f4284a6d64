"""The two-scale model of grains: limits, and the size that a measured time would need."""

import numpy as np
import pytest

from hopecho.correlation.microstructure import MODEL, Region, family, grain_time_ns, mixed_decay
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


def record(tau_ns, b2=0.1):
    fit = {"tau_ns": tau_ns or 80.0, "plateau_b2": b2, "stretch_gamma": 1.0}
    return {"tau_sae": {"value": tau_ns}, "headline_fit": "exponential",
            "fits": {"exponential": fit}}  # fmt: skip


def members(glass, crystal, d=(8e-16, (7e-16, 9e-16))):
    return family(
        record(glass), record(crystal), crystalline_shares=[0.0, 0.5], exchange_ms=[1.0, 40.0],
        diffusion={"value": d[0], "interval": list(d[1])},
    )  # fmt: skip


def test_the_members_stand_in_order_and_say_that_they_are_a_model():
    found = members(46.0, None)
    named = [(c["name"], c["crystalline_share"], c["exchange_ms"]) for c in found["curves"]]
    assert named == [
        ("glass", 0.0, None), ("glass ceramic", 0.5, 1.0), ("glass ceramic", 0.5, 40.0),
        ("polycrystal", 1.0, 1.0), ("polycrystal", 1.0, 40.0), ("single crystal", 1.0, None),
    ]  # fmt: skip
    time = np.array(found["time_ns"])
    glass, ceramic, _, poly, slow, single = (np.array(c["acf"]) for c in found["curves"])
    assert glass == pytest.approx(0.1 + 0.9 * np.exp(-time / 46.0))
    assert single == pytest.approx(np.ones_like(time))  # no decay is resolved inside
    assert poly == pytest.approx(np.exp(-time / 1e6))
    assert ceramic == pytest.approx(0.5 * (glass + poly))
    assert np.all(slow >= poly)
    assert found["model"] == MODEL
    assert found["inside"] == {"glass": "MD, fit exponential",
                               "crystal": "no decay inside: MD resolves none"}  # fmt: skip


def test_exchange_times_say_how_large_grains_would_be():
    (_, forty) = members(46.0, 20.0)["grains"]
    assert forty["radius_nm"] == pytest.approx([17.8, 17.8], abs=0.1)
    # D < 8e-16: smaller than that; no lower limit
    (_, bound) = members(46.0, 20.0, d=(None, (None, 8e-16)))["grains"]
    assert bound["radius_nm"][0] is None
    assert bound["radius_nm"][1] == pytest.approx(17.8, abs=0.1)


def test_without_a_decay_of_the_glass_there_is_no_family():
    assert members(None, 20.0)["curves"] == []
