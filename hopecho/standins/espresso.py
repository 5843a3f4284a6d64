"""A ``pw.x`` and a ``gipaw.x`` that answer with the model surface: same files, not DFT.

``hopecho-pw -in <file>`` prints energy, forces and stress and leaves the structure in
``<outdir>/<prefix>.save/data-file-schema.xml``; ``hopecho-gipaw -in <file>`` reads it there and
prints field gradients. Atoms stay in the order of the input. The layout is that of pw.x 6.7 and
gipaw.x; results have more digits than theirs, so that the files lose nothing of the surface.
"""

from __future__ import annotations

import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

VERSION = "6.7MaX"
BANNER = "hopecho model surface stand-in: NOT a DFT result"
VALENCE = {"Li": 3.0, "P": 5.0, "S": 6.0}
SCHEMA = "data-file-schema.xml"
_NAMES = {"pw": "PWSCF", "gipaw": "GIPAW"}
_DIGITS = 12
_RULE = "%" * 78
_END = "=" + "-" * 78 + "="


class _InputError(ValueError):
    """What the real code would stop at: routine and message."""

    def __init__(self, routine: str, message: str) -> None:
        super().__init__(message)
        self.routine = routine


@dataclass(frozen=True)
class _Job:
    """What an input file asks pw.x for."""

    atoms: Atoms
    save: Path
    keeps_wavefunctions: bool
    gamma_only: bool
    stress: bool
    charge: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run a stand-in, ``pw`` or ``gipaw`` by the first argument; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in _NAMES:
        sys.stderr.write("usage: hopecho-pw|hopecho-gipaw [-in <file>]\n")
        return 2
    which, *rest = arguments
    start = time.perf_counter()
    _say(_head(_NAMES[which]))
    try:
        text = _input_text(rest)
        unconverged = (_pw if which == "pw" else _gipaw)(text)
    except _InputError as error:
        return _stop(error.routine, str(error))
    except (ValueError, KeyError, IndexError, OSError) as error:
        return _stop("read_input", f"{type(error).__name__}: {error}")
    elapsed = time.perf_counter() - start
    _say(f"     {_NAMES[which]:<13s}: {elapsed:9.2f}s CPU {elapsed:9.2f}s WALL\n\n")
    _say(f"   This run was terminated on:  stand-in\n\n{_END}\n   JOB DONE.\n{_END}")
    return 2 if unconverged else 0


def main_pw() -> int:
    """Entry point ``hopecho-pw``."""
    return main(["pw", *sys.argv[1:]])


def main_gipaw() -> int:
    """Entry point ``hopecho-gipaw``."""
    return main(["gipaw", *sys.argv[1:]])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _head(program: str) -> str:
    from hopecho.labels import model_efg, model_pes
    from hopecho.versions import surface_identity

    return (
        f"\n     Program {program} v.{VERSION} starts on stand-in\n\n     {BANNER}"
        f" (surface {model_pes.RESULT_VERSION}-{surface_identity()},"
        f" gradients {model_efg.RESULT_VERSION})\n"
    )


def _stop(routine: str, message: str) -> int:
    text = f" {_RULE}\n     Error in routine {routine} (1):\n     {message}\n {_RULE}\n"
    _say(f"\n{text}\n     stopping ...")
    Path("CRASH").write_text(text, encoding="utf-8")
    return 1


def _input_text(arguments: list[str]) -> str:
    """Input named by ``-in`` (or ``-i``, ``-inp``, ``-input``), else from standard input."""
    for flag, value in pairwise(arguments):
        if flag in ("-i", "-in", "-inp", "-input"):
            return Path(value).read_text(encoding="utf-8")
    _say("     Waiting for input...")
    return sys.stdin.read()


def read_pw_input(text: str) -> _Job:
    """Read what matters of pw.x's input: cell, positions, where to write, what to print.

    Raises
    ------
    ValueError
        The input is not complete, or asks for what the stand-in cannot do.
    """
    import io

    from ase.io.espresso import read_espresso_in, read_fortran_namelist

    if "&control" not in text.lower():
        raise _InputError("read_namelists", "could not find namelist &control")
    data, cards = read_fortran_namelist(io.StringIO(text))
    control, system = data["control"], data["system"]
    if control.get("calculation", "scf") != "scf" or system.get("ibrav", 1) != 0:
        raise _InputError("input", "the stand-in takes calculation = 'scf' and ibrav = 0 only")
    try:
        atoms = read_espresso_in(io.StringIO(text))
    except Exception as error:
        # ASE's reader fails in any way on damaged input: all mean the same.
        raise _InputError("read_cards", f"{type(error).__name__}: {error}") from error
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(VALENCE))
    if unknown:
        raise _InputError("readpp", f"the model surface does not know {', '.join(unknown)}")
    save = Path(control.get("outdir", ".")) / f"{control.get('prefix', 'pwscf')}.save"
    return _Job(
        atoms=atoms,
        save=save,
        keeps_wavefunctions=control.get("disk_io", "low") not in ("none", "nowf", "minimal"),
        gamma_only=any(line.lower().split() == ["k_points", "gamma"] for line in cards),
        stress=bool(control.get("tstress", False)),
        charge=float(system.get("tot_charge", 0.0)),
    )


