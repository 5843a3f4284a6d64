"""What tensors look like site by site and ion by ion: histograms, traces, angles, chosen ions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.correlation.acf import autocorrelation, log_spaced_lags, window_average
from hopecho.dynamics.hops import HopLog
from hopecho.tensors import cq_abs, field_angles, matrix_from_isometric, omega_q_isometric

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CHOICE_BIAS = (
    "ions are chosen by what they did in the run: the average of those that hop always falls "
    "within the run, whatever the true time, and its tau is pulled towards the length of the run; "
    "tau is to be taken from all ions"
)
"""Said beside every correlation function of hopping ions only."""

MAX_VALUES = 400_000
"""Tensors that enter a histogram or a map, spread over the run."""


def averaged(replicas: Sequence[NDArray[np.floating]], n_window: int) -> list[Array]:
    """Running means over `n_window` frames: tensors without vibrations, as an echo sees them."""
    return [window_average(np.asarray(x), n_window=min(n_window, len(x))) for x in replicas]


def thin(replicas: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Every n-th frame, so that at most `MAX_VALUES` tensors are left."""
    total = sum(x.shape[0] * x.shape[1] for x in replicas)
    step = max(1, -(-total // MAX_VALUES))
    return [x[::step] for x in replicas]


def histograms(
    replicas: Sequence[NDArray[np.floating]],
    kinds: Sequence[NDArray[np.str_]],
    *,
    isotope: str,
    b0: ArrayLike,
    n_bins: int = 60,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Distributions of omega_Q and |C_Q| for each kind of site.

    Parameters
    ----------
    replicas : sequence of ndarray (n_frames, n_ions, 5)
        Isometric components, a.u.
    kinds : sequence of ndarray (n_frames, n_ions) of str
        Kind of site of every ion and frame.
    isotope, b0
        Probe nucleus; direction of the field for omega_Q.
    n_bins : int
        Bins over the range of all kinds.

    Returns
    -------
    columns : dict
        Long form: quantity (cq, omega_q), kind, value_khz (middle of the bin), density (1/kHz).
    moments : dict
        kind -> quantity -> mean, standard deviation and mean of the magnitude, kHz.
    """
    tensors = np.concatenate([x.reshape(-1, 5) for x in replicas])
    label = np.concatenate([k.ravel() for k in kinds])
    values = {
        "cq": cq_abs(matrix_from_isometric(tensors), isotope=isotope),
        "omega_q": omega_q_isometric(tensors, b0, isotope=isotope),
    }
    rows: dict[str, list[Any]] = {"quantity": [], "kind": [], "value_khz": [], "density": []}
    moments: dict[str, Any] = {}
    for name, x in values.items():
        edges = np.histogram_bin_edges(x, bins=n_bins)
        for kind in np.unique(label):
            own = x[label == kind]
            density = np.histogram(own, bins=edges, density=True)[0]
            rows["quantity"] += [name] * n_bins
            rows["kind"] += [str(kind)] * n_bins
            rows["value_khz"] += list(0.5 * (edges[1:] + edges[:-1]))
            rows["density"] += list(density)
            moments.setdefault(str(kind), {})[name] = {
                "mean_khz": float(own.mean()),
                "std_khz": float(own.std()),
                "mean_magnitude_khz": float(np.abs(own).mean()),
                "share": float(own.size / x.size),
            }
    return dict(rows), moments


def angle_map(
    replicas: Sequence[NDArray[np.floating]], b0: ArrayLike, *, n_bins: int = 30
) -> dict[str, Array]:
    """Density of the field's polar angles in the principal axes over that of random orientations.

    Parameters
    ----------
    replicas : sequence of ndarray (n_frames, n_ions, 5)
        Isometric components.
    b0 : array_like (3,)
        Direction of the field.
    n_bins : int
        Bins of theta and of phi from 0 to 90 degrees.

    Returns
    -------
    dict
        Long form: theta_deg, phi_deg (middles) and density (1: as for random orientations).
    """
    flat = np.concatenate([x.reshape(-1, 5) for x in replicas])
    theta, phi = field_angles(matrix_from_isometric(flat), b0)
    edges = np.linspace(0.0, 0.5 * np.pi, n_bins + 1)
    counts = np.histogram2d(theta, phi, bins=(edges, edges))[0]
    expected = -np.diff(np.cos(edges))[:, None] / n_bins * flat.shape[0]
    middle = np.degrees(0.5 * (edges[1:] + edges[:-1]))
    t, p = np.meshgrid(middle, middle, indexing="ij")
    return {"theta_deg": t.ravel(), "phi_deg": p.ravel(), "density": (counts / expected).ravel()}


def chosen_ions(logs: Sequence[HopLog], *, n: int = 4) -> list[tuple[int, int]]:
    """(replica, ion) of the ions with most hops, and one that hops least, for traces."""
    counts = [np.bincount(log.ion, minlength=log.n_ions) for log in logs]
    order = sorted(
        ((int(c), r, i) for r, own in enumerate(counts) for i, c in enumerate(own)), reverse=True
    )
    most = [(r, i) for _, r, i in order[: n - 1]]
    return (
        [*most, (order[-1][1], order[-1][2])] if len(order) >= n else [(r, i) for _, r, i in order]
    )


def ion_table(logs: Sequence[HopLog], kinds: Sequence[NDArray[np.str_]]) -> list[dict[str, Any]]:
    """Kind of site that each ion starts from, and its hops, for the curves of single ions."""
    return [
        {"replica": r, "ion": i, "start": str(kind[0, i]), "n_hops": int(count)}
        for r, (log, kind) in enumerate(zip(logs, kinds, strict=True))
        for i, count in enumerate(np.bincount(log.ion, minlength=log.n_ions))
    ]


def hop_columns(logs: Sequence[HopLog], kind: Sequence[str] | None) -> dict[str, Any]:
    """Columns of the log of all hops.

    Parameters
    ----------
    logs : sequence of HopLog
        One for each replica.
    kind : sequence of str or None
        Kind of each site; None without sites, where places are an ion's successive cages.

    Returns
    -------
    dict
        replica, ion, time_ps (of arrival), origin, destination, kind of both, and the
        displacement, A.
    """
    parts = [np.full(len(log.ion), r) for r, log in enumerate(logs)]
    shift = np.concatenate([log.displacement for log in logs])
    columns = {"replica": np.concatenate(parts)} | {
        name: np.concatenate([getattr(log, name) for log in logs])
        for name in ("ion", "time_ps", "origin", "destination")
    }
    names = None if kind is None else np.array(kind)
    for end in ("origin", "destination"):
        places = columns[end]
        columns[f"{end}_kind"] = (
            np.full(places.size, "cage") if names is None else names[places.astype(int)]
        )
    return columns | {f"d{axis}_angstrom": shift[:, k] for k, axis in enumerate("xyz")}


def traces(
    replicas: Sequence[NDArray[np.floating]],
    logs: Sequence[HopLog],
    *,
    stride_ps: float,
    n_window: int,
    isotope: str,
    b0: ArrayLike,
    n_points: int = 500,
) -> dict[str, Any]:
    """|C_Q| and omega_Q of single ions against time, vibrations averaged out, with hop marks.

    Returns
    -------
    dict
        Long form: replica, ion, time_ps, cq_khz, omega_q_khz, hops (number of hops of this ion
        since the point before).
    """
    rows: dict[str, list[Any]] = {
        k: [] for k in ("replica", "ion", "time_ps", "cq_khz", "omega_q_khz", "hops")
    }
    for replica, ion in chosen_ions(logs):
        x = window_average(np.asarray(replicas[replica])[:, ion], n_window=n_window)
        step = max(1, len(x) // n_points)
        time = (np.arange(len(x)) + 0.5 * (n_window - 1))[::step] * stride_ps
        hop_times = logs[replica].time_ps[logs[replica].ion == ion]
        ends = np.concatenate([[-np.inf], time[1:], [np.inf]])
        rows["replica"] += [replica] * len(time)
        rows["ion"] += [ion] * len(time)
        rows["time_ps"] += list(time)
        rows["cq_khz"] += list(cq_abs(matrix_from_isometric(x[::step]), isotope=isotope))
        rows["omega_q_khz"] += list(omega_q_isometric(x[::step], b0, isotope=isotope))
        rows["hops"] += list(np.histogram(hop_times, bins=ends)[0])
    return rows


def group_acf(
    replicas: Sequence[NDArray[np.floating]],
    members: Mapping[str, Sequence[Ints]],
    *,
    stride_ps: float,
    max_lag_fraction: float,
) -> dict[str, Any]:
    """Powder correlation function of groups of ions: by starting site, or those that hop.

    Parameters
    ----------
    replicas : sequence of ndarray (n_frames, n_ions, 5)
        Isometric components.
    members : mapping
        Name of a group -> indices of its ions in each replica.
    stride_ps, max_lag_fraction : float
        Time between frames, ps; longest lag as a share of the run.

    Returns
    -------
    dict
        Long form: group, lag_ps, acf (over its value at lag 0), acf_err (over ions), n_ions.
    """
    n_frames = min(len(x) for x in replicas)
    lags = log_spaced_lags(
        n_frames, stride_ps=stride_ps, max_lag_ps=max_lag_fraction * n_frames * stride_ps
    )
    per_ion = [autocorrelation(x, lags=lags) for x in replicas]
    rows: dict[str, list[Any]] = {k: [] for k in ("group", "lag_ps", "acf", "acf_err", "n_ions")}
    for name, ions in members.items():
        own = np.concatenate([c[np.asarray(i)] for c, i in zip(per_ion, ions, strict=True)])
        if len(own) < 2:
            continue
        mean = own.mean(axis=0)
        spread = (own - own[:, :1] * (mean / mean[0])) / mean[0]
        rows["group"] += [name] * lags.size
        rows["lag_ps"] += list(lags * stride_ps)
        rows["acf"] += list(mean / mean[0])
        rows["acf_err"] += list(spread.std(axis=0, ddof=1) / np.sqrt(len(own)))
        rows["n_ions"] += [len(own)] * lags.size
    return rows
