"""Backend ``castep``: energy, forces and stress in one run, field gradients in a second.

Input files come from ASE's CASTEP calculator, with twelve decimals instead of its six; output is
read by ASE's readers, checked, and put back into the order and onto the positions that were sent.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hopecho
from hopecho.errors import HopechoError
from hopecho.io.magres import read_magres
from hopecho.labels.interface import (
    Label,
    LabelFailure,
    cpu_seconds,
    settings_hash,
    structure_hash,
)
from hopecho.labels.quality import (
    Gates,
    castep_reasons,
    castep_version,
    efg_reasons,
    match_atoms,
    results_reasons,
)

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

STAND_IN = "hopecho-castep"
_SEED = "label"
_STAND_IN_WORDS = "model surface stand-in"
_LOG_LINES = 40
_ENERGIES = (
    "free_energy_with_dispersion_correlation",
    "energy_with_dispersion_correlation",
    "free_energy",
)
_RUNS: Mapping[str, Mapping[str, str]] = {
    "energy": {"task": "SinglePoint", "calculate_stress": "TRUE"},
    "efg": {"task": "magres", "magres_task": "EFG"},
}


class CastepBackend:
    """CASTEP, or the stand-in that speaks its files.

    Parameters
    ----------
    command : str, optional
        ``labels.command``, run without a shell as ``<command> <seed>``; default the stand-in.
    settings : mapping
        ``{"param": {keyword: value}, "cell": {keyword: value}}``, CASTEP's own keywords.
    dataset : str
        Name of the pseudopotential set.
    gates : Gates
        Limits on results.

    Raises
    ------
    HopechoError
        The command cannot be run, prints no version, or the settings are not understood.
    """

    code = "castep"

    def __init__(
        self, *, command: str | None, settings: Mapping[str, Any], dataset: str, gates: Gates
    ) -> None:
        unknown = sorted(set(settings) - {"param", "cell"})
        if unknown:
            raise HopechoError(
                "Unknown block of CASTEP settings",
                got=", ".join(unknown),
                fix="put keywords under labels.castep.param and labels.castep.cell",
            )
        self._keywords = {name: dict(settings.get(name) or {}) for name in ("param", "cell")}
        self._command, self._environment = _resolve(command or STAND_IN)
        self._gates = gates
        banner = _version_text(self._command, self._environment)
        self.version = castep_version(banner) or ""
        stand_in = [line for line in banner.splitlines() if _STAND_IN_WORDS in line]
        self.source = "model PES" if stand_in else f"CASTEP {self.version}"
        # The stand-in names the versions of its surface: its labels never pass for real ones.
        self.settings = settings_hash(
            {"keywords": self._keywords, "version": self.version, "stand_in": stand_in}
        )
        self.dataset = dataset

    def compute(
        self, atoms: Atoms, directory: Path, *, efg: bool = True, base: Label | None = None
    ) -> Label:
        """Label one structure; see `hopecho.labels.interface.Backend`."""
        start = cpu_seconds()
        label = base or self._energy(atoms, directory / "energy")
        if not efg:
            return label
        try:
            tensors = self._efg(atoms, directory / "efg")
        except LabelFailure as failure:
            failure.partial = label
            raise
        spent = cpu_seconds() - start + (base.cpu_s if base else 0.0)
        return replace(label, efg=tensors, cpu_s=spent)

    def _energy(self, atoms: Atoms, directory: Path) -> Label:
        start = cpu_seconds()
        run = self._run(atoms, directory, "energy")
        run.require(castep_reasons(run.text, version=self.version))
        printed, results = _read_castep(run)
        order, reasons = match_atoms(
            atoms,
            numbers=printed.numbers,
            cell=printed.cell.array,
            positions=printed.positions,
        )
        run.require(reasons)
        energy = next(results[name] for name in _ENERGIES if name in results)
        forces, stress = results["forces"][order], results["stress"]
        run.require(results_reasons(energy, forces, stress, n_atoms=len(atoms), gates=self._gates))
        return Label(
            structure=structure_hash(atoms),
            energy=float(energy),
            forces=forces,
            stress=stress,
            efg=None,
            code=self.code,
            version=self.version,
            settings=self.settings,
            dataset=self.dataset,
            source=self.source,
            cpu_s=cpu_seconds() - start,
        )

    def _efg(self, atoms: Atoms, directory: Path) -> Array:
        run = self._run(atoms, directory, "efg")
        run.require(castep_reasons(run.text, version=self.version))
        try:
            printed = read_magres(directory / f"{_SEED}.magres")
        except HopechoError as error:
            raise run.failure(["unreadable_output"], str(error)) from error
        order, reasons = match_atoms(
            atoms, numbers=printed.numbers, cell=printed.cell, positions=printed.positions
        )
        run.require(reasons)
        tensors = printed.efg[order]
        run.require(efg_reasons(tensors, n_atoms=len(atoms), gates=self._gates))
        return tensors

    def _run(self, atoms: Atoms, directory: Path, part: str) -> _Run:
        """Write input files, run the command; failures that leave no result are raised here."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._write_input(atoms, directory, _RUNS[part])
        with open(directory / f"{_SEED}.out", "wb") as out:
            process = subprocess.run(
                [*self._command, _SEED],
                cwd=directory,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
                check=False,
            )
        run = _Run(directory, part)
        status = process.returncode
        if status:
            # mpirun and shells report a signal as 128 + its number.
            word = "killed" if status < 0 or status > 128 else "exit_code"
            reasons = [word, *castep_reasons(run.text, version=self.version)]
            raise run.failure(reasons, f"exit status {status}")
        return run

    def _write_input(self, atoms: Atoms, directory: Path, task: Mapping[str, str]) -> None:
        from ase.calculators.castep import Castep
        from ase.io.castep import write_castep_cell

        with warnings.catch_warnings():
            # ASE warns about a missing keyword file; unknown keywords are CASTEP's to judge.
            warnings.simplefilter("ignore")
            calculator = Castep(
                directory=str(directory),
                label=_SEED,
                castep_command=shlex.join(self._command),
                keyword_tolerance=3,
            )
            calculator._rename_existing_dir = False
            calculator._export_settings = False
            calculator._write_cell = functools.partial(write_castep_cell, precision=12)
            for name in ("param", "cell"):
                for key, value in self._keywords[name].items():
                    setattr(getattr(calculator, name), key, _keyword(value))
            for key, value in task.items():
                setattr(calculator.param, key, value)
            bare = _bare(atoms)
            bare.calc = calculator
            calculator.prepare_input_files(bare)


