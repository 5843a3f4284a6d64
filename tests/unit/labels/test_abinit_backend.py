"""Abinit's backend against texts of real runs (Abinit 9.6.2), trimmed, and damaged ones."""

import re
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.units import Hartree

from hopecho.errors import HopechoError
from hopecho.labels.abinit import abinit_reasons, abinit_version
from hopecho.labels.interface import LabelFailure, make_backend

OUTPUT = """
.Version 9.6.2 of ABINIT

 -outvars: echo values of preprocessed input variables --------
            acell      1.8897261329E+00  1.8897261329E+00  1.8897261329E+00 Bohr
             ecut      1.00000000E+01 Hartree
              ixc     -101130
            natom           4
            nband           5
             nkpt           2
             nsym           1
           ntypat           2
        pawecutdg      2.00000000E+01 Hartree
          quadmom      1.00000000E+00  1.00000000E+00
            rprim      3.6480000000E+00  0.0000000000E+00  0.0000000000E+00
                      -1.8240000000E+00  3.1590000000E+00  0.0000000000E+00
                       0.0000000000E+00  0.0000000000E+00  3.8750000000E+00
           tolvrs      1.00000000E-08
            typat      1  2  1  1
            xcart     -1.5117809063E-01  3.7303193863E+00 -4.7243153322E-02
                       7.9368497581E-02  2.1542877915E-01  2.0786987462E-02
                      -1.0393493731E-01 -1.4739863837E-01  3.8040187055E+00
                       3.7548858260E+00  2.0409042235E+00 -2.3243631434E-01
            znucl        3.00000    7.00000
================================================================================

--- !DatasetInfo
iteration_state: {dtset: 1, }
dimensions: {natom: 4, nkpt: 2, mband: 5, nsppol: 1, nspinor: 1, nspden: 1, mpw: 228, }
cutoff_energies: {ecut:  10.0, pawecutdg:  20.0, }
electrons: {nelect:   8.00000000E+00, charge:   0.00000000E+00 }
meta: {optdriver: 0, ionmov: 0, optcell: 0, iscf: 17, paral_kgb: 0, }
...

--- !BeginCycle
iteration_state: {dtset: 1, }
solver: {iscf: 17, nstep: 30, nline: 4, wfoptalg: 10, }
tolerances: {tolvrs: 1.00E-08, }
...

     iter   Etot(hartree)      deltaE(h)  residm     nres2    diffor    maxfor
 ETOT 11  -10.591517249515    -3.638E-10 8.916E-10 3.255E-08 1.701E-05 2.210E-02
 ETOT 12  -10.591517252509    -2.994E-09 9.590E-11 2.886E-09 4.777E-06 2.210E-02

 At SCF step   12       nres2   =  2.89E-09 < tolvrs=  1.00E-08 =>converged.

 Electric Field Gradient Calculation

 Atom   1, typat   1: Cq =    -19.770461 MHz     eta =      0.214669

      total efg :      0.033159     0.045500     0.001693
      total efg :      0.045500    -0.066479     0.001940
      total efg :      0.001693     0.001940     0.033320

 Atom   2, typat   2: Cq =     27.404280 MHz     eta =      0.074314

      total efg :      0.044296     0.085854    -0.009334
      total efg :      0.085854     0.013722    -0.002161
      total efg :     -0.009334    -0.002161    -0.058018

 Atom   3, typat   1: Cq =    -25.872036 MHz     eta =      0.195761

      total efg :      0.048661    -0.008687    -0.000790
      total efg :     -0.008687     0.061430    -0.001571
      total efg :     -0.000790    -0.001571    -0.110091

 Atom   4, typat   1: Cq =    -15.191133 MHz     eta =      0.091740

      total efg :     -0.005990     0.047855     0.001278
      total efg :      0.047855    -0.025575     0.002977
      total efg :      0.001278     0.002977     0.031566

 ----iterations are completed or convergence reached----

 cartesian coordinates (angstrom) at end:
    1     -0.08000000000000     1.97400000000000    -0.02500000000000
    2      0.04200000000000     0.11400000000000     0.01100000000000
    3     -0.05500000000000    -0.07800000000000     2.01300000000000
    4      1.98700000000000     1.08000000000000    -0.12300000000000

 cartesian forces (eV/Angstrom) at end:
    1     -0.34947803644499     0.29885992327084     0.42914869037958
    2      0.14695063363164    -1.13653386649076    -0.06208911347708
    3      0.59808399576727     1.02288657393777    -0.95532786602053
    4     -0.39555659295391    -0.18521263071785     0.58826828911803

--- !EnergyTerms
iteration_state     : {dtset: 1, }
comment             : Components of total free energy in Hartree
total_energy        : -1.05915121620167E+01
total_energy_eV     : -2.88209703098496E+02
...

 Cartesian components of stress tensor (hartree/bohr^3)
  sigma(1 1)=  1.14541760E-03  sigma(3 2)= -5.25397102E-07
  sigma(2 2)=  1.10986119E-03  sigma(3 1)= -1.00581436E-06
  sigma(3 3)=  1.46016079E-03  sigma(2 1)=  2.45077972E-05

== END DATASET(S) ==============================================================

 Calculation completed.
.Delivered   2 WARNINGs and   2 COMMENTs to log file.
"""

