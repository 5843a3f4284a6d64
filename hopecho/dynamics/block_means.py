"""Means over independent pieces of several runs, each with the error that the pieces show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopecho.dynamics.estimate import LEVEL, BlockError, block_error
from hopecho.units import Quantity

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Which run and which quench every piece belongs to."""

    run: Ints
    """(n_pieces,), index of the run."""
    quench: Ints
    """(n_pieces,)."""

    def error(self, values: Array) -> BlockError:
        """Error of the mean of (n_pieces,) values; quenches are the units where there are several.

        Raises
        ------
        HopechoError
            With fewer than two pieces.
        """
        return block_error(values, replica=self.run, quench=self.quench)

    def curve(self, values: Sequence[Array]) -> tuple[Array, Array]:
        """Mean and its standard error, each (n,), of one curve (n,) a piece."""
        table = np.asarray(values, dtype=np.float64)
        errors = [self.error(column).stderr for column in table.T]
        return np.asarray(table.mean(0), dtype=np.float64), np.asarray(errors, dtype=np.float64)

    def quantity(self, values: Sequence[float], *, unit: str) -> Quantity:
        """Mean of one number a piece, with a symmetric interval and Student's factor."""
        column = np.asarray(values, dtype=np.float64)
        value, error = float(column.mean()), self.error(column)
        half = error.t() * error.stderr
        interval = (value - half, value + half)
        return Quantity(value, error.stderr, interval, unit, error.n_units, LEVEL)


def cut(
    arrays: Sequence[NDArray[np.floating[Any]]], *, run: Sequence[int], quench: Sequence[int]
) -> tuple[list[NDArray[np.floating[Any]]], Pieces]:
    """Arrays (n_frames, ...) as pieces of equal length; a single one is cut into halves.

    Parameters
    ----------
    arrays : sequence of ndarray
        Frames first; the longer ones lose their ends.
    run, quench : sequence of int
        Of each array.
    """
    halves = 2 if len(arrays) == 1 else 1
    length = min(len(a) for a in arrays) // halves
    pieces = [a[h * length : (h + 1) * length] for a in arrays for h in range(halves)]
    return pieces, Pieces(np.repeat(run, halves), np.repeat(quench, halves))
