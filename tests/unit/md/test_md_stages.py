"""Starting structures and what is measured of them, without MD."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.md import pair_style
from hopecho.md.fast_style import FastStyle
from hopecho.md.stages import make_start, structure_report
from hopecho.structures.crystals import load_crystal

SETTINGS = {
    "kind": "crystal", "structure": "beta-Li3PS4", "supercell": [1, 2, 2], "seed": 1,
    "elements": ["Li", "P", "S"], "masses_u": {"Li": 7.016, "P": 30.974, "S": 32.06},
    "polyanion": {"centre": "P", "ligand": "S", "cutoff_angstrom": 2.9, "coordination": 4},
    "command": "lmp",
    "pair_style": "uf3",
}  # fmt: skip


def start(tmp_path, **changes):
    return make_start(SETTINGS | changes, scratch=tmp_path / "scratch")


def test_a_crystal_is_its_supercell(tmp_path):
    cell = load_crystal("beta-Li3PS4")
    atoms = start(tmp_path)
    assert len(atoms) == 4 * len(cell)
    np.testing.assert_allclose(atoms.cell.lengths(), cell.cell.lengths() * [1, 2, 2])
    assert not (tmp_path / "scratch").exists()


def test_a_file_is_its_supercell_without_the_labels_that_it_carries(tmp_path):
    given = load_crystal("gamma-Li3PS4")
    given.info = {"REF_energy": -3.0}
    given.arrays["REF_forces"] = np.ones((len(given), 3))
    path = tmp_path / "own.extxyz"
    write_frames(path, [load_crystal("beta-Li3PS4"), given])
    atoms = start(tmp_path, kind="file", structure=str(path), supercell=[2, 1, 1])
    assert len(atoms) == 2 * len(given)
    assert atoms.pbc.all()
    assert "REF_energy" not in atoms.info
    assert set(atoms.arrays) == {"numbers", "positions"}
    report = structure_report(atoms, SETTINGS)
    assert (report["source"], report["provenance_flag"]) == (str(path), "file")


def test_an_element_that_the_material_lacks_is_named(tmp_path):
    with pytest.raises(HopechoError) as caught:
        start(tmp_path, elements=["Li", "S"])
    for part in ("beta-Li3PS4", "got: P", "materials.<m>.elements"):
        assert part in str(caught.value)


def test_unreadable_structures(tmp_path):
    with pytest.raises(HopechoError, match=r"did you mean 'beta-Li3PS4'"):
        start(tmp_path, structure="beta-Li3PS5")
    with pytest.raises(HopechoError, match="cannot read a structure"):
        start(tmp_path, kind="file", structure=str(tmp_path / "none.extxyz"))


def test_the_report_by_hand(tmp_path):
    atoms = start(tmp_path)
    report = structure_report(atoms, SETTINGS)
    grams = 16 * (3 * 6.94 + 30.973761998 + 4 * 32.06) * 1.66053907e-24
    assert report["n_atoms"] == 128
    assert report["formula"] == "Li48P16S64"
    volume_cm3 = atoms.get_volume() * 1e-24
    assert report["density_g_cm3"] == pytest.approx(grams / volume_cm3, rel=1e-6)
    assert report["bonds"]["n_centres"] == report["bonds"]["isolated"] == 16
    assert report["bonds"]["whole"] is True
    assert report["shortest_width_angstrom"] == pytest.approx(min(atoms.cell.lengths()))
    assert report["cell_angstrom"][3:] == pytest.approx([90, 90, 90])


def test_the_width_of_a_skewed_cell_is_between_its_faces():
    cell = [[10.0, 0, 0], [10.0, 10.0, 0], [0, 0, 30.0]]
    rng = np.random.default_rng(0)
    atoms = Atoms("P2S8", positions=rng.uniform(0, 9, (10, 3)), cell=cell, pbc=True)
    report = structure_report(atoms, SETTINGS)
    # faces spanned by (a, c) are 10 A apart, those by (b, c) only 10/sqrt(2)
    assert report["shortest_width_angstrom"] == pytest.approx(10 / np.sqrt(2))


def test_a_broken_unit_is_seen(tmp_path):
    atoms = start(tmp_path)
    sulfur = next(i for i, s in enumerate(atoms.symbols) if s == "S")
    del atoms[sulfur]
    report = structure_report(atoms, SETTINGS)
    assert report["bonds"]["whole"] is False
    assert report["bonds"]["isolated"] == 15


@pytest.mark.parametrize("available", [True, False])
def test_the_fast_pair_style_is_taken_where_it_can_be(tmp_path, monkeypatch, available):
    potential = tmp_path / "potential.uf3"
    potential.write_text("#UF3 POT UNITS: metal\n2B Li Li 0 3 uk\n")
    plugin = tmp_path / "plugin.so" if available else None
    asked = []

    def style(command, cache):
        asked.append(command)
        return FastStyle(available, plugin, "as the test says")

    monkeypatch.setattr(pair_style, "fast_style", style)
    settings = {"elements": ["Li"], "command": "lmp", "pair_style": "uf3"}
    stock = pair_style.pair_commands(potential, settings)
    assert stock[0] == "pair_style uf3 2"
    assert asked == []
    fast = pair_style.pair_commands(potential, settings | {"pair_style": "uf3/fast"})
    if available:
        assert fast[:2] == [f"plugin load {plugin}", "pair_style uf3/fast 2"]
    else:
        assert fast == stock
    chosen = pair_style.pair_style(potential, settings | {"pair_style": "uf3/fast"})
    name = "uf3/fast" if available else "uf3"
    assert (chosen.name, chosen.reason, chosen.commands) == (name, "as the test says", fast)
