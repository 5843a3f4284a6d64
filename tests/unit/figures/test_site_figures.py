"""The numbers that figures of sites and single ions draw."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopecho.figures.sites import draw_angles, draw_groups, draw_histograms, draw_trace


@pytest.fixture
def ax():
    return Figure().subplots()


def test_each_kind_has_an_outline(ax):
    x = np.array([1.0, 2.0, 3.0])
    draw_histograms(ax, {"LiS4": (x, x), "LiS6": (x, 2 * x)}, label="|C_Q|")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["LiS4", "LiS6"]
    assert ax.get_ylim()[1] == pytest.approx(7.8)
    assert ax.get_xlabel() == "|C_Q| (kHz)"


def test_a_trace_has_a_line_for_each_hop(ax):
    t = np.arange(5.0)
    draw_trace(ax, t, 80 + t, np.array([0, 1, 0, 2, 0]))
    marks = [line.get_xdata()[0] for line in ax.get_lines()[:-1]]
    assert marks == [1.0, 3.0]


def test_a_map_puts_theta_on_x(ax):
    theta, phi = (a.ravel() for a in np.meshgrid([15.0, 45, 75], [30.0, 60], indexing="ij"))
    draw_angles(ax, theta, phi, np.where(theta > 70, 3.0, 1.0), title="x")
    image = ax.get_images()[0].get_array()
    assert image.shape == (2, 3)
    assert image[:, 2].tolist() == [3.0, 3.0]


def test_groups_leave_lag_zero_out_and_show_the_prediction(ax):
    lag = np.array([0.0, 1.0, 10.0])
    rows = [("all (48)", lag, np.array([1.0, 0.4, 0.3]), np.zeros(3))]
    draw_groups(ax, rows, predicted=(lag[1:], np.array([0.5, 0.2])))
    assert ax.get_lines()[0].get_xdata().tolist() == [1.0, 10.0]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["all (48)", "from jumps"]
