"""Reader of Abinit's field gradients; the text is of a real run, trimmed to two atoms."""

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.abinit_efg import read_abinit_efg

BLOCK = """
 Electric Field Gradient Calculation

 Atom   1, typat   1: Cq =    -19.770461 MHz     eta =      0.214669

      efg eigval :     -0.084142
-         eigvec :     -0.361489     0.932321    -0.010185
      efg eigval :      0.033040
-         eigvec :     -0.122286    -0.036579     0.991821
      efg eigval :      0.051102
-         eigvec :      0.924322     0.359778     0.127232

      total efg :      0.033159     0.045500     0.001693
      total efg :      0.045500    -0.066479     0.001940
      total efg :      0.001693     0.001940     0.033320

      efg_el :     -0.010705     0.073766     0.000302
      efg_el :      0.073766    -0.288191     0.003608
      efg_el :      0.000302     0.003608     0.298897

 Atom   2, typat   2: Cq =     27.404280 MHz     eta =      0.074314

      efg eigval :     -0.062649
-         eigvec :      0.473937    -0.512519     0.716036

      total efg :      0.044296     0.085854    -0.009334
      total efg :      0.085854     0.013722    -0.002161
      total efg :     -0.009334    -0.002161    -0.058018

================================================================================
"""
TENSORS = [
    [[0.033159, 0.0455, 0.001693], [0.0455, -0.066479, 0.00194], [0.001693, 0.00194, 0.03332]],
    [
        [0.044296, 0.085854, -0.009334],
        [0.085854, 0.013722, -0.002161],
        [-0.009334, -0.002161, -0.058018],
    ],
]
ROW = "      total efg :      0.045500    -0.066479     0.001940\n"


def read(folder, text, n_atoms=2):
    path = folder / "abinit.abo"
    path.write_text(text)
    return read_abinit_efg(path, n_atoms=n_atoms)


def test_tensors_in_the_order_of_the_atoms(tmp_path):
    assert read(tmp_path, BLOCK).tolist() == TENSORS


def test_eigenvalues_belong_to_the_tensors(tmp_path):
    values = np.linalg.eigvalsh(read(tmp_path, BLOCK)[0])
    assert values == pytest.approx([-0.084142, 0.033040, 0.051102], abs=2e-6)


def test_last_section_counts(tmp_path):
    first = BLOCK.replace("0.0", "0.7")
    assert read(tmp_path, first + BLOCK).tolist() == TENSORS


def test_heading_of_newer_versions(tmp_path):
    text = BLOCK.replace("Atom   1, typat   1: Cq", " atom :    1 typat :    1\n Cq")
    assert read(tmp_path, text).tolist() == TENSORS


def test_nan_is_left_to_the_gates(tmp_path):
    assert np.isnan(read(tmp_path, BLOCK.replace("-0.066479", "      NaN"))[0, 1, 1])


DAMAGE = {
    "no section": (lambda t: t.replace("Electric", "Electrical"), "no section"),
    "cut off": (lambda t: t[: t.rindex("total efg")], "atom 2"),
    "row lost": (lambda t: t.replace(ROW, ""), "atom 1"),
    "row twice": (lambda t: t.replace(ROW, 2 * ROW), "atom 1"),
    "short row": (lambda t: t.replace("     0.001940\n", "\n"), "atom 1"),
    "overflow": (lambda t: t.replace("-0.066479", "*********"), "could not convert"),
    "atom lost": (lambda t: t.replace(" Atom   1,", " Atoms 1,"), "before the first atom"),
    "wrong number": (lambda t: t.replace("Atom   2", "Atom   3"), "atom 3 follows atom 1"),
    "empty": (lambda t: "", "no section"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_text(tmp_path, name):
    damage, words = DAMAGE[name]
    with pytest.raises(HopechoError, match=words):
        read(tmp_path, damage(BLOCK))


def test_number_of_atoms(tmp_path):
    with pytest.raises(HopechoError, match="2 atoms for 3"):
        read(tmp_path, BLOCK, n_atoms=3)


def test_missing_file(tmp_path):
    with pytest.raises(HopechoError, match=r"none\.abo"):
        read_abinit_efg(tmp_path / "none.abo", n_atoms=1)
