"""Mobility of synthetic ions whose diffusion, drift and hops are known."""

import numpy as np
import pandas as pd
import pytest
from ase.data import atomic_numbers

from hopecho.dynamics.transport import msd_record, transport
from hopecho.errors import HopechoError
from hopecho.trajectory import Trajectory
from hopecho.units import sigma_s_per_m

STRIDE, EDGE, T = 0.5, 18.0, 400.0
NUMBERS = np.array([3] * 24 + [15] * 8 + [16] * 32)
OXIDATION = {"Li": 1.0, "P": 5.0, "S": -2.0}
STEP = 0.25  # A per component and frame


def walkers(seed, *, drift=0.0, n_frames=2000, step=STEP):
    """Li walk freely, P and S rattle; everything drifts together."""
    rng = np.random.default_rng(seed)
    n = len(NUMBERS)
    x = np.broadcast_to(rng.uniform(0, EDGE, (n, 3)), (n_frames, n, 3)).copy()
    mobile = NUMBERS == 3
    x[:, mobile] += np.cumsum(rng.normal(scale=step, size=(n_frames, mobile.sum(), 3)), axis=0)
    x[:, ~mobile] += rng.normal(scale=0.05, size=(n_frames, (~mobile).sum(), 3))
    x += np.cumsum(np.full((n_frames, 1, 3), drift), axis=0)
    return Trajectory(np.arange(n_frames) * STRIDE, x, np.eye(3) * EDGE, NUMBERS)


def analyse(trajectories, **changes):
    known = {
        "quench": [0] * len(trajectories), "mobile": "Li", "oxidation": OXIDATION,
        "temperature_k": T, "hop_distance_angstrom": 1.5, "hop_window_ps": 1.0,
        "max_lag_fraction": 0.25,
    }  # fmt: skip
    return transport(trajectories, **(known | changes))


@pytest.fixture(scope="module")
def result():
    return analyse([walkers(s) for s in range(3)])


def test_diffusion_and_conductivities_by_hand(result):
    d = STEP**2 / (2 * STRIDE) * 1e-8  # m2/s
    record = result.conductivity_record()
    e, k = 1.602176634e-19, 1.380649e-23
    sigma = 24 / (EDGE * 1e-10) ** 3 * e**2 * d / (k * T)
    for name, expected in {"d_tracer": d, "d_sigma": d, "haven_ratio": 1.0, "sigma_ne": sigma,
                           "sigma_einstein": sigma}.items():  # fmt: skip
        q = record[name]
        assert q.verdict == "resolved", name
        assert abs(q.value - expected) < 4 * q.stderr, name
        assert q.stderr < 0.3 * expected, name
    assert record["sigma_einstein_s_cm"].value == pytest.approx(
        0.01 * record["sigma_einstein"].value
    )
    assert record["d_tracer"].stderr < 0.05 * d


def test_a_drift_of_everything_is_removed_and_reported(result):
    drifting = analyse([walkers(s, drift=0.01) for s in range(3)])
    assert drifting.conductivity.tracer.d_tracer.value == pytest.approx(
        result.conductivity.tracer.d_tracer.value, rel=1e-6
    )
    expected = 0.01 * 1999 * np.sqrt(3)
    assert drifting.largest_drift_angstrom == pytest.approx(expected, rel=0.02)
    assert result.largest_drift_angstrom < 1.0


