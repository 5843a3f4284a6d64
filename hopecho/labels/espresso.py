"""Backend ``espresso``: energy, forces and stress from pw.x, field gradients from gipaw.x.

Input comes from ASE's writer (ten decimals), output goes through ASE's reader, is checked, and is
put back into the order and onto the positions that were sent. gipaw.x reads the wavefunctions that
pw.x leaves: where a label is only to be completed, pw.x runs again first.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.io.gipaw import read_gipaw
from hopecho.labels.base import BaseBackend, Results, merge
from hopecho.labels.espresso_input import (
    DEFAULTS,
    Pseudopotentials,
    checked_settings,
    gipaw_input,
    pw_input,
)
from hopecho.labels.espresso_output import (
    count_banners,
    espresso_reasons,
    espresso_version,
    gipaw_reasons,
    gipaw_revision,
    last_record,
    stand_in_lines,
)
from hopecho.labels.interface import LabelFailure, Options
from hopecho.labels.program import Program, excerpt, text_of
from hopecho.labels.quality import match_atoms

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

INPUT, OUTPUT = "label.pwi", "label.pwo"
GIPAW_INPUT, GIPAW_OUTPUT = "label.gipaw.in", "label.gipaw.out"
SCRATCH = "out"
_NO_INPUT = "no-such-file"
_PLACES = ("pseudopotentials", "pseudo_dir")
"""Settings that say where files are, not what is in them."""


class EspressoBackend(BaseBackend):
    """Quantum ESPRESSO, or the stand-ins that speak its files.

    Parameters
    ----------
    options : Options
        ``command``: run as ``<command> -in label.pwi``, default ``pw.x``; ``efg_command``: default
        ``gipaw.x``, only looked for where it is named or the settings have a block ``gipaw``;
        ``settings``: see `hopecho.labels.espresso_input.checked_settings`.

    Raises
    ------
    HopechoError
        A command cannot be run, prints no version, or the settings are not understood.
    """

    code = "espresso"
    changeable = (
        # Not conv_thr: a looser one gives other forces.
        "input_data.electrons.electron_maxstep",
        "input_data.electrons.mixing_*",
        "input_data.electrons.diago*",
        "input_data.electrons.starting*",
        "input_data.electrons.adaptive_thr",
        "input_data.system.nbnd",
        "input_data.system.occupations",
        "input_data.system.smearing",
        "input_data.system.degauss",
    )

    def __init__(self, options: Options) -> None:
        keywords = merge(DEFAULTS, checked_settings(options.settings))
        self._pw = Program.resolve(options.command or "pw.x")
        banner = _banner(self._pw, "PWSCF", "labels.command")
        version = espresso_version(banner) or ""
        stand_in = stand_in_lines(banner)
        self._gipaw: Program | None = None
        self._gipaw_version = ""
        gipaw_lines: list[str] = []
        if options.efg_command or "gipaw" in keywords:
            default = "hopecho-gipaw" if stand_in else "gipaw.x"
            self._gipaw = Program.resolve(options.efg_command or default, key="labels.efg_command")
            told = _banner(self._gipaw, "GIPAW", "labels.efg_command")
            self._gipaw_version = espresso_version(told, "GIPAW") or ""
            gipaw_lines = stand_in_lines(told) + gipaw_revision(told)
            if bool(stand_in_lines(told)) != bool(stand_in):
                raise HopechoError(
                    "One of the two commands is a stand-in, the other is not",
                    got=f"labels.command {self._pw}, labels.efg_command {self._gipaw}",
                    fix="use pw.x with gipaw.x, or hopecho-pw with hopecho-gipaw",
                )
        self._stands_in = bool(stand_in)
        self._pseudo = Pseudopotentials.find(keywords, required=not stand_in)
        super().__init__(
            options,
            version=version,
            source="model PES" if stand_in else f"QE {version}",
            identity={
                "keywords": {k: v for k, v in keywords.items() if k not in _PLACES},
                "pseudopotentials": dict(self._pseudo.hashes),
                "version": version,
                "gipaw": [self._gipaw_version, *gipaw_lines],
                # The stand-in names the versions of its surface: its labels never pass for real.
                "stand_in": stand_in,
            },
            keywords=keywords,
        )

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Energy, forces and stress from pw.x; see `BaseBackend.run_energy`.

        With `efg` the wavefunctions stay for `run_efg`, otherwise nothing large does.
        """
        efg = efg and self._gipaw is not None
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / INPUT).write_text(self._input(atoms, keywords, efg), encoding="utf-8")
        done = False
        try:
            ended = self._pw.run(["-in", INPUT], directory, stdout=OUTPUT, timeout_s=self.timeout_s)
            text = text_of(directory / OUTPUT)
            reasons = [*ended, *espresso_reasons(text, version=self.version)]
            if text and bool(stand_in_lines(text)) != self._stands_in:
                # What runs is not what answered when it was asked for its version.
                reasons.append("version_mismatch")
            if reasons:
                raise _failure(directory, reasons)
            results = _results(atoms, text, directory, stress=bool(keywords["stress"]))
            done = True
            return results
        finally:
            if not (done and efg):
                shutil.rmtree(directory / SCRATCH, ignore_errors=True)

    def run_efg(self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any]) -> Array:
        """Field gradients (n, 3, 3), a.u., from gipaw.x; see `BaseBackend.run_efg`."""
        if self._gipaw is None:
            raise HopechoError(
                "Field gradients are wanted, and gipaw.x is not set up",
                got="no block labels.espresso.gipaw and no labels.efg_command",
                fix="set labels.espresso.gipaw: {} and labels.efg_command, or labels.efg: false",
            )
        scf = directory.parent / "energy"
        if not self._left_wavefunctions(scf, atoms, keywords):
            scf = directory
            self.run_energy(atoms, scf, keywords, efg=True)
        try:
            return self._gradients(self._gipaw, atoms, scf, keywords)
        finally:
            shutil.rmtree(scf / SCRATCH, ignore_errors=True)

    def log(self, directory: Path) -> str:
        """Return the ends of all that the runs wrote."""
        # gipaw.x runs where pw.x left its wavefunctions.
        return _log(directory if directory.is_dir() else directory.parent / "energy")

    def _input(self, atoms: Atoms, keywords: Mapping[str, Any], efg: bool) -> str:
        return pw_input(atoms, keywords, self._pseudo, scratch=SCRATCH, wavefunctions=efg)

    def _left_wavefunctions(self, folder: Path, atoms: Atoms, keywords: Mapping[str, Any]) -> bool:
        """Whether pw.x ran there for exactly this structure with these settings."""
        same = text_of(folder / INPUT) == self._input(atoms, keywords, True)
        return same and (folder / SCRATCH).is_dir()

    def _gradients(
        self, gipaw: Program, atoms: Atoms, folder: Path, keywords: Mapping[str, Any]
    ) -> Array:
        text = gipaw_input(atoms, keywords.get("gipaw") or {}, scratch=SCRATCH)
        (folder / GIPAW_INPUT).write_text(text, encoding="utf-8")
        ended = gipaw.run(
            ["-in", GIPAW_INPUT], folder, stdout=GIPAW_OUTPUT, timeout_s=self.timeout_s
        )
        text = text_of(folder / GIPAW_OUTPUT)
        reasons = [*ended, *gipaw_reasons(text, version=self._gipaw_version)]
        if reasons:
            raise _failure(folder, reasons)
        try:
            printed = read_gipaw(text, where=GIPAW_OUTPUT)
        except HopechoError as error:
            raise _failure(folder, ["unreadable_output"], str(error)) from error
        # gipaw.x prints no positions; it keeps the order of pw.x's input, which is ours.
        if printed.symbols != tuple(atoms.get_chemical_symbols()):
            count = len(printed.symbols) != len(atoms)
            raise _failure(folder, ["atom_count" if count else "species"])
        return printed.efg


