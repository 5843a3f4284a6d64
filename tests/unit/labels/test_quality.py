import re

import numpy as np
import pytest
from ase import Atoms

from hopecho.labels.castep import castep_reasons, castep_version
from hopecho.labels.interface import label_key, settings_hash, structure_hash
from hopecho.labels.quality import (
    TRANSIENT,
    Limits,
    by_weight,
    charge_reasons,
    efg_reasons,
    is_transient,
    limit_reasons,
    match_atoms,
    results_reasons,
)


def skewed(n: int = 30) -> Atoms:
    rng = np.random.default_rng(2)
    atoms = Atoms(
        numbers=rng.choice([3, 15, 16], n), cell=[[9, 0, 0], [4, 8, 0], [-3, 2, 9]], pbc=True
    )
    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), -1).reshape(-1, 3)
    atoms.set_scaled_positions(grid[:n])
    return atoms


def test_match_recovers_any_order_and_wrapping():
    rng = np.random.default_rng(5)
    atoms = skewed()
    order = rng.permutation(len(atoms))
    images = rng.integers(-3, 4, size=(len(atoms), 3)) @ atoms.cell.array
    noise = rng.uniform(-1e-6, 1e-6, size=(len(atoms), 3))
    found, reasons = match_atoms(
        atoms,
        numbers=atoms.numbers[order],
        cell=atoms.cell.array,
        positions=(atoms.positions + images + noise)[order],
    )
    assert reasons == []
    assert np.array_equal(order[found], np.arange(len(atoms)))


def test_match_names_what_differs():
    atoms = skewed()
    same = {"numbers": atoms.numbers, "cell": atoms.cell.array, "positions": atoms.positions}
    moved = atoms.positions.copy()
    moved[3] += 0.01
    swapped = atoms.numbers.copy()
    a, b = np.nonzero(swapped == 3)[0][0], np.nonzero(swapped == 16)[0][0]
    swapped[[a, b]] = swapped[[b, a]]
    cases = {
        "atom_count": {"numbers": atoms.numbers[:-1], "positions": atoms.positions[:-1]},
        "species": {"numbers": np.where(atoms.numbers == 15, 14, atoms.numbers)},
        "cell_mismatch": {"cell": atoms.cell.array * 1.001},
        "atom_order": {"positions": moved},
    }
    for reason, change in cases.items():
        assert match_atoms(atoms, **(same | change))[1] == [reason]
    assert match_atoms(atoms, **(same | {"numbers": swapped}))[1] == ["atom_order"]
    for name, reason in (("cell", "cell_mismatch"), ("positions", "atom_order")):
        for bad in (np.nan, np.inf):
            hurt = same[name].copy()
            hurt[1, 1] = bad
            assert match_atoms(atoms, **(same | {name: hurt}))[1] == [reason]


@pytest.mark.parametrize(
    ("word", "reasons"),
    [("0.0", []), ("1.0", ["charged_cell"]), ("****", ["unreadable_output"]), ("nan", None)],
)
def test_a_net_charge_that_cannot_be_read_is_no_neutral_cell(word, reasons):
    found = charge_reasons(re.search(r"charge: (\S+)", f"charge: {word}"))
    assert found == (["charged_cell"] if reasons is None else reasons)
    assert charge_reasons(None) == []


def test_results_gates():
    zero, six = np.zeros((4, 3)), np.zeros(6)
    assert results_reasons(-1.0, zero, six, n_atoms=4) == []
    assert results_reasons(-1.0, zero, six, n_atoms=5) == ["atom_count"]
    assert results_reasons(-1.0, zero, six[:3], n_atoms=4) == ["stress_shape"]
    assert results_reasons(np.nan, zero, six, n_atoms=4) == ["not_finite"]
    assert results_reasons(-1.0, zero, None, n_atoms=4) == []
    assert results_reasons(-1.0, zero * np.nan, None, n_atoms=4) == ["not_finite"]
    assert results_reasons(-1.0, zero, six + np.inf, n_atoms=4) == ["not_finite"]


