"""Labels as a campaign asks for them: the backend of its config, and the census of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.labels.batch import LABELLED, MISSING, BatchResult, Rules
from hopecho.labels.imported import LABEL_SET, Differences
from hopecho.labels.interface import Backend, make_backend
from hopecho.labels.model_pes import NAME as MODEL
from hopecho.labels.quality import ADVICE, Limits

if TYPE_CHECKING:
    from ase import Atoms

IN_PROCESS = ("model_pes", "xtb", "ase")
"""Codes that run in the job's own process: there is no command, version or time limit to set."""


def backend_from_settings(settings: Mapping[str, Any]) -> Backend:
    """Return the backend that the config names.

    Parameters
    ----------
    settings : mapping
        ``code``, ``command``, ``efg_command``, ``version``, the block of the code, ``dataset``,
        ``retries``, ``max_wall_min``.

    Raises
    ------
    HopechoError
        The code cannot be run, or reports another version than the config expects.
    """
    code, runs_program = settings["code"], settings["code"] not in IN_PROCESS
    minutes = settings["max_wall_min"] if runs_program else None
    backend = make_backend(
        code,
        command=settings["command"] or None if runs_program else None,
        efg_command=settings["efg_command"] or None if runs_program else None,
        settings=settings.get(code) or {},
        dataset=settings["dataset"],
        retries=settings["retries"],
        timeout_s=60.0 * minutes if minutes else None,
    )
    if runs_program and backend.version != settings["version"]:
        raise HopechoError(
            f"{settings['command']} is another version than the config expects",
            got=f"version {backend.version}, labels.version: {settings['version']!r}",
            fix="set labels.version, or labels.command to the right executable",
        )
    return backend


def rules_from_settings(settings: Mapping[str, Any]) -> Rules:
    """Return what the config asks of labels: ``efg``, limits, allowed failures and differences."""
    allowed = settings.get("imported")
    return Rules(
        efg=settings["efg"],
        limits=Limits(settings["max_force_ev_a"], settings["max_stress_ev_a3"]),
        max_failures=settings["max_transient_failures"],
        differences=Differences(
            energy_ev_atom=allowed["max_energy_difference_ev_atom"],
            force_ev_a=allowed["max_force_difference_ev_a"],
            stress_ev_a3=allowed["max_stress_difference_ev_a3"],
            efg_au=allowed["max_efg_difference_au"],
        )
        if allowed
        else Differences(),
    )


def require_one_set(frames: Sequence[Atoms]) -> None:
    """Refuse frames whose labels are of different codes, settings or data sets.

    Raises
    ------
    HopechoError
        Frames of two sets.
    """
    sets = [
        f"{a.info.get('source', 'unknown')} ({a.info.get(LABEL_SET, 'unknown')})" for a in frames
    ]
    counts = {name: sets.count(name) for name in sorted(set(sets))}
    if len(counts) > 1:
        raise HopechoError(
            "Labels of different code, settings or dataset would be fitted together",
            got=", ".join(f"{n} of {name}" for name, n in counts.items()),
            fix="delete the labelled.extxyz files of the odd ones, run again with one labels block",
        )


def raise_if_missing(result: BatchResult) -> None:
    """Fail the job of a batch in which a label is missing after a transient failure.

    The batch's other labels are in the store; the next run computes only the missing ones.

    Raises
    ------
    HopechoError
        If a label is missing.
    """
    missing = [key for key, state in result.states if state == MISSING]
    if missing:
        problems = dict(result.problems)
        raise HopechoError(
            f"{len(missing)} of {len(result.states)} labels are missing after a transient failure",
            got=", ".join(f"{key[:12]} ({problems.get(key, '')})" for key in missing[:4]),
            fix="run again: finished labels are kept, only the missing ones are computed; after"
            " labels.max_transient_failures failures a structure is set aside",
        )


@dataclass(frozen=True)
class Census:
    """What became of all frames of a set."""

    source: str
    """What the labels are, such as ``model PES``."""
    label_set: str
    """Name of the set in which they may be fitted together."""
    labelled: tuple[str, ...]
    """Keys in the order of the frames, each once."""
    quarantined: dict[str, str]
    """Key -> reason."""
    checks: tuple[Mapping[str, Any], ...] = field(default=())
    """Imported labels against this code's own."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "source": self.source,
            "label_set": self.label_set,
            "n_labelled": len(self.labelled),
            "labelled": list(self.labelled),
            "quarantined": dict(sorted(self.quarantined.items())),
            "checks": [dict(check) for check in self.checks],
        }


def census(indices: Sequence[Mapping[str, Any]], *, max_failed_share: float, source: str) -> Census:
    """Count the states of a set of frames from the indices of its batches.

    Parameters
    ----------
    indices : sequence of mapping
        ``source``, ``label_set``, ``keys`` in frame order, ``labels`` as pairs (key, state),
        ``checks``.
    max_failed_share : float
        Largest share of quarantined labels.
    source : str
        ``labels.source``, what every header will say the labels are.

    Raises
    ------
    HopechoError
        Too many are quarantined, the labels come from different codes or settings, or the header
        would call them something else than they are.
    """
    states = {key: state for index in indices for key, state in index["labels"]}
    keys = list(dict.fromkeys(key for index in indices for key in index["keys"]))
    bad = {k: states[k].partition(":")[2] for k in keys if states[k] != LABELLED}
    if len(bad) > max_failed_share * len(keys):
        raise _too_many(bad, len(keys), max_failed_share)
    sets = {(index["source"], index["label_set"]) for index in indices if index["keys"]}
    if len(sets) > 1:
        raise HopechoError(
            "labels of different code, settings or dataset would be mixed in one set",
            got=", ".join(sorted(f"{words} ({name})" for words, name in sets)),
            fix="delete the labels*.json of this set and run again with one labels block",
        )
    found, name = next(iter(sets), ("", ""))
    if found:
        check_source(source, found)
    checks = tuple(check for index in indices for check in index["checks"])
    return Census(found, name, tuple(k for k in keys if k not in bad), bad, checks)


def check_source(source: str, found: str) -> None:
    """Refuse a header that does not say what the labels are.

    Raises
    ------
    HopechoError
        ``labels.source`` does not name the code that the labels come from.
    """
    if not _says(source, found):
        raise HopechoError(
            "labels.source does not say what the labels are",
            got=f"labels.source: {source!r}, but they come from {found!r}",
            fix=f"set labels.source: {found}",
        )


def _says(words: str, found: str) -> bool:
    """Return whether a header names the code that the labels come from, and no other."""
    if MODEL in (words, found):
        return words == found
    return found.split()[0].lower() in words.lower() and MODEL not in words


def _too_many(bad: Mapping[str, str], n_keys: int, max_failed_share: float) -> HopechoError:
    """Return the error that stops a campaign, with what can be done about each reason."""
    reasons = sorted(set(bad.values()), key=lambda r: (-list(bad.values()).count(r), r))
    counts = ", ".join(f"{list(bad.values()).count(r)} {r}" for r in reasons)
    advice = [f"{r}: {ADVICE[r]}" for r in reasons if r in ADVICE]
    return HopechoError(
        f"{len(bad)} of {n_keys} labels failed, more than labels.max_failed_share ="
        f" {max_failed_share:g} allows",
        got=counts,
        fix="; ".join(
            [
                *advice,
                "logs and structures: hopecho labels list, hopecho labels show HASH",
                "after mending: hopecho labels retry",
            ]
        ),
    )
