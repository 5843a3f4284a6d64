"""`.uf3` files of other tools: LAMMPS reads the same file, and must give the same numbers."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.uf3 import (
    PairSpline,
    TripletSpline,
    Uf3Potential,
    pair_keys,
    read_uf3,
    triplet_keys,
    write_uf3,
)
from hopecho.labels.model_pes import ModelPes
from hopecho.ufp.evaluate import evaluate

ELEMENTS = ("Li", "P", "S")
PAIR, ARM, BASE = (0.001, 5.0, 15), (1.0, 3.5, 4), (1.0, 7.0, 7)


def knots(first: float, last: float, intervals: int, digits: int = 4) -> np.ndarray:
    """Clamped knots rounded to a few digits, as other tools print them."""
    inner = np.linspace(first, last, intervals + 1).round(digits)
    return np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])


@pytest.fixture(scope="module")
def potential() -> Uf3Potential:
    """Random smooth terms; each triplet has knots of its own for ij and ik."""
    rng = np.random.default_rng(5)
    two, three = {}, {}
    for key in pair_keys(ELEMENTS):
        c = rng.normal(scale=0.1, size=PAIR[2] + 3)
        c[-3:] = 0
        two[key] = PairSpline(knots(*PAIR), c)
    for key in triplet_keys(ELEMENTS):
        other = ARM if key[1] == key[2] else (1.2, 3.5, 5)
        grid = rng.normal(scale=0.05, size=(ARM[2] + 3, other[2] + 3, BASE[2] + 3))
        grid[-3:], grid[:, -3:], grid[..., -3:] = 0, 0, 0
        grid[0], grid[:, 0], grid[..., 0] = 0, 0, 0
        if key[1] == key[2]:
            grid = grid + grid.transpose(1, 0, 2)
        three[key] = TripletSpline(knots(*ARM), knots(*other), knots(*BASE), grid)
    return Uf3Potential(ELEMENTS, two, three, dict.fromkeys(ELEMENTS, 0.0))


def foreign(potential: Uf3Potential, kind: str) -> list[str]:
    """Write blocks in another order, neighbours and pairs turned round, comments between."""
    header = "#UF3 POT UNITS: metal DATE: 2024-09-12 17:12:36.5 AUTHOR: Zoë CITATION:"
    blocks = []
    for (centre, a, b), t in potential.three_body.items():
        grid = t.coefficients.transpose(1, 0, 2)
        ends = [float(t.knots_jk[-1]), float(t.knots_ij[-1]), float(t.knots_ik[-1])]
        sizes = [len(t.knots_jk), len(t.knots_ij), len(t.knots_ik)]
        rows = [" ".join(f"{x:.17g}" for x in row) for row in grid.reshape(-1, grid.shape[2])]
        vectors = [t.knots_jk, t.knots_ij, t.knots_ik]
        blocks.append(
            "\n".join(
                [
                    header,
                    f"3B {centre} {b} {a} 0 3 {kind}",
                    " ".join(map(str, ends + sizes)),
                    *(" ".join(f"{x:g}" for x in vector) for vector in vectors),
                    " ".join(map(str, grid.shape)),
                    *rows,
                    "#",
                ]
            )
        )
    for (a, b), two in potential.two_body.items():
        lines = [header, f"2B {b} {a} 0 3 {kind}", f"{two.knots[-1]:g} {len(two.knots)}"]
        lines += [" ".join(f"{x:g}" for x in two.knots), str(len(two.coefficients))]
        lines += [" ".join(f"{x:.17g}" for x in two.coefficients), "#"]
        blocks.append("\n".join(lines))
    order = np.random.default_rng(1).permutation(len(blocks))
    return [blocks[number] for number in order]


def crystal() -> Atoms:
    corners = np.array(list(product((0.0, 0.5), repeat=3)))
    cell = np.array([[4.9, 0, 0], [0.7, 4.6, 0], [-0.5, 0.9, 4.8]]) * 1.05
    atoms = Atoms("LiSLiSPSLiS", scaled_positions=corners, cell=cell, pbc=True)
    atoms.rattle(0.1, seed=2)
    return atoms


def write(path: Path, blocks: list[str]) -> Path:
    path.write_text("# a comment at the top\n\n# another\n" + "\n".join(blocks) + "\n")
    return path


def test_a_foreign_file_gives_the_numbers_that_lammps_gets_from_it(potential, tmp_path):
    path = write(tmp_path / "foreign.uf3", foreign(potential, "nk"))
    back, atoms = read_uf3(path), crystal()
    assert set(back.elements) == set(ELEMENTS)
    assert back.one_body == dict.fromkeys(back.elements, 0.0)
    ours = evaluate(back, atoms)
    assert ours.energy == pytest.approx(evaluate(potential, atoms).energy, abs=1e-10)
    commands = ["pair_style uf3 3", f"pair_coeff * * {path} {' '.join(ELEMENTS)}"]
    with ModelPes(elements=ELEMENTS, commands=commands) as lammps:
        energy, forces, stress = lammps.evaluate(atoms)
    assert ours.energy == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(ours.forces, forces, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.stress, stress, rtol=0, atol=1e-9)


def test_it_is_written_again_with_every_term_and_its_kind_of_knots(potential, tmp_path):
    back = read_uf3(write(tmp_path / "foreign.uf3", foreign(potential, "uk")))
    write_uf3(tmp_path / "again.uf3", back)
    text = (tmp_path / "again.uf3").read_text()
    assert text.count("\n2B ") == 6
    assert text.count("\n3B ") == 18
    assert text.count(" 0 3 nk\n") == 24
    again, atoms = read_uf3(tmp_path / "again.uf3"), crystal()
    assert evaluate(again, atoms).energy == evaluate(back, atoms).energy


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ("UNITS: metal", "UNITS: real", "not in metal units"),
        ("2B S S 0 3 nk", "2B S Li 0 3 nk", "stands in the file twice"),
        ("3B P S S 0 3 nk", "3B P S P 0 3 nk", "stands in the file twice"),
        ("\n5 22\n", "\n5.2 22\n", "not the last knots"),
        (" 0.3343 ", " 0.3443 ", "not uniform"),
        ("2B S S 0 3 nk", "1B S -300.0", "not of the supported kind"),
    ],
)
def test_what_cannot_be_used_is_named(potential, tmp_path, find, put, message):
    path = write(tmp_path / "foreign.uf3", foreign(potential, "nk"))
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put, 1))
    with pytest.raises(HopechoError, match=message):
        read_uf3(path)
