"""Training data of an EFG model, pass by pass, and the columns in which it is a linear model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hopecho.efg.density import kinds_of, make_frame
from hopecho.efg.features import FeatureSpec, channels, features_of, invariants, long_range
from hopecho.efg.radial import RadialBasis, tabulate
from hopecho.efg.sparse import Inducing, SparseBasis, farthest_points, normalised, sparse_basis
from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_matrix

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

MOST_CANDIDATES = 10_000
"""Environments among which the inducing ones are sought; more are thinned out evenly."""


@dataclass(frozen=True)
class EfgSettings:
    """Choices of a fit; the defaults suit Li in a sulfide with some thousands of tensors."""

    probe: str = "Li"
    """Element whose tensors are modelled."""
    basis: RadialBasis = field(default_factory=RadialBasis)
    centre_weight: float = 1.0
    long_range_width: float = 2.0
    """Gaussian width of the lattice sums, A (about a third of the cutoff); 0 leaves them out."""
    pair_weight: float = 3.0
    """Weight of the nu = 1 blocks relative to nu = 2: larger is penalised less."""
    ridge: tuple[float, ...] = tuple(float(10.0**k) for k in range(-10, -1))
    """Candidates for lambda."""
    n_folds: int = 5
    kind: str = "ridge"
    """``ridge`` or ``sa_gpr``."""
    zeta: int = 2
    """Power of the kernel (sa_gpr); 1 is a ridge on the inducing environments' span."""
    n_inducing: int = 300
    """Inducing environments (sa_gpr)."""


@dataclass(frozen=True)
class Columns:
    """The columns of the linear model."""

    spec: FeatureSpec
    inducing: Inducing | None
    basis: SparseBasis | None

    @property
    def count(self) -> int:
        """Number of columns."""
        return self.spec.n_features if self.basis is None else self.basis.whitener.shape[1]

    def rows(self, c: Array, sums: Array) -> Array:
        """Return (n_centres, 5, count)."""
        if self.basis is None:
            return features_of(c, sums, self.spec)
        return self.basis.rows(c, sums, self.spec)

    def stored(self, weights: Array) -> Array:
        """Return weights (..., count) as a model holds them."""
        return weights if self.basis is None else weights @ self.basis.whitener.T


class TrainingData:
    """Labelled structures: densities are made again in every pass, nothing of them is kept."""

    def __init__(
        self, frames: Sequence[Atoms], targets: Sequence[Array], spec: FeatureSpec, fold: list[int]
    ) -> None:
        self.frames, self.targets, self.spec, self.fold = frames, targets, spec, fold

    def densities(self) -> Iterator[tuple[int, Array, Array, Array]]:
        """Yield fold, channels, lattice sums and target of every structure that has a probe."""
        for atoms, target, fold in zip(self.frames, self.targets, self.fold, strict=True):
            if len(target):
                yield fold, *densities_of(atoms, self.spec), target

    def rows(self, columns: Columns) -> Iterator[tuple[int, Callable[[], Array], Array]]:
        """Yield what `hopecho.efg.normal.accumulate` takes."""
        for fold, c, sums, target in self.densities():
            yield fold, partial(columns.rows, c, sums), target


def make_spec(frames: Sequence[Atoms], settings: EfgSettings) -> FeatureSpec:
    """Return the features for the elements present in `frames`.

    Raises
    ------
    HopechoError
        If the probe element is in none of them.
    """
    from ase.data import atomic_numbers

    elements = tuple(sorted({int(z) for atoms in frames for z in atoms.numbers}))
    probe = atomic_numbers.get(settings.probe, 0)
    if probe not in elements:
        raise HopechoError(
            "No structure contains the probe of the EFG model",
            got=f"probe = {settings.probe!r}, atomic numbers present {list(elements)}",
            fix="set materials.<m>.mobile to an element of the material",
        )
    basis = settings.basis
    return FeatureSpec(
        probe,
        elements,
        basis,
        tabulate(basis),
        settings.centre_weight,
        settings.long_range_width,
    )


def densities_of(atoms: Atoms, spec: FeatureSpec) -> tuple[Array, Array]:
    """Return channels and lattice sums of the probes of one structure."""
    kinds = kinds_of(atoms.numbers, spec.elements)
    centres = np.flatnonzero(atoms.numbers == spec.probe)
    frame = make_frame(atoms.positions, np.asarray(atoms.cell), kinds, centres)
    return channels(frame, spec), long_range(frame, spec)


