"""Everything that one phase and temperature says about mobility: MSD, D, sigma, hops, g(r)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.dynamics.conductivity import Conductivity, conductivity, sigma_in
from hopecho.dynamics.hops import HopLog, cage_hops
from hopecho.dynamics.msd import MsdCurves, msd_by_element, segments_for
from hopecho.dynamics.parts import ion_columns, log_lags, run_columns
from hopecho.dynamics.rates import dispersion, hop_rate
from hopecho.dynamics.rdf import Rdf, rdf
from hopecho.dynamics.van_hove import VanHove, van_hove
from hopecho.trajectory import Trajectory, framework_frame
from hopecho.units import A2_PS_TO_M2_S, Quantity

Array = NDArray[np.float64]

RDF_FRAMES = 200
"""Frames that enter g(r), spread over all replicas."""

VAN_HOVE_LAGS = 32
"""Lags of the van Hove functions, evenly on a log axis up to the longest lag of the MSD."""


@dataclass(frozen=True)
class Transport:
    """Results of all replicas of one phase and temperature."""

    element_msd: Mapping[str, MsdCurves]
    """MSD of each element in the frame of the framework's centre of charge."""
    conductivity: Conductivity
    hop_logs: tuple[HopLog, ...]
    hop_rate: Quantity
    rdf: Rdf
    van_hove: VanHove
    """Of the mobile ions."""
    single_runs: Mapping[str, Any]
    """Columns of conductivity_runs.csv."""
    single_ions: Mapping[str, Any]
    """Columns of msd_ions.csv."""
    largest_drift_angstrom: float
    """Largest displacement of the framework that was removed, A."""

    def msd_columns(self) -> dict[str, Any]:
        """Columns of msd.csv, long form: msd, its error (1 sigma), and its part along each axis."""
        curves = self.element_msd
        axes = {
            f"msd_{axis}_a2": np.concatenate([c.msd_axes[:, k] for c in curves.values()])
            for k, axis in enumerate("xyz")
        }
        return {
            "element": np.concatenate([[e] * len(c.lag_ps) for e, c in curves.items()]),
            "lag_ps": np.concatenate([c.lag_ps for c in curves.values()]),
            "msd_a2": np.concatenate([c.msd for c in curves.values()]),
            "msd_err_a2": np.concatenate([c.msd_err for c in curves.values()]),
        } | axes

    def collective_columns(self) -> dict[str, Array]:
        """Columns of conductivity.csv: tracer and collective MSD over N of the mobile ions, A^2."""
        tracer, together = self.conductivity.tracer_curves, self.conductivity.collective_curves
        return {
            "lag_ps": tracer.lag_ps,
            "msd_a2": tracer.msd,
            "msd_err_a2": tracer.msd_err,
            "collective_msd_a2": together.msd,
            "collective_msd_err_a2": together.msd_err,
        }

    def rdf_columns(self) -> dict[str, Array]:
        """Columns of rdf.csv: r_angstrom (middle of the bin), g and coordination n of each pair."""
        g = {f"g_{pair}": values for pair, values in self.rdf.g.items()}
        n = {f"n_{pair}": values for pair, values in self.rdf.coordination.items()}
        return {"r_angstrom": self.rdf.r} | g | n

    def conductivity_record(self) -> dict[str, Any]:
        """JSON of the conductivity: every quantity with its error bar and verdict."""
        c = self.conductivity
        return {
            "d_tracer": c.tracer.d_tracer,
            "d_sigma": c.d_sigma,
            "haven_ratio": c.haven_ratio,
            "sigma_ne": c.sigma_ne,
            "sigma_einstein": c.sigma_einstein,
            "sigma_self": c.sigma_self,
            "sigma_distinct": c.sigma_distinct,
            "sigma_einstein_s_cm": sigma_in(c.sigma_einstein, "S/cm"),
            "lag_window_ps": list(c.lag_window_ps),
            "largest_drift_angstrom": self.largest_drift_angstrom,
        }

    def hops_record(self) -> dict[str, Any]:
        """JSON of the hops: counts, rate per ion, and the dispersion of their counts."""
        return {
            "hop_rate": self.hop_rate,
            "n_hops": [len(log.ion) for log in self.hop_logs],
            "ion_time_ns": sum(log.ion_time_ps for log in self.hop_logs) * 1e-3,
            "dispersion": [list(dispersion(log)) for log in self.hop_logs],
        }