OVERLAP = """
--- !ERROR
src_file: m_paw_tools.F90
src_line: 243
mpi_rank: 0
message: |
    PAW SPHERES ARE OVERLAPPING!
       There are     4 pairs of overlapping atoms.
       The maximum overlap percentage is obtained for the atoms   2 and   4.
        | This leads to a (voluminal) overlap ratio of 70.7278 %
    THIS IS DANGEROUS, as PAW formalism assumes non-overlapping PAW spheres.
...

 abinit_abort: decision taken to exit. Check above messages for more info
"""
SYMMETRY = """
--- !ERROR
src_file: m_symkpt.F90
src_line: 269
mpi_rank: 0
message: |
    Chksymbreak=1. It has been observed that the k point grid is not symmetric:
    for the symmetry number:    5
...
"""
TYPO = """
--- !ERROR
src_file: m_parser.F90
src_line: 3869
mpi_rank: 0
message: |
    Found token: `ECUTT` in the input file.
...
"""
UNCONVERGED = """
--- !ScfConvergenceWarning
message: |
    nstep 2 was not enough SCF cycles to converge.
...

 scprqt:  WARNING -
  nstep=    2 was not enough SCF cycles to converge;
  density residual=  2.099E+01 exceeds tolvrs=  1.000E-12
"""
TIMED_OUT = """
 chkexi: WARNING -
  Exit due to cpu time limit exceeded.
"""

# An abinit that hands out the texts of a good run, damaged.
WRAPPER = """
import os, pathlib, re, signal, sys
if sys.argv[1:] == ["--version"]:
    print("9.6.2")
    raise SystemExit
assert sys.argv[1:] == ["abinit.in"]
status, log = 0, ""
output = pathlib.Path("abinit.abo")
text = pathlib.Path({good!r}).read_text()
{damage}
output.write_text(text)
print(log)
raise SystemExit(status)
"""


def structure() -> Atoms:
    """Li3N, displaced, the structure of `OUTPUT`."""
    return Atoms(
        "LiNLi2",
        positions=[
            [-0.08, 1.974, -0.025],
            [0.042, 0.114, 0.011],
            [-0.055, -0.078, 2.013],
            [1.987, 1.08, -0.123],
        ],
        cell=[[3.648, 0, 0], [-1.824, 3.159, 0], [0, 0, 3.875]],
        pbc=True,
    )


