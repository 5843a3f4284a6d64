r"""Backend ``abinit``: energy, forces, stress and all field gradients in one run.

Input is written here, with twelve decimals, in Angstrom and in the structure's atom order; ASE's
writer would read energies as eV where Abinit's manual says Hartree. Forces and stress are read by
ASE, the field gradients by `hopecho.io.abinit_efg`. The energy is that of the last ``ETOT`` line:
ASE takes ``total_energy`` from the table of its parts, whose error is of first order in what is
left of the SCF cycle (with ``toldfe 1e-8`` it was 2.6 meV off for a cell of Li3N).

Field gradients have this package's sign, :math:`V_{ij} = \partial^2 V / \partial x_i \partial x_j`
of the electrostatic potential. In Li3N Li(1b), between two N along c, has V_zz < 0 and Li(2c),
inside three N, V_zz > 0, as point charges demand; all-electron values (Elk, its sign turned) are
-0.0751 and +0.0354 a.u., Abinit with GPAW's data sets gives -0.0716 and +0.0303.

No symmetry is used (``nsym 1``) unless the settings say otherwise: labels stay continuous
functions of the structure and no k-point grid is refused. Source of the method: J. W. Zwanziger,
M. Torrent, Appl. Magn. Reson. 33, 447 (2008).
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase.data import chemical_symbols
from ase.units import Hartree

from hopecho.errors import HopechoError
from hopecho.io.abinit_efg import read_abinit_efg
from hopecho.labels.abinit_input import (
    DEFAULTS,
    INPUT_VERSION,
    checked_settings,
    input_text,
    pseudopotential_paths,
)
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.interface import LabelFailure, Options
from hopecho.labels.program import Program, excerpt, text_of
from hopecho.labels.quality import charge_reasons, match_atoms

if TYPE_CHECKING:
    from ase import Atoms

_INPUT, _OUTPUT, _LOG = "abinit.in", "abinit.abo", "abinit.log"
_CHANGEABLE = (
    "nstep nline nnsclo iscf npulayit diemac diemix dielng dielam iprcel "
    "nband fband occopt tsmear wfoptalg tolrde"
)
_RENAMED = (9, 10)
"""Version in which ``prtefg`` is known to be called ``nucefg``."""
_BLOCK = re.compile(r"^--- !(ERROR|BUG)\s*$(.*?)^\.\.\.", re.MULTILINE | re.DOTALL)
_UNCONVERGED = re.compile(
    r"!ScfConvergenceWarning|was not enough SCF cycles to converge", re.IGNORECASE
)
_TIME = re.compile(r"cpu time limit exceeded|approaching time limit", re.IGNORECASE)
_STOPPED = "exit requested by the user"
_FINISHED = "Calculation completed."
_DISK = re.compile(r"no space left|disk (?:is )?full|disk quota", re.IGNORECASE)
_VERSION = re.compile(
    r"^\s*\.?(?:Version\s+)?(\d+\.\d+[\w.]*)(?:\s+of ABINIT.*)?\s*$", re.MULTILINE
)
_CHARGE = re.compile(r"^electrons:.*\bcharge:\s*([-+.\dE]+)", re.MULTILINE)
_ETOT = re.compile(r"^ ?ETOT\s*\d+\s+(\S+)", re.MULTILINE)


class AbinitBackend(BaseBackend):
    """Abinit with PAW data sets.

    Parameters
    ----------
    options : Options
        ``command``: run without a shell as ``<command> abinit.in``, default ``abinit``; no
        ``efg_command``: one run gives everything. ``settings``: ``parameters``, Abinit's own input
        variables in its own units (``ecut`` in Hartree), which need ``ecut`` and one of ``toldfe``,
        ``toldff``, ``tolrff``, ``tolvrs``, ``tolwfr``; ``pseudopotentials``: file names by element;
        ``pseudo_dir``: their folder; ``kpts``: three numbers of k-points, grid with Gamma (default
        one point).

    Raises
    ------
    HopechoError
        The command cannot be run, a pseudopotential is missing, or settings are not understood.
    """

    code = "abinit"
    changeable = tuple(f"parameters.{name}" for name in _CHANGEABLE.split())

    def __init__(self, options: Options) -> None:
        if options.efg_command:
            raise HopechoError(
                "labels.efg_command has no use with Abinit",
                got=options.efg_command,
                fix="leave it out: one run gives energies and field gradients",
            )
        keywords = checked_settings(options.settings)
        self._pseudopotentials = pseudopotential_paths(options.settings)
        self._program = Program.resolve(options.command or "abinit")
        version = _program_version(self._program)
        hashes = {
            element: hashlib.sha256(path.read_bytes()).hexdigest()
            for element, path in self._pseudopotentials.items()
        }
        super().__init__(
            options,
            version=version,
            source=f"Abinit {version}",
            identity={
                "input": INPUT_VERSION,
                "keywords": keywords,
                "version": version,
                "pseudopotentials": hashes,
            },
            keywords=keywords,
        )

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Everything from one run; see `BaseBackend.run_energy`."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._write_input(atoms, directory, keywords, efg=efg)
        ended = self._program.run([_INPUT], directory, stdout=_LOG, timeout_s=self.timeout_s)
        text, log = (text_of(directory / name) for name in (_OUTPUT, _LOG))
        reasons = [*ended, *abinit_reasons(text, log=log, version=self.version)]
        if reasons:
            raise _failure(directory, reasons)
        return _results(atoms, directory, text, efg=efg)

    def log(self, directory: Path) -> str:
        """Return the ends of what Abinit printed and of its output file."""
        return excerpt(directory, [_LOG, _OUTPUT])

    def _write_input(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> None:
        elements = [chemical_symbols[z] for z in sorted(set(atoms.numbers))]
        missing = sorted(set(elements) - set(self._pseudopotentials))
        if missing:
            raise HopechoError(
                "No pseudopotential for an element of the structure",
                got=", ".join(missing),
                fix="name its file in labels.abinit.pseudopotentials",
            )
        names = []
        for element in elements:
            # Abinit cuts long paths: short names beside the input.
            path = self._pseudopotentials[element]
            names.append(f"{element}{path.suffix}")
            (directory / names[-1]).symlink_to(path)
        variables = {**DEFAULTS, **keywords["parameters"], "ngkpt": keywords["kpts"]}
        variables |= {"optforces": 1, "optstress": 1}
        if efg:
            variables |= self._efg_variables(len(elements), variables)
        text = input_text(atoms, elements, names, variables)
        (directory / _INPUT).write_text(text, encoding="utf-8")

    def _efg_variables(self, n_types: int, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Variables that ask for tensors; quadrupole moments must be there and change nothing."""
        number = tuple(int(n) for n in re.findall(r"\d+", self.version)[:2])
        default = "nucefg" if number >= _RENAMED else "prtefg"
        name = next((n for n in ("prtefg", "nucefg") if n in variables), default)
        return {name: 2, "quadmom": [1.0] * n_types}


