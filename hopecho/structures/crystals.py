"""Crystals from ``resources/structures``: one YAML file each, with its provenance."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from ase.geometry import cellpar_to_cell
from ase.spacegroup import Spacegroup, crystal
from ase.spacegroup.spacegroup import parse_sitesym

from hopecho.errors import HopechoError

RESOURCES = Path(os.environ.get("HOPECHO_RESOURCES", Path(__file__).parents[2] / "resources"))
"""Folder of shipped data; ``HOPECHO_RESOURCES`` overrides it for an installed package."""

FLAGS = ("exact", "regularised", "model")
SITE_TOLERANCE = 1e-3
"""Images of a site closer than this (fractional) are one atom on a special position."""


def available() -> list[str]:
    """Return the names of all shipped crystals, sorted."""
    return sorted(path.stem for path in (RESOURCES / "structures").glob("*.yaml"))


def load_crystal(name: str) -> Atoms:
    """Return the ordered cell of a shipped crystal.

    Parameters
    ----------
    name : str
        One of `available`.

    Returns
    -------
    ase.Atoms
        The ordered cell, site by site in the order of the file; ``info`` holds ``crystal``,
        ``provenance`` (exact, regularised or model), ``source`` and ``note``.

    Raises
    ------
    HopechoError
        For an unknown name (names the nearest) or a damaged file.
    """
    path = RESOURCES / "structures" / f"{name}.yaml"
    if name not in available():
        near = difflib.get_close_matches(name, available(), n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise HopechoError(
            "unknown crystal",
            got=repr(name),
            fix=f"{hint}available: {', '.join(available())}; or add {path}",
        )
    return crystal_from_dict(yaml.safe_load(path.read_text(encoding="utf-8")), where=str(path))


def crystal_from_dict(data: dict[str, Any], *, where: str) -> Atoms:
    """Build the ordered cell from the content of a structure file.

    Parameters
    ----------
    data : dict
        ``cell`` [a, b, c (A), alpha, beta, gamma (degrees)]; ``space_group`` number with
        ``setting`` or a list ``operations`` such as ``"1/2-x,y,z"``; ``sites`` with ``element``,
        ``position`` (fractional) and optionally ``use: false`` for sites left empty; ``flag`` and
        ``source``.
    where : str
        File name for error messages.

    Raises
    ------
    HopechoError
        If ``flag`` is not one of `FLAGS`, or symmetry is given twice or not at all.
    """
    if data.get("flag") not in FLAGS:
        raise HopechoError(
            f"{where}: flag does not say how far the coordinates can be trusted",
            got=repr(data.get("flag")),
            fix=f"set flag to one of {', '.join(FLAGS)}",
        )
    if ("space_group" in data) == ("operations" in data):
        raise HopechoError(
            f"{where}: symmetry must be given exactly once",
            got=f"keys {', '.join(sorted(data))}",
            fix="give either space_group (and setting) or operations",
        )
    sites = [site for site in data["sites"] if site.get("use", True)]
    symbols = [site["element"] for site in sites]
    basis = [site["position"] for site in sites]
    if "operations" in data:
        atoms = _apply_operations(symbols, basis, data["operations"], data["cell"])
    else:
        group = Spacegroup(data["space_group"], data.get("setting", 1))
        built = crystal(
            symbols, basis, spacegroup=group, cellpar=data["cell"], symprec=SITE_TOLERANCE
        )
        atoms = Atoms(built.symbols, cell=built.cell, positions=built.positions, pbc=True)
    atoms.info = {
        "crystal": data["name"],
        "provenance": data["flag"],
        "source": data["source"],
        "note": data.get("note", ""),
    }
    return atoms


def _apply_operations(
    symbols: list[str], basis: list[list[float]], operations: list[str], cellpar: list[float]
) -> Atoms:
    """Apply explicit symmetry operations, dropping images that coincide."""
    rotations, translations = parse_sitesym(operations)
    kept: list[np.ndarray] = []
    elements: list[str] = []
    for symbol, position in zip(symbols, basis, strict=True):
        own: list[np.ndarray] = []
        for rotation, translation in zip(rotations, translations, strict=True):
            image = (rotation @ np.asarray(position, dtype=float) + translation) % 1.0
            gaps = [image - other - np.round(image - other) for other in own]
            if all(np.abs(gap).max() > SITE_TOLERANCE for gap in gaps):
                own.append(image)
        kept += own
        elements += [symbol] * len(own)
    return Atoms(elements, cell=cellpar_to_cell(cellpar), scaled_positions=kept, pbc=True)
