"""Field gradients in the main output file of Abinit (``prtefg 2``, ``nucefg 2`` since 9.10)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_SECTION = "Electric Field Gradient Calculation"
_ATOM = re.compile(r"\s*Atom\s*:?\s*(\d+)\s*,?\s*typat\s*:?\s*\d+", re.IGNORECASE)
_ROW = re.compile(r"\s*total efg\s*:(.*)")


def read_abinit_efg(path: Path, *, n_atoms: int) -> Array:
    """Read the total field gradient of every atom, in the order of ``typat``.

    Abinit prints V_ij = d2V/dx_i dx_j of the electrostatic potential of nuclei and electrons in
    atomic units, six decimals: the sign of this package. The quadrupole moments (``quadmom``)
    scale the printed C_Q only.

    Parameters
    ----------
    path : Path
        The ``.abo`` file; of several sections the last one counts.
    n_atoms : int
        Number of atoms of the structure.

    Returns
    -------
    (n_atoms, 3, 3) array, a.u.

    Raises
    ------
    HopechoError
        The file is missing, has no tensors, is cut off inside them, or has those of other atoms.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        return _parse(text, n_atoms)
    except (OSError, ValueError) as error:
        raise HopechoError(
            f"Cannot read field gradients from {path}",
            got=str(error),
            fix="the file needs three 'total efg :' lines for every atom (PAW data sets, prtefg 2)",
        ) from error


def _parse(text: str, n_atoms: int) -> Array:
    start = text.rfind(_SECTION)
    if start < 0:
        raise ValueError(f"no section '{_SECTION}'")
    rows: list[list[list[float]]] = []
    for line in text[start:].splitlines():
        atom, row = _ATOM.match(line), _ROW.match(line)
        if atom:
            if int(atom.group(1)) != len(rows) + 1:
                raise ValueError(f"atom {atom.group(1)} follows atom {len(rows)}")
            rows.append([])
        elif row:
            if not rows:
                raise ValueError("a tensor before the first atom")
            rows[-1].append([float(x) for x in row.group(1).split()])
    wrong = [i for i, tensor in enumerate(rows, start=1) if [len(r) for r in tensor] != [3, 3, 3]]
    if wrong:
        raise ValueError(f"no complete tensor for atom {wrong[0]}")
    if len(rows) != n_atoms:
        raise ValueError(f"tensors of {len(rows)} atoms for {n_atoms}")
    return np.array(rows, dtype=float)