def settings(folder, **parameters):
    for element in ("Li", "N"):
        (folder / f"{element}.xml").write_text(f"<paw_setup/> {element}")
    return {
        "parameters": {"ecut": 10, "pawecutdg": 20, "tolvrs": "1e-8", **parameters},
        "pseudopotentials": {"N": "N.xml", "Li": "Li.xml"},
        "pseudo_dir": str(folder),
        "kpts": [2, 1, 1],
    }


@pytest.fixture
def planted(tmp_path):
    good = tmp_path / "good.abo"
    good.write_text(OUTPUT)

    def backend(damage: str = "", *, retries=(), **parameters):
        script = tmp_path / "abinit.py"
        script.write_text(WRAPPER.format(damage=damage, good=str(good)))
        return make_backend(
            "abinit",
            command=f"{sys.executable} {script}",
            settings=settings(tmp_path, **parameters),
            retries=retries,
        )

    return backend


def test_numbers_of_a_real_run(planted, tmp_path):
    label = planted().compute(structure(), tmp_path / "run")
    # The variational energy, not the sum of its parts that ASE's reader takes.
    assert label.energy == pytest.approx(-10.591517252509 * Hartree, abs=1e-9)
    assert abs(label.energy - -288.209703098496) > 1e-4
    assert label.forces[1].tolist() == [0.14695063363164, -1.13653386649076, -0.06208911347708]
    assert label.stress[0] == pytest.approx(1.14541760e-3 * 183.6315, rel=1e-6)
    assert label.stress[3] == pytest.approx(-5.25397102e-7 * 183.6315, rel=1e-6)
    assert label.stress[5] == pytest.approx(2.45077972e-5 * 183.6315, rel=1e-6)
    assert label.efg.shape == (4, 3, 3)
    assert label.efg[2, 2, 2] == -0.110091
    assert label.efg[0, 0, 1] == 0.0455
    assert (label.source, label.version, label.code) == ("Abinit 9.6.2", "9.6.2", "abinit")


def test_other_atom_order_gives_the_same_label(planted, tmp_path):
    order = [3, 1, 0, 2]
    label = planted().compute(structure(), tmp_path / "a")
    other = planted().compute(structure()[order], tmp_path / "b")
    assert np.array_equal(other.forces, label.forces[order])
    assert np.array_equal(other.efg, label.efg[order])


def test_input(planted, tmp_path):
    atoms = structure()
    atoms.positions[0] += 1 / 3e6
    planted("", NSTEP=7, shiftk=[[0.5, 0.5, 0.5]]).compute(atoms, tmp_path / "run")
    folder = tmp_path / "run/attempt0/energy"
    text = (folder / "abinit.in").read_text()
    assert f"{atoms.positions[0, 1]:.12f}" in text
    lines = text.splitlines()
    assert lines[lines.index("typat") + 1] == "1 2 1 1"
    for line in ("znucl 3 7", "ngkpt 2 1 1", "nsym 1", "nstep 7", "shiftk 0.5 0.5 0.5"):
        assert line in lines
    assert "prtefg 2" in lines
    assert "quadmom 1.0 1.0" in lines
    assert 'pseudos "Li.xml, N.xml"' in lines
    assert (folder / "N.xml").read_text() == "<paw_setup/> N"


def test_without_field_gradients_none_are_asked_for(planted, tmp_path):
    backend = planted("text = re.sub(' *total efg.*', '', text)")
    label = backend.compute(structure(), tmp_path / "run", efg=False)
    assert label.efg is None
    assert "prtefg" not in (tmp_path / "run/attempt0/energy/abinit.in").read_text()


def test_newer_versions_call_it_nucefg(planted, tmp_path):
    backend = planted()
    backend.version = "9.10.4"
    with pytest.raises(LabelFailure, match="version_mismatch"):
        backend.compute(structure(), tmp_path / "run")
    text = (tmp_path / "run/attempt0/energy/abinit.in").read_text()
    assert "nucefg 2" in text
    assert "prtefg" not in text


