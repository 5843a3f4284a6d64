"""Average over all directions of the magnetic field by one quadrature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.tensors import isometric_from_direction

Array = NDArray[np.float64]

MAX_ORDER = 1024
"""Largest order of a quadrature; a doubled one has four times its directions."""


def directions(order: int) -> tuple[Array, Array]:
    """Directions on one half of the sphere, and their weights.

    Gauss-Legendre in cos(theta) times equal steps in phi. Frequencies do not change when the field
    is reversed, so that half a sphere is enough. Exact for spherical harmonics of a degree below
    2 `order`.

    Parameters
    ----------
    order : int
        Points along cos(theta) of the full sphere; made even.

    Returns
    -------
    dyads : ndarray (order^2, 5)
        Isometric components of b b: a frequency is their scalar product with the tensor's.
    weights : ndarray (order^2,)
        Add up to 1.
    """
    order += order % 2
    nodes, gauss = np.polynomial.legendre.leggauss(order)
    z, gauss = nodes[order // 2 :], gauss[order // 2 :]
    phi = (np.arange(2 * order) + 0.5) * np.pi / order
    sine = np.sqrt(1.0 - z**2)[:, None]
    b = np.stack(
        [sine * np.cos(phi), sine * np.sin(phi), np.broadcast_to(z[:, None], (z.size, phi.size))],
        axis=-1,
    )
    weights = np.repeat(gauss / gauss.sum() / phi.size, phi.size)
    return isometric_from_direction(b.reshape(-1, 3)), weights


def largest_frequency(tensors: Array) -> float:
    r"""Bound of the frequencies that tensors have along any direction, :math:`\sqrt{2/3} |t|`.

    Parameters
    ----------
    tensors : ndarray (..., 5)
        Isometric components in frequency units.
    """
    return float(np.sqrt(2.0 / 3.0) * np.linalg.norm(tensors, axis=-1).max(initial=0.0))


def powder_average(
    function: Callable[[Array], Array], *, largest_phase: float, tolerance: float = 1e-6
) -> tuple[Array, int]:
    """Average a function of the field's direction; the order is doubled until nothing changes.

    Parameters
    ----------
    function : callable
        Dyads (n_directions, 5) -> values (n_directions, ...), of size up to about 1.
    largest_phase : float
        Largest sum of the phases in it, rad: it oscillates that fast over the sphere.
    tolerance : float
        Largest change by doubling.

    Returns
    -------
    average : ndarray (...)
    order : int
        Of the quadrature that it is from.

    Raises
    ------
    HopechoError
        If an order of `MAX_ORDER` is not enough.
    """
    order = 8 + int(np.ceil(largest_phase))
    before: Array | None = None
    while order <= MAX_ORDER:
        dyads, weights = directions(order)
        parts = [
            np.tensordot(w, function(d), axes=1)
            for d, w in zip(_split(dyads), _split(weights), strict=True)
        ]
        average = np.asarray(np.sum(parts, axis=0))
        if before is not None and np.abs(average - before).max() <= tolerance:
            return average, order
        before, order = average, 2 * order
    raise HopechoError(
        "The powder average does not converge.",
        got=f"phases up to {largest_phase:.3g} rad, order {order // 2}",
        fix="shorten correlation.echo_tp_us: phases beyond some 200 rad are no echo",
    )


def _split(values: Array) -> list[Array]:
    """Parts of at most 4096 directions, to bound the memory."""
    return np.array_split(values, -(-len(values) // 4096))