def transport(
    trajectories: Sequence[Trajectory],
    *,
    quench: Sequence[int],
    mobile: str,
    oxidation: Mapping[str, float],
    temperature_k: float,
    hop_distance_angstrom: float,
    hop_window_ps: float,
    max_lag_fraction: float,
) -> Transport:
    """Analyse all replicas of one phase and temperature.

    Parameters
    ----------
    trajectories : sequence of Trajectory
        Continuous, unwrapped, same atoms and cell volume.
    quench : sequence of int
        Quench of each replica.
    mobile : str
        Element of the mobile ions.
    oxidation : mapping
        Formal oxidation numbers, e.
    temperature_k : float
        Temperature, K.
    hop_distance_angstrom, hop_window_ps : float
        Threshold of a cage jump; averaging window and shortest stay.
    max_lag_fraction : float
        Longest lag of the MSD as a share of the shortest run.

    Raises
    ------
    HopechoError
        If the runs are too short, wrapped, or do not belong together.
    """
    first = trajectories[0]
    mask = first.select(mobile)
    frames, drifts = zip(
        *(framework_frame(t.positions, t.numbers, mask, charges=oxidation) for t in trajectories)
    )
    ions = [x[:, mask] for x in frames]
    logs = tuple(
        cage_hops(
            x,
            stride_ps=first.stride_ps,
            threshold_a=hop_distance_angstrom,
            window_ps=hop_window_ps,
            min_residence_ps=hop_window_ps,
        )
        for x in ions
    )
    n_segments = segments_for(len(trajectories))
    longest = max(1, int(max_lag_fraction * min(len(x) for x in ions)))
    share = max(1, sum(len(x) for x in frames) // RDF_FRAMES)
    sampled = np.concatenate([t.positions[::share] for t in trajectories])
    moved = conductivity(
        ions,
        stride_ps=first.stride_ps,
        volume_a3=first.volume_a3,
        temperature_k=temperature_k,
        charge_e=oxidation[mobile],
        quench=quench,
        n_segments=n_segments,
    )
    return Transport(
        element_msd=msd_by_element(
            frames,
            numbers=first.numbers,
            stride_ps=first.stride_ps,
            quench=quench,
            max_lag_fraction=max_lag_fraction,
            n_segments=n_segments,
        ),
        conductivity=moved,
        hop_logs=logs,
        hop_rate=hop_rate(logs, quench=quench if len(set(quench)) > 1 else None),
        rdf=rdf(sampled, first.numbers, first.cell),
        van_hove=van_hove(
            ions,
            cell=first.cell,
            stride_ps=first.stride_ps,
            lags=log_lags(longest, VAN_HOVE_LAGS),
        ),
        single_runs=run_columns(moved, quench=quench),
        single_ions=ion_columns(
            ions, ions=np.flatnonzero(mask), stride_ps=first.stride_ps, last=longest
        ),
        largest_drift_angstrom=max(float(np.linalg.norm(d, axis=1).max()) for d in drifts),
    )


def transport_tables(result: Transport) -> dict[str, dict[str, Any]]:
    """Columns of every CSV, by name."""
    return {
        "msd": result.msd_columns(),
        "conductivity": dict(result.collective_columns()),
        "rdf": dict(result.rdf_columns()),
        "van_hove": dict(result.van_hove.columns()),
        "conductivity_runs": dict(result.single_runs),
        "msd_ions": dict(result.single_ions),
    }


def transport_records(result: Transport, *, mobile: str) -> dict[str, dict[str, Any]]:
    """JSON objects, by name: msd, conductivity, hops."""
    return {
        "msd": msd_record(result, mobile=mobile),
        "conductivity": result.conductivity_record(),
        "hops": result.hops_record(),
    }


def msd_record(result: Transport, *, mobile: str) -> dict[str, Any]:
    """JSON of the MSD: D, its diffusive window, its axes, and the value at the longest lag."""
    tracer = result.conductivity.tracer
    curves = result.element_msd[mobile]
    lag = int(curves.n_fit - 1)
    return {
        "element": mobile,
        "d_tracer": tracer.d_tracer,
        "d_at_longest_lag_m2_s": float(
            curves.msd[lag] / (6.0 * curves.lag_ps[lag]) * A2_PS_TO_M2_S
        ),
        "longest_lag_ps": float(curves.lag_ps[lag]),
        "window_ps": list(tracer.window_ps),
        "log_slope": {"value": tracer.exponent, "stderr": tracer.exponent_err},
        "local_log_slope": {
            "lag_ps": tracer.log_slope_lag_ps,
            "value": tracer.log_slope,
            "stderr": tracer.log_slope_err,
        },
        "d_axes_m2_s": list(tracer.d_axes),
        "largest_drift_angstrom": result.largest_drift_angstrom,
        "elements": sorted(result.element_msd, key=chemical_symbols.index),
    }