def _pw(text: str) -> bool:
    """Print what pw.x prints; return whether the numbers are not finite."""
    from hopecho.errors import HopechoError
    from hopecho.labels.model_pes import ModelPes

    job = read_pw_input(text)
    _say(_structure(job))
    try:
        with ModelPes() as surface:
            energy, forces, stress = surface.evaluate(job.atoms)
    except HopechoError as error:
        # What the real code does not converge.
        _say(f"     {error.what}\n\n     convergence NOT achieved after 100 iterations: stopping\n")
        return True
    _say(_results(job, energy, forces, stress))
    if job.keeps_wavefunctions:
        job.save.mkdir(parents=True, exist_ok=True)
        (job.save / SCHEMA).write_text(_schema(job), encoding="utf-8")
    return False


def _units() -> dict[str, float]:
    """Units of ASE's reader of pw.x output, so that numbers come back as they were."""
    from ase.units import create_units

    units: dict[str, float] = create_units("2006")
    return units


def _structure(job: _Job) -> str:
    atoms, bohr = job.atoms, _units()["Bohr"]
    symbols = atoms.get_chemical_symbols()
    species = list(dict.fromkeys(symbols))
    # The printed lattice parameter has six decimals; everything is printed in units of it.
    alat = round(float(atoms.cell.lengths()[0]) / bohr, 6)
    electrons = sum(VALENCE[s] for s in symbols) - job.charge
    lines = [
        "     bravais-lattice index     =            0",
        f"     lattice parameter (alat)  =  {alat:12.4f}  a.u.",
        f"     unit-cell volume          =  {atoms.get_volume() / bohr**3:12.4f} (a.u.)^3",
        f"     number of atoms/cell      = {len(atoms):12d}",
        f"     number of atomic types    = {len(species):12d}",
        f"     number of electrons       = {electrons:12.2f}",
        "",
        f"     celldm(1)={alat:12.6f}  celldm(2)={0.0:11.6f}  celldm(3)={0.0:11.6f}",
        f"     celldm(4)={0.0:11.6f}  celldm(5)={0.0:11.6f}  celldm(6)={0.0:11.6f}",
        "",
        "     crystal axes: (cart. coord. in units of alat)",
    ]
    for number, axis in enumerate(atoms.cell.array / (alat * bohr), start=1):
        values = "".join(f"{x:11.6f}" for x in axis)
        lines.append(f"               a({number}) = ({values} )  ")
    lines += ["", "     atomic species   valence    mass     pseudopotential"]
    for name in species:
        mass = atoms[symbols.index(name)].mass
        lines.append(f"        {name:<6s}{VALENCE[name]:13.2f}{mass:12.5f}     {name:>2s}( 1.00)")
    lines += ["", "     No symmetry found", "", "   Cartesian axes", ""]
    lines.append("     site n.     atom                  positions (alat units)")
    for number, (name, where) in enumerate(zip(symbols, atoms.positions), start=1):
        values = "".join(f"{x:12.7f}" for x in where / (alat * bohr))
        lines.append(f"    {number:6d}           {name:<3s} tau({number:4d}) = ({values}  )")
    return "\n".join([*lines, "", "     number of k points=     1"])


