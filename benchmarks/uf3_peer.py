"""Features of one structure by the uf3 package, run by featurise.py in an environment of its own.

``python uf3_peer.py model.json structure.npz result.npz`` (uf3 0.4.0; no hopecho here). Writes the
processor time, s, the number of columns, and the features times the model's coefficients: energy
(eV), then forces (eV/A) in atom order.
"""

import sys
import time
import warnings

import numpy as np
from ase import Atoms
from uf3.regression.least_squares import WeightedLinearModel
from uf3.representation.process import BasisFeaturizer


def rows_of(featuriser: BasisFeaturizer, atoms: Atoms) -> np.ndarray:
    """Return the rows of energy and of forces in atom order, (1 + 3 n_atoms, n_columns)."""
    rows = featuriser.evaluate_configuration(atoms, energy=0.0, forces=np.zeros((3, len(atoms))))
    names = ["energy"] + [f"f{axis}_{i}" for i in range(len(atoms)) for axis in "xyz"]
    return np.array([rows[name][1:] for name in names])


def main(model_path: str, structure: str, result: str) -> None:
    """Compile on a molecule, then time one structure."""
    warnings.simplefilter("ignore")
    model = WeightedLinearModel.from_json(model_path)
    featuriser = BasisFeaturizer(model.bspline_config)
    rows_of(featuriser, Atoms("LiPS", positions=[[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0]]))
    with np.load(structure, allow_pickle=False) as data:
        atoms = Atoms(data["numbers"], positions=data["positions"], cell=data["cell"], pbc=True)
    start = time.process_time()
    rows = rows_of(featuriser, atoms)
    seconds = time.process_time() - start
    prediction = rows @ model.coefficients
    np.savez(result, seconds=seconds, prediction=prediction, n_columns=rows.shape[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
