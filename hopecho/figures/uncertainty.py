"""Predicted uncertainty: calibration curve, error against leverage, learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.style import GREY, look, plain_log

Array = NDArray[np.float64]


def draw_calibration(
    ax: Axes, levels: Sequence[float], observed: Mapping[str, Sequence[float]], *, title: str = ""
) -> None:
    """Draw the share of errors inside the predicted interval against its nominal level.

    Below the diagonal the predicted widths are too small. The interval of one sigma is marked.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    levels : sequence of float
        Nominal levels, 0 to 1.
    observed : mapping
        Name of the curve -> one share a level.
    title : str
        Above the panel.
    """
    ax.plot([0.0, 1.0], [0.0, 1.0], color=GREY, linewidth=0.8, label="exact", zorder=1)
    for k, (name, shares) in enumerate(observed.items()):
        style = look(k)
        ax.plot(
            [0.0, *levels, 1.0],
            [0.0, *shares, 1.0],
            color=style.color,
            linestyle=style.linestyle,
            marker=style.marker,
            markevery=slice(1, len(levels) + 1),
            label=name,
        )
    ax.axvline(0.6827, color="black", linewidth=0.7, linestyle=":", label="one sigma")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, 1.0)
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel("level of the predicted interval")
    ax.set_ylabel("share of errors inside")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper left")


def draw_error_against_leverage(
    ax: Axes, bins: Mapping[str, Mapping[str, Array]], *, title: str = ""
) -> None:
    """Draw binned force errors and the predicted width against leverage, on log axes.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    bins : mapping
        Element -> ``leverage``, ``rmse``, ``stderr`` and, for the line, ``sigma``, (n_bins,) each;
        widths and errors in eV/A.
    title : str
        Above the panel.
    """
    for k, (name, own) in enumerate(bins.items()):
        style = look(k)
        ax.errorbar(
            own["leverage"],
            own["rmse"],
            yerr=own["stderr"],
            color=style.color,
            linestyle="none",
            marker=style.marker,
            label=name,
        )
        if "sigma" in own:
            ax.plot(
                own["leverage"],
                own["sigma"],
                color=style.color,
                linestyle=style.linestyle,
                label=f"_{name} predicted",
            )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("leverage h (distance from the training data)")
    ax.set_ylabel("force error (eV/Å)")
    ax.set_title(title, loc="left")
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    ax.legend(loc="upper left", title="points: RMSE; lines: predicted", title_fontsize=7.0)


def draw_learning_curve(
    ax: Axes,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: str = "rmse_force",
    ylabel: str = "force RMSE (eV/Å)",
    title: str = "",
    count: str = "n_structures",
    xlabel: str = "training structures",
) -> None:
    """Draw an error against the size of the training set: each fit, mean and range of the seeds.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    rows : sequence of mapping
        As from `ufp.uncertainty.learning_curve`: `count` and `key`.
    key, ylabel : str
        Error and the name of its axis.
    title : str
        Above the panel.
    count, xlabel : str
        Size of the training set and the name of its axis.
    """
    counts = np.array([row[count] for row in rows])
    errors = np.array([row[key] for row in rows])
    sizes = np.unique(counts)
    style = look(0)
    ends = np.array([(errors[counts == n].min(), errors[counts == n].max()) for n in sizes])
    ax.fill_between(
        sizes, *ends.T, color=style.color, alpha=0.15, linewidth=0, label="range of the seeds"
    )
    ax.plot(counts, errors, color=GREY, linestyle="none", marker=".", label="one fit")
    ax.plot(
        sizes,
        [errors[counts == size].mean() for size in sizes],
        color=style.color,
        marker=style.marker,
        label="mean of the seeds",
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left")
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    ax.legend(loc="upper right")
