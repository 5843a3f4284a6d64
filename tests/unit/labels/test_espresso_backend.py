import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.espresso import espresso_reasons, espresso_version, gipaw_reasons
from hopecho.labels.espresso_input import gipaw_input
from hopecho.labels.interface import LabelFailure, make_backend, structure_hash

SETTINGS = {"input_data": {"system": {"ecutwfc": 60}}, "gipaw": {"q_efg": {"Li": -4.01}}}

# A pw.x or gipaw.x that hands out the files of a good run, damaged.
WRAPPER = """
import os, pathlib, re, signal, sys
good, name = pathlib.Path({good!r}), {name!r}
text, status = (good / name).read_text(), 0
if {real}:
    text = re.sub(r".*model surface stand-in.*", "", text)
if sys.argv[-1] == "no-such-file":
    print(text[:text.index("=")] if "=" in text else text)
    raise SystemExit(1)
{damage}
print(text, end="", flush=True)
os._exit(status)
"""


def structure() -> Atoms:
    """Li3PS4, atoms in mixed order and outside the cell."""
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
            [0.1, 0.3, 19.9],
        ],
        cell=[[7.8, 0.1, 0], [0.2, 7.9, 0.1], [-0.3, 0, 8.0]],
        pbc=True,
    )


@pytest.fixture(scope="module")
def stand_in():
    return make_backend("espresso", command="hopecho-pw", settings=SETTINGS)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return make_backend("model_pes").compute(structure(), tmp_path_factory.mktemp("truth"))


