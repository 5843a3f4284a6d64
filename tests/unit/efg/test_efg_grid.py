"""The grid of density expansions."""

import numpy as np
import pytest

from hopecho.efg.candidates import candidate, settings_of
from hopecho.efg.grid import expansions, relative_cost

VALUES = {
    "cutoff_angstrom": 5.0, "n_radial": 2, "l_max": 3, "sigma_angstrom": 0.4, "mobile": "Li",
    "folds": 3, "model": "ridge", "zeta": 2, "inducing": 20,
}  # fmt: skip


def test_expansions_are_a_product():
    grid = {"cutoff_angstrom": [5.0, 6.0], "l_max": [4, 6]}
    assert len(expansions(grid)) == 4
    assert expansions(grid)[1] == {"cutoff_angstrom": 5.0, "l_max": 6}
    assert expansions({}) == [{}]


def test_cost_is_one_at_the_reference_and_grows():
    assert relative_cost(VALUES, VALUES) == pytest.approx(1.0)
    assert relative_cost(VALUES | {"cutoff_angstrom": 10.0}, VALUES) == pytest.approx(
        0.45 * 8 + 0.55
    )
    assert relative_cost(VALUES | {"n_radial": 4}, VALUES) == pytest.approx(0.9 + 1.2 + 0.25)


def test_a_larger_basis_has_a_smaller_loss(data):
    small = candidate(data[:18], VALUES, {"cutoff_angstrom": 3.0})
    large = candidate(data[:18], VALUES, {"n_radial": 3})
    assert large["settings"] == {
        "cutoff_angstrom": 5.0, "n_radial": 3, "l_max": 3, "sigma_angstrom": 0.4,
    }  # fmt: skip
    assert large["loss"] + large["loss_stderr"] < small["loss"]
    assert large["n_columns"] > small["n_columns"]
    assert large["ridge"] in settings_of(VALUES).ridge
    assert np.isfinite(small["loss_stderr"])


def test_the_sparse_model_is_validated_in_its_own_columns(data):
    row = candidate(data[:6], VALUES | {"model": "sa_gpr"}, {})
    assert row["n_columns"] <= 100
    assert row["loss"] < 1
