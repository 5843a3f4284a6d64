import os
import sys

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.interface import LabelFailure, make_backend, structure_hash

# A castep that hands out the files of a good run, damaged.
WRAPPER = """
import os, pathlib, re, signal, sys
if sys.argv[1:] == ["--version"]:
    print("CASTEP version: 24.1")
    raise SystemExit
seed, status, good = sys.argv[1], 0, pathlib.Path({good!r})
part = "efg" if "magres" in pathlib.Path(seed + ".param").read_text() else "energy"
castep, magres = pathlib.Path(seed + ".castep"), pathlib.Path(seed + ".magres")
text = (good / part / "label.castep").read_text().replace("model surface stand-in", "a test's code")
castep.write_text(text)
if part == "efg":
    magres.write_text((good / part / "label.magres").read_text())
{damage}
castep.write_text(text)
raise SystemExit(status)
"""


def structure() -> Atoms:
    """Li3PS4, atoms in mixed order and outside the cell."""
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
            [0.1, 0.3, 19.9],
        ],
        cell=[[7.8, 0.1, 0], [0.2, 7.9, 0.1], [-0.3, 0, 8.0]],
        pbc=True,
    )
    return atoms


@pytest.fixture(scope="module")
def stand_in():
    return make_backend("castep", settings={"param": {"cut_off_energy": "500 eV"}})


@pytest.fixture(scope="module")
def direct():
    return make_backend("model_pes")


