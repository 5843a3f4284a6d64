"""HDF5 tables of tensors: round trip, segments, foreign files and planted damage."""

import resource
import signal

import h5py
import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.efg_table import EfgTrajectory, EfgWriter, read_efg, write_efg
from hopecho.tensors import matrix_from_isometric
from hopecho.units import EFG_AU_V_M2


def _table(n=6, start=0.0, ions=(2, 5, 9), step=0.5):
    rng = np.random.default_rng(int(start * 10))
    efg = rng.normal(0, 0.01, (n, len(ions), 5)).astype(np.float32)
    return EfgTrajectory(start + step * np.arange(n), np.array(ions), efg)


def test_round_trip_is_exact_and_documented(tmp_path):
    table = _table()
    write_efg(tmp_path / "a.h5", table, provenance={"model": "abc"})
    back = read_efg(tmp_path / "a.h5")
    np.testing.assert_array_equal(back.efg, table.efg)
    np.testing.assert_array_equal(back.time_ps, table.time_ps)
    np.testing.assert_array_equal(back.ion_id, table.ion_id)
    with h5py.File(tmp_path / "a.h5") as file:
        assert dict(file.attrs) == {"unit": "a.u.", "convention": "isometric", "model": "abc"}
        assert file["efg"].dtype == np.float32


def test_a_full_disk_is_said_before_the_first_frame(tmp_path):
    table = _table(4000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, hard))
    try:
        with pytest.raises(HopechoError, match=r"a\.h5\.partial cannot be written: is the disk"):
            write_efg(tmp_path / "a.h5", table)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "a.h5").exists()


def test_chunks_give_the_same_bytes_as_one_write(tmp_path):
    table = _table(7)
    write_efg(tmp_path / "whole.h5", table)
    with EfgWriter(tmp_path / "parts.h5", ion_id=table.ion_id) as writer:
        for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
            writer.append(table.time_ps[part], table.efg[part])
    np.testing.assert_array_equal(read_efg(tmp_path / "parts.h5").efg, table.efg)
    again = tmp_path / "again.h5"
    write_efg(again, table)
    assert again.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_segments_are_joined_and_a_repeated_frame_is_dropped(tmp_path):
    write_efg(tmp_path / "0.h5", _table(6))
    write_efg(tmp_path / "1.h5", _table(4, start=3.0))
    write_efg(tmp_path / "2.h5", _table(4, start=4.5))
    joined = read_efg([tmp_path / f"{i}.h5" for i in range(3)])
    np.testing.assert_allclose(joined.time_ps, 0.5 * np.arange(13))
    assert joined.efg.shape == (13, 3, 5)


def test_gaps_other_ions_and_wrong_order_are_errors(tmp_path):
    write_efg(tmp_path / "0.h5", _table(6))
    write_efg(tmp_path / "gap.h5", _table(6, start=4.0))
    write_efg(tmp_path / "ions.h5", _table(6, start=3.0, ions=(2, 5, 8)))
    with pytest.raises(HopechoError, match=r"2\.5 ps is followed by 4 ps"):
        read_efg([tmp_path / "0.h5", tmp_path / "gap.h5"])
    with pytest.raises(HopechoError, match="not continuous"):
        read_efg([tmp_path / "gap.h5", tmp_path / "0.h5"])
    with pytest.raises(HopechoError, match="other ions"):
        read_efg([tmp_path / "0.h5", tmp_path / "ions.h5"])


def test_nan_is_refused_and_leaves_no_file(tmp_path):
    table = _table()
    table.efg[2, 1, 3] = np.nan
    with pytest.raises(HopechoError, match="NaN or infinity"):
        write_efg(tmp_path / "a.h5", table)
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_wrong_shapes_and_repeated_times(tmp_path):
    table = _table()
    with EfgWriter(tmp_path / "a.h5", ion_id=table.ion_id) as writer:
        writer.append(table.time_ps, table.efg)
        with pytest.raises(HopechoError, match="wrong shape"):
            writer.append(table.time_ps, table.efg[:, :1])
        with pytest.raises(HopechoError, match="does not increase"):
            writer.append(table.time_ps, table.efg)


def test_matrices_in_si_units_are_converted(tmp_path):
    table = _table()
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["time_ps"], file["ion_id"] = table.time_ps, table.ion_id
        file["efg"] = matrix_from_isometric(table.efg) * EFG_AU_V_M2
        file.attrs["unit"] = "V/m^2"
    np.testing.assert_allclose(read_efg(tmp_path / "own.h5").efg, table.efg, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("unit", "convention", "message"),
    [("kHz", "isometric", "Unknown unit"), ("a.u.", "spherical", "Unclear components")],
)
def test_unknown_conventions_are_refused(tmp_path, unit, convention, message):
    path = tmp_path / "a.h5"
    write_efg(path, _table())
    with h5py.File(path, "a") as file:
        file.attrs["unit"], file.attrs["convention"] = unit, convention
    with pytest.raises(HopechoError, match=message):
        read_efg(path)


def test_foreign_files_are_named(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(HopechoError, match="Cannot read"):
        read_efg(tmp_path / "text.h5")
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(HopechoError, match="time_ps, ion_id, efg"):
        read_efg(tmp_path / "empty.h5")
    with pytest.raises(HopechoError, match="at least one"):
        read_efg([])
