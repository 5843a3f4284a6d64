"""Convergence: improving rounds go on, settled ones stop, noise is called noise."""

import json

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.learning.convergence import ConvergenceSettings, decide, relative_change
from hopecho.learning.samples import ErrorSample, RoundErrors, metric

PHASES = ("amorphous", "beta")


def sample(rng, *, energy=0.003, force=0.1, n=40, phases=PHASES, ids="audit", scatter=0.1):
    """Draw errors of a known law: energy N(0, `energy`), force error `force` of the true force."""
    total = n * len(phases)
    spread = rng.lognormal(0.0, scatter, size=total)
    return ErrorSample(
        ids=tuple(f"{ids}{i}" for i in range(total)),
        phases=tuple(p for p in phases for _ in range(n)),
        n_atoms=np.full(total, 128.0),
        energy_error=energy * rng.normal(size=total),
        force_error2=(force * spread) ** 2,
        force_true2=np.ones(total),
    )


def history(forces, *, energies=None, seed=0, n=40):
    rng = np.random.default_rng(seed)
    energies = energies or [0.003] * len(forces)
    return [
        RoundErrors(round=i, samples={"audit": sample(rng, energy=e, force=f, n=n, ids=f"r{i}-")})
        for i, (f, e) in enumerate(zip(forces, energies, strict=True))
    ]


DEFAULT = ConvergenceSettings()


def test_metrics_of_known_errors():
    s = ErrorSample(
        ids=("a", "b"),
        phases=("x", "x"),
        n_atoms=np.array([1.0, 3.0]),
        energy_error=np.array([3e-3, -4e-3]),
        force_error2=np.array([0.04, 0.0]),
        force_true2=np.array([1.0, 1.0]),
    )
    rows = np.arange(2)
    assert metric(s, "rmse_energy", rows) == pytest.approx(np.sqrt(12.5e-6))
    assert metric(s, "force_relative", rows) == pytest.approx(0.1)  # sqrt(0.04 / 4)
    assert ErrorSample.from_dict(json.loads(json.dumps(s.to_dict()))).to_dict() == s.to_dict()


def test_improving_rounds_do_not_converge_and_settled_ones_do():
    improving = decide(history([0.4, 0.3, 0.2, 0.12]), settings=DEFAULT)
    assert not improving["converged"]
    assert any("force_relative" in u["name"] for u in improving["unmet"])
    settled = decide(history([0.4, 0.2, 0.121, 0.12, 0.119]), settings=DEFAULT)
    assert settled["converged"]
    assert settled["unmet"] == []
    assert settled["settled_rounds"] == 2


def test_patience_counts_rounds_in_a_row():
    two = decide(history([0.4, 0.12, 0.12]), settings=DEFAULT)
    assert not two["converged"]
    assert two["settled_rounds"] == 1
    single = ConvergenceSettings(patience=1)
    assert decide(history([0.4, 0.12, 0.12]), settings=single)["converged"]
    assert not decide(history([0.12]), settings=single)["converged"]


def test_a_worsening_error_is_not_convergence():
    assert not decide(history([0.12, 0.12, 0.12, 0.2]), settings=DEFAULT)["converged"]


def test_one_phase_alone_can_hold_the_loop():
    rng = np.random.default_rng(3)
    rounds = []
    for i, amorphous in enumerate([0.3, 0.2, 0.12]):
        parts = [
            sample(rng, force=f, phases=(p,), ids=f"{i}{p}")
            for p, f in (("beta", 0.1), ("amorphous", amorphous))
        ]
        d = [p.to_dict() for p in parts]
        merged = {k: d[0][k] + d[1][k] for k in d[0]}
        rounds.append(RoundErrors(round=i, samples={"audit": ErrorSample.from_dict(merged)}))
    unmet = decide(rounds, settings=ConvergenceSettings(patience=1))["unmet"]
    assert [u["name"] for u in unmet] == ["change/audit/amorphous/force_relative"]


def test_targets_are_needed_besides_and_can_stand_alone():
    rounds = history([0.12, 0.12, 0.12])
    tight = decide(rounds, settings=ConvergenceSettings(targets={"force_relative": 0.05}))
    names = [u["name"] for u in tight["unmet"]]
    assert names == [f"target/audit/{p}/force_relative" for p in PHASES]
    assert all(u["value"] > u["limit"] == 0.05 for u in tight["unmet"])
    alone = ConvergenceSettings(patience=0, targets={"force_relative": 0.2})
    assert decide(rounds[:1], settings=alone)["converged"]


