"""Rows of one structure against uf3 0.4.0: ``python benchmarks/featurise.py``, some minutes.

The peer runs in its own environment, made on first use in ``benchmarks/.venv/uf3`` from the pinned
``tests/unit/ufp/data/requirements-uf3.txt``. Both sides get one thread and are timed after a call
that compiles, in processor seconds. Both are multiplied by one random model, handed over in uf3's
JSON: its energy and forces must agree, so that every column is the same.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from timing import best_of, peer_environment, peer_python, write

from hopecho.io.uf3_json import write_uf3_json
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec, layout, potential_from
from hopecho.ufp.features import featurise

HERE = Path(__file__).parent
REQUIREMENTS = HERE.parent / "tests" / "unit" / "ufp" / "data" / "requirements-uf3.txt"
PEER = "uf3 0.4.0"
SPEC = BasisSpec(
    ("Li", "P", "S"),
    cutoff_2b_angstrom=7.0,
    cutoff_3b_angstrom=4.5,
    intervals_2b=20,
    intervals_3b=4,
    intervals_jk=8,
)
TOLERANCE = 1e-9


def peer(atoms: Atoms, coefficients: np.ndarray) -> dict[str, np.ndarray]:
    """Return what uf3_peer.py measured and predicted."""
    with tempfile.TemporaryDirectory() as name:
        model, structure, result = (Path(name) / f for f in ("m.json", "s.npz", "r.npz"))
        write_uf3_json(model, potential_from(SPEC, coefficients, {}))
        np.savez(structure, numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)
        script = [str(peer_python("uf3", REQUIREMENTS)), str(HERE / "uf3_peer.py")]
        files = [str(model), str(structure), str(result)]
        subprocess.run([*script, *files], check=True, env=peer_environment())
        with np.load(result, allow_pickle=False) as data:
            return dict(data)


def main() -> None:
    """Measure, compare and write."""
    cell = supercell(load_crystal("gamma-Li3PS4"), (1, 2, 2))
    atoms = rattle(cell, stdev_angstrom=0.1, rng=np.random.default_rng(1))
    coefficients = np.random.default_rng(2).normal(size=layout(SPEC).n_columns)
    ours = best_of(lambda: featurise(atoms, SPEC))
    features = featurise(atoms, SPEC)
    rows = np.vstack([features.energy, features.forces.reshape(3 * len(atoms), -1)])
    prediction = rows @ coefficients
    result = peer(atoms, coefficients)
    theirs = result["prediction"]
    gaps = np.abs(prediction - theirs)
    difference = max(gaps[0] / abs(theirs[0]), gaps[1:].max() / np.abs(theirs[1:]).max())
    print(f"largest difference: {difference:.1e} of the energy or of the largest force")
    if not difference < TOLERANCE:
        sys.exit("the features differ: the times do not compare")
    write(
        "featurise",
        work=f"energy and force rows of one structure, {len(atoms)} atoms of Li3PS4, cutoffs 7 and "
        f"4.5 A, intervals 20 and [4, 4, 8]; columns: {layout(SPEC).n_columns}, and stress rows "
        f"(uf3: {int(result['n_columns'])}, with those held at zero here)",
        unit="s",
        ours=ours,
        peers={PEER: float(result["seconds"])},
    )


if __name__ == "__main__":
    main()
