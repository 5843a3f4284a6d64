"""Every key of config.yaml, edited in turn on a finished campaign: exactly its rules run again."""

import importlib.util
from pathlib import Path

import yaml

from hopecho.config_text import merge
from tests.workflow.conftest import plan_of

ROOT = Path(__file__).parents[2]
QUICK = "campaigns/quick.yaml"
TABLE = yaml.safe_load((ROOT / "docs/reruns.yaml").read_text())
SAME = {
    "nothing": "",
    "a comment": "# md: {dt_fs: 1.0}\n",
    "an int for a float": "efg: {cutoff_angstrom: 5}\nmd: {segment_ps: 4, dt_fs: 2}\n",
    "a float for an int": "md: {temperatures_k: [300.0]}\nlabels: {per_job: 8.0}\n",
    "another order": "potential: {weight_stress: 0.1, weight_force: 1.0, weight_energy: 0.5}\n"
    "materials: {li3ps4: {oxidation: {S: -2, P: 5, Li: 1}}}\n",
    "quotes": "labels: {version: '24.1'}\n",
}
"""Other ways to write the same settings."""
SWAPPED = {
    "weights": ("potential: {weight_energy: 1.0, weight_force: 0.5}", "fit_potential"),
    "lists": ("correlation: {echo_tp_us: [10.0, 5.0, 20.0, 40.0]}", "correlation"),
    "masses": ("materials: {li3ps4: {masses_u: {P: 32.06, S: 30.974}}}", "sampling_md"),
}


def leaves(node, path=()):
    """Dotted keys of a mapping; an empty mapping is a value."""
    if isinstance(node, dict) and node:
        return [key for name, inner in node.items() for key in leaves(inner, (*path, str(name)))]
    return [".".join(path)]


def overlay(row, key):
    """The edits of a row as one mapping."""
    merged = {}
    for dotted, value in {key: row["to"], **row.get("with", {})}.items():
        for part in reversed(dotted.split(".")):
            value = {part: value}
        merged = merge(merged, value)
    return merged


def test_every_key_has_a_row():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(TABLE["keys"]) == set(leaves(config))
    quick = merge(config, yaml.safe_load((ROOT / QUICK).read_text()))
    for key, row in TABLE["keys"].items():
        value = quick
        for part in key.split("."):
            value = value[int(part) if part.isdigit() else part]
        assert row["to"] != value, f"{key} is not edited"


def test_every_key_reruns_exactly_its_rules(edited):
    rows = TABLE["keys"]
    found = edited.dry_runs((yaml.safe_dump(overlay(row, key)),) for key, row in rows.items())
    wrong = {}
    for (key, row), (status, output) in zip(rows.items(), found, strict=True):
        if "stops" in row:
            if status == 0 or row["stops"] not in output:
                wrong[key] = output[-500:]
        elif status:
            wrong[key] = output[-500:]
        else:
            expected = set(TABLE["groups"][row["group"]]["rules"].split())
            if set(plan_of(output)) != expected:
                wrong[key] = sorted(set(plan_of(output)) ^ expected)
    assert wrong == {}


def test_the_same_settings_written_otherwise_rerun_nothing(edited):
    # A file of comments alone is no configuration for Snakemake.
    found = edited.dry_runs((f"seed: 2024\n{text}",) for text in SAME.values())
    plans = {name: plan_of(output) for name, (_, output) in zip(SAME, found, strict=True)}
    assert plans == {name: {} for name in SAME}


def test_swapped_values_are_seen(edited):
    found = edited.dry_runs((text,) for text, _ in SWAPPED.values())
    for (name, (_, rule)), (status, output) in zip(SWAPPED.items(), found, strict=True):
        assert status == 0, output
        assert rule in plan_of(output), name


def test_the_page_is_made_from_the_table():
    spec = importlib.util.spec_from_file_location("reruns_page", ROOT / "docs/reruns.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (ROOT / "docs/reruns.md").read_text()
