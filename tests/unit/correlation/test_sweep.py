"""One sweep over the ions against the plain functions, and runs that stay on disk."""

import numpy as np
import pytest

from hopecho.correlation import acf, echo_models, sweep
from hopecho.correlation.acf import acf_replicas, global_mean, log_spaced_lags
from hopecho.correlation.plateau import plateau_sums
from hopecho.correlation.products import echo_products
from hopecho.errors import HopechoError
from hopecho.io.efg_series import IonFile, open_runs
from hopecho.io.efg_table import EfgTrajectory, write_efg

SETTINGS = {
    "b0": [0, 1, 2], "average_ps": 0.0, "t_min_ps": 0.5, "stretch": "exponential", "bootstrap": 50,
    "max_lag_fraction": 0.3, "wanted_error": 0.1, "echo_tp_us": [10.0], "echo_tm_us": [1.0, 1e3],
    "echo_dead_time_us": 5.0, "fields_t": [7.05],
}  # fmt: skip


def jumps(seed, n_frames=700, n_ions=9):
    rng = np.random.default_rng(seed)
    fresh = rng.random((n_frames, n_ions)) < 0.05
    fresh[0] = True
    since = np.maximum.accumulate(np.where(fresh, np.arange(n_frames)[:, None], 0), axis=0)
    static = 0.003 * rng.normal(size=(n_ions, 5))
    return 0.005 * rng.normal(size=(n_frames, n_ions, 5))[since, np.arange(n_ions)] + static


@pytest.fixture
def tables(tmp_path):
    """Two runs in three segments each; the third segment repeats the last frame before it."""
    runs = []
    for run in range(2):
        efg, time = jumps(run).astype(np.float32), np.arange(700) * 0.5
        paths = [tmp_path / f"run{run}-{s}.h5" for s in range(3)]
        for path, part in zip(paths, (slice(300), slice(300, 500), slice(499, 700)), strict=True):
            write_efg(path, EfgTrajectory(time[part], np.arange(9), efg[part]))
        runs.append(paths)
    return runs


@pytest.mark.parametrize("chunk", [1, 4_000_000])
def test_a_sweep_gives_what_the_plain_functions_give(chunk, monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK_VALUES", chunk)
    series = [jumps(0), jumps(1, n_frames=650)]
    lags = log_spaced_lags(650, stride_ps=0.5)
    sums = [sweep.sweep(x, views={"t": lambda t: t + 0.004}, lags=lags)["t"] for x in series]
    shifted = [x + 0.004 for x in series]
    mean = sweep.mean_over_all(sums)
    np.testing.assert_allclose(mean, global_mean(shifted), rtol=1e-12)
    for offset, removed in ((np.zeros(5), False), (mean, True)):
        expected = acf_replicas(shifted, lags=lags, remove_global_mean=removed)
        for one, x, c in zip(sums, shifted, expected, strict=True):
            np.testing.assert_allclose(one.centred(offset), c, rtol=1e-9, atol=1e-16)
            plain, ours = plateau_sums(x, offset=offset), one.plateaus(offset)
            for name in ("mean_square", "first_last", "total"):
                np.testing.assert_allclose(
                    getattr(ours, name), getattr(plain, name), rtol=1e-9, atol=1e-16
                )


def test_a_lag_outside_the_run_is_refused():
    with pytest.raises(HopechoError, match="outside the run"):
        sweep.sweep(jumps(0), views={"t": lambda t: t}, lags=np.array([0, 700]))


def test_runs_on_disk_give_the_results_of_runs_in_memory(tables, tmp_path, monkeypatch):
    # A plan whose pulses fit into the runs, so that the direct echo is taken, too.
    settings = SETTINGS | {"echo_tp_us": [2e-5], "echo_tm_us": [1e-5, 5e-5]}
    settings |= {"echo_dead_time_us": 0.0}
    results = []
    for memory_mb, block in ((512.0, 20_000_000), (0.0, 4 * 5 * 700)):
        monkeypatch.setattr(echo_models, "BLOCK_VALUES", block)
        monkeypatch.setattr(sweep, "CHUNK_VALUES", acf.CHUNK_VALUES if memory_mb else 1)
        with open_runs(tables, scratch=tmp_path / "scratch", memory_mb=memory_mb) as runs:
            assert isinstance(runs[0].efg, IonFile) == (memory_mb == 0)
            results.append(
                echo_products(runs, quench=[0, 1], isotope="7Li", seed=3, settings=settings)
            )
    kept, streamed = results
    assert kept.records["acf_powder"]["tau_sae"]["verdict"] == "resolved"
    assert "trajectory" in kept.records["sae"]["routes"]
    for name, table in kept.tables.items():
        for column, values in table.items():
            if np.asarray(values).dtype.kind == "f":
                # Blocks of ions have quadratures of their own for the direct echo.
                close = {"atol": 1e-3} if name == "sae" else {"rtol": 1e-7, "atol": 1e-10}
                np.testing.assert_allclose(streamed.tables[name][column], values, **close)
    for name in ("acf_powder", "acf_omega_q", "acf_cq"):
        tau, other = (r.records[name]["tau_sae"] for r in results)
        assert other["verdict"] == tau["verdict"]
        assert other["value"] == pytest.approx(tau["value"], rel=1e-6)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_scratch_file_holds_what_the_tables_hold(tables, tmp_path):
    with open_runs(tables, scratch=tmp_path, memory_mb=0.0) as runs:
        for k, run in enumerate(runs):
            expected = jumps(k).astype(np.float32)
            assert run.efg.shape == (700, 9, 5)
            assert run.stride_ps == 0.5
            np.testing.assert_array_equal(run.efg[:, 2:6], expected[:, 2:6])
            np.testing.assert_array_equal(run.efg[:, 8:20], expected[:, 8:])


def test_what_does_not_belong_together_is_refused_before_anything_is_read(tables, tmp_path):
    other = tmp_path / "other.h5"
    write_efg(other, EfgTrajectory(np.arange(4) * 0.7, np.arange(9), jumps(3)[:4]))
    single = tmp_path / "single.h5"
    write_efg(single, EfgTrajectory(np.zeros(1), np.arange(9), jumps(3)[:1]))
    for runs, said in (
        ([tables[0], [other]], r"different strides[\s\S]*other.h5: 0.7 ps"),
        ([[tables[0][0], tables[0][2]]], "not continuous"),
        ([[single]], "single frame"),
    ):
        with (
            pytest.raises(HopechoError, match=said),
            open_runs(runs, scratch=tmp_path, memory_mb=0.0),
        ):
            pass
