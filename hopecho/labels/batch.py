"""Label many structures, whatever happens to single ones; read labels back as training frames."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.io import extxyz
from hopecho.labels.imported import LABEL_SET, Differences, check_imported, take_imported
from hopecho.labels.interface import (
    Backend,
    Label,
    LabelFailure,
    label_key,
    label_set,
    settings_hash,
    structure_hash,
)
from hopecho.labels.quality import Limits, by_weight, is_transient, limit_reasons
from hopecho.labels.store import LIMITS, LabelStore

if TYPE_CHECKING:
    from ase import Atoms

LABELLED = "labelled"
MISSING = "missing"
QUARANTINED = "quarantined"
_PREFIX = 16
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
    label_set: str
    """Name of the set in which these labels may be fitted together."""
    computed: int
    """Labels computed now; the others were in the store."""
    problems: tuple[tuple[str, str], ...] = ()
    """Pairs (key, what went wrong now), for the log; quarantine records hold the details."""
    checks: tuple[Mapping[str, Any], ...] = ()
    """Imported labels against this code's own; see `hopecho.labels.imported.check_imported`."""

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the same for the same states, whoever computed them."""
        return {
            "source": self.source,
            "label_set": self.label_set,
            "labels": [list(pair) for pair in self.states],
            "checks": [dict(check) for check in self.checks],
        }

    def count(self, state: str) -> int:
        """Return how many structures are in a state (``quarantined`` counts every reason)."""
        return sum(s.split(":")[0] == state for _, s in self.states)


def backend_key(atoms: Atoms, backend: Backend) -> str:
    """Key under which a backend's label of a structure is stored."""
    return label_key(structure_hash(atoms), backend.code, backend.settings, backend.dataset)


@dataclass(frozen=True)
class Rules:
    """What a campaign asks of its labels, beyond what the code checks itself."""

    efg: bool = True
    """Whether field gradients are wanted; a stored label without them is completed."""
    limits: Limits = field(default_factory=Limits)
    """Judged on the stored label: another limit computes nothing again."""
    max_failures: int = 3
    """Transient failures of a structure after which it is set aside."""
    differences: Differences = field(default_factory=Differences)
    """Allowed between an imported label and the code's own."""


def label_batch(
    frames: Sequence[Atoms],
    backend: Backend,
    store: LabelStore,
    scratch: Path,
    *,
    rules: Rules | None = None,
    progress: Progress | None = None,
) -> BatchResult:
    """Label the structures that the store does not know yet.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Structures; the same one twice is labelled once. Frames that bring a label of their own
        (`hopecho.labels.imported`) are not computed, unless they are marked to be checked.
    backend : Backend
        Code that labels.
    store : LabelStore
        Where labels and quarantine records go.
    scratch : Path
        Folder for the files of the runs; those of a transient failure stay in ``scratch/<key>``.
    rules : Rules, optional
        What the campaign asks of its labels.
    progress : callable, optional
        Called as ``progress(done, total, key, state)`` after every structure.

    Returns
    -------
    BatchResult
        Failed structures are quarantined; after a transient failure a structure stays ``missing``
        until it has failed `Rules.max_failures` times. None stops the rest.

    Raises
    ------
    HopechoError
        Imported labels are not those of this code and settings.
    """
    rules = rules or Rules()
    keys = tuple(backend_key(atoms, backend) for atoms in frames)
    unique = dict(zip(keys, frames))
    states: dict[str, str] = {}
    computed = 0
    problems: list[tuple[str, str]] = []
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.glob("?" * _PREFIX + ".*"):
        # Of a job that was killed; one job works in a scratch folder at a time.
        shutil.rmtree(left, ignore_errors=True)
    for done, (key, atoms) in enumerate(unique.items(), start=1):
        problems += [(key, f"damaged, set aside: {path}") for path in store.set_aside_damaged(key)]
        try:
            take_imported(atoms, backend, store, key)
            state = _known_state(store, key, backend, rules)
            if state is None:
                state, problem = _compute(atoms, key, backend, store, scratch, rules)
                computed += state == LABELLED
                problems += [(key, problem)] if problem else []
            states[key] = _within_limits(store, key, rules) if state == LABELLED else state
        except OSError as error:
            # A full disk or a lost file system says nothing about the structure.
            states[key] = MISSING
            problems.append((key, f"{type(error).__name__}: {error}"))
        if progress is not None:
            progress(done, len(unique), key, states[key])
    return BatchResult(
        keys=keys,
        states=tuple(sorted(states.items())),
        source=backend.source,
        label_set=label_set(backend.code, backend.settings, backend.dataset),
        computed=computed,
        problems=tuple(problems),
        checks=tuple(check_imported(unique, store, rules.differences)),
    )