@pytest.fixture(scope="module")
def good(stand_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    stand_in.compute(structure(), folder)
    return folder


@pytest.fixture
def planted(tmp_path, good):
    def backend(damage: str, **options):
        script = tmp_path / "castep.py"
        script.write_text(WRAPPER.format(damage=damage, good=str(good / "attempt0")))
        return make_backend("castep", command=f"{sys.executable} {script}", **options)

    return backend


def test_equals_the_direct_backend(stand_in, direct, tmp_path):
    atoms = structure()
    before = atoms.copy()
    got, expected = stand_in.compute(atoms, tmp_path), direct.compute(atoms, tmp_path)
    assert got.energy == pytest.approx(expected.energy, abs=2e-9)
    assert np.abs(got.forces - expected.forces).max() < 2e-9
    assert np.abs(got.stress - expected.stress).max() < 1e-11
    assert np.abs(got.efg - expected.efg).max() < 1e-10
    assert atoms == before
    assert got.structure == structure_hash(before) == expected.structure
    assert got.source == expected.source == "model PES"
    assert got.key != expected.key
    assert 0 < got.cpu_s < 20


def test_input_holds_every_digit_and_the_keywords(stand_in, tmp_path):
    atoms = structure()
    atoms.positions += 1 / 3
    stand_in.compute(atoms, tmp_path, efg=False)
    text = (tmp_path / "attempt0" / "energy" / "label.cell").read_text()
    assert f"{atoms.positions[0, 0]:.12f}" in text
    assert (
        "CUT_OFF_ENERGY: 500 eV" in (tmp_path / "attempt0" / "energy" / "label.param").read_text()
    )


def test_base_is_completed_not_computed_again(stand_in, tmp_path):
    base = stand_in.compute(structure(), tmp_path / "a", efg=False)
    assert base.efg is None
    full = stand_in.compute(structure(), tmp_path / "b", base=base)
    assert not list((tmp_path / "b").glob("*/energy"))
    assert full.forces is base.forces
    assert full.efg.shape == (8, 3, 3)
    assert full.key == base.key
    assert full.cpu_s > base.cpu_s


CUT = "text = text[:text.index('Forces')]"
FAILURES = {
    "killed midway": (
        "castep.write_text(text[:len(text) // 2]); os.kill(os.getpid(), signal.SIGKILL)",
        "killed",
        True,
    ),
    "node lost": (CUT, "incomplete", True),
    "no output": ("castep.unlink(); os._exit(0)", "incomplete", True),
    "error exit": ("status = 3", "exit_code", True),
    "its own error": (
        "pathlib.Path(seed + '.0001.err').write_text('Error in hybrid'); status = 1",
        "code_error",
        False,
    ),
    "full disk": (
        "pathlib.Path(seed + '.0001.err').write_text('write: No space left on device');" + CUT,
        "io_error",
        True,
    ),
    "out of time": (
        "text = text.replace('Final energy', 'Insufficient time for another SCF cycle')",
        "wall_time",
        True,
    ),
    "k-points": (
        "text = text.replace('Final energy', 'Warning: k-point set\\nFinal energy')",
        "kpoint_warning",
        False,
    ),
    "overlap": (
        "text = text.replace('Final energy', 'Warning - atoms too close\\nFinal energy')",
        "geometry_warning",
        False,
    ),
    "charged": (
        "text = text.replace('Final energy', 'net charge of system :  1.000\\nFinal energy')",
        "charged_cell",
        False,
    ),
    "unconverged": (
        "text = text.replace('Final energy', ' *Warning* max. SCF cycles performed but system"
        " has not reached the groundstate.\\nFinal energy')",
        "scf_unconverged",
        False,
    ),
    "NaN force": ("text = re.sub(r'(\\* P +1 +)[-.0-9]+', r'\\1NaN', text)", "not_finite", False),
    "no forces": ("text = text.replace(' Forces ', ' Furces ')", "unreadable_output", False),
    "overflow": ("text = re.sub(r'(\\* P +1 +)[-.0-9]+', r'\\1****', text)", "unreadable", False),
    "wrong count": (
        "text = text.replace('in cell =    8', 'in cell =    7')",
        "atom_count",
        False,
    ),
    "wrong species": ("text = text.replace('x  P ', 'x  Si')", "species", False),
    "other cell": ("text = text.replace('7.8000000000', '7.9000000000')", "cell_mismatch", False),
    "other structure": (
        "text = re.sub(r'(x  P +1 +)[-.0-9]+', r'\\g<1>0.900000', text)",
        "atom_order",
        False,
    ),
    "other version": (
        "text = text.replace('CASTEP version 24.1', 'CASTEP version 23.1')",
        "version_mismatch",
        True,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_planted_failures_of_the_energy_run(planted, tmp_path, name):
    damage, reason, transient = FAILURES[name]
    with pytest.raises(LabelFailure) as caught:
        planted(damage).compute(structure(), tmp_path / "run")
    failure = caught.value
    assert any(r.startswith(reason) for r in failure.reasons), failure.reasons
    assert failure.transient is transient
    assert failure.part == "energy"
    assert failure.partial is None
    assert "label.castep" in failure.log


EFG_FAILURES = {
    "missing": ("magres.unlink(missing_ok=True)", "unreadable_output", False),
    "truncated": (
        "magres.write_text(magres.read_text()[:-200])",
        "unreadable_output",
        False,
    ),
    "one tensor lost": (
        "magres.write_text(re.sub(r'  efg S 2.*\\n', '', magres.read_text()))",
        "unreadable_output",
        False,
    ),
    "trace": (
        "magres.write_text(re.sub(r'(  efg P 1 )\\S+', r'\\g<1>3.0', magres.read_text()))",
        "efg_trace",
        False,
    ),
    "NaN": (
        "magres.write_text(re.sub(r'(  efg P 1 )\\S+', r'\\g<1>nan', magres.read_text()))",
        "not_finite",
        False,
    ),
    "killed": ("os.kill(os.getpid(), signal.SIGTERM)", "killed", True),
}


@pytest.mark.parametrize("name", EFG_FAILURES)
def test_planted_failures_of_the_efg_run(planted, tmp_path, name):
    damage, reason, transient = EFG_FAILURES[name]
    backend = planted(f"if part == 'efg':\n    {damage}")
    with pytest.raises(LabelFailure) as caught:
        backend.compute(structure(), tmp_path / "run")
    failure = caught.value
    assert reason in failure.reasons
    assert failure.transient is transient
    assert failure.part == "efg"
    assert failure.partial.efg is None
    assert np.isfinite(failure.partial.forces).all()


def test_order_of_the_output_does_not_matter(planted, direct, tmp_path):
    # Reverse the efg lines together with their atoms: matching is by position, not by rank.
    damage = """
if part == "efg":
    lines = magres.read_text().splitlines()
    for tag in ("  atom ", "  efg "):
        rows = [i for i, l in enumerate(lines) if l.startswith(tag)]
        for i, l in zip(rows, [lines[i] for i in reversed(rows)]):
            lines[i] = l
    magres.write_text("\\n".join(lines) + "\\n")
"""
    got = planted(damage).compute(structure(), tmp_path / "run")
    assert np.abs(got.efg - direct.compute(structure(), tmp_path).efg).max() < 1e-10


def test_dispersion_corrected_energy_is_the_one_of_the_forces(planted, tmp_path):
    line = "\\nDispersion corrected final energy* =  -123.5 eV"
    damage = f"text = re.sub(r'(Final energy.*)', r'\\1{line}', text)"
    label = planted(damage).compute(structure(), tmp_path / "run", efg=False)
    assert label.energy == -123.5


def test_keywords_that_exclude_each_other_are_never_dropped_silently():
    cell = {"kpoint_mp_spacing": "0.05", "kpoint_mp_grid": "4 4 4"}
    with pytest.raises(HopechoError, match="exclude each other") as caught:
        make_backend("castep", settings={"cell": cell})
    assert "null" in caught.value.fix
    grid = make_backend("castep", settings={"cell": cell | {"kpoint_mp_spacing": None}})
    assert grid.keywords["cell"] == {"kpoint_mp_grid": "4 4 4"}
    assert grid.settings != make_backend("castep", settings={"cell": {}}).settings


def test_a_pseudopotential_counts_by_content(tmp_path):
    keys = set()
    for folder, text in (("a", "one"), ("b", "one"), ("c", "two")):
        path = tmp_path / folder / "Li.usp"
        path.parent.mkdir()
        path.write_text(text)
        cell = {"species_pot": {"Li": str(path), "S": "C19"}}
        keys.add(make_backend("castep", settings={"cell": cell}).settings)
    assert len(keys) == 2


def test_retries_may_not_loosen_the_result():
    for name in ("elec_energy_tol", "elec_force_tol", "cut_off_energy"):
        with pytest.raises(HopechoError, match=r"labels\.retries"):
            make_backend("castep", retries=[{"param": {name: 1}}])
    good = {"mix_charge_amp": 0.1, "max_scf_cycles": 9, "nextra_bands": 4, "smearing_width": 0.1}
    make_backend("castep", retries=[{"param": good}])


def test_what_runs_must_be_what_answered(planted, tmp_path):
    planted("").compute(structure(), tmp_path / "a", efg=False)
    # A wrapper that hides whom it calls when it is asked for its version.
    hidden = planted('text = text.replace("a test\'s code", "model surface stand-in")')
    with pytest.raises(LabelFailure, match="version_mismatch"):
        hidden.compute(structure(), tmp_path / "b", efg=False)


def test_commands_that_are_no_castep():
    for command in ("/nowhere/castep", f"{sys.executable} -c pass", ""):
        words = command or "   "
        with pytest.raises(HopechoError, match=r"labels.command"):
            make_backend("castep", command=words)


def test_configuration_errors():
    with pytest.raises(HopechoError, match=r"labels.code"):
        make_backend("vasp")
    with pytest.raises(HopechoError, match=r"labels.castep.param"):
        make_backend("castep", settings={"cut_off_energy": 500})
    with pytest.raises(HopechoError, match="no settings"):
        make_backend("model_pes", settings={"a": 1})


def test_stand_in_needs_no_installation(tmp_path, monkeypatch):
    # Found through this interpreter, from any folder, without an entry point on the path.
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert make_backend("castep", command="hopecho-castep").source == "model PES"


def test_real_code_never_shares_keys_with_the_stand_in(planted, stand_in, tmp_path):
    real = planted("")
    assert real.source == "CASTEP 24.1"
    same = make_backend("castep")
    assert real.settings != same.settings != stand_in.settings
    assert real.compute(structure(), tmp_path / "run", efg=False).source == "CASTEP 24.1"
