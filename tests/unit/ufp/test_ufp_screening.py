"""Bad labels among good ones: each is named, and excluded or kept as configured."""

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import Regularisation, fit_potential
from hopecho.ufp.screening import ScreenRules, _force_scales, fit_screened, screen_labels

NOISE_EV_ATOM, NOISE_EV_A = 0.002, 0.05
OPTIONS = {"regularisation": Regularisation(1e-8, 1e-6, 1e-5, 0.0)}


@pytest.fixture(scope="module")
def small() -> BasisSpec:
    return BasisSpec(("Li", "P", "S"), 4.0, 2.8, intervals_2b=5, intervals_3b=2, intervals_jk=2)


@pytest.fixture
def frames(potential, crystal):
    """Two hundred labels of a known potential with Gaussian noise."""
    rng, packed, out = np.random.default_rng(7), pack(potential), []
    for k in range(200):
        atoms = crystal.copy()
        atoms.positions += rng.normal(scale=0.06, size=(8, 3))
        truth = evaluate(packed, atoms)
        energy = truth.energy + 8 * NOISE_EV_ATOM * rng.normal()
        forces = truth.forces + NOISE_EV_A * rng.normal(size=(8, 3))
        out.append(LabelledFrame(atoms, energy, forces, None, f"frame {k}"))
    return out


def planted(frames, index, *, energy=0.0, force=0.0):
    """Copy of the frames with an error in one label."""
    old = frames[index]
    forces = old.forces.copy()
    forces[5, 1] += force
    label = LabelledFrame(old.atoms, old.energy + energy, forces, None, old.name)
    return [*frames[:index], label, *frames[index + 1 :]]


def spread(frames, small, index):
    """Scatter of the residuals of the clean fit: energy per atom, force on a sulfur of a frame."""
    packed = pack(fit_potential(frames, small, **OPTIONS).potential)
    got = [evaluate(packed, f.atoms) for f in frames]
    energy = np.array([(p.energy - f.energy) / 8 for p, f in zip(got, frames)])
    scales = _force_scales(frames, [p.forces - f.forces for p, f in zip(got, frames)])
    return {"energy": energy.std(), "force": scales[index][5]}


def test_the_scale_of_forces_is_their_noise_or_grows_with_them(frames, small):
    scales = np.array(_force_scales(frames, [NOISE_EV_A * np.ones((8, 3))] * 200))
    assert (scales > 0).all()
    rng = np.random.default_rng(3)
    noise = [NOISE_EV_A * rng.normal(size=(8, 3)) for _ in frames]
    found = np.array(_force_scales(frames, noise))
    # Never below the noise, and not far above where errors do not grow with the forces.
    assert (found > 0.8 * NOISE_EV_A).all()
    assert np.median(found) < 1.6 * NOISE_EV_A
    relative = [0.05 * f.forces * rng.normal(size=(8, 3)) for f in frames]
    grown = np.array(_force_scales(frames, relative))
    large = np.array([np.median(np.abs(f.forces)) for f in frames])
    assert np.corrcoef(grown.mean(axis=1), large)[0, 1] > 0.5


def test_clean_labels_give_no_finding(frames, small):
    result, findings = fit_screened(frames, small, **OPTIONS)
    assert findings == []
    assert result.train_errors["n_frames"] == 200


@pytest.mark.parametrize("kind", ["energy", "force"])
def test_one_outlier_of_ten_sigma_is_named_and_treated_as_configured(frames, small, kind):
    sigma = spread(frames, small, 123)[kind]
    # More than ten: the fit gives in to a force, and the frame's typical force moves a little.
    bad = planted(frames, 123, **{kind: sigma * (12 * 8 if kind == "energy" else 14)})
    clean = fit_potential(frames[:123] + frames[124:], small, **OPTIONS)
    kept, found = fit_screened(bad, small, **OPTIONS)
    assert [(f.frame, f.kind, f.action) for f in found] == [("frame 123", "outlier", "kept")]
    assert ("meV/atom" if kind == "energy" else "force on atom 5 (S)") in found[0].seen
    assert kept.train_errors["n_frames"] == 200
    rules = ScreenRules(outliers="exclude")
    left, found = fit_screened(bad, small, rules=rules, **OPTIONS)
    assert [(f.frame, f.action) for f in found] == [("frame 123", "excluded")]
    np.testing.assert_array_equal(left.coefficients, clean.coefficients)
    with pytest.raises(HopechoError, match="frame 123 is far from") as caught:
        fit_screened(bad, small, rules=ScreenRules(outliers="stop"), **OPTIONS)
    assert "potential.screen.outliers" in str(caught.value)


def test_a_nan_is_named_and_never_kept(frames, small):
    bad = planted(frames[:40], 17, force=np.nan)
    with pytest.raises(HopechoError, match="frame 17 is not finite") as caught:
        fit_screened(bad, small, **OPTIONS)
    assert caught.value.got == "forces"
    rules = ScreenRules(not_finite="exclude")
    result, findings = fit_screened(bad, small, rules=rules, **OPTIONS)
    assert [(f.frame, f.kind, f.action) for f in findings] == [
        ("frame 17", "not_finite", "excluded")
    ]
    assert result.train_errors["n_frames"] == 39


def test_a_duplicate_counts_once_whatever_its_order_and_image(frames, small):
    old = frames[3]
    order = np.random.default_rng(1).permutation(8)
    atoms = old.atoms[order]
    atoms.positions += np.array([[1, 0, -2]] * 8) @ atoms.cell.array
    twin = LabelledFrame(atoms, old.energy + 0.08, old.forces[order], None, "twin")
    kept, findings = screen_labels([*frames[:20], twin], ScreenRules())
    assert len(kept) == 20
    assert [(f.frame, f.kind, f.action) for f in findings] == [("twin", "duplicate", "excluded")]
    assert findings[0].seen == "the structure of frame 3; their energies differ by 10 meV/atom"
    kept, findings = screen_labels([*frames[:20], twin], ScreenRules(duplicates="keep"))
    assert len(kept) == 21
    assert findings[0].action == "kept"


def test_a_structure_that_only_looks_alike_is_no_duplicate(frames):
    other = frames[0].atoms.copy()
    other.positions[0, 0] += 1e-4
    near = LabelledFrame(other, frames[0].energy, frames[0].forces, None, "near")
    assert screen_labels([frames[0], near], ScreenRules())[1] == []
