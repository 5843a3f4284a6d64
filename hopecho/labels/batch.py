"""Label many structures, whatever happens to single ones; read labels back as training frames."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.io import extxyz
from hopecho.labels.interface import Backend, Label, LabelFailure, label_key, structure_hash
from hopecho.labels.quality import is_transient
from hopecho.labels.store import LabelStore

if TYPE_CHECKING:
    from ase import Atoms

LABELLED = "labelled"
MISSING = "missing"
Progress = Callable[[int, int, str, str], None]


@dataclass(frozen=True)
class BatchResult:
    """What became of every structure of a batch."""

    keys: tuple[str, ...]
    """Keys in the order of the frames."""
    states: tuple[tuple[str, str], ...]
    """Sorted pairs (key, state): ``labelled``, ``quarantined:<reason>`` or ``missing``."""
    source: str
    """Words for tables and banners: ``model PES`` or the code and its version."""
    computed: int
    """Labels computed now; the others were in the store."""
    problems: tuple[tuple[str, str], ...] = ()
    """Pairs (key, what went wrong now), for the log; quarantine records hold the details."""

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the same for the same states, whoever computed them."""
        return {"source": self.source, "labels": [list(pair) for pair in self.states]}

    def count(self, state: str) -> int:
        """Return how many structures are in a state (``quarantined`` counts every reason)."""
        return sum(s.split(":")[0] == state for _, s in self.states)


def backend_key(atoms: Atoms, backend: Backend) -> str:
    """Key under which a backend's label of a structure is stored."""
    return label_key(structure_hash(atoms), backend.code, backend.settings, backend.dataset)


def label_batch(
    frames: Sequence[Atoms],
    backend: Backend,
    store: LabelStore,
    scratch: Path,
    *,
    efg: bool = True,
    progress: Progress | None = None,
) -> BatchResult:
    """Label the structures that the store does not know yet.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Structures; the same one twice is labelled once.
    backend : Backend
        Code that labels.
    store : LabelStore
        Where labels and quarantine records go.
    scratch : Path
        Folder for the files of the runs; those of a transient failure stay in ``scratch/<key>``.
    efg : bool
        Whether field gradients are wanted; a stored label without them is completed.
    progress : callable, optional
        Called as ``progress(done, total, key, state)`` after every structure.

    Returns
    -------
    BatchResult
        Scientific failures are quarantined, transient ones stay missing; neither stops the rest.
    """
    keys = tuple(backend_key(atoms, backend) for atoms in frames)
    unique = dict(zip(keys, frames))
    states: dict[str, str] = {}
    computed = 0
    problems: list[tuple[str, str]] = []
    scratch.mkdir(parents=True, exist_ok=True)
    for done, (key, atoms) in enumerate(unique.items(), start=1):
        state = _known_state(store, key, efg)
        if state is None:
            state, problem = _compute(atoms, key, backend, store, scratch, efg)
            computed += state == LABELLED
            problems += [(key, problem)] if problem else []
        states[key] = state
        if progress is not None:
            progress(done, len(unique), key, state)
    return BatchResult(
        keys, tuple(sorted(states.items())), backend.source, computed, tuple(problems)
    )


def _known_state(store: LabelStore, key: str, efg: bool) -> str | None:
    """State of a key that needs no computation, or None."""
    label = store.get(key)
    if label is not None and (label.efg is not None or not efg):
        return LABELLED
    record = store.quarantined(key)
    if record is not None and (record.part == "energy" or efg):
        return f"quarantined:{record.reasons[0]}"
    return None


def _compute(
    atoms: Atoms, key: str, backend: Backend, store: LabelStore, scratch: Path, efg: bool
) -> tuple[str, str]:
    """Label one structure; return its state and what went wrong."""
    try:
        # A folder of its own: another process may be labelling the same structure.
        with tempfile.TemporaryDirectory(prefix=f"{key[:16]}.", dir=scratch) as directory:
            try:
                label = backend.compute(atoms, Path(directory), efg=efg, base=store.get(key))
            except LabelFailure as failure:
                if failure.transient:
                    _keep(Path(directory), scratch / key)
                return _failed(failure, atoms, key, store), str(failure)
            store.put(label, atoms)
    except OSError as error:
        # A full disk or a lost file system says nothing about the structure.
        return MISSING, f"{type(error).__name__}: {error}"
    shutil.rmtree(scratch / key, ignore_errors=True)
    return LABELLED, ""


def _keep(directory: Path, target: Path) -> None:
    """Copy the files of a failed run where a user finds them; not worth another failure."""
    with contextlib.suppress(OSError):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(directory, target)


def _failed(failure: LabelFailure, atoms: Atoms, key: str, store: LabelStore) -> str:
    if failure.partial is not None:
        store.put(failure.partial, atoms)
    if failure.transient:
        return MISSING
    # The scientific reason comes first: it is the one that decides.
    reasons = sorted(failure.reasons, key=lambda reason: is_transient([reason]))
    store.quarantine(key, atoms, part=failure.part, reasons=reasons, log=failure.log)
    return f"quarantined:{reasons[0]}"


def read_labels(keys: Sequence[str], store: LabelStore) -> list[Atoms]:
    """Labelled structures in the order of `keys`, with the keys of `hopecho.io.extxyz`.

    Raises
    ------
    HopechoError
        A label is not in the store.
    """
    frames = []
    for key in keys:
        label = store.get(key)
        if label is None:
            raise HopechoError(
                "The label store has no such label",
                got=f"{key} in {store.root}",
                fix="run the label rule again, or check labels.store",
            )
        frames.append(labelled_atoms(store.atoms(key), label))
    return frames


def labelled_atoms(atoms: Atoms, label: Label) -> Atoms:
    """Copy of a structure with its label: eV, eV/A, eV/A^3 and a.u. under the REF keys."""
    atoms = atoms.copy()
    atoms.info[extxyz.ENERGY] = label.energy
    atoms.info[extxyz.STRESS] = label.stress.copy()
    atoms.info["hash"] = label.key
    atoms.info["source"] = label.source
    atoms.arrays[extxyz.FORCES] = label.forces.copy()
    if label.efg is not None:
        atoms.arrays[extxyz.EFG] = label.efg.copy()
    return atoms
