"""Conversion factors, nuclear data, and the label, unit and scale of every reported quantity.

All factors are built from ``scipy.constants`` (CODATA); nothing is typed in that can be derived.
Internal units: eV, Angstrom, ps (fs for time steps), kelvin, atomic units for field gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from scipy import constants

BOLTZMANN_EV_K = constants.physical_constants["Boltzmann constant in eV/K"][0]
"""Boltzmann constant, eV/K."""

ELEMENTARY_CHARGE_C = constants.elementary_charge
ANGSTROM_M = constants.angstrom
PS_S = constants.pico

EFG_AU_V_M2 = constants.physical_constants["atomic unit of electric field gradient"][0]
"""One atomic unit of electric field gradient, V/m^2 (9.717362e21)."""

EFG_AU_V_A2 = EFG_AU_V_M2 * ANGSTROM_M**2
"""One atomic unit of electric field gradient, V/A^2 (97.174)."""

BARN_M2 = 1e-28

A2_PS_TO_M2_S = ANGSTROM_M**2 / PS_S
"""Diffusion coefficient: A^2/ps -> m^2/s (1e-8)."""

THZ_TO_CM1 = constants.tera / (constants.speed_of_light * constants.hecto)
"""Ordinary frequency in THz (1/ps) -> wavenumber in cm-1 (33.356)."""

AMU_A2_PS2_TO_EV = constants.atomic_mass / constants.electron_volt * (ANGSTROM_M / PS_S) ** 2
"""Mass times velocity squared: u (A/ps)^2 -> eV (1.0364e-4)."""

EV_A3_TO_GPA = constants.electron_volt / ANGSTROM_M**3 / constants.giga
"""Stress: eV/A^3 -> GPa (160.2177)."""


class Isotope(NamedTuple):
    """Spin and moments of a quadrupolar nucleus."""

    symbol: str
    mass_number: int
    spin: float
    quadrupole_mb: float
    """Nuclear electric quadrupole moment, millibarn."""
    mass_u: float
    """Mass, unified atomic mass units."""
    larmor_mhz_t: float
    """Magnetogyric ratio over 2 pi, MHz/T; its magnitude is the Larmor frequency in 1 T."""


ISOTOPES: Mapping[str, Isotope] = MappingProxyType(
    {
        # Spin and quadrupole moment: soprano's table of nuclei, which follows Pyykko, Mol. Phys.
        # 116, 1328 (2018), doi 10.1080/00268976.2018.1426131.
        # Mass: AME2020, Wang et al., Chin. Phys. C 45, 030003 (2021).
        # Larmor frequency: Harris et al., Pure Appl. Chem. 73, 1795 (2001).
        f"{entry.mass_number}{entry.symbol}": entry
        for entry in (
            Isotope("H", 2, 1.0, 2.86, 2.014101778, 6.5359013),
            Isotope("Li", 6, 1.0, -0.808, 6.015122887, 6.2662021),
            Isotope("Li", 7, 1.5, -40.1, 7.016003437, 16.5484556),
            Isotope("O", 17, 2.5, -25.58, 16.999131757, -5.7742687),
            Isotope("Na", 23, 1.5, 104.0, 22.989769282, 11.2695217),
            Isotope("Mg", 25, 2.5, 199.4, 24.985836966, -2.6083426),
            Isotope("Al", 27, 2.5, 146.6, 26.981538408, 11.1030809),
            Isotope("S", 33, 1.5, -67.8, 32.971458910, 3.2717243),
            Isotope("Cl", 35, 1.5, -81.65, 34.968852694, 4.1765408),
            Isotope("K", 39, 1.5, 58.5, 38.963706485, 1.9895336),
            Isotope("K", 41, 1.5, 71.1, 40.961825257, 1.0919113),
            Isotope("Cu", 63, 1.5, -220.0, 62.929597119, 11.3187637),
            Isotope("Cu", 65, 1.5, -204.0, 64.927789476, 12.1026989),
            Isotope("Br", 79, 1.5, 313.0, 78.918337574, 10.7041503),
            Isotope("Rb", 87, 1.5, 133.5, 86.909180529, 13.9839899),
            Isotope("I", 127, 2.5, -696.0, 126.904472592, 8.5777718),
            Isotope("Cs", 133, 3.5, -3.43, 132.905451958, 5.6233482),
        )
    }
)


def cq_khz_per_au(isotope: str = "7Li") -> float:
    r"""Quadrupolar coupling of a unit EFG, :math:`C_Q / V_{zz} = e Q / h`, kHz per atomic unit.

    Parameters
    ----------
    isotope : str
        Key of `ISOTOPES`.

    Returns
    -------
    float
        kHz per atomic unit; -9422.1 for 7Li.
    """
    quadrupole_m2 = ISOTOPES[isotope].quadrupole_mb * 1e-3 * BARN_M2
    hertz = ELEMENTARY_CHARGE_C * quadrupole_m2 * EFG_AU_V_M2 / constants.Planck
    return hertz / constants.kilo


def sigma_s_per_m(
    diffusion_m2_s: float, *, number_density_m3: float, charge_e: float, temperature_k: float
) -> float:
    r"""Nernst-Einstein form :math:`\sigma = n q^2 D / (k_B T)`, S/m.

    Parameters
    ----------
    diffusion_m2_s : float
        Tracer (gives sigma_ne) or collective (gives sigma_einstein) diffusion coefficient, m^2/s.
    number_density_m3 : float
        Mobile ions per cubic metre.
    charge_e : float
        Formal oxidation number of the mobile ion.
    temperature_k : float
        Temperature, K.
    """
    charge_c = charge_e * ELEMENTARY_CHARGE_C
    return number_density_m3 * charge_c**2 * diffusion_m2_s / (constants.Boltzmann * temperature_k)


SIGMA_UNITS: Mapping[str, float] = MappingProxyType({"S/m": 1.0, "S/cm": 1e-2, "mS/cm": 1e1})
"""Conductivity: factor from S/m to each unit."""


def time_text(ns: float) -> str:
    """Return a time with three digits in ps, ns, us, ms or s, by its size."""
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= factor:
            return f"{ns / factor:.3g} {unit}"
    return f"{ns:.3g} ns" if ns >= 1.0 else f"{ns * 1e3:.3g} ps"


class QuantityInfo(NamedTuple):
    """How a quantity is written on an axis, in a CSV header and in the report."""

    label: str
    unit: str
    scale: float = 1.0
    """Factor from the unit in files to the unit shown."""


QUANTITIES: Mapping[str, QuantityInfo] = MappingProxyType(
    {
        "lag_ps": QuantityInfo("lag time", "ps"),
        "msd": QuantityInfo("mean square displacement", "A^2"),
        "d_tracer": QuantityInfo("tracer diffusion coefficient", "m2/s"),
        "d_sigma": QuantityInfo("collective diffusion coefficient", "m2/s"),
        "haven_ratio": QuantityInfo("Haven ratio", "1"),
        "sigma_ne": QuantityInfo("Nernst-Einstein conductivity", "S/m"),
        "sigma_einstein": QuantityInfo("collective conductivity", "S/m"),
        "sigma_gk": QuantityInfo("Green-Kubo conductivity", "S/m"),
        "sigma_self": QuantityInfo("self part of the collective conductivity", "S/m"),
        "sigma_distinct": QuantityInfo("distinct part of the collective conductivity", "S/m"),
        "activation_energy": QuantityInfo("activation energy", "eV"),
        "vdos": QuantityInfo("vibrational density of states", "1/cm-1"),
        "band_centre": QuantityInfo("band centre of the vibrations", "cm-1"),
        "tilt_angle_width": QuantityInfo("width of the polyanions' angles", "degree"),
        "angular_velocity_width": QuantityInfo("rms rate of the polyanions' angles", "degree/ps"),
        "rotation_width": QuantityInfo("rms rotation of the polyanions", "degree/ps"),
        "bond_life": QuantityInfo("life of a polyanion's bonds", "ns"),
        "hop_rate": QuantityInfo("hop rate per ion", "1/s"),
        "tau_sae": QuantityInfo("decay time of the echo", "ns"),
        "plateau_b2": QuantityInfo("plateau b^2", "1"),
        "stretch_gamma": QuantityInfo("stretching exponent", "1"),
        "vibrational_amplitude": QuantityInfo("share lost to vibrations", "1"),
        "acf_omega_q": QuantityInfo("<omega_Q(0) omega_Q(t)>", "1"),
        "acf_cq": QuantityInfo("<|C_Q|(0) |C_Q|(t)>", "1"),
        "acf_pq": QuantityInfo("<P_Q(0) P_Q(t)>", "1"),
        "acf_powder": QuantityInfo("powder average of <omega_Q(0) omega_Q(t)>", "1"),
        "mae_omega_q": QuantityInfo("mean absolute error of omega_Q", "kHz"),
        "rmse_energy": QuantityInfo("energy RMSE", "meV/atom", 1e3),
        "rmse_force": QuantityInfo("force RMSE", "meV/A", 1e3),
    }
)

VERDICTS = ("resolved", "bound", "not_seen")


@dataclass(frozen=True)
class Quantity:
    """A fitted or averaged quantity with its error bar and verdict; one JSON object everywhere.

    For verdict ``resolved`` `value` and `interval` are finite. For ``bound`` and ``not_seen``
    `value` is None and one end of the interval may be None: ``(x, None)`` is "more than x",
    ``(None, x)`` is "less than x".
    """

    value: float | None
    stderr: float | None
    interval: tuple[float | None, float | None]
    unit: str
    n_independent: float
    """Number of independent samples behind the interval."""
    level: float = 0.68
    """Confidence level of `interval`."""
    verdict: str = "resolved"

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is {self.verdict!r}, must be one of {VERDICTS}")
        numbers = (self.value, self.stderr, *self.interval, self.n_independent, self.level)
        if any(x is not None and not math.isfinite(x) for x in numbers):
            raise ValueError(f"NaN or infinity in a quantity: {numbers}")
        if self.verdict == "resolved" and self.value is None:
            raise ValueError("a resolved quantity needs a value")
        if self.verdict != "resolved" and self.value is not None:
            raise ValueError(f"a quantity with verdict {self.verdict!r} has no value, only a bound")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, built-in types only."""

        def plain(x: float | None) -> float | None:
            return None if x is None else float(x)

        return {
            "value": plain(self.value),
            "stderr": plain(self.stderr),
            "interval": [plain(self.interval[0]), plain(self.interval[1])],
            "level": float(self.level),
            "unit": self.unit,
            "n_independent": float(self.n_independent),
            "verdict": self.verdict,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quantity:
        """Inverse of `to_dict`."""
        low, high = data["interval"]
        return cls(
            value=data["value"],
            stderr=data["stderr"],
            interval=(low, high),
            unit=data["unit"],
            n_independent=data["n_independent"],
            level=data["level"],
            verdict=data["verdict"],
        )
