"""Bursts of velocities against real LAMMPS runs of argon in a tilted, turned cell."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy import constants
from scipy.spatial.transform import Rotation

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, read_segment
from hopecho.md.anneal import equilibrate
from hopecho.md.bursts import (
    BurstPlan,
    centre_velocity,
    check_velocities,
    kinetic_temperature,
    run_burst,
)
from hopecho.md.guards import GateLimits
from hopecho.md.lammps_input import Thermostat
from hopecho.md.plan import SegmentPlan
from hopecho.md.potentials import Species, lammps_frame
from hopecho.md.run import LammpsError, run_lammps
from hopecho.md.segments import SegmentOutputs, run_segment

ARGON = ["pair_style lj/smooth/linear 7.0", "pair_coeff * * 0.0104 3.4"]
SPECIES = Species.of(["Ar"])
GATES = GateLimits(min_distance=2.5)
DT_FS = 4.0


def argon() -> Atoms:
    """The rhombohedral cell of fcc, turned so that LAMMPS's axes are none of the structure's."""
    atoms = bulk("Ar", "fcc", a=5.4).repeat(5)
    turn = Rotation.from_euler("xyz", [0.7, -1.1, 2.0]).as_matrix()
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def plan(**changes) -> BurstPlan:
    known = {"index": 0, "replica": 0, "temperature_k": 40.0, "dt_fs": DT_FS}
    return BurstPlan.from_times(**{**known, "stride_fs": DT_FS, "length_ps": 1.6, **changes})


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("equilibrated")
    equilibrate(
        argon(),
        ARGON,
        species=SPECIES,
        thermostat=Thermostat("nve", 40.0),
        length_ps=4.0,
        dt_fs=DT_FS,
        seed=3,
        scratch=folder / "scratch",
        restart=folder / "start.restart",
    )
    return folder / "start.restart"


def run(folder: Path, the_plan: BurstPlan, restart: Path, **changes):
    settings = {
        "restart": restart, "pair_commands": ARGON, "species": SPECIES, "gates": GATES,
        "scratch": folder / "scratch", "trajectory": folder / "b.h5md",
        "summary": folder / "b.json",
    }  # fmt: skip
    return run_burst(the_plan, argon(), **{**settings, **changes})


@pytest.fixture(scope="module")
def burst(start, tmp_path_factory):
    """Every step of 1.6 ps: the segment read back, and its summary."""
    folder = tmp_path_factory.mktemp("burst")
    content = run(folder, plan(), start)
    assert json.loads((folder / "b.json").read_text()) == content
    assert not (folder / "scratch").exists()
    return read_segment(folder / "b.h5md"), content


def test_the_cell_is_turned():
    assert not np.allclose(lammps_frame(argon().cell.array).rotation, np.eye(3), atol=0.1)


def test_frames_follow_the_start_in_the_axes_of_the_structure(burst):
    segment, content = burst
    assert content["n_frames"] == len(segment.time_ps) == 400
    np.testing.assert_allclose(segment.time_ps, DT_FS * 1e-3 * np.arange(1, 401))
    assert segment.velocities.shape == (400, 125, 3)
    assert segment.velocities.dtype == np.float32
    np.testing.assert_allclose(segment.cell, argon().cell.array)
    assert np.abs(segment.positions[0] - argon().positions).max() < 2.0


def test_velocities_are_the_central_differences_of_the_positions(burst):
    """Velocity Verlet: exact with one step; else the error grows as the square of the interval."""
    segment, _ = burst
    x, v = segment.positions, segment.velocities

    def error(k: int) -> float:
        difference = (x[2 * k :] - x[: -2 * k]) / (2 * k * DT_FS * 1e-3)
        return float(np.sqrt(np.mean((difference - v[k:-k]) ** 2)))

    rounding = 1e-6 / (DT_FS * 1e-3)  # of the dumped positions
    assert error(1) < rounding
    speed = float(np.sqrt(np.mean(v**2)))
    assert rounding < error(4) < 0.03 * speed
    assert error(8) / error(4) == pytest.approx(4.0, rel=0.1)


def test_velocities_have_the_temperature(burst):
    segment, content = burst
    masses = np.full(125, SPECIES.masses[0])
    found = kinetic_temperature(segment.velocities, masses=masses)
    np.testing.assert_allclose(found, segment.observables["temperature"], rtol=1e-5)
    # by hand, in SI units
    v_m_s = segment.velocities[7].astype(float) * 100.0
    joule = 0.5 * masses[0] * constants.atomic_mass * (v_m_s**2).sum()
    assert found[7] == pytest.approx(2 * joule / (372 * constants.Boltzmann), rel=1e-6)
    assert content["gates"]["temperature"]["mean_k"] == pytest.approx(found.mean(), rel=1e-3)


def test_momentum_is_zero_and_energy_is_conserved(burst):
    segment, content = burst
    masses = np.full(125, SPECIES.masses[0])
    assert np.abs(centre_velocity(segment.velocities, masses=masses)).max() < 1e-6
    assert content["passed"] is True
    assert content["gates"]["momentum"]["value"] < 1e-6
    energy = segment.observables["conserved"]
    kinetic = 1.5 * 8.617e-5 * segment.observables["temperature"] * 124
    assert energy.std() < 0.02 * kinetic.std()
    assert content["ensemble"] == "nve"


def test_a_burst_is_its_segment_sampled_more_often(start, burst, tmp_path):
    """Burst k starts from the restart file of segment k: at constant energy both are one run."""
    segments = []
    before = start
    for k in range(2):
        outputs = SegmentOutputs(*(tmp_path / f"s{k}.{x}" for x in ("h5md", "restart", "json")))
        the_plan = SegmentPlan.from_times(
            index=k, replica=0, thermostat=Thermostat("nve", 40.0), dt_fs=DT_FS, stride_ps=0.04,
            segment_ps=0.4, chunks=1, seed=5,
        )  # fmt: skip
        run_segment(
            the_plan, argon(), restart=before, pair_commands=ARGON, species=SPECIES,
            scratch=tmp_path / f"scratch{k}", outputs=outputs, gates=GATES,
        )  # fmt: skip
        segments.append(read_segment(outputs.trajectory))
        before = outputs.restart
    np.testing.assert_allclose(burst[0].positions[9:100:10], segments[0].positions, atol=1e-5)
    # Its start is step 100, no multiple of a stride of 7 steps.
    run(tmp_path, plan(index=1, stride_fs=28.0, length_ps=0.28), tmp_path / "s0.restart")
    second = read_segment(tmp_path / "b.h5md")
    np.testing.assert_allclose(second.time_ps, 0.028 * np.arange(1, 11))
    np.testing.assert_allclose(second.positions[9], segments[1].positions[6], atol=1e-5)


def test_equal_bytes(start, tmp_path):
    for name in "ab":
        run(tmp_path / name, plan(length_ps=0.4), start)
    for name in ("b.h5md", "b.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_drifting_cell_fails_its_gate(start, tmp_path):
    script = tmp_path / "push.lmp"
    script.write_text(
        f"units metal\nbox tilt large\natom_modify map array\nread_restart {start}\n"
        + "\n".join(ARGON)
        + "\nvelocity all set 0.02 0 0 sum yes\nrun 0\nwrite_restart pushed.restart\n"
    )
    run_lammps(script)
    content = run(tmp_path, plan(length_ps=0.4), tmp_path / "pushed.restart")
    assert content["passed"] is False
    assert content["gates"]["momentum"]["value"] == pytest.approx(0.02, rel=1e-3)


def test_velocities_of_other_masses_are_refused(start, tmp_path, burst):
    heavy = Species.of(["Ar"], masses={"Ar": 41.0})
    with pytest.raises(HopechoError, match="temperature that LAMMPS reports"):
        run(tmp_path, plan(length_ps=0.4), start, species=heavy)
    assert not (tmp_path / "b.h5md").exists()
    segment: Segment = replace(burst[0], velocities=None)
    with pytest.raises(HopechoError, match="no velocities"):
        check_velocities(segment, masses=np.full(125, 40.0))


def test_what_cannot_be_run_is_named(start, tmp_path):
    with pytest.raises(HopechoError, match=r"no restart file to start replica 0 burst 0"):
        run(tmp_path, plan(), tmp_path / "none.restart")
    with pytest.raises(HopechoError, match=r"md\.bursts\.stride_fs = 8"):
        plan(stride_fs=10.0)
    with pytest.raises(HopechoError, match=r"md\.bursts\.stride_fs = 4"):
        plan(stride_fs=1.0)
    with pytest.raises(HopechoError, match=r"md\.bursts\.length_ps = 1\.608"):
        plan(stride_fs=12.0)
    with pytest.raises(LammpsError, match=r"md\.lammps\.command"):
        run(tmp_path, plan(), start, command="true")
