"""What a schema cannot say of a configuration: keys that must fit one another, and the files."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopecho import own_plan
from hopecho.config_problem import LARGEST, SMALLEST, Key, dotted, fail, holds, nearest
from hopecho.config_text import OWN_FOLDERS, PROJECT_ROOT, load_yaml, string_keys

STRUCTURE_KEYS = ("kind", "structure", "supercell", "quenches", "replicas")
"""Of a phase that is built; one that brings its trajectories needs none of them."""

MAX_JOBS, MAX_COPIES = 200_000, 100_000
"""Jobs of one kind (Snakemake plans ten thousand in half a minute); cells of a supercell."""


def check_numbers(value: Any, key: Key, files: Sequence[Path]) -> None:
    """YAML knows .nan and .inf, which no limit of a schema stops and no JSON holds."""
    if isinstance(value, int | float) and value and not SMALLEST <= abs(value) <= LARGEST:
        finite = isinstance(value, int) or math.isfinite(value)
        problem = "is no size of anything" if finite else "is not finite"
        fail(files, key, problem, value, "give a finite number")
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for part, entry in items:
        check_numbers(entry, (*key, str(part)), files)


def check_meaning(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Check what a schema cannot: references between keys, and lengths against each other."""
    results = Path(config["results"]).resolve()
    if any(results.is_relative_to(PROJECT_ROOT / name) for name in OWN_FOLDERS):
        fix = "give a folder of its own, such as results-mine"
        fail(files, ("results",), "is a folder of hopecho itself", config["results"], fix)
    for material, phases in config["run"].items():
        if material not in config["materials"]:
            fix = nearest(material, list(config["materials"]))
            fail(files, ("run",), f"names the unknown material '{material}'", material, fix)
        for phase in phases:
            _check_phase(config, files, ("run", material), phase)
    for name, entry in config["materials"].items():
        _check_material(entry, files, ("materials", name))
    for problem in own_plan.problems(config):
        fail(files, problem.key, problem.what, problem.got, problem.fix)
    for name, phases in config["run"].items():
        echo = any(own_plan.tensors(config, name, phase) for phase in phases)
        if echo and not config["materials"][name]["isotope"]:
            fix = "name a nucleus of the mobile ion, or set labels.efg: false and bring no tensors"
            fail(files, ("materials", name, "isotope"), "is needed for an echo", "none", fix)
    if own_plan.learned(config):
        _check_simulated(config, files)
    first, last = config["correlation"]["echo_tm_us"]
    if first >= last:
        fix = "give the shortest time first"
        fail(files, ("correlation", "echo_tm_us"), "is no range of times", [first, last], fix)
    window, first = (config["correlation"][k] for k in ("average_ps", "t_min_ps"))
    if window > first:
        fix = f"set it to at most correlation.t_min_ps = {first:g}, or raise that"
        fail(files, ("correlation", "average_ps"), "reaches into the lags of the fit", window, fix)
    if not any(config["correlation"]["b0"]):
        fail(files, ("correlation", "b0"), "has no direction", [0, 0, 0], "give a non-zero vector")


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
        fix = nearest(phase, list(config["phases"]))
        fail(files, key, f"names the unknown phase '{phase}'", phase, fix)
    if own_plan.is_own(config, phase) and not built:
        return
    entry = config["phases"][phase]
    here = ("phases", phase)
    missing = [name for name in STRUCTURE_KEYS if name not in entry]
    if missing:
        fix = f"say what it is built from, or leave {phase} out of {dotted(key)}"
        fail(files, here, f"lacks {', '.join(missing)}", list(entry), fix)
    if entry["kind"] == "glass" and "build" not in entry:
        fail(files, here, "is a glass without 'build'", entry["kind"], "say how it is quenched")
    if entry["kind"] != "glass" and entry["quenches"] != 1:
        fix = "set it to 1 and raise replicas"
        fail(files, (*here, "quenches"), "is for a glass", entry["quenches"], fix)
    if entry["kind"] == "glass":
        build = entry["build"]
        if build["target_temperature_k"] >= build["melt_temperature_k"]:
            got = f"{build['melt_temperature_k']} -> {build['target_temperature_k']} K"
            fail(files, (*here, "build"), "would heat", got, "melt hotter than the target")
        if config["heldout"]["quench"] < max(entry["quenches"], config["learning"]["quenches"]):
            got = config["heldout"]["quench"]
            fix = "choose an index that no other run starts from, such as 999"
            fail(files, ("heldout", "quench"), "is not held out", got, fix)
    if entry["kind"] == "file" and not Path(entry["structure"]).is_file():
        fix = f"correct phases.{phase}.structure: a path from the folder you run in"
        fail(files, (*here, "structure"), "does not exist", entry["structure"], fix)


