"""Real Abinit with GPAW's data sets: field gradients, forces, and how runs fail."""

import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.interface import LabelFailure, make_backend
from hopecho.labels.pseudopotentials import write_set
from hopecho.structures.crystals import load_crystal
from hopecho.tensors import cq_abs, eta, principal_values

CUTOFF = {"ecut": 12, "pawecutdg": 24, "tolvrs": "1e-10"}


@pytest.fixture(scope="module")
def paw(tmp_path_factory) -> Path:
    if shutil.which("abinit") is None:
        pytest.skip("needs abinit (Debian package abinit)")
    folder = tmp_path_factory.mktemp("paw")
    try:
        write_set("paw", ["Li", "N", "P", "S"], folder)
    except HopechoError as error:
        pytest.skip(f"needs PAW data sets (Debian package gpaw-data): {error.what}")
    return folder


@pytest.fixture(scope="module")
def abinit(paw):
    def backend(*, kpts=(1, 1, 1), command=None, timeout_s=None, retries=(), **parameters):
        return make_backend(
            "abinit",
            command=command,
            timeout_s=timeout_s,
            retries=retries,
            settings={
                "parameters": {**CUTOFF, **parameters},
                "pseudopotentials": {e: f"{e}.GGA_PBE-gpaw.xml" for e in ("Li", "N", "P", "S")},
                "pseudo_dir": str(paw),
                "kpts": list(kpts),
            },
        )

    return backend


def li3n() -> Atoms:
    """P6/mmm; Li 2c, N 1a, Li 1b, Li 2c."""
    return Atoms(
        "LiNLi2",
        scaled_positions=[(1 / 3, 2 / 3, 0), (0, 0, 0), (0, 0, 0.5), (2 / 3, 1 / 3, 0)],
        cell=[3.648, 3.648, 3.875, 90, 90, 120],
        pbc=True,
    )


def sulvanite() -> Atoms:
    """Li3PS4 as P-43m with eight atoms: P -43m, Li -42m with its axis along x, y, z, S on 111."""
    a = 5.8
    x = 2.05 / 3**0.5 / a
    scaled = [(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)]
    scaled += [(x, x, x), (x, -x, -x), (-x, x, -x), (-x, -x, x)]
    return Atoms("PLi3S4", scaled_positions=scaled, cell=[a] * 3, pbc=True)


def displaced() -> Atoms:
    atoms = sulvanite()
    atoms.positions += np.random.default_rng(1).normal(0, 0.08, (8, 3))
    return atoms


@pytest.fixture(scope="module")
def reference(abinit, tmp_path_factory):
    return abinit().compute(displaced(), tmp_path_factory.mktemp("reference"))


def test_li3n_against_all_electron_values(abinit, tmp_path):
    label = abinit(kpts=(4, 4, 4), ecut=20, pawecutdg=40).compute(li3n(), tmp_path)
    two_c, _, one_b, other_two_c = label.efg
    vzz = principal_values(label.efg)[:, 2]
    # Elk, same cell, its printed sign turned: -0.0751 at Li 1b, +0.0354 at Li 2c.
    assert vzz[2] == pytest.approx(-0.0751, rel=0.2)
    assert vzz[0] == pytest.approx(0.0354, rel=0.2)
    # N on both sides along c pull V_zz down, three N around in the plane push it up.
    assert one_b[2, 2] == vzz[2]
    assert two_c[2, 2] == vzz[0]
    assert np.abs(two_c - other_two_c).max() < 2e-5
    assert eta(label.efg).max() < 1e-3
    assert np.abs(label.forces).max() < 1e-3
    assert label.source == f"Abinit {label.version}"


def test_site_symmetry(abinit, tmp_path):
    label = abinit().compute(sulvanite(), tmp_path)
    phosphorus, x, y, z, sulfur = label.efg[:5]
    assert np.abs(phosphorus).max() < 2e-5
    for axis, tensor in enumerate((x, y, z)):
        expected = z[0, 0] * (np.eye(3) - 3 * np.outer(np.eye(3)[axis], np.eye(3)[axis]))
        assert np.abs(tensor - expected).max() < 2e-5
    assert z[2, 2] == pytest.approx(-0.0136, abs=5e-4)
    off = sulfur[0, 1] * (np.ones((3, 3)) - np.eye(3))
    assert np.abs(sulfur - off).max() < 5e-5
    assert np.abs(np.trace(label.efg, axis1=1, axis2=2)).max() < 3e-6


