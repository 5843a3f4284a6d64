"""The three correlation functions of tensors whose statistics are known exactly."""

import numpy as np
import pytest

from hopecho.correlation.acf import window_average
from hopecho.correlation.echo import CURVES, curve_record, echo_curves, ion_columns
from hopecho.correlation.verdict import AcfSettings
from hopecho.errors import HopechoError
from hopecho.tensors import (
    cq_abs,
    matrix_from_isometric,
    omega_q_isometric,
    p_q,
    principal_values,
)
from hopecho.units import Quantity

RATE, STRIDE = 0.2, 0.25  # 1/ps, ps
B0 = [1, 2, -1]


def redrawn(seed, n_frames=1200, n_ions=40):
    """Tensors replaced by fresh ones at random times: every correlation is exp(-RATE t)."""
    rng = np.random.default_rng(seed)
    fresh = rng.random((n_frames, n_ions)) < 1 - np.exp(-RATE * STRIDE)
    fresh[0] = True
    since = np.maximum.accumulate(np.where(fresh, np.arange(n_frames)[:, None], 0), axis=0)
    values = rng.normal(scale=0.02, size=(n_frames, n_ions, 5))
    return values[since, np.arange(n_ions)]


def curves(replicas, **changes):
    known = {
        "stride_ps": STRIDE, "quench": list(range(len(replicas))), "isotope": "7Li", "b0": B0,
        "settings": AcfSettings(t_min_ps=STRIDE, stretch="exponential", n_resamples=100),
        "max_lag_fraction": 0.2, "seed": 1,
    }  # fmt: skip
    return echo_curves(replicas, **(known | changes))


