"""Backend ``castep``: energy, forces and stress in one run, field gradients in a second.

Input files come from ASE's CASTEP calculator, with twelve decimals instead of its six; output is
read by ASE's readers, checked, and put back into the order and onto the positions that were sent.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.io.magres import read_magres
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.interface import LabelFailure, Options
from hopecho.labels.program import Program, excerpt, text_of
from hopecho.labels.quality import charge_reasons, match_atoms

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

STAND_IN = "hopecho-castep"
_SEED = "label"
_STAND_IN_WORDS = "model surface stand-in"
_ENERGIES = (
    "free_energy_with_dispersion_correlation",
    "energy_with_dispersion_correlation",
    "free_energy",
)
_RUNS: Mapping[str, Mapping[str, str]] = {
    "energy": {"task": "SinglePoint", "calculate_stress": "TRUE"},
    "efg": {"task": "magres", "magres_task": "EFG"},
}
_EXCLUSIVE = (
    ("cell", ("kpoint*mpgrid", "kpoint*mpspacing", "kpoint*list")),
    ("param", ("cutoffenergy", "basisprecision")),
)
"""Ways to say one thing, by names without underscores."""
_VERSION = re.compile(r"CASTEP version:?\s+([0-9][0-9.]*)")
_CHARGE = re.compile(r"net\s+charge\s+of\s+system\s*:\s*(\S+)", re.IGNORECASE)
_SIGNS: Mapping[str, re.Pattern[str]] = {
    "scf_unconverged": re.compile(
        r"has not reached the groundstate|SCF (?:cycle )?(?:did|has) not converged", re.IGNORECASE
    ),
    "kpoint_warning": re.compile(r"^.*warning.*k-?\s?point.*$", re.IGNORECASE | re.MULTILINE),
    "geometry_warning": re.compile(
        r"^.*warning.*(?:too close|overlap).*$", re.IGNORECASE | re.MULTILINE
    ),
    "wall_time": re.compile(r"insufficient time|run_time .*(?:reached|exceeded)", re.IGNORECASE),
}
_DISK = re.compile(r"no space left|disk (?:is )?full|disk quota", re.IGNORECASE)


class CastepBackend(BaseBackend):
    """CASTEP, or the stand-in that speaks its files.

    Parameters
    ----------
    options : Options
        ``command``: run without a shell as ``<command> <seed>``, default the stand-in;
        ``settings``: ``{"param": {keyword: value}, "cell": {keyword: value}}``, CASTEP's own
        keywords; no ``efg_command``: CASTEP gives field gradients itself.

    Raises
    ------
    HopechoError
        The command cannot be run, prints no version, or the settings are not understood.
    """

    code = "castep"
    # ASE spells CASTEP's keywords with underscores or without: patterns take both.
    changeable = (
        # Not elec_energy_tol and its like: a looser one gives other forces.
        "param.max*scf*cycles",
        "param.mixing*scheme",
        "param.mix*charge*",
        "param.mix*spin*",
        "param.mix*metric*",
        "param.mix*history*",
        "param.metals*method",
        "param.elec*method",
        "param.nextra*bands",
        "param.perc*extra*bands",
        "param.smearing*",
        "param.fix*occupancy",
        "param.num*occ*cycles",
        "param.opt*strategy",
    )

    def __init__(self, options: Options) -> None:
        unknown = sorted(set(options.settings) - {"param", "cell"})
        if unknown or options.efg_command:
            raise HopechoError(
                "Unknown settings of CASTEP",
                got=", ".join(unknown) or f"labels.efg_command: {options.efg_command}",
                fix="put keywords under labels.castep.param and .cell; one command runs both parts",
            )
        keywords = _checked_keywords(options.settings)
        self._program = Program.resolve(options.command or STAND_IN)
        banner = _version_text(self._program)
        version = castep_version(banner) or ""
        stand_in = [line for line in banner.splitlines() if _STAND_IN_WORDS in line]
        self._stands_in = bool(stand_in)
        super().__init__(
            options,
            version=version,
            source="model PES" if stand_in else f"CASTEP {version}",
            # The stand-in names the versions of its surface: its labels never pass for real ones.
            identity={
                "keywords": {"param": keywords["param"], "cell": _without_places(keywords["cell"])},
                "version": version,
                "stand_in": stand_in,
            },
            keywords=keywords,
        )

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Energy, forces and stress from a single point; see `BaseBackend.run_energy`."""
        self._run(atoms, directory, keywords, "energy")
        printed, results = _read_castep(directory)
        order, reasons = match_atoms(
            atoms,
            numbers=printed.numbers,
            cell=printed.cell.array,
            positions=printed.positions,
        )
        if reasons:
            raise _failure(directory, reasons)
        energy = next(results[name] for name in _ENERGIES if name in results)
        return Results(float(energy), results["forces"][order], results["stress"])

    def run_efg(self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any]) -> Array:
        """Field gradients (n, 3, 3), a.u., from a magres run; see `BaseBackend.run_efg`."""
        self._run(atoms, directory, keywords, "efg")
        try:
            printed = read_magres(directory / f"{_SEED}.magres")
        except HopechoError as error:
            raise _failure(directory, ["unreadable_output"], str(error)) from error
        order, reasons = match_atoms(
            atoms, numbers=printed.numbers, cell=printed.cell, positions=printed.positions
        )
        if reasons:
            raise _failure(directory, reasons)
        return printed.efg[order]

    def log(self, directory: Path) -> str:
        """Return the ends of the error file, the output and the ``.castep`` file."""
        return _log(directory)

    def _run(self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], part: str) -> None:
        """Write input files, run the command, and let its text pass the gates."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._write_input(atoms, directory, keywords, _RUNS[part])
        ended = self._program.run(
            [_SEED], directory, stdout=f"{_SEED}.out", timeout_s=self.timeout_s
        )
        errors = excerpt(directory, [p.name for p in sorted(directory.glob("*.err"))])
        text = _text(directory)
        reasons = [*ended, *castep_reasons(text, errors=errors, version=self.version)]
        if text and (_STAND_IN_WORDS in text) != self._stands_in:
            # What runs is not what answered when it was asked for its version.
            reasons.append("version_mismatch")
        if reasons:
            raise _failure(directory, reasons)

    def _write_input(
        self,
        atoms: Atoms,
        directory: Path,
        keywords: Mapping[str, Any],
        task: Mapping[str, str],
    ) -> None:
        from ase.calculators.castep import Castep
        from ase.io.castep import write_castep_cell

        with warnings.catch_warnings():
            # ASE warns about a missing keyword file; unknown keywords are CASTEP's to judge.
            warnings.simplefilter("ignore")
            calculator = Castep(
                directory=str(directory),
                label=_SEED,
                castep_command=str(self._program),
                keyword_tolerance=3,
            )
            calculator._rename_existing_dir = False
            calculator._export_settings = False
            calculator._write_cell = functools.partial(write_castep_cell, precision=12)
            for name in ("param", "cell"):
                for key, value in keywords[name].items():
                    setattr(getattr(calculator, name), key, _keyword(value))
            for key, value in task.items():
                setattr(calculator.param, key, value)
            bare = _bare(atoms)
            bare.calc = calculator
            calculator.prepare_input_files(bare)
        _check_input(directory, keywords)


def castep_reasons(text: str, *, errors: str = "", version: str | None = None) -> list[str]:
    """Reasons found in the text of a ``.castep`` file (last record only) and its error files."""
    record = text[max(text.rfind("Welcome to"), 0) :]
    reasons = [reason for reason, sign in _SIGNS.items() if sign.search(record)]
    reasons += charge_reasons(_CHARGE.search(record))
    if errors:
        reasons.append("io_error" if _DISK.search(errors) else "code_error")
    if "Finalisation time" not in record:
        reasons.append("incomplete")
    printed = castep_version(record)
    if version is not None and printed is not None and printed != version:
        reasons.append("version_mismatch")
    return reasons


def castep_version(text: str) -> str | None:
    """Version number in the output of ``castep --version`` or in a ``.castep`` file."""
    found = _VERSION.search(text)
    return found.group(1) if found else None


def _text(directory: Path) -> str:
    return text_of(directory / f"{_SEED}.castep")


def _log(directory: Path) -> str:
    names = [p.name for p in sorted(directory.glob("*.err"))] + [f"{_SEED}.out", f"{_SEED}.castep"]
    return excerpt(directory, names)


def _failure(directory: Path, reasons: list[str], note: str = "") -> LabelFailure:
    """Failure with the ends of all that the run wrote."""
    return LabelFailure(reasons, log=f"{note}\n{_log(directory)}".strip())


def _read_castep(directory: Path) -> tuple[Atoms, dict[str, Any]]:
    """Structure and results in the order of the ``.castep`` file."""
    from ase.io.castep import read_castep_castep

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            printed = read_castep_castep(io.StringIO(_text(directory)))
        results = printed.calc.results
        missing = [name for name in ("free_energy", "forces", "stress") if name not in results]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in the file")
    except Exception as error:
        # ASE's reader of free text fails in any way on damaged text: all mean the same.
        note = f"{type(error).__name__}: {error}"
        raise _failure(directory, ["unreadable_output"], note) from error
    return printed, results


def _bare(atoms: Atoms) -> Atoms:
    """Structure without arrays, constraints and calculator, which would enter the input."""
    from ase import Atoms

    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


def _checked_keywords(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Keywords by file, without those that an overlay takes away with ``null``.

    Raises
    ------
    HopechoError
        Two keywords exclude each other: of these ASE would write one and drop the other.
    """
    keywords = {
        name: {k: v for k, v in dict(settings.get(name) or {}).items() if v is not None}
        for name in ("param", "cell")
    }
    for name, patterns in _EXCLUSIVE:
        found = [k for k in keywords[name] if any(fnmatchcase(_bare_name(k), p) for p in patterns)]
        if len(found) > 1:
            raise HopechoError(
                f"Keywords under labels.castep.{name} exclude each other",
                got=", ".join(found),
                fix=f"keep one, and set the others to null, e.g. {found[0]}: null",
            )
    return keywords


