import numpy as np
import pytest

from hopecho.correlation import plateau as plateau_module
from hopecho.correlation.plateau import correct_plateau, finite_run_share, plateau_sums


def test_sums_equal_naive_means(monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 6, 5)) + 0.5
    monkeypatch.setattr(plateau_module, "CHUNK_VALUES", 600)
    sums = plateau_sums(x)
    for i in range(6):
        assert sums.mean_square[i] == pytest.approx((x[:, i].mean(axis=0) ** 2).sum())
        ends = x[:20, i].mean(axis=0) @ x[30:, i].mean(axis=0)
        assert sums.first_last[i] == pytest.approx(ends)
        assert sums.total[i] == pytest.approx((x[:, i] ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 20.0])
def test_finite_run_share_is_the_mean_of_the_exponential_over_pairs_of_times(ratio):
    t = (np.arange(4000) + 0.5) / 4000
    # Pairs at distance t have density 2 (1 - t).
    expected = (2.0 * (1.0 - t) * np.exp(-t / ratio)).mean()
    assert finite_run_share(ratio * 7.0, 7.0) == pytest.approx(expected, rel=1e-3)


def test_both_estimates_find_the_plateau_of_jumps(jumps):
    rng = np.random.default_rng(1)
    tau, n, b2 = 30.0, 600, 0.4
    sums = plateau_sums(jumps(n, 3000, tau=tau, rng=rng, plateau_b2=b2))
    x = sums.mean_square.sum() / sums.total.sum()
    assert x > b2 + 0.04  # the bias of the finite run
    assert correct_plateau(x, amplitude=1.0, tau_ps=tau, run_ps=n) == pytest.approx(b2, abs=0.015)
    assert sums.first_last.sum() / sums.total.sum() == pytest.approx(b2, abs=0.015)
