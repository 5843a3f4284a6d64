"""Selection: planted duplicates go, planted novel environments come, and only because of SOAP."""

import json

import numpy as np
import pytest

from hopecho.errors import HopechoError
from hopecho.learning.selection import SelectionSettings, select
from hopecho.structures.crystals import load_crystal

SOAP = SelectionSettings()
RANDOM = SelectionSettings(strategy="random")


def thermal(seed, *, sigma=0.10, repeat=(1, 1, 2), phase="beta", temperature_k=300):
    """A crystal with independent Gaussian displacements, Li half as much again as the framework."""
    atoms = load_crystal("beta-Li3PS4").repeat(repeat)
    scale = np.where(atoms.numbers == 3, 1.5, 1.0)[:, None]
    atoms.positions += sigma * scale * np.random.default_rng(seed).normal(size=(len(atoms), 3))
    atoms.info = {"phase": phase, "temperature_k": temperature_k, "seed": seed}
    return atoms


def nearest(atoms, index, number):
    others = np.flatnonzero(atoms.numbers == number)
    others = others[others != index]
    return int(others[atoms.get_distances(index, others, mic=True).argmin()])


def share_a_corner(atoms):
    """Put a S between two P, bonded to both: the corner of P2S7 (nothing else relaxed)."""
    atoms = atoms.copy()
    q = int(np.flatnonzero(atoms.numbers == 15)[0])
    partner = nearest(atoms, q, 15)
    bond = atoms.get_distance(q, partner, mic=True, vector=True)
    bridge = nearest(atoms, q, 16)
    atoms.positions[bridge] = atoms.positions[q] + 2.05 * bond / np.linalg.norm(bond)
    atoms.positions[partner] = atoms.positions[q] + 4.1 * bond / np.linalg.norm(bond)
    return atoms


def compress_lithium(atoms):
    """Push a Li to 1.9 A from its nearest Li (3.3 A in the crystal)."""
    atoms = atoms.copy()
    i = int(np.flatnonzero(atoms.numbers == 3)[0])
    j = nearest(atoms, i, 3)
    bond = atoms.get_distance(i, j, mic=True, vector=True)
    atoms.positions[j] = atoms.positions[i] + 1.9 * bond / np.linalg.norm(bond)
    return atoms


