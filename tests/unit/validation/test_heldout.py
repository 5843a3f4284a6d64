"""Errors on held-out frames whose potential and tensors are wrong by planted amounts."""

import numpy as np
import pytest

from hopecho.efg.model import EfgSettings, fit_efg_model
from hopecho.efg.predict import predict_frames
from hopecho.efg.radial import RadialBasis
from hopecho.errors import HopechoError
from hopecho.structures.crystals import load_crystal
from hopecho.tensors import matrix_from_isometric, omega_q_isometric
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.validation.heldout import heldout_errors, trust

OFFSET = np.array([2e-3, 0.0, -1e-3, 0.0, 3e-3])


def rattled(seed):
    atoms = load_crystal("beta-Li3PS4")
    atoms.rattle(0.1, seed=seed)
    return atoms


@pytest.fixture(scope="module")
def potential():
    spec = BasisSpec(("Li", "P", "S"), 4.0, 3.0, intervals_2b=6, intervals_3b=3, intervals_jk=4)
    rng = np.random.default_rng(0)
    return potential_from(spec, rng.normal(scale=0.05, size=layout(spec).n_columns), {})


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(1)
    frames = []
    for seed in range(6):
        atoms = rattled(100 + seed)
        atoms.arrays["efg"] = matrix_from_isometric(rng.normal(scale=0.01, size=(len(atoms), 5)))
        frames.append(atoms)
    basis = RadialBasis(cutoff=4.0, n_radial=2, l_max=2)
    return fit_efg_model(frames, settings=EfgSettings(basis=basis, n_folds=3))


@pytest.fixture(scope="module")
def frames(potential, model):
    """Labels = prediction minus a known error: 5 meV/atom and 0.3 eV/A along x in the glass."""
    found = []
    for seed, (phase, run) in enumerate(
        [
            ("beta", "a"),
            ("glass", "c"),
            ("beta", "a"),
            ("beta", "b"),
            ("glass", "c"),
            ("glass", "c"),
        ]
    ):
        atoms = rattled(seed)
        wrong = phase == "glass"
        prediction = evaluate(pack(potential), atoms)
        tensors = predict_frames(model, atoms.positions[None], atoms.cell.array, atoms.numbers)[0]
        efg = np.zeros((len(atoms), 3, 3))
        efg[atoms.numbers == 3] = matrix_from_isometric(tensors - wrong * OFFSET)
        atoms.arrays |= {
            "efg": efg,
            "REF_forces": prediction.forces - wrong * np.array([0.3, 0, 0]),
        }
        atoms.info |= {
            "phase": phase, "trajectory": run, "hash": str(seed), "source": "model PES",
            "REF_energy": prediction.energy - wrong * 0.005 * len(atoms),
        }  # fmt: skip
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def result(potential, model, frames):
    return heldout_errors(potential, model, frames, isotope="7Li")


def test_errors_are_those_planted_phase_by_phase(result):
    assert sorted(result.phases) == ["beta", "glass"]
    good, bad = result.phases["beta"], result.phases["glass"]
    assert good["potential"]["n_frames"] == bad["potential"]["n_frames"] == 3
    assert good["potential"]["rmse_energy"] == pytest.approx(0.0, abs=1e-12)
    assert bad["potential"]["rmse_energy"] == pytest.approx(0.005)
    assert good["potential"]["rmse_force"] == pytest.approx(0.0, abs=1e-10)
    assert bad["potential"]["rmse_force"] == pytest.approx(0.3 / np.sqrt(3))
    assert good["efg"]["omega_q"]["mae_over_std"] == pytest.approx(0.0, abs=1e-9)
    assert bad["efg"]["omega_q"]["mae_over_std"] > 0.01


def test_each_trajectory_stands_for_itself(result):
    runs = result.phases["beta"]["trajectories"]
    assert {run: m["potential"]["n_frames"] for run, m in runs.items()} == {"a": 2, "b": 1}
    assert "efg_split" in runs["a"]
    assert "efg_split" not in runs["b"]  # one frame cannot tell what stays from what fluctuates
    # An error that every ion has in every frame is all static, and doubles as a cross term.
    split = result.phases["glass"]["trajectories"]["c"]["efg_split"]
    assert split["static_share"] == pytest.approx(1.0)
    assert split["n_frames"] == 3


def test_parity_holds_true_and_predicted_of_every_ion(result, frames):
    n_li = int((frames[0].numbers == 3).sum())
    omega = result.parity["glass/omega_q_khz"]
    assert omega.shape == (3 * n_li, 2)
    shift = omega_q_isometric(OFFSET, [0, 0, 1])
    np.testing.assert_allclose(omega[:, 1] - omega[:, 0], shift, rtol=1e-8)
    force = result.parity["glass/force_ev_a"]
    assert force.shape == (3 * 3 * len(frames[0]), 2)
    np.testing.assert_allclose((force[:, 1] - force[:, 0]).reshape(-1, 3)[:, 0], 0.3, rtol=1e-8)
    assert result.parity["beta/energy_ev_atom"].shape == (3, 2)
    assert (result.parity["beta/cq_abs_khz"] >= 0).all()


def test_sites_are_told_apart_by_their_ligands(potential, model, frames):
    found = heldout_errors(potential, model, frames, isotope="7Li", ligand="S").phases
    for phase, wrong in (("beta", False), ("glass", True)):
        sites = found[phase]["sites"]
        assert sites["ligand"] == "S"
        assert 2.8 < sites["radius_angstrom"] < 3.6  # Li-S bonds of 2.4 to 2.8 A
        assert "LiS4" in sites["classes"]
        for errors in sites["classes"].values():
            assert errors["n_tensors"] >= 20
            assert errors["cq_abs_mean"] > 0
            assert (errors["omega_q"]["mae"] > 0.1) == wrong
            assert "cdf" not in errors


def test_nothing_labelled_is_an_error(potential, model):
    with pytest.raises(HopechoError, match=r"no held-out frame[\s\S]*heldout\.runs"):
        heldout_errors(potential, model, [], isotope="7Li")


def test_labels_without_tensors_are_an_error(potential, model, frames):
    bare = frames[0].copy()
    del bare.arrays["efg"]
    with pytest.raises(HopechoError, match=r"without field gradients[\s\S]*label them again"):
        heldout_errors(potential, model, [bare], isotope="7Li")


def test_trust_counts_errors_within_their_widths():
    true = np.zeros((1, 4, 5))
    predicted = np.ones((1, 4, 5)) * np.array([0.5, 1.5, 0.9, 3.0])[:, None]
    sigma, spread = np.ones((1, 4)), np.full((1, 4), 0.6)
    score = np.array([[0.2, 1.1, 0.9, 0.3]])
    said = trust(true, predicted, sigma=sigma, spread=spread, score=score)
    assert said["share_68"] == 0.5
    assert said["share_68_raw"] == 0.25
    assert said["flagged_share"] == 0.25
    assert said["chi2"] == pytest.approx((0.25 + 2.25 + 0.81 + 9.0) / 4)
