"""Coverage of the error bars of D, sigma and the Haven ratio over runs with known truth."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from hopecho.dynamics.conductivity import conductivity
from hopecho.dynamics.diffusion import diffusion
from hopecho.dynamics.green_kubo import green_kubo
from hopecho.dynamics.msd import msd_curves, segments_for
from hopecho.units import sigma_s_per_m

N_RUNS, N_REPLICAS, N_IONS, N_FRAMES = 400, 3, 48, 1600
STEP_A, STRIDE_PS = 0.5, 1.0
D_TRUE = 3 * STEP_A**2 / 6.0 * 1e-8  # 6 D t = 3 step^2 n


def walk(rng, *, shared, cage):
    """Gaussian walk, partly shared, with white noise of a cage, (n_frames, n_ions, 3)."""
    own = rng.normal(size=(N_FRAMES, N_IONS, 3)) * math.sqrt(1.0 - shared)
    common = rng.normal(size=(N_FRAMES, 1, 3)) * math.sqrt(shared)
    return np.cumsum(STEP_A * (own + common), axis=0) + cage * rng.normal(size=own.shape)


def concerted(rng, *, chain, rate=0.05, hop=3.0, cage=0.3):
    """Chains of ions that hop 3 A together, on a cubic lattice of sites, with noise of a cage."""
    n_chains = N_IONS // chain
    jumps = rng.random((N_FRAMES, n_chains)) < rate
    axis, sign = rng.integers(3, size=jumps.shape), rng.choice([-hop, hop], size=jumps.shape)
    steps = (jumps * sign)[..., None] * (axis[..., None] == np.arange(3))
    moves = np.repeat(np.cumsum(steps, axis=0), chain, axis=1)
    return moves + cage * rng.normal(size=(N_FRAMES, N_IONS, 3))


def coverage(make, truth, *, n_replicas, quenched, seed):
    """Runs of n_replicas each: share of intervals that hold the truth, ratios, resolved."""
    rng = np.random.default_rng(seed)
    hits = dict.fromkeys(truth, 0)
    ratios = {name: [] for name in truth}
    resolved = dict.fromkeys(truth, 0)
    for _ in range(N_RUNS):
        replicas = [make(rng) for _ in range(n_replicas)]
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
        assert 0.60 <= share <= 0.76
        assert mean == pytest.approx(1.0, abs=3 * spread / math.sqrt(N_RUNS) + 0.02)


@pytest.mark.parametrize(
    ("shared", "cage", "n_replicas", "quenched"),
    [(0.0, 0.0, 3, False), (0.05, 0.3, 3, False), (0.05, 0.3, 6, False), (0.05, 0.3, 6, True)],
)
def test_intervals_of_68_percent_hold_the_truth_in_60_to_76_percent(
    shared, cage, n_replicas, quenched
):
    factor = 1.0 + (N_IONS - 1) * shared
    coverage(
        lambda rng: walk(rng, shared=shared, cage=cage),
        {"d": D_TRUE, "sigma": D_TRUE * factor, "haven": 1.0 / factor},
        n_replicas=n_replicas,
        quenched=quenched,
        seed=20,
    )


@pytest.mark.parametrize("chain", [3, 6])
def test_intervals_hold_with_concerted_hops(chain):
    """A chain of m ions that hop together: D = k a^2/6, D_sigma = m D, H = 1/m."""
    d = 0.05 * 3.0**2 / 6.0 * 1e-8
    coverage(
        lambda rng: concerted(rng, chain=chain),
        {"d": d, "sigma": chain * d, "haven": 1.0 / chain},
        n_replicas=3,
        quenched=False,
        seed=30 + chain,
    )


def test_intervals_of_green_kubo_hold_the_truth():
    """Currents of OU ions, of two decay times; sigma = n q^2 D / kT with D = <v^2>/gamma."""
    dt, n_frames, volume, kelvin = 0.02, 2500, 4000.0, 600.0
    gammas, variance = np.array([2.0, 8.0]), 3.0
    truth = sigma_s_per_m(
        float((variance / gammas).sum()) * 1e-8, number_density_m3=1 / (volume * 1e-30),
        charge_e=1.0, temperature_k=kelvin,
    )  # fmt: skip
    rng, hits, values = np.random.default_rng(40), 0, []
    for _ in range(N_RUNS):
        currents = [sum(ou_current(rng, g, variance, dt, n_frames) for g in gammas)
                    for _ in range(6)]  # fmt: skip
        q = green_kubo(currents, stride_ps=dt, volume_a3=volume, temperature_k=kelvin).sigma_gk
        if q.verdict == "resolved":
            values.append(q.value / truth)
            hits += q.interval[0] <= truth <= q.interval[1]
    mean, spread = np.mean(values), np.std(values)
    print(
        f"gk: resolved {len(values)}, coverage {hits / len(values):.3f}, {mean:.3f} +- {spread:.3f}"
    )
    assert len(values) >= 0.9 * N_RUNS
    assert 0.60 <= hits / len(values) <= 0.76


def ou_current(rng, gamma, variance, dt, n_frames):
    """Exact sampling of an OU process from its stationary state, (n_frames, 3)."""
    decay = math.exp(-gamma * dt)
    noise = rng.normal(size=(n_frames, 3)) * math.sqrt(variance * (1 - decay**2))
    noise[0] = rng.normal(size=3) * math.sqrt(variance)
    return lfilter([1.0], [1.0, -decay], noise, axis=0)


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
