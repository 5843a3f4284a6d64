"""Phases whose data the user brings: what is left to simulate, and what may be said of the rest.

Functions of a configuration. ``phases.<p>.trajectories`` stand in place of MD,
``phases.<p>.efg`` in place of the prediction of tensors, ``efg.file`` in place of the fit of their
model. A run of the user's own is named by temperature, quench (its starting structure) and replica.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Config = Mapping[str, Any]

TRAJECTORIES = "own trajectories"
"""What is said of trajectories that were brought, where others name the source of the labels."""


class RunName(NamedTuple):
    """Which run of a phase it is."""

    temperature_k: int
    quench: int
    replica: int


class Problem(NamedTuple):
    """What is wrong with a key of the configuration."""

    key: tuple[str, ...]
    what: str
    got: object
    fix: str


def run_name(entry: Mapping[str, Any]) -> RunName:
    """Return the name of an entry of ``trajectories`` or ``efg``."""
    return RunName(*(int(entry[part]) for part in RunName._fields))


def own_entries(config: Config, phase: str, kind: str) -> dict[RunName, Mapping[str, Any]]:
    """Entries of ``trajectories`` or ``efg`` of a phase by name, sorted."""
    entries = {run_name(e): e for e in config["phases"][phase].get(kind, ())}
    return dict(sorted(entries.items()))


def is_own(config: Config, phase: str) -> bool:
    """Whether trajectories are brought, so that the phase is not simulated."""
    return bool(config["phases"][phase].get("trajectories"))


def simulated(config: Config, material: str) -> list[str]:
    """Phases of a material that are run by MD."""
    return [phase for phase in config["run"][material] if not is_own(config, phase)]


def learned(config: Config) -> list[str]:
    """Materials with a phase that is simulated: those with labels and a potential."""
    return [material for material in config["run"] if simulated(config, material)]


def temperatures(config: Config, phase: str) -> list[int]:
    """Temperatures of a phase's runs, K."""
    if is_own(config, phase):
        return sorted({name.temperature_k for name in own_entries(config, phase, "trajectories")})
    return [int(t) for t in config["md"]["temperatures_k"]]


def tensors(config: Config, material: str, phase: str) -> str:
    """Where the tensors of a phase are from.

    Returns
    -------
    str
        ``table`` (brought), ``file`` (predicted by the model of ``efg.file``), ``fit`` (predicted
        by the model that the campaign fits), or empty: there are none.
    """
    if config["phases"][phase].get("efg"):
        return "table"
    if config["efg"]["file"]:
        return "file"
    return "fit" if config["labels"]["efg"] and material in learned(config) else ""


def n_segments(config: Config, phase: str, temperature_k: int) -> int:
    """Number of segments of a production run: its length rounded up to whole segments.

    A run that the user brings is one segment.
    """
    if is_own(config, phase):
        return 1
    length = config["md"]["length_ps"][phase][str(temperature_k)]
    return max(1, math.ceil(length / config["md"]["segment_ps"] - 1e-9))


def origin(config: Config, material: str, phase: str, *, with_tensors: bool = False) -> str:
    """Say what the results of a phase rest on: the labels' source where that is all.

    Parameters
    ----------
    with_tensors : bool
        Whether they are made from tensors, too.
    """
    source = str(config["labels"]["source"])
    own = is_own(config, phase)
    said = TRAJECTORIES if own else source
    how = tensors(config, material, phase) if with_tensors else ""
    if how == "table":
        return f"{said} and tensors"
    if how == "file":
        return f"{said}; tensors by the model of efg.file"
    if how == "fit" and own:
        return f"{said}; tensors by a model of labels: {source}"
    return said


def own_phases(config: Config) -> dict[str, dict[str, dict[str, Any]]]:
    """Phases of each material that bring their trajectories: temperatures and origin of tensors."""
    return {
        material: {
            phase: {
                "temperatures_k": temperatures(config, phase),
                "tensors": tensors(config, material, phase),
            }
            for phase in phases
            if is_own(config, phase)
        }
        for material, phases in config["run"].items()
    }


def problems(config: Config) -> Iterator[Problem]:
    """Find what cannot be with the data that the phases of ``run`` bring, first things first."""
    for phase in sorted({p for phases in config["run"].values() for p in phases}):
        yield from _phase_problems(config, phase)
    model, key = config["efg"]["file"], ("efg", "file")
    if model and not Path(model).is_file():
        fix = "give a path from the folder you run in, or '' to fit a model"
        yield Problem(key, "does not exist", model, fix)
    if model and config["efg"]["grid"]:
        fix = "leave one of them empty: a model from a file is not fitted"
        yield Problem(("efg", "grid"), "and efg.file are both set", model, fix)


def _phase_problems(config: Config, phase: str) -> Iterator[Problem]:
    entry, here = config["phases"][phase], ("phases", phase)
    for kind in ("trajectories", "efg"):
        yield from _entry_problems((*here, kind), entry.get(kind, ()))
    runs, tables = (list(own_entries(config, phase, kind)) for kind in ("trajectories", "efg"))
    if tables and tables != runs:
        odd = [tuple(name) for name in runs if name not in tables] or [
            tuple(name) for name in tables if name not in runs
        ]
        fix = (
            f"give one entry for every run of phases.{phase}.trajectories and no other"
            if runs
            else "give their trajectories, too; `hopecho echo` analyses tables alone"
        )
        what = "and the trajectories are not of the same runs (temperature_k, quench, replica)"
        yield Problem((*here, "efg"), what, odd, fix)
    if runs and entry.get("kind") == "crystal" and not {"structure", "supercell"} <= set(entry):
        fix = f"give both, or leave phases.{phase}.kind out: then hops are those of cages"
        yield Problem((*here, "kind"), "needs a structure and a supercell", "crystal", fix)


def _entry_problems(
    key: tuple[str, ...], entries: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """Files that are not there or stand twice, and runs that are named twice."""
    names, seen = [run_name(e) for e in entries], set()
    for name in names:
        if names.count(name) > 1:
            fix = "number quenches (starting structures) and their replicas from 0"
            what = "has two runs of one temperature_k, quench and replica"
            yield Problem(key, what, tuple(name), fix)
    for path in (path for e in entries for path in e["files"]):
        if not Path(path).is_file():
            fix = "give a path from the folder you run in"
            yield Problem(key, "names a file that does not exist", path, fix)
        if path in seen:
            yield Problem(key, "names a file twice", path, "every file belongs to one run")
        seen.add(path)
