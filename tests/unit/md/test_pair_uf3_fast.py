"""The compiled pair style against LAMMPS's own, and when it may not be used."""

import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.io.uf3 import pair_keys, read_uf3, triplet_keys
from hopecho.labels.model_pes import ModelPes
from hopecho.md import fast_style as module
from hopecho.md.fast_style import SOURCES, FastStyle, fast_style
from hopecho.md.lammps_input import settings
from hopecho.md.potentials import Species, uf3_commands, write_data
from hopecho.md.run import child_environment, lammps_command, thermo_rows
from hopecho.ufp.evaluate import evaluate

TERNARY = ("Li", "P", "S")
QUATERNARY = ("Na", "Ge", "P", "S")
WORDS = "x y z fx fy fz c_energy"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    style = fast_style("", tmp_path_factory.mktemp("plugins"))
    assert style.available, style.reason
    assert style.plugin is not None
    return style.plugin


def clamped(inner: np.ndarray) -> np.ndarray:
    return np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])


def row(values) -> str:
    return " ".join(repr(float(v)) for v in values)


def write_random(path, elements, rng, *, first=0.0, kind="uk", differ=False) -> Path:
    """A random potential; with `differ` every interaction has its own grids and cutoffs."""

    def knots(first, last, n):
        inner = np.linspace(first, last, n + 1)
        if kind == "nk":
            inner[1:-1] += rng.uniform(-0.35, 0.35, n - 1) * (last - first) / n
        return clamped(inner)

    lines = []
    for i, key in enumerate(pair_keys(elements)):
        k = knots(first, 5.0 - 0.1 * i * differ, 12 + i * differ)
        c = rng.normal(scale=0.1, size=len(k) - 4)
        c[:6] += [40.0, 25.0, 12.0, 6.0, 2.0, 0.5]
        c[-3:] = 0.0
        lines += ["#UF3 POT UNITS: metal", f"2B {' '.join(key)} 0 3 {kind}"]
        lines += [f"{k[-1]!r} {len(k)}".replace("np.float64(", "").replace(")", ""), row(k)]
        lines += [str(len(c)), row(c), "#"]
    arm = base = None
    for i, (centre, a, b) in enumerate(triplet_keys(elements)):
        if differ or arm is None:
            cut = 4.0 - 0.05 * i * differ
            arm, base = knots(1.0, cut, 4 + i % 2), knots(1.0, 2 * cut, 6 + i % 3 * differ)
        c = rng.normal(scale=0.1, size=(len(arm) - 4, len(arm) - 4, len(base) - 4))
        c[-3:], c[:, -3:], c[:, :, -3:] = 0.0, 0.0, 0.0
        c[0], c[:, 0], c[:, :, 0] = 0.0, 0.0, 0.0
        if a == b:
            c = (c + c.transpose(1, 0, 2)) / 2
        # The neighbours may stand in either order; arms are equal, so the axes just swap.
        names, c = ((b, a), c.transpose(1, 0, 2)) if differ and i % 4 == 1 else ((a, b), c)
        lines += ["#UF3 POT UNITS: metal", f"3B {centre} {names[0]} {names[1]} 0 3 {kind}"]
        lines += [f"{row([base[-1], arm[-1], arm[-1]])} {len(base)} {len(arm)} {len(arm)}"]
        lines += [row(base), row(arm), row(arm), " ".join(str(n) for n in c.shape)]
        lines += [*(row(r) for r in c.reshape(-1, c.shape[2])), "#"]
    path.write_text("\n".join(lines) + "\n")
    return path


def structure(rng, elements, *, edge=9.0, skewed=True, closest=1.6, density=0.05) -> Atoms:
    cell = np.eye(3) * edge
    if skewed:
        cell[1, 0], cell[2, 0], cell[2, 1] = 0.25 * edge, -0.2 * edge, 0.3 * edge
    places: list[np.ndarray] = []
    while len(places) < density * edge**3:
        new = rng.uniform(size=3)
        away = [np.linalg.norm((d - np.round(d)) @ cell) for d in np.reshape(places, (-1, 3)) - new]
        if not places or min(away) > closest:
            places.append(new)
    symbols = rng.choice(elements, len(places))
    return Atoms(symbols, scaled_positions=np.array(places), cell=cell, pbc=True)


def results(atoms, elements, commands) -> np.ndarray:
    """Energy, forces and stress in one row."""
    with ModelPes(elements=elements, commands=["neighbor 1.0 bin", *commands]) as lammps:
        energy, forces, stress = lammps.evaluate(atoms)
    return np.concatenate([[energy], forces.ravel(), stress * atoms.get_volume()])


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert abs(ours[0] - theirs[0]) < 1e-9 * abs(theirs[0])
    for part in (slice(1, -6), slice(-6, None)):
        scale = np.abs(theirs[part]).max()
        assert scale > 1e-2
        np.testing.assert_allclose(ours[part], theirs[part], rtol=0, atol=1e-9 * scale)


