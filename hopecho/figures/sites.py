"""Sites and single ions: distributions of couplings, traces with hops, angles, chosen ions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.style import GREY, look, plain_log

Array = NDArray[np.float64]


def draw_histograms(
    ax: Axes, densities: Mapping[str, tuple[Array, Array]], *, label: str, title: str = ""
) -> None:
    """Draw distributions of a coupling, one outline a kind of site.

    Parameters
    ----------
    densities : mapping
        Kind -> middles of the bins (kHz) and density (1/kHz).
    label : str
        Of the x axis, without unit.
    """
    for k, (kind, (x, density)) in enumerate(densities.items()):
        style = look(k)
        ax.fill_between(x, density, step="mid", color=style.color, alpha=0.2, linewidth=0)
        ax.step(x, density, where="mid", color=style.color, linestyle=style.linestyle, label=kind)
    # Room for the legend.
    ax.set_ylim(0.0, 1.3 * max(float(d.max()) for _, d in densities.values()))
    ax.set_xlabel(f"{label} (kHz)")
    ax.set_ylabel("density (1/kHz)")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right")


def draw_trace(ax: Axes, time_ps: Array, value: Array, hops: Array, *, index: int = 0) -> None:
    """Draw the coupling of one ion against time; a grey line for each hop.

    Parameters
    ----------
    time_ps, value : ndarray (n,)
        Time, ps, and coupling, kHz.
    hops : ndarray (n,)
        Hops since the point before.
    index : int
        Of the look.
    """
    for t in time_ps[hops > 0]:
        ax.axvline(t, color=GREY, linewidth=0.5, alpha=0.6, zorder=0)
    ax.plot(time_ps, value, color=look(index).color, linewidth=0.8)
    ax.set_xlim(float(time_ps[0]), float(time_ps[-1]))
    ax.set_xlabel("time (ps)")
    ax.set_ylabel("$|C_Q|$ (kHz)")


def draw_single_ions(
    ax: Axes,
    ions: Sequence[tuple[str, Array, Array]],
    average: tuple[Array, Array],
    *,
    kinds: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draw the correlation function of every ion, coloured by its starting site, and their mean.

    Parameters
    ----------
    ions : sequence of (kind, lag_ps, acf)
        Each (n_lags,), kHz^2.
    average : (lag_ps, acf)
        Over all ions.
    kinds : sequence of str
        Kinds in the order of their colours; those of `ions` if left out.
    """
    kinds = kinds or sorted({kind for kind, _, _ in ions})
    alpha = min(0.6, 40.0 / len(ions))
    for kind, lag, acf in ions:
        keep, style = lag > 0, look(kinds.index(kind))
        ax.plot(
            lag[keep], acf[keep], color=style.color, linewidth=0.4, alpha=alpha, rasterized=True
        )
    lag, acf = average
    ax.plot(lag[lag > 0], acf[lag > 0], color="black", linewidth=1.4)
    for k, kind in enumerate(kinds):
        ax.plot([], [], color=look(k).color, label=f"starts on {kind}" if len(kinds) > 1 else kind)
    ax.plot([], [], color="black", label="mean")
    ax.axhline(0.0, color=GREY, linewidth=0.5, linestyle=":")
    ax.set_xscale("log")
    plain_log(ax.xaxis)
    ax.set_xlabel("lag time t (ps)")
    ax.set_ylabel(r"$\langle\delta|C_Q|(0)\,\delta|C_Q|(t)\rangle$ (kHz²)")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right")


def draw_angles(ax: Axes, theta_deg: Array, phi_deg: Array, density: Array, *, title: str) -> None:
    """Draw a map of the field's angles in the principal axes; 1 is random, the scale ends at 5."""
    thetas, phis = np.unique(theta_deg), np.unique(phi_deg)
    grid = np.empty((thetas.size, phis.size))
    grid[np.searchsorted(thetas, theta_deg), np.searchsorted(phis, phi_deg)] = density
    image = ax.imshow(
        grid.T, origin="lower", extent=(0, 90, 0, 90), cmap="viridis", vmin=0.0, vmax=5.0
    )
    ax.set_xlabel("θ (°)")
    ax.set_ylabel("φ (°)")
    ax.set_xticks([0, 30, 60, 90])
    ax.set_yticks([0, 30, 60, 90])
    ax.set_title(title, loc="left")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, extend="max")
    bar.set_label("density / random", fontsize=7.0)


def draw_groups(
    ax: Axes,
    groups: Sequence[tuple[str, Array, Array, Array]],
    *,
    predicted: tuple[Array, Array] | None = None,
    title: str = "",
) -> None:
    """Draw correlation functions of groups of ions, and that of jumps without memory.

    Parameters
    ----------
    groups : sequence of (label, lag_ps, acf, error)
        Each (n_lags,), divided by its value at lag 0.
    predicted : (lag_ps, acf), optional
        From the jump matrix and the site tensors.
    """
    for k, (label, lag, acf, err) in enumerate(groups):
        keep, style = lag > 0, look(k)
        ax.plot(lag[keep], acf[keep], color=style.color, linestyle=style.linestyle, label=label)
        low, high = (acf - err)[keep], (acf + err)[keep]
        ax.fill_between(lag[keep], low, high, color=style.color, alpha=0.18, linewidth=0)
    if predicted is not None:
        ax.plot(*predicted, color="black", linewidth=0.9, linestyle=(0, (1, 1)), label="from jumps")
    ax.set_xscale("log")
    plain_log(ax.xaxis)
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
    ax.set_xlabel("lag time t (ps)")
    ax.set_ylabel("powder ACF  C(t)/C(0)")
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right")
