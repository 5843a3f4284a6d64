import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.structures import crystals


def shortest(atoms: Atoms, first: str, second: str) -> float:
    big = atoms.repeat((2, 2, 2))
    symbols = np.array(big.get_chemical_symbols())
    distances = big.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    return float(distances[np.ix_(symbols == first, symbols == second)].min())


def coordination(atoms: Atoms, centre: str, ligand: str, cutoff: float) -> list[int]:
    symbols = np.array(atoms.get_chemical_symbols())
    distances = atoms.get_all_distances(mic=True)
    return (distances[np.ix_(symbols == centre, symbols == ligand)] < cutoff).sum(axis=1).tolist()


@pytest.mark.parametrize("name", crystals.available())
def test_every_crystal_loads_with_provenance(name: str) -> None:
    atoms = crystals.load_crystal(name)
    assert atoms.pbc.all()
    assert atoms.info["crystal"] == name
    assert atoms.info["provenance"] in crystals.FLAGS
    assert len(atoms.info["source"]) > 10


def test_beta_is_ordered_with_published_distances() -> None:
    atoms = crystals.load_crystal("beta-Li3PS4")
    assert atoms.get_chemical_formula() == "Li12P4S16"
    assert shortest(atoms, "P", "S") == pytest.approx(2.05, abs=0.01)
    assert shortest(atoms, "Li", "S") >= 2.215
    assert shortest(atoms, "Li", "Li") >= 3.255
    big = atoms.repeat((1, 2, 2))
    assert set(coordination(big, "P", "S", 2.5)) == {4}
    # Eight 8d sites are tetrahedral, four 4b sites octahedral.
    assert sorted(coordination(big, "Li", "S", 3.2)) == [4] * 32 + [6] * 16


def test_gamma_distances() -> None:
    atoms = crystals.load_crystal("gamma-Li3PS4")
    assert atoms.get_chemical_formula() == "Li6P2S8"
    assert shortest(atoms, "P", "S") == pytest.approx(2.05, abs=0.01)
    assert shortest(atoms, "Li", "S") >= 2.175
    big = atoms.repeat((2, 2, 2))
    assert set(coordination(big, "Li", "S", 3.1)) == {4}


def test_beta_keeps_its_space_group_inversion() -> None:
    atoms = crystals.load_crystal("beta-Li3PS4")
    fractional = atoms.get_scaled_positions()
    gaps = (-fractional)[:, None] - fractional[None]
    gaps -= np.round(gaps)
    same = np.array(atoms.get_chemical_symbols())[:, None] == atoms.get_chemical_symbols()
    assert ((np.abs(gaps).max(axis=2) < 1e-6) & same).any(axis=1).all()


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(HopechoError, match="did you mean 'beta-Li3PS4'"):
        crystals.load_crystal("beta-LiPS4")


def test_explicit_operations_equal_the_space_group() -> None:
    common = {
        "name": "x",
        "flag": "exact",
        "source": "made up",
        "cell": [5.0, 6.0, 7.0, 90, 90, 90],
        "sites": [
            {"element": "P", "position": [0.1, 0.2, 0.3]},
            {"element": "S", "position": [0.0, 0.0, 0.0]},
            {"element": "Li", "position": [0.4, 0.1, 0.1], "use": False},
        ],
    }
    listed = crystals.crystal_from_dict(
        {**common, "operations": ["x,y,z", "-x,-y,-z"]}, where="test"
    )
    grouped = crystals.crystal_from_dict({**common, "space_group": 2}, where="test")
    assert listed.get_chemical_formula() == grouped.get_chemical_formula() == "P2S"
    assert np.allclose(listed.get_scaled_positions(), grouped.get_scaled_positions(), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flag": "guessed"}, "flag"),
        ({"operations": ["x,y,z"]}, "exactly once"),
        ({"space_group": None}, "exactly once"),
    ],
)
def test_damaged_files_are_refused(change: dict, message: str) -> None:
    data: dict = {"name": "x", "flag": "exact", "source": "s", "space_group": 1}
    data["cell"] = [5, 5, 5, 90, 90, 90]
    data["sites"] = [{"element": "P", "position": [0, 0, 0]}]
    data.update(change)
    if data["space_group"] is None:
        del data["space_group"]
    with pytest.raises(HopechoError, match=message):
        crystals.crystal_from_dict(data, where="test.yaml")
