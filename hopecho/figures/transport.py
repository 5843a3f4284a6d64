"""Mobility: single runs and their mean, temperature series, diffusive windows, and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

from hopecho.figures.curves import Curve
from hopecho.figures.style import GREY, look, plain_log

Array = NDArray[np.float64]

BAND = "#dddddd"


@dataclass(frozen=True)
class Level:
    """What the slopes of all runs together say: an interval, or the upper end of a bound."""

    low: float | None
    high: float
    label: str


@dataclass(frozen=True)
class Series:
    """One quantity of one phase against temperature."""

    label: str
    temperature_k: Array
    """(n,), of resolved values."""
    value: Array
    """(n,)."""
    low: Array
    """(n,), ends of the intervals."""
    high: Array
    """(n,)."""
    limits: Sequence[tuple[float, float]] = ()
    """Temperature and upper bound, where there is no value."""
    line: tuple[Array, Array, Array, Array] | None = None
    """Temperature, value and ends of the interval of the fit."""
    index: int = 0
    """Of the look."""


def draw_window(ax: Axes, window_ps: Sequence[float], *, fit: Curve | None = None) -> None:
    """Shade the lags from which D is read, and draw the line whose slope it is."""
    ax.axvspan(*window_ps, color="#f1f1f1", zorder=0, linewidth=0)
    if fit is not None:
        ax.plot(fit.x, fit.y, color="black", linestyle=(0, (4, 2)), linewidth=0.9, zorder=4,
                label=fit.label)  # fmt: skip


def draw_ions(ax: Axes, lag_ps: Array, low: Array, high: Array, *, label: str) -> None:
    """Draw between which MSDs most single ions lie, as two thin lines."""
    for k, y in enumerate((low, high)):
        ax.plot(lag_ps, y, color=GREY, linewidth=0.6, marker=".", markersize=2.0,
                label=label if k == 0 else "_")  # fmt: skip


def draw_runs(
    ax: Axes,
    runs: Sequence[tuple[Array, Array]],
    mean: tuple[Array, Array],
    *,
    level: Level | None,
    ylabel: str,
    title: str,
    index: int = 0,
) -> None:
    """Draw one line a run and their mean (dashes) on log axes.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    runs : sequence of tuple
        Lag, ps, and value of each run.
    mean : tuple
        The same of the mean.
    level : Level, optional
        What the slopes say, drawn across.
    ylabel, title : str
        Of the panel.
    index : int
        Of the look.
    """
    color = look(index).color
    if level is not None and level.low is not None:
        ax.axhspan(level.low, level.high, color=BAND, linewidth=0, zorder=0, label=level.label)
    elif level is not None:
        ax.axhline(level.high, color=GREY, linewidth=0.9, linestyle=":", label=level.label)
    for k, (lag, y) in enumerate(runs):
        label = f"{len(runs)} runs" if k == 0 else "_"
        ax.plot(lag, y, color=color, linewidth=0.6, alpha=0.6, label=label)
    ax.plot(*mean, color="black", linestyle=(0, (5, 2)), linewidth=1.3, label="mean")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(float(mean[0][0]), float(mean[0][-1]))
    ax.set_xlabel("lag time t (ps)")
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left")
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    ax.legend(loc="upper right")


def draw_series(ax: Axes, series: Sequence[Series], *, ylabel: str, title: str) -> None:
    """Draw quantities against 1000/T, with fits, their intervals, and bounds as arrows."""
    for one in series:
        style = look(one.index)
        if one.line is not None:
            t, y, low, high = one.line
            ax.plot(1e3 / t, y, color=style.color, linestyle=style.linestyle, linewidth=1.0)
            ax.fill_between(1e3 / t, low, high, color=style.color, alpha=0.18, linewidth=0)
        # A bar has no negative length: rounding may put an end a digit inside the value.
        bars = np.maximum([one.value - one.low, one.high - one.value], 0.0)
        ax.errorbar(
            1e3 / one.temperature_k, one.value, yerr=bars, color=style.color,
            marker=style.marker, linestyle="none", label=one.label,
        )  # fmt: skip
        for t_bound, upper in one.limits:
            ax.errorbar(
                1e3 / t_bound, upper, yerr=0.4 * upper, uplims=True, color=style.color,
                capsize=2.5, linestyle="none",
            )  # fmt: skip
    ax.set_yscale("log")
    ax.margins(x=0.06, y=0.12)
    ax.set_xlabel("1000/T (1/K)")
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left")
    plain_log(ax.yaxis)
    ax.legend(loc="best")


def draw_map(
    ax: Axes,
    x_edges: Array,
    y_edges: Array,
    values: Array,
    *,
    span: tuple[float, float],
    label: str,
    title: str,
    log: bool = False,
    middle: bool = False,
) -> None:
    """Draw a map with its scale.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x_edges, y_edges : ndarray
        (n_x + 1,), (n_y + 1,).
    values : ndarray
        (n_x, n_y).
    span : tuple of float
        Ends of the scale.
    label : str
        Of the scale.
    title : str
        Of the panel.
    log : bool
        Whether the scale is logarithmic.
    middle : bool
        Whether the middle of the scale is a value of its own (white), as 1 for ratios.
    """
    norm: Any = LogNorm(*span) if log else Normalize(*span)
    image = ax.pcolormesh(
        x_edges,
        y_edges,
        np.clip(values, span[0], None).T,
        cmap="RdBu_r" if middle else "viridis",
        norm=norm,
        rasterized=True,
    )
    ax.set_title(title, loc="left")
    bar = ax.figure.colorbar(image, ax=ax, extend="both" if log and middle else "max")
    bar.set_label(label, fontsize=7.0)


def log_edges(points: Array) -> Array:
    """Edges between points that are even on a log axis, (n + 1,)."""
    inner = np.sqrt(points[1:] * points[:-1])
    return np.concatenate([[points[0] ** 2 / inner[0]], inner, [points[-1] ** 2 / inner[-1]]])


def even_edges(middles: Array) -> Array:
    """Edges of bins of equal width from their middles, (n + 1,)."""
    half = 0.5 * (middles[1] - middles[0])
    return np.append(middles - half, middles[-1] + half)
