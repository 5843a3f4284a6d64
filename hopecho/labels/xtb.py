r"""Backend ``xtb``: GFN-xTB of the package tblite, in this process.

Energy, forces and stress are those of the tight-binding Hamiltonian (at Gamma only: use one cell
size). It has no field gradients; those given here are of its Mulliken charges :math:`q_j`,

.. math:: V_{ab}(i) = f_i \, \partial_a \partial_b \sum_{j \ne i} q_j / |r - r_j|

summed over the crystal by Ewald, with :math:`f = 1 - \gamma_\infty` of the nucleus as in
`hopecho.labels.model_efg`. They are a model, not first principles.

Source: S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989 (2017) (GFN1);
C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019) (GFN2).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.ewald import point_charge_efg
from hopecho.labels.interface import LabelFailure, Options
from hopecho.labels.model_efg import EfgParams

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

METHODS = ("GFN1-xTB", "GFN2-xTB")
EFG_VERSION = 1
"""Raised when a change alters the tensors."""

_NUMERICS = (
    "max_iterations",
    "mixer",
    "mixer_memory",
    "mixer_damping",
    "guess",
    "electronic_temperature",
)
_KNOWN = frozenset({"method", "accuracy", "sternheimer", *_NUMERICS})


class XtbBackend(BaseBackend):
    """GFN1-xTB or GFN2-xTB with field gradients of point charges.

    Parameters
    ----------
    options : Options
        Without commands; a time limit is not kept, since a calculation in this process cannot be
        ended from outside. ``settings``: ``method`` (default ``GFN1-xTB``), ``accuracy``,
        ``max_iterations``, ``mixer``, ``mixer_memory``, ``mixer_damping``, ``guess``,
        ``electronic_temperature`` (K): tblite's keywords; ``sternheimer``: 1 - gamma_inf by element
        (default Li 0.744, others 1).

    Raises
    ------
    HopechoError
        tblite is not installed, or the settings are not understood.
    """

    code = "xtb"
    changeable = _NUMERICS
    in_process = True

    def __init__(self, options: Options) -> None:
        unknown = sorted(set(options.settings) - _KNOWN)
        if options.command or options.efg_command or unknown:
            raise HopechoError(
                "Settings that labels.code: xtb cannot use",
                got=", ".join(unknown) or f"command {options.command or options.efg_command!r}",
                fix=f"leave commands out; labels.xtb takes {', '.join(sorted(_KNOWN))}",
            )
        method = options.settings.get("method", METHODS[0])
        if method not in METHODS:
            raise HopechoError(
                "Unknown method of tblite", got=str(method), fix=f"choose one of {METHODS}"
            )
        sternheimer = dict(options.settings.get("sternheimer") or EfgParams().sternheimer)
        keywords = {**options.settings, "method": method, "sternheimer": sternheimer}
        version = f"{_tblite_version()} {method}"
        super().__init__(
            options,
            version=version,
            source=f"{method} (tblite {_tblite_version()})",
            identity={"keywords": keywords, "version": version, "efg": EFG_VERSION},
            keywords=keywords,
        )

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Everything from one self-consistent calculation; see `BaseBackend.run_energy`."""
        from ase import Atoms
        from tblite.ase import TBLite

        bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        words = {k: v for k, v in keywords.items() if k != "sternheimer"}
        # A new calculator each time: it would start from the structure before.
        try:
            calculator = TBLite(verbosity=0, **words)
            calculator.calculate(bare, ["energy", "forces", "stress"])
        except RuntimeError as error:
            raise LabelFailure([_reason(str(error))], log=f"tblite: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise HopechoError(
                "tblite does not take these settings",
                got=f"{type(error).__name__}: {error}",
                fix="mend labels.xtb",
            ) from error
        found = calculator.results
        tensors = None
        if efg:
            factor = [keywords["sternheimer"].get(s, 1.0) for s in bare.get_chemical_symbols()]
            tensors = point_charge_efg(bare, found["charges"], factor=np.array(factor))
        return Results(float(found["energy"]), found["forces"], found["stress"], tensors)


def _reason(message: str) -> str:
    return "scf_unconverged" if "not converged" in message else "code_error"


def _tblite_version() -> str:
    try:
        import tblite.ase  # noqa: F401

        return metadata.version("tblite")
    except ImportError as error:
        raise HopechoError(
            "labels.code: xtb needs the package tblite",
            got=str(error),
            fix="install it: pip install 'hopecho[xtb]' (or pip install tblite)",
        ) from error
