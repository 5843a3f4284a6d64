import gzip

import pytest

from hopecho.errors import HopechoError
from hopecho.labels.pseudopotentials import convert_gth, read_gth, unpack_paw, write_set

SOURCE = """
# Potential data base
Li GTH-BLYP-q3 GTH-BLYP
    3
     0.40000000    4   -14.10178932     9.65272585    -1.79006454     0.08591263
    0
#
Li GTH-PBE-q1
    1
     0.78755305    2    -1.89261247     0.28605968
    2
     0.66637518    1     1.85881112
     1.07930561    1    -0.00589504
#
Li GTH-PBE-q3 GTH-PBE
    3
     0.40000000    4   -14.08115455     9.62621962    -1.78361605     0.08515207
    0
#
S GTH-PBE-q6 GTH-PBE
    2    4
     0.42000000    1    -5.98626038
    2
     0.36482035    2    13.14354448    -4.24183045
                                        5.47617957
     0.40948048    1     3.70089057
#
I GTH-PBE-q7
    2    5
     0.56000000    1     8.20710157
    3
     0.53192813    3     2.30814581     1.00390933    -0.95915606
                                       -2.85610882     2.47653030
                                                      -1.96568498
     0.58918244    2     0.90648219     0.42507060
                                       -0.50295032
     0.73972147    1     0.47919458
#
Ag GTH-PBE-q1
    1
     0.65000000    1    -2.37606100
    0
Ag GTH-PBE-q11
    1    0   10
     0.57000000    1     0.26780169
    0
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "GTH_POTENTIALS"
    path.write_text(SOURCE)
    return path


def rows(path):
    return [line.split() for line in path.read_text().splitlines()]


def test_without_projectors(source, tmp_path):
    path = convert_gth(source, "Li", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "Li.gth"
    lines = rows(path)
    assert [float(x) for x in lines[1][:2]] == [3, 3]
    # pspcod, pspxc, lmax, lloc
    assert lines[2][:4] == ["10", "11", "0", "0"]
    assert [float(x) for x in lines[3]] == [
        0.4, 4, -14.08115455, 9.62621962, -1.78361605, 0.08515207,
    ]  # fmt: skip
    assert lines[4] == ["0"]
    # One empty channel for l = 0, which readers always ask for.
    assert lines[5][1] == "0"
    assert len(lines) == 6


def test_triangles_and_spin_orbit_rows(source, tmp_path):
    lines = rows(convert_gth(source, "S", tmp_path))
    assert lines[2][2] == "1"
    assert [[float(x) for x in line] for line in lines[3:]] == [
        [0.42, 1, -5.98626038],
        [2],
        [0.36482035, 2, 13.14354448, -4.24183045],
        [5.47617957],
        [0.40948048, 1, 3.70089057],
        [0.0],
    ]


def test_three_channels(source, tmp_path):
    lines = rows(convert_gth(source, "I", tmp_path))
    assert lines[2][2] == "2"
    widths = [len(line) for line in lines[5:]]
    # l = 0: 3 rows; l = 1: 2 rows and 2 of k; l = 2: 1 row and 1 of k.
    assert widths == [5, 2, 1, 4, 1, 2, 1, 3, 1]
    assert [float(x) for x in lines[5]] == [0.53192813, 3, 2.30814581, 1.00390933, -0.95915606]


def test_functional_and_its_number(source, tmp_path):
    lines = rows(convert_gth(source, "Li", tmp_path, functional="blyp"))
    assert lines[2][1] == "18"
    assert float(lines[3][2]) == -14.10178932
    with pytest.raises(HopechoError, match="PBE, PADE, BLYP"):
        convert_gth(source, "Li", tmp_path, functional="SCAN")


def test_every_entry_is_read():
    entries = list(read_gth(SOURCE))
    assert [(p.element, p.valence) for p in entries] == [
        ("Li", 3), ("Li", 1), ("Li", 3), ("S", 6), ("I", 7), ("Ag", 1), ("Ag", 11),
    ]  # fmt: skip


def test_what_is_missing_is_named(source, tmp_path):
    with pytest.raises(HopechoError, match="no entry for the element"):
        convert_gth(source, "P", tmp_path)
    # Two entries and neither is the default.
    with pytest.raises(HopechoError, match="GTH-PBE-q1, GTH-PBE-q11"):
        convert_gth(source, "Ag", tmp_path)
    with pytest.raises(HopechoError, match="apt-get install cp2k-data"):
        write_set("gth", ["Li"], tmp_path, tmp_path / "nowhere")
    with pytest.raises(HopechoError, match="apt-get install gpaw-data"):
        write_set("paw", ["Li"], tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("     0.42000000    1 ", "     0.42000000    2 "),
        ("                                        5.47617957\n", ""),
        ("S GTH-PBE-q6 GTH-PBE", "S"),
        ("    2    4\n", "    2    x\n"),
    ],
)
def test_damaged_source(tmp_path, old, new):
    path = tmp_path / "GTH_POTENTIALS"
    assert old in SOURCE
    path.write_text(SOURCE.replace(old, new))
    with pytest.raises(HopechoError, match="not a file of GTH potentials"):
        convert_gth(path, "S", tmp_path)
    assert not (tmp_path / "S.gth").exists()


def test_entry_that_contradicts_itself(tmp_path):
    path = tmp_path / "GTH_POTENTIALS"
    path.write_text(SOURCE.replace("    2    4\n", "    2    3\n"))
    with pytest.raises(HopechoError, match="contradicts itself"):
        convert_gth(path, "S", tmp_path)


def test_projectors_that_pw_does_not_evaluate(tmp_path):
    path = tmp_path / "GTH_POTENTIALS"
    path.write_text(
        "Xe GTH-PBE-q1 GTH-PBE\n 1\n 0.5 1 -1.0\n 4\n"
        + " 0.5 1 1.0\n" * 3
        + " 0.5 2 1.0 0.5\n 0.3\n"
    )
    with pytest.raises(HopechoError, match=r"\[1, 1, 1, 2\]"):
        convert_gth(path, "Xe", tmp_path)


def test_paw_setup(tmp_path):
    folder = tmp_path / "setups"
    folder.mkdir()
    text = '<?xml version="1.0"?>\n<paw_setup version="0.6">\n<atom symbol="Li" Z="3"/>\n'
    (folder / "Li.PBE.gz").write_bytes(gzip.compress(text.encode()))
    out = tmp_path / "out"
    assert unpack_paw(folder, "Li", out) == out / "Li.GGA_PBE-gpaw.xml"
    assert (out / "Li.GGA_PBE-gpaw.xml").read_text() == text
    with pytest.raises(HopechoError, match="PAW setup of P"):
        unpack_paw(folder, "P", out)
    (folder / "S.PBE.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(HopechoError, match="is not a PAW setup of S"):
        unpack_paw(folder, "S", out)
    (folder / "P.PBE.gz").write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(HopechoError, match="Cannot read the PAW setup of P"):
        unpack_paw(folder, "P", out)
    assert sorted(p.name for p in out.iterdir()) == ["Li.GGA_PBE-gpaw.xml"]


def test_write_set(source, tmp_path):
    out = tmp_path / "pseudo"
    assert write_set("gth", ["S", "Li"], out, source) == [str(out / "S.gth"), str(out / "Li.gth")]
    before = (out / "Li.gth").read_bytes()
    write_set("gth", ["Li"], out, source)
    assert (out / "Li.gth").read_bytes() == before
    assert sorted(p.name for p in out.iterdir()) == ["Li.gth", "S.gth"]
    with pytest.raises(HopechoError, match=r"gth \(for pw\.x\) or paw"):
        write_set("upf", ["Li"], out, source)
    with pytest.raises(HopechoError, match="No elements"):
        write_set("gth", [], out, source)