@pytest.fixture(scope="module")
def replicas():
    return [redrawn(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def result(replicas):
    return dict(zip(CURVES, curves(replicas), strict=True))


@pytest.mark.parametrize("name", CURVES)
def test_random_redraw_decays_exponentially_at_its_rate(result, name):
    head = result[name].headline
    exact = np.exp(-RATE * head.lag_ps)
    assert head.lag_ps[-1] == pytest.approx(0.2 * 1200 * STRIDE, rel=0.02)
    assert np.all(np.abs(head.acf - exact)[1:] < 5 * head.acf_err[1:] + 1e-3)
    assert head.tau_sae.verdict == "resolved"
    assert abs(head.tau_sae.value - 1e-3 / RATE) < 4 * head.tau_sae.stderr
    assert head.plateau_b2.value < 0.05


def test_zero_lag_of_the_powder_is_the_average_over_all_field_directions(replicas, result):
    """Gauss-Legendre times trapezoid: exact for the quartic in the direction that nu^2 is."""
    z, w = np.polynomial.legendre.leggauss(4)
    phi = np.arange(8) * 2 * np.pi / 8
    rho = np.sqrt(1 - z**2)
    b = np.stack(
        [np.outer(rho, np.cos(phi)), np.outer(rho, np.sin(phi)), np.outer(z, np.ones(8))], -1
    ).reshape(-1, 3)
    nu2 = np.mean([(omega_q_isometric(r, b) ** 2).mean(axis=(0, 1)) for r in replicas], axis=0)
    direct = np.sum(nu2 * np.repeat(w, 8)) / 16
    assert result["acf_powder"].raw.zero_lag == pytest.approx(direct, rel=1e-10)
    columns = result["acf_powder"].columns()
    assert columns["acf_powder_raw_khz2"][0] == pytest.approx(direct, rel=1e-10)
    # <nu^2> = C_Q^2 (1 + eta^2/3) / 20, the textbook form
    v = principal_values(matrix_from_isometric(np.concatenate(replicas)))
    eta = (v[..., 0] - v[..., 1]) / v[..., 2]
    cq = cq_abs(matrix_from_isometric(np.concatenate(replicas)))
    assert direct == pytest.approx(np.mean(cq**2 * (1 + eta**2 / 3)) / 20, rel=1e-9)


def test_one_axis_and_coupling_against_a_plain_loop(replicas, result):
    for name, series in {
        "acf_omega_q": [omega_q_isometric(r, B0) for r in replicas],
        "acf_cq": [cq_abs(matrix_from_isometric(r)) for r in replicas],
        "acf_pq": [p_q(r) for r in replicas],
    }.items():
        mean = np.mean(series)
        for analysed, offset in ((result[name].raw, 0.0), (result[name].centred, mean)):
            lag = round(analysed.lag_ps[7] / STRIDE)
            x = [s - offset for s in series]
            naive = np.mean([(s[:-lag] * s[lag:]).mean() for s in x])
            zero = np.mean([(s**2).mean() for s in x])
            assert analysed.zero_lag == pytest.approx(zero, rel=1e-9)
            assert analysed.acf[7] == pytest.approx(naive / zero, rel=1e-9)


def test_headline_is_raw_but_for_the_coupling_whose_mean_is_not_zero(result):
    assert result["acf_powder"].headline is result["acf_powder"].raw
    assert result["acf_cq"].headline is result["acf_cq"].centred
    assert result["acf_cq"].raw.acf[-1] > 0.5 > abs(result["acf_cq"].centred.acf[-1])


def test_p_q_is_smooth_where_the_coupling_changes_sign():
    """V_zz jumps from one axis to another at eta = 1; P_Q has no kink there."""
    x = np.linspace(-0.02, 0.02, 81)
    v = np.zeros((81, 3, 3))
    v[:, 0, 0], v[:, 1, 1], v[:, 2, 2] = 1.0 + x, -1.0 + x, -2.0 * x
    from hopecho.tensors import isometric_from_matrix

    kinks = [
        np.abs(np.diff(f(isometric_from_matrix(v)), 2)).max() / np.diff(x)[0]
        for f in (lambda t: cq_abs(matrix_from_isometric(t)), p_q)
    ]
    assert kinks[0] > 50 * kinks[1]


def test_averaged_tensors_lose_the_vibrations_and_keep_the_decay(replicas):
    """Window W: amplitude times [sinh(W/2tau)/(W/2tau)]^2, tau as before; white noise over n."""
    rng = np.random.default_rng(9)
    noisy = [r + 0.03 * rng.normal(size=r.shape) for r in replicas]
    window, half = 2.0, 0.5 * 2.0 * RATE
    plain, averaged = (
        curves(noisy, average_ps=w, settings=AcfSettings(t_min_ps=2.5, n_resamples=100))[0]
        for w in (0.0, window)
    )
    assert plain.headline.vibrational_amplitude.value > 0.6
    kept = averaged.raw.zero_lag * (1.0 - averaged.headline.vibrational_amplitude.value)
    before = plain.raw.zero_lag * (1.0 - plain.headline.vibrational_amplitude.value)
    assert kept / before == pytest.approx((np.sinh(half) / half) ** 2, rel=0.05)
    assert averaged.headline.vibrational_amplitude.value < 0.25
    tau = averaged.headline.tau_sae
    assert abs(tau.value - 1e-3 / RATE) < 4 * tau.stderr
    means = [window_average(r, n_window=8) for r in noisy]
    lag = round(averaged.raw.lag_ps[7] / STRIDE)
    naive = [(m[: len(m) - lag] * m[lag:]).sum(axis=2).mean() for m in means]
    zero = [(m**2).sum(axis=2).mean() for m in means]
    assert averaged.raw.acf[7] == pytest.approx(np.mean(naive) / np.mean(zero), rel=1e-9)
    with pytest.raises(HopechoError, match="too sparse"):
        curves(noisy, average_ps=0.3)


def test_single_ions_add_up_to_the_curve(replicas, result):
    columns = ion_columns(list(result.values()))
    lag, n_ions = result["acf_powder"].raw.lag_ps, replicas[0].shape[1]
    assert {len(x) for x in columns.values()} == {4 * n_ions * lag.size}
    for name in ("acf_powder", "acf_cq"):
        head = result[name].headline
        rows = columns[f"{name}_khz2"].reshape(-1, lag.size)
        assert rows.mean(axis=0) == pytest.approx(head.acf * head.zero_lag, rel=1e-9)
    third = (columns["replica"] == 2) & (columns["ion"] == 5)
    own = omega_q_isometric(replicas[2][:, 5], B0)
    assert columns["acf_omega_q_khz2"][third][0] == pytest.approx((own**2).mean(), rel=1e-9)
    assert columns["lag_ps"][third] == pytest.approx(lag)


def test_columns_have_one_row_a_lag(result):
    for name, curve in result.items():
        columns = curve.columns()
        assert list(columns)[:3] == ["lag_ps", name, f"{name}_err"]
        assert {len(c) for c in columns.values()} == {len(curve.raw.lag_ps)}
        assert columns["lag_ps"][0] == 0.0
        assert columns[name][0] == 1.0


def test_a_rotation_of_all_tensors_changes_nothing_in_the_powder(replicas, result):
    c, s = np.cos(0.7), np.sin(0.7)
    r = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ np.array(
        [[1, 0, 0], [0, c, -s], [0, s, c]]
    )
    from hopecho.tensors import isometric_from_matrix

    turned = [isometric_from_matrix(r @ matrix_from_isometric(x) @ r.T) for x in replicas]
    powder = curves(turned)[0]
    np.testing.assert_allclose(powder.raw.acf, result["acf_powder"].raw.acf, atol=1e-10)


def test_static_tensors_show_no_decay():
    rng = np.random.default_rng(5)
    still = [np.broadcast_to(rng.normal(size=(1, 20, 5)), (400, 20, 5)) for _ in range(2)]
    noisy = [x + 0.05 * rng.normal(size=x.shape) for x in still]
    record = curve_record(
        curves(noisy)[0], run_ps=[100.0, 100.0], n_ions=20, wanted_error=0.1, max_lag=0.2
    )
    assert record["tau_sae"]["verdict"] == "not_seen"
    assert record["tau_sae"]["value"] is None
    assert record["regime"].startswith("for the lower bound of tau: ")


def test_the_record_states_frequency_and_regime(result):
    records = {
        n: curve_record(c, run_ps=[1.2], n_ions=40, wanted_error=0.1, max_lag=0.2)
        for n, c in result.items()
    }
    powder = np.sqrt(result["acf_powder"].raw.zero_lag)
    # |C_Q| is no frequency of the line: its regime is that of the same tensors' powder.
    assert records["acf_cq"]["rms_omega_q_khz"] == pytest.approx(powder)
    assert records["acf_powder"]["rms_omega_q_khz"] == pytest.approx(powder)
    assert records["acf_omega_q"]["rms_omega_q_khz"] == pytest.approx(
        np.sqrt(result["acf_omega_q"].raw.zero_lag)
    )
    # 5 ps at some tens of kHz: narrowed, and no echo sees it
    assert "narrowed" in records["acf_powder"]["regime"]
    assert records["acf_powder"]["seen_by"] == "narrowed"
    assert set(records["acf_powder"]["uncentred"]) >= {"tau_sae", "fits", "reason"}


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((2e7, None), "for the lower bound of tau: tau = 20 ms is above"),
        ((None, 1e-3), "for the upper bound of tau: 2 pi nu tau"),
        ((None, None), "no decay is seen"),
    ],
)
def test_regime_of_a_bound(interval, said):
    from hopecho.correlation.echo import regime_of, seen_by

    tau = Quantity(None, None, interval, "ns", 4.0, verdict="bound")
    assert regime_of(tau, 20.0).startswith(said)
    assert seen_by(tau, 20.0) is None


def test_a_seed_fixes_the_errors(replicas):
    short = [r[:300] for r in replicas[:2]]
    first, again, other = (curves(short, seed=s)[0].raw.acf_err for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
