"""The text of a configuration: YAML files, read with care and merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hopecho.errors import HopechoError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""Folder that holds Snakefile, config.yaml, schemas/ and resources/."""

OWN_FOLDERS = (
    *(".git", ".snakemake", ".venv", "benchmarks", "campaigns", "containers", "docs", "envs"),
    *("hopecho", "profiles", "report", "resources", "rules", "schemas", "scripts", "tests"),
)
"""Of the checkout: no campaign writes there, and none is removed from there."""

MAX_BYTES, MAX_ENTRIES, MAX_LIST, MAX_DEPTH = 1 << 18, 100_000, 5_000, 30
"""Of a configuration: far more than a campaign needs."""


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


def check_size(data: Mapping[str, Any], path: str | Path) -> None:
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


def string_keys(value: Any) -> Any:
    """Make every key a string, as in JSON."""
    if isinstance(value, Mapping):
        return {str(k): string_keys(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [string_keys(v) for v in value]
    return value
