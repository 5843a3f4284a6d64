r"""Electric field gradient (EFG) tensors: components, principal values, frequencies, orientations.

Conventions: V_ij = d2V/dx_i dx_j, symmetric and traceless, atomic units; principal values ordered
|V_zz| >= |V_yy| >= |V_xx|; eta = (V_xx - V_yy)/V_zz in [0, 1]; C_Q = e Q V_zz / h in kHz.
Isometric l = 2 components (last axis 5, norm equal to the Frobenius norm of V)::

    t = [sqrt2 V_xy, sqrt2 V_yz, (2 V_zz - V_xx - V_yy)/sqrt6, sqrt2 V_xz, (V_xx - V_yy)/sqrt2]

Every function works on any number of leading axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopecho.errors import HopechoError
from hopecho.units import cq_khz_per_au

Array = NDArray[np.float64]

OMEGA_Q_PREFACTOR = 0.25
"""Factor c of nu = c C_Q (3 cos^2 theta - 1 + eta sin^2 theta cos 2 phi).

1/4 is the offset of a satellite transition of a spin 3/2 from the central line, in Hz (not rad/s).
It scales every frequency and leaves normalised correlation functions alone.
"""

_S2, _S6 = np.sqrt(2.0), np.sqrt(6.0)


def isometric_from_matrix(v: ArrayLike) -> Array:
    """Return the isometric components of symmetric tensors; trace and antisymmetric part drop out.

    Parameters
    ----------
    v : array_like, (..., 3, 3)
        EFG tensors, any unit.

    Returns
    -------
    ndarray, (..., 5)
        Components in the same unit, order [xy, yz, zz, xz, xx-yy].

    Raises
    ------
    HopechoError
        If the last two axes are not 3 x 3.
    """
    v = _checked(v, (3, 3), "EFG tensors")
    v = 0.5 * (v + np.swapaxes(v, -1, -2))
    xx, yy, zz = v[..., 0, 0], v[..., 1, 1], v[..., 2, 2]
    parts = (_S2 * v[..., 0, 1], _S2 * v[..., 1, 2], (2 * zz - xx - yy) / _S6)
    return np.stack([*parts, _S2 * v[..., 0, 2], (xx - yy) / _S2], axis=-1)


def matrix_from_isometric(t: ArrayLike) -> Array:
    """Return the symmetric traceless tensors (..., 3, 3) of isometric components (..., 5).

    Raises
    ------
    HopechoError
        If the last axis is not 5.
    """
    t = _checked(t, (5,), "isometric components")
    out = np.empty((*t.shape[:-1], 3, 3))
    out[..., 0, 1] = out[..., 1, 0] = t[..., 0] / _S2
    out[..., 1, 2] = out[..., 2, 1] = t[..., 1] / _S2
    out[..., 0, 2] = out[..., 2, 0] = t[..., 3] / _S2
    out[..., 2, 2] = 2 * t[..., 2] / _S6
    out[..., 0, 0] = -t[..., 2] / _S6 + t[..., 4] / _S2
    out[..., 1, 1] = -t[..., 2] / _S6 - t[..., 4] / _S2
    return out


def isometric_from_direction(b0: ArrayLike) -> Array:
    """Return the isometric components (..., 5) of the dyad b b, so that b.V.b = t(V) . t(b b).

    Parameters
    ----------
    b0 : array_like, (..., 3)
        Directions; normalised here.

    Raises
    ------
    HopechoError
        If a direction is zero or not finite.
    """
    b = _unit(b0)
    return isometric_from_matrix(b[..., :, None] * b[..., None, :])


def principal_axes(v: ArrayLike) -> tuple[Array, Array]:
    """Diagonalise EFG tensors in the order |V_zz| >= |V_yy| >= |V_xx|.

    Parameters
    ----------
    v : array_like, (..., 3, 3)
        EFG tensors; the symmetric part is used.

    Returns
    -------
    values : ndarray, (..., 3)
        V_xx, V_yy, V_zz.
    axes : ndarray, (..., 3, 3)
        Columns are the unit axes x, y, z; right-handed (determinant +1). Signs are arbitrary.
    """
    v = _checked(v, (3, 3), "EFG tensors")
    values, axes = np.linalg.eigh(0.5 * (v + np.swapaxes(v, -1, -2)))
    order = np.argsort(np.abs(values), axis=-1, kind="stable")
    values = np.take_along_axis(values, order, axis=-1)
    axes = np.take_along_axis(axes, order[..., None, :], axis=-1)
    axes[..., :, 2] = np.cross(axes[..., :, 0], axes[..., :, 1])
    return values, axes


def principal_values(v: ArrayLike) -> Array:
    """Return V_xx, V_yy, V_zz (..., 3) of tensors (..., 3, 3), smallest magnitude first."""
    v = _checked(v, (3, 3), "EFG tensors")
    values = np.asarray(np.linalg.eigvalsh(0.5 * (v + np.swapaxes(v, -1, -2))), dtype=np.float64)
    return np.take_along_axis(values, np.argsort(np.abs(values), axis=-1, kind="stable"), axis=-1)


def eta(v: ArrayLike) -> Array:
    """Return the asymmetry (V_xx - V_yy)/V_zz in [0, 1] of tensors (..., 3, 3); 0 if V = 0."""
    xx, yy, zz = np.moveaxis(principal_values(v), -1, 0)
    return np.divide(xx - yy, zz, out=np.zeros_like(zz), where=zz != 0)


def cq(v: ArrayLike, *, isotope: str = "7Li") -> Array:
    """Return C_Q = e Q V_zz / h, kHz, of tensors (..., 3, 3) in a.u.

    The sign jumps where eta reaches 1; use `cq_abs` or `p_q` for time series.
    """
    return cq_khz_per_au(isotope) * principal_values(v)[..., 2]


def cq_abs(v: ArrayLike, *, isotope: str = "7Li") -> Array:
    """Return |C_Q|, kHz, of tensors (..., 3, 3) in a.u.: continuous, kinked at eta = 1."""
    return np.abs(cq(v, isotope=isotope))


def cq_abs_isometric(t: ArrayLike, *, isotope: str = "7Li") -> Array:
    r"""Return `cq_abs`, kHz, of isometric components (..., 5) in a.u., without diagonalisation.

    .. math:: |V_{zz}| = 2 \sqrt{p} \cos[\tfrac{1}{3} \arccos(|\det V| / 2 p^{3/2})], \quad
              p = |t|^2 / 6

    The largest root of the characteristic cubic; its form is exact to rounding for every eta.
    """
    t = _checked(t, (5,), "isometric components")
    xy, yz, xz = t[..., 0] / _S2, t[..., 1] / _S2, t[..., 3] / _S2
    zz, half = 2 * t[..., 2] / _S6, t[..., 4] / _S2
    xx, yy = half - 0.5 * zz, -half - 0.5 * zz
    det = xx * (yy * zz - yz**2) + 2 * xy * yz * xz - yy * xz**2 - zz * xy**2
    root = np.sqrt((t**2).sum(axis=-1) / 6.0)
    cube = 2.0 * root**3
    r = np.divide(np.abs(det), cube, out=np.zeros_like(cube), where=cube > 0.0)
    v_zz = 2.0 * root * np.cos(np.arccos(np.minimum(r, 1.0)) / 3.0)
    return np.asarray(abs(cq_khz_per_au(isotope)) * v_zz)


def p_q(t: ArrayLike, *, isotope: str = "7Li") -> Array:
    r"""Return :math:`P_Q = |C_Q| \sqrt{1 + \eta^2/3}`, kHz; smooth in the tensor.

    Parameters
    ----------
    t : array_like, (..., 5)
        Isometric components, a.u.; P_Q = sqrt(2/3) |e Q / h| |t|, no diagonalisation.
    """
    t = _checked(t, (5,), "isometric components")
    return abs(cq_khz_per_au(isotope)) * np.sqrt(2 / 3) * np.linalg.norm(t, axis=-1)


def omega_q(
    v: ArrayLike, b0: ArrayLike, *, isotope: str = "7Li", prefactor: float = OMEGA_Q_PREFACTOR
) -> Array:
    r"""Return the quadrupolar frequency :math:`\nu = 2 c (eQ/h)\, b \cdot V \cdot b` along B0, kHz.

    Equal to c C_Q (3 cos^2 theta - 1 + eta sin^2 theta cos 2 phi) and linear in V.

    Parameters
    ----------
    v : array_like, (..., 3, 3)
        EFG tensors, a.u.
    b0 : array_like, (3,) or broadcastable (..., 3)
        Direction of the magnetic field; normalised here.
    isotope : str
        Key of `hopecho.units.ISOTOPES`.
    prefactor : float
        The factor c, see `OMEGA_Q_PREFACTOR`.

    Raises
    ------
    HopechoError
        If shapes do not fit or a direction is zero.
    """
    v = _checked(v, (3, 3), "EFG tensors")
    b = _unit(b0)
    projected = np.einsum("...i,...ij,...j->...", b, v, b)
    return 2 * prefactor * cq_khz_per_au(isotope) * projected


def omega_q_isometric(
    t: ArrayLike, b0: ArrayLike, *, isotope: str = "7Li", prefactor: float = OMEGA_Q_PREFACTOR
) -> Array:
    """Return `omega_q` straight from isometric components, kHz.

    Parameters
    ----------
    t : array_like, (..., 5)
        Isometric components, a.u.
    b0 : array_like, (3,) or (n_b, 3)
        One direction, giving (...), or several, giving (..., n_b).
    """
    t = _checked(t, (5,), "isometric components")
    direction = isometric_from_direction(b0)
    return 2 * prefactor * cq_khz_per_au(isotope) * (t @ direction.T)


def field_angles(v: ArrayLike, b0: ArrayLike) -> tuple[Array, Array]:
    """Return polar angles of B0 in the principal axes: theta in [0, pi/2], phi in [0, pi/2], rad.

    Axis signs are arbitrary and nothing measurable depends on them: angles are folded into the
    first octant.
    """
    _, axes = principal_axes(v)
    x, y, z = np.moveaxis(np.abs(np.einsum("...ik,...i->...k", axes, _unit(b0))), -1, 0)
    return np.arccos(np.clip(z, 0.0, 1.0)), np.arctan2(y, x)


def principal_axis_angles(v: ArrayLike) -> tuple[Array, Array]:
    """Return the polar angles of the V_zz axis in the laboratory frame, rad.

    The axis has no sign: theta in [0, pi/2] and phi in [-pi, pi] are those of its end at z >= 0.

    Parameters
    ----------
    v : array_like, (..., 3, 3)
        EFG tensors.

    Returns
    -------
    theta, phi : ndarray, (...)
    """
    axis = principal_axes(v)[1][..., :, 2]
    x, y, z = np.moveaxis(np.where(axis[..., 2:] < 0, -axis, axis), -1, 0)
    return np.arccos(np.clip(z, 0.0, 1.0)), np.arctan2(y, x)


def quaternions(v: ArrayLike) -> Array:
    """Return unit quaternions (w, x, y, z) (..., 4), w >= 0, with V = R(q)^T diag(values) R(q).

    The four quaternions g q, g in {1, i, j, k}, describe the same tensor.
    Source: convention of soprano.nmr.NMRTensor.quaternion.
    """
    _, axes = principal_axes(v)
    return _quaternion_from_matrix(np.swapaxes(axes, -1, -2))


def quaternion_overlap(qa: ArrayLike, qb: ArrayLike) -> Array:
    """Return the D2-aware scalar product of orientations: largest |component| of q_b q_a^-1.

    1 for equal principal axes; two random tensors exceed 0.9 in 14.95 % of cases. Ill defined near
    eta = 0 and eta = 1, where axes interchange: read it beside `frobenius_overlap`.

    Parameters
    ----------
    qa, qb : array_like, (..., 4)
        Unit quaternions from `quaternions`.
    """
    qa, qb = _checked(qa, (4,), "quaternions"), _checked(qb, (4,), "quaternions")
    aw, ax, ay, az = np.moveaxis(qa, -1, 0)
    # Components of q_b q_a^-1 are scalar products of q_b with g q_a for g in {1, i, j, k}.
    i_qa = np.stack([-ax, aw, -az, ay], axis=-1)
    j_qa = np.stack([-ay, az, aw, -ax], axis=-1)
    k_qa = np.stack([-az, -ay, ax, aw], axis=-1)
    equivalents = np.stack([qa, i_qa, j_qa, k_qa], axis=-2)
    return np.abs(np.einsum("...gi,...i->...g", equivalents, qb)).max(axis=-1)


def frobenius_overlap(ta: ArrayLike, tb: ArrayLike) -> Array:
    """Return Tr(V W)/(|V| |W|) in [-1, 1] from isometric components (..., 5); 0 if one is zero."""
    ta, tb = _checked(ta, (5,), "isometric components"), _checked(tb, (5,), "isometric components")
    dot = np.einsum("...i,...i->...", ta, tb)
    norm = np.linalg.norm(ta, axis=-1) * np.linalg.norm(tb, axis=-1)
    return np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0)


def random_rotations(n: int, *, rng: np.random.Generator) -> Array:
    """Return n uniformly distributed rotation matrices (n, 3, 3)."""
    q = rng.normal(size=(n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1),
        np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1),
        np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def _quaternion_from_matrix(r: Array) -> Array:
    """Quaternion of each rotation (..., 3, 3): the largest column of the 4x4 matrix 4 q q^T."""
    d0, d1, d2 = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    wx, wy, wz = (r[..., i, j] - r[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    xy, xz, yz = (r[..., i, j] + r[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    rows = [
        np.stack([1 + d0 + d1 + d2, wx, wy, wz], -1),
        np.stack([wx, 1 + d0 - d1 - d2, xy, xz], -1),
        np.stack([wy, xy, 1 - d0 + d1 - d2, yz], -1),
        np.stack([wz, xz, yz, 1 - d0 - d1 + d2], -1),
    ]
    dyad = np.stack(rows, axis=-2)
    best = np.argmax(np.diagonal(dyad, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(dyad, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def _unit(b0: ArrayLike) -> Array:
    b = _checked(b0, (3,), "directions")
    norm = np.linalg.norm(b, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norm)) or np.any(norm == 0):
        raise HopechoError(
            "A field direction has no length",
            got=f"b0 = {b.reshape(-1, 3)[:3].tolist()}",
            fix="give finite, non-zero vectors",
        )
    return b / norm


def _checked(values: ArrayLike, tail: tuple[int, ...], name: str) -> Array:
    array = np.asarray(values, dtype=float)
    if array.shape[-len(tail) :] != tail:
        raise HopechoError(
            f"Wrong shape of {name}",
            got=f"shape {array.shape}",
            fix=f"the last axes must be {tail}",
        )
    return array