FAILURES = {
    "killed midway": (
        "output.write_text(text[:len(text) // 2]); os.kill(os.getpid(), signal.SIGKILL)",
        {"killed", "incomplete"},
        True,
    ),
    "node lost": ("text = text[:text.index('Calculation')]", {"incomplete"}, True),
    "no output": ("os._exit(0)", {"incomplete"}, True),
    "error exit": ("status = 3", {"exit_code"}, True),
    "unconverged": (f"log = {UNCONVERGED!r}", {"scf_unconverged"}, False),
    "own time limit": (
        f"text = {TIMED_OUT!r} + text; log = {TIMED_OUT!r} + {UNCONVERGED!r}",
        {"wall_time"},
        True,
    ),
    "stopped by hand": (
        f"text += ' Note : exit requested by the user.'; log = {UNCONVERGED!r}",
        {"incomplete"},
        True,
    ),
    "wrong keyword": (
        f"log = {TYPO!r}; status = 14; text = text[:90]",
        {"code_error", "incomplete", "exit_code"},
        False,
    ),
    "atoms overlap": (
        f"log = {OVERLAP!r}; status = 14; text = text[:90]",
        {"geometry_warning", "incomplete", "exit_code"},
        False,
    ),
    "k-points": (
        f"log = {SYMMETRY!r}; status = 14; text = text[:90]",
        {"kpoint_warning", "incomplete", "exit_code"},
        False,
    ),
    "disk full": (
        "log = 'Fortran runtime error: No space left on device'; status = 2; text = text[:90]",
        {"io_error", "exit_code"},
        True,
    ),
    "charged": ("text = text.replace('charge:   0.0', 'charge:   1.0')", {"charged_cell"}, False),
    "other version": (
        "text = text.replace('Version 9.6.2', 'Version 9.4.1')",
        {"version_mismatch"},
        True,
    ),
    "NaN force": ("text = text.replace('-1.13653386649076', 'NaN')", {"not_finite"}, False),
    "NaN tensor": ("text = text.replace('-0.066479', 'NaN')", {"not_finite"}, False),
    "overflow": (
        "text = text.replace('-1.13653386649076', '*****************')",
        {"unreadable_output"},
        False,
    ),
    "no energy": ("text = text.replace(' ETOT', ' etot')", {"unreadable_output"}, False),
    "no stress": (
        "text = text.replace('sigma(1 1)=  1.14541760E-03', 'sigma(1 1)=')",
        {"unreadable_output"},
        False,
    ),
    "no tensors": (
        "text = text.replace('Electric Field Gradient', '')",
        {"unreadable_output"},
        False,
    ),
    "a tensor cut": (
        "text = text.replace('      total efg :      0.045500    -0.066479     0.001940\\n', '')",
        {"unreadable_output"},
        False,
    ),
    "trace": ("text = text.replace('-0.066479', '-0.166479')", {"efg_trace"}, False),
    "asymmetry": (
        "text = text.replace('0.045500    -0.066479', '0.055500    -0.066479')",
        {"efg_asymmetry"},
        False,
    ),
    "other atoms": (
        "text = text.replace('1.98700000000000', '1.88700000000000')",
        {"atom_order"},
        False,
    ),
    "other species": (
        "text = text.replace('typat      1  2  1  1', 'typat      1  1  2  1')",
        {"atom_order"},
        False,
    ),
    "other element": (
        "text = text.replace('3.00000    7.00000', '3.00000    8.00000')",
        {"species"},
        False,
    ),
    "other cell": (
        "text = text.replace('3.8750000000E+00', '3.9750000000E+00')",
        {"cell_mismatch"},
        False,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_planted_failures(planted, tmp_path, name):
    damage, reasons, transient = FAILURES[name]
    with pytest.raises(LabelFailure) as caught:
        planted(damage).compute(structure(), tmp_path / "run")
    failure = caught.value
    assert set(failure.reasons) == reasons
    assert failure.transient is transient
    assert failure.partial is None
    if name not in ("no output", "killed midway"):
        assert "abinit.abo" in failure.log


def test_of_another_number_of_atoms(planted, tmp_path):
    with pytest.raises(LabelFailure) as caught:
        planted().compute(structure()[:3], tmp_path / "run")
    assert caught.value.reasons == ["atom_count"]


def test_a_retry_may_change_how_the_cycle_runs(planted, tmp_path):
    damage = f"log = '' if 'nstep 200' in open('abinit.in').read() else {UNCONVERGED!r}"
    retries = [{"parameters": {"nstep": 200, "diemac": 4.0}}]
    label = planted(damage, retries=retries).compute(structure(), tmp_path / "run")
    assert label.changes == retries[0]
    with pytest.raises(HopechoError, match=r"parameters\.ecut"):
        planted(retries=[{"parameters": {"ecut": 8}}])


def test_banner_comes_after_the_last_good_text():
    assert abinit_reasons(OUTPUT, version="9.6.2") == []
    assert abinit_reasons("", log="") == ["incomplete"]
    assert abinit_reasons(OUTPUT, log=TYPO.replace("!ERROR", "!BUG")) == ["code_error"]
    # A warning about overlap that Abinit accepts (pawovlp) is no reason.
    assert abinit_reasons(OUTPUT, log=OVERLAP.replace("!ERROR", "!WARNING")) == []
    full = TYPO.replace("Found token", "No space left on device")
    assert "io_error" in abinit_reasons("", log=full)


def test_versions():
    assert abinit_version("9.6.2\n") == "9.6.2"
    assert abinit_version("a warning of mpirun\n10.4.5\n") == "10.4.5"
    assert abinit_version(OUTPUT) == "9.6.2"
    assert abinit_version("command not found") is None


def test_identity_follows_the_files_not_their_place(planted, tmp_path):
    here = planted().settings
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = f"{sys.executable} {tmp_path / 'abinit.py'}"
    same = make_backend("abinit", command=command, settings=settings(elsewhere))
    assert same.settings == here
    (elsewhere / "N.xml").write_text("another")
    words = settings(tmp_path) | {"pseudo_dir": str(elsewhere)}
    assert make_backend("abinit", command=command, settings=words).settings != here
    assert planted(ecut=12).settings != here


WRONG = {
    "unknown block": ({"param": {}}, "param"),
    "structure": ({"parameters": {"ecut": 1, "tolvrs": 1, "natom": 4}}, "natom"),
    "charge": ({"parameters": {"ecut": 1, "tolvrs": 1, "charge": 1}}, "charge"),
    "no cutoff": ({"parameters": {"tolvrs": 1}}, "ecut"),
    "no tolerance": ({"parameters": {"ecut": 10}}, "tolvrs"),
    "k-points": ({"kpts": [1, 0, 1]}, "labels.abinit.kpts"),
    "missing file": ({"pseudopotentials": {"Li": "none.xml"}}, "none.xml"),
    "no files": ({"pseudopotentials": {}}, "pseudopotentials"),
}


@pytest.mark.parametrize("name", WRONG)
def test_configuration_errors(tmp_path, name):
    change, words = WRONG[name]
    with pytest.raises(HopechoError, match=re.escape(words)):
        make_backend("abinit", settings=settings(tmp_path) | change)


def test_commands_that_are_no_abinit(tmp_path):
    for command in ("/nowhere/abinit", f"{sys.executable} -c pass", "   "):
        with pytest.raises(HopechoError, match=r"labels\.command"):
            make_backend("abinit", command=command, settings=settings(tmp_path))
    with pytest.raises(HopechoError, match="efg_command"):
        make_backend("abinit", efg_command="x", settings=settings(tmp_path))


def test_element_without_a_file(planted, tmp_path):
    atoms = structure()
    atoms.numbers[1] = 8
    with pytest.raises(HopechoError, match=r"labels\.abinit\.pseudopotentials"):
        planted().compute(atoms, tmp_path / "run")