def _results(job: _Job, energy: float, forces: Array, stress: Array) -> str:
    units, number = _units(), f"{_DIGITS + 8}.{_DIGITS}f"
    kinds = {s: i for i, s in enumerate(dict.fromkeys(job.atoms.get_chemical_symbols()), start=1)}
    lines = [
        "                       cart. coord. in units 2pi/alat",
        "        k(    1) = (   0.0000000   0.0000000   0.0000000), wk =   2.0000000",
        "",
        "     iteration #  1",
        "     the surface needs no self-consistency",
        "",
        f"!    total energy              = {energy / units['Ry']:{number}} Ry",
        "",
        "     convergence has been achieved in   1 iterations",
        "",
        "     Forces acting on atoms (cartesian axes, Ry/au):",
        "",
    ]
    scaled = forces * units["Bohr"] / units["Ry"]
    for i, (name, row) in enumerate(zip(job.atoms.get_chemical_symbols(), scaled), start=1):
        values = " ".join(f"{x:{number}}" for x in row)
        lines.append(f"     atom {i:4d} type {kinds[name]:2d}   force = {values}")
    lines.append("")
    if job.stress:
        # pw.x prints compression as positive, ASE tension.
        xx, yy, zz, yz, xz, xy = -stress * units["Bohr"] ** 3 / units["Ry"]
        lines += ["", "     Computing stress (Cartesian axis) and pressure", ""]
        lines.append("          total   stress  (Ry/bohr**3)")
        for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz)):
            lines.append(" ".join(f"{x:{number}}" for x in row))
    return "\n".join([*lines, ""])


def _schema(job: _Job) -> str:
    """The part of pw.x's XML file that describes the structure; lengths in Bohr."""
    bohr = _units()["Bohr"]
    atoms = [
        f"<atom name={quoteattr(name)} index={quoteattr(str(number))}>{_row(where / bohr)}</atom>"
        for number, (name, where) in enumerate(
            zip(job.atoms.get_chemical_symbols(), job.atoms.positions), start=1
        )
    ]
    cell = [f"<a{i}>{_row(a / bohr)}</a{i}>" for i, a in enumerate(job.atoms.cell.array, start=1)]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<qes:espresso xmlns:qes="http://www.quantum-espresso.org/ns/qes/qes-1.0">',
            f"<!-- {BANNER} -->",
            f'<output><atomic_structure nat="{len(atoms)}"><atomic_positions>',
            *atoms,
            "</atomic_positions><cell>",
            *cell,
            "</cell></atomic_structure>",
            f"<basis_set><gamma_only>{str(job.gamma_only).lower()}</gamma_only></basis_set>",
            "</output></qes:espresso>",
            "",
        ]
    )


def _row(values: Array) -> str:
    return " ".join(f"{x:.15e}" for x in values)


def read_schema(path: Path) -> tuple[Atoms, bool]:
    """Structure in pw.x's XML file, and whether the run used the tricks of Gamma alone.

    Raises
    ------
    ValueError
        The file is missing, damaged, or declares entities.
    """
    from ase import Atoms

    try:
        text = path.read_text(encoding="utf-8")
        # Entities can blow up the parser; pw.x declares none.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise _InputError("read_file", f"{path} declares entities")
        output = ElementTree.fromstring(text).find("output")
        found = None if output is None else output.find("atomic_structure")
        if output is None or found is None:
            raise _InputError("read_file", f"{path} holds no structure")
        rows = sorted(found.iter("atom"), key=lambda atom: int(atom.get("index", "0")))
        bohr = _units()["Bohr"]
        positions = [[bohr * float(x) for x in (atom.text or "").split()] for atom in rows]
        cell = [
            [bohr * float(x) for x in (found.findtext(f"cell/a{i}") or "").split()]
            for i in (1, 2, 3)
        ]
        names = [atom.get("name", "") for atom in rows]
        atoms = Atoms(names, positions=positions, cell=cell, pbc=True)
        return atoms, (output.findtext("basis_set/gamma_only") or "").strip() == "true"
    except (OSError, ElementTree.ParseError) as error:
        raise _InputError("read_file", f"cannot read {path}: {error}") from error


def _gipaw(text: str) -> bool:
    """Print what gipaw.x prints for ``job = 'efg'``."""
    import io

    from ase.io.espresso import read_fortran_namelist

    from hopecho.io.gipaw import format_block
    from hopecho.labels.model_efg import model_efg

    if "&inputgipaw" not in text.lower():
        raise _InputError("gipaw_readin", "reading inputgipaw namelist")
    data = read_fortran_namelist(io.StringIO(text))[0]["inputgipaw"]
    if data.get("job") != "efg":
        raise _InputError("gipaw_main", "wrong or undefined job in input")
    save = Path(data.get("tmp_dir", "./scratch/")) / f"{data.get('prefix', 'pwscf')}.save"
    atoms, gamma_only = read_schema(save / SCHEMA)
    if gamma_only:
        raise _InputError("gipaw_main", "Cannot run GIPAW with gamma_only == .true. ")
    _say("     GIPAW job: efg\n")
    _say(format_block(atoms.get_chemical_symbols(), model_efg(atoms), digits=_DIGITS))
    return False


if __name__ == "__main__":
    raise SystemExit(main())
