import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import cho_solve

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec, layout, potential_from, spline_values
from hopecho.ufp.core import core_edges, core_sizes
from hopecho.ufp.errors import error_metrics
from hopecho.ufp.evaluate import evaluate
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import cross_validate, fit_potential, one_body_reference
from hopecho.ufp.leverage import leverage, load_leverage, save_leverage
from hopecho.ufp.normal import accumulate, combine, empty_normal, label_weights, weighted_rows
from hopecho.ufp.penalty import Regularisation, penalty_matrix

SMALL = BasisSpec(("Li", "S"), 5.0, 3.4, intervals_2b=10, intervals_3b=3, intervals_jk=3)
WEAK = Regularisation(ridge_2b=1e-12, ridge_3b=1e-12, curvature_2b=1e-12)


def two_element_cell(rng, n_li=6, edge=6.2):
    corners = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3), axis=-1).reshape(-1, 3)
    symbols = ["Li"] * n_li + ["S"] * (8 - n_li)
    atoms = Atoms(symbols, scaled_positions=corners, cell=np.eye(3) * edge, pbc=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3))), True)
    atoms.positions += rng.normal(scale=0.25, size=(8, 3))
    return atoms


def label(atoms, potential, name):
    return LabelledFrame(atoms, *evaluate(potential, atoms), name)


@pytest.fixture(scope="module")
def truth():
    """Repulsive pairs with a bound well, and a smooth three-body term."""
    rng = np.random.default_rng(4)
    columns = layout(SMALL)
    c = rng.normal(scale=0.02, size=columns.n_columns)
    for row in columns.pair_column:
        fitted = row[row >= 0]
        c[fitted] = 40 * np.exp(-1.1 * np.arange(len(fitted))) - 0.05
    c[:2] = [-1.9, -3.3]
    return potential_from(SMALL, c, {})


@pytest.fixture(scope="module")
def frames(truth):
    rng = np.random.default_rng(5)
    cells = [two_element_cell(rng, 3 + n % 3, 5.6 + 0.1 * (n % 7)) for n in range(40)]
    return [label(atoms, truth, f"frame {n}") for n, atoms in enumerate(cells)]


@pytest.fixture(scope="module")
def result(frames):
    return fit_potential(frames[:32], SMALL, regularisation=WEAK)


def test_a_potential_of_this_form_is_recovered_from_its_labels(result, frames, truth):
    held_out = error_metrics(result.potential, frames[32:])
    assert held_out["rmse_force"] < 2e-3 * held_out["std_force"]
    assert held_out["rmse_energy"] < 1e-3
    assert held_out["rmse_stress"] < 1e-2 * held_out["std_stress"]
    # Only phi2 + constant is ambiguous between one- and two-body terms where data are plenty.
    assert result.potential.one_body["S"] == pytest.approx(truth.one_body["S"], abs=0.3)


def test_fit_minimises_the_penalised_loss(frames):
    chosen, penalty = frames[:6], Regularisation()
    result = fit_potential(chosen, SMALL, regularisation=penalty)
    reference = one_body_reference(chosen, SMALL.elements)
    gram = penalty_matrix(SMALL, penalty)
    rhs = np.zeros(len(gram))
    for frame in chosen:
        offset = sum(reference[name] for name in frame.atoms.get_chemical_symbols())
        rows, target, _ = weighted_rows(
            replace(frame, energy=frame.energy - offset), SMALL, result.weights
        )
        gram += rows.T @ rows
        rhs += rows.T @ target
    gradient = gram @ result.coefficients - rhs
    columns, sizes = layout(SMALL).pair_column, core_sizes(SMALL, result.min_distance)
    # The core is set after the fit: it moves the optimum only of what the curvature ties to it.
    tied = [row[: size + 2] for row, size in zip(columns, sizes, strict=True)]
    rest = np.setdiff1d(result.free, np.concatenate(tied))
    np.testing.assert_allclose(gradient[rest], 0, atol=1e-9 * np.abs(rhs).max())
    inverse = cho_solve((result.factor, True), np.eye(len(result.free)))
    np.testing.assert_allclose(inverse @ gram, np.eye(len(inverse)), atol=5e-3)


def test_gram_matrix_streams_and_combines(frames):
    weights = label_weights(frames[:4], np.zeros(2), SMALL)
    parts = [empty_normal(SMALL), empty_normal(SMALL)]
    rows = []
    for number, frame in enumerate(frames[:4]):
        part = number % 2
        labels = (frame.energy, frame.forces, frame.stress)
        parts[part] = accumulate(parts[part], frame.atoms, *labels, weights)
        rows.append(weighted_rows(frame, SMALL, weights)[0])
    stacked = np.concatenate(rows)
    whole = combine(parts)
    np.testing.assert_allclose(
        np.tril(whole.gram), np.tril(stacked.T @ stacked), atol=1e-12, rtol=1e-10
    )
    assert whole.n_frames == 4
    # The loss of a zero model is the sum of the shares when energies are centred.
    assert whole.squares > 1.0