def abinit_reasons(text: str, *, log: str = "", version: str | None = None) -> list[str]:
    """Reasons found in the text of a ``.abo`` file and of what Abinit printed (its log)."""
    banners = [body for _, body in _BLOCK.findall(log + "\n" + text)]
    stopped = _TIME.search(text + log) is not None or _STOPPED in text
    reasons = []
    # A run that was stopped never had its chance to converge.
    if not stopped and (_UNCONVERGED.search(text) or _UNCONVERGED.search(log)):
        reasons.append("scf_unconverged")
    if banners:
        reasons.append(_banner_reason("\n".join(banners)))
    reasons += charge_reasons(_CHARGE.search(text))
    if stopped:
        reasons.append("wall_time" if _TIME.search(text + log) else "incomplete")
    elif _DISK.search(log) and not banners:
        reasons.append("io_error")
    elif _FINISHED not in text:
        reasons.append("incomplete")
    printed = abinit_version(text)
    if version is not None and printed is not None and printed != version:
        reasons.append("version_mismatch")
    return reasons


def _banner_reason(banner: str) -> str:
    """One word for what Abinit's error blocks say."""
    if _DISK.search(banner):
        return "io_error"
    if re.search(r"ARE OVERLAPPING|too close", banner, re.IGNORECASE):
        return "geometry_warning"
    if re.search(r"k[- ]?points? grid is not symmetric", banner, re.IGNORECASE):
        return "kpoint_warning"
    return "code_error"


def abinit_version(text: str) -> str | None:
    """Version number in the output of ``abinit --version`` or in a ``.abo`` file."""
    found = _VERSION.search(text)
    return found.group(1) if found else None


def _results(atoms: Atoms, directory: Path, text: str, *, efg: bool) -> Results:
    """Read the output and put it into the order of the structure."""
    from ase.io.abinit import read_abinit_out

    try:
        found = read_abinit_out(io.StringIO(text))
        printed, forces, stress = found["atoms"], found["forces"], found["stress"]
        energy = float(_ETOT.findall(text)[-1]) * Hartree
        tensors = read_abinit_efg(directory / _OUTPUT, n_atoms=len(printed)) if efg else None
    except Exception as error:
        # ASE's reader of free text fails in any way on damaged text: all mean the same.
        note = f"{type(error).__name__}: {error}"
        raise _failure(directory, ["unreadable_output"], note) from error
    order, reasons = match_atoms(
        atoms, numbers=printed.numbers, cell=printed.cell.array, positions=printed.positions
    )
    if reasons:
        raise _failure(directory, reasons)
    return Results(energy, forces[order], stress, None if tensors is None else tensors[order])


def _failure(directory: Path, reasons: list[str], note: str = "") -> LabelFailure:
    """Failure with the ends of all that the run wrote."""
    return LabelFailure(reasons, log=f"{note}\n{excerpt(directory, [_LOG, _OUTPUT])}".strip())


def _program_version(program: Program) -> str:
    """Version that ``<command> --version`` prints."""
    try:
        text = program.output(["--version"])
        version = abinit_version(text)
        if version is None:
            raise ValueError(f"it printed {text[:200]!r}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HopechoError(
            f"Cannot run Abinit as '{program} --version'",
            got=str(error),
            fix="install it (Debian: apt-get install abinit) or set labels.command",
        ) from error
    return version
