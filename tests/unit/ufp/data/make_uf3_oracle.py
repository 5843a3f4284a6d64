"""Write uf3_model.json and uf3_oracle.npz with the uf3 package (see README.md for the command).

Environment: requirements-uf3.txt beside this file (uf3 0.4.0 needs numpy < 2.4 and pandas < 3).

uf3_model.json : a model with random coefficients, as uf3 writes it.
uf3_oracle.npz (plain arrays) :
    cell, numbers, positions, and positions of a second structure: two_positions
    spec : cutoffs 2b, 3b; intervals 2b, 3b, jk; first knots 2b, 3b
    columns (n_columns, 4) : kind of each uf3 column and its place in our basis, see `columns_of`
    energy (n_columns,), forces (n_atoms, 3, n_columns) : uf3's features of the first structure
    model_energy (2,), model_forces (2, n_atoms, 3) : uf3's results for uf3_model.json
    written_sha256, written_energy, written_forces : the file of `write_uf3_json` as uf3 loaded it
"""

import hashlib
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms
from uf3.data.composition import ChemicalSystem
from uf3.forcefield.calculator import UFCalculator
from uf3.regression.least_squares import WeightedLinearModel
from uf3.representation.bspline import BSplineBasis
from uf3.representation.process import BasisFeaturizer

from hopecho.io.uf3_json import read_uf3_json, write_uf3_json

HERE = Path(__file__).parent
CUT2, CUT3, N2, N3, NJK, FIRST2, FIRST3 = 5.0, 3.6, 6, 4, 5, 0.0, 1.0


def structures() -> list[Atoms]:
    """Two rattled triclinic cells of seven atoms, smaller than the cutoff."""
    cell = [[4.7, 0, 0], [0.7, 4.4, 0], [-0.5, 0.9, 4.6]]
    corners = np.array(list(product((0.0, 0.5), repeat=3)))[:7]
    out = []
    for seed in (3, 4):
        atoms = Atoms("LiSLiPSLiS", scaled_positions=corners, cell=cell, pbc=True)
        atoms.positions += np.random.default_rng(seed).normal(scale=0.12, size=(7, 3))
        atoms.positions = atoms.positions.round(6)
        out.append(atoms)
    return out


def basis() -> BSplineBasis:
    """The basis of `spec` in uf3's words; trailing_trim 3 and no leading trim."""
    system = ChemicalSystem(["Li", "P", "S"], degree=3)
    pairs, trios = system.interactions_map[2], system.interactions_map[3]
    return BSplineBasis(
        system,
        r_min_map=dict.fromkeys(pairs, FIRST2) | {key: [FIRST3] * 3 for key in trios},
        r_max_map=dict.fromkeys(pairs, CUT2) | {key: [CUT3, CUT3, 2 * CUT3] for key in trios},
        resolution_map=dict.fromkeys(pairs, N2) | {key: [N3, N3, NJK] for key in trios},
        leading_trim=0,
        trailing_trim=3,
    )


def columns_of(config: BSplineBasis) -> np.ndarray:
    """Return term, l, m, n of each uf3 column; -1 where there is no such index.

    The term counts one-body, pair and triplet terms in uf3's order of `interactions`. A column of a
    triplet is a place of the grid (l, m, n) that `template_mask` keeps: uf3 drops the trimmed
    functions, those that no triangle reaches, and for equal neighbours the half l > m.
    """
    rows = []
    for term, key in enumerate(config.interactions):
        if isinstance(key, str):
            rows.append((term, -1, -1, -1))
        elif len(key) == 2:
            rows += [(term, n, -1, -1) for n in range(len(config.knots_map[key]) - 4)]
        else:
            shape = [len(axis) - 4 for axis in config.knots_map[key]]
            kept = np.unravel_index(config.template_mask[key], shape)
            rows += [(term, *place) for place in zip(*kept, strict=True)]
    return np.array(rows)


def results(model: WeightedLinearModel) -> tuple[list, list]:
    """Energies and forces of both structures."""
    calculator = UFCalculator(model)
    frames = structures()
    energies = [calculator.get_potential_energy(atoms) for atoms in frames]
    return energies, [calculator.get_forces(atoms) for atoms in frames]


def main() -> None:
    """Write both files."""
    config = basis()
    atoms, second = structures()
    rows = BasisFeaturizer(config).evaluate_configuration(
        atoms, energy=0.0, forces=np.zeros((3, len(atoms)))
    )
    forces = [[rows[f"f{x}_{i}"][1:] for x in "xyz"] for i in range(len(atoms))]
    model = WeightedLinearModel(config)
    # Short binary fractions keep the file small.
    draws = np.random.default_rng(7).normal(scale=32, size=config.n_feats).round() / 256
    draws[config.col_idx] = 0.0
    model.coefficients = draws
    model.to_json(HERE / "uf3_model.json")
    loaded = WeightedLinearModel.from_json(HERE / "uf3_model.json")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "written.json"
        write_uf3_json(written, read_uf3_json(HERE / "uf3_model.json"))
        digest = hashlib.sha256(written.read_bytes()).hexdigest()
        ours = results(WeightedLinearModel.from_json(written))
    theirs = results(loaded)
    np.savez_compressed(
        HERE / "uf3_oracle.npz",
        cell=atoms.cell.array,
        numbers=atoms.numbers,
        positions=atoms.positions,
        two_positions=second.positions,
        spec=np.array([CUT2, CUT3, N2, N3, NJK, FIRST2, FIRST3]),
        terms=np.array(["-".join([k] if isinstance(k, str) else k) for k in config.interactions]),
        columns=columns_of(config),
        energy=rows["energy"][1:],
        forces=np.array(forces),
        model_energy=np.array(theirs[0]),
        model_forces=np.array(theirs[1]),
        written_sha256=np.array(digest),
        written_energy=np.array(ours[0]),
        written_forces=np.array(ours[1]),
    )


if __name__ == "__main__":
    main()