@dataclass(frozen=True)
class _Run:
    """Files of a finished run."""

    directory: Path
    part: str

    @functools.cached_property
    def text(self) -> str:
        path = self.directory / f"{_SEED}.castep"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def require(self, reasons: list[str]) -> None:
        if reasons:
            raise self.failure(reasons, "")

    def failure(self, reasons: list[str], note: str) -> LabelFailure:
        parts = [note] if note else []
        for path in (*sorted(self.directory.glob("*.err")), self.directory / f"{_SEED}.out"):
            if path.exists() and path.stat().st_size:
                parts.append(f"{path.name}:\n{path.read_text(errors='replace')}")
        parts.append(f"{_SEED}.castep:\n" + "\n".join(self.text.splitlines()[-_LOG_LINES:]))
        return LabelFailure(reasons, log="\n".join(parts), part=self.part)


def _read_castep(run: _Run) -> tuple[Atoms, dict[str, Any]]:
    """Structure and results in the order of the ``.castep`` file."""
    from ase.io.castep import read_castep_castep

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            printed = read_castep_castep(str(run.directory / f"{_SEED}.castep"))
        results = printed.calc.results
        missing = [name for name in ("free_energy", "forces", "stress") if name not in results]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in the file")
    except Exception as error:
        # ASE's reader of free text fails in any way on damaged text: all mean the same.
        raise run.failure(["unreadable_output"], f"{type(error).__name__}: {error}") from error
    return printed, results


def _bare(atoms: Atoms) -> Atoms:
    """Structure without arrays, constraints and calculator, which would enter the input."""
    from ase import Atoms

    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


def _keyword(value: Any) -> Any:
    """Value of a keyword as ASE takes it: pseudopotentials come as a mapping by element."""
    if isinstance(value, Mapping):
        return [(str(k), str(v)) for k, v in value.items()]
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (list, tuple)):
        return " ".join(str(x) for x in value)
    return value


def _resolve(command: str) -> tuple[list[str], dict[str, str]]:
    """Words and environment of a command; the stand-in runs with this interpreter."""
    words, environment = shlex.split(command), dict(os.environ)
    if words and words[0] == STAND_IN:
        words = [sys.executable, "-m", "hopecho.standins.castep", *words[1:]]
        root = str(Path(hopecho.__file__).resolve().parent.parent)
        paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    if not words:
        raise HopechoError("labels.command is empty", fix="set labels.command, e.g. castep.serial")
    return words, environment


def _version_text(command: list[str], environment: Mapping[str, str]) -> str:
    """Output of ``<command> --version``, which must name a version."""
    try:
        text = subprocess.run(
            [*command, "--version"],
            capture_output=True,
            text=True,
            env=dict(environment),
            timeout=120,
            check=False,
        ).stdout
        if castep_version(text) is None:
            raise ValueError(f"it printed {text[:200]!r}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HopechoError(
            f"Cannot run CASTEP as '{shlex.join(command)} --version'",
            got=str(error),
            fix="set labels.command to a CASTEP executable, or to hopecho-castep (model surface)",
        ) from error
    return text