def kernels() -> list[str]:
    flags = Path("/proc/cpuinfo").read_text()
    wanted = {"portable": "", "avx2": "avx2", "avx512": "avx512dq"}
    return [isa for isa, flag in wanted.items() if flag in flags]


CELLS = {
    "orthogonal": {"skewed": False},
    "triclinic": {"edge": 10.0},
    "core": {"closest": 0.6},
    "smaller than the cutoff": {"edge": 4.3, "density": 0.06},
    "small and orthogonal": {"edge": 4.6, "skewed": False},
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("elements", [TERNARY, QUATERNARY], ids="-".join)
def test_agrees_with_pair_style_uf3_and_with_python(tmp_path, plugin, elements, cell):
    rng = np.random.default_rng(len(cell))
    path = write_random(tmp_path / "p.uf3", elements, rng)
    atoms = structure(rng, elements, **CELLS[cell])
    stock = results(atoms, elements, uf3_commands(path, elements))
    load, style, coefficients = uf3_commands(path, elements, plugin=plugin)
    assert style == "pair_style uf3/fast 3"
    for isa in kernels():
        ours = results(atoms, elements, [load, f"{style} isa {isa}", coefficients])
        assert_same(ours, stock)
    python = evaluate(read_uf3(path), atoms)
    assert_same(ours, np.concatenate([[python.energy], python.forces.ravel(), ours[-6:]]))


@pytest.mark.parametrize("kind", ["uk", "nk"])
@pytest.mark.parametrize("differ", [False, True])
def test_agrees_for_other_grids(tmp_path, plugin, kind, differ):
    rng = np.random.default_rng(5)
    path = write_random(tmp_path / "p.uf3", TERNARY, rng, kind=kind, differ=differ)
    for closest in (1.6, 0.7):
        atoms = structure(rng, TERNARY, closest=closest)
        stock = results(atoms, TERNARY, uf3_commands(path, TERNARY))
        load, style, coefficients = uf3_commands(path, TERNARY, plugin=plugin)
        for isa in kernels():
            lines = [load, f"{style} isa {isa}", coefficients]
            assert_same(results(atoms, TERNARY, lines), stock)


def test_agrees_for_two_bodies_and_for_types_of_one_element(tmp_path, plugin):
    rng = np.random.default_rng(6)
    path = write_random(tmp_path / "p.uf3", TERNARY, rng)
    atoms = structure(rng, TERNARY)
    stock, ours = (
        [line.replace("uf3 3", "uf3 2").replace("fast 3", "fast 2") for line in lines]
        for lines in (uf3_commands(path, TERNARY), uf3_commands(path, TERNARY, plugin=plugin))
    )
    assert_same(results(atoms, TERNARY, ours), results(atoms, TERNARY, stock))
    # The third type is sulphur too: as if every P were S.
    twice = [*uf3_commands(path, TERNARY, plugin=plugin)[:2], f"pair_coeff * * {path} Li S S"]
    replaced = atoms.copy()
    replaced.symbols[replaced.symbols == "P"] = "S"
    expected = results(replaced, TERNARY, uf3_commands(path, TERNARY))
    assert_same(results(atoms, TERNARY, twice), expected)


def lammps(folder, name, lines, *, ranks=1) -> subprocess.CompletedProcess:
    script = folder / f"{name}.lmp"
    script.write_text("\n".join(lines) + "\n")
    launcher = [shutil.which("mpiexec", path=child_environment()["PATH"]), "-n", str(ranks)]
    words = [*(launcher if ranks > 1 else []), *lammps_command(), "-in", script.name]
    words += ["-log", "none", "-nocite"]
    return subprocess.run(
        words, cwd=folder, env=child_environment(), capture_output=True, text=True, timeout=120
    )


def moving(folder, pair_lines, name, *, steps, extra=()) -> list[str]:
    return [
        *settings(),
        "read_data start.data",
        *pair_lines,
        "neighbor 1.0 bin",
        "timestep 0.001",
        "velocity all create 300 11 mom yes",
        "fix move all nve",
        *extra,
        f"run {steps}",
        "compute energy all pe/atom",
        f"dump last all custom 1 {name}.txt {WORDS}",
        "dump_modify last sort id format float %.16g",
        "thermo_style custom step pe press",
        "run 0",
    ]


def final(folder, name) -> np.ndarray:
    return np.loadtxt(folder / f"{name}.txt", skiprows=9)


@pytest.fixture
def cold(tmp_path):
    """A disordered structure without close contacts."""
    rng = np.random.default_rng(8)
    path = write_random(tmp_path / "p.uf3", TERNARY, rng)
    atoms = structure(rng, TERNARY, edge=9.5, closest=2.0, density=0.045)
    write_data(tmp_path / "start.data", atoms, Species.of(TERNARY))
    return path


def from_restart(restart, pair_lines) -> list[str]:
    return [
        "atom_modify map array",
        f"read_restart {restart}",
        *pair_lines,
        "neighbor 1.0 bin",
        "timestep 0.001",
        "fix move all nve",
    ]


@pytest.mark.parametrize("ranks", [1, 2])
def test_agrees_after_a_thousand_steps(tmp_path, plugin, cold, ranks):
    """With lists rebuilt many times, atoms migrated between ranks, and energy conserved."""
    if ranks > 1 and not shutil.which("mpiexec", path=child_environment()["PATH"]):
        pytest.skip("no mpiexec")
    stock, ours = uf3_commands(cold, TERNARY), uf3_commands(cold, TERNARY, plugin=plugin)
    extra = ["thermo_style custom step etotal ke", "thermo 200", "thermo_modify format float %.12g"]
    lines = moving(tmp_path, ours, "fast", steps=1000, extra=extra)
    lines = [x.replace("custom step pe press", "custom step etotal") for x in lines]
    done = lammps(tmp_path, "fast", [*lines, "write_restart end.restart"], ranks=ranks)
    assert done.returncode == 0, done.stdout
    rows = [row for row in thermo_rows(done.stdout.splitlines()) if "KinEng" in row]
    total = np.array([row["TotEng"] for row in rows])
    assert np.ptp(total) < 0.02 * np.mean([row["KinEng"] for row in rows])
    tail = lines[lines.index("run 1000") + 1 :]
    tail = [x.replace("fast.txt", "stock.txt") for x in tail]
    done = lammps(tmp_path, "stock", [*from_restart("end.restart", stock), *tail])
    assert done.returncode == 0, done.stdout
    expected, found = final(tmp_path, "stock"), final(tmp_path, "fast")
    np.testing.assert_allclose(found[:, :3], expected[:, :3], rtol=0, atol=1e-9)
    for columns in (slice(3, 6), slice(6, 7)):
        scale = np.abs(expected[:, columns]).max()
        np.testing.assert_allclose(found[:, columns], expected[:, columns], atol=1e-9 * scale)


def test_per_atom_energy_and_stresses_agree(tmp_path, plugin, cold):
    values = {}
    for name, lines in (
        ("stock", uf3_commands(cold, TERNARY)),
        ("fast", uf3_commands(cold, TERNARY, plugin=plugin)),
    ):
        script = moving(tmp_path, lines, name, steps=0)
        at = script.index("compute energy all pe/atom")
        script[at:at] = ["compute s all stress/atom NULL virial"]
        script[at:at] = ["compute c all centroid/stress/atom NULL virial"]
        script = [x.replace(WORDS, "c_energy c_s[*] c_c[*] fx fy fz") for x in script]
        done = lammps(tmp_path, name, script)
        assert done.returncode == 0, done.stdout
        values[name] = final(tmp_path, name)
    scale = np.abs(values["stock"]).max(axis=0)
    assert (scale > 0).all()
    difference = np.abs(values["fast"] - values["stock"]).max(axis=0)
    assert (difference < 1e-9 * scale).all(), difference / scale


def test_restart_repeats_every_digit(tmp_path, plugin, cold):
    """`clear` and `read_restart` in one process, or a new process: the same bytes."""
    ours = uf3_commands(cold, TERNARY, plugin=plugin)
    again = from_restart("half.restart", ours)
    tail = moving(tmp_path, ours, "one", steps=30)
    tail = tail[tail.index("run 30") :]
    start = moving(tmp_path, ours, "one", steps=40)
    start = start[: start.index("run 40") + 1]
    done = lammps(tmp_path, "one", [*start, "write_restart half.restart", "clear", *again, *tail])
    assert done.returncode == 0, done.stdout
    second = [x.replace("one.txt", "two.txt") for x in tail]
    done = lammps(tmp_path, "two", [*again, *second])
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_a_distance_without_a_value_is_an_error(tmp_path, plugin):
    path = write_random(tmp_path / "p.uf3", TERNARY, np.random.default_rng(1), first=0.8)
    ours = uf3_commands(path, TERNARY, plugin=plugin)
    for distance, message in ((0.7, "0.7 apart"), (0.0, "0 apart"), (0.9, "")):
        atoms = Atoms("LiS", positions=[[1, 1, 1], [1, 1, 1 + distance]], cell=[9] * 3, pbc=True)
        write_data(tmp_path / "start.data", atoms, Species.of(TERNARY))
        done = lammps(tmp_path, "near", moving(tmp_path, ours, "near", steps=0))
        said = done.stdout + done.stderr
        if message:
            assert done.returncode != 0
            assert message in said
            assert "first knot 0.8" in said
        else:
            assert done.returncode == 0, said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2B Li P", "2B Li Li", "no 2B block of Li P"),
        ("3B S Li P", "3B S Li Li", "no 3B block of S Li P"),
        (" uk", " xk", "'uk' or 'nk'"),
        ("2B Li Li 0 3 uk\n5.0", "2B Li Li 0 3 uk\n6.0", "beyond the last knot"),
        ("0 3 uk", "1 3 uk", "leading trim 0"),
        ("UNITS:", "", "UNITS:"),
        ("2B Li Li 0 3 uk\n5.0 19\n0.0", "2B Li Li 0 3 uk\n5.0 19\nnan", "not finite"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, plugin, old, new, message):
    path = write_random(tmp_path / "p.uf3", TERNARY, np.random.default_rng(1))
    ours = uf3_commands(path, TERNARY, plugin=plugin)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    atoms = Atoms("LiS", positions=[[1, 1, 1], [1, 1, 4]], cell=[9] * 3, pbc=True)
    write_data(tmp_path / "start.data", atoms, Species.of(TERNARY))
    done = lammps(tmp_path, "bad", moving(tmp_path, ours, "bad", steps=0))
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_excluded_pairs_and_hybrid_styles_are_respected(tmp_path, plugin):
    rng = np.random.default_rng(9)
    path = write_random(tmp_path / "p.uf3", TERNARY, rng)
    atoms = structure(rng, TERNARY)
    stock, ours = uf3_commands(path, TERNARY), uf3_commands(path, TERNARY, plugin=plugin)
    excluded = "neigh_modify exclude type 1 3"
    assert_same(
        results(atoms, TERNARY, [*ours, excluded]), results(atoms, TERNARY, [*stock, excluded])
    )
    names = " ".join(TERNARY)
    both = ["pair_style hybrid/overlay lj/cut 4.0 {s} 3", "pair_coeff * * lj/cut 0.01 2.0"]
    both.append(f"pair_coeff * * {{s}} {path} {names}")
    theirs = results(atoms, TERNARY, [line.format(s="uf3") for line in both])
    mine = [ours[0], *(line.format(s="uf3/fast") for line in both)]
    assert_same(results(atoms, TERNARY, mine), theirs)


def refused(style: FastStyle) -> str:
    assert not style.available
    assert style.plugin is None
    return style.reason


def test_reasons_for_falling_back(tmp_path, monkeypatch):
    assert "not the LAMMPS of this Python" in refused(fast_style("/bin/true", tmp_path))
    assert "not found" in refused(fast_style("no-such-lammps", tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in refused(fast_style("", tmp_path))
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(module, "LAMMPS_VERSIONS", ("1 Jan 2001",))
    assert "written for 1 Jan 2001" in refused(fast_style("", tmp_path))
    assert not list(tmp_path.glob("uf3-fast-*"))


def test_a_compiler_that_fails_and_a_plugin_that_disagrees(tmp_path, monkeypatch):
    broken = tmp_path / "c++"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo c 1 && exit 0\necho error: no >&2; exit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert "error: no" in refused(fast_style("", tmp_path / "cache"))
    broken.write_text("#!/bin/sh\necho c 1\n")
    monkeypatch.setattr(module, "disagreement", lambda *_: "energies and forces differ")
    assert "energies and forces differ" in refused(fast_style("", tmp_path / "cache"))
    assert not list((tmp_path / "cache").glob("uf3-fast-*/*"))
    assert not list((tmp_path / "cache").glob("build-*"))


def test_one_of_several_jobs_compiles(tmp_path, monkeypatch):
    compiled = []

    def slow(target, plugin):
        compiled.append(plugin)
        time.sleep(0.3)
        plugin.parent.mkdir()
        plugin.write_bytes(b"")

    monkeypatch.setattr(module, "_compile", slow)
    found: list[FastStyle] = []
    jobs = [threading.Thread(target=lambda: found.append(fast_style("", tmp_path))) for _ in "123"]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if not found[0].available:
        pytest.skip(found[0].reason)
    assert len(compiled) == 1
    assert {style.plugin for style in found} == {compiled[0]}


def test_every_source_names_its_licence():
    sources = [p for p in SOURCES.iterdir() if p.suffix in (".h", ".cpp")]
    assert len(sources) > 5
    for source in sources:
        assert source.read_text().startswith("// SPDX-License-Identifier: GPL-2.0-only\n"), source
    assert "GNU GENERAL PUBLIC LICENSE" in (SOURCES / "LICENSE").read_text()
