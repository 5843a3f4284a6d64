"""Joining segments, refusing broken ones, and the framework's frame."""

import numpy as np
import pytest

from hopecho.dynamics.conductivity import collective_curves
from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, write_segment
from hopecho.trajectory import framework_frame, join, load

CELL = np.array([[10.0, 0.0, 0.0], [2.0, 9.0, 0.0], [0.0, 1.0, 8.0]])
NUMBERS = np.array([3, 3, 3, 15, 16, 16, 16, 16])


def segment(n_frames, *, start=0, seed=0, step=0.3):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(scale=step, size=(n_frames, len(NUMBERS), 3)), axis=0)
    time = (start + np.arange(n_frames)) * 0.5
    return Segment(time, rng.random((1, len(NUMBERS), 3)) @ CELL + walk, CELL, NUMBERS)


def cut(whole, start, stop):
    return Segment(whole.time_ps[start:stop], whole.positions[start:stop], CELL, NUMBERS)


def test_segments_read_from_files_join_to_the_whole(tmp_path):
    whole = segment(300)
    paths = [tmp_path / f"segment{s}.h5md" for s in range(3)]
    for s, path in enumerate(paths):
        write_segment(path, cut(whole, 100 * s, 100 * s + 100))
    run = load(paths)
    np.testing.assert_allclose(run.positions, whole.positions, atol=2e-5)
    np.testing.assert_allclose(run.time_ps, whole.time_ps)
    assert run.stride_ps == pytest.approx(0.5)
    assert run.volume_a3 == pytest.approx(720.0)
    assert run.select("Li").sum() == 3


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([(0, 100), (99, 200)], "stands twice"),
        ([(0, 100), (110, 200)], "missing"),
        ([(100, 200), (0, 100)], "backwards"),
        ([(0, 1)], "two frames"),
        ([], "at least one segment"),
    ],
)
def test_gaps_double_frames_and_short_runs_are_refused(pieces, message):
    whole = segment(200)
    with pytest.raises(HopechoError, match=message):
        join([cut(whole, *piece) for piece in pieces])


def test_an_error_in_time_names_the_file():
    whole = segment(200)
    with pytest.raises(HopechoError, match=r"frame 100 \(second\)"):
        join([cut(whole, 0, 100), cut(whole, 110, 200)], names=["first", "second"])


def test_other_atoms_or_another_cell_are_refused():
    one = segment(50)
    with pytest.raises(HopechoError, match="other atoms"):
        join([one, Segment(one.time_ps + 25, one.positions, CELL, NUMBERS[::-1].copy())])
    with pytest.raises(HopechoError, match="another cell"):
        join([one, Segment(one.time_ps + 25, one.positions, CELL * 1.01, NUMBERS)])


def test_wrapped_positions_are_refused():
    whole = segment(2000)
    fractional = whole.positions @ np.linalg.inv(CELL)
    wrapped = (fractional - np.floor(fractional)) @ CELL
    message = r"wrapped into its triclinic cell: atom \d+ jumps by about cell vector [abc]"
    with pytest.raises(HopechoError, match=message):
        join([Segment(whole.time_ps, wrapped, CELL, NUMBERS)])
    box = np.diag([9.0, 9.0, 9.0])
    with pytest.raises(HopechoError, match=r"is wrapped: atom \d+ jumps"):
        join([Segment(whole.time_ps, whole.positions % 9.0, box, NUMBERS)])


@pytest.mark.parametrize("step", [1.5, 3.0, 6.0])
def test_sparse_frames_unwrapped_by_the_nearest_image_are_refused(step):
    whole = segment(4000, step=step)
    steps = np.diff(whole.positions @ np.linalg.inv(CELL), axis=0)
    guess = np.cumsum(steps - np.rint(steps), axis=0) @ CELL
    with pytest.raises(HopechoError, match="too sparsely sampled"):
        join([Segment(whole.time_ps[1:], guess, CELL, NUMBERS)])
    # The same frames, written unwrapped, are fine.
    assert len(join([whole]).positions) == 4000


def test_a_segment_that_restarts_from_wrapped_positions_is_refused():
    whole = segment(2000)
    late = whole.positions[1000:].copy()
    late[:, 2] -= 2 * CELL[1]
    broken = Segment(whole.time_ps[1000:], late, CELL, NUMBERS)
    with pytest.raises(HopechoError, match="atom 2 jumps by about cell vector b at frame 1000"):
        join([cut(whole, 0, 1000), broken])


@pytest.mark.parametrize("step", [0.3, 2.0, 4.0])
def test_fast_but_unwrapped_ions_are_accepted(step):
    assert join([segment(2000, step=step)]).positions.shape == (2000, 8, 3)


def test_a_position_that_is_not_a_number_is_named():
    broken = segment(600)
    broken.positions[555, 4, 1] = np.nan
    with pytest.raises(HopechoError, match=r"Atom 4 .* frame 555"):
        join([broken])


@pytest.mark.parametrize("kind", ["charge", "mass"])
def test_drift_is_removed_and_reported(kind):
    whole, mobile = segment(400), NUMBERS == 3
    plain, drift0 = framework_frame(whole.positions, NUMBERS, mobile, kind=kind)
    drift = np.linspace(0.0, 30.0, 400)[:, None] * np.array([1.0, -2.0, 0.5])
    moved, drift1 = framework_frame(whole.positions + drift[:, None], NUMBERS, mobile, kind=kind)
    np.testing.assert_allclose(moved, plain, atol=1e-9)
    np.testing.assert_allclose(drift1 - drift0, drift, atol=1e-9)
    np.testing.assert_allclose(plain[0], whole.positions[0])


def test_in_the_charge_frame_the_mobile_ions_carry_the_whole_dipole():
    """Li3PS4 is neutral: sum of q dr of all ions = that of Li in the frame of the charge."""
    x, mobile = segment(200).positions, NUMBERS == 3
    charge = np.array([1.0] * 3 + [5.0] + [-2.0] * 4)
    framed, _ = framework_frame(x, NUMBERS, mobile)
    everything = np.einsum("a,tak->tk", charge, x - x[0])
    np.testing.assert_allclose((framed - framed[0])[:, mobile].sum(1), everything, atol=1e-10)


def test_at_zero_momentum_the_collective_msd_grows_by_one_plus_mass_ratio_squared():
    from ase.data import atomic_masses

    x, mobile, mass = segment(400).positions.copy(), NUMBERS == 3, atomic_masses[NUMBERS]
    x -= np.average(x, axis=1, weights=mass)[:, None]
    framed, _ = framework_frame(x, NUMBERS, mobile, kind="mass")
    raw = collective_curves([x[:, mobile]], stride_ps=1.0).msd[1:]
    inside = collective_curves([framed[:, mobile]], stride_ps=1.0).msd[1:]
    ratio = mass[mobile].sum() / mass[~mobile].sum()
    np.testing.assert_allclose(inside / raw, (1.0 + ratio) ** 2, rtol=1e-6)


def test_impossible_frames_are_refused():
    x, mobile = segment(50).positions, NUMBERS == 3
    with pytest.raises(HopechoError, match="mobile ions and a framework"):
        framework_frame(x, NUMBERS, np.ones(8, dtype=bool))
    with pytest.raises(HopechoError, match="no formal charge"):
        framework_frame(x, NUMBERS, mobile, charges={"P": 5.0})
    with pytest.raises(HopechoError, match="no net formal charge"):
        framework_frame(x, NUMBERS, mobile, charges={"P": 8.0, "S": -2.0})
    with pytest.raises(HopechoError, match="'charge' or 'mass'"):
        framework_frame(x, NUMBERS, mobile, kind="centre")
