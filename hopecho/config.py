"""The campaign's configuration: loading, validation with helpful errors, and typed access.

A campaign is one mapping (config.yaml, with overlays merged over it). `validate` checks it against
the JSON schema and against itself; every error names the file, the key, the value, and what would
be right. `Campaign` answers the questions that the workflow and the command line ask of it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from hopecho import own_plan
from hopecho.errors import HopechoError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""Folder that holds Snakefile, config.yaml, schemas/ and resources/."""

OWN_FOLDERS = (
    *(".git", ".snakemake", ".venv", "benchmarks", "campaigns", "containers", "docs", "envs"),
    *("hopecho", "profiles", "report", "resources", "rules", "schemas", "scripts", "tests"),
)
"""Of the checkout: no campaign writes there, and none is removed from there."""

Key = tuple[str, ...]

STRUCTURE_KEYS = ("kind", "structure", "supercell", "quenches", "replicas")
"""Of a phase that is built; one that brings its trajectories needs none of them."""

MAX_BYTES, MAX_ENTRIES, MAX_LIST, MAX_DEPTH = 1 << 18, 100_000, 5_000, 30
"""Of a configuration: far more than a campaign needs."""

SMALLEST, LARGEST = 1e-30, 1e30
"""Numbers beyond overflow in the first product."""

