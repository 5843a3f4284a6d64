"""A single vacancy on a lattice: the Haven ratio is the correlation factor."""

import itertools

import numpy as np
import pytest
from numba import njit

from hopecho.dynamics.conductivity import conductivity

# Correlation factors of infinite lattices: Montet, Phys. Rev. B 7, 650 (1973).
LATTICES = {
    "sc": (10, [[0, 0, 0]], 0.6531),
    "fcc": (7, [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], 0.7815),
    "bcc": (8, [[0, 0, 0], [1, 1, 1]], 0.7272),
}
N_FRAMES, JUMPS_PER_ION = 3000, 2


@njit
def vacancy_walk(ion_at, position, neighbour, step, choice, n_frames):
    """Swap the vacancy with a random neighbour; positions of ions (n_frames, n_ions, 3)."""
    out = np.zeros((n_frames, position.shape[0], 3), dtype=np.int32)
    hole = np.argmin(ion_at)
    jumps = len(choice) // n_frames
    for t in range(n_frames):
        for k in range(t * jumps, (t + 1) * jumps):
            site = neighbour[hole, choice[k]]
            ion = ion_at[site]
            position[ion] -= step[choice[k]]
            ion_at[hole], ion_at[site] = ion, -1
            hole = site
        out[t] = position
    return out


def lattice(n, basis):
    """Sites in half lattice constants, the neighbour of each site along each step, the steps."""
    edge = 2 * n if len(basis) > 1 else n
    scale = 2 if len(basis) > 1 else 1
    grid = scale * np.array(list(itertools.product(range(n), repeat=3)))
    sites = (grid[:, None] + np.array(basis)).reshape(-1, 3)
    every = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    length = {1: 1, 4: 2, 2: 3}[len(basis)]
    steps = every[(every**2).sum(1) == length]
    index = {tuple(s): k for k, s in enumerate(sites)}
    neighbour = np.array([[index[tuple((s + d) % edge)] for d in steps] for s in sites])
    return sites, neighbour, steps


@pytest.mark.parametrize("name", LATTICES)
def test_the_haven_ratio_of_a_single_vacancy_is_the_correlation_factor(name):
    n, basis, factor = LATTICES[name]
    sites, neighbour, steps = lattice(n, basis)
    n_ions = len(sites) - 1
    assert n_ions >= 999
    replicas, squares, jumps = [], 0.0, 0
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        n_jumps = JUMPS_PER_ION * n_ions * N_FRAMES
        choice = rng.integers(len(steps), size=n_jumps)
        ion_at = np.append(np.arange(n_ions), -1)
        x = vacancy_walk(ion_at, sites[:-1].copy(), neighbour, steps, choice, N_FRAMES)
        replicas.append(x.astype(np.float32))
        squares += float(((x[-1] - x[0]).astype(float) ** 2).sum())
        jumps += n_jumps * (N_FRAMES - 1) / N_FRAMES
    result = conductivity(
        replicas, stride_ps=1.0, volume_a3=1e4, temperature_k=500.0, charge_e=1.0,
        lag_window_ps=(2.0, 10.0),
    )  # fmt: skip
    h = result.haven_ratio
    low_noise = squares / (jumps * float((steps[0] ** 2).sum()))
    print(f"{name}: H {h.value:.4f} +- {h.stderr:.4f}, MSD/(n a^2) {low_noise:.4f}, f {factor}")
    assert abs(h.value - factor) < 3 * h.stderr
    assert h.stderr < 0.05 * factor
    assert low_noise == pytest.approx(factor, abs=0.03)
