"""The learning curve on labels that are exactly linear in the features."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.efg.learning_curve import efg_learning_curve
from hopecho.efg.model import EfgSettings, frame_features, make_spec
from hopecho.efg.radial import RadialBasis
from hopecho.errors import HopechoError
from hopecho.tensors import matrix_from_isometric

SETTINGS = EfgSettings(
    basis=RadialBasis(cutoff=4.0, n_radial=2, l_max=2),
    long_range_width=0.0,
    ridge=(1e-10, 1e-6),
    n_folds=3,
)


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    scaled = np.array([[i, j, k] for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)])
    found = []
    for k in range(16):
        moved = scaled + rng.uniform(-0.08, 0.08, (8, 3))
        atoms = Atoms("Li3PS4", scaled_positions=moved, cell=np.eye(3) * 6, pbc=True)
        atoms.info["trajectory"] = f"run{k % 8}"
        found.append(atoms)
    spec = make_spec(found, SETTINGS)
    weights = rng.normal(size=spec.n_features)
    for atoms in found:
        efg = np.zeros((8, 3, 3))
        efg[:3] = 0.01 * matrix_from_isometric(frame_features(atoms, spec) @ weights)
        atoms.arrays["efg"] = efg
    return found


def test_error_falls_to_nothing_and_the_whole_set_is_fitted_once(frames):
    rows = efg_learning_curve(frames[:12], [2, 4, 12], frames[12:], settings=SETTINGS, seeds=[0, 1])
    assert [(r["n_structures"], r["seed"]) for r in rows] == [
        (2, 0),
        (4, 0),
        (12, 0),
        (2, 1),
        (4, 1),
    ]
    assert [r["n_tensors"] for r in rows] == [6, 12, 36, 6, 12]
    assert rows[2]["mae_over_std"] < 1e-3 < rows[0]["mae_over_std"]
    assert rows[2]["mae_omega_q_khz"] < rows[1]["mae_omega_q_khz"] < rows[0]["mae_omega_q_khz"]


def test_frames_of_one_run_have_folds_of_their_own(frames):
    same = [a.copy() for a in frames[:4]]
    for atoms in same:
        atoms.info["trajectory"] = "run"
    (row,) = efg_learning_curve(same, [3], frames[12:], settings=SETTINGS, seeds=[0])
    assert row["n_tensors"] == 9


def test_impossible_counts_are_errors(frames):
    with pytest.raises(HopechoError, match="counts"):
        efg_learning_curve(frames[:4], [1, 4], frames[12:], settings=SETTINGS)
    with pytest.raises(HopechoError, match="5"):
        efg_learning_curve(frames[:4], [5], frames[12:], settings=SETTINGS)
