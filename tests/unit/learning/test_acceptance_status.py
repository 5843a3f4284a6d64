"""The gate names every failure; the status is the same bytes for the same content."""

import json
import math

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.learning.acceptance import GateSettings, gate
from hopecho.learning.status import build_status, plain, raise_if_stopped, status_text

LIMITS = GateSettings()


def run(**changes):
    good = {
        "phase": "beta",
        "temperature": 300,
        "seed": 0,
        "passed": True,
        "reason": "",
        "temperature_sigma": -1.2,
        "min_distance": 1.9,
        "bonds_intact": True,
        "drift": 1e-6,
    }
    return good | changes


def test_all_sane_is_accepted():
    runs = [run(seed=s, temperature=t) for s in range(3) for t in (300, 600)]
    result = gate(runs, settings=LIMITS)
    assert result.accepted
    assert result.n_runs == 6
    assert result.failures == ()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"passed": False, "reason": "pair below 0.8 A at 1.3 ps"}, "pair below 0.8 A at 1.3 ps"),
        ({"passed": False, "reason": None}, "stopped by its guards"),
        ({"temperature_sigma": -7.5}, "7.5 sigma"),
        ({"temperature_sigma": math.nan}, "temperature_sigma is not finite"),
        ({"temperature_sigma": None}, "temperature_sigma was not measured"),
        ({"min_distance": 0.9}, "0.90 A"),
        ({"bonds_intact": False}, "bonds"),
        ({"bonds_intact": np.bool_(False)}, "bonds"),
        ({"drift": -3e-3}, "drifts"),
        ({"drift": math.inf}, "drift is not finite"),
    ],
)
def test_one_bad_run_among_many_rejects_and_is_named(fault, text):
    runs = [run(seed=0), run(seed=1, phase="amorphous", **fault), run(seed=2)]
    result = gate(runs, settings=LIMITS)
    assert not result.accepted
    assert len(result.failures) == 1
    assert result.failures[0].startswith("amorphous at 300 K, seed 1: ")
    assert text in result.message


def test_unchecked_bonds_and_drift_are_allowed():
    assert gate([run(bonds_intact=None, drift=None)], settings=LIMITS).accepted


def test_missing_runs_and_no_runs_are_failures():
    required = [("beta", 300, 0), ("beta", 600, 0)]
    result = gate([run()], settings=LIMITS, required=required)
    assert result.failures == ("beta at 600 K, seed 0: did not run",)
    assert not gate([], settings=LIMITS).accepted
    assert len(gate([], settings=LIMITS, required=required).failures) == 2


def test_order_of_runs_does_not_matter():
    runs = [run(seed=s, min_distance=0.5 + 0.1 * s) for s in range(4)]
    assert gate(runs, settings=LIMITS) == gate(runs[::-1], settings=LIMITS)


def convergence(*, converged, exhausted):
    unmet = [] if converged else [{"name": "change/audit/beta/rmse_energy", "value": -0.4}]
    for u in unmet:
        u |= {"limit": 0.1, "text": "audit/beta/rmse_energy: changed by -40.0%"}
    return {
        "round": 4,
        "converged": converged,
        "exhausted": exhausted,
        "settled_rounds": 0,
        "errors": {"audit": {"beta": {"rmse_energy": 0.1 + 0.2}}},
        "unmet": unmet,
        "message": "round 4",
    }


@pytest.mark.parametrize("converged", [True, False])
@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("exhausted", [True, False])
@pytest.mark.parametrize("lenient", [True, False])
def test_state_of_every_combination(converged, stable, exhausted, lenient):
    status = build_status(
        convergence(converged=converged, exhausted=exhausted),
        gate([run(min_distance=2.0 if stable else 0.4)], settings=LIMITS),
        accept_unconverged=lenient,
        n_training=40,
        n_selected=8,
    )
    assert status["accepted"] == (stable and (converged or (exhausted and lenient)))
    if status["accepted"]:
        assert status["state"] == "accepted"
    else:
        assert status["state"] == ("stopped" if exhausted else "continue")
    assert bool(status["unmet"]) == (not converged or not stable)
    if status["state"] != "stopped":
        raise_if_stopped(status)
        return
    with pytest.raises(HopechoError) as error:
        raise_if_stopped(status)
    message = str(error.value)
    assert ("accept_unconverged: true" in message) == stable
    assert ("rmse_energy: changed by -40.0%" in message) == (not converged)
    assert ("0.40 A" in message) == (not stable)


def test_bytes_depend_on_content_only():
    a = {"b": 0.1 + 0.2, "a": [np.float64(1.0), np.int64(2), np.bool_(True)], "c": None}
    b = {"c": None, "a": [1.0, 2, True], "b": 0.3}
    assert status_text(a) == status_text(b)
    assert json.loads(status_text(a)) == b


@pytest.mark.parametrize("bad", [math.nan, math.inf, {1, 2}])
def test_what_json_cannot_hold_is_refused(bad):
    with pytest.raises(HopechoError):
        plain({"x": [bad]})
