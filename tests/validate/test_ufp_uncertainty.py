"""Predicted force errors on the model surface: coverage and likelihood on trajectories unseen."""

import numpy as np
import pytest
from ase import Atoms, units

from hopecho.labels.model_pes import ModelPes
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.calibration import ONE_SIGMA, calibrate
from hopecho.ufp.coverage import coverage, error_against_leverage
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import fit_potential
from hopecho.ufp.uncertainty import learning_curve, posterior, residuals, textbook_calibration

FRAMES, STRIDE = 12, 40  # of 2 fs
MELT_AND_COOL = ((1500, 1000), (900, 400), (500, 300), (300, 300))


def langevin(atoms, velocities, surface, temperature_k, steps, rng):
    """Move atoms and velocities on by BAOAB steps; return the last energy, forces and stress.

    Source: Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34 (2013).
    """
    dt, friction = 2 * units.fs, 0.02 / units.fs
    mass = atoms.get_masses()[:, None]
    keep = np.exp(-friction * dt)
    kick = np.sqrt((1 - keep**2) * units.kB * temperature_k / mass)
    label = surface.evaluate(atoms)
    for _ in range(steps):
        velocities += 0.5 * dt * label[1] / mass
        atoms.positions += 0.5 * dt * velocities
        velocities *= keep
        velocities += kick * rng.normal(size=velocities.shape)
        atoms.positions += 0.5 * dt * velocities
        label = surface.evaluate(atoms)
        velocities += 0.5 * dt * label[1] / mass
    return label


def trajectory(start: Atoms, surface: ModelPes, temperature_k: int, seed: int, name: str):
    """Labelled frames of one run, after 1 ps of equilibration."""
    rng = np.random.default_rng(seed)
    atoms, velocities = start.copy(), np.zeros((len(start), 3))
    langevin(atoms, velocities, surface, temperature_k, 500, rng)
    out = []
    for number in range(FRAMES):
        label = langevin(atoms, velocities, surface, temperature_k, STRIDE, rng)
        out.append(LabelledFrame(atoms.copy(), *label, f"{name}-{temperature_k}K-{number}"))
    return out


def quench(crystal: Atoms, surface: ModelPes, seed: int) -> Atoms:
    """Melt the crystal at fixed volume and cool it: another disordered structure a seed."""
    rng = np.random.default_rng(seed)
    atoms, velocities = crystal.copy(), np.zeros((len(crystal), 3))
    for temperature_k, steps in MELT_AND_COOL:
        langevin(atoms, velocities, surface, temperature_k, steps, rng)
    return atoms


@pytest.fixture(scope="module")
def data():
    """Runs of a crystal and of five glasses: 300 K trains, calibrates and tests, 500 K tests."""
    crystal = supercell(load_crystal("beta-Li3PS4"), (1, 1, 2))
    parts = {}
    with ModelPes() as surface:
        for number, (part, temperature_k) in enumerate(
            [("train", 300), ("more", 300), ("calibrate", 300), ("test", 300), ("hot", 500)]
        ):
            glass = quench(crystal, surface, 10 + number)
            parts[part] = [
                frame
                for start, name in ((crystal, "beta"), (glass, f"glass{number}"))
                for frame in trajectory(start, surface, temperature_k, 20 + number, f"{name}")
            ]
    return parts


@pytest.fixture(scope="module")
def spec():
    return BasisSpec(("Li", "P", "S"))


@pytest.fixture(scope="module")
def fitted(data, spec):
    """A fit of 300 K runs only, its posterior, and the errors on each of the other parts."""
    result = fit_potential(data["train"] + data["more"], spec)
    model = posterior(result)
    parts = ("calibrate", "test", "hot")
    return result, {name: residuals(model, result.potential, data[name]) for name in parts}


def test_one_sigma_holds_68_percent_and_beats_constants_at_the_trained_temperature(fitted):
    _, errors = fitted
    found = coverage(calibrate(errors["calibrate"]), errors["test"])
    show("300 K", found)
    assert 0.60 < found["force"].share_68 < 0.76
    assert observed_at(found["force"], 0.95) == pytest.approx(0.95, abs=0.04)
    beats_constants(found["force"])


def test_at_a_temperature_not_trained_on_the_widths_grow_with_the_errors(fitted):
    """Four sets of seeds gave 0.61 to 0.67 inside one sigma, and chi2 from 1.1 to 1.4."""
    result, errors = fitted
    found = coverage(calibrate(errors["calibrate"]), errors["hot"])
    show("500 K", found)
    assert 0.57 < found["force"].share_68 < 0.76
    assert observed_at(found["force"], 0.95) == pytest.approx(0.95, abs=0.08)
    beats_constants(found["force"])
    raw = coverage(textbook_calibration(result), errors["hot"])
    show("500 K, posterior at its word", raw)
    assert found["force"].nll["leverage"] < raw["force"].nll["leverage"]
    assert abs(found["force"].share_68 - ONE_SIGMA) < abs(raw["force"].share_68 - ONE_SIGMA)


def beats_constants(force):
    """Below the constants of the calibration, and below the best one for the errors tested."""
    for name in ("element", "constant", "best_constant"):
        assert force.nll["leverage"] < force.nll[name]


def observed_at(own, level):
    return float(own.observed[list(own.levels).index(level)])


def show(what, found):
    for name, own in found.items():
        nll = "  ".join(f"{key} {value:.3f}" for key, value in own.nll.items())
        print(
            f"{what} {name}: inside one sigma {own.share_68:.3f} +- {own.stderr_68:.3f}, chi2 "
            f"{own.chi2:.2f}, beyond three {own.beyond_3:.4f}; NLL: {nll}"
        )


def test_errors_grow_with_the_distance_from_the_training_data(fitted):
    _, errors = fitted
    bins = error_against_leverage(errors["hot"], n_bins=4)
    print("leverage", bins.leverage, "rmse (eV/A)", bins.rmse)
    assert bins.rmse[-1] > 1.3 * bins.rmse[0]


def test_errors_fall_with_the_number_of_structures(data, spec):
    rows = learning_curve(
        data["train"] + data["more"], spec, [6, 48], data["test"][::3], seeds=[0, 1]
    )
    for row in rows:
        print({key: round(row[key], 5) for key in ("n_structures", "seed", "rmse_force")})
    few = [row["rmse_force"] for row in rows if row["n_structures"] == 6]
    assert len(rows) == 3
    assert rows[1]["rmse_force"] < 0.8 * np.mean(few)