def _bare_name(keyword: str) -> str:
    return keyword.lower().replace("_", "")


def _check_input(directory: Path, keywords: Mapping[str, Any]) -> None:
    """Make sure that ASE wrote every keyword.

    Raises
    ------
    HopechoError
        A keyword did not reach its file.
    """
    for name in ("param", "cell"):
        text = (directory / f"{_SEED}.{name}").read_text(encoding="utf-8")
        words = {_bare_name(w) for w in re.findall(r"[A-Za-z_]\w+", text)}
        lost = [k for k in keywords[name] if _bare_name(k) not in words]
        if lost:
            raise HopechoError(
                f"A keyword did not reach CASTEP's .{name} file",
                got=", ".join(lost),
                fix=f"check its name and value under labels.castep.{name}",
            )


def _without_places(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Cell keywords with the hash of its content in place of the path of a pseudopotential."""
    result = dict(cell)
    for key, value in cell.items():
        if isinstance(value, Mapping):
            result[key] = {k: _content(v) for k, v in value.items()}
    return result


def _content(value: Any) -> Any:
    path = Path(str(value))
    if not path.is_file():
        return value
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _place(value: Any) -> str:
    """Path of a file as CASTEP finds it from another folder; other values as they are."""
    path = Path(str(value))
    return str(path.resolve()) if path.is_file() else str(value)


def _keyword(value: Any) -> Any:
    """Value of a keyword as ASE takes it: pseudopotentials come as a mapping by element."""
    if isinstance(value, Mapping):
        return [(str(k), _place(v)) for k, v in value.items()]
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (list, tuple)):
        return " ".join(str(x) for x in value)
    return value


def _version_text(program: Program) -> str:
    """Output of ``<command> --version``, which must name a version."""
    try:
        text = program.output(["--version"])
        if castep_version(text) is None:
            raise ValueError(f"it printed {text[:200]!r}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HopechoError(
            f"Cannot run CASTEP as '{program} --version'",
            got=str(error),
            fix="set labels.command to a CASTEP executable, or to hopecho-castep (model surface)",
        ) from error
    return text
