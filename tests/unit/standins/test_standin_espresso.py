import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.espresso import read_espresso_out, write_espresso_in

from hopecho.io.gipaw import read_gipaw
from hopecho.labels.espresso import espresso_reasons, espresso_version, gipaw_reasons
from hopecho.labels.model_efg import model_efg
from hopecho.labels.model_pes import ModelPes
from hopecho.standins.espresso import VERSION, main, read_pw_input, read_schema

BOHR = 0.529177210903


def structure() -> Atoms:
    """Li3PS4 with mixed atom order in a skewed cell."""
    return Atoms(
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


def pw_text(atoms: Atoms, kpts=None, **control) -> str:
    stream = io.StringIO()
    write_espresso_in(
        stream,
        atoms,
        input_data={
            "control": {"tprnfor": True, "tstress": True, "outdir": "./out/", **control},
            "system": {"ecutwfc": 60},
        },
        pseudopotentials={s: f"{s}.UPF" for s in set(atoms.get_chemical_symbols())},
        kpts=kpts,
    )
    return stream.getvalue()


GIPAW = "&inputgipaw\n job = 'efg'\n prefix = 'pwscf'\n tmp_dir = './out/'\n q_efg(1) = -4.0\n/\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", root)


@pytest.fixture
def call(capsys):
    """Run one of the two on a text; its exit status and what it printed."""

    def run(which: str, text: str) -> tuple[int, str]:
        Path("a.in").write_text(text)
        capsys.readouterr()
        status = main([which, "-in", "a.in"])
        return status, capsys.readouterr().out

    return run


def test_ase_reads_what_the_surface_says(call):
    atoms = structure()
    status, out = call("pw", pw_text(atoms))
    assert status == 0
    assert "NOT a DFT result" in out
    assert espresso_version(out) == VERSION
    assert espresso_reasons(out, version=VERSION) == []
    read = list(read_espresso_out(io.StringIO(out)))[-1]
    assert read.get_chemical_symbols() == atoms.get_chemical_symbols()
    assert np.abs(read.positions - atoms.positions).max() < 1e-5
    assert np.abs(read.cell.array - atoms.cell.array).max() < 1e-5
    with ModelPes() as surface:
        energy, forces, stress = surface.evaluate(atoms)
    assert read.calc.results["free_energy"] == pytest.approx(energy, abs=1e-10)
    assert np.abs(read.get_forces() - forces).max() < 1e-10
    assert np.abs(read.get_stress() - stress).max() < 1e-9


def test_no_stress_and_no_files_unless_asked(call):
    status, out = call("pw", pw_text(structure(), tstress=False, disk_io="none"))
    assert status == 0
    assert "total   stress" not in out
    assert not Path("out").exists()


def test_gradients_of_the_structure_that_pw_left(call):
    atoms = structure()
    call("pw", pw_text(atoms, kpts=(1, 1, 1)))
    saved, gamma = read_schema(Path("out/pwscf.save/data-file-schema.xml"))
    assert not gamma
    assert saved.get_chemical_symbols() == atoms.get_chemical_symbols()
    assert np.abs(saved.positions - atoms.positions).max() < 1e-10
    status, out = call("gipaw", GIPAW)
    assert status == 0
    assert gipaw_reasons(out, version=VERSION) == []
    assert "NOT a DFT result" in out
    read = read_gipaw(out)
    assert read.symbols == tuple(atoms.get_chemical_symbols())
    assert np.abs(read.efg - model_efg(atoms)).max() < 1e-11


def test_gradients_need_wavefunctions_without_the_tricks_of_gamma(call):
    status, out = call("gipaw", GIPAW)
    assert status == 1
    assert gipaw_reasons(out) == ["code_error", "incomplete"]
    call("pw", pw_text(structure()))
    status, out = call("gipaw", GIPAW)
    assert status == 1
    assert "gamma_only" in out


@pytest.mark.parametrize(
    ("cell", "places"), [("angstrom", "crystal"), ("bohr", "bohr"), ("bohr", "angstrom")]
)
def test_units_of_cell_and_positions(cell, places):
    atoms = structure()
    scale = {"angstrom": 1.0, "bohr": 1 / BOHR}
    rows = (
        atoms.get_scaled_positions(wrap=False)
        if places == "crystal"
        else atoms.positions * scale[places]
    )
    head = pw_text(atoms).split("CELL_PARAMETERS")[0]
    lines = [f"CELL_PARAMETERS {cell}"]
    lines += [" ".join(map(repr, row)) for row in (atoms.cell.array * scale[cell]).tolist()]
    lines += [f"ATOMIC_POSITIONS {places}"]
    symbols = atoms.get_chemical_symbols()
    lines += [f"{s} " + " ".join(map(repr, r)) for s, r in zip(symbols, rows.tolist())]
    job = read_pw_input(head + "\n".join(lines) + "\n")
    assert job.atoms.get_chemical_symbols() == symbols
    assert np.abs(job.atoms.positions - atoms.positions).max() < 1e-6
    assert np.abs(job.atoms.cell.array - atoms.cell.array).max() < 1e-6


REFUSED = {
    "not an input": lambda t: "no namelist",
    "another task": lambda t: t.replace("'./out/'", "'./out/'\n calculation = 'relax'"),
    "a lattice by number": lambda t: t.replace("ibrav            = 0", "ibrav = 1"),
    "an unknown element": lambda t: t.replace("\nP ", "\nSi "),
    "cut short": lambda t: t[: t.index("ATOMIC_POSITIONS")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_come_as_from_the_real_code(call, name):
    text = pw_text(structure())
    damaged = REFUSED[name](text)
    assert damaged != text
    status, out = call("pw", damaged)
    assert status == 1
    assert "Error in routine" in out
    assert espresso_reasons(out) == ["code_error", "incomplete"]
    assert "Error in routine" in Path("CRASH").read_text()


def test_atoms_on_top_of_each_other_do_not_converge(call):
    atoms = structure()
    atoms.positions[0] = atoms.positions[1]
    status, out = call("pw", pw_text(atoms))
    assert status == 2
    assert espresso_reasons(out) == ["scf_unconverged"]


def test_net_charge_shows_in_the_electrons(call):
    text = pw_text(structure()).replace("ecutwfc ", "tot_charge = 1\n ecutwfc ")
    assert espresso_reasons(call("pw", text)[1]) == ["charged_cell"]


def test_xml_with_entities_is_not_parsed(call):
    call("pw", pw_text(structure(), kpts=(1, 1, 1)))
    path = Path("out/pwscf.save/data-file-schema.xml")
    path.write_text(path.read_text().replace("<qes:", "<!DOCTYPE x [<!ENTITY a 'b'>]><qes:", 1))
    status, out = call("gipaw", GIPAW)
    assert status == 1
    assert "entities" in out


def test_wrong_job_and_usage(call, capsys):
    assert call("gipaw", GIPAW.replace("efg'", "nmr'"))[0] == 1
    assert main([]) == 2
    assert main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err


def test_banner_without_input_in_little_time():
    for which, name in (("pw", "PWSCF"), ("gipaw", "GIPAW")):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "hopecho.standins.espresso", which],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
        assert done.returncode == 1
        assert espresso_version(done.stdout, name) == VERSION
        assert "model surface stand-in" in done.stdout
