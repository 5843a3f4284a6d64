"""Trajectories of one's own: three formats with one content, and what is refused."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.io.h5md import Segment, write_segment
from hopecho.own_data import check_together, import_run, named, read_run, run_record

ELEMENTS = ["Li", "P", "S"]
CELL = np.array([[9.0, 0.0, 0.0], [1.5, 8.0, 0.0], [-0.5, 0.7, 10.0]])
TYPES = np.array([1, 1, 3, 2, 3])
NUMBERS = np.array([3, 3, 16, 15, 16])


def walk(n_frames=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((1, 5, 3)) @ CELL + np.cumsum(rng.normal(0, 0.3, (n_frames, 5, 3)), axis=0)


def dump(path, x, *, first=0, every=50, cell=CELL, columns="id type xu yu zu", types=TYPES):
    xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
    low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
    bounds = (
        f"{low} {cell[0, 0] + high} {xy}\n{min(0, yz)} {cell[1, 1] + max(0, yz)} {xz}\n"
        f"0 {cell[2, 2]} {yz}\n"
    )
    text = ""
    for k, frame in enumerate(x):
        text += f"ITEM: TIMESTEP\n{first + every * k}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n"
        text += f"ITEM: BOX BOUNDS xy xz yz pp pp pp\n{bounds}ITEM: ATOMS {columns}\n"
        order = np.random.default_rng(k).permutation(len(frame))
        rows = (f"{i + 1} {types[i]} {' '.join(f'{v:.6f}' for v in frame[i])}\n" for i in order)
        text += "".join(rows)
    path.write_text(text)
    return path


def xyz(path, x, *, time=None, cell=CELL):
    frames = [Atoms(numbers=NUMBERS, positions=f, cell=cell, pbc=True) for f in x]
    for k, frame in enumerate(frames if time is not None else []):
        frame.info["time_ps"] = float(time[k])
    write_frames(path, frames)
    return path


def h5md(path, x, time):
    write_segment(path, Segment(np.asarray(time), x, CELL, NUMBERS))
    return path


def test_every_format_gives_the_same_run(tmp_path):
    x, time = walk(), np.arange(60) * 0.1
    cut = (slice(0, 31), slice(30, 60))  # the second file repeats a frame
    runs = {
        "dump": [dump(tmp_path / f"{k}.lammpstrj", x[s], first=50 * s.start)
                 for k, s in enumerate(cut)],
        "xyz": [xyz(tmp_path / f"{k}.extxyz", x[s], time=time[s]) for k, s in enumerate(cut)],
        "untimed": [xyz(tmp_path / "u0.xyz", x[:31]), xyz(tmp_path / "u1.xyz", x[31:])],
        "h5md": [h5md(tmp_path / f"{k}.h5md", x[s], time[s]) for k, s in enumerate(cut)],
    }  # fmt: skip
    for name, paths in runs.items():
        run = read_run(paths, elements=ELEMENTS, stride_ps=0.1)
        np.testing.assert_allclose(run.time_ps, time, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(run.positions, x, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(run.cell, CELL, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(run.numbers, NUMBERS, err_msg=name)
        assert run.positions.dtype == np.float32


def wrapped(x):
    return (x @ np.linalg.inv(CELL) % 1.0) @ CELL


@pytest.mark.parametrize("kind", ["dump", "xyz", "h5md"])
def test_wrapped_positions_are_refused_with_the_file(tmp_path, kind):
    x, time = walk(600), np.arange(600) * 0.1
    both = [x[:300], wrapped(x)[300:]]
    write = {
        "dump": lambda k: dump(tmp_path / f"{k}.dump", both[k], first=300 * 50 * k),
        "xyz": lambda k: xyz(tmp_path / f"{k}.xyz", both[k], time=time[300 * k : 300 * k + 300]),
        "h5md": lambda k: h5md(tmp_path / f"{k}.h5md", both[k], time[300 * k : 300 * k + 300]),
    }[kind]
    paths = [write(k) for k in range(2)]
    with pytest.raises(HopechoError, match="wrapped") as caught:
        read_run(paths, elements=ELEMENTS, stride_ps=0.1)
    assert str(paths[1]) in str(caught.value)
    assert "xu yu zu" in str(caught.value)


def bad(tmp_path, what):
    """Files of a run with one thing wrong in the second, and the stride given."""
    x = walk()
    a, b = tmp_path / "a.dump", tmp_path / "b.dump"
    dump(a, x[:30])
    after = {"first": 50 * 30}
    if what == "gap":
        dump(b, x[30:], first=50 * 33)
    elif what == "columns":
        dump(b, x[30:], columns="id type x y z", **after)
    elif what == "atoms":
        dump(b, x[30:], types=TYPES[::-1], **after)
    elif what == "fewer atoms":
        dump(b, x[30:, :4], **after)
    elif what == "type":
        dump(b, x[30:], types=TYPES + 1, **after)
    elif what == "cell":
        dump(b, x[30:], cell=CELL * 1.01, **after)
    elif what == "nan":
        broken = x[30:].copy()
        broken[3, 2, 1] = np.nan
        dump(b, broken, **after)
    elif what == "text":
        b.write_text("no dump at all\n" * 20)
    elif what == "empty":
        b.write_text("")
    elif what == "seam":
        dump(b, x[29:] + 0.5, first=50 * 29)
    elif what == "again":
        dump(b, x[:30])
    return [a, b]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gap", "missing"), ("columns", "other columns"), ("atoms", "other atoms"),
        ("fewer atoms", "other atoms"), ("type", "no element"), ("cell", "another cell"),
        ("nan", "not numbers"), ("text", "damaged in frame 0"), ("empty", "no whole frame"),
        ("seam", "does not continue"), ("again", "twice"), ("absent", "no trajectory"),
    ],
)  # fmt: skip
def test_the_file_that_is_wrong_is_named(tmp_path, what, said):
    paths = bad(tmp_path, what)
    with pytest.raises(HopechoError, match=said) as caught:
        read_run(paths, elements=ELEMENTS, stride_ps=0.1)
    assert str(paths[1]) in str(caught.value)


def test_times_must_be_known_and_agree(tmp_path):
    x = walk()
    files = [dump(tmp_path / "a.dump", x), xyz(tmp_path / "a.xyz", x)]
    for path in files:
        with pytest.raises(HopechoError, match="give stride_ps") as caught:
            read_run([path], elements=ELEMENTS)
        assert str(path) in str(caught.value)
    timed = h5md(tmp_path / "a.h5md", x, np.arange(60) * 0.2)
    with pytest.raises(HopechoError, match="another stride"):
        read_run([timed], elements=ELEMENTS, stride_ps=0.1)
    with pytest.raises(HopechoError, match="at least one"):
        read_run([], elements=ELEMENTS)


def test_a_general_triclinic_box_is_named(tmp_path):
    path = dump(tmp_path / "a.dump", walk(3))
    path.write_text(
        path.read_text().replace("BOX BOUNDS xy xz yz pp pp pp", "BOX BOUNDS abc origin")
    )
    with pytest.raises(HopechoError, match="general triclinic"):
        read_run([path], elements=ELEMENTS, stride_ps=0.1)


def test_a_run_of_a_campaign_has_the_elements_of_the_material_and_enough_frames(tmp_path):
    path = dump(tmp_path / "a.dump", walk(120))
    options = {"mobile": "Li", "stride_ps": 0.1}
    run = import_run([path], elements=ELEMENTS, **options)
    record = run_record(run, [path])
    assert record["atoms"] == {"Li": 2, "P": 1, "S": 2}
    assert record["n_frames"] == 120
    assert record["length_ps"] == pytest.approx(12.0)
    assert record["volume_a3"] == pytest.approx(720.0)
    with (
        pytest.raises(HopechoError, match=r"^phases.mine.trajectories: .*a\.dump is not of") as bad,
        named("phases.mine.trajectories"),
    ):
        import_run([path], elements=[*ELEMENTS, "Cl"], **options)
    assert "materials.<material>.elements" in str(bad.value)
    short = dump(tmp_path / "b.dump", walk(99))
    with pytest.raises(HopechoError, match=r"b\.dump leaves too few frames[\s\S]*99 frames"):
        import_run([short], elements=ELEMENTS, **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stride_ps": 0.2}, "another stride"),
        ({"volume_a3": 730.0}, "another volume"),
        ({"atoms": {"Li": 3, "P": 1, "S": 1}}, "other atoms"),
    ],
)
def test_runs_that_do_not_belong_together_are_named(change, said):
    one = {"stride_ps": 0.1, "volume_a3": 720.0, "atoms": {"Li": 2, "P": 1, "S": 2},
           "files": [{"path": "one.dump"}]}  # fmt: skip
    check_together([one, dict(one)])
    with pytest.raises(HopechoError, match=f"two.dump has {said} than one.dump"):
        check_together([one, one | change | {"files": [{"path": "two.dump"}]}])