@pytest.fixture(scope="module")
def good(stand_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    stand_in.compute(structure(), folder)
    return folder / "attempt0" / "energy"


@pytest.fixture
def script(tmp_path, good):
    """Command of a damaged program: the good run's files after some Python."""

    def command(damage: str = "", *, name: str = "label.pwo", real: bool = False) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(WRAPPER.format(damage=damage, good=str(good), name=name, real=real))
        return f"{sys.executable} {path}"

    return command


@pytest.fixture
def planted(script):
    def backend(damage: str, **more):
        settings = {"input_data": SETTINGS["input_data"]}
        return make_backend("espresso", command=script(damage), settings=settings, **more)

    return backend


def test_equals_the_surface(stand_in, truth, good, tmp_path):
    atoms = structure()
    before = atoms.copy()
    got = stand_in.compute(atoms, tmp_path)
    assert got.energy == pytest.approx(truth.energy, abs=1e-9)
    assert np.abs(got.forces - truth.forces).max() < 1e-9
    assert np.abs(got.stress - truth.stress).max() < 1e-9
    assert np.abs(got.efg - truth.efg).max() < 1e-10
    assert atoms == before
    assert got.structure == structure_hash(before)
    assert (got.source, got.code, got.version) == ("model PES", "espresso", "6.7MaX")
    assert got.key != truth.key
    # Nothing large is left.
    left = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["label.gipaw.in", "label.gipaw.out", "label.pwi", "label.pwo"]


def test_input_holds_every_digit_and_the_settings(stand_in, tmp_path):
    atoms = structure()
    atoms.positions += 1 / 3
    atoms.set_initial_magnetic_moments([1.0] * len(atoms))
    stand_in.compute(atoms, tmp_path, efg=False)
    text = (tmp_path / "attempt0" / "energy" / "label.pwi").read_text()
    assert f"{atoms.positions[0, 0]:.10f}" in text
    words = " ".join(text.split())
    for line in (
        "ecutwfc = 60", "nosym = .true.", "tprnfor = .true.", "tstress = .true.",
        "outdir = './out/'", "disk_io = 'none'", "conv_thr = 1e-08", "K_POINTS gamma",
    ):  # fmt: skip
        assert line in words
    assert "nspin" not in text


def test_numbers_that_yaml_takes_for_text(tmp_path):
    settings = {
        "input_data": {
            "system": {"ECUTWFC": "6d1", "nbnd": "30"},
            "electrons": {"conv_thr": "1e-10", "mixing_mode": "local-TF"},
        },
        "kspacing": 0.1,
        "stress": False,
    }
    backend = make_backend("espresso", command="hopecho-pw", settings=settings)
    label = backend.compute(structure(), tmp_path, efg=False)
    assert label.stress is None
    words = " ".join((tmp_path / "attempt0/energy/label.pwi").read_text().split())
    for line in (
        "ecutwfc = 60.0", "nbnd = 30 ", "conv_thr = 1e-10", "mixing_mode = 'local-TF'",
        "tstress = .false.", "K_POINTS automatic 2 2 2 0 0 0",
    ):  # fmt: skip
        assert line in words
    same = {
        **settings,
        "input_data": {**settings["input_data"], "system": {"ecutwfc": 60.0, "nbnd": 30}},
    }
    assert (
        make_backend("espresso", command="hopecho-pw", settings=same).settings == backend.settings
    )


def test_points_of_the_reciprocal_cell(tmp_path):
    # The mean-value point of an orthorhombic cell.
    settings = {**SETTINGS, "kpts": [[0.25, 0.25, 0.25, 1]]}
    backend = make_backend("espresso", command="hopecho-pw", settings=settings)
    backend.compute(structure(), tmp_path)
    words = (tmp_path / "attempt0/energy/label.pwi").read_text().split()
    at = words.index("K_POINTS")
    assert words[at + 1 : at + 3] == ["crystal", "1"]
    assert [float(x) for x in words[at + 3 : at + 7]] == [0.25, 0.25, 0.25, 1.0]


def test_base_is_completed_by_another_run_of_pw(stand_in, truth, tmp_path):
    base = stand_in.compute(structure(), tmp_path / "a", efg=False)
    assert base.efg is None
    full = stand_in.compute(structure(), tmp_path / "b", base=base)
    assert not (tmp_path / "b" / "attempt0" / "energy").exists()
    text = (tmp_path / "b" / "attempt0" / "efg" / "label.pwi").read_text()
    assert "K_POINTS automatic" in text
    assert full.forces is base.forces
    assert np.abs(full.efg - truth.efg).max() < 1e-10
    assert full.key == base.key
    assert full.cpu_s > base.cpu_s


def test_wavefunctions_of_another_structure_are_not_used(stand_in, tmp_path):
    atoms, other = structure(), structure()
    other.positions[0] += 0.1
    folder = tmp_path / "attempt0" / "energy"
    stand_in.run_energy(other, folder, stand_in.keywords, efg=True)
    assert (folder / "out").is_dir()
    base = stand_in.compute(atoms, tmp_path / "x", efg=False)
    tensors = stand_in.compute(atoms, tmp_path, base=base).efg
    assert (tmp_path / "attempt0" / "efg" / "label.pwo").exists()
    assert np.abs(tensors - stand_in.compute(atoms, tmp_path / "y").efg).max() < 1e-12


CUT = "text = text[:text.index('Forces')]"
FAILURES = {
    "killed midway": (
        "print(text[:len(text) // 2], flush=True); os.kill(os.getpid(), signal.SIGKILL)",
        "killed",
        True,
    ),
    "truncated": (CUT, "incomplete", True),
    "no output": ("text = ''", "incomplete", True),
    "out of memory in mpirun": ("text = text[:900]; status = 137", "killed", True),
    "error exit": ("status = 3", "exit_code", True),
    "disk full": (
        CUT + " + 'Fortran runtime error: No space left on device\\n'; status = 2",
        "io_error",
        True,
    ),
    "error banner": (
        "text = text[:900] + '\\n     Error in routine c_bands (1):\\n     too many bands are not"
        " converged\\n\\n     stopping ...\\n'; status = 1",
        "code_error",
        False,
    ),
    "atoms overlap": (
        "text = text[:300] + '\\n     Error in routine check_atoms (1):\\n     atoms #   1 and #"
        "   2 overlap!\\n\\n     stopping ...\\n'; status = 1",
        "geometry_warning",
        False,
    ),
    "unconverged, and done": (
        "text = re.sub(r'convergence has been achieved.*', 'convergence NOT achieved after 100"
        " iterations: stopping', text); status = 2",
        "scf_unconverged",
        False,
    ),
    "bands unconverged at the end": (
        "text = text.replace('the surface needs', 'c_bands:  2 eigenvalues not converged\\n')",
        "scf_unconverged",
        False,
    ),
    "stopped by its own clock": (
        "text = text[:text.index('!  ')] + '     Maximum CPU time exceeded\\n' + text[text.index("
        "'   This run'):]",
        "wall_time",
        True,
    ),
    "k-points": (
        "text = text.replace('     No symmetry', '     Warning: k-points are not equivalent\\n')",
        "kpoint_warning",
        False,
    ),
    "charged": (
        "text = re.sub(r'(number of electrons += +)38.00', r'\\g<1>37.00', text)",
        "charged_cell",
        False,
    ),
    "other valence": (
        "text = re.sub(r'(        P  +)5.00', r'\\g<1>3.00', text)",
        "charged_cell",
        False,
    ),
    "NaN force": (
        "text = re.sub(r'(atom    3 type  3   force = +)\\S+', r'\\1NaN', text)",
        "not_finite",
        False,
    ),
    "NaN energy": (
        "text = re.sub(r'(!    total energy += +)\\S+', r'\\1NaN', text)",
        "not_",
        False,
    ),
    "overflow of a force": (
        "text = re.sub(r'(atom    3 type  3   force = +)\\S+', r'\\1***************', text)",
        "unreadable_output",
        False,
    ),
    "overflow of the energy": (
        "text = re.sub(r'(!    total energy += +)\\S+', r'\\1*****************', text)",
        "unreadable_output",
        False,
    ),
    "no stress": ("text = text.replace('total   stress', 'x')", "unreadable_output", False),
    "no forces": ("text = text.replace('Forces acting', 'x')", "unreadable_output", False),
    "a line of forces lost": (
        "text = re.sub(r'     atom    3 type.*\\n', '', text)",
        "atom_order",
        False,
    ),
    "forces in another order": (
        "text = re.sub(r'(     atom    3 type.*\\n)(     atom    4 type.*\\n)', r'\\2\\1', text)",
        "atom_order",
        False,
    ),
    "sites in another order": (
        "text = re.sub(r'(         2  .*tau.*\\n)(         3  .*tau.*\\n)', r'\\2\\1', text)",
        "atom_order",
        False,
    ),
    "an atom lost": (
        "text = text.replace('atoms/cell      =            8', 'atoms/cell = 7')"
        ".replace('38.00', '35.00')"
        "; text = re.sub(r'(         8  .*tau|     atom    8).*\\n', '', text)",
        "atom_count",
        False,
    ),
    "another species": (
        "text = text.replace('           P   tau', '           Si  tau')"
        ".replace('\\n        P  ', '\\n        Si ')",
        "species",
        False,
    ),
    "another cell": ("text = text.replace('0.999918', '0.989918')", "cell_mismatch", False),
    "another structure": (
        "text = text.replace('(   0.0128195   0.0000000', '(   0.1128195   0.0000000')",
        "atom_order",
        False,
    ),
    "another version": ("text = text.replace('6.7MaX', '7.2')", "version_mismatch", True),
}


@pytest.mark.parametrize("name", FAILURES)
def test_planted_failures_of_pw(planted, good, tmp_path, name):
    damage, reason, transient = FAILURES[name]
    with pytest.raises(LabelFailure) as caught:
        planted(damage).compute(structure(), tmp_path / "run", efg=False)
    failure = caught.value
    assert any(r.startswith(reason) for r in failure.reasons), failure.reasons
    assert failure.transient is transient
    assert failure.part == "energy"
    assert failure.partial is None
    assert "label.pwo" in failure.log
    assert not list((tmp_path / "run").rglob("out"))


def test_undamaged_wrapper_passes(planted, truth, tmp_path):
    got = planted("").compute(structure(), tmp_path / "run", efg=False)
    assert np.abs(got.forces - truth.forces).max() < 1e-9


def test_only_the_last_record_and_the_last_iteration_count(planted, truth, tmp_path):
    damage = (
        "text = text.replace('convergence has been', 'convergence NOT achieved')"
        " + text.replace('     iteration #  1', '     iteration #  0\\n     c_bands:  1 eigenvalues"
        " not converged\\n     iteration #  1')"
    )
    got = planted(damage).compute(structure(), tmp_path / "run", efg=False)
    assert np.abs(got.forces - truth.forces).max() < 1e-9


def test_an_order_of_its_own_is_put_back(planted, truth, tmp_path):
    # Sites and forces of atoms 2 and 6 (both Li) change places together.
    damage = r"""
lines = text.splitlines()
for two, six in (("         2  ", "         6  "), ("     atom    2", "     atom    6")):
    i, j = ([n for n, l in enumerate(lines) if l.startswith(s)][0] for s in (two, six))
    head = len(two)
    lines[i], lines[j] = two + lines[j][head:], six + lines[i][head:]
text = "\n".join(lines) + "\n"
"""
    got = planted(damage).compute(structure(), tmp_path / "run", efg=False)
    assert np.abs(got.forces - truth.forces).max() < 1e-9


def test_time_limit(planted, tmp_path):
    backend = planted("import time; time.sleep(60)", timeout_s=1.0)
    with pytest.raises(LabelFailure) as caught:
        backend.compute(structure(), tmp_path / "run", efg=False)
    assert "wall_time" in caught.value.reasons
    assert caught.value.transient


EFG_FAILURES = {
    "missing": ("text = ''", "incomplete", True),
    "truncated": ("text = text[:text.index('NQR')]", "incomplete", True),
    "block cut, and done": (
        "text = re.sub(r'Li      8 .*\\n', '', text, count=1)",
        "unreadable_output",
        False,
    ),
    "overflow of a value": (
        "text = re.sub(r'(S       1 +)\\S+', r'\\1**************', text, count=1)",
        "unreadable_output",
        False,
    ),
    "number that ran into the label": (
        "text = re.sub(r'P       3', 'P1     13', text)",
        "unreadable_output",
        False,
    ),
    "other atoms": ("text = re.sub(r'P       3', 'Si      3', text)", "species", False),
    "an atom too few": ("text = re.sub(r'Li      8 .*\\n', '', text)", "atom_count", False),
    "trace": (
        "text = re.sub(r'(S       1 +)\\S+', r'\\g<1>3.0', text, count=1)",
        "efg_trace",
        False,
    ),
    "NaN": (
        "text = re.sub(r'(S       1 +)\\S+', r'\\g<1>NaN', text, count=1)",
        "not_finite",
        False,
    ),
    "error banner": (
        "text = text[:300] + '     Error in routine gipaw_main (1):\\n no file\\n'; status = 1",
        "code_error",
        False,
    ),
    "killed": ("os.kill(os.getpid(), signal.SIGTERM)", "killed", True),
    "another version": ("text = text.replace('6.7MaX', '7.2')", "version_mismatch", True),
}


@pytest.mark.parametrize("name", EFG_FAILURES)
def test_planted_failures_of_gipaw(script, tmp_path, name):
    damage, reason, transient = EFG_FAILURES[name]
    backend = make_backend(
        "espresso",
        command=script(),
        efg_command=script(damage, name="label.gipaw.out"),
        settings=SETTINGS,
    )
    with pytest.raises(LabelFailure) as caught:
        backend.compute(structure(), tmp_path / "run")
    failure = caught.value
    assert reason in failure.reasons, failure.reasons
    assert failure.transient is transient
    assert failure.part == "efg"
    assert failure.partial.efg is None
    assert np.isfinite(failure.partial.forces).all()
    assert "label.gipaw.out" in failure.log


def test_retries_change_how_not_what(planted, script, tmp_path):
    # Converges only with the second change.
    damage = """
if "mixing_beta      = 0.2" not in pathlib.Path("label.pwi").read_text():
    text = text.replace("has been", "NOT")
"""
    retries = [
        {"input_data": {"electrons": {"electron_maxstep": 200}}},
        {"input_data": {"electrons": {"mixing_beta": "0.2"}, "system": {"nbnd": 30}}},
    ]
    got = planted(damage, retries=retries).compute(structure(), tmp_path / "run", efg=False)
    assert got.changes == retries[1]
    for bad in (
        {"input_data": {"system": {"ecutwfc": 30}}},
        {"input_data": {"electrons": {"conv_thr": 1e-4}}},
        {"kpts": [1, 1, 1]},
    ):
        with pytest.raises(HopechoError, match=r"labels\.retries"):
            planted("", retries=[bad])


def test_pseudopotentials_count_by_content_not_by_place(script, tmp_path):
    command = script(real=True)

    def settings(name: str, content: str) -> str:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        files = {e: f"{e}.gth" for e in ("Li", "P", "S")}
        for element, file in files.items():
            (folder / file).write_text(content + element)
        block = {**SETTINGS, "pseudopotentials": files, "pseudo_dir": str(folder)}
        del block["gipaw"]
        return make_backend("espresso", command=command, settings=block)

    one, two, three = settings("a", "x"), settings("b", "x"), settings("c", "y")
    assert one.source == "QE 6.7MaX"
    assert one.settings == two.settings != three.settings
    one.compute(structure(), tmp_path / "run", efg=False)
    text = (tmp_path / "run/attempt0/energy/label.pwi").read_text()
    assert f"pseudo_dir       = '{tmp_path / 'a'}'" in text
    with_silicon = structure()
    with_silicon.numbers[0] = 14
    with pytest.raises(HopechoError, match="Si"):
        one.compute(with_silicon, tmp_path / "run", efg=False)
    (tmp_path / "a" / "P.gth").unlink()
    with pytest.raises(HopechoError, match="hopecho pseudo gth P"):
        make_backend(
            "espresso",
            command=command,
            settings={
                "input_data": SETTINGS["input_data"],
                "pseudopotentials": {"P": "P.gth"},
                "pseudo_dir": str(tmp_path / "a"),
            },
        )
    with pytest.raises(HopechoError, match=r"labels\.espresso\.pseudopotentials is missing"):
        make_backend("espresso", command=command, settings={"input_data": SETTINGS["input_data"]})


def test_a_stand_in_does_not_complete_a_real_code(script, tmp_path):
    with pytest.raises(HopechoError, match="stand-in"):
        make_backend(
            "espresso",
            command=script(real=True),
            efg_command="hopecho-gipaw",
            settings=SETTINGS,
        )


def test_gradients_need_gipaw(planted, tmp_path):
    with pytest.raises(HopechoError, match=r"labels\.espresso\.gipaw"):
        planted("").compute(structure(), tmp_path / "run")


BAD = {
    "cut_off": {"ecutwfc": 60},
    "ions": {"input_data": {"ions": {}, "system": {"ecutwfc": 60}}},
    "ecutwfc is missing": {"input_data": {"system": {}}},
    "outdir": {"input_data": {"control": {"outdir": "x"}, "system": {"ecutwfc": 60}}},
    "nspin": {"input_data": {"system": {"nspin": 2, "ecutwfc": 60}}},
    "kpts": {"input_data": {"system": {"ecutwfc": 60}}, "kpts": [2, 2, 0]},
    "koffset": {"input_data": {"system": {"ecutwfc": 60}}, "koffset": 1},
    "k-points": {"input_data": {"system": {"ecutwfc": 60}}, "kpts": [[0, 0, 0]]},
    "kspacing": {"input_data": {"system": {"ecutwfc": 60}}, "kpts": [2, 2, 2], "kspacing": 0.1},
}


@pytest.mark.parametrize("name", BAD)
def test_configuration_errors(name):
    word = "ecutwfc" if name == "cut_off" else name
    with pytest.raises(HopechoError, match=word):
        make_backend("espresso", command="hopecho-pw", settings=BAD[name])


def test_commands_that_are_no_pw(script):
    settings = {"input_data": SETTINGS["input_data"]}
    for command in ("/nowhere/pw.x", f"{sys.executable} -c pass", "   "):
        with pytest.raises(HopechoError, match=r"labels\.command"):
            make_backend("espresso", command=command, settings=settings)
    with pytest.raises(HopechoError, match=r"labels\.efg_command"):
        make_backend("espresso", command=script(), settings=settings, efg_command="/nowhere/gipaw")


def test_launcher_of_another_mpi(script, tmp_path):
    # Each rank believes to be alone: all would write to one folder.
    twice = tmp_path / "twice.py"
    twice.write_text("import subprocess, sys\nfor _ in '12':\n    subprocess.run(sys.argv[1:])\n")
    command = f"{sys.executable} {twice} {script()}"
    with pytest.raises(HopechoError, match="2 separate copies"):
        make_backend("espresso", command=command, settings={"input_data": SETTINGS["input_data"]})


def test_input_of_gipaw():
    text = gipaw_input(
        structure(), {"q_efg": {"S": 6.94, "Li": -4.01}, "verbosity": "high"}, scratch="out"
    )
    words = " ".join(text.split())
    assert words == (
        "&inputgipaw job = 'efg' prefix = 'label' tmp_dir = './out/' verbosity = 'high'"
        " q_efg(1) = 6.94 q_efg(2) = -4.01 /"
    )
    with pytest.raises(HopechoError, match="tmp_dir"):
        gipaw_input(structure(), {"tmp_dir": "x"}, scratch="out")


def test_text_of_real_runs():
    head = "     Program PWSCF v.6.7MaX starts on 20Nov2026\n"
    done = "=---=\n   JOB DONE.\n=---=\nSTOP 2\n"
    loop = "     iteration #  1     ecut=    30.00 Ry\n     End of self-consistent calculation\n\n"
    unconverged = "     convergence NOT achieved after   1 iterations: stopping\n"
    assert espresso_reasons(head + loop + unconverged + done) == ["scf_unconverged"]
    # Cut short by the queue: what the loop said so far proves nothing.
    assert espresso_reasons(head + loop + unconverged) == ["incomplete"]
    assert espresso_reasons(head + loop + done) == ["incomplete"]
    assert espresso_reasons("") == ["incomplete"]
    assert gipaw_reasons("") == ["incomplete"]
    assert espresso_version(head) == "6.7MaX"
    assert espresso_version("nothing") is None
    # As pw.x 6.7 prints it with scf_must_converge = .false. after one step.
    claims = (
        head + "     convergence threshold     =      1.0E-08\n" + loop
        + "     estimated scf accuracy    <      16.70000000 Ry\n"
        + "     convergence has been achieved in   1 iterations\n" + done
    )  # fmt: skip
    assert espresso_reasons(claims) == ["scf_unconverged"]
    assert espresso_reasons(claims.replace("16.70000000", "9.7E-09")) == []
    wrong_charge = (
        head + "     WARNING: integrated charge=     2.3, expected=     3.0\n\n"
        "     Error in routine electrons (1):\n     charge is wrong: smearing is needed\n"
    )
    assert espresso_reasons(wrong_charge) == ["code_error", "incomplete"]


def test_stand_in_needs_no_installation(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    settings = {"input_data": SETTINGS["input_data"]}
    backend = make_backend("espresso", command="hopecho-pw", settings=settings)
    assert backend.source == "model PES"
    assert not list(Path(tmp_path).iterdir())


def test_keywords_that_would_let_a_bad_label_pass_are_not_the_users():
    for section, name in (("electrons", "scf_must_converge"), ("control", "max_seconds")):
        data = {"system": {"ecutwfc": 60}, section: {name: 1}}
        with pytest.raises(HopechoError, match=name):
            make_backend("espresso", command="hopecho-pw", settings={"input_data": data})
