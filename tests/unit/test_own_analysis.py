"""Transport and the echo of somebody else's runs, as commands."""

from pathlib import Path

import numpy as np
import pytest

from hopecho.__main__ import main
from hopecho.efg.model import EfgSettings, fit_efg_model, save_model
from hopecho.io.efg_table import EfgTrajectory, read_efg, write_efg
from hopecho.io.h5md import Segment, write_segment
from hopecho.io.results import read_csv, read_json
from hopecho.structures.build import rattle
from hopecho.structures.crystals import load_crystal

STRIDE, STEP, EDGE = 0.5, 0.25, 18.0
NUMBERS = np.array([3] * 24 + [15] * 8 + [16] * 32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def walkers(seed, n_frames=600):
    """Li walk freely, the framework rattles."""
    rng = np.random.default_rng(seed)
    x = np.broadcast_to(rng.uniform(0, EDGE, (64, 3)), (n_frames, 64, 3)).copy()
    x[:, :24] += np.cumsum(rng.normal(scale=STEP, size=(n_frames, 24, 3)), axis=0)
    return x + rng.normal(scale=0.05, size=x.shape)


def write_runs(n=3):
    for k in range(n):
        x, time = walkers(k), np.arange(600) * STRIDE
        for part, s in (("a", slice(300)), ("b", slice(300, 600))):
            segment = Segment(time[s], x[s], np.eye(3) * EDGE, NUMBERS)
            write_segment(f"{k}{part}.h5md", segment)
    return [f"{k}a.h5md,{k}b.h5md" for k in range(n)]


def test_transport_of_ones_own_runs(capsys):
    argv = ["transport", *write_runs(), "--output", "out", "--temperature-k", "400"]
    assert main([*argv, "--source", "a friend's MD"]) == 0
    assert "out/conductivity.json" in capsys.readouterr().out
    record = read_json("out/conductivity.json")
    d = record["d_tracer"]
    assert d["verdict"] == "resolved"
    assert abs(d["value"] - STEP**2 / (2 * STRIDE) * 1e-8) < 4 * d["stderr"]
    assert record["provenance"]["labels"] == "a friend's MD"
    assert "1b.h5md" in str(record["provenance"])
    assert {"Li", "P", "S"} == set(read_csv("out/msd.csv")["element"])
    assert read_json("out/hops.json")["n_hops"]


CONDUCTORS = """
materials:
  na3sbs4:
    elements: [Na, Sb, S]
    mobile: Na
    isotope: 23Na
    oxidation: {Na: 1, Sb: 5, S: -2}
    masses_u: {Na: 22.990, Sb: 121.76, S: 32.06}
    polyanion: {centre: Sb, ligand: S, cutoff_angstrom: 3.0}
  agi:
    elements: [Ag, I]
    mobile: Ag
    isotope: ""
    oxidation: {Ag: 1, I: -1}
    masses_u: {Ag: 107.87, I: 126.90}
    polyanion: {centre: Ag, ligand: I, cutoff_angstrom: 3.2}
"""
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.36 / np.sqrt(3)


def framework(material):
    """Atomic numbers and places: SbS4 on a cubic lattice, or I on one."""
    grid = np.array(list(np.ndindex(2, 2, 2))) * 9.0
    if material == "agi":
        return np.full(8, 53), grid
    units = np.concatenate([grid[:, None], grid[:, None] + CORNERS], axis=1)
    return np.tile([51, 16, 16, 16, 16], 8), units.reshape(-1, 3)


@pytest.mark.parametrize(("material", "mobile", "n_mobile"), [("na3sbs4", 11, 24), ("agi", 47, 8)])
def test_other_conductors_need_their_entry_in_the_configuration_only(material, mobile, n_mobile):
    Path("more.yaml").write_text(CONDUCTORS)
    numbers, places = framework(material)
    paths = []
    for k in range(3):
        rng = np.random.default_rng(k)
        ions = rng.uniform(0, EDGE, (n_mobile, 3))
        ions = ions + np.cumsum(rng.normal(scale=STEP, size=(600, n_mobile, 3)), axis=0)
        still = places + rng.normal(scale=0.02, size=(600, len(places), 3))
        x, z = np.concatenate([ions, still], axis=1), np.append(np.full(n_mobile, mobile), numbers)
        paths.append(f"{material}{k}.h5md")
        write_segment(paths[-1], Segment(np.arange(600) * STRIDE, x, np.eye(3) * EDGE, z))
    argv = ["transport", *paths, "--output", "out", "--temperature-k", "400"]
    assert main([*argv, "--configfile", "more.yaml", "--material", material]) == 0
    record = read_json("out/conductivity.json")
    d, h = record["d_tracer"], record["haven_ratio"]
    assert abs(d["value"] - STEP**2 / (2 * STRIDE) * 1e-8) < 4 * d["stderr"]
    assert abs(h["value"] - 1.0) < 4 * h["stderr"]
    assert set(read_csv("out/msd_ions.csv")["ion"]) == set(range(n_mobile))
    around, angles = read_csv("out/r_phi.csv"), read_json("out/rotation.json")
    if material == "agi":  # no nucleus for an echo, and no polyanions
        assert len(around) == 0
        return
    assert angles["n_units"] == 3 * 8
    # The Na are anywhere, also near the ligands.
    area = 0.1 * 3.0
    assert around["density_per_a_degree"].sum() * area == pytest.approx(1.0)
    assert around["relative_to_even"].mean() == pytest.approx(1.0, abs=0.3)


def test_an_echo_without_a_nucleus_is_refused(capsys):
    Path("run.yaml").write_text(CONDUCTORS + "run: {agi: [beta]}\n")
    assert main(["check", "--configfile", "run.yaml"]) == 1
    said = capsys.readouterr().err
    assert "materials.agi.isotope' is needed for an echo" in said
    assert "labels.efg: false" in said


def test_mistakes_of_runs_are_named(capsys):
    runs = write_runs(2)
    argv = ["--output", "out", "--temperature-k", "400"]
    for words, said in (
        ([runs[0], "nothing.dump"], "no trajectory nothing.dump"),
        ([*runs, "--quench", "0"], "one quench"),
        ([runs[0], "--material", "nacl"], "no material nacl"),
        (["0b.h5md,0a.h5md"], "0a.h5md"),
        ([runs[0], "--stride-ps", "0.1"], "another stride"),
    ):
        assert main(["transport", *words, *argv]) == 1
        assert said in capsys.readouterr().err
    other = Segment(np.arange(9.0), np.zeros((9, 2, 3)), np.eye(3) * 9, np.array([3, 16]))
    write_segment("other.h5md", other)
    assert main(["transport", runs[0], "other.h5md", *argv]) == 1
    assert "other.h5md has other atoms than 0a.h5md" in capsys.readouterr().err


def test_the_echo_of_a_trajectory_is_that_of_the_tensors_that_the_model_predicts():
    rng = np.random.default_rng(0)
    cell = load_crystal("beta-Li3PS4")
    frames = [rattle(cell, stdev_angstrom=0.1, rng=rng) for _ in range(4)]
    for frame in frames:
        half = rng.normal(scale=0.01, size=(len(frame), 3, 3))
        efg = half + np.swapaxes(half, 1, 2)
        frame.arrays["efg"] = efg - np.trace(efg, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    settings = EfgSettings(n_folds=2)
    save_model("model.npz", fit_efg_model(frames, settings=settings))
    x = cell.positions + rng.normal(scale=0.1, size=(80, len(cell), 3))
    write_segment("run.h5md", Segment(np.arange(80.0), x, cell.cell.array, cell.numbers))
    assert main(["echo", "run.h5md", "--model", "model.npz", "--output", "out"]) == 0
    table = read_efg("out/efg0.h5")
    assert table.efg.shape == (80, int(np.sum(cell.numbers == 3)), 5)
    assert read_json("out/efg0.json")["n_frames"] == 80
    assert not list(Path("out").glob("*.part*"))
    # The table alone gives the same curve.
    assert main(["echo", "out/efg0.h5", "--output", "again"]) == 0
    curves = [read_csv(f"{name}/acf_powder.csv")["acf_powder"] for name in ("out", "again")]
    np.testing.assert_array_equal(*curves)


def test_consecutive_tables_of_a_run_are_joined():
    rng = np.random.default_rng(1)
    efg = (0.01 * rng.normal(size=(400, 6, 5))).astype(np.float32)
    for name, s in (("whole", slice(400)), ("a", slice(150)), ("b", slice(150, 400))):
        write_efg(f"{name}.h5", EfgTrajectory(np.arange(400.0)[s], np.arange(6), efg[s]))
    assert main(["echo", "whole.h5", "--output", "one"]) == 0
    assert main(["echo", "a.h5,b.h5", "--output", "two"]) == 0
    curves = [read_csv(f"{name}/acf_powder.csv")["acf_powder"] for name in ("one", "two")]
    np.testing.assert_array_equal(*curves)


def write_walks(name, seeds, *, step, edge, n_frames=400):
    """PS4 at rest on a cubic lattice, and eight Li that walk."""
    grid = np.array(list(np.ndindex(2, 2, 2))) * edge / 2
    units = np.concatenate([grid[:, None], grid[:, None] + CORNERS * 2.05 / 2.36], axis=1)
    numbers = np.append(np.full(8, 3), np.tile([15, 16, 16, 16, 16], 8))
    paths = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ions = rng.uniform(0, edge, (8, 3))
        ions = ions + np.cumsum(rng.normal(scale=step, size=(n_frames, 8, 3)), axis=0)
        still = units.reshape(-1, 3) + rng.normal(scale=0.02, size=(n_frames, 40, 3))
        x = np.concatenate([ions, still], axis=1)
        paths.append(f"{name}{seed}.h5md")
        segment = Segment(np.arange(n_frames) * STRIDE, x, np.eye(3) * edge, numbers)
        write_segment(paths[-1], segment)
    return paths


def test_two_sets_of_runs_are_compared_also_in_cells_of_other_sizes(capsys):
    slow = write_walks("slow", range(5), step=0.2, edge=EDGE)
    fast = write_walks("fast", range(5, 10), step=0.3, edge=EDGE + 1.0)
    assert main(["compare", *slow, "--reference", *fast, "--output", "out"]) == 0
    assert "out/comparison.json" in capsys.readouterr().out
    record = read_json("out/comparison.json")
    assert record["n_runs"] == {"ours": 5, "reference": 5}
    ratio = record["battery"]["d_tracer"]["distance"]
    assert abs(ratio["value"] - 2 * np.log(1.5)) < 3 * ratio["stderr"]
    assert {"d_tracer", "van_hove_self"} <= set(record["different"])
    assert {"tetrahedral_angle", "r_phi", "rdf Li-S"} <= set(record["battery"])
    assert record["battery"]["tetrahedral_angle"]["distance"]["value"] is None
    curves = read_csv("out/comparison.csv")
    assert set(curves["side"]) == {"ours", "reference"}
    assert curves[curves["observable"] == "rdf Li-S"]["x"].max() < EDGE / 2


def test_one_run_a_side_is_no_comparison(capsys):
    (one,) = write_walks("one", [0], step=0.2, edge=EDGE)
    assert main(["compare", one, "--reference", one, "--output", "out"]) == 1
    assert "at least two replicas of each side" in capsys.readouterr().err
