"""The numbers that figures draw, and figures as text."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from hopecho.figures.curves import (
    Curve,
    Decay,
    decay_curve,
    draw_decays,
    draw_displacements,
    draw_pair_distributions,
)
from hopecho.figures.errors import (
    draw_convergence,
    draw_cost,
    draw_frobenius_cdf,
    draw_orientation_cdf,
    draw_parity,
    random_frobenius_cdf,
    random_overlap_cdf,
)
from hopecho.figures.style import OKABE_ITO, look, render

FIT = {"amplitude": 0.4, "plateau_b2": 0.25, "tau_ns": 0.012, "stretch_gamma": 1.0}


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def texts(legend):
    return [t.get_text() for t in legend.get_texts()]


def test_decay_curve_has_the_right_limits():
    lag = np.array([0.0, 12.0, 1e6])
    expected = [0.4, 0.4 * (0.25 + 0.75 * np.exp(-1.0)), 0.1]
    np.testing.assert_allclose(decay_curve(FIT, lag), expected)


def test_decays_draw_data_without_lag_zero_and_both_fits_over_the_fitted_lags(ax):
    lag = np.array([0.0, 0.1, 0.5, 5.0, 50.0])
    acf = np.array([1.0, 0.6, 0.4, 0.3, 0.1])
    fits = {"exponential": FIT, "stretched": FIT | {"stretch_gamma": 0.7}}
    curve = Curve("glass", lag, acf, 0.01 * np.ones(5))
    draw_decays(ax, [Decay(curve, fits, 0.5)], ylabel="ACF", title="300 K")
    data = lines(ax)["glass"]
    np.testing.assert_array_equal(data.get_xdata(), lag[1:])
    np.testing.assert_array_equal(data.get_ydata(), acf[1:])
    drawn = [line for line in ax.get_lines() if line.get_label() == "_fit"]
    assert len(drawn) == 2
    for line, fit in zip(drawn, fits.values(), strict=True):
        assert line.get_xdata()[[0, -1]] == pytest.approx([0.5, 50.0])
        np.testing.assert_allclose(line.get_ydata(), decay_curve(fit, line.get_xdata()))
    assert ax.get_xscale() == "log"
    assert {"glass", "fit, γ = 1", "fit, γ free"} <= set(texts(ax.get_legend()))
    assert any("±1 s.e." in t for t in texts(ax.get_legend()))
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(0.61)


def test_displacements_leave_zeros_out_and_guide_has_slope_one(ax):
    lag = np.array([0.0, 1.0, 10.0, 100.0])
    msd = np.array([0.0, 0.5, 2.0, 15.0])
    flat = Curve("P", lag, np.array([0.0, 0.1, 0.1, 0.1]), index=1)
    draw_displacements(ax, [Curve("Li", lag, msd, np.array([0.0, 0.6, 0.1, 1.0])), flat])
    drawn = lines(ax)
    np.testing.assert_array_equal(drawn["Li"].get_ydata(), msd[1:])
    x, y = drawn["slope 1"].get_data()
    assert np.diff(np.log(y)) == pytest.approx(np.diff(np.log(x)))
    assert (y > np.interp(x, lag, msd)).all()
    assert all((path.vertices[:, 1] > 0).all() for c in ax.collections for path in c.get_paths())


def test_displacements_of_nothing_that_moves_do_not_fail(ax):
    lag = np.array([0.0, 1.0])
    draw_displacements(ax, [Curve("Li", lag, np.zeros(2))])
    assert "Li" not in lines(ax)


def test_pair_distribution_draws_what_it_is_given(ax):
    r = np.linspace(0.1, 5.0, 50)
    g = np.where(r > 2.0, 1.0, 0.0)
    draw_pair_distributions(ax, [Curve("beta", r, g)], title="P–S")
    np.testing.assert_array_equal(lines(ax)["beta"].get_ydata(), g)
    assert ax.get_xlim()[0] == pytest.approx(r[g > 0][0] - 0.5)


def test_parity_draws_pairs_diagonal_band_and_rmse(ax):
    true = np.array([0.0, 10.0, 20.0])
    draw_parity(ax, true, true + 3.0, label="ω_Q", unit="kHz", band=10.0, title="beta")
    diagonal, points = ax.get_lines()
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    np.testing.assert_array_equal(points.get_xdata(), true)
    np.testing.assert_array_equal(points.get_ydata(), true + 3.0)
    assert ax.get_title(loc="left") == "beta\nRMSE 3 kHz"
    band = ax.collections[0].get_paths()[0].vertices
    assert np.ptp(band[:, 1] - band[:, 0]) == pytest.approx(20.0)


def test_convergence_skips_what_was_not_measured_and_marks_the_target(ax):
    draw_convergence(ax, [0, 1, 2], {"audit": [0.4, None, 0.1]}, ylabel="x", target=0.2)
    drawn = lines(ax)
    assert list(drawn["audit"].get_xdata()) == [0, 2]
    assert list(drawn["target"].get_ydata()) == [0.2, 0.2]


def test_random_overlap_is_that_of_random_rotations():
    assert 1.0 - random_overlap_cdf(np.array([0.9]))[0] == pytest.approx(0.1495, abs=1e-4)
    q = np.abs(Rotation.random(20000, rng=np.random.default_rng(0)).as_quat()).max(axis=1)
    for x in (0.75, 0.9, 0.97):
        assert random_overlap_cdf(np.array([x]))[0] == pytest.approx((q < x).mean(), abs=0.01)


def test_frobenius_overlap_has_its_random_baseline(ax):
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(2, 20_000, 5))
    pairs /= np.linalg.norm(pairs, axis=2, keepdims=True)
    overlap = np.sum(pairs[0] * pairs[1], axis=1)
    x = np.array([-0.9, -0.3, 0.0, 0.5, 0.95])
    below = [np.mean(overlap < value) for value in x]
    np.testing.assert_allclose(random_frobenius_cdf(x), below, atol=0.01)
    draw_frobenius_cdf(ax, {"beta": (np.array([0.9, 0.99, 1.0]), np.array([0.0, 0.5, 1.0]))})
    beta, random = ax.lines
    np.testing.assert_allclose(beta.get_xdata(), [0.1, 0.01, 1e-6])
    np.testing.assert_allclose(beta.get_ydata(), [1.0, 0.5, 0.0])
    assert random.get_ydata()[-1] == pytest.approx(1.0)


def test_orientation_shows_the_random_baseline(ax):
    share = np.array([0.0, 0.5, 1.0])
    draw_orientation_cdf(ax, {"beta": (np.array([0.8, 0.95, 1.0]), share)})
    drawn = lines(ax)
    np.testing.assert_array_equal(drawn["beta"].get_ydata(), share)
    baseline = drawn["random pairs (exact)"]
    np.testing.assert_allclose(baseline.get_ydata(), random_overlap_cdf(baseline.get_xdata()))


@pytest.mark.parametrize(("largest", "unit", "size"), [(7200.0, "h", 3600), (90, "min", 60)])
def test_cost_bars_are_sorted_in_a_readable_unit(ax, largest, unit, size):
    draw_cost(ax, ["fit", "label", "tiny"], [30.0, largest, 0.01])
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([30 / size, largest / size])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["fit", "label"]
    assert ax.get_xlabel() == f"CPU time ({unit})"


def test_cost_of_nothing_is_an_empty_panel(ax):
    draw_cost(ax, [], [])
    assert not ax.patches


def test_looks_differ_in_more_than_colour():
    looks = [look(k) for k in range(len(OKABE_ITO))]
    assert len({k.color for k in looks}) == len({k.marker for k in looks}) == len(OKABE_ITO)


def draw_line(axes):
    axes[0].plot([1, 2], [3, 4], label="a & b")
    axes[0].legend()


def test_svg_is_deterministic_and_stands_alone():
    first, second = (render("f", draw_line, label='a "b" <c>', footer="labels: x") for _ in "12")
    assert first == second
    assert first.startswith('<svg role="img" aria-label="a &quot;b&quot; &lt;c>"')
    assert "http" not in first
    assert "<metadata" not in first


def test_identifiers_of_two_figures_do_not_collide():
    figures = [render(name, draw_line, label="", footer="") for name in ("one", "two")]
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in figures]
    assert not ids[0] & ids[1]
    for own, svg in zip(ids, figures, strict=True):
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        assert used
        assert {a or b for a, b in used} <= own
