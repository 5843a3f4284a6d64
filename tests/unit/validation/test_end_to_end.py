"""The parts of the echo's shift: found where planted, equal where nothing differs."""

import json
import math

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.validation.end_to_end import EchoChoices, end_to_end

STRIDE_PS = 0.25
CHOICES = EchoChoices("7Li", 0.5, 0.3, "exponential", 100, (10.0,), 5.0, 3)
NOISE = 0.2


def jumps(seed, *, tau_ps, n_frames=400, n_ions=24, size=0.01):
    """Tensors that are redrawn at the rate 1/tau, and vibrate: A = 1/(1 + NOISE^2)."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(n_frames, n_ions, 5))
    kept = rng.random((n_frames, n_ions)) >= -np.expm1(-STRIDE_PS / tau_ps)
    x = drawn.copy()
    for t in range(1, n_frames):
        x[t] = np.where(kept[t][:, None], x[t - 1], drawn[t])
    return size * (x + NOISE * rng.normal(size=x.shape))


def chain(*, reference_tau=2.0, model=lambda x: x, seed=0):
    ours = [jumps(100 * seed + k, tau_ps=2.0) for k in range(4)]
    sets = {
        "ufp_model": [model(x) for x in ours],
        "ufp_exact": ours,
        "reference_exact": [jumps(100 * seed + 50 + k, tau_ps=reference_tau) for k in range(4)],
    }
    return end_to_end(sets, quench=[0, 0, 0, 0], stride_ps=STRIDE_PS, choices=CHOICES)


def test_equal_sets_are_equal_and_the_same_frames_to_the_last_digit():
    found = chain()
    record = found.record
    tau = record["sets"]["reference_exact"]["tau_sae"]
    assert tau["verdict"] == "resolved"
    assert abs(tau["value"] - 2e-3) < 4 * tau["stderr"]
    for quantity, parts in record["shifts"].items():
        same = parts["efg_model"]
        assert same["difference"]["value"] == 0.0
        assert same["equal"], quantity
        total = parts["total"]["difference"]
        assert abs(total["value"]) < 4 * total["stderr"], quantity
    assert "equal within errors" in record["statement"]
    assert set(found.curves) == set(record["sets"])
    json.dumps(record, allow_nan=False)


def test_a_potential_with_faster_ions_is_seen_and_by_how_much():
    record = chain(reference_tau=4.0).record
    parts = record["shifts"]["log_tau_sae"]
    shift = parts["ufp"]["difference"]
    assert not parts["ufp"]["equal"]
    assert abs(shift["value"] - math.log(0.5)) < 4 * shift["stderr"]
    assert parts["efg_model"]["equal"]
    assert "different: tau by" in record["statement"]


def test_an_efg_model_that_is_off_by_a_tenth_moves_sizes_and_no_decay():
    record = chain(model=lambda x: 1.1 * x).record
    size = record["shifts"]["rms_omega_q_khz"]["efg_model"]
    exact = record["sets"]["ufp_exact"]["rms_omega_q_khz"]
    assert size["difference"]["value"] == pytest.approx(0.1 * exact, rel=1e-6)
    assert not size["equal"]
    for quantity in ("log_tau_sae", "plateau_b2", "vibrational_amplitude"):
        assert record["shifts"][quantity]["efg_model"]["equal"], quantity


def test_the_pairing_makes_the_model_s_part_sharper_than_independent_runs():
    rng = np.random.default_rng(5)
    shifts = chain(model=lambda x: x + 0.001 * rng.normal(size=x.shape)).record["shifts"]
    for quantity in ("log_tau_sae", "last_lag"):
        paired = shifts[quantity]["efg_model"]["difference"]["stderr"]
        assert 0.0 < paired < 0.5 * shifts[quantity]["ufp"]["difference"]["stderr"]


def test_static_ions_have_no_decay_to_compare():
    def static(seed):
        rng = np.random.default_rng(seed)
        x = 0.01 * np.repeat(rng.normal(size=(1, 24, 5)), 200, axis=0)
        return x + 0.002 * rng.normal(size=x.shape)

    ours, other = ([static(10 * s + k) for k in range(3)] for s in range(2))
    sets = {"ufp_model": ours, "ufp_exact": ours, "reference_exact": other}
    record = end_to_end(sets, quench=[0, 0, 0], stride_ps=STRIDE_PS, choices=CHOICES).record
    assert record["shifts"]["log_tau_sae"] == {}
    assert "not compared" in record["statement"]
    assert record["shifts"]["last_lag"]["total"]["equal"]


def test_sets_that_do_not_belong_together_are_refused():
    x = [jumps(k, tau_ps=2.0) for k in range(2)]
    sets = {"ufp_model": [r[:-1] for r in x], "ufp_exact": x, "reference_exact": x}
    with pytest.raises(HopechoError, match="same frames"):
        end_to_end(sets, quench=[0, 0], stride_ps=STRIDE_PS, choices=CHOICES)
    with pytest.raises(HopechoError, match="three sets"):
        end_to_end({"ufp_exact": x}, quench=[0, 0], stride_ps=STRIDE_PS, choices=CHOICES)
