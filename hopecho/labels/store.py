"""Content-addressed store of labels: one JSON file a label, shared by campaigns and processes.

``<root>/<ab>/<cd>/<key>.json`` holds structure and label, ``<key>.quarantine.json`` what failed and
why. Files appear by an atomic rename after fsync, so that a reader sees a whole file or none,
whichever process is killed when; two processes that label the same structure write the same content
and the last one stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.labels.interface import Label, settings_hash, structure_hash
from hopecho.labels.quality import RETRYABLE, is_transient

if TYPE_CHECKING:
    from ase import Atoms

_FORMAT = 1
_QUARANTINE = ".quarantine"
_LOG_HEAD, _LOG_TAIL = 800, 3200


LIMITS = "limits"
"""Part of a record whose label is there but beyond the campaign's limits."""


@dataclass(frozen=True)
class Quarantine:
    """A structure that is not trained on, and why."""

    key: str
    part: str
    """``energy`` or ``efg``: the run that failed; ``limits``: no run did."""
    reasons: tuple[str, ...]
    log: str
    """The end of what the code printed."""
    attempts: tuple[Mapping[str, Any], ...] = ()
    """What was tried: ``changes`` of the settings and ``reasons`` of each attempt."""
    failures: int = 1
    """Times that the same kind of failure was seen."""

    @property
    def transient(self) -> bool:
        """Whether other circumstances may give the label."""
        return self.part != LIMITS and is_transient(self.reasons)

    @property
    def curable(self) -> bool:
        """Whether other settings of the code may give the label."""
        return self.part != LIMITS and bool(RETRYABLE.intersection(self.reasons))

    @property
    def tried(self) -> frozenset[str]:
        """`settings_hash` of the changes that failed for a scientific reason."""
        return frozenset(
            settings_hash(a["changes"]) for a in self.attempts if not is_transient(a["reasons"])
        )


class LabelStore:
    """Labels and quarantine records under one folder.

    Parameters
    ----------
    root : Path
        ``labels.store``; made on the first write.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def get(self, key: str) -> Label | None:
        """Label of a key, or None where there is none.

        Raises
        ------
        HopechoError
            The file is damaged.
        """
        path = self._path(key)
        data = self._read(path)
        if data is None:
            return None
        with _reading(path):
            return _checked_label(data, key)

    def atoms(self, key: str) -> Atoms:
        """Structure of a label (or of a quarantine record) as it was sent to the code.

        Raises
        ------
        HopechoError
            The store knows no such key, or the file is damaged.
        """
        path = self._path(key)
        data = self._read(path)
        if data is None:
            path = self._path(key, _QUARANTINE)
            data = self._read(path)
        if data is None:
            raise HopechoError(
                "The label store has no such label",
                got=f"{key} in {self.root}",
                fix="run the label rule again, or check labels.store",
            )
        with _reading(path):
            return _structure_from(data)

    def put(self, label: Label, atoms: Atoms) -> str:
        """Store a label with its structure; return its key.

        A label with field gradients is never replaced by one without. A quarantine record that
        the label disproves is removed.

        Raises
        ------
        HopechoError
            Label and structure do not belong together.
        """
        if structure_hash(atoms) != label.structure:
            raise HopechoError("A label does not belong to its structure", got=label.structure)
        known = self.get(label.key)
        if known is None or known.efg is None or label.efg is not None:
            self._write(self._path(label.key), _label_data(label) | _structure_data(atoms))
        record = self.quarantined(label.key)
        if record is not None and (record.part == "energy" or label.efg is not None):
            self.release(label.key)
        return label.key

    def quarantine(
        self,
        key: str,
        atoms: Atoms,
        *,
        part: str,
        reasons: Sequence[str],
        log: str,
        attempts: Sequence[Mapping[str, Any]] = (),
    ) -> Quarantine:
        """Record a failure with reasons, the end of the log, what was tried, and the structure.

        Transient failures of the same part are counted; attempts add up.
        """
        before = self.quarantined(key)
        record = Quarantine(key, part, tuple(reasons), _shortened(log), tuple(attempts))
        if before is not None and before.part == part:
            count = before.failures + 1 if before.transient and record.transient else 1
            record = replace(record, attempts=before.attempts + record.attempts, failures=count)
        data = {name: getattr(record, name) for name in Quarantine.__dataclass_fields__}
        data = json.loads(json.dumps(data, default=dict))
        self._write(self._path(key, _QUARANTINE), data | _structure_data(atoms))
        return record

    def quarantined(self, key: str) -> Quarantine | None:
        """Quarantine record of a key, or None."""
        path = self._path(key, _QUARANTINE)
        data = self._read(path)
        if data is None:
            return None
        with _reading(path):
            return _record_from(data, key)

    def release(self, key: str) -> None:
        """Remove the quarantine record of a key."""
        self._path(key, _QUARANTINE).unlink(missing_ok=True)

    def keys(self, *, quarantined: bool = False) -> list[str]:
        """Sorted keys of all labels, or of all quarantine records."""
        names = [path.name.removesuffix(".json") for path in self.root.glob("??/??/*.json")]
        if quarantined:
            return sorted(n.removesuffix(_QUARANTINE) for n in names if n.endswith(_QUARANTINE))
        return sorted(n for n in names if not n.endswith(_QUARANTINE))

    def drop(self, key: str) -> bool:
        """Forget label and quarantine record of a key; return whether there was any."""
        found = False
        for suffix in ("", _QUARANTINE):
            with contextlib.suppress(FileNotFoundError):
                self._path(key, suffix).unlink()
                found = True
        return found

    def set_aside_damaged(self, key: str) -> list[Path]:
        """Rename damaged files of a key to ``*.damaged``; return what they are called now."""
        aside = []
        for suffix in ("", _QUARANTINE):
            path = self._path(key, suffix)
            try:
                self.quarantined(key) if suffix else self.get(key)
            except HopechoError:
                aside.append(path.with_name(f"{path.name}.damaged"))
                path.rename(aside[-1])
        return aside

    def verify(self) -> list[str]:
        """Read every file; return one line for each that is damaged or under a wrong name."""
        problems = []
        for path in sorted(self.root.glob("??/??/*.json")):
            name = path.name.removesuffix(".json").removesuffix(_QUARANTINE)
            try:
                data = self._read(path)
                if data is None:
                    continue
                read = _record_from if path.stem.endswith(_QUARANTINE) else _checked_label
                with _reading(path):
                    read(data, name)
            except HopechoError as error:
                problems.append(f"{path}: {error.got}")
        return problems

    def _path(self, key: str, suffix: str = "") -> Path:
        if not key.isalnum():
            raise HopechoError("A label's key is letters and digits", got=repr(key)[:80])
        return self.root / key[:2] / key[2:4] / f"{key}{suffix}.json"

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            with _reading(path):
                data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                checksum = data.pop("checksum")
                if data.get("format") != _FORMAT or checksum != _checksum(data):
                    raise ValueError("format or checksum does not fit")
        except FileNotFoundError:
            return None
        return data

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        data = {"format": _FORMAT} | data
        text = json.dumps({"checksum": _checksum(data)} | data, sort_keys=True, allow_nan=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes private files; a store is shared by a group.
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes its reader raise becomes an error that names the file."""
    try:
        yield
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        *(RecursionError, IsADirectoryError, HopechoError),
    ) as error:
        raise HopechoError(
            f"A file of the label store is damaged: {path}",
            got=error.what if isinstance(error, HopechoError) else str(error),
            fix="delete the file; the label is computed again",
        ) from error


