"""The numbers that figures of the uncertainty draw."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopecho.figures.style import render
from hopecho.figures.uncertainty import (
    draw_calibration,
    draw_error_against_leverage,
    draw_learning_curve,
)

BINS = {
    "leverage": np.array([0.01, 0.1]),
    "rmse": np.array([0.02, 0.05]),
    "stderr": np.array([0.001, 0.004]),
    "sigma": np.array([0.021, 0.06]),
}


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_calibration_curve_runs_from_corner_to_corner(ax):
    draw_calibration(ax, [0.5, 0.9], {"force": [0.55, 0.85], "energy": [0.6, 1.0]})
    drawn = lines(ax)
    np.testing.assert_array_equal(drawn["force"].get_xdata(), [0, 0.5, 0.9, 1])
    np.testing.assert_array_equal(drawn["force"].get_ydata(), [0, 0.55, 0.85, 1])
    np.testing.assert_array_equal(drawn["exact"].get_xdata(), drawn["exact"].get_ydata())
    assert drawn["force"].get_color() != drawn["energy"].get_color()


def test_errors_and_predicted_widths_stand_at_the_leverage_of_their_bin(ax):
    draw_error_against_leverage(ax, {"Li": BINS, "S": BINS | {"rmse": 2 * BINS["rmse"]}})
    np.testing.assert_array_equal(lines(ax)["_Li predicted"].get_ydata(), BINS["sigma"])
    points = {bar.get_label(): bar for bar in ax.containers}
    np.testing.assert_array_equal(points["S"].lines[0].get_ydata(), [0.04, 0.1])
    segment = points["Li"].lines[2][0].get_segments()[1]
    np.testing.assert_allclose(segment[:, 1], [0.046, 0.054])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_bins_without_a_prediction_have_no_line(ax):
    draw_error_against_leverage(
        ax, {"Li": {name: BINS[name] for name in ("leverage", "rmse", "stderr")}}
    )
    assert "_Li predicted" not in lines(ax)


def test_learning_curve_shows_every_fit_and_the_mean_of_the_seeds(ax):
    rows = [
        {"n_structures": 10, "seed": 0, "rmse_force": 0.4},
        {"n_structures": 40, "seed": 0, "rmse_force": 0.1},
        {"n_structures": 10, "seed": 1, "rmse_force": 0.2},
    ]
    draw_learning_curve(ax, rows)
    drawn = lines(ax)
    np.testing.assert_array_equal(drawn["one fit"].get_ydata(), [0.4, 0.1, 0.2])
    np.testing.assert_array_equal(drawn["mean of the seeds"].get_xdata(), [10, 40])
    np.testing.assert_allclose(drawn["mean of the seeds"].get_ydata(), [0.3, 0.1])


def test_the_panels_fit_into_a_page():
    def draw(axes):
        draw_calibration(axes[0], [0.5], {"force": [0.5]}, title="a")
        draw_error_against_leverage(axes[1], {"Li": BINS}, title="b")

    svg = render("uncertainty", draw, cols=2, size_in=(7.0, 3.0), label="", footer="labels: x")
    assert svg.startswith("<svg")
