"""The numbers that figures of the echo draw."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopecho.figures.echo import (
    Echo,
    Member,
    TimePoint,
    draw_densities,
    draw_echo_plateaus,
    draw_echoes,
    draw_family,
    draw_strides,
    draw_times,
)
from hopecho.figures.sites import draw_single_ions


@pytest.fixture
def ax():
    return Figure().subplots()


TM = np.array([1.0, 10.0, 100.0])
ECHOES = [
    Echo("frozen", 20.0, TM, np.full(3, 0.3)),
    Echo("frozen", 10.0, TM, np.full(3, 0.2)),
    Echo("exchange", 10.0, TM, np.array([0.2, 0.1, 0.05])),
]


def words(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_colour_is_the_evolution_time_and_line_style_the_route(ax):
    draw_echoes(ax, ECHOES, title="x")
    lines = ax.get_lines()
    assert [line.get_ydata()[-1] for line in lines] == [0.3, 0.2, 0.05]
    assert lines[1].get_color() == lines[2].get_color() != lines[0].get_color()
    assert lines[0].get_linestyle() == lines[1].get_linestyle()
    assert words(ax) == ["$t_p$ = 10 µs", "$t_p$ = 20 µs"]


def test_plateaus_are_the_last_values_in_order_of_tp(ax):
    draw_echo_plateaus(ax, ECHOES, {"frozen": "as in the run"})
    first, second = ax.get_lines()[:2]
    assert first.get_xdata().tolist() == [10.0, 20.0]
    assert first.get_ydata().tolist() == [0.2, 0.3]
    assert second.get_ydata().tolist() == [0.05]
    assert words(ax) == ["as in the run", "exchange"]


def test_densities_have_a_line_at_each_larmor_frequency_and_twice_it(ax):
    nu = np.array([1.0, 10.0, 100.0])
    draw_densities(ax, [("300 K", nu, nu**-1, nu**-1 - 0.05)], larmor_mhz=[116.0])
    fit, points, *marks = ax.get_lines()
    assert fit.get_ydata() == pytest.approx(1 / nu)
    assert points.get_xdata().tolist() == [1.0, 10.0]  # what is not positive has no place
    assert [m.get_xdata()[0] for m in marks] == [116.0, 232.0]
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_the_family_is_marked_as_a_model(ax):
    t = np.geomspace(1e-3, 1e10, 5)
    family = [Member("glass", t, np.exp(-t), None), Member("polycrystal", t, np.exp(-t / 1e6), 1.0)]
    draw_family(ax, family, title="300 K")
    assert "model" in [text.get_text() for text in ax.texts]
    assert words(ax) == ["glass", "polycrystal", "grains left in 1 ms"]


def test_rates_against_the_stride_have_their_intervals(ax):
    x = np.array([1.0, 10.0])
    draw_strides(ax, [("300 K", x, 5 / x, 4 / x, 7 / x)])
    (bars,) = ax.containers
    ends = [segment[:, 1] for segment in bars.lines[2][0].get_segments()]
    assert ends[1] == pytest.approx([0.4, 0.7])


def test_single_ions_are_coloured_by_their_start(ax):
    lag = np.array([0.0, 1.0, 10.0])
    rows = [("LiS6", lag, lag + 1), ("LiS4", lag, lag + 2), ("LiS6", lag, lag + 3)]
    draw_single_ions(ax, rows, (lag, lag + 2))
    lines = ax.get_lines()
    assert lines[0].get_color() == lines[2].get_color() != lines[1].get_color()
    assert lines[0].get_xdata().tolist() == [1.0, 10.0]
    assert words(ax) == ["starts on LiS4", "starts on LiS6", "mean"]


def test_times_are_values_bounds_and_a_line_through_the_values(ax):
    values = [TimePoint(300.0, 2.0, 1.5, 2.5), TimePoint(400.0, 0.5, 0.4, 0.6)]
    slope = np.log(4.0) / (1 / 300 - 1 / 400)
    line = (slope, np.log(2.0) - slope / 300)
    bounds = [TimePoint(300.0, None, 9.0, None), TimePoint(400.0, None, None, 0.1)]
    open_ = [(0, TimePoint(300.0, 3.0, 2.0, 4.0))]
    draw_times(ax, [("glass", values, line), ("beta", bounds, None)], predicted=open_)
    (fit,) = [x for x in ax.get_lines() if len(x.get_xdata()) == 20]
    assert fit.get_xdata()[[0, -1]] == pytest.approx([2.5, 1000 / 300])
    assert fit.get_ydata()[[0, -1]] == pytest.approx([0.5, 2.0])
    assert len(ax.containers) == 5
    assert words(ax) == ["glass", "beta", "from jumps"]
