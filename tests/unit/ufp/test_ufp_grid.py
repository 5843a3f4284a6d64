"""The choice of settings from a grid."""

import pytest

from hopecho.errors import HopechoError
from hopecho.ufp.grid import bases, choose, penalties, relative_cost


def row(loss, stderr, cost):
    return {"settings": {"k": cost}, "loss": loss, "loss_stderr": stderr, "relative_cost": cost}


def test_the_grid_is_a_product_split_into_jobs():
    grid = {"cutoff_3b_angstrom": [3.5, 4.0], "intervals_3b": [4, 5, 6], "ridge_3b": [1e-6, 1e-5]}
    assert len(bases(grid)) == 6
    assert bases(grid)[1] == {"cutoff_3b_angstrom": 3.5, "intervals_3b": 5}
    assert penalties(grid) == [{"ridge_3b": 1e-6}, {"ridge_3b": 1e-5}]
    # Without values there is one candidate: the settings themselves.
    assert bases({}) == penalties({}) == [{}]


def test_the_cheapest_within_one_standard_error_is_chosen():
    rows = [row(0.030, 0.002, 1.0), row(0.0315, 0.001, 0.5), row(0.0321, 0.001, 0.1)]
    chosen = choose(rows)
    assert chosen["relative_cost"] == 0.5
    assert "cheapest of 2" in chosen["reason"]
    assert choose(rows[:1])["reason"].startswith("the smallest loss")
    alone = choose([row(0.01, 0.001, 1.0), row(0.02, 0.001, 0.1)])
    assert alone["reason"] == "the smallest loss, by more than its error"
    with pytest.raises(HopechoError, match=r"potential\.grid"):
        choose([])


def test_cost_grows_with_the_powers_of_the_cutoffs():
    reference = {"cutoff_2b_angstrom": 5.5, "cutoff_3b_angstrom": 4.0}
    assert relative_cost(reference, reference) == pytest.approx(1.0)
    longer = reference | {"cutoff_3b_angstrom": 8.0}
    assert relative_cost(longer, reference) == pytest.approx(0.2 + 0.8 * 64)
