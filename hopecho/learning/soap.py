r"""SOAP descriptors of atomic environments, and distances between environments and between frames.

An environment is a unit vector p (power spectrum of the smoothed neighbour density, from quippy).
Two environments of the same element are :math:`d = |p - p'| = \sqrt{2 - 2 p \cdot p'}` apart, 0 for
equal and :math:`\sqrt 2` for unrelated ones. Environments of different elements are never compared.

Source: Bartok, Kondor and Csanyi, Phys. Rev. B 87, 184115 (2013), eqs. 31-36; De, Bartok, Csanyi
and Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016), eq. 9 (average structural kernel).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from hopecho.errors import HopechoError

UNRELATED = float(np.sqrt(2.0))
"""Distance of orthogonal unit vectors: given to an environment of an element that is not known at
all."""


@dataclass(frozen=True)
class SoapSettings:
    """Parameters of the descriptor; docs/active-learning.md says why these defaults."""

    cutoff: float = 5.0
    """Radius of the environment, Angstrom."""
    l_max: int = 3
    n_max: int = 4
    atom_sigma: float = 0.5
    """Width of the Gaussian put on each neighbour, Angstrom."""


@dataclass(frozen=True)
class Environments:
    """The environments of all atoms of one frame, in the order of its atoms."""

    numbers: np.ndarray
    """(n_atoms,) atomic numbers."""
    vectors: np.ndarray
    """(n_atoms, n_features) float32, unit vectors."""


def soap_command(elements: Sequence[str], settings: SoapSettings) -> str:
    """Return QUIP's command line of the descriptor: all `elements` in one vector space."""
    species = " ".join(str(z) for z in sorted(atomic_numbers[e] for e in elements))
    n = len(elements)
    return (
        f"soap cutoff={settings.cutoff} l_max={settings.l_max} n_max={settings.n_max} "
        f"atom_sigma={settings.atom_sigma} normalise=T "
        f"n_species={n} species_Z={{{species}}} n_Z={n} Z={{{species}}}"
    )


def describe(
    frames: Iterable[Atoms], *, elements: Sequence[str], settings: SoapSettings
) -> Iterator[Environments]:
    """Yield the environments of one frame after the other.

    A generator, so that a large training set never stands in memory at once.

    Parameters
    ----------
    frames : iterable of Atoms
        Periodic frames; positions may be unwrapped.
    elements : sequence of str
        Every element that may occur; fixes the vector space.
    settings : SoapSettings
        Descriptor parameters.

    Yields
    ------
    Environments
        One a frame.

    Raises
    ------
    HopechoError
        If a frame holds an element that is not in `elements` (QUIP would leave it out silently).
    """
    # The import takes a second, which nothing but a selection should pay.
    from quippy.descriptors import Descriptor

    descriptor: Any = Descriptor(soap_command(elements, settings))
    known = [atomic_numbers[e] for e in elements]
    for index, frame in enumerate(frames):
        foreign = np.setdiff1d(frame.numbers, known)
        if foreign.size:
            raise HopechoError(
                f"frame {index} holds an element that the material does not have",
                got=", ".join(chemical_symbols[z] for z in foreign),
                fix=f"the elements are {' '.join(elements)}: set materials.<name>.elements",
            )
        # QUIP would try to convert every info and array entry: hand over the bare structure.
        bare = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
        bare.wrap()
        result = descriptor.calc(bare)
        vectors = np.empty_like(result["data"], dtype=np.float32)
        vectors[np.asarray(result["ci"]) - 1] = result["data"]
        yield Environments(numbers=frame.numbers.copy(), vectors=vectors)


def fingerprint(environments: Environments, *, elements: Sequence[str]) -> np.ndarray:
    r"""Return the unit vector of a whole frame, whose products are the average structural kernel.

    .. math:: f = \mathrm{normalised} \bigoplus_e \sqrt{N_e / N} \; \langle p_i \rangle_{i \in e}

    Returns
    -------
    ndarray
        (n_elements * n_features,) float64, norm 1; intensive: a supercell has the fingerprint of
        its cell.
    """
    blocks = []
    for element in elements:
        mask = environments.numbers == atomic_numbers[element]
        if mask.any():
            mean = environments.vectors[mask].mean(axis=0, dtype=np.float64)
            blocks.append(np.sqrt(mask.mean()) * mean)
        else:
            blocks.append(np.zeros(environments.vectors.shape[1]))
    vector = np.concatenate(blocks)
    return vector / np.linalg.norm(vector)


def structure_kernel(a: Environments, b: Environments, *, elements: Sequence[str]) -> float:
    r"""Return the average structural kernel of two frames, :math:`K = f_a \cdot f_b`, in [0, 1]."""
    return float(fingerprint(a, elements=elements) @ fingerprint(b, elements=elements))


def kernel_distance(fingerprints: np.ndarray, other: np.ndarray) -> np.ndarray:
    r"""Return :math:`\sqrt{2 - 2 K} = |f_a - f_b|`, formed as a difference so that nothing cancels.

    Parameters
    ----------
    fingerprints : ndarray
        (n_frames, n) rows of `fingerprint`.
    other : ndarray
        (n,) one fingerprint.

    Returns
    -------
    ndarray
        (n_frames,) distances.
    """
    return np.linalg.norm(fingerprints - other, axis=1)


@dataclass(frozen=True)
class ElementPool:
    """All environments of one element in a list of frames."""

    vectors: np.ndarray
    """(n_environments, n_features) float32."""
    frame: np.ndarray
    """(n_environments,) index of the frame that each environment belongs to."""
    atom: np.ndarray
    """(n_environments,) index of its atom in that frame."""


def pool_by_element(frames: Sequence[Environments]) -> dict[int, ElementPool]:
    """Gather the environments of several frames by atomic number (ascending)."""
    pools = {}
    for z in sorted({int(z) for frame in frames for z in np.unique(frame.numbers)}):
        atoms = [np.flatnonzero(frame.numbers == z) for frame in frames]
        pools[z] = ElementPool(
            vectors=np.concatenate([f.vectors[a] for f, a in zip(frames, atoms, strict=True)]),
            frame=np.repeat(np.arange(len(frames)), [len(a) for a in atoms]),
            atom=np.concatenate(atoms),
        )
    return pools


def nearest_distance(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    r"""Return each environment's distance to the nearest known one of the same element.

    Parameters
    ----------
    vectors : ndarray
        (n, n_features) unit vectors.
    known : ndarray
        (m, n_features) unit vectors; with m = 0 every distance is `UNRELATED`.

    Returns
    -------
    ndarray
        (n,) float32 :math:`\min_j \sqrt{2 - 2 p_i \cdot p_j}`; resolution about 5e-4 in single
        precision.
    """
    if len(known) == 0:
        return np.full(len(vectors), UNRELATED, dtype=np.float32)
    best = (vectors @ known.T).max(axis=1)
    return np.sqrt(np.clip(2.0 - 2.0 * best, 0.0, None))
