"""What the figures of mobility draw: runs, series, windows, maps, and the cut of an integral."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopecho.figures.curves import Curve
from hopecho.figures.style import render
from hopecho.figures.transport import (
    Level,
    Series,
    draw_ions,
    draw_map,
    draw_runs,
    draw_series,
    draw_window,
    even_edges,
    log_edges,
)
from hopecho.figures.vibrations import draw_running_integral

LAG = np.array([1.0, 10.0, 100.0])


@pytest.fixture
def ax():
    return Figure().subplots()


def labels(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_every_run_is_a_line_and_the_mean_is_dashed(ax):
    runs = [(LAG, k * np.array([9.0, 4.0, 3.0])) for k in (1, 2, 3)]
    draw_runs(ax, runs, (LAG, runs[1][1]), level=Level(5.0, 7.0, "slope"), ylabel="σ", title="")
    *single, mean = ax.get_lines()
    assert len(single) == 3
    np.testing.assert_array_equal(single[2].get_ydata(), runs[2][1])
    np.testing.assert_array_equal(mean.get_ydata(), runs[1][1])
    assert mean.get_linestyle() == "--"
    assert labels(ax) == ["slope", "3 runs", "mean"]
    band = ax.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == (5.0, 7.0)


def test_a_bound_is_a_line_across(ax):
    draw_runs(ax, [(LAG, LAG)], (LAG, LAG), level=Level(None, 0.5, "bound"), ylabel="σ", title="")
    assert list(ax.get_lines()[0].get_ydata()) == [0.5, 0.5]
    assert not ax.patches


def test_a_series_has_points_a_line_and_arrows_for_bounds(ax):
    t, y = np.array([500.0, 600.0]), np.array([1e-10, 1e-9])
    line = (np.array([600.0, 300.0]), np.array([1e-9, 1e-12]), 0.5 * y, 2 * y)
    one = Series("beta", t, y, 0.9 * y, 1.1 * y, [(300.0, 1e-12)], line, 0)
    draw_series(ax, [one, Series("none", *np.zeros((4, 0)), limits=[(400.0, 1e-11)])],
                ylabel="D", title="")  # fmt: skip
    drawn = ax.get_lines()
    np.testing.assert_allclose(drawn[0].get_xdata(), [1e3 / 600, 1e3 / 300])
    points = next(x for x in drawn if list(x.get_ydata()) == list(y))
    np.testing.assert_allclose(points.get_xdata(), [2.0, 1e3 / 600])
    assert any(list(x.get_ydata()) == [1e-12] for x in drawn)
    assert ax.get_ylim()[0] < 1e-12
    assert labels(ax) == ["beta", "none"]


def test_the_window_is_shaded_with_its_line_and_ions_are_two_lines(ax):
    draw_window(ax, (10.0, 100.0), fit=Curve("fit", LAG[1:], LAG[1:]))
    draw_ions(ax, LAG, 0.5 * LAG, 2 * LAG, label="ions")
    span = ax.patches[0]
    assert (span.get_x(), span.get_x() + span.get_width()) == (10.0, 100.0)
    assert [x.get_label() for x in ax.get_lines()] == ["fit", "ions", "_"]


def test_a_map_clips_at_the_lower_end_of_its_scale(ax):
    values = np.array([[0.0, 0.5, 20.0], [1.0, 1.0, 1.0]])
    draw_map(ax, np.arange(3.0), np.arange(4.0), values, span=(0.1, 10.0), log=True, middle=True,
             label="ratio", title="x")  # fmt: skip
    mesh = ax.collections[0]
    # Columns of the mesh are x.
    np.testing.assert_allclose(mesh.get_array().reshape(3, 2)[:, 0], [0.1, 0.5, 20.0])
    assert mesh.get_clim() == (0.1, 10.0)


def test_maps_stand_in_a_page_as_images_with_equal_bytes():
    def draw(axes):
        for ax in axes:
            draw_map(ax, np.arange(4.0), np.arange(3.0), np.eye(3, 2), span=(0.0, 1.0), label="",
                     title="")  # fmt: skip

    first, second = (
        render("m", draw, cols=2, size_in=(5.0, 2.0), label="", footer="") for _ in "12"
    )
    assert first == second
    # Two maps and their two scales, whose images may be the same and have no name of their own.
    assert first.count("<image") >= 2
    assert "<image id" not in first


def test_edges_lie_between_points():
    np.testing.assert_allclose(even_edges(np.array([0.5, 1.5, 2.5])), [0, 1, 2, 3])
    edges = log_edges(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(edges, 10.0 ** np.array([-0.5, 0.5, 1.5, 2.5]))


def test_the_cut_of_an_integral_is_marked_with_its_error(ax):
    x = np.linspace(0.0, 2.0, 9)
    draw_running_integral(
        ax, [Curve("beta", x, x)], levels=[], cuts=[(0, 1.5, 20.0, 3.0)], title=""
    )
    marked = [line for line in ax.get_lines() if list(line.get_xdata()) == [1.5]]
    assert {float(line.get_ydata()[0]) for line in marked} == {17.0, 20.0, 23.0}
