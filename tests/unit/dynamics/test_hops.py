"""Hops between sites and between cages, with planted jumps."""

import numpy as np
import pytest

from hopecho.dynamics.hops import cage_hops, site_hops
from hopecho.errors import HopechoError

CELL = np.array([[12.0, 0.0, 0.0], [3.0, 11.0, 0.0], [0.0, -2.0, 10.0]])
SITES = np.array([[0.2, 0.0, 0.0], [4.0, 0.0, 0.0], [8.0, 1.0, 5.0]])


def on_sites(path, *, noise=0.2, seed=0):
    x = SITES[np.asarray(path)][:, None]
    return x + noise * np.random.default_rng(seed).normal(size=x.shape)


def test_planted_hops_are_found_with_time_ion_and_sites():
    still = on_sites([2] * 60)
    mover = on_sites([0] * 20 + [1] * 30 + [2] * 10, seed=1)
    log = site_hops(
        np.concatenate([still, mover], 1), sites=SITES, cell=CELL, stride_ps=0.5, core_radius_a=1.5
    )
    assert list(log.ion) == [1, 1]
    assert list(log.time_ps) == [10.0, 25.0]
    assert list(log.origin) == [0, 1]
    assert list(log.destination) == [1, 2]
    np.testing.assert_allclose(log.displacement, [SITES[1] - SITES[0], SITES[2] - SITES[1]])
    assert log.ion_time_ps == 60.0
    np.testing.assert_array_equal(log.occupation[:, 1], [0] * 20 + [1] * 30 + [2] * 10)


def test_leaving_a_core_without_entering_another_is_no_hop():
    x = on_sites([0] * 40, noise=0.0)
    x[10:20] += [1.9, 0.0, 0.0]
    log = site_hops(x, sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=1.0)
    assert len(log.ion) == 0


@pytest.mark.parametrize(("residence", "n_hops"), [(0.0, 2), (3.0, 2), (4.0, 0)])
def test_a_short_visit_counts_only_below_the_minimum_residence(residence, n_hops):
    x = on_sites([0] * 20 + [1] * 3 + [0] * 20)
    log = site_hops(
        x,
        sites=SITES,
        cell=CELL,
        stride_ps=1.0,
        core_radius_a=1.5,
        min_residence_ps=residence,
    )
    assert len(log.ion) == n_hops


def test_a_short_visit_on_the_way_is_skipped():
    x = on_sites([0] * 20 + [1] * 2 + [2] * 20)
    log = site_hops(
        x, sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=1.5, min_residence_ps=5.0
    )
    assert [(log.origin[0], log.destination[0], log.time_ps[0])] == [(0, 2, 22.0)]
    assert len(log.ion) == 1


def test_sites_are_found_from_any_image_and_an_image_is_another_site():
    shift = np.array([3, -2, 5]) @ CELL
    x = on_sites([0] * 20 + [1] * 20) + shift
    log = site_hops(x, sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=1.5)
    assert (log.origin[0], log.destination[0]) == (0, 1)
    y = on_sites([1] * 20)
    y = np.concatenate([y, y + CELL[0]])
    image = site_hops(y, sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=1.5)
    assert (image.origin[0], image.destination[0]) == (1, 1)
    np.testing.assert_allclose(image.displacement[0], CELL[0], atol=1e-9)


def test_a_site_at_the_cell_wall_holds_an_ion_on_both_sides():
    x = np.tile([[[0.0, 0.0, 0.0]]], (50, 1, 1)) + 0.3 * np.random.default_rng(2).normal(
        size=(50, 1, 3)
    )
    log = site_hops(x, sites=np.zeros((1, 3)), cell=CELL, stride_ps=1.0, core_radius_a=2.0)
    assert len(log.ion) == 0


def test_overlapping_cores_and_lost_ions_are_refused():
    with pytest.raises(HopechoError, match=r"closest sites 3\.800"):
        site_hops(on_sites([0] * 9), sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=2.0)
    with pytest.raises(HopechoError, match="Ion 0 never enters"):
        site_hops(on_sites([0] * 9) + 3.0, sites=SITES, cell=CELL, stride_ps=1.0, core_radius_a=0.5)


def test_cage_jumps_are_found_and_vibrations_are_not():
    rng = np.random.default_rng(3)
    x = 0.35 * rng.normal(size=(400, 10, 3))
    x[150:, 4] += [3.0, 0.0, 0.0]
    x[300:, 4] += [0.0, 2.5, 0.0]
    log = cage_hops(x, stride_ps=0.5, window_ps=2.0, min_residence_ps=5.0)
    assert list(log.ion) == [4, 4]
    np.testing.assert_allclose(log.time_ps, [75.0, 150.0], atol=1.5)
    np.testing.assert_allclose(log.displacement, [[3, 0, 0], [0, 2.5, 0]], atol=0.5)
    assert (list(log.origin), list(log.destination)) == ([0, 1], [1, 2])


def test_a_short_excursion_is_no_cage_jump():
    x = np.zeros((200, 1, 3))
    x[50:55] = 4.0
    settings = {"stride_ps": 1.0, "window_ps": 1.0}
    assert len(cage_hops(x, min_residence_ps=10.0, **settings).ion) == 0
    assert len(cage_hops(x, min_residence_ps=3.0, **settings).ion) == 2


def test_many_jumps_outgrow_the_first_buffer():
    x = np.repeat(np.arange(50.0) * 3.0, 10)[:, None, None] * np.array([[[1.0, 0.0, 0.0]]])
    log = cage_hops(np.tile(x, (1, 4, 1)), stride_ps=1.0, window_ps=1.0, min_residence_ps=4.0)
    assert len(log.ion) == 4 * 49
    assert (np.diff(log.time_ps) >= 0).all()
    assert log.displacement[:, 0].sum() == pytest.approx(4 * 49 * 3.0)


def test_a_run_too_short_for_cages_is_refused():
    with pytest.raises(HopechoError, match="two residences"):
        cage_hops(np.zeros((10, 1, 3)), stride_ps=1.0, min_residence_ps=6.0)
