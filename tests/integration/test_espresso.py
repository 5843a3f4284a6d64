"""Labels by the real pw.x with GTH potentials made from CP2K's file."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.espresso_input import checked_settings
from hopecho.labels.interface import LabelFailure, make_backend
from hopecho.labels.pseudopotentials import GTH_SOURCE, write_set

# Runs the real program; kills it, as the system does when memory is short, in its second step.
KILLER = """
import os, signal, subprocess, sys, time
child = subprocess.Popen(["pw.x", *sys.argv[1:]])
while os.path.exists("label.pwo") and child.poll() is None:
    time.sleep(0.01)
    if "iteration #  2" in open("label.pwo", errors="replace").read():
        child.send_signal(signal.SIGKILL)
status = child.wait()
raise SystemExit(128 - status if status < 0 else status)
"""
# Another version on the node that answers first.
OTHER = """
import os, sys
if not os.path.exists("label.pwi"):
    print("     Program PWSCF v.5.4.0 starts on")
    raise SystemExit(1)
os.execvp("pw.x", ["pw.x", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def pseudo(tmp_path_factory) -> Path:
    """Folder of potentials for pw.x."""
    if shutil.which("pw.x") is None:
        pytest.skip("needs pw.x (Debian package quantum-espresso)")
    if not GTH_SOURCE.exists():
        pytest.skip(f"needs {GTH_SOURCE} (Debian package cp2k-data)")
    folder = tmp_path_factory.mktemp("pseudo")
    write_set("gth", ["Li", "P", "S", "H", "Na", "I"], folder)
    return folder


@pytest.fixture(scope="module")
def backend(pseudo):
    """Make a backend with a cutoff, Ry, and more of pw.x's keywords."""

    def make(ecutwfc: float, *, command: str | None = None, stress: bool = False, **data):
        return make_backend(
            "espresso",
            command=command,
            settings={
                "input_data": {**data, "system": {"ecutwfc": ecutwfc, **data.get("system", {})}},
                "pseudopotentials": {p.stem: p.name for p in sorted(pseudo.iterdir())},
                "pseudo_dir": str(pseudo),
                "stress": stress,
            },
        )

    return make


def li3ps4() -> Atoms:
    """One formula unit, atoms in mixed order and outside the cell."""
    return Atoms(
        "SLiPS2LiSLi",
        positions=[
            [1.2, 1.2, 1.2],
            [3.3, 0.2, 0.3],
            [0.1, 0.0, 0.1],
            [-1.2, -1.2, 1.2],
            [-1.2, 1.2, -1.1],
            [0.2, 3.1, 0.1],
            [1.2, -1.2, -1.2],
            [0.1, 0.3, 9.5],
        ],
        cell=[[6.5, 0.1, 0], [0.2, 6.4, 0.1], [-0.3, 0, 6.3]],
        pbc=True,
    )


def lih() -> Atoms:
    return Atoms("LiH", positions=[[0, 0, 0], [1.6, 0.1, 0]], cell=[4, 4.1, 4.2], pbc=True)


def script(folder: Path, text: str) -> str:
    (folder / "pw.py").write_text(text)
    return f"{sys.executable} {folder / 'pw.py'}"


def test_forces_are_the_slope_of_the_energy_in_any_order(backend, tmp_path):
    code = backend(50, electrons={"conv_thr": 1e-10})
    atoms, step = li3ps4(), 0.01
    label = code.compute(atoms, tmp_path / "a", efg=False)
    assert label.source.startswith("QE ")
    assert label.stress is None
    assert label.cpu_s > 0.5
    assert np.abs(label.forces.sum(axis=0)).max() < 1e-3
    energies = []
    where = np.unravel_index(np.abs(label.forces).argmax(), label.forces.shape)
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[where] += sign * step
        energies.append(code.compute(moved, tmp_path / "b", efg=False).energy)
    slope = -(energies[0] - energies[1]) / (2 * step)
    assert abs(label.forces[where]) > 0.5
    assert label.forces[where] == pytest.approx(slope, abs=0.02)
    order = [4, 0, 7, 2, 5, 1, 3, 6]
    other = code.compute(atoms[order], tmp_path / "c", efg=False)
    assert other.energy == pytest.approx(label.energy, abs=1e-5)
    assert np.abs(other.forces - label.forces[order]).max() < 2e-3
    left = sorted(p.name for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert left == ["label.pwi", "label.pwo"]


def test_symmetry_does_not_change_a_label(backend, tmp_path):
    # Rock salt: forces vanish by symmetry; a displacement too small to matter breaks it.
    a = 4.08
    crystal = Atoms("LiH", positions=[[0, 0, 0], [a / 2] * 3], pbc=True)
    crystal.set_cell(np.array([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]))
    rattled = crystal.copy()
    rattled.positions[1] += [0.002, 0.001, 0.0]
    code = backend(30, stress=True)
    one, two = (code.compute(x, tmp_path, efg=False) for x in (crystal, rattled))
    assert np.abs(one.forces).max() < 5e-3
    assert two.energy == pytest.approx(one.energy, abs=1e-3)
    assert np.abs(two.stress - one.stress).max() < 1e-3
    assert "K_POINTS gamma" in (tmp_path / "attempt0/energy/label.pwi").read_text()


def test_stress_is_the_strain_derivative_at_a_fixed_basis(backend, tmp_path):
    # With the cutoff scaled along, the number of plane waves stays: no Pulay stress.
    atoms, strain, cutoff = lih(), 0.002, 40.0
    grid = {"nr1": 48, "nr2": 48, "nr3": 48}
    exact = {"conv_thr": 1e-11}
    label = backend(cutoff, stress=True, system=grid, electrons=exact).compute(
        atoms, tmp_path, efg=False
    )
    energies = []
    for h in (strain, -strain):
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array * (1 + h), scale_atoms=True)
        code = backend(cutoff / (1 + h) ** 2, system=grid, electrons=exact)
        energies.append(code.compute(moved, tmp_path, efg=False).energy)
    slope = (energies[0] - energies[1]) / (2 * strain)
    assert label.stress[:3].sum() * atoms.get_volume() == pytest.approx(slope, rel=5e-3)


def test_potentials_with_three_channels_are_read(backend, tmp_path):
    atoms = Atoms("NaI", positions=[[0, 0, 0], [2.9, 0.1, 0]], cell=[6, 6.1, 6.2], pbc=True)
    label = backend(25).compute(atoms, tmp_path, efg=False)
    assert np.isfinite(label.forces).all()


def test_a_run_that_does_not_converge(backend, tmp_path):
    code = backend(20, electrons={"electron_maxstep": 1})
    with pytest.raises(LabelFailure) as caught:
        code.compute(lih(), tmp_path, efg=False)
    assert "scf_unconverged" in caught.value.reasons
    assert not caught.value.transient
    assert "JOB DONE" in (tmp_path / "attempt0/energy/label.pwo").read_text()
    assert not (tmp_path / "attempt0/energy/out").exists()


def test_retry_of_a_run_that_does_not_converge(backend, pseudo, tmp_path):
    settings = checked_settings(
        {
            "input_data": {"system": {"ecutwfc": 20}, "electrons": {"electron_maxstep": 2}},
            "pseudopotentials": {"Li": "Li.gth", "H": "H.gth"},
            "pseudo_dir": str(pseudo),
        }
    )
    retry = {"input_data": {"electrons": {"electron_maxstep": 50, "mixing_beta": 0.3}}}
    code = make_backend("espresso", settings=settings, retries=[retry])
    assert code.compute(lih(), tmp_path, efg=False).changes == retry


def test_atoms_on_one_place(backend, tmp_path):
    atoms = lih()
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(LabelFailure) as caught:
        backend(20).compute(atoms, tmp_path, efg=False)
    assert "geometry_warning" in caught.value.reasons
    assert not caught.value.transient


def test_errors_of_its_own(backend, tmp_path):
    with pytest.raises(LabelFailure) as caught:
        backend(20, system={"nbnd": 1}).compute(lih(), tmp_path, efg=False)
    assert "code_error" in caught.value.reasons
    assert not caught.value.transient
    assert "too few bands" in caught.value.log


def test_net_charge(backend, tmp_path):
    with pytest.raises(LabelFailure) as caught:
        backend(20, system={"tot_charge": 2}).compute(lih(), tmp_path, efg=False)
    assert caught.value.reasons == ["charged_cell"]


def test_killed_midway_and_tried_again(backend, tmp_path):
    atoms = li3ps4()
    killer = backend(30, command=script(tmp_path, KILLER))
    with pytest.raises(LabelFailure) as caught:
        killer.compute(atoms, tmp_path / "run", efg=False)
    assert {"killed", "incomplete"} <= set(caught.value.reasons)
    assert caught.value.transient
    code = backend(30)
    assert code.settings == killer.settings
    assert code.compute(atoms, tmp_path / "run", efg=False).changes == {}


def test_another_version_on_one_node(backend, tmp_path):
    code = backend(20, command=script(tmp_path, OTHER))
    with pytest.raises(LabelFailure) as caught:
        code.compute(lih(), tmp_path, efg=False)
    assert caught.value.reasons == ["version_mismatch"]
    assert caught.value.transient


def test_under_mpirun(backend, tmp_path):
    # Its own, not the one of this Python environment.
    mpirun = Path(os.path.realpath(shutil.which("pw.x") or "/usr/bin/pw.x")).parent / "mpirun"
    if not mpirun.exists():
        pytest.skip("needs mpirun (Debian package openmpi-bin)")
    command = f"{mpirun} --allow-run-as-root --oversubscribe -n 2 pw.x"
    both, one = backend(20, command=command), backend(20)
    assert both.settings == one.settings
    labels = [code.compute(lih(), tmp_path, efg=False) for code in (both, one)]
    assert labels[0].energy == pytest.approx(labels[1].energy, abs=1e-5)
    assert np.abs(labels[0].forces - labels[1].forces).max() < 1e-3


def test_mpirun_of_another_mpi_is_noticed(backend):
    other = Path(sys.executable).parent / "mpirun"
    if not other.exists():
        pytest.skip("needs the mpirun of the locked environment")
    with pytest.raises(HopechoError, match="2 separate copies"):
        backend(20, command=f"{other} -n 2 pw.x")
