"""Which files a script is made of: itself and every module of this package that it imports."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def _module_file(name: str) -> Path | None:
    """Return the file of a dotted module of this package, or None if it is not one."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@functools.cache
def _imported_files(path: Path, stamp: int) -> frozenset[Path]:
    """Modules of this package that a file imports; many scripts share most of theirs."""
    text = path.read_text(encoding="utf-8")
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    own = (name for name in names if name.split(".")[0] == PACKAGE.name)
    return frozenset(file for name in own if (file := _module_file(name)) is not None)


def source_files(script: str | Path) -> list[str]:
    """List a script and the package modules that it imports, transitively, sorted.

    Parameters
    ----------
    script : path
        A Python file. Relative imports are not followed; the package has none.

    Returns
    -------
    list of str
        Absolute paths, the script included.
    """
    pending = [Path(script).resolve()]
    found: set[Path] = set()
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        pending.extend(_imported_files(path, path.stat().st_mtime_ns))
    return sorted(str(path) for path in found)
