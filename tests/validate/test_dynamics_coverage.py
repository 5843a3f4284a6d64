"""Coverage of the error bars of D, sigma and the Haven ratio over runs with known truth."""

import math

import numpy as np
import pytest

from hopecho.dynamics.conductivity import conductivity
from hopecho.dynamics.diffusion import diffusion
from hopecho.dynamics.msd import msd_curves, segments_for

N_RUNS, N_REPLICAS, N_IONS, N_FRAMES = 200, 3, 48, 1600
STEP_A, STRIDE_PS = 0.5, 1.0
D_TRUE = 3 * STEP_A**2 / 6.0 * 1e-8  # 6 D t = 3 step^2 n


def walk(rng, *, shared, cage):
    """Gaussian walk, partly shared, with white noise of a cage, (n_frames, n_ions, 3)."""
    own = rng.normal(size=(N_FRAMES, N_IONS, 3)) * math.sqrt(1.0 - shared)
    common = rng.normal(size=(N_FRAMES, 1, 3)) * math.sqrt(shared)
    return np.cumsum(STEP_A * (own + common), axis=0) + cage * rng.normal(size=own.shape)


@pytest.mark.parametrize(
    ("shared", "cage", "n_replicas", "quenched"),
    [(0.0, 0.0, 3, False), (0.05, 0.3, 3, False), (0.05, 0.3, 6, False), (0.05, 0.3, 6, True)],
)
def test_intervals_of_68_percent_hold_the_truth_in_60_to_78_percent(
    shared, cage, n_replicas, quenched
):
    rng = np.random.default_rng(20)
    truth = {
        "d": D_TRUE,
        "sigma": D_TRUE * (1.0 + (N_IONS - 1) * shared),
        "haven": 1.0 / (1.0 + (N_IONS - 1) * shared),
    }
    hits = dict.fromkeys(truth, 0)
    ratios = {name: [] for name in truth}
    resolved = dict.fromkeys(truth, 0)
    for _ in range(N_RUNS):
        replicas = [walk(rng, shared=shared, cage=cage) for _ in range(n_replicas)]
        result = conductivity(
            replicas,
            stride_ps=STRIDE_PS,
            volume_a3=5000.0,
            temperature_k=500.0,
            charge_e=1.0,
            quench=list(range(n_replicas)) if quenched else None,
            n_segments=segments_for(n_replicas),
        )
        found = {"d": result.tracer.d_tracer, "sigma": result.d_sigma, "haven": result.haven_ratio}
        for name, quantity in found.items():
            if quantity.verdict == "resolved":
                resolved[name] += 1
                hits[name] += quantity.interval[0] <= truth[name] <= quantity.interval[1]
                ratios[name].append(quantity.value / truth[name])
    for name in truth:
        share = hits[name] / resolved[name]
        mean, spread = np.mean(ratios[name]), np.std(ratios[name])
        print(
            f"{name}: resolved {resolved[name]}, coverage {share:.3f}, "
            f"ratio {mean:.3f} +- {spread:.3f}"
        )
        assert resolved[name] >= 0.9 * N_RUNS
        assert 0.60 <= share <= 0.78
        assert mean == pytest.approx(1.0, abs=3 * spread / math.sqrt(N_RUNS) + 0.02)


@pytest.mark.parametrize("expected_hops", [0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
def test_the_bound_of_rare_hops_holds_the_truth_in_95_percent(expected_hops):
    """Ions in cages that hop 3 A on a lattice, a few times in the whole run."""
    rng = np.random.default_rng(7)
    hop = 3.0
    rate = expected_hops / (N_REPLICAS * N_IONS * N_FRAMES)
    d_true = rate * hop**2 / 6.0 * 1e-8
    held, bounds = 0, 0
    for _ in range(N_RUNS):
        replicas = []
        for _ in range(N_REPLICAS):
            jumps = rng.random((N_FRAMES, N_IONS)) < rate
            axis = rng.integers(3, size=jumps.shape)
            sign = rng.choice([-hop, hop], size=jumps.shape)
            steps = (jumps * sign)[..., None] * (axis[..., None] == np.arange(3))
            replicas.append(np.cumsum(steps, 0) + 0.4 * rng.normal(size=steps.shape))
        quantity = diffusion(msd_curves(replicas, stride_ps=STRIDE_PS), hop_length_a=hop).d_tracer
        if quantity.verdict != "resolved":
            bounds += 1
            held += d_true <= quantity.interval[1]
    print(f"{expected_hops} hops: {bounds} bounds, hold {held / bounds:.3f}")
    assert bounds >= 0.95 * N_RUNS
    assert held >= 0.93 * bounds
