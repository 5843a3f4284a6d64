"""What every code gives: one label a structure; and what it is keyed by."""

from __future__ import annotations

import hashlib
import importlib
import json
import resource
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hopecho.errors import HopechoError
from hopecho.labels.quality import is_transient

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

_RESOLUTION_A = 1e-10

BACKENDS: Mapping[str, tuple[str, str]] = {
    "castep": ("hopecho.labels.castep", "CastepBackend"),
    "espresso": ("hopecho.labels.espresso", "EspressoBackend"),
    "abinit": ("hopecho.labels.abinit", "AbinitBackend"),
    "xtb": ("hopecho.labels.xtb", "XtbBackend"),
    "ase": ("hopecho.labels.calculator", "AseBackend"),
    "model_pes": ("hopecho.labels.direct", "DirectBackend"),
}
"""Values of ``labels.code``: the module and the class, imported on use."""


@dataclass(frozen=True, eq=False)
class Label:
    """Energy, forces, stress and field gradients of one structure, in its atom order."""

    structure: str
    """`structure_hash` of the structure."""
    energy: float
    """Energy of the cell, eV."""
    forces: Array
    """(n, 3), eV/A."""
    stress: Array | None
    """(6,), eV/A^3, ASE sign and Voigt order; None where the code was not asked for it."""
    efg: Array | None
    """(n, 3, 3), a.u., or None where it was not asked for."""
    code: str
    """Key of `BACKENDS`."""
    version: str
    """Version that the code printed."""
    settings: str
    """`settings_hash` of the settings."""
    dataset: str
    """Name of the pseudopotential or PAW set; tensors of different sets do not mix."""
    source: str
    """Words for tables and banners: ``model PES`` or the code and its version."""
    cpu_s: float
    """Processor time spent, s, failed attempts included."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What a retry changed in the settings; empty for the settings themselves."""
    imported: str = ""
    """Name of the file that the label was read from; empty when it was computed here."""

    @property
    def key(self) -> str:
        """Key of the label in the store."""
        return label_key(self.structure, self.code, self.settings, self.dataset)

    @property
    def label_set(self) -> str:
        """Name of the set in which labels may be fitted together; see `label_set`."""
        return label_set(self.code, self.settings, self.dataset)


class LabelFailure(Exception):
    """A structure that got no label, or none of its field gradients.

    Parameters
    ----------
    reasons : list of str
        Words of `hopecho.labels.quality`.
    log : str
        What the code printed, as much as is needed to see why.
    part : str
        ``energy`` or ``efg``: the run that failed.
    partial : Label, optional
        The label without field gradients, when only their run failed.
    """

    def __init__(
        self, reasons: list[str], *, log: str, part: str = "energy", partial: Label | None = None
    ) -> None:
        super().__init__(f"{part}: {', '.join(reasons)}")
        self.reasons = reasons
        self.log = log
        self.part = part
        self.partial = partial
        self.attempts: list[dict[str, Any]] = []
        """What was tried: ``changes`` and ``reasons`` of each attempt."""

    @property
    def transient(self) -> bool:
        """Whether the next run shall try again."""
        return is_transient(self.reasons)


@dataclass(frozen=True)
class Options:
    """The config's ``labels`` block as every backend takes it."""

    command: str | None = None
    """``labels.command``; each code has its own default."""
    efg_command: str | None = None
    """``labels.efg_command``, for a code whose field gradients come from a second program."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """``labels.<code>``, the code's own keywords."""
    dataset: str = ""
    """``labels.dataset``, name of the pseudopotential or PAW set."""
    retries: Sequence[Mapping[str, Any]] = ()
    """``labels.retries``, changes of the settings to try after a failure."""
    timeout_s: float | None = None
    """Longest time of one run of a program."""


class Backend(Protocol):
    """A code that labels structures."""

    code: str
    version: str
    source: str
    settings: str
    """Hash of everything that the numbers depend on, besides the structure and the data set."""
    dataset: str
    in_process: bool
    """Whether a crash of the code is a crash of the job."""
    attempts: Sequence[Mapping[str, Any]]
    """Changes of the settings to try in turn; the first is none."""

    def compute(
        self,
        atoms: Atoms,
        directory: Path,
        *,
        efg: bool = True,
        base: Label | None = None,
        tried: Collection[str] = (),
    ) -> Label:
        """Label one structure.

        Parameters
        ----------
        atoms : ase.Atoms
            Periodic structure.
        directory : Path
            Folder for the files of the run, made if need be.
        efg : bool
            Whether field gradients are wanted.
        base : Label, optional
            A label without field gradients, to be completed instead of computed again.
        tried : collection of str
            `settings_hash` of the changes that failed before and are not tried again.

        Raises
        ------
        LabelFailure
            The code failed or its result did not pass the gates.
        """
        ...


def structure_hash(atoms: Atoms) -> str:
    """SHA-256 of species, cell and positions rounded to 1e-10 A, in atom order.

    Raises
    ------
    HopechoError
        The structure is not periodic along all three axes, or not finite.
    """
    if not atoms.pbc.all():
        raise HopechoError(
            "A structure to be labelled is not periodic",
            got=f"pbc {atoms.pbc.tolist()}",
            fix="set pbc = T T T and a cell in the structure file",
        )
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise HopechoError(
            "A structure to be labelled has a position or a cell that is not finite",
            got=f"{atoms.get_chemical_formula()} ({atoms.info.get('trajectory', 'no trajectory')})",
            fix="look at the run that it comes from",
        )
    digest = hashlib.sha256(b"hopecho structure 1")
    digest.update(atoms.numbers.astype("<i8").tobytes())
    for array in (atoms.cell.array, atoms.positions):
        digest.update(np.rint(np.asarray(array) / _RESOLUTION_A).astype("<i8").tobytes())
    return digest.hexdigest()


def settings_hash(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings in canonical JSON; the order of keys does not matter."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def label_key(structure: str, code: str, settings: str, dataset: str) -> str:
    """Key of a label: it depends on structure, code, settings and data set only."""
    return hashlib.sha256("\n".join((structure, code, settings, dataset)).encode()).hexdigest()


def label_set(code: str, settings: str, dataset: str) -> str:
    """Name of a set of labels that may be fitted together: code, settings, data set."""
    return f"{code}/{settings[:12]}/{dataset}"


def make_backend(code: str, **options: Any) -> Backend:
    """Backend for the config's ``labels`` block.

    Parameters
    ----------
    code : str
        ``labels.code``, a key of `BACKENDS`.
    **options
        Fields of `Options`.

    Raises
    ------
    HopechoError
        Unknown code, or its command cannot be run.
    """
    if code not in BACKENDS:
        raise HopechoError(
            "Unknown code for labels", got=code, fix=f"set labels.code to one of {list(BACKENDS)}"
        )
    module, name = BACKENDS[code]
    backend: Backend = getattr(importlib.import_module(module), name)(Options(**options))
    return backend


def cpu_seconds() -> float:
    """Processor time of this process and its finished children, s."""
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)
