r"""Electric field gradients of the model surface: Ewald point charges and induced dipoles.

Potential at ``r`` (Gaussian units, charges in e, lengths in Angstrom until the last step):

.. math:: \phi(r) = \sum_j q_j / |r - r_j| - \sum_j \mu_j \cdot \nabla \, g(|r - r_j|),
          \qquad g(r) = \mathrm{erf}(a r) / r

with dipoles :math:`\mu_i = \alpha_i E_i` induced by the charges and by each other, all with the
damped kernel :math:`g` (Gaussian charge clouds). The energy of interacting Gaussian clouds
including their own is never negative, so for :math:`1/\alpha > 4 a^3 / (3 \sqrt{\pi})` the
response matrix is positive definite at *every* geometry: no polarisation catastrophe. The mutual
polarisation makes the tensor a many-body function of the configuration.

Source: Ewald sums of multipoles, W. Smith, CCP5 Newsletter 46, 18 (1998); Gaussian damping,
D. Elking et al., J. Comput. Chem. 28, 1261 (2007).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import constants

from hopecho.errors import HopechoError
from hopecho.labels.ewald import k_vectors, pairs, phases, screened, sum_by_atom

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]

RESULT_VERSION = 1
"""Raised when a change alters the tensors."""

_BOHR_A = constants.physical_constants["Bohr radius"][0] / constants.angstrom
_E_PER_A3_TO_AU = _BOHR_A**3
_SPLIT = 5.6  # erfc(5.6) = 2e-15: both sums converge to better than 1e-10 of the tensor
_SQRT_PI = math.sqrt(math.pi)


@dataclass(frozen=True)
class EfgParams:
    """Charges, polarisabilities and damping of the model field gradient."""

    charges: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"Li": 0.8, "P": 0.8, "S": -0.8})
    )
    """Point charges, e; the cell must be neutral."""
    polarisabilities: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"S": 2.5})
    )
    """Dipole polarisabilities, A^3; elements not named are rigid."""
    sternheimer: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"Li": 0.744})
    )
    """1 - gamma_inf that multiplies the tensor at a nucleus; 1 where not named."""
    damping: float = 0.75
    """a of the damped kernel erf(a r)/r, 1/A."""

    def __post_init__(self) -> None:
        largest = max(self.polarisabilities.values(), default=0.0)
        limit = 4 * self.damping**3 / (3 * _SQRT_PI)
        if self.damping <= 0 or largest * limit >= 1:
            raise HopechoError(
                "The induced dipoles of the model field gradient could diverge",
                got=f"damping {self.damping} 1/A with polarisability {largest} A^3",
                fix="keep 0 < damping < (3 sqrt(pi) / (4 alpha))^(1/3)",
            )


def model_efg(
    atoms: Atoms, *, params: EfgParams | None = None, cutoff_a: float | None = None
) -> Array:
    """Field gradient tensors at all nuclei of a periodic, neutral structure.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure; every element needs a charge in `params`.
    params : EfgParams, optional
        Model parameters.
    cutoff_a : float, optional
        Real-space cutoff, A; fixes the Ewald splitting, on which the result does not depend.

    Returns
    -------
    (n, 3, 3) array, atomic units
        V_ij = d2V/dx_i dx_j - (1/3) delta_ij laplacian V in atom order.

    Raises
    ------
    HopechoError
        Unknown element, charged cell, or a structure that is not periodic.
    """
    params = params or EfgParams()
    system = _system(atoms, params, cutoff_a)
    dipoles = _solve_dipoles(system, params)
    tensors = _gradient(system, dipoles) * _E_PER_A3_TO_AU
    tensors = 0.5 * (tensors + tensors.transpose(0, 2, 1))
    # The clouds of the damped dipoles reach the nucleus: d2V has the trace -4 pi rho there, which
    # is no part of a field gradient.
    tensors -= np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    factor = [params.sternheimer.get(s, 1.0) for s in atoms.get_chemical_symbols()]
    return tensors * np.asarray(factor)[:, None, None]


def induced_dipoles(
    atoms: Atoms, *, params: EfgParams | None = None, cutoff_a: float | None = None
) -> Array:
    """Self-consistent dipoles of all atoms.

    Returns
    -------
    (n, 3) array, e A
        Zero for rigid atoms.
    """
    params = params or EfgParams()
    return _solve_dipoles(_system(atoms, params, cutoff_a), params)


@dataclass(frozen=True)
class _System:
    """Geometry and kernels shared by the field, the dipole solve and the gradient."""

    charges: Array  # (n,) e
    alpha: Array  # (n,) A^3
    split: float  # Ewald splitting, 1/A
    pairs: tuple[Array, Array]  # directed i, j within the cutoff
    vectors: Array  # (n_pairs, 3) r_i - r_j, A
    kernel_charge: Array  # (4, n_pairs) B_0..B_3 of erfc(split r)/r
    kernel_damped: Array  # the same for [erf(a r) - erf(split r)]/r
    k: Array  # (n_k, 3) half of reciprocal space, 1/A
    weight: Array  # (n_k,) 8 pi/V exp(-k^2/4 split^2)/k^2
    cos: Array  # (n, n_k)
    sin: Array  # (n, n_k)


def _system(atoms: Atoms, params: EfgParams, cutoff_a: float | None) -> _System:
    symbols = atoms.get_chemical_symbols()
    cell = np.asarray(atoms.cell.array, dtype=float)
    charges = _checked_charges(symbols, cell, params)
    n = len(symbols)
    # The damped kernel must have decayed at the cutoff; then balance the two sums with n^(1/6).
    shortest = _SPLIT / params.damping
    cutoff = cutoff_a or max(shortest, 7.0 * (n / 128) ** (1 / 6))
    if cutoff < shortest:
        raise ValueError(f"cutoff_a = {cutoff} A is below {shortest:.2f} A, the damping range")
    split = _SPLIT / cutoff
    fractional = np.linalg.solve(cell.T, atoms.get_positions().T).T
    i, j, vectors = pairs(fractional, cell, cutoff)
    r = np.linalg.norm(vectors, axis=1)
    kernel_charge = screened(r, split)
    k, indices = k_vectors(cell, 2 * split * _SPLIT)
    k2 = np.einsum("ij,ij->i", k, k)
    weight = 8 * np.pi / abs(np.linalg.det(cell)) * np.exp(-k2 / (4 * split**2)) / k2
    phase = phases(fractional, indices)
    return _System(
        charges=charges,
        alpha=np.array([params.polarisabilities.get(s, 0.0) for s in symbols]),
        split=split,
        pairs=(i, j),
        vectors=vectors,
        kernel_charge=kernel_charge,
        kernel_damped=kernel_charge - screened(r, params.damping),
        k=k,
        weight=weight,
        cos=np.ascontiguousarray(phase.real),
        sin=np.ascontiguousarray(phase.imag),
    )


def _checked_charges(symbols: list[str], cell: Array, params: EfgParams) -> Array:
    unknown = sorted(set(symbols) - set(params.charges))
    if unknown:
        raise HopechoError(
            "The model field gradient has no charge for an element",
            got=", ".join(unknown),
            fix=f"use {', '.join(params.charges)} or a real code (labels.code)",
        )
    if abs(np.linalg.det(cell)) < 1e-6:
        raise HopechoError("The model field gradient needs a periodic cell", got=f"cell {cell}")
    charges = np.array([params.charges[s] for s in symbols])
    if abs(charges.sum()) > 1e-9 * len(symbols):
        raise HopechoError(
            "The model field gradient needs a neutral cell",
            got=f"total charge {charges.sum():.3g} e",
            fix="keep the stoichiometry of the crystal (Li3PS4)",
        )
    return charges


def _field_of_charges(system: _System) -> Array:
    """Damped field of the charges at every atom, (n, 3), e/A^2."""
    i, j = system.pairs
    n = len(system.charges)
    radial = system.charges[j] * system.kernel_damped[1]
    field_real = sum_by_atom(i, radial[:, None] * system.vectors, n)
    c, s = system.charges @ system.cos, system.charges @ system.sin
    wk = system.weight[:, None] * system.k
    # phi = sum_k w (c cos k.r + s sin k.r), so E = sum_k w k (c sin k.r - s cos k.r)
    return field_real + system.sin @ (c[:, None] * wk) - system.cos @ (s[:, None] * wk)


def _field_of_dipoles(system: _System, dipoles: Array, mobile: _Mobile) -> Array:
    """Damped field of dipoles at the polarisable atoms without their own, (m, 3), e/A^2."""
    projected = np.einsum("pk,pk->p", mobile.vectors, dipoles[mobile.j])
    pair = (
        mobile.b2[:, None] * projected[:, None] * mobile.vectors
        - mobile.b1[:, None] * dipoles[mobile.j]
    )
    total = sum_by_atom(mobile.i, pair, len(dipoles))
    c = np.einsum("ak,ka->k", dipoles.T @ mobile.cos, system.k)
    s = np.einsum("ak,ka->k", dipoles.T @ mobile.sin, system.k)
    wk = system.weight[:, None] * system.k
    # phi = sum_k w (C sin k.r - S cos k.r) with C = sum mu.k cos, S = sum mu.k sin
    total -= mobile.cos @ (c[:, None] * wk) + mobile.sin @ (s[:, None] * wk)
    return total + 4 * system.split**3 / (3 * _SQRT_PI) * dipoles


@dataclass(frozen=True)
class _Mobile:
    """Pairs and phases restricted to the m polarisable atoms."""

    index: Array  # (m,) atom indices
    i: Array
    j: Array
    vectors: Array
    b1: Array
    b2: Array
    cos: Array
    sin: Array


def _mobile(system: _System) -> _Mobile:
    index = np.nonzero(system.alpha > 0)[0]
    position = np.full(len(system.alpha), -1)
    position[index] = np.arange(len(index))
    i, j = (position[p] for p in system.pairs)
    keep = (i >= 0) & (j >= 0)
    return _Mobile(
        index=index,
        i=i[keep],
        j=j[keep],
        vectors=system.vectors[keep],
        b1=system.kernel_damped[1][keep],
        b2=system.kernel_damped[2][keep],
        cos=system.cos[index],
        sin=system.sin[index],
    )


def _solve_dipoles(system: _System, params: EfgParams) -> Array:
    """Conjugate gradients on (1/alpha - T) mu = E, positive definite by construction."""
    result = np.zeros((len(system.charges), 3))
    mobile = _mobile(system)
    if not len(mobile.index):
        return result
    inverse = 1 / system.alpha[mobile.index][:, None]
    source = _field_of_charges(system)[mobile.index]
    mu = source / inverse
    residual = source - mu * inverse + _field_of_dipoles(system, mu, mobile)
    preconditioned = residual / inverse
    direction = preconditioned
    rho = np.vdot(residual, preconditioned)
    # In a perfect crystal the field may vanish by symmetry: stop at an absolute floor too.
    goal = (1e-13 * np.linalg.norm(source) + 1e-15) ** 2 / inverse.min()
    for _ in range(500):
        if rho <= goal:
            result[mobile.index] = mu
            return result
        image = direction * inverse - _field_of_dipoles(system, direction, mobile)
        step = rho / np.vdot(direction, image)
        mu = mu + step * direction
        residual = residual - step * image
        preconditioned = residual / inverse
        rho, previous = np.vdot(residual, preconditioned), rho
        direction = preconditioned + rho / previous * direction
    raise HopechoError(
        "The induced dipoles of the model field gradient did not converge",
        got=f"residual {np.linalg.norm(residual):.1e} e/A^2 after 500 iterations",
        fix="check the structure for overlapping atoms",
    )


def _gradient(system: _System, dipoles: Array) -> Array:
    """d2 phi/dx_a dx_b at every nucleus from all others, (n, 3, 3), e/A^3."""
    return _gradient_real(system, dipoles) + _gradient_reciprocal(system, dipoles)


def _gradient_real(system: _System, dipoles: Array) -> Array:
    i, j = system.pairs
    r, n = system.vectors, len(system.charges)
    q, mu = system.charges[j], dipoles[j]
    b1, b2 = system.kernel_charge[1], system.kernel_charge[2]
    _, _, d2, d3 = system.kernel_damped
    along = np.einsum("pk,pk->p", mu, r)
    # Charges: B_2 r r - B_1 1. Dipoles, phi = B_1 mu.r: B_3 (mu.r) r r - B_2 (mu r + r mu + mu.r 1)
    outer = (q * b2 + d3 * along)[:, None, None] * (r[:, :, None] * r[:, None, :])
    cross = mu[:, :, None] * r[:, None, :]
    outer -= d2[:, None, None] * (cross + cross.transpose(0, 2, 1))
    outer -= (q * b1 + d2 * along)[:, None, None] * np.eye(3)
    total = sum_by_atom(i, outer.reshape(-1, 9), n).reshape(n, 3, 3)
    # The reciprocal sum holds each nucleus's own Gaussian cloud: take its curvature out.
    own = 4 * system.split**3 / (3 * _SQRT_PI) * system.charges
    return total + own[:, None, None] * np.eye(3)


def _gradient_reciprocal(system: _System, dipoles: Array) -> Array:
    k = system.k
    c = system.charges @ system.cos - np.einsum("ak,ka->k", dipoles.T @ system.sin, k)
    s = system.charges @ system.sin + np.einsum("ak,ka->k", dipoles.T @ system.cos, k)
    kk = (system.weight[:, None, None] * k[:, :, None] * k[:, None, :]).reshape(-1, 9)
    # phi = sum_k w (c cos k.r + s sin k.r); two derivatives give -k k
    total = system.cos @ (c[:, None] * kk) + system.sin @ (s[:, None] * kk)
    return -total.reshape(-1, 3, 3)
