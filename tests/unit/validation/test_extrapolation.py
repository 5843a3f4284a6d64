"""Environments of production against the training data: what is far is found and named."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, write_segment
from hopecho.io.runs import group_runs
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.calibration import Calibration, Term
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential
from hopecho.ufp.uncertainty import leverages, posterior
from hopecho.validation.extrapolation import extrapolation_record, reach, watch

SPEC = BasisSpec(("Li", "S"), 5.0, 3.0, intervals_2b=8, intervals_3b=2, intervals_jk=2)
STRANGE = 5


def crystal(rng, scale=0.1) -> Atoms:
    atoms = Atoms("LiS", scaled_positions=[[0, 0, 0], [0.5] * 3], cell=3.0 * np.eye(3), pbc=True)
    atoms = make_supercell(atoms, 2 * np.eye(3, dtype=int))
    atoms.positions += rng.normal(scale=scale, size=atoms.positions.shape)
    return atoms


@pytest.fixture(scope="module")
def train() -> list[Atoms]:
    rng = np.random.default_rng(1)
    return [crystal(rng) for _ in range(20)]


@pytest.fixture(scope="module")
def model(train):
    rng = np.random.default_rng(2)
    frames = [LabelledFrame(a, 0.0, rng.normal(size=(len(a), 3)), None, "") for a in train]
    return posterior(fit_potential(frames, SPEC, shares={"stress": 0.0}))


@pytest.fixture
def run(tmp_path):
    """Two segments, frames every 0.5 ps; in the fourth of the second an ion stands off its site."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "quench1/300K/replica2"
    folder.mkdir(parents=True)
    for s in range(2):
        frames = [crystal(rng, 0.08) for _ in range(10)]
        if s == 1:
            frames[3].positions[STRANGE] += [0.9, 0.9, 0.0]
        positions = np.stack([f.positions for f in frames])
        time = 0.5 * np.arange(1, 11) + 5.0 * s
        part = Segment(time, positions, frames[0].cell.array, frames[0].numbers)
        write_segment(folder / f"segment{s}.h5md", part)
    return group_runs(sorted(folder.iterdir()))


def test_reach_is_the_largest_leverage_of_each_element(model, train):
    known = reach(model, train)
    for name in ("Li", "S"):
        own = [leverages(model, a).forces.sum(1)[a.symbols == name].max() for a in train]
        assert known.largest[name] == pytest.approx(max(own), rel=1e-6)


def test_a_strange_environment_is_named_with_run_time_and_atom(model, train, run):
    snapshots = list(watch(model, reach(model, train), run, stride_ps=0.5))
    assert [s.time_ps for s in snapshots] == pytest.approx(0.5 * np.arange(1, 21))
    record = extrapolation_record(snapshots, reach(model, train))
    at = record["largest_ratio_at"]
    assert (at["quench"], at["replica"], at["time_ps"]) == (1, 2, 7.0)
    assert record["largest_ratio"] > 3
    assert record["n_environments"] == 20 * 16
    # Apart from that frame nothing is farther than a thermal crystal's own scatter.
    calm = [s for s in snapshots if s.time_ps != 7.0]
    assert max(s.ratio for s in calm) < 1.5
    assert record["predicted_force_sigma_ev_a"] is None


def test_training_frames_are_never_beyond_themselves(model, train, tmp_path):
    folder = tmp_path / "quench0/300K/replica0"
    folder.mkdir(parents=True)
    positions = np.stack([a.positions for a in train])
    part = Segment(np.arange(20.0), positions, train[0].cell.array, train[0].numbers)
    write_segment(folder / "segment0.h5md", part)
    runs = group_runs(folder.iterdir())
    snapshots = list(watch(model, reach(model, train), runs, stride_ps=1.0))
    # float32 positions move a leverage by some 1e-5 of itself.
    assert max(s.ratio for s in snapshots) == pytest.approx(1.0, abs=1e-3)


def test_snapshots_are_a_stride_apart_and_widths_follow_the_calibration(model, train, run):
    terms = {name: Term(0.02, 0.0, 0.02, 1.0, 99) for name in ("Li", "S")}
    calibration = Calibration(terms, Term(0.001, 0.0, 0.001, 1.0, 9), 0.02, 10)
    known = reach(model, train)
    snapshots = list(watch(model, known, run, stride_ps=2.0, calibration=calibration))
    assert [s.time_ps for s in snapshots] == pytest.approx([0.5, 2.5, 4.5, 6.5, 8.5])
    record = extrapolation_record(snapshots, known)
    assert record["predicted_force_sigma_ev_a"] == pytest.approx(0.02)
    with pytest.raises(HopechoError, match="no snapshot"):
        extrapolation_record([], known)