def test_tables_are_long_form_with_units(result):
    msd = pd.DataFrame(result.msd_columns())
    axes = ["msd_x_a2", "msd_y_a2", "msd_z_a2"]
    assert list(msd.columns) == ["element", "lag_ps", "msd_a2", "msd_err_a2", *axes]
    np.testing.assert_allclose(msd[axes].sum(axis=1), msd["msd_a2"], rtol=1e-9, atol=1e-12)
    assert set(msd["element"]) == {"Li", "P", "S"}
    assert (msd.groupby("element")["lag_ps"].min() == 0.0).all()
    li = msd[(msd["element"] == "Li") & (msd["lag_ps"] > 0)]
    # The centre of charge rattles with the framework that defines it: weights q / sum q.
    w_p, w_s = 5 / (8 * 5 - 32 * 2), -2 / (8 * 5 - 32 * 2)
    centre = 0.05**2 * (8 * w_p**2 + 32 * w_s**2)
    expected = 3 * STEP**2 / STRIDE * li["lag_ps"] + 6 * centre
    assert (abs(li["msd_a2"] - expected) < 5 * li["msd_err_a2"] + 1e-6).all()
    # A rattle without motion: twice the variance of three components at every lag.
    own = 0.05**2 * (1 - 2 * w_s) + centre
    still = msd[(msd["element"] == "S") & (msd["lag_ps"] > 0)]
    assert still["msd_a2"].mean() == pytest.approx(6 * own, rel=0.02)
    collective = pd.DataFrame(result.collective_columns())
    assert list(collective.columns) == [
        "lag_ps", "msd_a2", "msd_err_a2", "collective_msd_a2", "collective_msd_err_a2",
    ]  # fmt: skip
    rdf = pd.DataFrame(result.rdf_columns())
    assert rdf.columns[0] == "r_angstrom"
    assert {"g_Li-S", "g_P-S"} <= set(rdf.columns)
    assert rdf["n_P-S"].is_monotonic_increasing
    # Both count the same pairs: 8 P and 32 S.
    np.testing.assert_allclose(8 * rdf["n_P-S"], 32 * rdf["n_S-P"])
    # The walkers fill the cell evenly about every S.
    far = rdf[rdf["r_angstrom"] > 5]
    assert far["g_Li-S"].mean() == pytest.approx(1.0, abs=0.1)


def test_the_van_hove_functions_are_those_of_the_walk(result):
    """Self part: a Gaussian; distinct part: 1, as the walkers fill the cell evenly."""
    table = pd.DataFrame(result.van_hove.columns())
    lags = table["lag_ps"].unique()
    assert 20 <= len(lags) <= 32
    assert lags[0] == STRIDE
    assert lags[-1] == pytest.approx(0.25 * 2000 * STRIDE)
    lag = lags[np.argmin(abs(lags - 7.0))]
    own = table[table["lag_ps"] == lag]
    variance = STEP**2 / STRIDE * lag
    near = own[(own["r_angstrom"] > 0.5) & (own["r_angstrom"] < 2 * variance**0.5)]
    gauss = np.exp(-(near["r_angstrom"] ** 2) / (2 * variance)) / (2 * np.pi * variance) ** 1.5
    np.testing.assert_allclose(near["van_hove_self_a3"], gauss, rtol=0.25)
    assert own[own["r_angstrom"] > 4]["van_hove_distinct"].mean() == pytest.approx(1.0, abs=0.1)


def test_the_record_of_the_msd(result):
    record = msd_record(result, mobile="Li")
    assert record["elements"] == ["Li", "P", "S"]
    assert record["element"] == "Li"
    d = STEP**2 / (2 * STRIDE) * 1e-8
    assert record["d_at_longest_lag_m2_s"] == pytest.approx(d, rel=0.3)
    assert 0 < record["longest_lag_ps"] <= 0.25 * 2000 * STRIDE
    low, high = record["window_ps"]
    assert STRIDE <= low < high == record["longest_lag_ps"]
    slope = record["log_slope"]
    assert abs(slope["value"] - 1.0) < 0.1 + 2 * slope["stderr"]
    assert len(set(map(len, record["local_log_slope"].values()))) == 1
    assert np.mean(record["d_axes_m2_s"]) == pytest.approx(record["d_tracer"].value)
    assert record["largest_drift_angstrom"] == result.largest_drift_angstrom


def test_every_run_has_its_own_curves_and_their_mean_is_the_whole(result):
    table = pd.DataFrame(result.single_runs)
    assert table["run"].nunique() == 3
    lags = table["lag_ps"].unique()
    whole = pd.DataFrame(result.collective_columns()).set_index("lag_ps").loc[lags]
    mean = table.groupby("lag_ps")[["msd_a2", "collective_msd_a2"]].mean()
    np.testing.assert_allclose(mean["msd_a2"], whole["msd_a2"])
    np.testing.assert_allclose(mean["collective_msd_a2"], whole["collective_msd_a2"])
    # A free walk: what its MSD amounts to is the conductivity at every lag.
    sigma = result.conductivity.sigma_ne.value
    first = table[table["lag_ps"] == lags[4]]
    np.testing.assert_allclose(first["sigma_ne_s_m"], sigma, rtol=0.1)
    ratio = table["sigma_einstein_s_m"] / table["sigma_ne_s_m"]
    np.testing.assert_allclose(ratio, table["collective_msd_a2"] / table["msd_a2"])


