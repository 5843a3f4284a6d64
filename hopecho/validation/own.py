"""Two sets of trajectories of one's own against each other: potentials, cells, temperatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hopecho.config import Campaign
from hopecho.dynamics.polyanions import Units, find_units
from hopecho.errors import HopechoError
from hopecho.io.results import provenance, write_products
from hopecho.own_analysis import Runs, material_entry, read_all
from hopecho.trajectory import Trajectory
from hopecho.validation.battery import Curve, battery
from hopecho.validation.observables import common_distance, observables
from hopecho.validation.surface import D_LAGS, curve_table


def own_comparison(
    campaign: Campaign,
    *,
    runs: Runs,
    reference: Runs,
    output: Path,
    source: str = "own data",
    material: str | None = None,
    stride_ps: float | None = None,
) -> list[Path]:
    """Compare every observable of two sets of runs, each with a distance and an error bar.

    Parameters
    ----------
    campaign : Campaign
        Whose ``materials`` and ``transport.max_lag_fraction`` hold.
    runs, reference : sequence of sequence of path
        Files of the independent runs of either side, at least two a side; cells may differ.
    output : Path
        Folder for ``comparison.json`` (distances) and ``comparison.csv`` (curves).
    source, material, stride_ps
        As for `hopecho.own_analysis.own_transport`.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    HopechoError
        As `own_transport`; for fewer than two runs a side.
    """
    entry = material_entry(campaign, material)
    sides = {
        "ours": read_all(runs, entry, stride_ps),
        "reference": read_all(reference, entry, stride_ps),
    }
    everything = [t for side in sides.values() for t in side]
    share = float(campaign.get("transport.max_lag_fraction"))
    longest = share * min(float(t.time_ps[-1] - t.time_ps[0]) for t in everything)
    units, reason = _units(everything, entry["polyanion"])
    found = iter(units)
    seen: dict[str, list[Mapping[str, Curve]]] = {
        name: [
            observables(
                t,
                mobile=entry["mobile"],
                oxidation=entry["oxidation"],
                lag_window_ps=(D_LAGS[0] * longest, D_LAGS[1] * longest),
                r_max_angstrom=common_distance(everything),
                units=next(found),
            )
            for t in side
        ]
        for name, side in sides.items()
    }
    compared = battery(seen["ours"], seen["reference"], seed=campaign.seed("compare"))
    record: dict[str, Any] = {
        "battery": {name: c.record() for name, c in compared.items()},
        "different": [n for n, c in compared.items() if c.distance.verdict == "resolved"],
        "n_runs": {name: len(side) for name, side in sides.items()},
        "lag_window_ps": [D_LAGS[0] * longest, D_LAGS[1] * longest],
        "without_polyanions": reason,
    }
    files = [path for one in (*runs, *reference) for path in one]
    origin = provenance(files, label_source=source, settings=str({"max_lag_fraction": share}))
    table = {str(name): column.to_numpy() for name, column in curve_table(seen).items()}
    return write_products(output, {"comparison": table}, {"comparison": record}, provenance=origin)


def _units(
    trajectories: Sequence[Trajectory], polyanion: Mapping[str, Any]
) -> tuple[list[Units | None], str]:
    """Tetrahedra of every run; none of any, and why, where one of them has none."""
    try:
        return [
            find_units(t.positions[0], t.numbers, t.cell, **dict(polyanion)) for t in trajectories
        ], ""
    except HopechoError as error:
        return [None] * len(trajectories), str(error)
