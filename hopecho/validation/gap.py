"""A Gaussian approximation potential (GAP), and its comparison with the ultra-fast potential (UFP).

Two-body and SOAP kernels are fitted by ``gap_fit`` to the labels that the UFP saw, and evaluated by
quippy. Both potentials face the same held-out frames and run from the same start.

Source: A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010); S. Klawohn et al., J. Chem. Phys.
159, 174108 (2023) (the program).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.labels.program import Program, excerpt
from hopecho.ufp.features import LabelledFrame, check_frame
from hopecho.ufp.fit import one_body_reference

Array = NDArray[np.float64]
XML, LOG, TRAIN = "gap.xml", "gap_fit.log", "train.xyz"
_ENERGY, _FORCE, _VIRIAL = "fit_energy", "fit_force", "fit_virial"

Item = TypeVar("Item")


@dataclass(frozen=True)
class GapSettings:
    """Settings of the fit, scaled down so that it takes minutes."""

    command: str = "gap_fit"
    """The program; looked for beside the Python in use, then on the PATH."""
    max_frames: int = 24
    """Training frames, chosen evenly. Memory: about 0.2 GB a frame of 128 atoms."""
    cutoff_angstrom: float = 5.0
    cutoff_width_angstrom: float = 1.0
    """Width over which both kernels go to zero before the cutoff."""
    n_max: int = 6
    """Radial functions of SOAP."""
    l_max: int = 4
    """Largest angular momentum of SOAP."""
    atom_sigma_angstrom: float = 0.5
    """Width of the neighbours' Gaussians."""
    zeta: int = 4
    """Power of the SOAP kernel."""
    n_sparse_2b: int = 15
    """Sparse points of each pair of elements."""
    n_sparse_soap: int = 200
    """Sparse points of each element."""
    theta_2b_angstrom: float = 1.0
    """Length scale of the two-body kernel."""
    delta_2b_ev: float = 2.0
    """Prior standard deviation of two-body energies."""
    delta_soap_ev: float = 0.5
    """Prior standard deviation of SOAP energies."""
    sigma_energy_ev_atom: float = 0.001
    """Expected error of the energies."""
    sigma_force_ev_a: float = 0.05
    """Expected error of a force component."""
    sigma_virial_ev_atom: float = 0.02
    """Expected error of the virials."""
    timeout_min: float = 0.0
    """Longest fit; 0: no limit."""

    def __post_init__(self) -> None:
        numbers = {k: v for k, v in vars(self).items() if k != "command"}
        may_vanish = ("l_max", "timeout_min")
        bad = [k for k, v in numbers.items() if v < 0 or (v == 0 and k not in may_vanish)]
        if bad or self.cutoff_width_angstrom >= self.cutoff_angstrom:
            name = bad[0] if bad else "cutoff_width_angstrom"
            raise HopechoError(
                "A setting of the GAP makes no sense",
                got=f"gap.{name} = {getattr(self, name)}",
                fix="make it positive, and the width shorter than the cutoff",
            )


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Choose at most `count` items with even spacing, first and last included."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def fit_gap(
    frames: Sequence[LabelledFrame],
    folder: Path | str,
    settings: GapSettings | None = None,
    *,
    elements: Sequence[str],
    seed: int = 1,
) -> Path:
    """Fit a GAP with ``gap_fit`` on one thread; its log stays in the folder.

    Parameters
    ----------
    frames : labelled frames
        At most ``settings.max_frames`` of them are used, chosen evenly.
    folder : Path
        Takes `TRAIN`, `LOG` and `XML`; made if need be.
    settings : GapSettings, optional
    elements : sequence of str
        All elements; energies of one atom by least squares (`one_body_reference`).
    seed : int
        Of the choice of sparse points.

    Returns
    -------
    Path
        The potential, one XML file.

    Raises
    ------
    HopechoError
        If ``gap_fit`` is missing or fails (with the end of its log), or a label is not finite.
    """
    settings, folder = settings or GapSettings(), Path(folder)
    chosen = evenly(frames, settings.max_frames)
    if not chosen:
        raise HopechoError("no labelled frame to fit a GAP to", fix="label structures first")
    for frame in chosen:
        check_frame(frame)
    program = _program(settings.command)
    folder.mkdir(parents=True, exist_ok=True)
    # What an earlier fit left would pass for the result of this one; .idx is QUIP's own.
    for name in (XML, LOG, TRAIN, TRAIN + ".idx"):
        (folder / name).unlink(missing_ok=True)
    write_frames(folder / TRAIN, [_training_frame(frame) for frame in chosen])
    pairs = _pairs_within(chosen, settings.cutoff_angstrom)
    words = _arguments(settings, pairs, one_body_reference(chosen, tuple(elements)), seed)
    timeout_s = 60.0 * settings.timeout_min or None
    reasons = program.run(words, folder, stdout=LOG, timeout_s=timeout_s)
    if reasons or not (folder / XML).is_file():
        raise HopechoError(
            f"gap_fit failed ({', '.join(reasons) or 'no potential written'})",
            got=excerpt(folder, [LOG], lines=15),
            fix="less memory and time: lower gap.max_frames, gap.n_sparse_soap or gap.n_max",
        )
    # Its label is the time of the fit: equal fits shall give equal bytes.
    text = (folder / XML).read_text(encoding="utf-8")
    label = text.partition(">")[0].lstrip().removeprefix("<")
    (folder / XML).write_text(text.replace(label, "GAP_of_hopecho"), encoding="utf-8")
    return folder / XML