def _known_state(store: LabelStore, key: str, backend: Backend, rules: Rules) -> str | None:
    """State of a key that needs no computation, or None."""
    label = store.get(key)
    if label is not None and (label.efg is not None or not rules.efg):
        return LABELLED
    record = store.quarantined(key)
    if record is None or record.part == LIMITS or (record.part == "efg" and not rules.efg):
        return None
    untried = {settings_hash(changes) for changes in backend.attempts} - record.tried
    if not untried:
        scientific = [a["reasons"] for a in record.attempts if not is_transient(a["reasons"])]
        return f"{QUARANTINED}:{by_weight(scientific[-1])[0]}"
    if record.transient:
        final = record.failures >= rules.max_failures
    else:
        final = not record.curable
    return f"{QUARANTINED}:{record.reasons[0]}" if final else None


def _within_limits(store: LabelStore, key: str, rules: Rules) -> str:
    """Judge a stored label by the campaign's limits; the record says what was found."""
    label = store.get(key)
    record = store.quarantined(key)
    if label is None:
        return MISSING
    reasons = limit_reasons(label.forces, label.stress, rules.limits)
    if not reasons:
        if record is not None and record.part == LIMITS:
            store.release(key)
        return LABELLED
    if record is None or record.part == LIMITS:
        force = np.linalg.norm(label.forces, axis=1).max(initial=0.0)
        stress = 0.0 if label.stress is None else np.abs(label.stress).max()
        found = f"largest force {force:.4g} eV/A, largest stress {stress:.4g} eV/A^3"
        log = f"{found}; limits {rules.limits.max_force_ev_a:g}, {rules.limits.max_stress_ev_a3:g}"
        store.quarantine(key, store.atoms(key), part=LIMITS, reasons=reasons, log=log)
    return f"{QUARANTINED}:{reasons[0]}"


def _compute(
    atoms: Atoms, key: str, backend: Backend, store: LabelStore, scratch: Path, rules: Rules
) -> tuple[str, str]:
    """Label one structure; return its state and what went wrong."""
    record = store.quarantined(key)
    tried = record.tried if record is not None else frozenset()
    if backend.in_process:
        # If the code takes the job down with it, this is what is known of the structure.
        log = "the job ended while the code was at work on this structure"
        store.quarantine(key, atoms, part="energy", reasons=["killed"], log=log)
    try:
        # A folder of its own: another process may be labelling the same structure.
        with tempfile.TemporaryDirectory(
            prefix=f"{key[:_PREFIX]}.", dir=scratch, ignore_cleanup_errors=True
        ) as directory:
            try:
                label = backend.compute(
                    atoms, Path(directory), efg=rules.efg, base=store.get(key), tried=tried
                )
            except LabelFailure as failure:
                if failure.transient:
                    _keep(Path(directory), scratch / key)
                return _failed(failure, atoms, key, store, rules), str(failure)
            store.put(label, atoms)
    except OSError as error:
        # A full disk or a lost file system says nothing about the structure.
        failure = LabelFailure(["io_error"], log=f"{type(error).__name__}: {error}")
        with contextlib.suppress(OSError):
            return _failed(failure, atoms, key, store, rules), failure.log
        return MISSING, failure.log
    shutil.rmtree(scratch / key, ignore_errors=True)
    return LABELLED, ""


def _keep(directory: Path, target: Path) -> None:
    """Copy the files of a failed run where a user finds them; not worth another failure."""
    with contextlib.suppress(OSError):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(directory, target)


def _failed(failure: LabelFailure, atoms: Atoms, key: str, store: LabelStore, rules: Rules) -> str:
    """Record a failure; return the state of its structure."""
    if failure.partial is not None:
        store.put(failure.partial, atoms)
    reasons = by_weight(failure.reasons)
    record = store.quarantine(
        key,
        atoms,
        part=failure.part,
        reasons=reasons,
        log=failure.log,
        attempts=failure.attempts,
    )
    if record.transient and record.failures < rules.max_failures:
        return MISSING
    return f"{QUARANTINED}:{reasons[0]}"


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
    if label.stress is not None:
        atoms.info[extxyz.STRESS] = label.stress.copy()
    atoms.info["hash"] = label.key
    atoms.info["source"] = label.source
    atoms.info[LABEL_SET] = label.label_set
    if label.imported:
        atoms.info["imported"] = label.imported
    atoms.arrays[extxyz.FORCES] = label.forces.copy()
    if label.efg is not None:
        atoms.arrays[extxyz.EFG] = label.efg.copy()
    return atoms
