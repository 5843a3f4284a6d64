"""What is wrong with a key of the configuration, said with its file, its value and a fix."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopecho.config_text import load_yaml, string_keys
from hopecho.errors import HopechoError

Key = tuple[str, ...]

SMALLEST, LARGEST = 1e-30, 1e30
"""Numbers beyond overflow in the first product."""


def where(key: Key, files: Sequence[Path]) -> str:
    """Name the last file that holds `key`, which is the one that counts."""
    for path in reversed(files):
        if holds(string_keys(load_yaml(path)), key):
            return str(path)
    return str(files[-1]) if files else "the configuration"


def holds(node: Any, key: Key) -> bool:
    """Whether a file's content holds a key; lists count as a whole, because they replace."""
    for part in key:
        if isinstance(node, list):
            return True
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def dotted(key: Sequence[Any]) -> str:
    """A key as it is written: ``md.length_ps``."""
    return ".".join(str(part) for part in key) or "(top level)"


def fail(files: Sequence[Path], key: Key, problem: str, got: object, fix: str) -> None:
    """Raise: a key has a problem; with the file it was written in."""
    seen = got if isinstance(got, str) else shown(got)
    raise HopechoError(f"{where(key, files)}: '{dotted(key)}' {problem}", got=seen, fix=fix)


def shown(value: object) -> str:
    """A value as a message shows it; a number of ten thousand digits has no decimal form."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)[:200]


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which known name was meant."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
