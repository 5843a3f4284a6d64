"""Figures of the field-gradient model: orientations, coordination, learning curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hopecho.figures.errors import draw_frobenius_cdf, draw_orientation_cdf
from hopecho.figures.style import WIDE_IN, render
from hopecho.figures.uncertainty import draw_learning_curve
from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Drawing


def orientations(view: CampaignView, material: str) -> Drawing:
    """Draw how well the tensors are oriented, by quaternions and by the whole tensor."""

    def curves(quantity: str) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        found = {}
        for phase in view.heldout_phases(material):
            cdf = view.summary["heldout"][material][phase]["efg"]["cdf"]
            found[phase] = (np.array(cdf[quantity]), np.array(cdf["level"]))
        return found

    def draw(axes: list[Axes]) -> None:
        draw_orientation_cdf(axes[0], curves("quaternion_overlap"))
        draw_frobenius_cdf(axes[1], curves("frobenius_overlap"))

    name = f"{material}-orientation"
    title = "Orientation of predicted tensors"
    return Drawing(
        name,
        render(name, draw, cols=2, size_in=(WIDE_IN, 2.7), label=title, footer=view.footer),
        title,
        "Left: the lower and further right a curve, the better; what counts is the distance from "
        "random pairs at the dotted line, where 15 % of those lie above. Where two principal "
        "values are nearly equal, axes interchange and the overlap says little. Right: the whole "
        "tensor, which has no such case; the further left a curve, the better.",
        [f"{material}/heldout/errors.json"],
        wide=True,
    )


def efg_learning(view: CampaignView, material: str) -> Drawing:
    """Draw held-out errors of the tensors against the number of training tensors."""
    path = f"{material}/heldout/efg_learning_curve.csv"
    found = view.table(path)
    found = found.assign(percent=100.0 * found["mae_over_std"])
    rows = [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]
    size = {"count": "n_tensors", "xlabel": "training tensors"}

    def draw(axes: list[Axes]) -> None:
        draw_learning_curve(axes[0], rows, key="percent", ylabel="MAE of ω_Q / std (%)", **size)
        draw_learning_curve(
            axes[1], rows, key="mae_cq_abs_khz", ylabel="MAE of |C_Q| (kHz)", **size
        )

    name = f"{material}-efg-learning"
    title = "Held-out errors of the tensors against the number of training tensors"
    return Drawing(
        name,
        render(name, draw, cols=2, size_in=(WIDE_IN, 2.6), label=title, footer=view.footer),
        title,
        "Fits to random parts of the model's training set, with its settings; all phases together. "
        "A curve that still falls asks for more labels; a flat one for a longer cutoff or more "
        "radial functions.",
        [path],
        wide=True,
    )
