"""A ``castep`` that answers with the model surface: same files, not DFT.

``hopecho-castep --version`` prints the version, ``hopecho-castep <seed>`` reads ``<seed>.cell`` and
``<seed>.param`` and appends to ``<seed>.castep`` (energy, forces, stress) or writes
``<seed>.magres`` (task magres). As in the real code atoms come out sorted by atomic number and
errors go to ``<seed>.0001.err``. Fractional positions have the six digits of the real code;
energies, forces and stresses have ten, so that the files lose nothing of the surface.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

VERSION = "24.1"
BANNER = "hopecho model surface stand-in: NOT a DFT result"
_BOHR_A = 0.529177210903
_BLOCK = re.compile(r"%BLOCK\s+(\w+)(.*?)%ENDBLOCK\s+\1", re.IGNORECASE | re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stand-in; the return value is the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-v"]):
        from hopecho.labels import model_efg, model_pes
        from hopecho.versions import surface_identity

        versions = (
            f"surface {model_pes.RESULT_VERSION}-{surface_identity()}, "
            f"gradients {model_efg.RESULT_VERSION}"
        )
        sys.stdout.write(f"CASTEP version: {VERSION}\n{BANNER} ({versions})\n")
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: hopecho-castep <seed> | --version\n")
        return 2
    return _run(arguments[0])


def _run(seed: str) -> int:
    from hopecho.errors import HopechoError

    error_file = Path(f"{seed}.0001.err")
    error_file.unlink(missing_ok=True)
    try:
        param = read_param(_text(f"{seed}.param"))
        task = _task(param)
        atoms = read_cell(_text(f"{seed}.cell"))
        # castep sorts by species: stable in the order of the input within each.
        atoms = atoms[sorted(range(len(atoms)), key=lambda i: atoms.numbers[i])]
        with open(f"{seed}.castep", "a", encoding="utf-8") as out:
            _calculate(out, seed, task, atoms)
    except (HopechoError, ValueError, OSError) as error:
        error_file.write_text(f"Error in hopecho-castep: {error}\n", encoding="utf-8")
        return 1
    return 0


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _calculate(out: TextIO, seed: str, task: str, atoms: Atoms) -> None:
    from hopecho.io.magres import write_magres
    from hopecho.labels.model_efg import model_efg

    start = time.perf_counter()
    _write_header(out, task)
    _write_structure(out, atoms)
    out.flush()
    if task == "magres":
        efg = model_efg(atoms)
        write_magres(Path(f"{seed}.magres"), atoms, efg, comment=BANNER, version=VERSION)
    else:
        _single_point(out, atoms)
    elapsed = time.perf_counter() - start
    out.write(
        f"\nInitialisation time = {0.0:10.2f} s\nCalculation time    = {elapsed:10.2f} s\n"
        f"Finalisation time   = {0.0:10.2f} s\nTotal time          = {elapsed:10.2f} s\n\n"
    )
    out.flush()
    os.fsync(out.fileno())


def _single_point(out: TextIO, atoms: Atoms) -> None:
    from hopecho.errors import HopechoError
    from hopecho.labels.model_pes import ELEMENTS, ModelPes

    unknown = sorted(set(atoms.get_chemical_symbols()) - set(ELEMENTS))
    if unknown:
        raise ValueError(f"the model surface does not know {', '.join(unknown)}")
    try:
        with ModelPes() as surface:
            results = surface.evaluate(atoms)
    except HopechoError as error:
        # Numbers that are not finite: what the real code does not converge.
        out.write(f" *Warning* system has not reached the groundstate. {error.what}\n")
    else:
        _write_results(out, atoms, *results)


def read_param(text: str) -> dict[str, str]:
    """Keywords of a ``.param`` file, lower case, without underscores in the keys."""
    result = {}
    for line in _lines(text):
        parts = re.split(r"\s*[:=]\s*|\s+", line, maxsplit=1)
        if len(parts) == 2:
            result[parts[0].lower().replace("_", "")] = parts[1].strip().lower()
    return result


def _task(param: dict[str, str]) -> str:
    task = param.get("task", "singlepoint").replace("_", "").replace(" ", "")
    if task == "singlepointenergy":
        task = "singlepoint"
    if task not in ("singlepoint", "magres"):
        raise ValueError(f"task {task} is not known to the stand-in: SinglePoint or magres")
    if task == "magres" and param.get("magrestask", "efg") not in ("efg", "nmr"):
        raise ValueError(f"magres_task {param['magrestask']} is not known to the stand-in: efg")
    return task


def _lines(text: str) -> list[str]:
    """Lines without comments (# ! ;) and blanks."""
    bare = (re.split(r"[#!;]", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return [line for line in bare if line]


def read_cell(text: str) -> Atoms:
    """Structure of a ``.cell`` file.

    Lattice as ``lattice_cart`` or ``lattice_abc``, positions as ``positions_frac`` or
    ``positions_abs``; an optional first line names ``ang`` or ``bohr``; keywords in any case.

    Raises
    ------
    ValueError
        A block is missing or unreadable.
    """
    from ase import Atoms
    from ase.geometry import cellpar_to_cell

    text = "\n".join(_lines(text))
    blocks = {name.lower(): body.strip().splitlines() for name, body in _BLOCK.findall(text)}
    if "lattice_cart" in blocks:
        scale, rows = _scaled(blocks["lattice_cart"])
        cell = [[scale * float(x) for x in row.split()[:3]] for row in rows[:3]]
    elif "lattice_abc" in blocks:
        scale, rows = _scaled(blocks["lattice_abc"])
        lengths, angles = ([float(x) for x in row.split()[:3]] for row in rows[:2])
        cell = cellpar_to_cell([scale * x for x in lengths] + angles)
    else:
        raise ValueError("no lattice_cart or lattice_abc block in the .cell file")
    name = next((n for n in ("positions_frac", "positions_abs") if n in blocks), None)
    if name is None:
        raise ValueError("no positions_frac or positions_abs block in the .cell file")
    scale, rows = _scaled(blocks[name])
    words = [row.split() for row in rows]
    numbers = [_atomic_number(w[0]) for w in words]
    positions = [[float(x) for x in w[1:4]] for w in words]
    if name == "positions_frac":
        return Atoms(numbers=numbers, scaled_positions=positions, cell=cell, pbc=True)
    absolute = [[scale * x for x in p] for p in positions]
    return Atoms(numbers=numbers, positions=absolute, cell=cell, pbc=True)


def _scaled(rows: list[str]) -> tuple[float, list[str]]:
    units = {"ang": 1.0, "angstrom": 1.0, "bohr": _BOHR_A, "a0": _BOHR_A}
    if rows and rows[0].strip().lower() in units:
        return units[rows[0].strip().lower()], rows[1:]
    return 1.0, rows


def _atomic_number(word: str) -> int:
    from ase.data import atomic_numbers

    name = word.split(":")[0]
    number = int(name) if name.isdigit() else atomic_numbers.get(name.capitalize())
    if number is None:
        raise ValueError(f"unknown species {word!r} in the .cell file")
    return number


def _write_header(out: TextIO, task: str) -> None:
    name = {"singlepoint": "single point energy", "magres": "Magnetic Resonance"}[task]
    star = "*" * 79
    out.write(
        f" +{'-' * 76}+\n |{f'Welcome to CASTEP version {VERSION}':^76}|\n |{BANNER:^76}|\n"
        f" |{'energies, forces and stresses below have ten decimals':^76}|\n +{'-' * 76}+\n\n"
        f" {'*' * 35} Title {'*' * 36}\n {BANNER}\n\n"
        f" {'*' * 29} General Parameters {'*' * 29}\n\n"
        f" output verbosity                               : normal  (1)\n"
        f" type of calculation                            : {name}\n"
        f" stress calculation                             : on\n\n {star}\n\n"
    )


def _write_structure(out: TextIO, atoms: Atoms) -> None:
    import numpy as np

    cell, reciprocal = atoms.cell.array, 2 * np.pi * np.linalg.inv(atoms.cell.array).T
    out.write(f"{'-' * 31:>55}\n{'Unit Cell':>44}\n{'-' * 31:>55}\n")
    out.write("        Real Lattice(A)              Reciprocal Lattice(1/A)\n")
    for real, dual in zip(cell, reciprocal):
        out.write("".join(f"{x:16.10f}" for x in (*real, *dual)) + "\n")
    symbols = atoms.get_chemical_symbols()
    out.write(f"\n{'Cell Contents':>46}\n")
    out.write(f"                         Total number of ions in cell = {len(atoms):4d}\n")
    out.write(f"                      Total number of species in cell = {len(set(symbols)):4d}\n\n")
    cross = "x" * 60
    out.write(f"            {cross}\n")
    out.write("            x  Element         Atom        Fractional coordinates of atoms  x\n")
    out.write("            x                 Number           u          v          w      x\n")
    out.write(f"            x{'-' * 58}x\n")
    for line in _numbered(symbols, atoms.get_scaled_positions(wrap=False), width=11, digits=6):
        out.write(f"            x  {line}  x\n")
    out.write(f"            {cross}\n\n")


def _write_results(out: TextIO, atoms: Atoms, energy: float, forces: Array, stress: Array) -> None:
    from ase.units import GPa

    out.write(f"Final energy, E             = {energy:20.10f}     eV\n\n")
    out.write(f" {'*' * 33} Forces {'*' * 33}\n")
    out.write(" *                     Cartesian components (eV/A)                     *\n")
    out.write(" * ------------------------------------------------------------------- *\n")
    out.write(" *                  x                y                z                *\n *   *\n")
    for line in _numbered(atoms.get_chemical_symbols(), forces, width=19, digits=10):
        out.write(f" * {line} *\n")
    out.write(f" *   *\n {'*' * 74}\n\n")
    xx, yy, zz, yz, xz, xy = stress / GPa
    out.write(f" {'*' * 26} Stress Tensor {'*' * 26}\n")
    out.write(" *          Cartesian components (GPa)          *\n *   *\n")
    for name, row in zip("xyz", ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))):
        out.write(f" *  {name} {''.join(f'{x:19.10f}' for x in row)} *\n")
    out.write(f" *   *\n *  Pressure: {-(xx + yy + zz) / 3:19.10f} *\n {'*' * 67}\n")


def _numbered(symbols: list[str], rows: Array, *, width: int, digits: int) -> list[str]:
    """Lines ``element number x y z``, numbers counted within an element."""
    counts: dict[str, int] = {}
    lines = []
    for symbol, row in zip(symbols, rows):
        counts[symbol] = counts.get(symbol, 0) + 1
        values = " ".join(f"{x:{width}.{digits}f}" for x in row)
        lines.append(f"{symbol:<8s}{counts[symbol]:5d} {values}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
