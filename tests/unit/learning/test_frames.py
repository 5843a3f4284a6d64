"""Frames that a round labels, their roles, and errors of a potential on them."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.extxyz import ENERGY, FORCES
from hopecho.learning.evaluation import error_sample
from hopecho.learning.frames import (
    audit_frames,
    initial_frames,
    split_roles,
    spread_frames,
    with_origin,
    with_roles,
)
from hopecho.learning.samples import metric
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.evaluate import evaluate, pack


def start(phase, quench=0):
    atoms = load_crystal("beta-Li3PS4")
    atoms.info = {"phase": phase, "quench": quench}
    return atoms


def initial(seed=0, **changes):
    known = {
        "phases": ["beta", "glass"], "initial_per_phase": 8, "rattle_angstrom": [0.02, 0.1],
        "strain_amplitude": 0.03, "heldout_every": 4,
    }  # fmt: skip
    starts = [start("beta"), start("glass", 0), start("glass", 1)]
    return initial_frames(starts, rng=np.random.default_rng(seed), **(known | changes))


def test_initial_frames_have_counts_roles_and_origin():
    frames = initial()
    assert Counter(f.info["phase"] for f in frames) == {"beta": 8, "glass": 8}
    assert Counter(f.info["role"] for f in frames) == {"train": 12, "withheld": 4}
    assert [k for k, f in enumerate(frames) if f.info["role"] == "withheld"] == [3, 7, 11, 15]
    glass = [f for f in frames if f.info["phase"] == "glass"]
    assert Counter(f.info["seed"] for f in glass) == {0: 4, 1: 4}  # its quenches in turn
    assert {f.info["trajectory"] for f in glass} == {"rattled-glass-0", "rattled-glass-1"}


def test_initial_frames_are_rattled_by_the_amplitudes_in_turn_and_half_are_strained():
    frames = initial(phases=["beta"])
    ideal = load_crystal("beta-Li3PS4")
    seen = set()
    for k, frame in enumerate(frames):
        change = frame.get_scaled_positions(wrap=False) - ideal.get_scaled_positions(wrap=False)
        shift = change @ frame.cell.array
        assert shift.std() == pytest.approx([0.02, 0.1][(k // 2) % 2], rel=0.25)
        strain = np.linalg.solve(ideal.cell.array, frame.cell.array) - np.eye(3)
        assert np.abs(strain).max() <= 0.03 + 1e-12
        strained = np.abs(strain).max() > 1e-6
        seen.add((frame.info["role"], bool(strained)))
    # Neither what is trained on nor what is withheld is of one kind.
    assert len(seen) == 4


def test_a_seed_decides_everything():
    def positions(seed):
        return np.array([f.positions for f in initial(seed)])

    np.testing.assert_array_equal(positions(3), positions(3))
    assert not np.allclose(positions(3), positions(4))


def test_a_phase_without_a_structure_is_an_error():
    with pytest.raises(HopechoError, match=r"phase gamma[\s\S]*learning\.phases"):
        initial(phases=["beta", "gamma"])


def test_roles_leave_the_originals_alone():
    frames = [start("beta") for _ in range(5)]
    assert [f.info["role"] for f in with_roles(frames, heldout_every=2)] == [
        "train", "withheld", "train", "withheld", "train",
    ]  # fmt: skip
    assert "role" not in frames[0].info


def run_frames(phase, n, *, exploded=()):
    """Frames that tell their index; exploded ones have a pair at 0.5 A."""
    frames = []
    for k in range(n):
        second = [0.5, 0, 0] if k in exploded else [2.0, 0, 0]
        frame = Atoms("LiS", positions=[[0, 0, 0], second], cell=[8, 8, 8], pbc=True)
        frame.info = {"phase": phase, "index": k}
        frames.append(frame)
    return frames


def audit(frames, seed=0, n=4):
    rng = np.random.default_rng(seed)
    return audit_frames(frames, audit_per_phase=n, min_distance=1.4, rng=rng)


def test_the_audit_draws_each_phase_and_no_exploded_frame():
    bad = tuple(range(0, 20, 2))
    frames = run_frames("glass", 20, exploded=bad) + run_frames("beta", 3)
    drawn = audit(frames)
    assert Counter(f.info["phase"] for f in drawn) == {"beta": 3, "glass": 4}
    picked = [f.info["index"] for f in drawn if f.info["phase"] == "glass"]
    assert len(set(picked)) == 4
    assert not set(picked) & set(bad)
    assert {f.info["role"] for f in drawn} == {"train"}


def test_the_audit_is_random_and_depends_on_the_seed_only():
    frames = run_frames("beta", 12)
    picks = [tuple(f.info["index"] for f in audit(frames, seed, n=3)) for seed in range(80)]
    assert picks[:3] == [tuple(f.info["index"] for f in audit(frames, s, n=3)) for s in range(3)]
    assert len(set(picks)) > 40
    counts = Counter(index for pick in picks for index in pick)
    # 20 draws each on average; every frame has the same chance (5 sigma)
    assert max(abs(counts[k] - 20) for k in range(12)) < 5 * np.sqrt(20)


def test_an_audit_of_explosions_only_says_what_to_do():
    with pytest.raises(HopechoError, match=r"5 frames[\s\S]*initial_per_phase"):
        audit(run_frames("beta", 5, exploded=range(5)))


def test_spread_frames_take_the_second_half_evenly():
    runs = [run_frames("beta", 20), run_frames("beta", 1), []]
    frames = spread_frames(runs, frames_per_run=4)
    assert [f.info["index"] for f in frames] == [10, 13, 16, 19, 0]
    exploded = spread_frames(
        [run_frames("b", 20, exploded=(13,))], frames_per_run=4, min_distance=1
    )
    assert [f.info["index"] for f in exploded] == [10, 16, 19]


def hashed(key, role=None, note=""):
    atoms = Atoms("Li")
    atoms.info = {"hash": key, "note": note} | ({"role": role} if role else {})
    return atoms


def test_a_structure_counts_once_and_withheld_wins():
    frames = [hashed("a", "train"), hashed("b", "withheld"), hashed("c"), hashed("a", "train"),
              hashed("c", "withheld"), hashed("b", "train"), hashed("d", "train")]  # fmt: skip
    train, withheld = split_roles(frames)
    assert [f.info["hash"] for f in train] == ["a", "d"]
    assert [f.info["hash"] for f in withheld] == ["b", "c"]


def test_labels_get_the_origin_of_their_frame():
    frames = {"a": hashed("old", "train", "from MD"), "b": hashed("old")}
    labelled = Atoms("Li", info={"hash": "a", "source": "model PES"})
    (result,) = with_origin([labelled], frames)
    assert result.info == {
        "hash": "a", "source": "model PES", "role": "train", "note": "from MD",
    }  # fmt: skip
    assert "note" not in labelled.info


def test_errors_of_a_potential_are_those_that_were_planted():
    spec = BasisSpec(("Li", "P", "S"), 4.0, 3.0, intervals_2b=6, intervals_3b=3, intervals_jk=4)
    rng = np.random.default_rng(0)
    potential = potential_from(spec, rng.normal(scale=0.05, size=layout(spec).n_columns), {})
    frames = []
    for k in range(3):
        atoms = start("beta") if k else start("glass").repeat((2, 1, 1))
        atoms.rattle(0.1, seed=k)
        prediction = evaluate(pack(potential), atoms)
        atoms.info |= {"hash": f"h{k}", "phase": "beta" if k else "glass",
                       ENERGY: prediction.energy - 0.01 * len(atoms)}  # fmt: skip
        atoms.arrays[FORCES] = prediction.forces - np.array([0.3, 0.0, 0.0])
        frames.append(atoms)
    sample = error_sample(potential, frames)
    assert sample.ids == ("h0", "h1", "h2")
    assert sample.phases == ("glass", "beta", "beta")
    np.testing.assert_array_equal(sample.n_atoms, [64, 32, 32])
    np.testing.assert_allclose(sample.energy_error, 0.01, rtol=1e-9)
    np.testing.assert_allclose(sample.force_error2, 0.03, rtol=1e-9)  # mean over components
    true = np.concatenate([f.arrays[FORCES] for f in frames])
    expected = np.sqrt(0.03 / (true**2).mean())
    assert metric(sample, "force_relative", np.arange(3)) == pytest.approx(expected)
