"""What the backends share: attempts with changed settings, gates, and the label made of results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hopecho.config_text import merge
from hopecho.errors import HopechoError
from hopecho.labels.interface import (
    Label,
    LabelFailure,
    Options,
    cpu_seconds,
    settings_hash,
    structure_hash,
)
from hopecho.labels.quality import RETRYABLE, efg_reasons, results_reasons
from hopecho.versions import RESULT_VERSIONS

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Results:
    """What one run gave, in the structure's own atom order."""

    energy: float
    """Energy of the cell, eV."""
    forces: Array
    """(n, 3), eV/A."""
    stress: Array | None
    """(6,), eV/A^3, ASE sign and Voigt order; None where the code was not asked for it."""
    efg: Array | None = None
    """(n, 3, 3), a.u., from a code that gives it in the same run."""


class BaseBackend(ABC):
    """A code that labels structures, with its settings and what to try when they fail.

    Parameters
    ----------
    options : Options
        What the config says; every backend takes nothing else.
    version : str
        Version that the code reports.
    source : str
        Words for banners.
    identity : mapping
        Everything that the numbers depend on, besides the structure and the data set.
    keywords : mapping
        ``labels.<code>``, the user's block, with defaults; retries change it in turn.

    Raises
    ------
    HopechoError
        A retry changes what a retry may not.
    """

    code: ClassVar[str]
    in_process: ClassVar[bool] = False
    """Whether a crash of the code is a crash of the job."""
    changeable: ClassVar[tuple[str, ...]] = ()
    """Patterns of dotted keywords that decide how the result is found, not what it is."""

    def __init__(
        self,
        options: Options,
        *,
        version: str,
        source: str,
        identity: Mapping[str, Any],
        keywords: Mapping[str, Any],
    ) -> None:
        self.version = version
        self.source = source
        self.settings = settings_hash({**identity, "result_version": RESULT_VERSIONS["label"]})
        self.keywords = keywords
        self.dataset = options.dataset
        self.timeout_s = options.timeout_s
        self.attempts: tuple[Mapping[str, Any], ...] = ({}, *options.retries)
        self._check_retries(options.retries)

    @abstractmethod
    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Run the code for energy, forces and stress (and field gradients where they come free).

        Raises
        ------
        LabelFailure
            The code failed, or its output does not pass its gates.
        """

    def run_efg(self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any]) -> Array:
        """Run the code for field gradients (n, 3, 3), a.u.; not called if `run_energy` gave them.

        Raises
        ------
        LabelFailure
            The code failed, or its output does not pass its gates.
        """
        tensors = self.run_energy(atoms, directory, keywords, efg=True).efg
        if tensors is None:
            raise LabelFailure(["efg_shape"], log="the code gave no field gradients", part="efg")
        return tensors

    def log(self, directory: Path) -> str:
        """Return the ends of the files of a run, for the record of a failure seen afterwards."""
        return ""

    def compute(
        self,
        atoms: Atoms,
        directory: Path,
        *,
        efg: bool = True,
        base: Label | None = None,
        tried: Collection[str] = (),
    ) -> Label:
        """Label one structure; see `hopecho.labels.interface.Backend`."""
        start = cpu_seconds()
        label, failure, log = base, None, []
        for number, changes in enumerate(self.attempts):
            if settings_hash(changes) in tried:
                continue
            folder = directory / f"attempt{number}"
            try:
                label = self._attempt(atoms, folder, changes, label, efg)
                spent = cpu_seconds() - start + (base.cpu_s if base else 0.0)
                return replace(label, cpu_s=spent)
            except _Half as half:
                label, failure = half.label, half.failure
            except LabelFailure as error:
                failure = error
            log.append({"changes": dict(changes), "reasons": list(failure.reasons)})
            if not RETRYABLE.intersection(failure.reasons):
                break
        if failure is None:
            raise ValueError("every attempt was tried before")
        failure.attempts, failure.partial = log, label
        raise failure

    def _attempt(
        self,
        atoms: Atoms,
        folder: Path,
        changes: Mapping[str, Any],
        label: Label | None,
        efg: bool,
    ) -> Label:
        """One pass with one set of changes; `label` is what is known already."""
        keywords = merge(self.keywords, changes)
        if label is None:
            label = self._energy_label(atoms, folder / "energy", keywords, changes, efg)
        if not efg or label.efg is not None:
            return label
        try:
            tensors = self.run_efg(atoms, folder / "efg", keywords)
            reasons = efg_reasons(tensors, n_atoms=len(atoms))
            if reasons:
                raise LabelFailure(reasons, log=self.log(folder / "efg"))
        except LabelFailure as failure:
            failure.part = "efg"
            raise _Half(label, failure) from failure
        return replace(label, efg=tensors, changes=dict(changes) or label.changes)

    def _energy_label(
        self,
        atoms: Atoms,
        folder: Path,
        keywords: Mapping[str, Any],
        changes: Mapping[str, Any],
        efg: bool,
    ) -> Label:
        found = self.run_energy(atoms, folder, keywords, efg=efg)
        reasons = results_reasons(found.energy, found.forces, found.stress, n_atoms=len(atoms))
        if found.efg is not None:
            reasons += efg_reasons(found.efg, n_atoms=len(atoms))
        if reasons:
            seen = f"energy {found.energy} eV, forces (eV/A)\n{found.forces}"
            raise LabelFailure(reasons, log=f"{self.log(folder)}\n{seen}".strip())
        return Label(
            structure=structure_hash(atoms),
            energy=float(found.energy),
            forces=found.forces,
            stress=found.stress,
            efg=found.efg,
            code=self.code,
            version=self.version,
            settings=self.settings,
            dataset=self.dataset,
            source=self.source,
            cpu_s=0.0,
            changes=dict(changes),
        )

    def _check_retries(self, retries: Sequence[Mapping[str, Any]]) -> None:
        for changes in retries:
            for name in _dotted(changes):
                if not any(fnmatchcase(name, pattern) for pattern in self.changeable):
                    may = ", ".join(self.changeable) or "nothing"
                    raise HopechoError(
                        f"labels.retries changes what a label of {self.code} is",
                        got=name,
                        fix=f"a retry may change how the result is found: {may}",
                    )


class _Half(Exception):
    """Energy and forces are there, the run for field gradients failed."""

    def __init__(self, label: Label, failure: LabelFailure) -> None:
        super().__init__(str(failure))
        self.label = label
        self.failure = failure


def _dotted(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of the values in nested settings, ``a.b.c``."""
    names: list[str] = []
    for name, value in changes.items():
        full = f"{prefix}{name}"
        names += _dotted(value, f"{full}.") if isinstance(value, Mapping) else [full]
    return names