@pytest.fixture(scope="module")
def training():
    return [thermal(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def ordinary():
    return [thermal(seed) for seed in range(100, 112)]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_duplicates_of_training_and_of_each_other_are_rejected(training, ordinary):
    twin = training[3].copy()
    twin.positions += 0.005 * rng(1).normal(size=twin.positions.shape)
    shifted = ordinary[0].copy()
    shifted.positions += [1.0, 2.0, 3.0]  # the same frame to any physics
    candidates = [*ordinary, twin, shifted]
    result = select(candidates, training, n_select=14, settings=SOAP, rng=rng())
    n = len(ordinary)
    assert n not in result.indices
    assert len({0, n + 1} & set(result.indices)) == 1
    duplicates = {r.index for r in result.rejected if r.reason.startswith("duplicate")}
    assert duplicates == {n, *({0, n + 1} - set(result.indices))}
    assert len(result.selected) == n  # every thermal frame is worth something, no duplicate is


@pytest.mark.parametrize("plant", [share_a_corner, compress_lithium])
def test_planted_environment_is_chosen_because_of_soap(plant, training, ordinary):
    planted = plant(ordinary[5])
    candidates = [*ordinary[:5], planted, *ordinary[6:]]
    result = select(candidates, training, n_select=1, settings=SOAP, rng=rng())
    assert result.indices == [5]
    chosen = result.selected[0]
    assert "SOAP distance" in chosen.reason
    # Take the novelty away and the frame is nothing special.
    control = select(ordinary, training, n_select=12, settings=SOAP, rng=rng())
    others = [s.novelty for s in control.selected]
    assert chosen.novelty > 1.3 * max(others)
    known = select(candidates, [*training, planted], n_select=1, settings=SOAP, rng=rng())
    assert known.indices != [5]


@pytest.mark.parametrize("plant", [share_a_corner, compress_lithium])
def test_random_choice_finds_the_planted_frame_no_more_often_than_chance(plant, training, ordinary):
    candidates = [*ordinary[:5], plant(ordinary[5]), *ordinary[6:]]
    n = 60
    hits = sum(
        select(candidates, training, n_select=1, settings=RANDOM, rng=rng(s)).indices == [5]
        for s in range(n)
    )
    p = 1 / len(candidates)
    assert abs(hits - n * p) < 4 * np.sqrt(n * p * (1 - p))
    assert select(candidates, training, n_select=1, settings=RANDOM, rng=rng(0)).indices != [5]


def test_one_new_environment_in_a_known_frame_is_no_duplicate():
    known = thermal(1, repeat=(2, 2, 2))
    changed = compress_lithium(known)
    result = select([known.copy(), changed], [known], n_select=2, settings=SOAP, rng=rng())
    assert result.indices == [1]


def test_choices_make_their_environments_known(training, ordinary):
    """Two frames with the same planted cluster: the second is ordinary once the first is taken."""
    first = compress_lithium(ordinary[0])
    second = first.copy()
    second.positions += 0.03 * rng(2).normal(size=second.positions.shape)
    result = select([*ordinary[1:], first, second], training, n_select=3, settings=SOAP, rng=rng())
    assert result.indices[0] in (11, 12)
    assert len({11, 12} & set(result.indices)) == 1
    novelty = [s.novelty for s in result.selected]
    assert novelty == sorted(novelty, reverse=True)


def test_strata_get_their_turns_although_the_hot_one_is_more_novel(training):
    cold = [thermal(s, sigma=0.08) for s in range(200, 206)]
    hot = [thermal(s, sigma=0.2, temperature_k=600) for s in range(300, 306)]
    half = select([*cold, *hot], training, n_select=4, settings=SOAP, rng=rng())
    none = SelectionSettings(stratified_fraction=0.0)
    by_novelty = select([*cold, *hot], training, n_select=4, settings=none, rng=rng())
    assert [s.temperature_k for s in half.selected].count(300) == 1
    assert [s.temperature_k for s in by_novelty.selected].count(300) == 0


def test_unphysical_and_unstable_frames(training, ordinary):
    collapsed = ordinary[0].copy()
    collapsed.positions[0] = collapsed.positions[40] + [0.5, 0.0, 0.0]
    lost = ordinary[1].copy()
    lost.positions[3] = np.nan
    exploding = [compress_lithium(thermal(s, sigma=0.2)) for s in range(400, 406)]
    for frame in exploding:
        frame.info["unstable"] = True
    candidates = [collapsed, lost, *ordinary[2:8], *exploding]
    result = select(candidates, training, n_select=8, settings=SOAP, rng=rng())
    assert [r.index for r in result.rejected] == [0, 1]
    assert "0.50 A" in result.rejected[0].reason
    assert "not finite" in result.rejected[1].reason
    assert sum(i >= 8 for i in result.indices) == 2
    assert all("unstable" in s.reason for s in result.selected if s.index >= 8)


def test_when_every_run_explodes_its_sane_frames_are_taken(training):
    frames = [thermal(s, sigma=0.12) for s in range(500, 504)]
    for frame in frames:
        frame.info["unstable"] = True
    result = select(frames, training, n_select=4, settings=SOAP, rng=rng())
    assert sorted(result.indices) == [0, 1, 2, 3]


def test_model_score_is_off_by_default_and_reorders_when_given(training, ordinary):
    score = np.zeros(len(ordinary))
    plain = select(ordinary, training, n_select=1, settings=SOAP, rng=rng())
    odd = next(i for i in range(len(ordinary)) if i != plain.indices[0])
    score[odd] = 1e3
    whole = SelectionSettings(model_weight=1.0)
    nothing = SelectionSettings(model_weight=0.0)
    args = {"n_select": 1, "model_score": score}
    assert select(ordinary, training, settings=whole, rng=rng(), **args).indices == [odd]
    chosen = select(ordinary, training, settings=nothing, rng=rng(), **args).indices
    assert chosen == plain.indices


def test_first_round_without_training_is_farthest_point_sampling(ordinary):
    result = select(ordinary, [], n_select=3, settings=SOAP, rng=rng())
    assert result.selected[0].novelty == pytest.approx(np.sqrt(2), abs=1e-5)
    assert result.selected[1].novelty < 0.5


def test_deterministic_and_plain_json(training, ordinary):
    a, b = (
        select(ordinary, training, n_select=4, settings=SOAP, rng=rng(7)).to_dict()
        for _ in range(2)
    )
    assert json.dumps(a, allow_nan=False) == json.dumps(b, allow_nan=False)


@pytest.mark.parametrize("key", ["phase", "temperature_k", "seed"])
def test_missing_info_key_is_named(key, ordinary):
    frame = ordinary[0].copy()
    del frame.info[key]
    with pytest.raises(HopechoError, match=key):
        select([frame], [], n_select=1, settings=RANDOM, rng=rng())


@pytest.mark.parametrize(
    ("settings", "score", "text"),
    [
        (SelectionSettings(strategy="gap"), None, "strategy"),
        (SelectionSettings(max_unstable_fraction=1.5), None, "max_unstable_fraction"),
        (RANDOM, np.zeros(3), "one finite number"),
        (RANDOM, np.array([np.nan]), "one finite number"),
    ],
)
def test_bad_arguments_are_refused(settings, score, text, ordinary):
    with pytest.raises(HopechoError, match=text):
        select(ordinary[:1], [], n_select=1, settings=settings, rng=rng(), model_score=score)


def test_no_candidates_is_no_error(training):
    result = select([], training, n_select=3, settings=SOAP, rng=rng())
    assert result.selected == ()
