"""Features, models and files against the uf3 package: data/README.md says how it was run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.uf3 import reordered, triplet_keys
from hopecho.io.uf3_json import read_uf3_json, write_uf3_json
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.evaluate import evaluate
from hopecho.ufp.features import featurise

DATA = Path(__file__).parent / "data"
MODEL = DATA / "uf3_model.json"


@pytest.fixture(scope="module")
def oracle():
    with np.load(DATA / "uf3_oracle.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def basis(oracle):
    cut2, cut3, n2, n3, njk, first2, first3 = oracle["spec"]
    return BasisSpec(
        ("Li", "P", "S"), cut2, cut3, int(n2), int(n3), int(njk), float(first2), float(first3)
    )


def frames_of(oracle):
    return [
        Atoms(oracle["numbers"], positions=oracle[name], cell=oracle["cell"], pbc=True)
        for name in ("positions", "two_positions")
    ]


def our_columns(oracle, basis):
    """Our column of each uf3 column, -1 where ours is held at zero.

    uf3 orders one-body, pair and triplet terms by itself (`terms`); within a term, columns run
    over n, or over the kept places (l, m, n) of the grid in C order. Held at zero here: the last
    three functions of each axis (trimmed in uf3 too, whose feature is then zero or left out), and
    the first of each axis of a triplet.
    """
    columns = layout(basis)
    low, high = columns.jk_range
    places = {"-".join(key): number for number, key in enumerate(triplet_keys(basis.elements))}
    out = []
    for term, l, m, n in oracle["columns"]:
        name = str(oracle["terms"][term])
        bodies = name.count("-") + 1
        if bodies == 1:
            out.append(basis.elements.index(name))
        elif bodies == 2:
            out.append(columns.pair_column[term - len(basis.elements), l])
        else:
            start = columns.triplet_column[places[name], l, m]
            out.append(start + n if start >= 0 and low <= n < high else -1)
    return np.array(out)


def test_features_equal_those_of_uf3_column_by_column(oracle, basis):
    ours, theirs = featurise(frames_of(oracle)[0], basis), our_columns(oracle, basis)
    shared = theirs >= 0
    assert len(set(theirs[shared])) == shared.sum() > 500
    assert np.abs(oracle["forces"]).max() > 1
    np.testing.assert_allclose(
        ours.energy[theirs[shared]], oracle["energy"][shared], rtol=0, atol=1e-10
    )
    np.testing.assert_allclose(
        ours.forces[..., theirs[shared]], oracle["forces"][..., shared], rtol=0, atol=1e-10
    )


def test_every_column_without_a_partner_is_understood(oracle, basis):
    theirs = our_columns(oracle, basis)
    # uf3 leaves out places of the grid that no triangle reaches; this small basis has none.
    assert np.setdiff1d(np.arange(layout(basis).n_columns), theirs).size == 0
    held = oracle["columns"][theirs < 0]
    pair = held[:, 2] < 0
    assert np.all(held[pair, 1] >= basis.intervals_2b)
    assert np.all(held[~pair, 1:].min(axis=1) == 0)


@pytest.mark.parametrize("intervals_jk", [2, 3, 4, 9])
def test_rows_give_what_the_potential_gives_for_any_number_of_intervals(oracle, intervals_jk):
    spec = BasisSpec(("Li", "P", "S"), 5.0, 3.6, 6, 3, intervals_jk)
    c = np.random.default_rng(1).normal(size=layout(spec).n_columns)
    atoms = frames_of(oracle)[0]
    rows, truth = featurise(atoms, spec), evaluate(potential_from(spec, c, {}), atoms)
    assert rows.energy @ c == pytest.approx(truth.energy, rel=1e-12)
    np.testing.assert_allclose(rows.forces @ c, truth.forces, rtol=0, atol=1e-11)
    np.testing.assert_allclose(rows.stress @ c, truth.stress, rtol=0, atol=1e-13)


def test_a_model_of_uf3_gives_its_energies_and_forces(oracle):
    potential = read_uf3_json(MODEL)
    assert potential.elements == ("Li", "P", "S")
    for number, atoms in enumerate(frames_of(oracle)):
        result = evaluate(potential, atoms)
        assert result.energy == pytest.approx(oracle["model_energy"][number], rel=0, abs=1e-9)
        np.testing.assert_allclose(result.forces, oracle["model_forces"][number], rtol=0, atol=1e-9)


def test_a_file_written_here_was_loaded_by_uf3(oracle, tmp_path):
    write_uf3_json(tmp_path / "model.json", read_uf3_json(MODEL))
    digest = hashlib.sha256((tmp_path / "model.json").read_bytes()).hexdigest()
    # The stored results belong to these bytes: after a change of the writer, run the script again.
    assert digest == str(oracle["written_sha256"])
    for number, atoms in enumerate(frames_of(oracle)):
        result = evaluate(read_uf3_json(tmp_path / "model.json"), atoms)
        assert result.energy == pytest.approx(oracle["written_energy"][number], rel=0, abs=1e-9)
        np.testing.assert_allclose(
            result.forces, oracle["written_forces"][number], rtol=0, atol=1e-9
        )


def test_a_fitted_potential_survives_uf3_json_in_any_order_of_elements(oracle, basis, tmp_path):
    rng = np.random.default_rng(2)
    potential = potential_from(
        basis, rng.normal(size=layout(basis).n_columns), {"Li": -1.0, "P": 2.0, "S": 1 / 3}
    )
    atoms = frames_of(oracle)[1]
    truth = evaluate(potential, atoms)
    texts = []
    for order in (("Li", "P", "S"), ("S", "Li", "P")):
        turned = reordered(potential, order)
        np.testing.assert_allclose(evaluate(turned, atoms).forces, truth.forces, atol=1e-12)
        write_uf3_json(tmp_path / "a.json", turned)
        texts.append((tmp_path / "a.json").read_text())
        back = evaluate(read_uf3_json(tmp_path / "a.json"), atoms)
        assert back.energy == pytest.approx(truth.energy, rel=0, abs=1e-10)
    assert texts[0] == texts[1]


def _without(record, part, name):
    del record[part][name]


DAMAGE = {
    "no coefficients": (lambda r: r.pop("coefficients"), "coefficients missing"),
    "degree": (lambda r: r.update(degree=4), "degree 2 or 3"),
    "element": (lambda r: r.update(element_list=["Li", "Xx"]), "not a list of elements"),
    "term": (lambda r: _without(r, "coefficients", "Li-P-S"), "missing \\['Li-P-S'\\]"),
    "knots": (lambda r: _without(r, "knots_map", "P-S"), "missing \\['P-S'\\]"),
    "order": (
        lambda r: r["coefficients"].update({"P-S-Li": r["coefficients"].pop("P-Li-S")}),
        "unknown \\['P-S-Li'\\]",
    ),
    "flat": (lambda r: r["coefficients"].update({"Li-P-S": [1.0]}), "3 dimensions"),
    "ragged": (lambda r: r["coefficients"].update({"Li-S": [1.0, [2.0]]}), "no array of numbers"),
    "nan": (lambda r: r["coefficients"].update({"Li": float("nan")}), "finite"),
    "length": (lambda r: r["coefficients"]["P-S"].pop(), "knots for"),
    "spacing": (lambda r: r["knots_map"]["P-S"].__setitem__(5, 2.0), "not uniform"),
    "axes": (lambda r: r["knots_map"]["P-S-S"].pop(), "three knot vectors"),
    "trim": (lambda r: r["coefficients"]["P-S"].__setitem__(-3, 0.1), "vanish smoothly"),
    "exchange": (lambda r: r["coefficients"]["P-S-S"][0][1].__setitem__(0, 9.0), "exchanged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_model_is_named(name, tmp_path):
    change, message = DAMAGE[name]
    record = json.loads(MODEL.read_text())
    change(record)
    (tmp_path / "model.json").write_text(json.dumps(record))
    with pytest.raises(HopechoError, match=message):
        read_uf3_json(tmp_path / "model.json")


def test_what_uf3_would_change_is_not_written(tmp_path):
    potential = read_uf3_json(MODEL)
    pairs = dict(potential.two_body)
    pairs["P", "S"] = replace(pairs["P", "S"], coefficients=np.ones(9))
    with pytest.raises(HopechoError, match="vanish smoothly"):
        write_uf3_json(tmp_path / "a.json", replace(potential, two_body=pairs))
    del pairs["P", "S"]
    with pytest.raises(HopechoError, match="P-S"):
        write_uf3_json(tmp_path / "a.json", replace(potential, two_body=pairs))
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(HopechoError, match="cannot be read as JSON"):
        read_uf3_json(tmp_path / "b.json")


def test_a_pair_model_has_degree_two(tmp_path, oracle):
    potential = replace(read_uf3_json(MODEL), three_body={})
    write_uf3_json(tmp_path / "a.json", potential)
    back = read_uf3_json(tmp_path / "a.json")
    atoms = frames_of(oracle)[0]
    assert back.three_body == {}
    assert evaluate(back, atoms).energy == evaluate(potential, atoms).energy
