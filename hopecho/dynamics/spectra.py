"""What the bursts of one phase and temperature say: spectra of the elements and the current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hopecho.dynamics.block_means import cut
from hopecho.dynamics.green_kubo import GreenKubo, current, green_kubo
from hopecho.dynamics.vibrations import SMOOTHING_CM1, Vdos, remove_centre_of_mass, vacf, vdos
from hopecho.errors import HopechoError
from hopecho.io.h5md import Segment
from hopecho.units import Quantity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Vibrations:
    """Spectra, velocity autocorrelation and current of all bursts."""

    spectrum: Vdos
    """Mean over bursts, not smoothed."""
    spectrum_err: Mapping[str, Array]
    """Element -> (n_freq,), one standard error."""
    band_centre: Mapping[str, Quantity]
    """Element -> cm-1."""
    lag_ps: Array
    """(n_lags,), ps."""
    vacf: Mapping[str, tuple[Array, Array]]
    """Element -> mean and standard error, (n_lags,), A^2/ps^2."""
    current: GreenKubo
    stride_ps: float
    length_ps: float
    """Of the shortest burst."""
    n_bursts: int

    def vdos_columns(self) -> dict[str, Any]:
        """Columns of vdos.csv, long form: states per cm-1 and their error (1 sigma)."""
        nu, g = self.spectrum.wavenumber_cm1, self.spectrum.g
        return {
            "element": np.repeat(list(g), len(nu)),
            "wavenumber_cm1": np.tile(nu, len(g)),
            "vdos_per_cm1": np.concatenate(list(g.values())),
            "vdos_err_per_cm1": np.concatenate([self.spectrum_err[e] for e in g]),
        }

    def vacf_columns(self) -> dict[str, Any]:
        """Columns of vacf.csv, long form: <v(0) v(t)> of an ion and its error (1 sigma)."""
        return {
            "element": np.repeat(list(self.vacf), len(self.lag_ps)),
            "lag_ps": np.tile(self.lag_ps, len(self.vacf)),
            "vacf_a2_ps2": np.concatenate([mean for mean, _ in self.vacf.values()]),
            "vacf_err_a2_ps2": np.concatenate([err for _, err in self.vacf.values()]),
        }

    def current_columns(self) -> dict[str, Array]:
        """Columns of current.csv: the running Green-Kubo integral and its error (1 sigma), S/m."""
        return {
            "lag_ps": self.current.lag_ps,
            "sigma_gk_s_m": self.current.running,
            "sigma_gk_err_s_m": self.current.running_err,
        }

    def record(self) -> dict[str, Any]:
        """JSON of the spectra: band centres, and what limits them."""
        nu = self.spectrum.wavenumber_cm1
        return {
            "band_centre": dict(self.band_centre),
            "n_bursts": self.n_bursts,
            "length_ps": self.length_ps,
            "stride_fs": 1e3 * self.stride_ps,
            "resolution_cm1": float(nu[1]),
            "highest_cm1": float(nu[-1]),
            "smoothing_cm1": SMOOTHING_CM1,
        }

    def current_record(self) -> dict[str, Any]:
        """JSON of the Green-Kubo conductivity, with its cut and why it has no value."""
        return {
            "sigma_gk": self.current.sigma_gk,
            "cut_ps": self.current.cut_ps,
            "longest_lag_ps": float(self.current.lag_ps[-1]),
            "flat": self.current.flat,
            "reason": self.current.reason,
        }


def vibrations(
    bursts: Sequence[Segment],
    *,
    run: Sequence[int],
    quench: Sequence[int],
    masses_u: Mapping[str, float],
    oxidation: Mapping[str, float],
    temperature_k: float,
) -> Vibrations:
    """Analyse all bursts of one phase and temperature.

    Bursts are the units of the error bars (quenches, where there are several); a single burst is
    cut into halves, at half the resolution.

    Parameters
    ----------
    bursts : sequence of Segment
        With velocities, every 10 fs or less; the same atoms, cell and stride.
    run, quench : sequence of int
        Of each burst.
    masses_u : mapping
        Mass of each element, u.
    oxidation : mapping
        Formal oxidation numbers, e.
    temperature_k : float
        K.

    Raises
    ------
    HopechoError
        Without velocities, for bursts that do not belong together, or that are too short or too
        sparse.
    """
    velocities, stride = checked_velocities(bursts)
    first = bursts[0]
    numbers, volume = first.numbers, abs(float(np.linalg.det(first.cell)))
    symbols = [chemical_symbols[z] for z in numbers]
    masses = np.array([masses_u[s] for s in symbols], dtype=np.float64)
    pieces, of = cut(velocities, run=run, quench=quench)
    spectra = [vdos([v], numbers=numbers, masses_u=masses, stride_ps=stride) for v in pieces]
    moving = [remove_centre_of_mass(v, masses) for v in pieces]
    n_lags = max(1, len(pieces[0]) // 2)
    elements = list(spectra[0].g)
    density = {e: of.curve([s.g[e] for s in spectra]) for e in elements}
    own = {e: np.array([s == e for s in symbols]) for e in elements}
    correlation = {e: of.curve([vacf(v[:, own[e]], n_lags=n_lags) for v in moving]) for e in own}
    return Vibrations(
        spectrum=Vdos(spectra[0].wavenumber_cm1, {e: mean for e, (mean, _) in density.items()}),
        spectrum_err={e: err for e, (_, err) in density.items()},
        band_centre={
            e: of.quantity([s.band_centre(e) for s in spectra], unit="cm-1") for e in elements
        },
        lag_ps=np.arange(n_lags) * np.float64(stride),
        vacf=correlation,
        current=green_kubo(
            [current(v, numbers, charges=oxidation) for v in velocities],
            stride_ps=stride,
            volume_a3=volume,
            temperature_k=temperature_k,
            replica=run,
            quench=quench,
            # Whole bursts: shorter blocks end before the vibrations of the current do.
            min_blocks=len(bursts),
        ),
        stride_ps=stride,
        length_ps=min(len(v) for v in velocities) * stride,
        n_bursts=len(bursts),
    )


def checked_velocities(
    bursts: Sequence[Segment],
) -> tuple[list[NDArray[np.floating[Any]]], float]:
    """Velocities of bursts that belong together, and their common stride, ps.

    Raises
    ------
    HopechoError
        Without bursts or velocities, or for other atoms or another stride in one of them.
    """
    strides = {round(float(b.time_ps[1] - b.time_ps[0]), 9) for b in bursts}
    same = all(np.array_equal(b.numbers, bursts[0].numbers) for b in bursts)
    found = [b.velocities for b in bursts if b.velocities is not None]
    if not bursts or len(strides) != 1 or not same or len(found) != len(bursts):
        raise HopechoError(
            "The bursts have no velocities, or do not belong together.",
            got=f"{len(bursts)} burst(s), {len(found)} with velocities, "
            f"strides {sorted(strides)} ps",
            fix="give the bursts of one phase and temperature, written by `snakemake bursts`",
        )
    return found, strides.pop()
