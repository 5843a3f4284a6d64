import os
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.castep import Castep, get_castep_version

from hopecho.io.magres import read_magres
from hopecho.labels.model_efg import model_efg
from hopecho.labels.model_pes import ModelPes
from hopecho.standins.castep import main, read_cell, read_param

COMMAND = f"{sys.executable} -m hopecho.standins.castep"


def structure() -> Atoms:
    """Li3PS4 with mixed atom order in a skewed cell."""
    atoms = Atoms(
        "SLiPS2LiSLi",
        positions=[
            [1.2, 1.2, 1.2],
            [4.0, 0.2, 0.3],
            [0.1, 0.0, 0.2],
            [-1.2, -1.2, 1.2],
            [-1.2, 1.2, -1.1],
            [0.2, 4.0, 0.1],
            [1.2, -1.2, -1.2],
            [0.1, 0.3, 3.9],
        ],
        cell=[[7.8, 0.1, 0], [0.2, 7.9, 0.1], [-0.3, 0, 8.0]],
        pbc=True,
    )
    return atoms


@pytest.fixture(autouse=True)
def path_for_children(monkeypatch):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    monkeypatch.setenv("PYTHONPATH", root)


def test_version_as_ase_asks_for_it():
    assert get_castep_version(COMMAND) == 24.1


def cpu_of(words, folder):
    """Processor time of a command, s, and its output; wall time depends on who else is there."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def test_starts_in_under_a_second(tmp_path):
    cpu, out = cpu_of([*COMMAND.split(), "--version"], tmp_path)
    assert cpu < 1.0
    assert out.startswith("CASTEP version: 24.1\n")
    assert "NOT a DFT result" in out
    write_cell(tmp_path / "a.cell", structure())
    (tmp_path / "a.param").write_text("task : SinglePoint\n")
    assert cpu_of([*COMMAND.split(), "a"], tmp_path)[0] < 1.0


def write_cell(path, atoms, positions="abs"):
    rows = atoms.positions if positions == "abs" else atoms.get_scaled_positions(wrap=False)
    lines = ["%BLOCK lattice_cart", "ANG"]
    lines += [" ".join(map(repr, row)) for row in atoms.cell.array.tolist()]
    lines += ["%ENDBLOCK lattice_cart", f"%BLOCK positions_{positions}"]
    symbols = atoms.get_chemical_symbols()
    lines += [f"{s} " + " ".join(map(repr, r)) for s, r in zip(symbols, rows.tolist())]
    path.write_text("\n".join([*lines, f"%ENDBLOCK positions_{positions}", ""]))


def test_through_ase_equals_the_surface(tmp_path):
    atoms = structure()
    energy, forces, stress = ModelPes().evaluate(atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ASE: no keyword file, no .bands file
        calculator = Castep(
            directory=str(tmp_path / "run"), castep_command=COMMAND, keyword_tolerance=3
        )
        calculator.param.task = "SinglePoint"
        calculator.param.calculate_stress = True
        atoms.calc = calculator
        got = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    # ASE sends six decimals of the positions.
    assert got[0] == pytest.approx(energy, abs=1e-4)
    assert np.abs(got[1] - forces).max() < 1e-4
    assert np.abs(got[2] - stress).max() < 1e-6


def test_magres_is_sorted_by_atomic_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = structure()
    write_cell(tmp_path / "a.cell", atoms, "frac")
    (tmp_path / "a.param").write_text("TASK = magres ! comment\nMAGRES_TASK EFG\n")
    assert main(["a"]) == 0
    read = read_magres(tmp_path / "a.magres")
    assert read.numbers.tolist() == sorted(atoms.numbers)
    order = np.argsort(atoms.numbers, kind="stable")
    assert np.allclose(read.efg, model_efg(atoms)[order], rtol=0, atol=1e-11)
    text = (tmp_path / "a.castep").read_text()
    assert "Finalisation time   =" in text
    assert "Final energy" not in text


def test_second_run_appends_a_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cell(tmp_path / "a.cell", structure())
    (tmp_path / "a.param").write_text("task : SinglePoint\n")
    assert main(["a"]) == main(["a"]) == 0
    assert (tmp_path / "a.castep").read_text().count("Welcome to CASTEP") == 2


def test_read_cell_is_tolerant():
    text = """
    # comment
    %block LATTICE_ABC   ! in bohr
    bohr
    10.0 11.0 12.0
    90 90 120
    %endblock lattice_abc
    KPOINTS_MP_GRID 1 1 1
    %BLOCK POSITIONS_FRAC
    Li:1 0.0 0.0 0.0 SPIN= 1.0
    16   0.5 0.5 0.5 ; comment
    %ENDBLOCK POSITIONS_FRAC
    """
    atoms = read_cell(text)
    assert atoms.numbers.tolist() == [3, 16]
    assert np.allclose(atoms.cell.lengths(), np.array([10, 11, 12]) * 0.529177210903)
    assert np.allclose(atoms.cell.angles(), [90, 90, 120])
    assert np.allclose(atoms.get_scaled_positions()[1], 0.5)


def test_read_param_is_tolerant():
    text = "Task : SinglePoint\nCUT_OFF_ENERGY=500 eV # c\nxc_functional PBE\n! x\nreuse\n"
    assert read_param(text) == {
        "task": "singlepoint",
        "cutoffenergy": "500 ev",
        "xcfunctional": "pbe",
    }


@pytest.mark.parametrize(
    ("cell", "param", "message"),
    [
        ("", "task : SinglePoint", "lattice_cart"),
        (None, "task : Phonon", "task phonon"),
        (None, "task : magres\nmagres_task : jcoupling", "magres_task"),
        ("%BLOCK lattice_cart\n4 0 0\n0 4 0\n0 0 4\n%ENDBLOCK lattice_cart\n", "", "positions"),
    ],
)
def test_bad_input_goes_to_the_err_file(tmp_path, monkeypatch, cell, param, message):
    monkeypatch.chdir(tmp_path)
    write_cell(tmp_path / "a.cell", structure())
    if cell is not None:
        (tmp_path / "a.cell").write_text(cell)
    (tmp_path / "a.param").write_text(param)
    assert main(["a"]) == 1
    assert message in (tmp_path / "a.0001.err").read_text()


def test_unknown_element_and_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["none"]) == 1
    atoms = structure()
    atoms.numbers[0] = 17
    write_cell(tmp_path / "a.cell", atoms)
    (tmp_path / "a.param").write_text("")
    assert main(["a"]) == 1
    assert "Cl" in (tmp_path / "a.0001.err").read_text()
    assert "Finalisation" not in (tmp_path / "a.castep").read_text()


def test_usage(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
