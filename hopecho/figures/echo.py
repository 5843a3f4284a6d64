"""The echo itself, and what stands around the decay: spectral density, grains, strides of hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hopecho.figures.style import GREY, LINES, look, plain_log

Array = NDArray[np.float64]

ROUTE_MARKS = ("o", "s", "^", "D", "v", "P")
ECHO_FROM_NS = 1e4
"""Shortest time that an echo resolves, ns."""


class Echo(NamedTuple):
    """S2 against the mixing time, for one evolution time and route."""

    route: str
    tp_us: float
    tm_us: Array
    s2: Array
    """(n_tm,), absolute."""


def draw_echoes(ax: Axes, echoes: Sequence[Echo], *, title: str) -> None:
    """Draw S2 against the mixing time: a colour for each tp, a line style for each route."""
    times = sorted({e.tp_us for e in echoes})
    routes = list(dict.fromkeys(e.route for e in echoes))
    for e in echoes:
        ax.plot(
            e.tm_us,
            e.s2,
            color=look(times.index(e.tp_us)).color,
            linestyle=LINES[routes.index(e.route) % len(LINES)],
        )
    ax.set_xscale("log")
    top = max(float(e.s2.max()) for e in echoes)
    # Room for the legend.
    ax.set_ylim(min(0.0, *(float(e.s2.min()) for e in echoes)), 1.4 * max(top, 1e-3))
    ax.set_xlabel("mixing time $t_m$ (µs)")
    ax.set_ylabel("S₂, absolute")
    ax.set_title(title, loc="left")
    handles = [
        Line2D([], [], color=look(k).color, label=f"$t_p$ = {t:g} µs") for k, t in enumerate(times)
    ]
    ax.legend(handles=handles, loc="upper right", ncols=2)


def draw_echo_plateaus(ax: Axes, echoes: Sequence[Echo], names: Mapping[str, str]) -> None:
    """Draw S2 at the longest mixing time against tp, one line for each route."""
    for k, route in enumerate(dict.fromkeys(e.route for e in echoes)):
        own = sorted((e.tp_us, float(e.s2[-1])) for e in echoes if e.route == route)
        x, y = np.array(own).T
        ax.plot(
            x,
            y,
            color="black",
            linestyle=LINES[k % len(LINES)],
            marker=ROUTE_MARKS[k % len(ROUTE_MARKS)],
            markerfacecolor="white",
            label=names.get(route, route),
        )
    ax.axhline(0.45, color=GREY, linewidth=0.6, linestyle=":")
    ax.set_ylim(0.0, 0.47)
    ax.set_xlabel("evolution time $t_p$ (µs)")
    ax.set_ylabel("S₂ at the longest $t_m$")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, 0.95))


def draw_densities(
    ax: Axes,
    curves: Sequence[tuple[str, Array, Array, Array]],
    *,
    larmor_mhz: Sequence[float],
    title: str = "",
) -> None:
    """Draw spectral densities on log axes: the fit as a line, the curve's own as points.

    Parameters
    ----------
    curves : sequence of (label, frequency in MHz, J of the fit in ps, J without a fit in ps)
        Each (n,); what is not positive is not drawn.
    larmor_mhz : sequence of float
        Larmor frequencies; lines there and at twice them.
    """
    for k, (label, nu, fit, measured) in enumerate(curves):
        style, seen = look(k), measured > 0.0
        ax.plot(nu, fit, color=style.color, linestyle=style.linestyle, label=label)
        ax.plot(
            nu[seen], measured[seen], color=style.color, linestyle="none", marker=style.marker,
            markersize=2.2, markerfacecolor="white",
        )  # fmt: skip
    for nu in larmor_mhz:
        for factor, dash in ((1.0, "-"), (2.0, ":")):
            ax.axvline(factor * nu, color=GREY, linewidth=0.6, linestyle=dash, zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("frequency (MHz)")
    ax.set_ylabel("J(ω)/C(0) (ps)")
    ax.set_title(title, loc="left")
    if curves:
        ax.legend(loc="lower left")


class Member(NamedTuple):
    """One curve of the model of grains."""

    name: str
    time_ns: Array
    acf: Array
    exchange_ms: float | None


def draw_family(ax: Axes, members: Sequence[Member], *, title: str) -> None:
    """Draw decays from glass to single crystal; the times that an echo resolves are shaded."""
    names = list(dict.fromkeys(m.name for m in members))
    times = sorted({m.exchange_ms for m in members if m.exchange_ms is not None})
    for m in members:
        style = LINES[0] if m.exchange_ms is None else LINES[1 + times.index(m.exchange_ms) % 4]
        ax.plot(m.time_ns, m.acf, color=look(names.index(m.name)).color, linestyle=style)
    ax.set_xscale("log")
    last = float(members[0].time_ns[-1])
    ax.axvspan(ECHO_FROM_NS, last, color="#f1f1f1", zorder=0, linewidth=0)
    ax.set_xlim(float(members[0].time_ns[0]), last)
    ax.set_ylim(0.0, 1.05)
    ax.set_xlabel("time (ns)")
    ax.set_ylabel("C(t)/C(0), vibrations taken off")
    ax.set_title(title, loc="left")
    handles = [Line2D([], [], color=look(k).color, label=n) for k, n in enumerate(names)]
    handles += [
        Line2D([], [], color=GREY, linestyle=LINES[1 + k % 4], label=f"grains left in {t:g} ms")
        for k, t in enumerate(times)
    ]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    ax.text(0.985, 0.97, "model", transform=ax.transAxes, ha="right", va="top", color=GREY)


def draw_strides(
    ax: Axes, rates: Sequence[tuple[str, Array, Array, Array, Array]], *, title: str = ""
) -> None:
    """Draw hop rates against the stride of the frames, with Poisson intervals.

    Parameters
    ----------
    rates : sequence of (label, stride in ps, rate, lower and upper end in 1/s)
    """
    for k, (label, stride, value, low, high) in enumerate(rates):
        style = look(k)
        ax.errorbar(
            stride, value, yerr=[value - low, high - value], color=style.color,
            linestyle=style.linestyle, marker=style.marker, linewidth=1.0, label=label,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    plain_log(ax.xaxis)
    ax.set_xlabel("time between frames (ps)")
    ax.set_ylabel("hop rate per ion (1/s)")
    ax.set_title(title, loc="left")
    if rates:
        ax.legend(loc="lower left")


class TimePoint(NamedTuple):
    """A decay time, or a bound of it, at one temperature; ns."""

    temperature_k: float
    value: float | None
    low: float | None
    high: float | None


def draw_times(
    ax: Axes,
    phases: Sequence[tuple[str, Sequence[TimePoint], tuple[float, float] | None]],
    *,
    predicted: Sequence[tuple[int, TimePoint]] = (),
) -> None:
    """Draw decay times against 1000/T; arrows are bounds, lines are fits, open marks predictions.

    Parameters
    ----------
    phases : sequence of (label, points, line)
        `line`: activation energy over k_B (K) and ln of the prefactor (ns); None without a fit.
    predicted : sequence of (number of the phase, point)
        From counted jumps.
    """
    for k, (label, points, line) in enumerate(phases):
        style = look(k)
        for p in points:
            _time_mark(ax, p, k, filled=True)
        ax.plot([], [], color=style.color, marker=style.marker, linestyle="none", label=label)
        if line is not None:
            t = np.array([p.temperature_k for p in points if p.value is not None])
            x = np.linspace((1.0 / t).min(), (1.0 / t).max(), 20)
            ax.plot(1e3 * x, np.exp(line[1] + line[0] * x), color=style.color, linewidth=0.9)
    for k, p in predicted:
        _time_mark(ax, p, k, filled=False)
    if predicted:
        ax.plot([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="none",
                label="from jumps")  # fmt: skip
    ax.set_yscale("log")
    ax.margins(x=0.15, y=0.15)
    ax.set_xlabel("1000/T (1/K)")
    ax.set_ylabel("τ (ns)")
    ax.legend(loc="best")


def _time_mark(ax: Axes, p: TimePoint, phase: int, *, filled: bool) -> None:
    color, _, marker = look(phase)
    # A little to the side, that phases do not hide each other.
    x = 1e3 / p.temperature_k * (1.0 + 0.004 * phase)
    style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": "none", "capsize": 2.5}
    style["markerfacecolor"] = color if filled else "white"
    if p.value is not None and p.low is not None and p.high is not None:
        ax.errorbar([x], [p.value], yerr=[[p.value - p.low], [p.high - p.value]], **style)
    elif p.low is not None:
        ax.errorbar([x], [p.low], yerr=[[0.0], [0.8 * p.low]], lolims=True, **style)
    elif p.high is not None:
        ax.errorbar([x], [p.high], yerr=[[0.45 * p.high], [0.0]], uplims=True, **style)
