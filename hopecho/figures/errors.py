"""Errors of the models and cost: parity, convergence of the rounds, orientations, hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.style import GREY, look, plain_log

Array = NDArray[np.float64]

SEE_ALL = 1200
"""More points than these are drawn as one image instead of one mark each."""


def draw_parity(
    ax: Axes,
    true: Array,
    predicted: Array,
    *,
    label: str,
    unit: str,
    index: int = 0,
    band: float | None = None,
    title: str = "",
) -> None:
    """Draw predicted against true values with the diagonal and the RMSE.

    Parameters
    ----------
    true, predicted : ndarray
        (n,), in `unit`.
    label, unit : str
        Of both axes.
    index : int
        Of the look.
    band : float, optional
        Half width of a band along the diagonal, in `unit`.
    title : str
        Above the panel.
    """
    both = np.concatenate([true, predicted])
    margin = 0.05 * max(float(np.ptp(both)), 1e-9)
    ends = np.array([both.min() - margin, both.max() + margin])
    if band is not None:
        ax.fill_between(ends, ends - band, ends + band, color="#e6e6e6", linewidth=0, zorder=0)
        # The band's name stands where few points are.
        ax.text(
            0.97, 0.04, f"band: ±{band:g} {unit}", transform=ax.transAxes, ha="right", fontsize=6.5
        )
    ax.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
    style = look(index)
    ax.plot(
        true,
        predicted,
        linestyle="none",
        marker=style.marker,
        markersize=2.2,
        markeredgewidth=0,
        color=style.color,
        alpha=0.5 if true.size > 50 else 0.9,
        rasterized=true.size > SEE_ALL,
        zorder=2,
    )
    rmse = float(np.sqrt(np.mean((predicted - true) ** 2)))
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_aspect("equal", adjustable="box")
    ax.locator_params(nbins=4)
    ax.set_xlabel(f"true {label} ({unit})")
    ax.set_ylabel(f"predicted ({unit})")
    head = f"{title}\n" if title else ""
    ax.set_title(f"{head}RMSE {rmse:.3g} {unit}", loc="left", fontsize=7.5)


def draw_convergence(
    ax: Axes,
    rounds: Sequence[int],
    errors: Mapping[str, Sequence[float | None]],
    *,
    ylabel: str,
    target: float | None = None,
    title: str = "",
) -> None:
    """Draw errors against the round of the loop on a log axis, with the target.

    Parameters
    ----------
    rounds : sequence of int
        Rounds, in order.
    errors : mapping
        Name of the curve -> one value a round, None where it was not measured.
    ylabel, title : str
        Of the axis and of the panel.
    target : float, optional
        Upper limit that was asked for.
    """
    for k, (name, values) in enumerate(errors.items()):
        known = [(r, v) for r, v in zip(rounds, values, strict=True) if v is not None and v > 0]
        style = look(k)
        ax.plot(
            [r for r, _ in known],
            [v for _, v in known],
            color=style.color,
            linestyle=style.linestyle,
            marker=style.marker,
            label=name,
        )
    if target is not None:
        ax.axhline(target, color="black", linewidth=0.8, linestyle=":", label="target")
    ax.set_yscale("log")
    ax.set_xticks(list(rounds))
    ax.set_xlim(min(rounds) - 0.3, max(rounds) + 0.3)
    ax.set_xlabel("round")
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left")
    plain_log(ax.yaxis)


def random_overlap_cdf(x: Array) -> Array:
    r"""Share of random pairs of tensors whose quaternion overlap is below x.

    The overlap is the largest of four |components| of a random unit quaternion. For
    :math:`x \ge 1/\sqrt 2` no two components exceed x together, so that
    :math:`F = 1 - (8/\pi) (\arccos x - x \sqrt{1 - x^2})`.

    Parameters
    ----------
    x : ndarray
        (n,), from 1/sqrt(2) to 1.
    """
    return np.asarray(1.0 - 8.0 / np.pi * (np.arccos(x) - x * np.sqrt(1.0 - x**2)))


def random_frobenius_cdf(x: Array) -> Array:
    r"""Share of random pairs of tensors whose Frobenius overlap is below x.

    The overlap is the cosine of two random directions in five dimensions,
    :math:`F = 1/2 + (3/4) (x - x^3/3)`.

    Parameters
    ----------
    x : ndarray
        (n,), from -1 to 1.
    """
    return np.asarray(0.5 + 0.75 * (x - x**3 / 3.0))


def draw_frobenius_cdf(ax: Axes, overlaps: Mapping[str, tuple[Array, Array]]) -> None:
    """Draw the share of tensors below a Frobenius overlap, and that of random pairs.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    overlaps : mapping
        Name -> (overlap (n,), cumulative share (n,)).
    """
    for k, (name, (x, share)) in enumerate(overlaps.items()):
        style = look(k)
        # Most overlaps are near 1: a log axis of the distance from it shows them.
        away = np.maximum(1.0 - x, 1e-6)
        ax.plot(away, 1.0 - share, color=style.color, linestyle=style.linestyle, label=name)
    away = np.geomspace(1e-5, 2.0, 200)
    random = 1.0 - random_frobenius_cdf(1.0 - away)
    ax.plot(away, random, color=GREY, linestyle="-.", label="random pairs (exact)")
    ax.set_xscale("log")
    ax.set_xlim(1e-5, 2.0)
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("1 − Tr(VW)/(|V||W|) of predicted and true tensor")
    ax.set_ylabel("share of tensors closer")


def draw_orientation_cdf(
    ax: Axes, overlaps: Mapping[str, tuple[Array, Array]], *, threshold: float = 0.9
) -> None:
    """Draw the share of tensors below a quaternion overlap, and that of random pairs.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    overlaps : mapping
        Name -> (overlap (n,), cumulative share (n,)).
    threshold : float
        Overlap that is marked.
    """
    for k, (name, (x, share)) in enumerate(overlaps.items()):
        style = look(k)
        ax.plot(x, share, color=style.color, linestyle=style.linestyle, label=name)
    x = np.linspace(np.sqrt(0.5), 1.0, 200)
    ax.plot(x, random_overlap_cdf(x), color=GREY, linestyle="-.", label="random pairs (exact)")
    ax.axvline(threshold, color="black", linewidth=0.7, linestyle=":", label=f"q·q = {threshold}")
    ax.set_xlim(float(np.sqrt(0.5)), 1.0)
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("quaternion overlap q·q of predicted and true tensor")
    ax.set_ylabel("share of tensors below")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)


def draw_cost(ax: Axes, rules: Sequence[str], cpu_s: Sequence[float]) -> None:
    """Draw CPU time of the stages as bars, the dearest on top, each with its share of the sum.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    rules : sequence of str
        Stages; those of less than 0.1 s are left out.
    cpu_s : sequence of float
        CPU time of each, s.
    """
    kept = sorted((s, rule) for rule, s in zip(rules, cpu_s, strict=True) if s >= 0.1)
    largest = kept[-1][0] if kept else 0.0
    unit, seconds = ("h", 3600.0) if largest >= 3600.0 else ("min", 60.0)
    unit, seconds = (unit, seconds) if largest >= 60.0 else ("s", 1.0)
    widths = [s / seconds for s, _ in kept]
    ax.barh([rule for _, rule in kept], widths, color=look(0).color, height=0.7)
    total = sum(s for s, _ in kept)
    for row, (s, _) in enumerate(kept):
        share = 100.0 * s / total
        text = f" {share:.0f} %" if share >= 1.0 else " < 1 %"
        ax.text(s / seconds, row, text, va="center", fontsize=6.5)
    ax.margins(y=0.01)
    ax.set_xlim(0.0, 1.15 * max(widths, default=1.0))
    ax.set_xlabel(f"CPU time ({unit})")
    ax.tick_params(axis="y", length=0)