def _program(command: str) -> Program:
    """Find the program and keep it to one thread."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(command, path=beside)
    if found is None:
        raise HopechoError(
            "gap_fit is not installed",
            got=f"gap.command = {command!r}",
            fix="pip install quippy-ase (it brings gap_fit), or set gap.command to its path",
        )
    return Program((os.path.abspath(found),), {**os.environ, "OMP_NUM_THREADS": "1"})


def _training_frame(frame: LabelledFrame) -> Atoms:
    """Structure and labels under keys of our own; virial = -V stress, (9,), eV."""
    atoms = bare(frame.atoms)
    atoms.info[_ENERGY] = float(frame.energy)
    atoms.arrays[_FORCE] = np.asarray(frame.forces, dtype=float)
    if frame.stress is not None and atoms.pbc.all():
        xx, yy, zz, yz, xz, xy = -atoms.get_volume() * np.asarray(frame.stress, dtype=float)
        atoms.info[_VIRIAL] = np.array([xx, xy, xz, xy, yy, yz, xz, yz, zz])
    return atoms


def bare(atoms: Atoms) -> Atoms:
    """Return the structure without labels, words and calculator."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _pairs_within(frames: Sequence[LabelledFrame], cutoff_angstrom: float) -> list[tuple[int, int]]:
    """Atomic numbers of the pairs that come so close; gap_fit fails over a pair without data."""
    found: set[tuple[int, int]] = set()
    for frame in frames:
        numbers = frame.atoms.numbers
        i, j = neighbor_list("ij", frame.atoms, cutoff_angstrom)
        found |= {(int(a), int(b)) for a, b in zip(numbers[i], numbers[j]) if a <= b}
    return sorted(found)


def _arguments(
    settings: GapSettings,
    pairs: Sequence[tuple[int, int]],
    one_body: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Words of the command line; file names are relative to the folder that it runs in."""
    s = settings
    reach = f"cutoff={s.cutoff_angstrom} cutoff_transition_width={s.cutoff_width_angstrom}"
    pair = (
        f"distance_2b {reach} n_sparse={s.n_sparse_2b} delta={s.delta_2b_ev} "
        f"theta_uniform={s.theta_2b_angstrom} covariance_type=ard_se sparse_method=uniform "
        "compact_clusters=T add_species=F"
    )
    soap = (
        f"soap {reach} n_max={s.n_max} l_max={s.l_max} atom_sigma={s.atom_sigma_angstrom} "
        f"zeta={s.zeta} n_sparse={s.n_sparse_soap} delta={s.delta_soap_ev} central_weight=1.0 "
        "covariance_type=dot_product sparse_method=cur_points add_species=T"
    )
    kernels = [*(f"{pair} Z1={a} Z2={b}" for a, b in pairs), soap]
    sigmas = f"{s.sigma_energy_ev_atom} {s.sigma_force_ev_a} {s.sigma_virial_ev_atom} 0.0"
    energies = ":".join(f"{name}:{value:.12g}" for name, value in one_body.items())
    return [
        f"atoms_filename={TRAIN}",
        f"gap={{{' : '.join(kernels)}}}",
        f"e0={{{energies}}}",
        f"default_kernel_regularisation={{{sigmas}}}",
        f"energy_parameter_name={_ENERGY}",
        f"force_parameter_name={_FORCE}",
        f"virial_parameter_name={_VIRIAL}",
        f"gap_file={XML}",
        f"rnd_seed={seed}",
        "do_copy_atoms_file=F",
        "sparse_separate_file=F",
    ]


def read_gap(path: Path | str) -> Calculator:
    """Return the calculator of a potential written by `fit_gap`.

    Raises
    ------
    HopechoError
        If there is no such file, it is no GAP, or quippy is not installed.
    """
    try:
        from quippy.potential import Potential
    except ImportError as error:
        raise HopechoError(
            "quippy cannot be imported", got=str(error), fix="pip install quippy-ase"
        ) from error
    path = Path(path)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    # QUIP ends the process over a file that it cannot use.
    if "<GAP_params" not in text or "</GAP_params>" not in text:
        raise HopechoError(
            f"{path} holds no GAP",
            got="no GAP_params element" if path.is_file() else "no such file",
            fix="fit it again",
        )
    return Potential("IP GAP", param_str=text)
