"""Spectra of vibrations with their difference, distributions of angles, and running integrals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.curves import Curve
from hopecho.figures.style import GREY, look

Array = NDArray[np.float64]

SEEN = 0.01
"""Share of a curve's maximum below which it is not seen; the axis ends somewhat behind."""


def spectrum_end(curves: Sequence[Curve]) -> float:
    """End of an axis that shows every band of all curves, cm-1, in steps of 50."""
    last = max(float(c.x[c.y > SEEN * c.y.max()][-1]) for c in curves)
    return float(50.0 * np.ceil(1.05 * last / 50.0))


def draw_spectra(
    ax: Axes, curves: Sequence[Curve], *, end_cm1: float, title: str, difference: bool = False
) -> None:
    """Draw densities of states of one element, or differences between them, with error bands.

    Parameters
    ----------
    ax : matplotlib Axes
        Where.
    curves : sequence of Curve
        x in cm-1, y in states per ion and cm-1.
    end_cm1 : float
        End of the axis.
    title : str
        Of the panel.
    difference : bool
        Whether zero is a line within the axis, and not its lower end.
    """
    for curve in curves:
        style = look(curve.index)
        y = 1e3 * curve.y
        ax.plot(curve.x, y, color=style.color, linestyle=style.linestyle, label=curve.label)
        if curve.err is not None:
            err = 1e3 * curve.err
            ax.fill_between(curve.x, y - err, y + err, color=style.color, alpha=0.22, linewidth=0)
    ax.set_xlim(0.0, end_cm1)
    if difference:
        ax.axhline(0.0, color=GREY, linewidth=0.6, linestyle=":")
        largest = max(abs(x) for x in ax.get_ylim())
        ax.set_ylim(-largest, 1.35 * largest)
    else:
        ax.set_ylim(0.0, 1.35 * ax.get_ylim()[1])
    ax.set_xlabel("wavenumber (cm⁻¹)")
    ax.set_ylabel("Δg (10⁻³/cm⁻¹)" if difference else "g (10⁻³/cm⁻¹)")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right")


def draw_distribution(ax: Axes, curves: Sequence[Curve], *, xlabel: str, ylabel: str) -> None:
    """Draw probability densities on top of each other, over the range that holds them."""
    for curve in curves:
        style = look(curve.index)
        ax.plot(curve.x, curve.y, color=style.color, linestyle=style.linestyle, label=curve.label)
        if curve.err is not None:
            low, high = curve.y - curve.err, curve.y + curve.err
            ax.fill_between(curve.x, low, high, color=style.color, alpha=0.22, linewidth=0)
    seen = [c.x[c.y > 2e-3 * c.y.max()] for c in curves]
    ax.set_xlim(min(x[0] for x in seen), max(x[-1] for x in seen))
    ax.set_ylim(0.0, 1.3 * ax.get_ylim()[1])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)


def draw_running_integral(
    ax: Axes,
    curves: Sequence[Curve],
    *,
    levels: Sequence[tuple[int, float]],
    cuts: Sequence[tuple[int, float, float, float]] = (),
    title: str,
) -> None:
    """Draw running Green-Kubo integrals (S/m against ps) with bands, over zero.

    Parameters
    ----------
    ax : matplotlib Axes
        Where.
    curves : sequence of Curve
        One a phase.
    levels : sequence of tuple
        Index of the look, and the conductivity from positions, S/m, where it is resolved.
    cuts : sequence of tuple
        Index of the look, upper limit of the integral (ps), and the value read there with its
        standard error, S/m.
    title : str
        Of the panel.
    """
    for curve in curves:
        style = look(curve.index)
        ax.plot(curve.x, curve.y, color=style.color, linestyle=style.linestyle, label=curve.label)
        if curve.err is not None:
            low, high = curve.y - curve.err, curve.y + curve.err
            ax.fill_between(curve.x, low, high, color=style.color, alpha=0.22, linewidth=0)
    for index, level in levels:
        ax.axhline(level, color=look(index).color, linewidth=1.0, linestyle=":")
    for index, cut, value, err in cuts:
        style = look(index)
        ax.errorbar(cut, value, yerr=err, color="black", marker=style.marker, markersize=4.0,
                    capsize=2.5, zorder=4)  # fmt: skip
    ax.axhline(0.0, color=GREY, linewidth=0.6)
    ax.set_xlim(0.0, max(float(c.x[-1]) for c in curves))
    ax.set_xlabel("upper limit of the integral (ps)")
    ax.set_ylabel("running σ (S/m)")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right")
