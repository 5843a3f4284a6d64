"""What a spline of a UF3 potential must be, for LAMMPS and for this program."""

from __future__ import annotations

import numpy as np

from hopecho.errors import HopechoError

REPEATS = 4
# Knots count as uniform to the last digits when written, and to a text's rounding (of an interval)
# when read: `ufp.basis.bspline4` finds the interval from the spacing, then corrects it by one.
UNIFORM, NEARLY_UNIFORM = 1e-9, 1e-3


def row_text(values: np.ndarray) -> str:
    """Return numbers as the shortest text that reads back to the same doubles."""
    return " ".join(repr(float(value)) for value in values)


def is_uniform(knots: np.ndarray, tolerance: float) -> bool:
    """Tell whether clamped knots are evenly spaced, to a fraction `tolerance` of the spacing."""
    inner = knots[REPEATS - 1 : -REPEATS + 1]
    even = np.linspace(knots[0], knots[-1], len(inner))
    return bool(np.all(np.abs(inner - even) <= tolerance * (even[1] - even[0])))


def check_pair(name: str, knots: np.ndarray, coefficients: np.ndarray) -> None:
    """Refuse a two-body term that cannot be evaluated, by name.

    Raises
    ------
    HopechoError
        If the knots are not clamped and uniform, or a number is missing or not finite.
    """
    _check_knots(name, knots, len(coefficients))
    _check_finite(name, coefficients)


def check_triplet(
    name: str, knots: tuple[np.ndarray, np.ndarray, np.ndarray], coefficients: np.ndarray
) -> None:
    """Refuse a three-body term (knots of ij, ik, jk) that cannot be evaluated, by name.

    Raises
    ------
    HopechoError
        As for a pair, or if the cutoffs are not those that LAMMPS accepts.
    """
    for vector, size in zip(knots, coefficients.shape, strict=True):
        _check_knots(name, vector, size)
    _check_finite(name, coefficients)
    rij, rik, rjk = (float(vector[-1]) for vector in knots)
    # LAMMPS accepts one centre-neighbour cutoff a triplet and compares doubles for equality.
    if rij != rik or rjk != 2 * rij:
        raise HopechoError(
            f"the cutoffs of {name} do not fit LAMMPS",
            got=f"rij {rij}, rik {rik}, rjk {rjk}",
            fix="use rik = rij and rjk = 2 rij",
        )


def _check_finite(name: str, coefficients: np.ndarray) -> None:
    if not np.all(np.isfinite(coefficients)):
        raise HopechoError(f"{name} has a coefficient that is not finite", fix="refit")


def _check_knots(name: str, knots: np.ndarray, n_coefficients: int) -> None:
    good = (
        len(knots) >= 2 * REPEATS
        and np.all(knots[:REPEATS] == knots[0])
        and np.all(knots[-REPEATS:] == knots[-1])
        and knots[-1] > knots[0]
        and is_uniform(knots, NEARLY_UNIFORM)
    )
    if not good:
        raise HopechoError(
            f"the knots of {name} are not uniform between ends that stand four times",
            got=row_text(knots),
            fix="fit with this program or convert the potential to uniform knots ('uk')",
        )
    if len(knots) != n_coefficients + REPEATS:
        raise HopechoError(
            f"{name} has {len(knots)} knots for {n_coefficients} coefficients",
            fix="a cubic spline has four more knots than coefficients",
        )
