"""Labels as a campaign asks for them: the backend of its config, and the census of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopecho.errors import HopechoError
from hopecho.labels.batch import LABELLED, MISSING, BatchResult
from hopecho.labels.interface import Backend, make_backend
from hopecho.labels.model_pes import NAME as MODEL
from hopecho.labels.quality import Gates


def backend_from_settings(settings: Mapping[str, Any]) -> Backend:
    """Return the backend that the config names.

    Parameters
    ----------
    settings : mapping
        ``code``, ``command``, ``version``, ``castep``, ``dataset``, ``max_force_ev_a``,
        ``max_stress_ev_a3``.

    Raises
    ------
    HopechoError
        The code cannot be run, or reports another version than the config expects.
    """
    is_castep = settings["code"] == "castep"
    backend = make_backend(
        settings["code"],
        command=settings["command"] if is_castep else None,
        settings=settings["castep"] if is_castep else None,
        dataset=settings["dataset"],
        gates=Gates(settings["max_force_ev_a"], settings["max_stress_ev_a3"]),
    )
    if is_castep and backend.version != settings["version"]:
        raise HopechoError(
            f"{settings['command']} is another version than the config expects",
            got=f"version {backend.version}, labels.version: {settings['version']!r}",
            fix="set labels.version, or labels.command to the right executable",
        )
    return backend


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
        raise HopechoError(
            f"{len(missing)} of {len(result.states)} labels are missing after a transient failure",
            got=", ".join(key[:12] for key in missing[:4]),
            fix="run again: finished labels are kept, only the missing ones are computed",
        )


@dataclass(frozen=True)
class Census:
    """What became of all frames of a set."""

    source: str
    """What the labels are, such as ``model PES``."""
    labelled: tuple[str, ...]
    """Keys in the order of the frames, each once."""
    quarantined: dict[str, str]
    """Key -> reason."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "source": self.source,
            "n_labelled": len(self.labelled),
            "quarantined": dict(sorted(self.quarantined.items())),
        }


def census(indices: Sequence[Mapping[str, Any]], *, max_failed_share: float, source: str) -> Census:
    """Count the states of a set of frames from the indices of its batches.

    Parameters
    ----------
    indices : sequence of mapping
        ``source``, ``keys`` in frame order, ``labels`` as pairs (key, state).
    max_failed_share : float
        Largest share of quarantined labels.
    source : str
        ``labels.source``, what every header will say the labels are.

    Raises
    ------
    HopechoError
        Too many are quarantined, the labels come from different sources, or the header would call
        the model surface something else (or something else the model surface).
    """
    states = {key: state for index in indices for key, state in index["labels"]}
    keys = list(dict.fromkeys(key for index in indices for key in index["keys"]))
    bad = {k: states[k].partition(":")[2] for k in keys if states[k] != LABELLED}
    if len(bad) > max_failed_share * len(keys):
        reasons = sorted(set(bad.values()))
        raise HopechoError(
            f"{len(bad)} of {len(keys)} labels failed, more than labels.max_failed_share allows",
            got=f"reasons: {', '.join(reasons)}",
            fix="look at the quarantined structures (hopecho labels list) and the code's settings",
        )
    sources = sorted({index["source"] for index in indices if index["keys"]})
    if len(sources) > 1:
        raise HopechoError(
            "labels of different sources would be mixed in one set",
            got=", ".join(sources),
            fix="delete the labels*.json of this set and run again with one labels.code",
        )
    if sources and (MODEL in sources[0]) != (MODEL in source):
        raise HopechoError(
            "labels.source does not say what the labels are",
            got=f"labels.source: {source!r}, but they come from {sources[0]!r}",
            fix=f"set labels.source: {sources[0]}",
        )
    return Census("".join(sources), tuple(k for k in keys if k not in bad), bad)
