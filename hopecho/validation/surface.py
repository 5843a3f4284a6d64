"""One phase of a validation: the battery on both sides, and the chain from end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.correlation.verdict import AcfResult
from hopecho.dynamics.msd import msd_mean
from hopecho.dynamics.polyanions import find_units
from hopecho.io.h5md import Segment
from hopecho.trajectory import Trajectory, framework_frame
from hopecho.validation.battery import Curve, battery
from hopecho.validation.end_to_end import EchoChoices, end_to_end
from hopecho.validation.observables import Burst, common_distance, observables
from hopecho.validation.runs import SIDES

Array = NDArray[np.float64]
Settings = Mapping[str, Any]

D_LAGS = (0.4, 1.0)
"""Lags of the slope of the MSD, as shares of the longest lag."""


@dataclass(frozen=True)
class PhaseResult:
    """What stands in the files of one phase."""

    record: dict[str, Any]
    curves: pd.DataFrame
    """Long form: observable, side, x, value, stderr; x in A, cm-1, degrees, degrees/ps or ps, of
    r_phi the number of the bin."""


def validate_phase(
    trajectories: Mapping[str, Sequence[Trajectory]],
    bursts: Mapping[str, Sequence[Segment]],
    tensors: Mapping[str, Sequence[NDArray[np.floating[Any]]]],
    *,
    quench: Sequence[int],
    echo_stride_ps: float,
    settings: Settings,
) -> PhaseResult:
    """Compare the potential's runs with those of the surface.

    Parameters
    ----------
    trajectories, bursts : mapping
        `SIDES` -> one entry for each run.
    tensors : mapping
        Sets of `hopecho.validation.end_to_end.SETS`; empty without field gradients.
    quench : sequence of int
        Starting structure of each run.
    echo_stride_ps : float
        Time between the frames of `tensors`, ps.
    settings : mapping
        ``mobile``, ``oxidation``, ``polyanion``, ``masses_u``, ``isotope``, ``t_min_ps``,
        ``max_lag_fraction``, ``stretch``, ``bootstrap``, ``echo_tp_us``, ``echo_dead_time_us``,
        ``msd_lag_fraction``, ``seed``.

    Raises
    ------
    HopechoError
        For fewer than two runs, runs of other lengths, or runs too short for their lags.
    """
    r_max = common_distance([t for side in SIDES for t in trajectories[side]])
    seen = {
        side: [
            _observables(t, b, settings, r_max)
            for t, b in zip(trajectories[side], bursts[side], strict=True)
        ]
        for side in SIDES
    }
    found = battery(seen["ufp"], seen["reference"], seed=settings["seed"])
    tables = [curve_table(seen)]
    tables += [_msd_table(side, trajectories[side], settings["mobile"], settings) for side in SIDES]
    record: dict[str, Any] = {
        "battery": {
            name: c.record()
            | ({"ufp": c.ours[0], "reference": c.reference[0]} if len(c.x) == 1 else {})
            for name, c in found.items()
        },
        "n_runs": len(quench),
        "run_ps": float(trajectories["ufp"][0].time_ps[-1]),
        "different": [n for n, c in found.items() if c.distance.verdict == "resolved"],
        "echo": None,
    }
    if tensors:
        chain = end_to_end(
            tensors, quench=quench, stride_ps=echo_stride_ps, choices=_choices(settings)
        )
        record["echo"] = chain.record
        tables += [_acf_table(name, curve) for name, curve in chain.curves.items()]
    return PhaseResult(record, pd.concat(tables, ignore_index=True))


def _observables(t: Trajectory, burst: Segment, s: Settings, r_max: float) -> dict[str, Curve]:
    polyanion, longest = s["polyanion"], s["msd_lag_fraction"] * float(t.time_ps[-1])
    units = find_units(
        np.asarray(t.positions[0], dtype=np.float64),
        t.numbers,
        t.cell,
        centre=polyanion["centre"],
        ligand=polyanion["ligand"],
        cutoff_angstrom=polyanion["cutoff_angstrom"],
    )
    assert burst.velocities is not None
    stride = float(burst.time_ps[1] - burst.time_ps[0])
    return observables(
        t,
        mobile=s["mobile"],
        oxidation=s["oxidation"],
        lag_window_ps=(D_LAGS[0] * longest, D_LAGS[1] * longest),
        r_max_angstrom=r_max,
        units=units,
        bursts=[Burst(burst.positions, burst.velocities, stride)],
        masses_u=np.array([s["masses_u"][chemical_symbols[z]] for z in t.numbers]),
        # A spectrum cannot resolve more than its burst is long.
        resolution_cm1=max(5.0, 33.4 / (stride * len(burst.time_ps))),
    )


def _choices(s: Settings) -> EchoChoices:
    return EchoChoices(
        isotope=s["isotope"],
        t_min_ps=s["t_min_ps"],
        max_lag_fraction=s["max_lag_fraction"],
        stretch=s["stretch"],
        bootstrap=s["bootstrap"],
        tp_us=tuple(s["echo_tp_us"]),
        dead_time_us=s["echo_dead_time_us"],
        seed=s["seed"],
    )


def _table(observable: str, side: str, x: Array, values: Array, err: Array) -> pd.DataFrame:
    columns = {"observable": observable, "side": side, "x": x, "value": values, "stderr": err}
    return pd.DataFrame(columns)


def _mean(values: Array) -> tuple[Array, Array]:
    """Mean over runs and its standard error."""
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))


def curve_table(seen: Mapping[str, Sequence[Mapping[str, Curve]]]) -> pd.DataFrame:
    """Curves of `hopecho.validation.observables` of both sides: mean and standard error."""
    tables = []
    for side, runs in seen.items():
        for name, first in runs[0].items():
            if len(first.x) > 1:
                tables.append(
                    _table(name, side, first.x, *_mean(np.array([r[name].y for r in runs])))
                )
    return pd.concat(tables, ignore_index=True)


def _msd_table(
    side: str, trajectories: Sequence[Trajectory], mobile: str, s: Settings
) -> pd.DataFrame:
    """MSD of the mobile ions in the framework's frame, A^2, against lag, ps."""
    stride = trajectories[0].stride_ps
    n_lags = 1 + round(s["msd_lag_fraction"] * float(trajectories[0].time_ps[-1]) / stride)
    curves = []
    for t in trajectories:
        mask = t.select(mobile)
        x, _ = framework_frame(t.positions, t.numbers, mask, charges=s["oxidation"])
        curves.append(msd_mean(x[:, mask], n_lags=n_lags).sum(1))
    return _table(f"msd {mobile}", side, np.arange(n_lags) * stride, *_mean(np.array(curves)))


def _acf_table(name: str, curve: AcfResult) -> pd.DataFrame:
    return _table("acf_powder", name, curve.lag_ps, curve.acf, curve.acf_err)
