"""One style for every figure, and figures as text that can stand inside a page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMN_IN = 3.4
"""Width of one panel, inch."""

WIDE_IN = 2.0 * COLUMN_IN + 0.2
"""Width of two panels side by side, inch."""

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "#666666"

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "axes.titlesize": 8.0,
        "axes.labelsize": 8.0,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.0,
        "legend.frameon": False,
        "legend.handlelength": 2.4,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "lines.linewidth": 1.2,
        "lines.markersize": 3.5,
        "mathtext.fontset": "dejavusans",
        "savefig.dpi": 200,
        "svg.fonttype": "path",
        "svg.hashsalt": "hopecho",
    }
)


class Look(NamedTuple):
    """Colour, line style and marker that always go together."""

    color: str
    linestyle: Any
    marker: str


def look(index: int) -> Look:
    """Return the look of the n-th series, in a fixed order."""
    k = index % len(OKABE_ITO)
    return Look(OKABE_ITO[k], LINES[k], MARKERS[k])


def plain_log(axis: Any) -> None:
    """Label a log axis with plain numbers; if it spans little, also between the decades."""
    low, high = sorted(axis.get_view_interval())
    if low < 1e-3 or high > 1e5:
        return
    decades = math.log10(high / low)
    subs = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 1.1 else (1, 1.5, 2, 3, 5, 7)
    axis.set_major_locator(ticker.LogLocator(subs=subs))
    axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def render(
    name: str,
    draw: Callable[..., None],
    *,
    rows: int = 1,
    cols: int = 1,
    size_in: tuple[float, float] = (COLUMN_IN, 2.5),
    label: str,
    footer: str,
    **options: Any,
) -> str:
    """Draw a figure and return it as SVG text for a page.

    Equal data give equal bytes; the text refers to nothing outside itself, and its identifiers
    begin with `name`, so that several figures can stand in one page.

    Parameters
    ----------
    name : str
        Unique in the page.
    draw : callable
        Called with the axes, a flat list of rows x cols.
    rows, cols : int
        Panels.
    size_in : tuple of float
        Size of the whole figure, inch.
    label : str
        What the figure shows, for readers that do not see it.
    footer : str
        Small print below the panels, such as the source of the labels.
    options
        For `Figure.subplots`.
    """
    rc: Any = dict(STYLE)
    with mpl.rc_context(rc):
        figure = Figure(figsize=size_in, layout="constrained")
        axes = figure.subplots(rows, cols, squeeze=False, **options)
        draw(list(axes.ravel()))
        figure.supxlabel(footer, fontsize=6.5, color=GREY, x=0.99, ha="right", parse_math=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return _inline(text.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> str:
    """Strip what only a file of its own needs, and make the identifiers unique in a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href=", "href=")
    # Images are named by their content, and two maps of one figure may hold the same.
    svg = re.sub(r'(<image\b[^>]*?) id="[^"]+"', r"\1", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    safe = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    width = re.findall(r'\bwidth="([\d.]+)pt"', svg)[0]
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1)
    # 8 pt become 16 px at most.
    limit = f"max-width:{2.0 * float(width):.0f}px"
    opening = f'<svg role="img" aria-label="{safe}" style="{limit}"'
    return svg.replace("<svg", opening, 1).strip()


def hide_unused(axes: list[Axes], n_used: int) -> None:
    """Leave panels beyond the last one used empty."""
    for ax in axes[n_used:]:
        ax.set_axis_off()
