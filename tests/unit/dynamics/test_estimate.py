"""Block errors, Poisson limits and scaling of quantities."""

import numpy as np
import pytest
from scipy import stats

from hopecho.dynamics.estimate import (
    BlockError,
    block_error,
    chi2_upper,
    poisson_interval,
    poisson_upper,
    resolved_quantity,
    scaled,
    upper_bound,
)
from hopecho.errors import HopechoError

REPLICA = np.repeat(np.arange(3), 4)


def test_equal_replicas_are_pooled_and_different_ones_are_not():
    values = np.random.default_rng(0).normal(size=12)
    pooled = block_error(values, replica=REPLICA)
    assert (pooled.unit, pooled.n_units) == ("block", 12)
    assert pooled.stderr == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    apart = block_error(values + 10 * REPLICA, replica=REPLICA)
    assert (apart.unit, apart.n_units) == ("replica", 3)
    assert apart.stderr == pytest.approx(10 / np.sqrt(3), rel=0.1)


def test_quenches_come_before_replicas():
    error = block_error(np.arange(12.0), replica=REPLICA, quench=np.repeat([0, 1], 6))
    assert (error.unit, error.n_units) == ("quench", 2)
    assert error.stderr == pytest.approx(3.0)
    one = block_error(np.tile([1.0, 2.0], 6), replica=REPLICA, quench=np.zeros(12))
    assert one.unit == "block"


def test_constant_blocks_of_different_replicas_differ():
    assert block_error(REPLICA.astype(float), replica=REPLICA).unit == "replica"
    assert block_error(np.ones(12), replica=REPLICA).stderr == 0.0


def test_one_block_has_no_error_bar():
    with pytest.raises(HopechoError, match="two independent blocks"):
        block_error([1.0], replica=[0])


def test_small_samples_widen_the_interval():
    few, many = BlockError(0.1, 3, "replica"), BlockError(0.1, 1000, "block")
    assert few.t() == pytest.approx(1.312, abs=2e-3)
    assert many.t() == pytest.approx(0.995, abs=2e-3)
    assert few.t_upper() == pytest.approx(2.920, abs=1e-3)
    low, high = resolved_quantity(2.0, few, unit="1").interval
    assert low * high == pytest.approx(4.0)


def test_garwood_interval_holds_its_definition():
    counts = np.array([0, 1, 5, 100])
    low, high = poisson_interval(counts)
    assert low[0] == 0.0
    np.testing.assert_allclose(stats.poisson.sf(counts[1:] - 1, low[1:]), 0.16)
    np.testing.assert_allclose(stats.poisson.cdf(counts, high), 0.16)
    assert poisson_upper(0) == pytest.approx(2.9957, abs=1e-4)


def test_chi_square_upper_limit_is_exact_for_a_chi_square_mean():
    dof = 8
    error = BlockError(np.sqrt(2 / dof), 5, "block")
    assert chi2_upper(1.0, error) == pytest.approx(dof / stats.chi2.ppf(0.05, dof))
    assert chi2_upper(1.0, BlockError(0.0, 5, "block")) == 1.0


def test_scaling_keeps_bounds_open():
    quantity = scaled(upper_bound(2.0, unit="m", n_independent=3, seen=False), 100.0, unit="cm")
    assert quantity.interval == (None, 200.0)
    assert (quantity.unit, quantity.verdict, quantity.value) == ("cm", "not_seen", None)