def _shortened(log: str) -> str:
    """Beginning of a log, where a reader's message stands, and its end."""
    if len(log) <= _LOG_HEAD + _LOG_TAIL:
        return log
    return f"{log[:_LOG_HEAD]}\n[...]\n{log[-_LOG_TAIL:]}"


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _checksum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _structure_data(atoms: Atoms) -> dict[str, Any]:
    return {
        "structure": {
            "numbers": atoms.numbers.tolist(),
            "cell": atoms.cell.array.tolist(),
            "positions": atoms.positions.tolist(),
        }
    }


def _structure_from(data: Mapping[str, Any]) -> Atoms:
    from ase import Atoms

    structure = data["structure"]
    return Atoms(
        numbers=structure["numbers"],
        cell=structure["cell"],
        positions=structure["positions"],
        pbc=True,
    )


def _label_data(label: Label) -> dict[str, Any]:
    values = {name: getattr(label, name) for name in Label.__dataclass_fields__}
    values["energy"], values["changes"] = float(label.energy), dict(label.changes)
    for name in ("forces", "stress", "efg"):
        values[name] = None if values[name] is None else np.asarray(values[name]).tolist()
    return {"label": values}


def _label_from(data: Mapping[str, Any]) -> Label:
    values = dict(data["label"])
    for name in ("forces", "stress", "efg"):
        values[name] = None if values[name] is None else np.array(values[name], dtype=float)
    return Label(**values)


def _checked_label(data: Mapping[str, Any], key: str) -> Label:
    """Label of a file that must be that of its name, with its structure and whole arrays."""
    label, atoms = _label_from(data), _structure_from(data)
    if label.key != key:
        raise ValueError(f"it holds {label.key}")
    if structure_hash(atoms) != label.structure:
        raise ValueError("label and structure do not belong together")
    n = len(atoms)
    arrays = {
        "forces": (label.forces, (n, 3)),
        "stress": (label.stress, (6,)),
        "efg": (label.efg, (n, 3, 3)),
    }
    for name, (array, shape) in arrays.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} of shape {array.shape} for {n} atoms")
        if array is not None and not np.isfinite(array).all():
            raise ValueError(f"{name} are not finite")
    if not np.isfinite(label.energy):
        raise ValueError("the energy is not finite")
    return label


def _record_from(data: Mapping[str, Any], key: str) -> Quarantine:
    values = {n: data[n] for n in Quarantine.__dataclass_fields__ if n in data}
    values["reasons"] = tuple(values["reasons"])
    values["attempts"] = tuple(values.get("attempts", ()))
    record = Quarantine(**values)
    if record.key != key:
        raise ValueError(f"it holds {record.key}")
    if not all(isinstance(reason, str) for reason in record.reasons):
        raise ValueError("reasons are no words")
    return record