def test_order_and_rotation_of_the_structure(abinit, reference, tmp_path):
    atoms = displaced()
    order = np.random.default_rng(2).permutation(8)
    angles = 0.7, 0.4
    c, s = np.cos(angles), np.sin(angles)
    turn = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, c[1], -s[1]], [0, s[1], c[1]]])
    moved = atoms[order]
    moved.set_cell(atoms.cell.array @ turn.T)
    moved.positions = atoms.positions[order] @ turn.T
    label = abinit().compute(moved, tmp_path)
    assert label.energy == pytest.approx(reference.energy, abs=1e-6)
    assert np.abs(label.forces - reference.forces[order] @ turn.T).max() < 1e-4
    assert np.abs(label.efg - turn @ reference.efg[order] @ turn.T).max() < 2e-5


def test_quadrupole_moments_do_not_scale_the_tensors(abinit, reference, tmp_path, monkeypatch):
    backend = abinit()
    ask = backend._efg_variables
    monkeypatch.setattr(
        backend, "_efg_variables", lambda n, v: ask(n, v) | {"quadmom": [-0.0401, 0.5, 2.0]}
    )
    label = backend.compute(displaced(), tmp_path)
    assert np.abs(label.efg - reference.efg).max() < 2e-6


def test_forces_are_the_derivative_of_the_energy(abinit, reference, tmp_path):
    energies = []
    for step in (0.01, -0.01):
        atoms = displaced()
        atoms.positions[4, 1] += step
        energies.append(abinit().compute(atoms, tmp_path, efg=False).energy)
    assert reference.forces[4, 1] == pytest.approx(-(energies[0] - energies[1]) / 0.02, abs=1e-3)
    assert np.abs(reference.forces.sum(axis=0)).max() < 1e-6


def test_stress_is_the_derivative_of_the_energy(abinit, reference, tmp_path):
    # Shear: the number of plane waves hardly changes, so no Pulay stress.
    energies = []
    for size in (0.005, -0.005):
        atoms = displaced()
        strain = np.eye(3)
        strain[0, 1] = strain[1, 0] = size / 2
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(abinit().compute(atoms, tmp_path, efg=False).energy)
    numeric = (energies[0] - energies[1]) / 0.01 / displaced().get_volume()
    assert reference.stress[5] == pytest.approx(numeric, abs=2e-4)


def test_gamma_li3ps4(abinit, tmp_path):
    """Equal at equivalent sites, and of the size that experiment and other codes give."""
    atoms = load_crystal("gamma-Li3PS4")
    label = abinit().compute(atoms, tmp_path)
    lithium = atoms.numbers == 3
    couplings = cq_abs(label.efg[lithium])
    assert np.ptp(couplings[:4]) < 0.2
    assert np.ptp(couplings[4:]) < 0.2
    assert couplings[0] == pytest.approx(164.5, abs=3)
    assert couplings[4] == pytest.approx(120.6, abs=3)


def test_unconverged(abinit, tmp_path):
    with pytest.raises(LabelFailure) as caught:
        abinit(nstep=1).compute(displaced(), tmp_path / "a")
    assert caught.value.reasons == ["scf_unconverged"]
    assert not caught.value.transient
    retries = [{"parameters": {"nstep": 60}}]
    label = abinit(nstep=1, retries=retries).compute(displaced(), tmp_path / "b")
    assert label.changes == retries[0]


def test_errors_that_abinit_reports(abinit, tmp_path):
    atoms = displaced()
    atoms.positions[1] = atoms.positions[0] + [0.8, 0, 0]
    for name, backend, structure, reason in (
        ("close", abinit(), atoms, "geometry_warning"),
        ("typo", abinit(ecutt=3), displaced(), "code_error"),
    ):
        with pytest.raises(LabelFailure) as caught:
            backend.compute(structure, tmp_path / name)
        assert reason in caught.value.reasons
        assert not caught.value.transient
        assert "!ERROR" in caught.value.log


def test_time_limits(abinit, tmp_path):
    for name, backend in (("ours", abinit(timeout_s=1.0)), ("abinit's", abinit(cpus=1))):
        with pytest.raises(LabelFailure) as caught:
            backend.compute(displaced(), tmp_path / name)
        assert "wall_time" in caught.value.reasons
        assert caught.value.transient


def test_killed_midway(abinit, tmp_path):
    """A wrapper that kills Abinit as soon as the first cycle is printed, and itself."""
    script = tmp_path / "killer.py"
    script.write_text(
        f"""
import os, subprocess, sys, time
if sys.argv[1] == "--version":
    raise SystemExit(subprocess.run(["abinit", "--version"]).returncode)
child = subprocess.Popen(["abinit", *sys.argv[1:]])
while "ETOT  1" not in (open("abinit.abo").read() if os.path.exists("abinit.abo") else ""):
    time.sleep(0.01)
child.kill()
child.wait()
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    )
    command = shlex.join([sys.executable, os.fspath(script)])
    with pytest.raises(LabelFailure) as caught:
        abinit(command=command).compute(displaced(), tmp_path / "run")
    assert set(caught.value.reasons) == {"killed", "incomplete"}
    assert caught.value.transient
