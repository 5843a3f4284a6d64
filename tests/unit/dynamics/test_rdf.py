"""g(r): ideal gas, fcc shells, any cell, and its limit."""

import itertools

import numpy as np
import pytest

from hopecho.dynamics.rdf import first_shell, perpendicular_widths, rdf
from hopecho.errors import HopechoError

TRICLINIC = np.array([[9.0, 0.0, 0.0], [4.0, 8.0, 0.0], [-3.0, 2.0, 10.0]])


def test_an_ideal_gas_gives_one_for_like_and_unlike_pairs():
    rng = np.random.default_rng(0)
    x = rng.random((4000, 12, 3)) @ TRICLINIC
    result = rdf(x, np.array([3] * 8 + [16] * 4), TRICLINIC, n_bins=10)
    assert set(result.g) == {"Li-Li", "Li-S", "S-Li", "S-S"}
    for g in result.g.values():
        np.testing.assert_allclose(g[3:], 1.0, atol=0.06)
    np.testing.assert_allclose(result.g["Li-S"], result.g["S-Li"])
    np.testing.assert_allclose(8 * result.coordination["Li-S"], 4 * result.coordination["S-Li"])


def test_fcc_shells():
    a, n = 4.0, 4
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    grid = np.array(list(itertools.product(range(n), repeat=3)))
    x = ((grid[:, None] + basis).reshape(1, -1, 3)) * a
    result = rdf(x, np.full(4 * n**3, 47), np.eye(3) * a * n, n_bins=800)
    for r, neighbours in [(3.4, 12), (4.4, 18), (5.2, 42)]:
        assert result.coordination_number("Ag-Ag", r) == pytest.approx(neighbours)
    first = result.r[np.argmax(result.g["Ag-Ag"] > 0)]
    assert first == pytest.approx(a / np.sqrt(2), abs=0.02)
    shell = first_shell(result.r, result.g["Ag-Ag"], result.coordination["Ag-Ag"])
    assert shell.peak_angstrom == pytest.approx(a / np.sqrt(2), abs=0.1)
    assert shell.neighbours == pytest.approx(12.0)


def test_a_gas_and_a_shell_that_the_cell_cuts_have_no_first_shell():
    rng = np.random.default_rng(2)
    gas = rdf(rng.random((400, 20, 3)) @ TRICLINIC, np.full(20, 3), TRICLINIC, n_bins=40)
    assert first_shell(gas.r, gas.g["Li-Li"], gas.coordination["Li-Li"]) is None
    r = np.linspace(0.05, 5.0, 100)
    early = np.exp(-0.5 * ((r - 3.5) / 0.2) ** 2) + 0.2 * (r > 4.3)
    shell = first_shell(r, 5.0 * early, np.cumsum(early))
    assert shell.peak_angstrom == pytest.approx(3.5, abs=0.06)
    assert 4.0 < shell.end_angstrom < 4.4  # before 1.5 times the peak, where g has ended
    late = np.exp(-0.5 * ((r - 4.5) / 0.2) ** 2)
    assert first_shell(r, 5.0 * late, np.cumsum(late)) is None


def test_counts_are_those_of_all_images():
    rng = np.random.default_rng(1)
    x = rng.normal(scale=20.0, size=(3, 7, 3))
    result = rdf(x, np.full(7, 3), TRICLINIC, n_bins=4)
    shifts = np.array(list(itertools.product(range(-12, 13), repeat=3))) @ TRICLINIC
    expected = np.zeros(4)
    for frame in x:
        for i, j in itertools.permutations(range(7), 2):
            distance = np.linalg.norm(frame[j] - frame[i] + shifts, axis=1)
            expected += np.histogram(distance, result.edges)[0]
    np.testing.assert_allclose(result.coordination["Li-Li"], np.cumsum(expected) / 21)


def test_widths_of_an_orthogonal_cell_are_its_edges():
    np.testing.assert_allclose(perpendicular_widths(np.diag([5.0, 6.0, 7.0])), [5, 6, 7])


def test_half_the_shortest_width_is_the_limit():
    x, numbers = np.zeros((1, 2, 3)), np.array([3, 3])
    limit = 0.5 * perpendicular_widths(TRICLINIC).min()
    assert rdf(x, numbers, TRICLINIC).edges[-1] == pytest.approx(limit)
    with pytest.raises(HopechoError, match="half the shortest"):
        rdf(x, numbers, TRICLINIC, r_max=limit + 0.1)
    with pytest.raises(HopechoError, match="coordination"):
        rdf(x, numbers, TRICLINIC).coordination_number("Li-Li", limit + 0.1)
