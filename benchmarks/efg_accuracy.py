"""Size extensivity of the EFG model, and what a long-range part changes, on the model surface.

python benchmarks/efg_accuracy.py

Trains on runs of 128 atoms and tests on runs of other seeds with 128, 384 and 576 atoms, with the
same neighbour density and, beside it: nothing, the lattice sums of smeared charges, a nu = 1 block
with a longer cutoff, or both. Writes benchmarks/results/efg_accuracy.json.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from efg_frames import runs
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from hopecho.efg.density import density, kinds_of, make_frame
from hopecho.efg.features import FeatureSpec
from hopecho.efg.metrics import efg_metrics
from hopecho.efg.model import EfgSettings, frame_features, make_spec
from hopecho.efg.radial import RadialBasis, tabulate
from hopecho.tensors import isometric_from_matrix

Array = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results"
BASIS = RadialBasis(cutoff=6.0, n_radial=4, l_max=6)
FAR = RadialBasis(cutoff=10.0, n_radial=10, l_max=2, sigma=0.8)
WIDTH_A = 2.0
TRAIN, HELD_OUT = range(1, 4), range(101, 102)
FRAMES = {128: 4, 384: 2, 576: 2}
RIDGE = tuple(10.0**k for k in range(-10, -4))
NU1_WEIGHT = 3.0
VARIANTS = {
    "none": ("pair", "triplet"),
    "lattice sums": ("pair", "triplet", "long_range"),
    "nu = 1 to 10 A": ("pair", "triplet", "far"),
    "both": ("pair", "triplet", "long_range", "far"),
}


def matrix(atoms: Atoms, spec: FeatureSpec, far: FeatureSpec) -> Array:
    """Features of every Li with the long nu = 1 block behind them, (n_li, 5, n)."""
    kinds = kinds_of(atoms.numbers, spec.elements)
    centres = np.flatnonzero(atoms.numbers == spec.probe)
    frame = make_frame(atoms.positions, atoms.cell.array, kinds, centres)
    c = density(frame, basis=far.basis, table=far.table, n_kinds=len(far.elements))
    long = np.moveaxis(c[:, :, 4:9], 1, 2).reshape(len(centres), 5, -1)
    return np.concatenate([frame_features(atoms, spec), long], axis=2)


def labels(atoms: Atoms) -> Array:
    """Tensors of every Li, (n_li, 5), a.u."""
    return isometric_from_matrix(atoms.arrays["efg"][atoms.numbers == 3])


def columns(spec: FeatureSpec, far: FeatureSpec) -> dict[str, slice]:
    """Where each block stands in `matrix`."""
    sizes = spec.block_sizes() | {"far": far.n_channels}
    ends = np.cumsum(list(sizes.values()))
    return {n: slice(e - s, e) for (n, s), e in zip(sizes.items(), ends, strict=True)}


def fit(parts: list[tuple[Array, Array, float]], chosen: list[slice]) -> Array:
    """Ridge weights on some blocks, zero elsewhere; its strength by leaving one run out."""
    index = np.concatenate([np.arange(s.start, s.stop) for s in chosen])
    own = [(xx[np.ix_(index, index)], xy[index], yy) for xx, xy, yy in parts]
    total = (sum(p[0] for p in own), sum(p[1] for p in own))
    errors = np.zeros(len(RIDGE))
    for xx, xy, yy in own:
        for k, ridge in enumerate(RIDGE):
            w = solve(total[0] - xx, total[1] - xy, ridge)
            errors[k] += yy - 2 * w @ xy + w @ xx @ w
    weights = np.zeros(len(parts[0][1]))
    weights[index] = solve(total[0], total[1], RIDGE[int(np.argmin(errors))])
    return weights


def solve(xx: Array, xy: Array, ridge: float) -> Array:
    """Weights of the regularised normal equations."""
    a = xx + ridge * np.trace(xx) * np.eye(len(xx))
    return np.asarray(cho_solve(cho_factor(a), xy))


def normal_equations(
    frames: list[Atoms], spec: FeatureSpec, far: FeatureSpec
) -> tuple[list[tuple[Array, Array, float]], Array]:
    """Normal equations of each run with blocks of equal weight, and the scale of the features."""
    found: dict[str, list[Array]] = {}
    for atoms in frames:
        x = matrix(atoms, spec, far)
        found.setdefault(atoms.info["trajectory"], []).append(x.reshape(-1, x.shape[2]))
    values: dict[str, list[Array]] = {}
    for atoms in frames:
        values.setdefault(atoms.info["trajectory"], []).append(labels(atoms).ravel())
    total = sum(float(len(x)) for own in found.values() for x in own)
    variance = sum((x**2).sum(axis=0) for own in found.values() for x in own) / total
    scale = np.ones(len(variance))
    for name, block in columns(spec, far).items():
        weight = 1.0 if name == "triplet" else NU1_WEIGHT
        scale[block] = weight / np.sqrt(variance[block].sum())
    parts = []
    for run, own in found.items():
        x, y = np.concatenate(own) * scale, np.concatenate(values[run])
        parts.append((x.T @ x, x.T @ y, float(y @ y)))
    return parts, scale


def main() -> None:
    """Fit every variant, test it on every size and kind, write and print the table."""
    train = runs(128, seeds=TRAIN, n_frames=6)
    tests = {n: runs(n, seeds=HELD_OUT, n_frames=k) for n, k in FRAMES.items()}
    spec = make_spec(train, EfgSettings(basis=BASIS, long_range_width=WIDTH_A))
    far = replace(spec, basis=FAR, table=tabulate(FAR), long_range_width=0.0)
    parts, scale = normal_equations(train, spec, far)
    blocks = columns(spec, far)
    weights = {v: scale * fit(parts, [blocks[b] for b in own]) for v, own in VARIANTS.items()}
    rows = []
    for n, frames in tests.items():
        x = {id(f): matrix(f, spec, far) for f in frames}
        for kind in ("crystal", "glass"):
            own = [f for f in frames if f.info["phase"] == kind]
            true = np.concatenate([labels(f) for f in own])
            row: dict[str, Any] = {"n_atoms": n, "kind": kind, "n_tensors": len(true)}
            for variant, w in weights.items():
                errors = efg_metrics(true, np.concatenate([x[id(f)] @ w for f in own]))
                row[variant] = {
                    "mae_omega_q_khz": float(f"{errors['omega_q']['mae']:.3g}"),
                    "mae_over_std": float(f"{errors['omega_q']['mae_over_std']:.3g}"),
                }
            rows.append(row)
    record = {
        "work": "held-out error of omega_Q by size of the cell and long-range part",
        "training": {"n_atoms": 128, "n_tensors": sum(len(labels(f)) for f in train)},
        "rows": rows,
        "command": "python benchmarks/efg_accuracy.py",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "efg_accuracy.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
