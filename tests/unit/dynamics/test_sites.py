"""Sites of a crystal: kinds, alignment, hops, tensors, and the decay that jumps predict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hopecho.config_text import PROJECT_ROOT
from hopecho.correlation.echo_models import EchoPlan
from hopecho.correlation.exchange import exchange_from_rates, propagators
from hopecho.dynamics.probes import angle_map, averaged, chosen_ions, group_acf, histograms, traces
from hopecho.dynamics.site_analysis import SiteSettings, analyse_sites
from hopecho.dynamics.site_tensors import predicted_decay, site_record, site_tensors
from hopecho.dynamics.sites import CrystalSites, aligned, crystal_sites, kind_census, site_log
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix, random_rotations
from hopecho.trajectory import Trajectory

BETA = Path(PROJECT_ROOT) / "resources/structures/beta-Li3PS4.yaml"
STRIDE = 0.5


@pytest.fixture(scope="module")
def beta():
    return crystal_sites(BETA, supercell=[1, 2, 2], mobile="Li", ligand="S", cutoff_angstrom=3.2)


def test_the_sites_of_beta_are_four_and_six_coordinated(beta):
    assert kind_census(beta) == {"LiS2": 16, "LiS4": 32, "LiS6": 16}
    assert np.bincount(beta.unit).tolist() == [4] * 16
    assert len(beta.framework) == 80
    assert beta.core_radius == pytest.approx(0.45 * 2.866, abs=1e-3)


def test_sites_follow_the_framework_of_the_run(beta):
    rng = np.random.default_rng(1)
    shift = np.array([0.4, -0.3, 0.2])
    moved = beta.framework + shift + 0.1 * rng.normal(size=beta.framework.shape)
    moved = moved[rng.permutation(len(moved))]
    placed = aligned(beta, moved + 2 * beta.cell[1])
    assert placed.positions - beta.positions == pytest.approx(
        np.broadcast_to(shift, beta.positions.shape), abs=0.05
    )
    # Polyanions that turned: the mean places of their ligands are nowhere.
    turned = moved.copy()
    turned[rng.choice(len(moved), 8, replace=False)] += 1.8
    assert aligned(beta, turned).positions == pytest.approx(placed.positions, abs=0.05)
    with pytest.raises(HopechoError, match="not that of the crystal"):
        aligned(beta, moved[:-1])
    with pytest.raises(HopechoError, match="not that of the crystal"):
        aligned(beta, rng.uniform(size=moved.shape) @ beta.cell)


def square():
    """Four sites on a square of 3 A, kinds A and B; two are translations of each other."""
    positions = np.array([[1.0, 1, 1], [4, 1, 1], [1, 4, 1], [4, 4, 1]])
    return CrystalSites(
        positions, ("A", "B", "A", "B"), np.array([0, 1, 2, 3]), np.zeros((1, 3)),
        np.diag([6.0, 6.0, 6.0]),
    )  # fmt: skip


def jumping(rates, n_frames, n_ions, rng):
    """Sites (n_frames, n_ions) of ions that jump at `rates`, 1/ps."""
    n = len(rates)
    exchange = exchange_from_rates(rates, np.ones(n))
    step = np.cumsum(propagators(exchange, [STRIDE])[0], axis=1)
    site = np.empty((n_frames, n_ions), dtype=int)
    site[0] = np.arange(n_ions) % n
    for t in range(1, n_frames):
        site[t] = (rng.random(n_ions)[:, None] > step[site[t - 1]]).sum(axis=1).clip(max=n - 1)
    return exchange, site


@pytest.fixture(scope="module")
def jumps():
    """A long run of ions on the square, with tensors that only depend on the site."""
    rng = np.random.default_rng(2)
    rates = np.array(
        [[0, 0.02, 0.01, 0], [0.02, 0, 0, 0.01], [0.01, 0, 0, 0.02], [0, 0.01, 0.02, 0]]
    )
    exchange, site = jumping(rates, 8000, 24, rng)
    tensors = rng.normal(scale=20.0, size=(4, 5))
    x = square().positions[site] + 0.2 * rng.normal(size=(*site.shape, 3))
    khz = tensors[site] + 5.0 * rng.normal(size=(*site.shape, 5))
    log = site_log(x, square(), stride_ps=STRIDE, window_ps=0.0)
    return exchange, tensors, site, log, khz


def test_hops_and_occupation_are_those_of_the_jumps(jumps):
    _, _, site, log, _ = jumps
    assert np.array_equal(log.occupation, site)
    assert len(log.ion) == np.count_nonzero(np.diff(site, axis=0))


def test_jump_matrix_and_site_tensors_predict_the_decay(jumps):
    exchange, tensors, _, log, khz = jumps
    found = site_tensors([log], [khz], square(), stride_ps=STRIDE)
    assert found.kind == ("A", "B", "A", "B")
    assert found.tensors_khz == pytest.approx(tensors, abs=0.2)
    assert found.site_share == pytest.approx(
        (tensors**2).sum() / 4 / ((tensors**2).sum() / 4 + 125), abs=0.01
    )
    assert found.exchange().rates == pytest.approx(exchange.rates, abs=0.002)
    assert found.return_share == pytest.approx(5 / 9, abs=0.02)  # (2/3)^2 + (1/3)^2
    assert found.by_kind.rates["A->B"].value == pytest.approx(0.02e12, rel=0.05)
    predicted = predicted_decay(found, rng=np.random.default_rng(3))
    # Modes of the square decay with 2 k1, 2 k2, 2 (k1 + k2); amplitudes from the tensors.
    signs = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    a = ((signs @ tensors) ** 2).sum(axis=1)
    exact = (a / np.array([0.04, 0.02, 0.06])).sum() / a.sum() / 1e3
    assert predicted.tau.verdict == "resolved"
    assert abs(np.log(predicted.tau.value / exact)) < 4 * predicted.tau.stderr / predicted.tau.value
    assert predicted.tau.stderr / predicted.tau.value < 0.05
    record = site_record(found, predicted, longest_lag_ps=100.0)
    assert record["predicted_curve"]["acf"][0] < found.site_share
    assert np.sum(record["jumps"]) == len(log.ion)


def test_few_jumps_give_a_bound_and_none_a_longer_one(jumps):
    _, _, _, _, khz = jumps
    rng = np.random.default_rng(4)
    bounds = []
    for rate in (1e-5, 0.0):
        _, site = jumping(np.full((4, 4), rate), 1000, 24, rng)
        x = square().positions[site]
        log = site_log(x, square(), stride_ps=STRIDE, window_ps=0.0)
        found = site_tensors([log], [khz[:1000]], square(), stride_ps=STRIDE)
        predicted = predicted_decay(found, rng=rng)
        assert predicted.tau.value is None
        bounds.append(predicted.tau.interval[0])
    assert 0.5 < bounds[0] <= bounds[1]


def test_tensors_of_other_frames_are_refused(jumps):
    _, _, _, log, khz = jumps
    with pytest.raises(HopechoError, match="same frames and ions"):
        site_tensors([log], [khz[:-1]], square(), stride_ps=STRIDE)


def test_histograms_tell_kinds_apart_and_are_normalised():
    axial = np.array([0.0, 0.0, np.sqrt(1.5), 0.0, 0.0])
    tensors = np.array([[0.005 * axial, 0.01 * axial]] * 50)
    kinds = np.array([["A", "B"]] * 50)
    columns, moments = histograms([tensors], [kinds], isotope="7Li", b0=[0, 0, 1])
    assert moments["A"]["cq"]["mean_khz"] == pytest.approx(47.11, abs=0.01)
    assert moments["B"]["omega_q"]["mean_khz"] == pytest.approx(-0.5 * 94.22, abs=0.01)
    assert moments["B"]["cq"]["share"] == 0.5
    own = np.array([d for d, q, k in zip(columns["density"], columns["quantity"], columns["kind"],
                                         strict=True) if (q, k) == ("cq", "A")])  # fmt: skip
    width = np.diff(columns["value_khz"][:2])[0]
    assert own.sum() * width == pytest.approx(1.0)


def test_random_orientations_make_an_even_map():
    r = random_rotations(40_000, rng=np.random.default_rng(5))
    v = np.einsum("nij,jk,nlk->nil", r, np.diag([-0.2, -0.8, 1.0]), r)
    angles = angle_map([isometric_from_matrix(v)[None]], [1, 1, 0], n_bins=6)
    inside = angles["theta_deg"] > 15
    assert angles["density"][inside] == pytest.approx(np.ones(inside.sum()), abs=0.12)


def test_traces_show_the_ions_that_hop_most_and_mark_their_hops(jumps):
    _, _, _, log, khz = jumps
    chosen = chosen_ions([log, log])
    counts = np.bincount(log.ion)
    assert counts[chosen[0][1]] == counts.max()
    assert counts[chosen[-1][1]] == counts.min()
    rows = traces([khz / 4711.0], [log], stride_ps=STRIDE, n_window=5, isotope="7Li",
                  b0=[0, 0, 1])  # fmt: skip
    ion = np.array(rows["ion"])
    assert sum(np.array(rows["hops"])[ion == chosen[0][1]]) == counts.max()
    assert averaged([khz], 10)[0].std() < khz.std()


def test_the_average_of_hopping_ions_falls_where_that_of_all_stays():
    """Half the ions are redrawn once within the run: those are the 'hoppers'."""
    rng = np.random.default_rng(6)
    series = np.repeat(rng.normal(size=(1, 40, 5)), 400, axis=0)
    for ion in range(20):
        when = rng.integers(50, 350)
        series[when:, ion] = rng.normal(size=5)
    groups = {"all": [np.arange(40)], "hop": [np.arange(20)], "stay": [np.arange(20, 40)],
              "none": [np.arange(0)]}  # fmt: skip
    rows = group_acf([series], groups, stride_ps=1.0, max_lag_fraction=0.5)
    group, acf = np.array(rows["group"]), np.array(rows["acf"])
    last = {g: acf[group == g][-1] for g in ("all", "hop", "stay")}
    assert last["stay"] == pytest.approx(1.0)
    assert last["hop"] < last["all"] < 1.0
    assert "none" not in group


def trajectory(sites, site, rng):
    n = len(site)
    li = sites.positions[site] + 0.15 * rng.normal(size=(*site.shape, 3))
    frame = sites.framework + 0.1 * rng.normal(size=(n, *sites.framework.shape))
    numbers = np.array([3] * site.shape[1] + [15] * len(sites.framework))
    return Trajectory(
        np.arange(n) * STRIDE, np.concatenate([li, frame], axis=1), sites.cell, numbers
    )


@pytest.mark.parametrize("known", [True, False])
def test_the_whole_analysis(beta, known):
    rng = np.random.default_rng(7)
    occupied = np.flatnonzero([k != "LiS2" for k in beta.kind])
    site = np.broadcast_to(occupied, (200, len(occupied))).copy()
    pair = [5, 9]  # two ions trade places over and over
    for t in range(20, 200, 20):
        site[t : t + 20, pair] = site[t - 1, pair[::-1]]
    runs = [trajectory(beta, site, rng)]
    efg = [0.01 * rng.normal(size=(16, 5))[beta.unit[site]]]
    settings = SiteSettings(
        mobile="Li", oxidation={"Li": 1, "P": 5}, isotope="7Li", b0=[0, 0, 1],
        hop_distance_angstrom=1.5, hop_window_ps=2.0, max_lag_fraction=0.3, seed=1,
        plan=EchoPlan(tp_us=(5.0,), tm_us=(1.0, 100.0), dead_time_us=0.0),
    )  # fmt: skip
    result = analyse_sites(runs, efg, sites=beta if known else None, settings=settings)
    assert set(result.tables) == {"histograms", "traces", "angles", "acf", "hops"}
    assert result.record["n_hopping_ions"] == [2]
    log = result.tables["hops"]
    assert len(log["ion"]) == result.record["n_hops"][0] == 18
    assert set(log["ion"]) == set(pair)
    moved = np.linalg.norm([log[f"d{axis}_angstrom"] for axis in "xyz"], axis=0)
    apart = np.linalg.norm(np.subtract(*beta.positions[occupied[pair]]))
    assert moved == pytest.approx(np.full(18, apart), abs=0.3)
    ends = {log["origin_kind"][0], log["destination_kind"][0]}
    assert ends == ({"LiS4", "LiS6"} if known else {"cage"}) or known
    assert [i["n_hops"] for i in result.record["ions"] if i["ion"] in pair] == [9, 9]
    rates = result.record["rate_against_stride"]
    assert [r["stride_ps"] for r in rates] == [0.5, 1.0, 2.5, 5.0]
    assert rates[0]["rate"]["n_independent"] == 18
    if not known:
        assert result.record["exchange"] is None
        assert set(result.record["kinds"]) == {"cage"}
        return
    assert set(result.record["kinds"]) == {"LiS4", "LiS6"}
    exchange = result.record["exchange"]
    assert exchange["return_share"] == 1.0
    assert "2 pi nu tau" in exchange["regime"]
    # Twelve sites of the cell with tensors of their own, all equally often.
    assert exchange["long_tp"]["n_classes"] == exchange["long_tp"]["n_sites"] == 12
    assert exchange["long_tp"]["plateau_normalised"] == pytest.approx(1 / 12, rel=0.01)
    (echo,) = result.record["echo"]["routes"]["exchange"]["echoes"]
    assert 0 < echo["s2_last"] <= echo["s2_first"] < 0.45
    assert {"all", "hop", "stay", "start LiS4", "start LiS6"} == set(result.tables["acf"]["group"])
    assert result.record["sites_lost"] is None
    molten = replace(runs[0], positions=runs[0].positions.copy())
    start = len(occupied)
    molten.positions[:, start:] += rng.uniform(-3, 3, size=(80, 3))
    lost = analyse_sites([molten], efg, sites=beta, settings=settings)
    assert set(lost.record["kinds"]) == {"cage"}
    assert "not that of the crystal" in lost.record["sites_lost"]
    with pytest.raises(HopechoError, match="same frames and ions"):
        analyse_sites(runs, [efg[0][:, :3]], sites=beta, settings=settings)
