"""Backend ``ase``: any calculator that follows ASE's interface, run in this process.

Field gradients come only from a calculator that gives a result ``efg``, (n, 3, 3) in a.u.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import subprocess
import traceback
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.interface import LabelFailure, Options

if TYPE_CHECKING:
    from ase import Atoms

_NEEDED = ("energy", "forces")
_STATUS = re.compile(r"(?:error code|exit status)[\s:]{0,3}(-?\d+)")
_LOG_LINES = 30


class AseBackend(BaseBackend):
    """A calculator named by its import path.

    Parameters
    ----------
    options : Options
        Without commands (a command is a parameter) and retries (nothing is known about what may
        change); a time limit is not kept. ``settings``: ``calculator``, ``package.module.Class`` or
        a function that returns a calculator; ``parameters``, its keyword arguments. Of files named
        there the content counts, not the path.

    Raises
    ------
    HopechoError
        No such calculator, or it gives no energy and forces.
    """

    code = "ase"
    in_process = True

    def __init__(self, options: Options) -> None:
        unknown = sorted(set(options.settings) - {"calculator", "parameters"})
        if options.command or options.efg_command or unknown:
            raise HopechoError(
                "Settings that labels.code: ase cannot use",
                got=", ".join(unknown) or f"command {options.command or options.efg_command!r}",
                fix="set labels.ase.calculator and .parameters; a command is a parameter",
            )
        self._name = str(options.settings.get("calculator") or "")
        self._factory = _imported(self._name)
        parameters = dict(options.settings.get("parameters") or {})
        version = _versions(self._factory)
        super().__init__(
            options,
            version=version,
            source=f"{self._name.rpartition('.')[2]} ({version})",
            identity={"calculator": self._name, "parameters": _hashed(parameters), "of": version},
            keywords={"calculator": self._name, "parameters": parameters},
        )

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Energy, forces and, where it has them, stress and field gradients.

        Raises
        ------
        HopechoError
            The calculator cannot be made, or has no field gradients and they are wanted.
        LabelFailure
            The calculation failed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        calculator = self._calculator(keywords["parameters"], directory)
        known = list(getattr(calculator, "implemented_properties", None) or _NEEDED)
        missing = sorted({*_NEEDED, *(["efg"] if efg else [])} - set(known))
        if missing:
            raise HopechoError(
                f"{self._name} does not give what a label needs",
                got=f"no {', '.join(missing)} among {', '.join(known)}",
                fix="set labels.efg: false, or choose another calculator",
            )
        wanted = [*_NEEDED, *(p for p in ("stress", "free_energy") if p in known)]
        found = _calculated(calculator, atoms, [*wanted, *(["efg"] if efg else [])])
        stress = found.get("stress")
        return Results(
            # The energy that the forces belong to, where the two differ.
            energy=float(found.get("free_energy", found["energy"])),
            forces=np.asarray(found["forces"], dtype=float),
            stress=None if stress is None else _voigt(np.asarray(stress, dtype=float)),
            efg=np.asarray(found["efg"], dtype=float) if efg else None,
        )

    def _calculator(self, parameters: Mapping[str, Any], directory: Path) -> Any:
        """A new calculator: nothing of the structure before it enters a label."""
        from ase.calculators.calculator import BaseCalculator, FileIOCalculator
        from ase.calculators.genericfileio import GenericFileIOCalculator

        arguments = dict(parameters)
        factory = self._factory
        if isinstance(factory, type) and issubclass(
            factory, (FileIOCalculator, GenericFileIOCalculator)
        ):
            arguments["directory"] = str(directory)
        try:
            calculator = factory(**arguments)
        except Exception as error:
            raise HopechoError(
                f"Cannot make the calculator {self._name}",
                got=f"{type(error).__name__}: {error}",
                fix="check labels.ase.parameters, its keyword arguments",
            ) from error
        if not isinstance(calculator, BaseCalculator):
            raise _no_calculator(self._name, type(calculator).__name__)
        if hasattr(calculator, "directory"):
            # Of whatever family it is: two labels never share files.
            calculator.directory = str(directory)
        return calculator


def _calculated(calculator: Any, atoms: Atoms, properties: list[str]) -> dict[str, Any]:
    """Results of one calculation; every way to fail becomes a reason."""
    from ase import Atoms
    from ase.calculators.calculator import SCFError, all_changes

    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    try:
        calculator.calculate(bare, properties, list(all_changes))
        results = dict(calculator.results)
    except (OSError, HopechoError):
        # A full disk, a program that is not there: neither says anything about the structure.
        raise
    except SCFError as error:
        raise LabelFailure(["scf_unconverged"], log=_tail(error)) from error
    except Exception as error:
        raise LabelFailure([_reason(error)], log=_tail(error)) from error
    missing = [p for p in properties if p not in (*results, "free_energy", "stress")]
    if missing:
        raise LabelFailure(
            ["unreadable_output"], log=f"no {', '.join(missing)} among {', '.join(results)}"
        )
    return results


def _reason(error: Exception) -> str:
    """``killed`` for a program that a signal ended or that found no memory, else its own fault."""
    if isinstance(error, subprocess.CalledProcessError):
        status = error.returncode
    else:
        found = _STATUS.search(str(error))
        status = int(found.group(1)) if found else 0
    if isinstance(error, MemoryError) or status < 0 or 128 < status < 255:
        return "killed"
    return "code_error"


def _tail(error: Exception) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-_LOG_LINES:])


def _voigt(stress: Any) -> Any:
    """Stress (6,) from (6,) or (3, 3); other shapes are left for the gates."""
    if stress.shape != (3, 3):
        return stress
    return (0.5 * (stress + stress.T)).flat[[0, 4, 8, 5, 2, 1]]


def _imported(name: str) -> Callable[..., Any]:
    """What an import path names: a calculator's class, or a function that may return one."""
    from ase.calculators.calculator import BaseCalculator

    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise HopechoError(
            "Cannot import the calculator",
            got=f"labels.ase.calculator: {name or 'nothing'} ({error})",
            fix="give package.module.Class, e.g. ase.calculators.emt.EMT, and install its package",
        ) from error
    if not callable(found) or (isinstance(found, type) and not issubclass(found, BaseCalculator)):
        raise _no_calculator(name, type(found).__name__)
    return found


def _no_calculator(name: str, kind: str) -> HopechoError:
    return HopechoError(
        f"{name} is no ASE calculator",
        got=f"{kind} without ASE's interface",
        fix="set labels.ase.calculator to a subclass of ase.calculators.calculator.Calculator",
    )


def _versions(factory: Callable[..., Any]) -> str:
    """Versions of the package that the calculator comes from, if it has one, and of ASE."""
    top = (getattr(factory, "__module__", "") or "").partition(".")[0]
    known = metadata.packages_distributions().get(top, [])
    names = [n for n in known if n != "ase"]
    if not known:
        # Somebody's own module: its text is its version.
        source = getattr(importlib.import_module(factory.__module__), "__file__", None)
        if source:
            digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()[:12]
            return f"{top} {digest}, ase {metadata.version('ase')}"
    return ", ".join(f"{n} {metadata.version(n)}" for n in [*sorted(set(names)), "ase"])


def _hashed(value: Any) -> Any:
    """Parameters with the hash of its content in place of every path of a file."""
    if isinstance(value, Mapping):
        return {str(k): _hashed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hashed(v) for v in value]
    if isinstance(value, str) and value and Path(value).is_file():
        return "sha256:" + hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value
