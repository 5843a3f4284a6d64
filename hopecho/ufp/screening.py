"""What is wrong with training labels: not finite, twice there, or far from what the rest says.

Nothing is left out silently: every finding names its frame, says what was seen and what was done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hopecho.errors import HopechoError
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.evaluate import evaluate, pack
from hopecho.ufp.features import LabelledFrame
from hopecho.ufp.fit import FitResult, fit_potential

STOP, EXCLUDE, KEEP = "stop", "exclude", "keep"
MAX_PASSES = 3
"""Fits after which frames are no longer left out for their errors."""
_MAD_TO_SIGMA = 1.4826
_SMALLEST_SIGMA = 1e-6  # eV/atom, eV/A: below it labels are equal


@dataclass(frozen=True)
class ScreenRules:
    """What is done with each kind of finding: ``stop``, ``exclude`` or ``keep``."""

    not_finite: str = STOP
    """NaN or infinity in a label; cannot be kept."""
    duplicates: str = EXCLUDE
    """The same structure again; of several the first stays."""
    outliers: str = KEEP
    """A label further from the fit than `outlier_sigma` robust standard deviations."""
    outlier_sigma: float = 10.0


@dataclass(frozen=True)
class Finding:
    """One frame that is not as the others."""

    frame: str
    kind: str
    """``not_finite``, ``duplicate`` or ``outlier``."""
    seen: str
    """What was seen, with numbers."""
    action: str
    """``excluded`` or ``kept``."""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)


def fit_screened(
    frames: Sequence[LabelledFrame],
    spec: BasisSpec,
    *,
    rules: ScreenRules | None = None,
    **options: Any,
) -> tuple[FitResult, list[Finding]]:
    """Fit the frames that pass, and say what was found among all.

    Parameters
    ----------
    frames, spec : see `hopecho.ufp.fit.fit_potential`
    rules : ScreenRules, optional
        What is done with findings.
    **options
        Further arguments of `fit_potential`.

    Raises
    ------
    HopechoError
        A finding whose rule is ``stop``, or nothing is left to fit.
    """
    rules = rules or ScreenRules()
    kept, findings = screen_labels(frames, rules)
    result = fit_potential(kept, spec, **options)
    for number in range(MAX_PASSES):
        outliers = screen_errors(kept, result, rules)
        names = {finding.frame for finding in outliers}
        last = number == MAX_PASSES - 1 or rules.outliers == KEEP
        if last or not names:
            break
        findings += outliers
        kept = [frame for frame in kept if frame.name not in names]
        result = fit_potential(kept, spec, **options)
    findings += [Finding(f.frame, f.kind, f.seen, "kept") for f in outliers]
    return result, findings


def screen_labels(
    frames: Sequence[LabelledFrame], rules: ScreenRules
) -> tuple[list[LabelledFrame], list[Finding]]:
    """Return the frames to fit, and findings that need no fit: not finite, and duplicates.

    Raises
    ------
    HopechoError
        A finding whose rule is ``stop``.
    """
    kept: list[LabelledFrame] = []
    findings: list[Finding] = []
    first: dict[str, LabelledFrame] = {}
    for frame in frames:
        wrong = _not_finite(frame)
        same = first.setdefault(_fingerprint(frame), frame)
        if wrong:
            findings.append(
                _found(rules.not_finite, frame, "not_finite", wrong, "potential.screen.not_finite")
            )
            continue
        if same is not frame and not _not_finite(same):
            seen = _difference(frame, same)
            finding = _found(
                rules.duplicates, frame, "duplicate", seen, "potential.screen.duplicates"
            )
            findings.append(finding)
            if finding.action == "excluded":
                continue
        kept.append(frame)
    return kept, findings


def screen_errors(
    frames: Sequence[LabelledFrame], result: FitResult, rules: ScreenRules
) -> list[Finding]:
    """Return frames whose labels are far from the fit, measured by the scatter of all.

    A frame is an outlier if its energy error per atom, or a component of the force error on one
    atom over the frame's typical force on that element, is further from the median than
    `ScreenRules.outlier_sigma` times 1.4826 MAD, of all frames or of all components of that
    element: the scatter that a normal distribution would have.

    Raises
    ------
    HopechoError
        An outlier, and the rule is ``stop``.
    """
    packed = pack(result.potential)
    predicted = [evaluate(packed, frame.atoms) for frame in frames]
    energy = np.array(
        [(p.energy - f.energy) / len(f.atoms) for p, f in zip(predicted, frames, strict=True)]
    )
    force = [p.forces - f.forces for p, f in zip(predicted, frames, strict=True)]
    deviation = np.abs(energy - np.median(energy)) / _robust_sigma(energy)
    scales = _force_scales(frames, force)
    findings = []
    for number, frame in enumerate(frames):
        relative = np.abs(force[number]).max(axis=1) / scales[number]
        worst = int(relative.argmax())
        parts = []
        if deviation[number] > rules.outlier_sigma:
            parts.append(
                f"energy off by {1e3 * (energy[number] - np.median(energy)):.3g} meV/atom"
                f" ({deviation[number]:.1f} sigma)"
            )
        if relative[worst] > rules.outlier_sigma:
            parts.append(
                f"force on atom {worst} ({frame.atoms.symbols[worst]}) off by"
                f" {np.abs(force[number][worst]).max():.3g} eV/A ({relative[worst]:.1f} sigma)"
            )
        if parts:
            seen = "; ".join(parts)
            findings.append(
                _found(rules.outliers, frame, "outlier", seen, "potential.screen.outliers")
            )
    return findings


def _found(rule: str, frame: LabelledFrame, kind: str, seen: str, key: str) -> Finding:
    """Return the finding, or stop if its rule says so."""
    if rule == STOP:
        words = {"not_finite": "is not finite", "duplicate": "is there twice"}
        raise HopechoError(
            f"The label of {frame.name} {words.get(kind, 'is far from what the others say')}",
            got=seen,
            fix=f"hopecho labels drop its hash and label it again, or set {key}: exclude",
        )
    keep = rule == KEEP and kind != "not_finite"
    return Finding(frame.name, kind, seen, "kept" if keep else "excluded")


def _not_finite(frame: LabelledFrame) -> str:
    """Names of the labels that are not finite, or nothing."""
    labels: Mapping[str, Any] = {
        "energy": frame.energy,
        "forces": frame.forces,
        "stress": 0.0 if frame.stress is None else frame.stress,
    }
    return ", ".join(n for n, v in labels.items() if not np.all(np.isfinite(v)))


def _fingerprint(frame: LabelledFrame) -> str:
    """Hash of species, cell and positions inside the cell, in any order of atoms, to 1e-6 A."""
    atoms = frame.atoms.copy()
    atoms.wrap(eps=1e-6)
    rows = np.rint(np.column_stack([atoms.numbers, atoms.positions]) * [1, 1e6, 1e6, 1e6])
    rows = rows[np.lexsort(rows.T[::-1])]
    digest = hashlib.sha256(rows.astype("<i8").tobytes())
    digest.update(np.rint(atoms.cell.array * 1e6).astype("<i8").tobytes())
    return digest.hexdigest()


def _difference(frame: LabelledFrame, first: LabelledFrame) -> str:
    gap = 1e3 * abs(frame.energy - first.energy) / len(frame.atoms)
    return f"the structure of {first.name}; their energies differ by {gap:.3g} meV/atom"


def _robust_sigma(values: np.ndarray) -> float:
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))
    return max(spread, _SMALLEST_SIGMA)


def _force_scales(
    frames: Sequence[LabelledFrame], errors: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Expected standard deviation of the force error on each atom, (n_atoms,) a frame, eV/A.

    Errors grow with the forces: of each element the error over the frame's own typical force has
    a robust standard deviation, which times that force is the scale; it is never below the robust
    standard deviation of all errors of the element.
    """
    numbers = [frame.atoms.numbers for frame in frames]
    everything = np.concatenate(numbers)
    typical = {z: _typical(np.concatenate([f.forces for f in frames])[everything == z]) for z in
               np.unique(everything)}  # fmt: skip
    force = []
    for frame in frames:
        own = np.zeros(len(frame.atoms))
        for z in np.unique(frame.atoms.numbers):
            mask = frame.atoms.numbers == z
            own[mask] = max(_typical(np.asarray(frame.forces)[mask]), 0.1 * typical[z])
        force.append(np.maximum(own, _SMALLEST_SIGMA))
    relative = np.concatenate([e / f[:, None] for e, f in zip(errors, force, strict=True)])
    everywhere = np.concatenate(errors)
    sigma = {z: _robust_sigma(relative[everything == z].ravel()) for z in typical}
    floor = {z: _robust_sigma(everywhere[everything == z].ravel()) for z in typical}
    return [
        np.maximum(f * [sigma[z] for z in own], [floor[z] for z in own])
        for f, own in zip(force, numbers, strict=True)
    ]


def _typical(values: np.ndarray) -> float:
    """Size of force components that one wrong value does not move, eV/A."""
    return _MAD_TO_SIGMA * float(np.median(np.abs(values)))