def test_one_composition_still_gives_right_energies(frames, truth):
    same = [frame for frame in frames if frame.atoms.get_chemical_symbols().count("Li") == 4]
    result = fit_potential(same, SMALL, regularisation=WEAK)
    assert result.train_errors["rmse_energy"] < 1e-3
    one_body = one_body_reference(same, SMALL.elements)
    assert one_body["Li"] == pytest.approx(one_body["S"])
    given = fit_potential(same, SMALL, regularisation=WEAK, one_body=truth.one_body)
    assert given.potential.one_body == truth.one_body


def test_core_is_monotonic_smooth_and_below_the_data(result, frames):
    knots = result.potential.two_body["Li", "Li"].knots
    edges = core_edges(SMALL, result.min_distance)
    sizes = core_sizes(SMALL, result.min_distance)
    assert (sizes > 0).all()
    for pair, edge, size in zip(result.potential.two_body.values(), edges, sizes, strict=True):
        assert knots[size + 3] <= edge < knots[size + 4]
        r = np.linspace(0, knots[size + 1], 50)
        slope = np.diff(spline_values(pair.knots, pair.coefficients, r)) / np.diff(r)
        assert (slope < 0).all()
        assert slope[0] < -100
        assert (np.diff(slope) > -1e-9).all()


def test_a_pair_that_kept_far_apart_has_its_core_at_contact():
    edges = core_edges(SMALL, np.array([2.0, 4.9, np.inf]))
    assert edges[0] == 2.0
    # Covalent radii 1.28 (Li) and 1.05 A (S).
    np.testing.assert_allclose(edges[1:], [1.5 * 2.33, 1.5 * 2.10], atol=1e-12)


def test_unseen_pair_gets_a_core_and_stays_finite():
    far = Atoms("Li2S", [[0, 0, 0], [2.9, 0, 0], [20, 0, 0]])
    frame = LabelledFrame(far, -1.0, np.zeros((3, 3)), None, "far")
    result = fit_potential([frame], SMALL)
    close = Atoms("LiS", [[0, 0, 0], [0.9, 0, 0]])
    assert evaluate(result.potential, close).forces[0, 0] < -10


@pytest.mark.parametrize("field", ["energy", "forces", "stress"])
def test_a_label_that_is_not_finite_names_its_structure(frames, field):
    spoiled = np.array(getattr(frames[3], field), dtype=float)
    spoiled[(0,) * spoiled.ndim] = np.nan
    bad = [*frames[:3], replace(frames[3], **{field: spoiled})]
    with pytest.raises(HopechoError, match=f"{field} of frame 3 is not finite"):
        fit_potential(bad, SMALL)


def test_leverages_of_the_training_rows_sum_to_the_effective_dof(frames, tmp_path):
    chosen = frames[:5]
    result = fit_potential(
        chosen, SMALL, shares={"energy": 0.0, "stress": 0.0}, one_body={"Li": 0, "S": 0}
    )
    total = sum(leverage(result, frame.atoms).sum() for frame in chosen)
    assert total == pytest.approx(result.effective_dof, rel=1e-3)
    assert 0 < result.effective_dof < len(result.free)
    save_leverage(tmp_path / "leverage.npz", result)
    loaded = load_leverage(tmp_path / "leverage.npz")
    np.testing.assert_allclose(
        leverage(loaded, frames[9].atoms), leverage(result, frames[9].atoms), rtol=1e-12
    )
    compressed = frames[0].atoms.copy()
    compressed.set_cell(compressed.cell.array * 0.85, scale_atoms=True)
    assert leverage(result, compressed).max() > 2 * leverage(result, frames[0].atoms).max()


def test_cross_validation_prefers_a_regularisation_between_extremes(frames):
    rng = np.random.default_rng(8)
    noisy = [
        replace(f, forces=f.forces + rng.normal(scale=0.3, size=f.forces.shape)) for f in frames
    ]
    candidates = [Regularisation(ridge_3b=ridge) for ridge in (1e-9, 1e-3, 1e4)]
    outcome = cross_validate(
        noisy[:12], SMALL, candidates, folds=3, groups=[n // 2 for n in range(12)]
    )
    assert outcome.best is candidates[1]
    assert (outcome.losses > 0).all()
    with pytest.raises(HopechoError, match="two groups"):
        cross_validate(noisy[:2], SMALL, candidates, groups=[0, 0])


def test_curvature_penalty_vanishes_on_straight_lines():
    penalty = penalty_matrix(SMALL, Regularisation(0.0, 0.0, 1.0, 1.0))
    c = np.zeros(len(penalty))
    row = layout(SMALL).pair_column[0]
    fitted = row[row >= 0]
    c[fitted] = len(fitted) - np.arange(len(fitted))
    # The line meets the held zeros at the cutoff: one kink of size 1.
    assert c @ penalty @ c == pytest.approx(1.0)
    np.testing.assert_array_equal(penalty, penalty.T)


def test_error_metrics_by_element_and_json(truth, frames):
    shifted = [replace(f, forces=f.forces + np.array([0.3, 0, 0])) for f in frames[:3]]
    metrics = error_metrics(truth, shifted)
    assert metrics["rmse_force_Li"] == pytest.approx(0.3 / np.sqrt(3))
    assert metrics["mae_force_S"] == pytest.approx(0.1)
    assert metrics["rmse_energy"] == pytest.approx(0, abs=1e-12)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    with pytest.raises(HopechoError, match="no frame"):
        error_metrics(truth, [])