def test_bootstrap_noise_is_the_true_scatter():
    """The standard error of the change against the scatter over independent repetitions."""
    values, noises = [], []
    for seed in range(150):
        a, b = (h.samples["audit"] for h in history([0.1, 0.1], seed=seed, n=30))
        change = relative_change(
            a, b, "rmse_energy", phase="beta", n_bootstrap=200, rng=np.random.default_rng(seed)
        )
        values.append(np.log1p(change.value))
        noises.append(change.noise)
    # Theory: relative error of an rms of n Gaussians 1/sqrt(2 n), two of them in quadrature.
    assert np.std(values) == pytest.approx(np.sqrt(2 / 60), rel=0.15)
    assert np.mean(noises) == pytest.approx(np.std(values), rel=0.15)


def test_unchanged_errors_pass_at_about_the_stated_confidence():
    settings = ConvergenceSettings(patience=1, tolerance=0.0, n_bootstrap=150)
    passed = sum(
        decide(history([0.1, 0.1], seed=s), settings=settings)["converged"] for s in range(150)
    )
    assert 0.87 <= passed / 150 <= 0.99


def test_same_structures_see_a_change_that_different_ones_cannot():
    rng = np.random.default_rng(5)
    a = sample(rng, n=12, phases=("beta",), scatter=1.0)
    d = a.to_dict() | {"force_error2": (a.force_error2 * 0.81).tolist()}
    better = ErrorSample.from_dict(d)
    other = ErrorSample.from_dict(d | {"ids": [f"new{i}" for i in range(12)]})
    kwargs = {"phase": "beta", "n_bootstrap": 300}
    paired = relative_change(a, better, "force_relative", rng=np.random.default_rng(1), **kwargs)
    free = relative_change(a, other, "force_relative", rng=np.random.default_rng(1), **kwargs)
    assert paired.value == pytest.approx(-0.1)
    assert paired.noise < 1e-10 < 0.1 < free.noise


def test_few_or_missing_structures_are_unmet_not_converged():
    noisy = decide(history([0.1, 0.1, 0.1], n=3), settings=ConvergenceSettings(max_noise=0.1))
    assert any(u["name"].startswith("noise/") for u in noisy["unmet"])
    one = decide(history([0.1, 0.1, 0.1], n=1), settings=DEFAULT)
    assert [u["name"] for u in one["unmet"]] == ["count/audit/amorphous", "count/audit/beta"]
    assert "learning.audit_per_phase" in one["message"]


def test_ideal_crystal_without_forces_gives_numbers():
    s = sample(np.random.default_rng(0), n=3, phases=("beta",)).to_dict()
    s |= {"force_true2": [0.0] * 3, "energy_error": [0.0] * 3}
    rounds = [RoundErrors(i, {"audit": ErrorSample.from_dict(s)}) for i in range(3)]
    json.dumps(decide(rounds, settings=DEFAULT), allow_nan=False)


def test_deterministic_plain_json_and_exhaustion():
    settings = ConvergenceSettings(max_rounds=3)
    a, b = (json.dumps(decide(history([0.3, 0.2, 0.1]), settings=settings)) for _ in range(2))
    assert a == b
    assert json.loads(a)["exhausted"]
    assert not decide(history([0.3, 0.2]), settings=settings)["exhausted"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (ConvergenceSettings(targets={"mae": 1.0}), "rmse_energy"),
        (ConvergenceSettings(patience=0), "nothing would decide"),
    ],
)
def test_settings_that_decide_nothing_are_refused(settings, text):
    with pytest.raises(HopechoError, match=text):
        decide(history([0.1]), settings=settings)


def test_no_audit_is_refused_and_so_are_nan_errors():
    with pytest.raises(HopechoError, match="audit"):
        decide([], settings=DEFAULT)
    bad = sample(np.random.default_rng(0), n=2).to_dict() | {"energy_error": [np.nan] * 4}
    with pytest.raises(HopechoError, match="finite"):
        ErrorSample.from_dict(bad)