def _results(atoms: Atoms, text: str, directory: Path, *, stress: bool) -> Results:
    """Energy, forces and stress in the order of the structure."""
    from ase.io.espresso import read_espresso_out

    record = last_record(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            printed = list(read_espresso_out(io.StringIO(record)))[-1]
        found = printed.calc.results
        wanted = ("free_energy", "forces", *(["stress"] if stress else []))
        missing = [name for name in wanted if found.get(name) is None]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in the file")
    except Exception as error:
        # ASE's reader of free text fails in any way on damaged text: all mean the same.
        note = f"{type(error).__name__}: {error}"
        raise _failure(directory, ["unreadable_output"], note) from error
    order, reasons = match_atoms(
        atoms, numbers=printed.numbers, cell=printed.cell.array, positions=printed.positions
    )
    if reasons:
        raise _failure(directory, reasons)
    # pw.x's total energy is the one of its forces: with smearing the free energy.
    return Results(
        float(found["free_energy"]), found["forces"][order], found["stress"] if stress else None
    )


def _log(directory: Path) -> str:
    names = [n for n in ("CRASH", GIPAW_OUTPUT) if (directory / n).exists()]
    return excerpt(directory, [*names, OUTPUT])


def _failure(directory: Path, reasons: list[str], note: str = "") -> LabelFailure:
    return LabelFailure(reasons, log=f"{note}\n{_log(directory)}".strip())


def _banner(program: Program, name: str, key: str) -> str:
    """What a program prints before it finds no input; must name a version once."""
    try:
        # With nothing to read from standard input ranks of a wrong launcher would wait for ever.
        text = program.output(["-in", _NO_INPUT])
        if espresso_version(text, name) is None:
            raise ValueError(f"it printed {text[:200]!r}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HopechoError(
            f"Cannot run {program}, which should print 'Program {name} v.'",
            got=str(error),
            fix=f"set {key} to {'pw.x' if name == 'PWSCF' else 'gipaw.x'} of Quantum ESPRESSO, "
            f"or to {'hopecho-pw' if name == 'PWSCF' else 'hopecho-gipaw'} (model surface)",
        ) from error
    copies = count_banners(text, name)
    if copies > 1:
        raise HopechoError(
            f"{program} starts {copies} separate copies instead of one parallel run",
            got=f"'Program {name}' is printed {copies} times",
            fix=f"the launcher belongs to another MPI: name the right one in {key}, e.g. "
            "/usr/bin/mpirun",
        )
    return text