MAX_JOBS, MAX_COPIES = 200_000, 100_000
"""Jobs of one kind (Snakemake plans ten thousand in half a minute); cells of a supercell."""


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


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises
    ------
    HopechoError
        If the file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise ValueError(f"{size} bytes, more than {MAX_BYTES}")
        data = _constructed(Path(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise HopechoError(
            f"cannot read {path}", got=str(error), fix="check --configfile"
        ) from None
    # ValueError: bytes that are no text, a date such as 2026-13-01, a number of 5000 digits.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise HopechoError(f"{path} is not valid YAML", got=problem) from None
    if not isinstance(data, dict):
        raise HopechoError(f"{path} does not hold a mapping", got=type(data).__name__)
    return data


def _constructed(text: str, path: str | Path) -> Any:
    """Build the data of a YAML text, whose nodes are checked first."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node, path)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_nodes(root: yaml.Node, path: str | Path) -> None:
    """Refuse keys that stand twice, and aliases (and merged mappings) that unfold without end.

    Merged mappings (``<<``) unfold while the data are built, so that counting entries afterwards
    would be too late.
    """
    waiting, count = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
            _check_keys([key for key, _ in node.value], path)
        elif isinstance(node, yaml.SequenceNode):
            children = list(node.value)
        count += len(children)
        if count > 2 * MAX_ENTRIES or depth > MAX_DEPTH or len(children) > 2 * MAX_LIST:
            raise _too_large(path)
        waiting += [(child, depth + 1) for child in children]


def _check_keys(keys: Sequence[yaml.Node], path: str | Path) -> None:
    """YAML's readers keep the last of two equal keys and lose the first without a word."""
    seen: set[str] = set()
    for key in keys:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if key.value in seen:
                raise HopechoError(
                    f"{path}: the key '{key.value}' stands twice in one place",
                    got=f"again in line {key.start_mark.line + 1}",
                    fix="write it once: the first one would be lost",
                )
            seen.add(key.value)


def _too_large(path: str | Path) -> HopechoError:
    return HopechoError(
        f"{path} holds too many entries, or too many inside one another",
        got=f"more than {MAX_ENTRIES}, {MAX_LIST} in one list, or deeper than {MAX_DEPTH}",
        fix="write out YAML aliases (&name, *name)",
    )


def _check_size(data: Mapping[str, Any], path: str | Path) -> None:
    """Refuse aliases of aliases, which unfold a few lines into gigabytes, and those of themselves.

    Raises
    ------
    HopechoError
        There are more than `MAX_ENTRIES` entries, `MAX_LIST` of them in one place, or more than
        `MAX_DEPTH` inside one another.
    """
    waiting: list[tuple[Any, int]] = [(data, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        items = value.values() if isinstance(value, Mapping) else ()
        items = value if isinstance(value, list | tuple | set) else items
        count += len(items)
        if count > MAX_ENTRIES or depth > MAX_DEPTH or len(items) > MAX_LIST:
            raise _too_large(path)
        waiting += [(item, depth + 1) for item in items]


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `overlay` over `base`: mappings are merged, everything else replaces."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


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
    _check_size(config, files[-1] if files else "the configuration")
    checked = _string_keys(config)
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(
        validator.iter_errors(checked), key=lambda e: (len(e.absolute_path), str(e.path))
    )
    if errors:
        raise _schema_error(errors[0], files)
    _check_numbers(checked, (), files)
    checked = _canonical_numbers(checked, schema, schema)
    _check_meaning(checked, files)
    return checked


def _string_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _string_keys(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_string_keys(v) for v in value]
    return value


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


def _where(key: Key, files: Sequence[Path]) -> str:
    """Name the last file that holds `key`, which is the one that counts."""
    for path in reversed(files):
        if _holds(_string_keys(load_yaml(path)), key):
            return str(path)
    return str(files[-1]) if files else "the configuration"


def _holds(node: Any, key: Key) -> bool:
    """Whether a file's content holds a key; lists count as a whole, because they replace."""
    for part in key:
        if isinstance(node, list):
            return True
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _dotted(key: Sequence[Any]) -> str:
    return ".".join(str(part) for part in key) or "(top level)"


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
            f"{_where(full, files)}: unknown key '{_dotted(full)}'",
            got=f"{unknown}: {_shown(error.instance[unknown])}",
            fix=f"did you mean '{_dotted((*key, near[0]))}'?"
            if near
            else f"known keys here: {', '.join(known)}",
        )
    if error.validator == "required":
        missing = next(k for k in wanted if k not in instance)
        return HopechoError(
            f"{_where(key, files)}: key '{_dotted((*key, missing))}' is missing",
            fix="copy it from the embedded config.yaml",
        )
    return HopechoError(
        f"{_where(key, files)}: '{_dotted(key)}' is not valid",
        got=_shown(error.instance),
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


def _fail(files: Sequence[Path], key: Key, problem: str, got: object, fix: str) -> None:
    where = _where(key, files)
    shown = got if isinstance(got, str) else _shown(got)
    raise HopechoError(f"{where}: '{_dotted(key)}' {problem}", got=shown, fix=fix)


def _shown(value: object) -> str:
    """A value as a message shows it; a number of ten thousand digits has no decimal form."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)[:200]


def _check_numbers(value: Any, key: Key, files: Sequence[Path]) -> None:
    """YAML knows .nan and .inf, which no limit of a schema stops and no JSON holds."""
    if isinstance(value, int | float) and value and not SMALLEST <= abs(value) <= LARGEST:
        finite = isinstance(value, int) or math.isfinite(value)
        problem = "is no size of anything" if finite else "is not finite"
        _fail(files, key, problem, value, "give a finite number")
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for part, entry in items:
        _check_numbers(entry, (*key, str(part)), files)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"


def _check_meaning(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Check what a schema cannot: references between keys, and lengths against each other."""
    results = Path(config["results"]).resolve()
    if any(results.is_relative_to(PROJECT_ROOT / name) for name in OWN_FOLDERS):
        fix = "give a folder of its own, such as results-mine"
        _fail(files, ("results",), "is a folder of hopecho itself", config["results"], fix)
    for material, phases in config["run"].items():
        if material not in config["materials"]:
            fix = _nearest(material, list(config["materials"]))
            _fail(files, ("run",), f"names the unknown material '{material}'", material, fix)
        for phase in phases:
            _check_phase(config, files, ("run", material), phase)
    for name, entry in config["materials"].items():
        _check_material(entry, files, ("materials", name))
    for problem in own_plan.problems(config):
        _fail(files, problem.key, problem.what, problem.got, problem.fix)
    for name, phases in config["run"].items():
        echo = any(own_plan.tensors(config, name, phase) for phase in phases)
        if echo and not config["materials"][name]["isotope"]:
            fix = "name a nucleus of the mobile ion, or set labels.efg: false"
            _fail(files, ("materials", name, "isotope"), "is needed for an echo", "none", fix)
    if own_plan.learned(config):
        _check_simulated(config, files)
    first, last = config["correlation"]["echo_tm_us"]
    if first >= last:
        fix = "give the shortest time first"
        _fail(files, ("correlation", "echo_tm_us"), "is no range of times", [first, last], fix)
    window, first = (config["correlation"][k] for k in ("average_ps", "t_min_ps"))
    if window > first:
        fix = f"set it to at most correlation.t_min_ps = {first:g}, or raise that"
        _fail(files, ("correlation", "average_ps"), "reaches into the lags of the fit", window, fix)
    if not any(config["correlation"]["b0"]):
        _fail(files, ("correlation", "b0"), "has no direction", [0, 0, 0], "give a non-zero vector")


def _check_simulated(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Check what labels, learning and MD need, which runs of the user's own do not."""
    for phase in config["learning"]["phases"]:
        _check_phase(config, files, ("learning", "phases"), phase, built=True)
    _check_initial(config, files)
    _check_potential(config["potential"], files)
    _check_lengths(config, files)
    _check_plan(config, files)
    _check_honesty(config, files)


def _check_phase(
    config: dict[str, Any], files: Sequence[Path], key: Key, phase: str, *, built: bool = False
) -> None:
    """Check a phase; one that brings its runs only where it is `built` all the same."""
    if phase not in config["phases"]:
        fix = _nearest(phase, list(config["phases"]))
        _fail(files, key, f"names the unknown phase '{phase}'", phase, fix)
    if own_plan.is_own(config, phase) and not built:
        return
    entry = config["phases"][phase]
    here = ("phases", phase)
    missing = [name for name in STRUCTURE_KEYS if name not in entry]
    if missing:
        fix = f"say what it is built from, or leave {phase} out of {_dotted(key)}"
        _fail(files, here, f"lacks {', '.join(missing)}", list(entry), fix)
    if entry["kind"] == "glass" and "build" not in entry:
        _fail(files, here, "is a glass without 'build'", entry["kind"], "say how it is quenched")
    if entry["kind"] != "glass" and entry["quenches"] != 1:
        fix = "set it to 1 and raise replicas"
        _fail(files, (*here, "quenches"), "is for a glass", entry["quenches"], fix)
    if entry["kind"] == "glass":
        build = entry["build"]
        if build["target_temperature_k"] >= build["melt_temperature_k"]:
            got = f"{build['melt_temperature_k']} -> {build['target_temperature_k']} K"
            _fail(files, (*here, "build"), "would heat", got, "melt hotter than the target")
        if config["heldout"]["quench"] < max(entry["quenches"], config["learning"]["quenches"]):
            got = config["heldout"]["quench"]
            fix = "choose an index that no other run starts from, such as 999"
            _fail(files, ("heldout", "quench"), "is not held out", got, fix)
    if entry["kind"] == "file" and not Path(entry["structure"]).is_file():
        fix = f"correct phases.{phase}.structure: a path from the folder you run in"
        _fail(files, (*here, "structure"), "does not exist", entry["structure"], fix)


def _check_initial(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Round 0 needs frames of every phase: generated ones, or data sets that exist."""
    learning, key = config["learning"], ("learning", "initial_files")
    for phase, paths in learning["initial_files"].items():
        if phase not in learning["phases"]:
            fix = _nearest(phase, learning["phases"])
            _fail(files, key, f"names '{phase}', which is not in learning.phases", phase, fix)
        for path in paths:
            if not Path(path).is_file():
                fix = "give a path from the folder you run in"
                _fail(files, (*key, phase), "names a file that does not exist", path, fix)
    few = learning["initial_per_phase"]
    for phase in learning["phases"]:
        if few < 2 and not learning["initial_files"].get(phase):
            fix = f"raise it, or give learning.initial_files.{phase}"
            problem = f"leaves {phase} without frames in round 0"
            _fail(files, ("learning", "initial_per_phase"), problem, few, fix)


def _check_potential(entry: dict[str, Any], files: Sequence[Path]) -> None:
    path = entry["file"]
    if path and not Path(path).is_file():
        fix = "give a path from the folder you run in, or '' to fit a potential"
        _fail(files, ("potential", "file"), "does not exist", path, fix)
    if path and entry["grid"]:
        fix = "leave one of them empty: a potential from a file is not fitted"
        _fail(files, ("potential", "grid"), "and potential.file are both set", path, fix)


def _simulated(config: dict[str, Any]) -> set[str]:
    """Phases of ``run`` that MD is made of."""
    return {phase for material in config["run"] for phase in own_plan.simulated(config, material)}


def _check_honesty(config: dict[str, Any], files: Sequence[Path]) -> None:
    """With real labels, a start from the model surface must be asked for, never inherited."""
    if "model PES" in config["labels"]["source"]:
        return
    for phase in sorted(_simulated(config) | set(config["learning"]["phases"])):
        key = ("phases", phase, "build", "engine")
        named = any(_holds(_string_keys(load_yaml(path)), key) for path in files[1:])
        if config["phases"][phase]["kind"] == "glass" and not named:
            problem = "would start a glass from the model surface although the labels are real"
            engine = config["phases"][phase]["build"]["engine"]
            fix = f"name {_dotted(key)} in the overlay, or read a structure (kind: file)"
            _fail(files, key, problem, engine, fix)


def _check_material(entry: dict[str, Any], files: Sequence[Path], key: Key) -> None:
    from ase.data import chemical_symbols

    elements = entry["elements"]
    polyanion = entry["polyanion"]
    named = {
        "mobile": [entry["mobile"]],
        "oxidation": list(entry["oxidation"]),
        "polyanion": [polyanion["centre"], polyanion["ligand"]],
        "isotope": [re.sub(r"^\d+", "", entry["isotope"])] if entry["isotope"] else [],
    }
    for part, symbols in named.items():
        for symbol in symbols:
            if symbol not in elements:
                fix = f"add it to {_dotted(key)}.elements or correct {part}"
                _fail(files, (*key, part), f"names '{symbol}', not an element here", elements, fix)
    unknown = sorted(set(elements) - set(chemical_symbols[1:]))
    if unknown:
        fix = "give symbols of elements"
        _fail(files, (*key, "elements"), "names no element", ", ".join(unknown), fix)
    for part in ("oxidation", "masses_u"):
        missing = [e for e in elements if e not in entry[part]]
        if missing:
            fix = f"give a value for {', '.join(missing)}"
            _fail(files, (*key, part), "lacks an element", entry[part], fix)


def _check_lengths(config: dict[str, Any], files: Sequence[Path]) -> None:
    md, learning = config["md"], config["learning"]
    for phase in sorted(_simulated(config)):
        for temperature in md["temperatures_k"]:
            length = md["length_ps"].get(phase, {}).get(str(temperature))
            key = ("md", "length_ps", phase)
            if length is None:
                fix = f"give md.length_ps.{phase}.{temperature} in ps"
                _fail(files, key, f"has no length for {temperature} K", md["length_ps"], fix)
            elif md["stride_ps"] * 100 > length:
                run = f"md.length_ps.{phase}.{temperature}"
                problem = f"leaves fewer than 100 frames in {run}"
                got = f"a stride of {md['stride_ps']:g} ps in a run of {length:g} ps"
                fix = f"set md.stride_ps <= {length / 100:g} or a longer {run}"
                _fail(files, ("md", "stride_ps"), problem, got, fix)
            else:
                _check_lags(config, files, phase, temperature, length)
    chunk_ps = md["segment_ps"] / md["chunks_per_segment"]
    _check_multiple(files, ("md", "stride_ps"), md["stride_ps"], md["dt_fs"] * 1e-3, "md.dt_fs")
    _check_multiple(
        files, ("md", "segment_ps"), chunk_ps, md["stride_ps"], "md.stride_ps per chunk"
    )
    _check_bursts(config, files)
    _check_step_test(config, files)
    _check_validation(config, files)
    steps = (
        (("learning", "md_ps"), learning["md_ps"], learning, "learning.dt_fs"),
        (("learning", "stride_ps"), learning["stride_ps"], learning, "learning.dt_fs"),
        (("heldout", "md_ps"), config["heldout"]["md_ps"], learning, "learning.dt_fs"),
        (("md", "equilibrate_ps"), md["equilibrate_ps"], md, "md.dt_fs"),
    )
    for key, value, section, name in steps:
        _check_multiple(files, key, value, section["dt_fs"] * 1e-3, name)
    if learning["stride_ps"] * 4 > learning["md_ps"]:
        fix = "set learning.stride_ps to at most a quarter of learning.md_ps"
        _fail(files, ("learning", "stride_ps"), "is too long", learning["stride_ps"], fix)


def _check_plan(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Refuse a campaign whose jobs could not even be listed."""
    md, learning, heldout = config["md"], config["learning"], config["heldout"]
    used = [p for material in config["run"] for p in own_plan.simulated(config, material)]
    for phase in sorted({*used, *learning["phases"]}):
        copies = math.prod(config["phases"][phase]["supercell"])
        if copies > MAX_COPIES:
            fix = f"repeat the cell at most {MAX_COPIES} times"
            _fail(files, ("phases", phase, "supercell"), "is too large", copies, fix)
    segments = sum(
        math.prod(config["phases"][p][name] for name in ("quenches", "replicas"))
        * max(1.0, md["length_ps"][p][str(t)] / md["segment_ps"])
        for p in used
        for t in md["temperatures_k"]
    )
    n_phases = len(learning["phases"])
    sampled = n_phases * len(learning["temperatures_k"]) * learning["seeds"]
    frames = max(
        sampled * config["efg"]["train_frames_per_run"],
        n_phases * heldout["runs"] * heldout["frames_per_run"],
        n_phases * max(learning["initial_per_phase"], learning["audit_per_phase"]),
        learning["select_per_round"],
    )
    grids = {name: config[name]["grid"].values() for name in ("potential", "efg")}
    planned: tuple[tuple[Key, float, str], ...] = (
        (("md", "segment_ps"), segments, "segments of production"),
        (("learning", "seeds"), sampled, "sampling runs of a round"),
        (("labels", "per_job"), frames / config["labels"]["per_job"], "batches of labels"),
        (("validation", "replicas"), config["validation"]["replicas"], "runs to compare"),
        *(
            ((name, "grid"), math.prod(map(len, values)), "combinations")
            for name, values in grids.items()
        ),
    )
    for key, count, what in planned:
        if count > MAX_JOBS:
            fix = "correct lengths and counts, or put more into one job"
            _fail(files, key, f"leads to too many {what}", f"{count:.3g} of {MAX_JOBS}", fix)


def _check_lags(
    config: dict[str, Any], files: Sequence[Path], phase: str, temperature: int, length: float
) -> None:
    """A decay fit needs lags well beyond its first one."""
    longest = config["correlation"]["max_lag_fraction"] * length
    if 4 * config["correlation"]["t_min_ps"] > longest:
        run = f"md.length_ps.{phase}.{temperature}"
        problem = f"leaves no lags to fit in {run}"
        got = f"{config['correlation']['t_min_ps']:g} ps, longest lag {longest:g} ps"
        fix = f"set correlation.t_min_ps <= {longest / 4:g} or a longer {run}"
        _fail(files, ("correlation", "t_min_ps"), problem, got, fix)


def _check_bursts(config: dict[str, Any], files: Sequence[Path]) -> None:
    """A burst starts where a segment does, and holds whole strides, enough for a spectrum."""
    md, key = config["md"], ("md", "bursts")
    bursts, campaign = md["bursts"], Campaign(config)
    if not bursts["count"]:
        return
    shortest = min(
        (campaign.segments(phase, t), f"md.length_ps.{phase}.{t}")
        for phase in sorted(_simulated(config))
        for t in md["temperatures_k"]
    )
    if bursts["count"] > shortest[0]:
        got = f"{bursts['count']}, and {shortest[0]} segments in {shortest[1]}"
        fix = f"set md.bursts.count <= {shortest[0]}, or a longer {shortest[1]}"
        _fail(files, (*key, "count"), "asks for more bursts than a run has segments", got, fix)
    stride = bursts["stride_fs"]
    _check_multiple(files, (*key, "stride_fs"), stride, md["dt_fs"], "md.dt_fs", unit_name="fs")
    length, name = bursts["length_ps"], "md.bursts.stride_fs"
    _check_multiple(files, (*key, "length_ps"), length, stride * 1e-3, name)
    if length < 0.1 * stride * (1 - 1e-9):
        fix = f"set it to at least {0.1 * stride:g}"
        _fail(files, (*key, "length_ps"), "leaves fewer than 100 frames", f"{length:g} ps", fix)


def _check_step_test(config: dict[str, Any], files: Sequence[Path]) -> None:
    """A drift with an error needs enough energies with the longest step."""
    test = config["md"]["step_test"]
    needed = 1.0 * max([1.0, *(dt / 6.0 for dt in test["dt_fs"])])
    if test["dt_fs"] and test["length_ps"] < needed:
        fix = f"set it to at least {needed:g}, better 20"
        got = f"{test['length_ps']:g} ps"
        _fail(files, ("md", "step_test", "length_ps"), "is too short to see a drift", got, fix)


def _check_validation(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Whole steps, strides and bursts."""
    v, here = config["validation"], ("validation",)
    dt_ps, stride, echo = config["md"]["dt_fs"] * 1e-3, v["stride_ps"], v["echo_stride_ps"]
    name = "validation.stride_ps"
    _check_multiple(files, (*here, "stride_ps"), stride, dt_ps, "md.dt_fs")
    _check_multiple(files, (*here, "length_ps"), v["length_ps"], stride, name)
    _check_multiple(files, (*here, "echo_stride_ps"), echo, stride, name)
    burst = config["md"]["bursts"]["stride_fs"] * 1e-3
    _check_multiple(files, (*here, "burst_ps"), v["burst_ps"], burst, "md.bursts.stride_fs")


def _check_multiple(
    files: Sequence[Path], key: Key, value: float, unit: float, name: str, *, unit_name: str = "ps"
) -> None:
    count = value / unit
    if count < 0.999 or not math.isclose(count, round(count), rel_tol=1e-6):
        fix = f"make it a whole multiple of {name} ({unit:g} {unit_name})"
        _fail(files, key, f"does not fit {name}", f"{value:g} {unit_name}", fix)


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
        if own_plan.is_own(self.config, phase):
            return 1
        length = self.config["md"]["length_ps"][phase][str(temperature_k)]
        return max(1, math.ceil(length / self.config["md"]["segment_ps"] - 1e-9))

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
