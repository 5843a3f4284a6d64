import numpy as np
import pytest
from scipy import stats

from hopecho.correlation.bootstrap import (
    blended_dof,
    by_chance,
    ion_resamples,
    spread,
    stack_rows,
)
from hopecho.errors import HopechoError


def identity(means):
    return means


def rows_of(values, groups=None, weight=None):
    n = len(values)
    return stack_rows(
        values, groups=range(n) if groups is None else groups, replica_weight=weight or [1.0] * n
    )


def test_ions_alone_give_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).normal(size=(400, 1))
    s = spread(rows_of([values]), identity, n_resamples=4000, rng=np.random.default_rng(1))
    assert s.estimate[0] == pytest.approx(values.mean())
    assert s.stderr[0] == pytest.approx(values.std(ddof=1) / 20.0, rel=0.05)
    assert s.n_independent[0] == pytest.approx(400)


def test_spread_between_quenches_counts_the_quenches():
    shift = np.array([-1.0, 0.0, 1.0])
    rng = np.random.default_rng(2)
    values = [rng.normal(loc=c, scale=0.1, size=(48, 1)) for c in shift]
    s = spread(rows_of(values), identity, n_resamples=400, rng=rng)
    means = np.array([v.mean() for v in values])
    assert s.stderr[0] == pytest.approx(means.std(ddof=1) / np.sqrt(3.0), rel=1e-6)
    assert s.n_independent[0] == pytest.approx(3.0, abs=0.01)
    low, high = s.interval(0.68)
    assert high[0] - low[0] == pytest.approx(2.0 * stats.t.ppf(0.84, 2) * s.stderr[0], rel=0.01)


def test_replicas_of_one_quench_do_not_hide_its_disorder():
    """Two replicas of each of three quenches: six runs, three independent samples."""
    rng = np.random.default_rng(3)
    values = [rng.normal(loc=c, scale=0.01, size=(20, 1)) for c in (-1, -1, 0, 0, 1, 1)]
    s = spread(rows_of(values, groups=[5, 5, 7, 7, 9, 9]), identity, n_resamples=200, rng=rng)
    assert s.stderr[0] == pytest.approx(1.0 / np.sqrt(3.0), rel=0.02)
    assert s.n_independent[0] == pytest.approx(3.0, abs=0.01)


def test_concerted_ions_count_once_per_replica():
    """All ions of a replica move together: the error is that of six replicas of one quench."""
    rng = np.random.default_rng(4)
    common = rng.normal(size=6)
    values = [np.full((48, 1), c) + 1e-3 * rng.normal(size=(48, 1)) for c in common]
    s = spread(rows_of(values, groups=[0] * 6), identity, n_resamples=200, rng=rng)
    assert s.stderr[0] == pytest.approx(common.std(ddof=1) / np.sqrt(6.0), rel=0.01)


def test_longer_replicas_weigh_more():
    values = [np.zeros((10, 1)), np.ones((10, 1))]
    rows = rows_of(values, weight=[1.0, 3.0])
    assert rows.mean()[0] == pytest.approx(0.75)
    resampled = ion_resamples(rows, n_resamples=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(resampled, 0.75)


def test_same_seed_same_result():
    values = [np.random.default_rng(5).normal(size=(30, 2))]
    one, two = (
        spread(rows_of(values), identity, n_resamples=200, rng=np.random.default_rng(9))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.stderr, two.stderr)


@pytest.mark.parametrize("n_units", [2, 3, 9])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 3.0, 30.0])
def test_interval_covers_for_any_spread_between_units(ratio, n_units):
    """The rule itself on exact normal and chi-square draws, ions' variance known."""
    rng = np.random.default_rng(6)
    n, dof = 20_000, n_units - 1
    error = rng.normal(size=n) * np.sqrt(1.0 + ratio)
    between = (1.0 + ratio) * rng.chisquare(dof, size=n) / dof
    counts = between > by_chance(dof, 143)
    dof = np.where(counts, blended_dof(np.ones(n), 143, between, dof), 143.0)
    half = stats.t.ppf(0.84, dof) * np.sqrt(np.where(counts, between, 1.0))
    assert 0.635 < np.mean(abs(error) < half) < 0.735


def test_a_difference_that_chance_makes_does_not_widen_the_error():
    """Equal replicas: in six cases of seven the error is that of the ions."""
    rng = np.random.default_rng(8)
    dofs = [
        spread(rows_of(list(rng.normal(size=(3, 40, 1)))), identity, n_resamples=200, rng=rng).dof
        for _ in range(200)
    ]
    assert np.mean(np.array(dofs) > 118) == pytest.approx(0.85, abs=0.07)


def test_lower_bound_follows_a_lopsided_bootstrap():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(50, 1))

    def clamped(means):
        return np.minimum(means, 0.0)

    rows = rows_of([values - values.mean()])
    s = spread(rows, clamped, n_resamples=2000, rng=rng)
    assert s.lower_bound(0.95)[0] <= np.quantile(s.resamples, 0.05)


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "one table"), ([np.zeros((1, 3))], "at least two ions")],
)
def test_bad_tables_are_refused(values, message):
    with pytest.raises(HopechoError, match=message):
        rows_of(values)