def prepare(
    frames: Sequence[Atoms], efgs: Sequence[Array] | None, settings: EfgSettings
) -> TrainingData:
    """Check labels and assign folds; errors as `hopecho.efg.model.fit_efg_model`."""
    if efgs is None:
        efgs = [_label(atoms) for atoms in frames]
    if len(frames) < max(settings.n_folds, 2) or len(efgs) != len(frames):
        raise HopechoError(
            "Too few labelled structures to fit an EFG model",
            got=f"{len(frames)} structures, {len(efgs)} label arrays, {settings.n_folds} folds",
            fix="label more structures or lower efg.folds",
        )
    spec = make_spec(frames, settings)
    targets = [_target(i, *pair, spec) for i, pair in enumerate(zip(frames, efgs, strict=True))]
    return TrainingData(frames, targets, spec, _folds(frames, settings.n_folds))


def _label(atoms: Atoms) -> Array:
    if "efg" not in atoms.arrays:
        raise HopechoError(
            "A structure for the EFG fit has no tensors",
            got=f"{atoms.get_chemical_formula()} with arrays {sorted(atoms.arrays)}",
            fix="give frames with an array 'efg' (n_atoms, 3, 3) in atomic units",
        )
    return np.asarray(atoms.arrays["efg"], dtype=float).reshape(len(atoms), 3, 3)


def _folds(frames: Sequence[Atoms], n_folds: int) -> list[int]:
    """Fold of each structure: trajectories (info ``trajectory``, else the structure) in turn."""
    names = [str(atoms.info.get("trajectory", f"structure {i}")) for i, atoms in enumerate(frames)]
    order = {name: k for k, name in enumerate(dict.fromkeys(names))}
    if len(order) < n_folds:
        raise HopechoError(
            "Too few trajectories for the folds of the EFG model",
            got=f"{len(order)} trajectories, {n_folds} folds",
            fix="lower efg.folds, or raise learning.seeds",
        )
    return [order[name] % n_folds for name in names]


def _target(i: int, atoms: Atoms, efg: Array, spec: FeatureSpec) -> Array:
    """Isometric components (n_probe, 5) of the probes of structure i."""
    probes = atoms.numbers == spec.probe
    if np.shape(efg) != (len(atoms), 3, 3) or not np.all(np.isfinite(np.asarray(efg)[probes])):
        raise HopechoError(
            "Bad tensors in the training set of the EFG model",
            got=f"structure {i}: shape {np.shape(efg)} for {len(atoms)} atoms, or NaN",
            fix="give finite tensors (n_atoms, 3, 3) in atomic units",
        )
    if not probes.any():
        return np.zeros((0, 5))
    return isometric_from_matrix(np.asarray(efg)[probes])


def make_columns(data: TrainingData, settings: EfgSettings) -> Columns:
    """Return the columns that the settings ask for."""
    if settings.kind == "ridge":
        return Columns(data.spec, None, None)
    if settings.kind != "sa_gpr" or settings.zeta < 1:
        raise HopechoError(
            "Unknown kind of EFG model",
            got=f"kind {settings.kind!r}, zeta {settings.zeta}",
            fix="efg.model: ridge or sa_gpr, efg.zeta >= 1",
        )
    inducing = _choose_inducing(data, settings)
    return Columns(data.spec, inducing, sparse_basis(inducing, data.spec))


def _choose_inducing(data: TrainingData, settings: EfgSettings) -> Inducing:
    """Farthest points among the training environments; two passes, only the chosen are kept."""
    total = sum(len(target) for target in data.targets)
    wanted = np.linspace(0, total - 1, min(total, MOST_CANDIDATES)).astype(int)
    spectra, start = np.empty((len(wanted), data.spec.n_invariants), dtype=np.float32), 0
    for _, c, _, target in data.densities():
        own = (wanted >= start) & (wanted < start + len(target))
        spectra[own] = normalised(invariants(c[wanted[own] - start]))
        start += len(target)
    chosen = np.sort(wanted[farthest_points(spectra, settings.n_inducing)])
    parts, start = [], 0
    for _, c, sums, target in data.densities():
        own = chosen[(chosen >= start) & (chosen < start + len(target))] - start
        parts.append((c[own], sums[own]))
        start += len(target)
    channel, sums = (np.concatenate(each) for each in zip(*parts, strict=True))
    x = features_of(channel, sums, data.spec).reshape(-1, data.spec.n_features)
    scale = block_scale(np.mean(x**2, axis=0), data.spec, settings.pair_weight)
    return Inducing(channel, sums, scale, settings.zeta)


def block_scale(variance: Array, spec: FeatureSpec, pair_weight: float) -> Array:
    """Return the factor of every feature, one a block, from the block's summed variance."""
    wanted = {"pair": pair_weight, "long_range": pair_weight, "triplet": 1.0}
    scale, start = np.ones(spec.n_features), 0
    for name, size in spec.block_sizes().items():
        block = slice(start, start + size)
        norm = np.sqrt(variance[block].sum())
        scale[block] = wanted[name] / norm if norm > 0 else 1.0
        start += size
    return scale