def test_every_mobile_ion_of_every_run_is_told_apart(result):
    table = pd.DataFrame(result.single_ions)
    assert set(table["ion"]) == set(range(24))
    assert table.groupby(["run", "lag_ps"]).size().eq(24).all()
    mean = table.groupby("lag_ps")["msd_a2"].mean()
    whole = pd.DataFrame(result.msd_columns())
    whole = whole[whole["element"] == "Li"].set_index("lag_ps")["msd_a2"]
    common = mean.index.intersection(whole.index)
    assert len(common) >= 6
    np.testing.assert_allclose(mean.loc[common], whole.loc[common], rtol=1e-6)


def test_one_ion_that_hops_is_seen_among_those_that_do_not():
    table = pd.DataFrame(analyse([hopping(4), hopping(5)]).single_ions)
    last = table[table["lag_ps"] == table["lag_ps"].max()]
    for _, run in last.groupby("run"):
        run = run.sort_values("msd_a2")
        assert run["ion"].iloc[-1] == 0
        assert run["msd_a2"].iloc[-1] > 20 * run["msd_a2"].iloc[-2]
        assert run["msd_x_a2"].iloc[-1] > 20 * run["msd_y_a2"].iloc[-1]


def hopping(n_hops, n_frames=800):
    """One Li jumps by 3 A at even intervals; the other ions stay."""
    trajectory = walkers(9, n_frames=n_frames, step=0.0)
    x = np.array(trajectory.positions)
    rng = np.random.default_rng(3)
    x[:, NUMBERS == 3] += rng.normal(scale=0.1, size=(n_frames, 24, 3))
    for k in range(n_hops):
        x[(k + 1) * n_frames // (n_hops + 1) :, 0, 0] += 3.0
    return Trajectory(trajectory.time_ps, x, trajectory.cell, trajectory.numbers)


def test_planted_hops_are_counted_and_give_the_rate():
    result = analyse([hopping(4), hopping(5)], quench=[0, 1])
    record = result.hops_record()
    assert record["n_hops"] == [4, 5]
    assert record["ion_time_ns"] == pytest.approx(2 * 24 * 800 * STRIDE * 1e-3)
    assert record["hop_rate"].value == pytest.approx(9 / (record["ion_time_ns"] * 1e-9))
    assert len(record["dispersion"]) == 2
    assert np.isfinite(record["dispersion"]).all()


def test_ions_that_only_vibrate_get_a_bound_and_no_number():
    result = analyse([hopping(0), hopping(0)])
    record = result.conductivity_record()
    assert record["d_tracer"].value is None
    assert record["d_tracer"].interval[1] > 0
    assert result.hops_record()["hop_rate"].value is None


@pytest.mark.parametrize(
    ("mobile", "framework", "oxidation", "charge"),
    [
        ("Na", {"Sb": 8, "S": 32}, {"Na": 1.0, "Sb": 5.0, "S": -2.0}, 1.0),
        ("Ag", {"I": 24}, {"Ag": 1.0, "I": -1.0}, 1.0),
        ("Mg", {"S": 24}, {"Mg": 2.0, "S": -2.0}, 2.0),
    ],
)
def test_any_mobile_ion_works(mobile, framework, oxidation, charge):
    """Na3SbS4 with polyanions, AgI without any, and a divalent ion."""
    frame = [e for e, n in framework.items() for _ in range(n)]
    numbers = np.array([atomic_numbers[e] for e in [mobile] * 24 + frame])
    runs = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        steps = (
            rng.normal(size=(1500, len(numbers), 3))
            * np.where(numbers == numbers[0], STEP, 0)[:, None]
        )
        x = rng.uniform(0, EDGE, (len(numbers), 3)) + np.cumsum(steps, axis=0)
        runs.append(Trajectory(np.arange(1500) * STRIDE, x, np.eye(3) * EDGE, numbers))
    record = analyse(runs, mobile=mobile, oxidation=oxidation).conductivity_record()
    d = STEP**2 / (2 * STRIDE) * 1e-8
    assert abs(record["d_tracer"].value - d) < 4 * record["d_tracer"].stderr
    assert abs(record["haven_ratio"].value - 1.0) < 4 * record["haven_ratio"].stderr
    expected = sigma_s_per_m(
        d, number_density_m3=24 / (EDGE * 1e-10) ** 3, charge_e=charge, temperature_k=T
    )
    assert record["sigma_ne"].value == pytest.approx(expected, rel=0.1)


def test_an_absent_mobile_element_is_an_error():
    with pytest.raises(HopechoError, match="no Na"):
        analyse([walkers(0, n_frames=50)], mobile="Na")
