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

import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import Bohr

from hopecho.errors import HopechoError
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.ewald import k_vectors, pairs, phases, screened, sum_by_atom
from hopecho.labels.interface import LabelFailure
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
_SPLIT = 5.6  # erfc(5.6) = 2e-15: both sums converge to better than 1e-10 of the tensor


class XtbBackend(BaseBackend):
    """GFN1-xTB or GFN2-xTB with field gradients of point charges.

    Parameters
    ----------
    command, efg_command : str, optional
        Must be None: there is nothing to run.
    settings : mapping
        ``method`` (default ``GFN1-xTB``), ``accuracy``, ``max_iterations``, ``mixer``,
        ``mixer_memory``, ``mixer_damping``, ``guess``, ``electronic_temperature`` (K): tblite's
        keywords; ``sternheimer``: 1 - gamma_inf by element (default Li 0.744, others 1).
    dataset : str
        Name of the data set.
    retries : sequence of mapping
        Changes to try after a failure, shaped like `settings`.
    timeout_s : float, optional
        Not used: a calculation in this process cannot be ended from outside.

    Raises
    ------
    HopechoError
        tblite is not installed, or the settings are not understood.
    """

    code = "xtb"
    changeable = _NUMERICS

    def __init__(
        self,
        *,
        command: str | None,
        settings: Mapping[str, Any],
        dataset: str,
        retries: Sequence[Mapping[str, Any]] = (),
        timeout_s: float | None = None,
        efg_command: str | None = None,
    ) -> None:
        unknown = sorted(set(settings) - _KNOWN)
        if command or efg_command or unknown:
            raise HopechoError(
                "Settings that labels.code: xtb cannot use",
                got=", ".join(unknown) or f"command {command or efg_command!r}",
                fix=f"leave commands out; labels.xtb takes {', '.join(sorted(_KNOWN))}",
            )
        method = settings.get("method", METHODS[0])
        if method not in METHODS:
            raise HopechoError(
                "Unknown method of tblite", got=str(method), fix=f"choose one of {METHODS}"
            )
        sternheimer = dict(settings.get("sternheimer") or EfgParams().sternheimer)
        keywords = {**settings, "method": method, "sternheimer": sternheimer}
        version = f"{_tblite_version()} {method}"
        super().__init__(
            version=version,
            source=f"{method} (tblite {_tblite_version()})",
            identity={"keywords": keywords, "version": version, "efg": EFG_VERSION},
            keywords=keywords,
            dataset=dataset,
            retries=retries,
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
        calculator = TBLite(verbosity=0, **words)
        try:
            calculator.calculate(bare, ["energy", "forces", "stress"])
        except RuntimeError as error:
            raise LabelFailure([_reason(str(error))], log=f"tblite: {error}") from error
        found = calculator.results
        tensors = None
        if efg:
            factor = [keywords["sternheimer"].get(s, 1.0) for s in bare.get_chemical_symbols()]
            tensors = point_charge_efg(bare, found["charges"], factor=np.array(factor))
        return Results(float(found["energy"]), found["forces"], found["stress"], tensors)


def point_charge_efg(
    atoms: Atoms, charges: Array, *, factor: Array, cutoff_a: float | None = None
) -> Array:
    """Field gradients at the nuclei of a crystal of point charges.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.
    charges : (n,) array, e
        One charge an atom; a neutralising background takes what is left of their sum.
    factor : (n,) array
        Multiplies the tensor at each nucleus (1 - gamma_inf).
    cutoff_a : float, optional
        Real-space cutoff, A; fixes the Ewald splitting, on which the result does not depend.

    Returns
    -------
    (n, 3, 3) array, a.u.
        V_ij = d2V/dx_i dx_j, traceless, in atom order.
    """
    n, cell = len(atoms), np.asarray(atoms.cell.array, dtype=float)
    cutoff = cutoff_a or 7.0 * (n / 128) ** (1 / 6)
    split = _SPLIT / cutoff
    fractional = np.linalg.solve(cell.T, atoms.positions.T).T
    i, j, vectors = pairs(fractional, cell, cutoff)
    _, b1, b2, _ = screened(np.linalg.norm(vectors, axis=1), split)
    outer = (charges[j] * b2)[:, None, None] * (vectors[:, :, None] * vectors[:, None, :])
    outer -= (charges[j] * b1)[:, None, None] * np.eye(3)
    total = sum_by_atom(i, outer.reshape(-1, 9), n)
    k, indices = k_vectors(cell, 2 * split * _SPLIT)
    k2 = np.einsum("ij,ij->i", k, k)
    weight = 8 * math.pi / abs(np.linalg.det(cell)) * np.exp(-k2 / (4 * split**2)) / k2
    phase = phases(fractional, indices)
    density = charges @ phase.conj()
    kk = (weight[:, None, None] * k[:, :, None] * k[:, None, :]).reshape(-1, 9)
    total -= (phase * density).real @ kk
    tensors = total.reshape(n, 3, 3)
    # The nucleus's own cloud and the background are isotropic: the trace takes both away.
    tensors = tensors - np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return tensors * Bohr**3 * np.asarray(factor)[:, None, None]


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
