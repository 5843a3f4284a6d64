"""Potentials made elsewhere: what is kept, what is refused, and their zero of energy."""

from dataclasses import replace

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.io.uf3 import Uf3Potential, pair_keys, read_uf3, triplet_keys, write_uf3
from hopecho.io.uf3_json import write_uf3_json
from hopecho.md.stages import limits_of
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.evaluate import evaluate
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.imported import import_potential

ONE_BODY = {"Li": -203.1, "P": -190.4, "S": -325.7, "O": -432.0}


@pytest.fixture(scope="module")
def wide() -> Uf3Potential:
    """A potential of four elements, of which the material has three."""
    intervals = {"intervals_2b": 8, "intervals_3b": 2, "intervals_jk": 3}
    spec = BasisSpec(("S", "O", "Li", "P"), 5.0, 3.0, **intervals)
    coefficients = np.random.default_rng(4).normal(scale=0.05, size=layout(spec).n_columns)
    return replace(potential_from(spec, coefficients, {}), one_body=ONE_BODY)


@pytest.fixture
def frames(wide, crystal) -> list[LabelledFrame]:
    """Labels of four compositions, from the potential itself."""
    atoms = [crystal.copy() for _ in range(4)]
    for number, symbol in ((1, "P"), (2, "S"), (3, "Li")):
        atoms[number].symbols[:2] = symbol
    energies = [evaluate(wide, a).energy for a in atoms]
    return [
        LabelledFrame(a, e, np.zeros((len(a), 3)), None, a.get_chemical_formula())
        for a, e in zip(atoms, energies, strict=True)
    ]


@pytest.mark.parametrize("kind", ["uf3", "json"])
def test_terms_of_other_elements_are_dropped_and_energies_stay(wide, frames, kind, tmp_path):
    path = tmp_path / f"wide.{kind}"
    (write_uf3 if kind == "uf3" else write_uf3_json)(path, wide)
    elements = ("Li", "P", "S")
    found = import_potential(path, elements, frames)
    assert found.potential.elements == elements
    assert set(found.potential.two_body) == set(pair_keys(elements))
    assert set(found.potential.three_body) == set(triplet_keys(elements))
    # A .uf3 file has no one-body energies: those of the labels come back from their energies.
    assert found.one_body == ("labels" if kind == "uf3" else "file")
    for name in elements:
        assert found.potential.one_body[name] == pytest.approx(ONE_BODY[name], abs=1e-8)
    for frame in frames:
        assert evaluate(found.potential, frame.atoms).energy == pytest.approx(frame.energy)


def test_one_composition_leaves_the_split_open_but_not_the_sum(wide, frames, tmp_path):
    write_uf3(tmp_path / "wide.uf3", wide)
    found = import_potential(tmp_path / "wide.uf3", ("Li", "P", "S"), frames[:1])
    energy = evaluate(found.potential, frames[0].atoms).energy
    assert energy == pytest.approx(frames[0].energy)


def test_a_material_that_is_not_covered_names_what_is_missing(wide, frames, tmp_path):
    write_uf3(tmp_path / "wide.uf3", wide)
    with pytest.raises(HopechoError, match="does not cover the material") as error:
        import_potential(tmp_path / "wide.uf3", ("Li", "P", "Se"), frames)
    assert "no Se" in error.value.got
    fewer = replace(wide, three_body={k: v for k, v in wide.three_body.items() if k[0] != "P"})
    write_uf3(tmp_path / "fewer.uf3", fewer)
    with pytest.raises(HopechoError) as error:
        import_potential(tmp_path / "fewer.uf3", ("Li", "P", "S"), frames)
    assert "P-Li-S" in error.value.got
    with pytest.raises(HopechoError, match="unknown kind"):
        import_potential(tmp_path / "potential.pt", ("Li",), frames)


def test_runs_are_guarded_from_the_first_knot_on(wide, tmp_path):
    write_uf3(tmp_path / "wide.uf3", wide)
    assert limits_of(tmp_path / "wide.uf3", 300.0).min_distance == 0.8
    potential = read_uf3(tmp_path / "wide.uf3")
    spline = potential.two_body["S", "S"]
    first = 1.2
    knots = first + (spline.knots - spline.knots[0]) * (spline.knots[-1] - first) / (
        spline.knots[-1] - spline.knots[0]
    )
    knots[-4:] = spline.knots[-1]
    late = dict(potential.two_body) | {("S", "S"): replace(spline, knots=knots)}
    write_uf3(tmp_path / "late.uf3", replace(potential, two_body=late))
    assert limits_of(tmp_path / "late.uf3", 300.0).min_distance == pytest.approx(1.2)
