"""The test of the time step: exact oscillators, noise of known slope, and real LAMMPS runs."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hopecho.errors import HopechoError
from hopecho.md.anneal import equilibrate
from hopecho.md.lammps_input import Thermostat
from hopecho.md.potentials import Species
from hopecho.md.step_test import (
    StepLimits,
    largest_passing,
    rms_exponent,
    run_step_test,
    step_record,
    window_lines,
)
from hopecho.units import BOLTZMANN_EV_K

SMOOTH = ["pair_style lj/smooth/linear 7.0", "pair_coeff * * 0.0104 3.4"]
LIMITS = StepLimits(max_drift=1e-5, max_rms_share=0.05)


def oscillators(dt_fs: float, *, length_ps: float = 20.0, n: int = 60) -> dict[str, np.ndarray]:
    """Velocity Verlet of independent oscillators of 5 to 15 rad/ps, energies of n / 3 atoms."""
    rng = np.random.default_rng(0)
    omega, dt = rng.uniform(5.0, 15.0, n), dt_fs * 1e-3
    x, v = rng.normal(size=n) / omega, rng.normal(size=n)
    steps = round(length_ps / dt)
    potential, kinetic = np.empty(steps), np.empty(steps)
    for k in range(steps):
        half = v - 0.5 * dt * omega**2 * x
        x = x + dt * half
        v = half - 0.5 * dt * omega**2 * x
        potential[k], kinetic[k] = 0.5 * np.sum((omega * x) ** 2), 0.5 * np.sum(v**2)
    scale = BOLTZMANN_EV_K * 300.0  # the mean square velocity is 1
    temperature = 2.0 * kinetic * scale / ((n - 3) * BOLTZMANN_EV_K)
    return {
        "step": np.arange(1, steps + 1),
        "temperature": temperature,
        "conserved": (potential + kinetic) * scale,
    }


def judged(table, dt_fs=2.0, n_atoms=20, limits=LIMITS):
    return step_record(table, dt_fs=dt_fs, n_atoms=n_atoms, limits=limits)


def test_oscillators_fluctuate_as_the_square_of_the_step_and_do_not_drift():
    records = [judged(oscillators(dt), dt) for dt in (1.0, 2.0, 4.0)]
    p, error = rms_exponent(records)
    assert p == pytest.approx(2.0, abs=max(3 * error, 0.03))
    for record in records:
        assert record["verdict"] == "passed"
        assert abs(record["drift"]) < 4 * record["drift_stderr"] + 1e-12
    # Verlet conserves E - (omega dt)^2 E_potential / 4 of an oscillator.
    assert records[1]["rms_share"] < (15.0 * 2e-3) ** 2 / 4
    assert records[1]["temperature_k"] == pytest.approx(300.0, rel=0.5)


def test_a_drift_is_found_with_its_size_and_named():
    table = oscillators(2.0)
    leak = 2e-4  # eV/atom/ps
    table["conserved"] = table["conserved"] - leak * 20 * table["step"] * 2e-3
    record = judged(table)
    assert record["verdict"] == "failed"
    assert record["drift"] == pytest.approx(-leak, abs=3 * record["drift_stderr"])
    assert record["kelvin_per_ns"] == pytest.approx(-leak * 1e3 / (3 * BOLTZMANN_EV_K), rel=0.01)
    (reason,) = record["reasons"]
    assert "drifts by -0.0002" in reason
    assert "allowed are 1e-05" in reason


def test_large_fluctuations_are_named():
    record = judged(oscillators(40.0), 40.0)
    assert record["verdict"] == "failed"
    assert "of the kinetic energy's fluctuation, allowed are 0.05" in record["reasons"][-1]


def test_a_drift_that_could_not_be_seen_is_undecided():
    table = oscillators(2.0)
    noise = 0.01 * np.random.default_rng(1).normal(size=len(table["step"]))
    table["conserved"] = table["conserved"] + noise.cumsum()
    record = judged(table, limits=StepLimits(1e-5, 10.0))
    assert record["verdict"] == "undecided"
    assert "too short" in record["reasons"][0]
    assert largest_passing([record]) is None


def test_errors_of_the_slope_cover_slow_noise():
    """Noise that wanders over a quarter of the run, without a drift: one line sees one."""
    rng = np.random.default_rng(4)
    t = np.linspace(0.0, 20.0, 800)
    z, naive = [], []
    for _ in range(200):
        x = rng.normal(size=t.size)
        for tau in (0.1, 1.0, 5.0):
            keep = np.exp(-(t[1] - t[0]) / tau)
            kicks = np.sqrt(1 - keep**2) * rng.normal(size=t.size)
            wander = np.empty(t.size)
            wander[0] = rng.normal()
            for k in range(1, t.size):
                wander[k] = keep * wander[k - 1] + kicks[k]
            x = x + wander
        found = window_lines(t, x, n_windows=8)
        z.append(found.slope / found.slope_stderr)
        line, covariance = np.polyfit(t, x, 1, cov=True)
        naive.append(line[0] / np.sqrt(covariance[0, 0]))
    # Student's t with 7 degrees of freedom has a standard deviation of 1.18.
    assert 0.8 < np.std(z) < 1.5
    assert np.mean(np.abs(z) > 3.0) < 0.06
    assert np.std(naive) > 4.0


def test_a_straight_line_is_exact():
    t = np.linspace(0.0, 4.0, 90)
    found = window_lines(t, 3.0 - 0.5 * t, n_windows=8)
    assert found.slope == pytest.approx(-0.5)
    assert found.slope_stderr < 1e-12
    assert found.rms < 1e-12


def test_the_largest_step_ends_at_the_first_that_fails():
    def records(*verdicts):
        return [{"dt_fs": k + 1.0, "verdict": v} for k, v in enumerate(verdicts)]

    assert largest_passing(records("passed", "passed", "failed")) == 2.0
    assert largest_passing(records("passed", "failed", "passed")) == 1.0
    assert largest_passing(records("failed", "passed")) is None
    assert rms_exponent([]) == (None, None)


def test_too_few_energies_are_refused():
    with pytest.raises(HopechoError, match=r"md\.step_test\.length_ps >= 0\.97"):
        judged(oscillators(2.0, length_ps=0.2))


def argon() -> Atoms:
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(3)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equilibrated")
    equilibrate(
        argon(), SMOOTH, species=Species.of(["Ar"]), thermostat=Thermostat("nve", 40.0),
        length_ps=8.0, dt_fs=4.0, seed=3, scratch=folder / "s", restart=folder / "start.restart",
    )  # fmt: skip
    return folder / "start.restart"


def run(start, folder, dt_fs, *, commands=SMOOTH, **changes):
    known = {"length_ps": 16.0, "temperature_k": 40.0, "n_atoms": 108, "limits": LIMITS}
    return run_step_test(start, commands, dt_fs=dt_fs, scratch=folder / "s", **(known | changes))


def test_argon_in_lammps(start, tmp_path):
    found = run(start, tmp_path, [8.0, 4.0, 16.0])
    assert [s["dt_fs"] for s in found["steps"]] == [4.0, 8.0, 16.0]
    assert [s["verdict"] for s in found["steps"]] == ["passed"] * 3
    p, error = found["exponent"], found["exponent_stderr"]
    assert p == pytest.approx(2.0, abs=max(0.2, 3 * error))
    assert error < 0.2
    assert found["largest_passing_fs"] == 16.0
    assert found["steps"][0]["temperature_k"] == pytest.approx(40.0, rel=0.4)
    assert not (tmp_path / "s").exists()


def test_friction_is_a_drift_and_an_explosion_a_verdict(start, tmp_path):
    leaking = [*SMOOTH, "fix leak all viscous 1e-5"]
    found = run(start, tmp_path, [4.0], commands=leaking)
    (step,) = found["steps"]
    assert step["verdict"] == "failed"
    # The power of friction is gamma <v^2>.
    mean_square = 3 * BOLTZMANN_EV_K * step["temperature_k"] / (39.95 * 1.03643e-4)
    assert step["drift"] == pytest.approx(-1e-5 * mean_square, rel=0.1)
    assert "drifts" in step["reasons"][0]
    found = run(start, tmp_path, [8.0, 400.0], length_ps=80.0)
    assert [s["verdict"] for s in found["steps"]] == ["passed", "failed"]
    assert "unstable" in found["steps"][1]["reasons"][0] or "blew up" in str(found["steps"][1])
    assert found["largest_passing_fs"] == 8.0
    assert found["exponent"] is None
    with pytest.raises(HopechoError, match="no_such"):
        run(start, tmp_path, [4.0], commands=["pair_style no_such"])