def _check_initial(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Round 0 needs frames of every phase: generated ones, or data sets that exist."""
    learning, key = config["learning"], ("learning", "initial_files")
    for phase, paths in learning["initial_files"].items():
        if phase not in learning["phases"]:
            fix = nearest(phase, learning["phases"])
            fail(files, key, f"names '{phase}', which is not in learning.phases", phase, fix)
        for path in paths:
            if not Path(path).is_file():
                fix = "give a path from the folder you run in"
                fail(files, (*key, phase), "names a file that does not exist", path, fix)
    few = learning["initial_per_phase"]
    for phase in learning["phases"]:
        if few < 2 and not learning["initial_files"].get(phase):
            fix = f"raise it, or give learning.initial_files.{phase}"
            problem = f"leaves {phase} without frames in round 0"
            fail(files, ("learning", "initial_per_phase"), problem, few, fix)


def _check_potential(entry: dict[str, Any], files: Sequence[Path]) -> None:
    path = entry["file"]
    if path and not Path(path).is_file():
        fix = "give a path from the folder you run in, or '' to fit a potential"
        fail(files, ("potential", "file"), "does not exist", path, fix)
    if path and entry["grid"]:
        fix = "leave one of them empty: a potential from a file is not fitted"
        fail(files, ("potential", "grid"), "and potential.file are both set", path, fix)


def simulated(config: dict[str, Any]) -> set[str]:
    """Phases of ``run`` that MD is made of."""
    return {phase for material in config["run"] for phase in own_plan.simulated(config, material)}


def _check_honesty(config: dict[str, Any], files: Sequence[Path]) -> None:
    """With real labels, a start from the model surface must be asked for, never inherited."""
    if "model PES" in config["labels"]["source"]:
        return
    for phase in sorted(simulated(config) | set(config["learning"]["phases"])):
        key = ("phases", phase, "build", "engine")
        named = any(holds(string_keys(load_yaml(path)), key) for path in files[1:])
        if config["phases"][phase]["kind"] == "glass" and not named:
            problem = "would start a glass from the model surface although the labels are real"
            engine = config["phases"][phase]["build"]["engine"]
            fix = f"name {dotted(key)} in the overlay, or read a structure (kind: file)"
            fail(files, key, problem, engine, fix)


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
                fix = f"add it to {dotted(key)}.elements or correct {part}"
                fail(files, (*key, part), f"names '{symbol}', not an element here", elements, fix)
    unknown = sorted(set(elements) - set(chemical_symbols[1:]))
    if unknown:
        fix = "give symbols of elements"
        fail(files, (*key, "elements"), "names no element", ", ".join(unknown), fix)
    for part in ("oxidation", "masses_u"):
        missing = [e for e in elements if e not in entry[part]]
        if missing:
            fix = f"give a value for {', '.join(missing)}"
            fail(files, (*key, part), "lacks an element", entry[part], fix)


def _check_lengths(config: dict[str, Any], files: Sequence[Path]) -> None:
    md, learning = config["md"], config["learning"]
    for phase in sorted(simulated(config)):
        for temperature in md["temperatures_k"]:
            length = md["length_ps"].get(phase, {}).get(str(temperature))
            key = ("md", "length_ps", phase)
            if length is None:
                fix = f"give md.length_ps.{phase}.{temperature} in ps"
                fail(files, key, f"has no length for {temperature} K", md["length_ps"], fix)
            elif md["stride_ps"] * 100 > length:
                run = f"md.length_ps.{phase}.{temperature}"
                problem = f"leaves fewer than 100 frames in {run}"
                got = f"a stride of {md['stride_ps']:g} ps in a run of {length:g} ps"
                fix = f"set md.stride_ps <= {length / 100:g} or a longer {run}"
                fail(files, ("md", "stride_ps"), problem, got, fix)
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
        fail(files, ("learning", "stride_ps"), "is too long", learning["stride_ps"], fix)


def _check_plan(config: dict[str, Any], files: Sequence[Path]) -> None:
    """Refuse a campaign whose jobs could not even be listed."""
    md, learning, heldout = config["md"], config["learning"], config["heldout"]
    used = [p for material in config["run"] for p in own_plan.simulated(config, material)]
    for phase in sorted({*used, *learning["phases"]}):
        copies = math.prod(config["phases"][phase]["supercell"])
        if copies > MAX_COPIES:
            fix = f"repeat the cell at most {MAX_COPIES} times"
            fail(files, ("phases", phase, "supercell"), "is too large", copies, fix)
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
            fail(files, key, f"leads to too many {what}", f"{count:.3g} of {MAX_JOBS}", fix)


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
        fail(files, ("correlation", "t_min_ps"), problem, got, fix)


def _check_bursts(config: dict[str, Any], files: Sequence[Path]) -> None:
    """A burst starts where a segment does, and holds whole strides, enough for a spectrum."""
    md, key = config["md"], ("md", "bursts")
    bursts = md["bursts"]
    if not bursts["count"]:
        return
    shortest = min(
        (own_plan.n_segments(config, phase, t), f"md.length_ps.{phase}.{t}")
        for phase in sorted(simulated(config))
        for t in md["temperatures_k"]
    )
    if bursts["count"] > shortest[0]:
        got = f"{bursts['count']}, and {shortest[0]} segments in {shortest[1]}"
        fix = f"set md.bursts.count <= {shortest[0]}, or a longer {shortest[1]}"
        fail(files, (*key, "count"), "asks for more bursts than a run has segments", got, fix)
    stride = bursts["stride_fs"]
    _check_multiple(files, (*key, "stride_fs"), stride, md["dt_fs"], "md.dt_fs", unit_name="fs")
    length, name = bursts["length_ps"], "md.bursts.stride_fs"
    _check_multiple(files, (*key, "length_ps"), length, stride * 1e-3, name)
    if length < 0.1 * stride * (1 - 1e-9):
        fix = f"set it to at least {0.1 * stride:g}"
        fail(files, (*key, "length_ps"), "leaves fewer than 100 frames", f"{length:g} ps", fix)


def _check_step_test(config: dict[str, Any], files: Sequence[Path]) -> None:
    """A drift with an error needs enough energies with the longest step."""
    test = config["md"]["step_test"]
    needed = 1.0 * max([1.0, *(dt / 6.0 for dt in test["dt_fs"])])
    if test["dt_fs"] and test["length_ps"] < needed:
        fix = f"set it to at least {needed:g}, better 20"
        got = f"{test['length_ps']:g} ps"
        fail(files, ("md", "step_test", "length_ps"), "is too short to see a drift", got, fix)


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
        fail(files, key, f"does not fit {name}", f"{value:g} {unit_name}", fix)
