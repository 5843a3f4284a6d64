"""Structures of other programs: the right atoms, or an error that names the file."""

import pickle
import warnings

import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopecho.errors import HopechoError
from hopecho.structures.build import read_structure

FUZZ = settings(
    settings.get_profile("fuzz"),
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
POSITIONS = np.random.default_rng(5).uniform(0, 6, (4, 3)).round(4)
ATOMS = Atoms("Li2SP", positions=POSITIONS, cell=np.diag([6.0, 7, 8]), pbc=True)
LAMMPS = """LAMMPS data file, ids in another order than the lines

4 atoms
3 atom types

0.0 6.0 xlo xhi
0.0 7.0 ylo yhi
0.0 8.0 zlo zhi

Masses

1 6.94  # Li
2 32.06  # S
3 30.974  # P

Atoms  # charge

3 2 0.0 {2}
1 1 0.0 {0}
2 1 0.0 {1}
4 3 0.0 {3}
""".format(*(" ".join(map(str, row)) for row in POSITIONS))
MASSES = LAMMPS[LAMMPS.index("Masses") : LAMMPS.index("Atoms ")]
NAMES = {"vasp": "POSCAR", "cif": "a.cif", "xsf": "a.xsf", "res": "a.res", "aims": "geometry.in"}
NAMES |= {"lammps-data": "a.lammps-data"}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """The same crystal in every format."""
    folder, found = tmp_path_factory.mktemp("structures"), {"lammps-data": LAMMPS.encode()}
    for form in ("vasp", "cif", "xsf", "res", "aims"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # FHI-aims moves to a plug-in of ASE
            ATOMS.write(folder / form, format=form)
        found[form] = (folder / form).read_bytes()
    return found


@pytest.mark.parametrize("form", NAMES)
def test_every_format_gives_the_same_crystal(fuzz, files, form):
    for end in (b"\n", b"\r\n", b"\r"):
        raw = files[form].replace(b"\n", end)
        found = fuzz.read(read_structure, NAMES[form], raw, intact=True)
        assert found.symbols.get_chemical_formula() == "Li2PS"
        assert np.allclose(found.cell, ATOMS.cell, atol=1e-4)
        order = [np.abs(found.positions - x).sum(axis=1).argmin() for x in POSITIONS]
        assert np.allclose(found.positions[order], POSITIONS, atol=2e-4)
        assert (found.numbers[order] == ATOMS.numbers).all()


@pytest.mark.parametrize("form", NAMES)
@given(data=st.data())
@FUZZ
def test_damaged_structures(fuzz, files, form, data):
    kind, hurt = data.draw(fuzz.damages(files[form]))
    found = fuzz.read(read_structure, NAMES[form], hurt, intact=kind == "ends")
    if found is None:
        return
    assert np.isfinite(found.positions).all()
    assert found.cell.rank == 3
    # FHI-aims counts nothing: a file that ends early is another crystal.
    if kind == "cut" and form != "aims":
        assert len(found) == 4


def planted(files, form: str, old: str, new: str, count: int = 1) -> bytes:
    text = files[form].decode()
    if form == "vasp":
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    assert old in text, text
    return text.replace(old, new, count).encode()


BAD = {
    "more atoms than lines": ("vasp", "\n2 1 1\n", "\n2 1 200000000\n", "atoms claimed"),
    "an underscore": ("vasp", "\n2 1 1\n", "\n2 1 1_000_000_000\n", "no number of atoms"),
    "fewer atoms than lines": ("vasp", "\n2 1 1\n", "\n1 1 1\n", "3 atoms claimed, but line"),
    "a number too few": ("vasp", "\n2 1 1\n", "\n2 2\n", "3 elements, 2 numbers"),
    "no elements": ("vasp", "\nLi S P\n", "\n", "names no elements"),
    "neither direct nor cartesian": ("vasp", "Cartesian", "Xartesian", "neither Direct"),
    "fewer rows of XSF": ("xsf", " 4 1\n", " 3 1\n", "3 atoms claimed"),
    "more rows of XSF": ("xsf", " 4 1\n", " 400000000 1\n", "400000000 atoms claimed"),
    "fewer rows of LAMMPS": ("lammps-data", "4 atoms", "3 atoms", "3 atoms claimed"),
    "more rows of LAMMPS": ("lammps-data", "4 atoms", "900000000 atoms", "atoms claimed"),
    "atoms twice": ("lammps-data", "4 atoms", "4 atoms\n4 atoms", "there twice"),
    "an id twice": ("lammps-data", "\n4 3 0.0", "\n3 3 0.0", "id stands there twice"),
    "types without elements": ("lammps-data", MASSES, "", "nothing says which elements"),
    "a mass of no element": ("lammps-data", "30.974", "3097.4", "mass is that of no element"),
    "an atom that RES cannot hold": ("res", "\nS ", "\nS x", "is no atom"),
    "a RES that was cut off": ("res", "\nEND", "\n", "no END"),
    "an expression": ("aims", "lattice_vector", "symmetry_params 9**9**9\nlattice_vector",
                      "not known here"),
    "an atom that is none": ("aims", "\natom ", "\natmo ", "not known here"),
    "half an atom": ("cif", "1.0000\n", "0.5000\n", "partly occupied"),
    "symmetry without end": ("cif", "  'x, y, z'\n", "  'x, y, z'\n" * 500, "500 symmetry"),
    "another composition": ("cif", '"Li2 S1 P1"', '"Li3 S1 P1"', "the formula is"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_a_file_claims_is_compared_with_what_it_holds(fuzz, files, name):
    form, old, new, said = BAD[name]
    path = fuzz.folder / NAMES[form]
    path.write_bytes(planted(files, form, old, new))
    with pytest.raises(HopechoError, match=said) as caught:
        read_structure(path)
    assert str(path) in caught.value.what


@pytest.mark.parametrize("form", NAMES)
def test_an_atom_that_stands_twice_is_refused(fuzz, form):
    twice = ATOMS + ATOMS[:1]
    twice.positions[4] += [6.0, 0.0, 0.0]  # an image
    path = fuzz.folder / NAMES[form]
    if form == "lammps-data":
        raw = LAMMPS.replace("4 atoms", "5 atoms")
        path.write_text(raw + "5 1 0.0 {} {} {}\n".format(*POSITIONS[0]))
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twice.write(path, format=form)
    with pytest.raises(HopechoError, match=r"another atom stands|are equivalent"):
        read_structure(path)


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("word", [" ", "a", "a ", "9", "(", "\t"])
def test_an_endless_line_takes_no_endless_time(fuzz, files, form, word):
    middle = files[form].find(b"\n", len(files[form]) // 3)
    raw = files[form][:middle] + word.encode() * 300_000 + files[form][middle:]
    fuzz.read(read_structure, NAMES[form], raw)


def test_labels_of_lammps_follow_their_ids(fuzz):
    labels = "Atom Type Labels\n\n1 Li\n2 S\n3 P\n\nAtoms"
    raw = LAMMPS.replace("Atoms", labels, 1)
    for number, word in (("3 2 0.0", "3 S 0.0"), ("1 1 0.0", "1 Li 0.0"), ("2 1 0.0", "2 Li 0.0")):
        raw = raw.replace(number, word)
    raw = raw.replace("4 3 0.0", "4 P 0.0").encode()
    found = fuzz.read(read_structure, "a.lammps-data", raw, intact=True)
    assert found.get_chemical_symbols() == ["Li", "Li", "S", "P"]
    assert np.allclose(found.positions, POSITIONS)


def test_no_other_file_is_looked_for(tmp_path):
    """ASE takes the elements of an old POSCAR from a POTCAR beside it."""
    (tmp_path / "POTCAR").write_text("  TIT" + "EL  = PAW_PBE Li 01Jan2000\n")
    (tmp_path / "POSCAR").write_text("x\n1.0\n6 0 0\n0 7 0\n0 0 8\n1\nDirect\n0 0 0\n\n")
    with pytest.raises(HopechoError, match="names no elements"):
        read_structure(tmp_path / "POSCAR")


def test_a_structure_is_not_unpickled(tmp_path):
    path = tmp_path / "a.traj"
    path.write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(HopechoError, match="none of the formats"):
        read_structure(path)