def test_limits_are_of_norms_and_components():
    limits = Limits(max_force_ev_a=5.0, max_stress_ev_a3=0.5)
    forces, stress = np.zeros((2, 3)), np.zeros(6)
    assert limit_reasons(forces, stress, limits) == []
    forces[1] = [3.0, 4.0, 0.1]
    stress[4] = -0.51
    assert limit_reasons(forces, stress, limits) == ["force_limit", "stress_limit"]
    assert limit_reasons(forces, None, limits) == ["force_limit"]
    assert limit_reasons(forces, stress, Limits()) == []


def test_efg_gates():
    good = np.tile(np.diag([1.0, 1.0, -2.0]), (2, 1, 1))
    assert efg_reasons(good, n_atoms=2) == []
    assert efg_reasons(good, n_atoms=3) == ["efg_shape"]
    rounded = np.round(good / 3, 4)
    assert efg_reasons(rounded, n_atoms=2) == []
    skew = good.copy()
    skew[0, 0, 1] = 0.1
    assert efg_reasons(skew, n_atoms=2) == ["efg_asymmetry"]
    assert efg_reasons(good + np.eye(3), n_atoms=2) == ["efg_trace"]


def test_text_gates_look_at_the_last_record():
    done = (
        "Welcome to Academic Release CASTEP version 24.1\n...\nFinalisation time   =      0.10 s\n"
    )
    bad = done.replace(
        "...", "*Warning* max. SCF cycles performed but system has not reached the groundstate."
    )
    assert castep_reasons(done, version="24.1") == []
    assert castep_reasons(bad) == ["scf_unconverged"]
    assert castep_reasons(bad + done) == []
    assert castep_reasons(done + "Welcome to CASTEP version 24.1\n") == ["incomplete"]
    assert castep_reasons("") == ["incomplete"]
    assert castep_reasons(done, version="23.1") == ["version_mismatch"]
    charge = "net charge of system                           :  {}\n"
    assert castep_reasons(done.replace("...", charge.format("0.000"))) == []
    assert castep_reasons(done.replace("...", charge.format("-1.000"))) == ["charged_cell"]
    assert castep_reasons(done, errors="Error in nlpot: unknown") == ["code_error"]
    assert castep_version("CASTEP version: 24.1\n") == "24.1"
    assert castep_version("bash: castep: not found") is None


def test_one_scientific_reason_decides():
    assert is_transient(["killed", "incomplete"])
    assert not is_transient(["incomplete", "scf_unconverged"])
    assert "not_finite" not in TRANSIENT
    assert by_weight(["incomplete", "exit_code", "io_error"])[0] == "io_error"
    assert by_weight(["exit_code", "incomplete", "killed"])[0] == "killed"
    assert by_weight(["killed", "code_error", "exit_code"])[0] == "code_error"


def test_structure_hash_is_of_content():
    atoms = skewed()
    reference = structure_hash(atoms)
    copy = atoms.copy()
    copy.info["x"] = 1
    copy.arrays["site"] = np.arange(len(copy))
    copy.positions += 1e-13
    assert structure_hash(copy) == reference
    for change in ("positions", "numbers", "cell"):
        other = atoms.copy()
        if change == "positions":
            other.positions[0, 0] += 1e-9
        elif change == "numbers":
            other.numbers[0] += 1
        else:
            other.cell[0, 0] += 1e-9
        assert structure_hash(other) != reference
    zero = Atoms("Li", positions=[[-0.0, 0, 0]], cell=[1, 1, 1], pbc=True)
    plus = Atoms("Li", positions=[[0.0, 0, 0]], cell=[1, 1, 1], pbc=True)
    assert structure_hash(zero) == structure_hash(plus)
    atoms.pbc = [True, True, False]
    with pytest.raises(Exception, match="not periodic"):
        structure_hash(atoms)


def test_keys_depend_on_each_part():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})
    keys = {
        label_key(*parts)
        for parts in (
            ("s", "c", "k", "d"),
            ("S", "c", "k", "d"),
            ("s", "C", "k", "d"),
            ("s", "c", "K", "d"),
            ("s", "c", "k", "D"),
            ("s", "ck", "", "d"),
        )
    }
    assert len(keys) == 6
