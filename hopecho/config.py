"""The campaign's configuration: validation with helpful errors, and typed access.

A campaign is one mapping (config.yaml, with overlays merged over it). `validate` checks it against
the JSON schema and against itself; every error names the file, the key, the value, and what would
be right. `Campaign` answers the questions that the workflow and the command line ask of it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from hopecho import own_plan
from hopecho.config_checks import check_meaning, check_numbers
from hopecho.config_problem import dotted, shown, where
from hopecho.config_text import PROJECT_ROOT, check_size, load_yaml, merge, string_keys
from hopecho.errors import HopechoError


@dataclass(frozen=True)
class Run:
    """One production run: a quench of a phase at a temperature with its own velocities."""

    material: str
    phase: str
    quench: int
    temperature_k: int
    replica: int


@dataclass(frozen=True)
class Case:
    """One phase of a material at one temperature."""

    material: str
    phase: str
    temperature_k: int


def load(*paths: str | Path) -> dict[str, Any]:
    """Read config files, later ones merged over earlier ones, and validate the result."""
    config: dict[str, Any] = {}
    for path in paths:
        config = merge(config, load_yaml(path))
    return validate(config, files=[Path(p) for p in paths])


def validate(config: Mapping[str, Any], *, files: Sequence[Path] = ()) -> dict[str, Any]:
    """Check a configuration and return it with keys and numbers in canonical types.

    Keys become strings; values whose schema says ``number`` become floats, so that ``300`` and
    ``300.0`` are the same setting.

    Parameters
    ----------
    config : Mapping
        The merged configuration.
    files : sequence of Path, optional
        The files it came from, in the order in which they were merged; used in messages.

    Raises
    ------
    HopechoError
        On the first error, with file, key, value, and the nearest known key or the fix.
    """
    for path in files:
        if path.is_file():
            load_yaml(path)  # what merging hides: a key that stands twice
    schema = load_yaml(PROJECT_ROOT / "schemas" / "config.schema.yaml")
    check_size(config, files[-1] if files else "the configuration")
    checked = string_keys(config)
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(
        validator.iter_errors(checked), key=lambda e: (len(e.absolute_path), str(e.path))
    )
    if errors:
        raise _schema_error(errors[0], files)
    check_numbers(checked, (), files)
    checked = _canonical_numbers(checked, schema, schema)
    check_meaning(checked, files)
    return checked


def _canonical_numbers(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        other = schema.get("additionalProperties", {})
        other = other if isinstance(other, Mapping) else {}
        return {k: _canonical_numbers(v, properties.get(k, other), root) for k, v in value.items()}
    if isinstance(value, list):
        return [_canonical_numbers(v, schema.get("items", {}), root) for v in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    kind = schema.get("type")
    if kind == "number":
        return float(value)
    # A code's own keywords may be of several types: 5 stays 5, since a code may want an integer.
    whole = kind == "integer" or (isinstance(kind, list) and value == int(value))
    return int(value) if whole else value


def _schema_error(error: jsonschema.ValidationError, files: Sequence[Path]) -> HopechoError:
    key = tuple(str(part) for part in error.absolute_path)
    wanted: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(schema.get("properties", {}))
        unknown = next(k for k in error.instance if k not in known)
        near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
        full = (*key, unknown)
        return HopechoError(
            f"{where(full, files)}: unknown key '{dotted(full)}'",
            got=f"{unknown}: {shown(error.instance[unknown])}",
            fix=f"did you mean '{dotted((*key, near[0]))}'?"
            if near
            else f"known keys here: {', '.join(known)}",
        )
    if error.validator == "required":
        missing = next(k for k in wanted if k not in instance)
        return HopechoError(
            f"{where(key, files)}: key '{dotted((*key, missing))}' is missing",
            fix="copy it from the embedded config.yaml",
        )
    return HopechoError(
        f"{where(key, files)}: '{dotted(key)}' is not valid",
        got=shown(error.instance),
        fix=_expectation(error),
    )


def _expectation(error: jsonschema.ValidationError) -> str:
    wanted = error.validator_value
    if error.validator == "pattern" and isinstance(error.schema, Mapping):
        return str(error.schema.get("description", f"it must match {wanted}"))
    phrases = {
        "type": f"give a value of type {wanted}",
        "enum": f"choose one of {wanted}",
        "minimum": f"give a value of at least {wanted}",
        "maximum": f"give a value of at most {wanted}",
        "exclusiveMinimum": f"give a value above {wanted}",
        "minItems": f"give at least {wanted} values",
        "maxItems": f"give at most {wanted} values",
        "uniqueItems": "name each value once",
        "minProperties": f"give at least {wanted} entries",
    }
    return phrases.get(str(error.validator), error.message)


class Campaign:
    """Typed access to a validated configuration.

    Parameters
    ----------
    config : Mapping
        What `validate` returned.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def get(self, dotted: str) -> Any:
        """Return the value of a key such as ``md.dt_fs``."""
        node: Any = self.config
        for part in dotted.split("."):
            node = node[part]
        return node

    def settings(self, *dotted: str, **extra: Any) -> str:
        """Return named values as one canonical JSON string, which Snakemake compares as a whole.

        The last part of each key is its name; `extra` adds values that are not in the config.
        """
        values = {key.rsplit(".", 1)[-1]: self.get(key) for key in dotted} | extra
        return json.dumps(values, sort_keys=True)

    def seed(self, *parts: object) -> int:
        """Derive a seed from the root seed and the names of a stage (SHA-256, below 9e8)."""
        text = ":".join(str(p) for p in (self.config["seed"], *parts))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 900_000_000 + 1

    def own_run(self, kind: str, phase: str, name: own_plan.RunName) -> Mapping[str, Any]:
        """Return the entry of ``trajectories`` or ``efg`` of a run that the user brings.

        Raises
        ------
        HopechoError
            If there is none.
        """
        known = own_plan.own_entries(self.config, phase, kind)
        if name not in known:
            raise HopechoError(
                f"'phases.{phase}.{kind}' has no run of {name.temperature_k} K, quench "
                f"{name.quench}, replica {name.replica}",
                got=f"{len(known)} other runs",
                fix="give it, or ask for another file",
            )
        return known[name]

    def cases(self) -> Iterator[Case]:
        """Iterate over the phases and temperatures that are run."""
        for material, phases in self.config["run"].items():
            for phase in phases:
                for temperature_k in own_plan.temperatures(self.config, phase):
                    yield Case(material, phase, temperature_k)

    def segments(self, phase: str, temperature_k: int) -> int:
        """Number of segments of a production run: its length rounded up to whole segments.

        A run that the user brings is one segment.
        """
        return own_plan.n_segments(self.config, phase, temperature_k)

    def runs(
        self, material: str, phase: str | None = None, temperature_k: int | None = None
    ) -> Iterator[Run]:
        """Iterate over the production runs of a material, or of one phase and temperature."""
        for p in self.config["run"][material] if phase is None else [phase]:
            known = own_plan.temperatures(self.config, p)
            for temperature in known if temperature_k is None else [int(temperature_k)]:
                for quench, replica in self._starts(p, temperature):
                    yield Run(material, p, quench, temperature, replica)

    def _starts(self, phase: str, temperature_k: int) -> Iterator[tuple[int, int]]:
        """Quench and replica of every run of a phase at a temperature."""
        entry = self.config["phases"][phase]
        if own_plan.is_own(self.config, phase):
            for name in own_plan.own_entries(self.config, phase, "trajectories"):
                if name.temperature_k == temperature_k:
                    yield name.quench, name.replica
            return
        for quench in range(entry["quenches"]):
            yield from ((quench, replica) for replica in range(entry["replicas"]))
