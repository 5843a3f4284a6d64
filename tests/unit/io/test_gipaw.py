import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.gipaw import HEAD, TAIL, format_block, read_gipaw


def tensors(n: int) -> np.ndarray:
    """Traceless symmetric tensors that tell their atom."""
    rng = np.random.default_rng(n)
    t = rng.normal(scale=0.1, size=(n, 3, 3))
    t = t + t.transpose(0, 2, 1)
    return np.round(t - np.trace(t, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3, 6)


def fortran_block(symbols, efg, *, width: int) -> str:
    """The block as Fortran writes it: 5X,A,I3,2X,3(F14.6,2X), labels of 3 or 6 characters."""
    lines = ["     ELECTRIC FIELD GRADIENTS TENSORS IN Hartree/bohrradius^2:", " "]
    for head in ("----- bare term -----", HEAD):
        lines.append(f"     {head}")
        for i, (symbol, tensor) in enumerate(zip(symbols, efg), start=1):
            number = f"{i:3d}" if i < 1000 else "***"
            # Terms of the sum are printed first, with other numbers.
            for row in tensor + (head != HEAD):
                values = "".join(f"{x:14.6f}  " for x in row)
                lines.append(f"     {symbol:<{width}s}{number}  {values}")
            lines.append(" ")
    return "\n".join([*lines, " ", f"     {TAIL}:", "     Li      1    Vxx=   -0.0121"])


SYMBOLS = ["S", "Li", "P", "Cl"]


@pytest.fixture
def text() -> str:
    return fortran_block(SYMBOLS, tensors(4), width=3)


@pytest.mark.parametrize("width", [3, 6])
def test_both_widths_of_labels(width):
    read = read_gipaw(fortran_block(SYMBOLS, tensors(4), width=width))
    assert read.symbols == tuple(SYMBOLS)
    assert np.array_equal(read.efg, tensors(4))


@pytest.mark.parametrize("n", [9, 99, 100, 999, 1000, 1234])
def test_numbers_that_fill_or_overflow_their_columns(n):
    symbols = ["Li" if i % 3 else "S" for i in range(n)]
    read = read_gipaw(fortran_block(symbols, tensors(n), width=3))
    assert read.symbols == tuple(symbols)
    assert np.array_equal(read.efg, tensors(n))


def test_own_block_is_read_back():
    symbols, exact = ["Li"] * 1001, tensors(1001) / 3
    read = read_gipaw(format_block(symbols, exact, digits=12))
    assert np.abs(read.efg - exact).max() < 1e-12
    assert fortran_block(["Li"], tensors(1), width=6).splitlines()[-4] in format_block(
        ["Li"], tensors(1)
    ).replace("\n\n", "\n \n")


def test_a_version_with_wider_numbers():
    n = 1002
    lines = fortran_block(["Li"] * n, tensors(n), width=3).splitlines()
    count = 0
    for i, line in enumerate(lines):
        if "***" in line:
            lines[i] = line.replace("***", str(1000 + count % 9 // 3))
            count += 1
    assert len(read_gipaw("\n".join(lines)).efg) == n


DAMAGE = {
    "no block": lambda t: t.replace(HEAD, "nothing"),
    "two blocks": lambda t: t + t,
    "other unit": lambda t: t.replace("Hartree/bohrradius^2", "V/A^2"),
    "no end": lambda t: t[: t.index(TAIL)],
    "cut in a number": lambda t: t[: t.index(TAIL) - 40],
    "a line lost": lambda t: drop(t, "P  "),
    "an atom lost": lambda t: drop(drop(drop(t, "P  "), "P  "), "P  "),
    "last atom lost": lambda t: drop(drop(drop(t, "Cl "), "Cl "), "Cl "),
    "overflown value": lambda t: in_block(t, lambda b: b.replace(value(b), "*" * 14, 1)),
    "swapped atoms": lambda t: in_block(t, lambda b: b.replace("P    3", "P    4")),
    "stars too early": lambda t: in_block(t, lambda b: b.replace("P    3", "P  ***")),
    "another symbol within": lambda t: in_block(t, lambda b: b.replace("P    3", "S    3", 1)),
    "label with a digit": lambda t: in_block(t, lambda b: b.replace("P    3", "P1   3")),
    "digit runs into number": lambda t: in_block(t, lambda b: b.replace("P    3", "P11103")),
    "column lost": lambda t: in_block(t, lambda b: b.replace(value(b), " " * 10, 1)),
    "empty": lambda t: "",
}


def in_block(text, change):
    before, block = text.split(HEAD)
    return before + HEAD + change(block)


def drop(text, start):
    """Without the first line of the block whose label starts so."""
    before, block = text.split(HEAD)
    lines = block.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith(start.strip()))
    return before + HEAD + "\n".join(lines[:at] + lines[at + 1 :])


def value(block):
    """First number of the second line."""
    return block.splitlines()[2].split()[2]


@pytest.mark.parametrize("name", [n for n in DAMAGE if n != "last atom lost"])
def test_what_is_not_beyond_doubt_is_refused(text, name):
    damaged = DAMAGE[name](text)
    assert damaged != text
    with pytest.raises(HopechoError, match="Cannot read field gradients"):
        read_gipaw(damaged)


def test_an_atom_lost_at_the_end_shows_in_the_symbols(text):
    assert read_gipaw(DAMAGE["last atom lost"](text)).symbols == ("S", "Li", "P")


def test_a_lost_atom_beyond_the_overflow_shows_in_the_count():
    symbols = ["Li"] * 1005
    text = fortran_block(symbols, tensors(1005), width=3)
    before, block = text.split(HEAD)
    lines = block.splitlines()
    first = next(i for i, line in enumerate(lines) if "***" in line)
    del lines[first : first + 3]
    assert len(read_gipaw(before + HEAD + "\n".join(lines)).efg) == 1004


def test_nan_is_left_to_the_gates(text):
    read = read_gipaw(in_block(text, lambda b: b.replace(value(b), "NaN", 1)))
    assert np.isnan(read.efg).sum() == 1
