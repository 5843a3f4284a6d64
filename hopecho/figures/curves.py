"""Curves against lag or distance: correlation functions, displacements, pair distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hopecho.figures.style import GREY, look, plain_log

Array = NDArray[np.float64]

FIT_LINES = {"exponential": (0, (4, 2)), "stretched": (0, (1, 1))}
FIT_NAMES = {"exponential": "fit, γ = 1", "stretched": "fit, γ free"}


@dataclass(frozen=True)
class Curve:
    """One curve with its error band."""

    label: str
    x: Array
    y: Array
    """(n,)."""
    err: Array | None = None
    """(n,), one standard error."""
    index: int = 0
    """Of the look."""


@dataclass(frozen=True)
class Decay:
    """A correlation function, divided by its value at lag 0, and its fits."""

    curve: Curve
    fits: Mapping[str, Mapping[str, float]]
    """``exponential`` and ``stretched``: amplitude, plateau_b2, tau_ns, stretch_gamma."""
    fitted_from_ps: float | None
    """First lag of the fits, ps; None if not known."""


def decay_curve(fit: Mapping[str, float], lag_ps: Array) -> Array:
    r"""Return :math:`A\{b^2 + (1 - b^2) \exp[-(t/\tau)^\gamma]\}` of a fit at lags in ps."""
    decaying = np.exp(-((lag_ps / (1e3 * fit["tau_ns"])) ** fit["stretch_gamma"]))
    b2 = fit["plateau_b2"]
    return np.asarray(fit["amplitude"] * (b2 + (1.0 - b2) * decaying))


def draw_decays(ax: Axes, decays: Sequence[Decay], *, ylabel: str, title: str = "") -> None:
    """Draw correlation functions against log lag with bands, fits and the region of the fit.

    Lag 0, where every curve is 1, has no place on a log axis.
    """
    starts = [d.fitted_from_ps for d in decays if d.fitted_from_ps is not None]
    last = max(float(d.curve.x[-1]) for d in decays)
    for decay in decays:
        _band(ax, decay.curve, positive=True, marker=True)
        first = decay.fitted_from_ps or float(decay.curve.x[decay.curve.x > 0][0])
        lags = np.geomspace(first, decay.curve.x[-1], 120)
        for name, fit in decay.fits.items():
            ax.plot(
                lags,
                decay_curve(fit, lags),
                color="black",
                linestyle=FIT_LINES[name],
                linewidth=0.9,
                label="_fit",
                zorder=3,
            )
    ax.set_xscale("log")
    low = min(0.0, *(float((d.curve.y - _error(d.curve)).min()) for d in decays))
    ax.set_ylim(low, 1.05)
    ax.set_xlim(right=last)
    if starts:
        ax.axvspan(min(starts), last, color="#f1f1f1", zorder=0, linewidth=0)
    ax.set_xlabel("lag time t (ps)")
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left")
    plain_log(ax.xaxis)
    _decay_legend(ax, decays)


def _decay_legend(ax: Axes, decays: Sequence[Decay]) -> None:
    handles = [h for h in ax.get_lines() if not str(h.get_label()).startswith("_")]
    names = [n for n in FIT_LINES if any(n in d.fits for d in decays)]
    handles += [
        Line2D([], [], color="black", linestyle=FIT_LINES[n], linewidth=0.9, label=FIT_NAMES[n])
        for n in names
    ]
    shade = Line2D([], [], color="#e2e2e2", linewidth=5, label="fitted lags; bands ±1 s.e.")
    ax.legend(handles=[*handles, shade], loc="upper right", bbox_to_anchor=(1.0, 1.04))


def _error(curve: Curve) -> Array:
    return np.zeros_like(curve.y) if curve.err is None else curve.err


def _band(ax: Axes, curve: Curve, *, positive: bool, marker: bool = False) -> None:
    """Draw line and band; with `positive`, only where x (and on log axes y) is above zero."""
    style = look(curve.index)
    keep = curve.x > 0 if positive else np.ones(curve.x.size, dtype=bool)
    every = max(1, int(keep.sum()) // 12)
    ax.plot(
        curve.x[keep],
        curve.y[keep],
        color=style.color,
        linestyle=style.linestyle,
        marker=style.marker if marker else None,
        markevery=every,
        label=curve.label,
    )
    if curve.err is not None:
        low, high = curve.y - curve.err, curve.y + curve.err
        ax.fill_between(
            curve.x[keep], low[keep], high[keep], color=style.color, alpha=0.22, linewidth=0
        )


def draw_displacements(
    ax: Axes, curves: Sequence[Curve], *, title: str = "", guide: bool = True
) -> None:
    """Draw mean square displacements on log axes, with a guide of slope 1 (diffusion)."""
    drawn = []
    for curve in curves:
        keep = (curve.x > 0) & (curve.y > 0)
        if not keep.any():
            continue
        err = _error(curve)[keep]
        y = curve.y[keep]
        # A band that reaches zero has no end on a log axis.
        floor = np.maximum(y - err, 0.02 * y)
        style = look(curve.index)
        ax.plot(curve.x[keep], y, color=style.color, linestyle=style.linestyle, label=curve.label)
        ax.fill_between(curve.x[keep], floor, y + err, color=style.color, alpha=0.22, linewidth=0)
        drawn.append((curve.x[keep], y))
    ax.set_xscale("log")
    ax.set_yscale("log")
    if guide and drawn:
        _slope_guide(ax, drawn)
    ax.set_xlabel("lag time t (ps)")
    ax.set_ylabel("MSD (Å²)")
    ax.set_title(title, loc="left")
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    if drawn:
        ax.legend(loc="upper left")


def _slope_guide(ax: Axes, drawn: Sequence[tuple[Array, Array]]) -> None:
    """Put a line of slope 1 a factor 1.6 above the highest curve, over the last decade of lags."""
    x, y = max(drawn, key=lambda xy: float(xy[1][-1]))
    lags = np.array([max(x[0], x[-1] / 10.0), x[-1]])
    top = np.interp(lags, x, y)
    factor = 1.6 * float((top / lags).max())
    ax.plot(lags, factor * lags, color=GREY, linewidth=0.8, linestyle=":", label="slope 1")


def draw_pair_distributions(ax: Axes, curves: Sequence[Curve], *, title: str) -> None:
    """Draw g(r) of one pair of elements, several phases on top of each other."""
    for curve in curves:
        style = look(curve.index)
        ax.plot(
            curve.x,
            curve.y,
            color=style.color,
            linestyle=style.linestyle,
            linewidth=1.0,
            label=curve.label,
        )
    ax.axhline(1.0, color=GREY, linewidth=0.6, linestyle=":")
    start = min((float(c.x[c.y > 0.02][0]) for c in curves if (c.y > 0.02).any()), default=0.0)
    ax.set_xlim(max(0.0, start - 0.5), max(float(c.x[-1]) for c in curves))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("r (Å)")
    ax.set_ylabel("g(r)")
    ax.set_title(title, loc="left")


def draw_van_hove(ax: Axes, curves: Sequence[Curve], *, distinct: bool, title: str) -> None:
    """Draw one part of the van Hove function against distance, one line for each lag."""
    for curve in curves:
        style = look(curve.index)
        ax.plot(
            curve.x,
            curve.y,
            color=style.color,
            linestyle=style.linestyle,
            linewidth=1.0,
            label=curve.label,
        )
    if distinct:
        ax.axhline(1.0, color=GREY, linewidth=0.6, linestyle=":")
    ax.set_xlim(0.0, max(float(c.x[-1]) for c in curves))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("r (Å)")
    ax.set_ylabel("$G_d$(r, t)" if distinct else "4πr²$G_s$(r, t) (1/Å)")
    ax.set_title(title, loc="left")
