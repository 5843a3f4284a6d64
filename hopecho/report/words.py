"""Numbers and verdicts as a reader wants them: units by size, digits by error, words for bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

ABSENT = "–"
"""Stands where nothing was measured."""

SYMBOLS: Mapping[str, str] = {
    "tau_sae": "τ",
    "plateau_b2": "b²",
    "stretch_gamma": "γ",
    "vibrational_amplitude": "1 − A",
    "d_tracer": "D",
    "hop_rate": "rate",
    "sigma_ne": "σ",
    "sigma_einstein": "σ",
    "sigma_gk": "σ",
    "sigma_self": "σ",
    "sigma_distinct": "σ",
    "bond_life": "life",
    "haven_ratio": "H",
    "activation_energy": "E",
}
NOT_SEEN: Mapping[str, str] = {
    "tau_sae": "no decay seen",
    "d_tracer": "no diffusion seen",
    "sigma_ne": "no diffusion seen",
    "sigma_einstein": "no diffusion seen",
    "hop_rate": "no hop seen",
    "bond_life": "no change seen",
}
UNIT_TEXT: Mapping[str, str] = {
    "m2/s": "m²/s",
    "1/s": "/s",
    "1": "",
    "cm-1": "cm⁻¹",
    "degree": "°",
    "A": "Å",
    "degree/ps": "°/ps",
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


class Display(NamedTuple):
    """How a number of some size is shown: times `factor`, with `suffix` behind it."""

    factor: float
    suffix: str


def display(unit: str, size: float) -> Display:
    """Choose the unit, or the power of ten, in which a number of this size reads best."""
    if unit == "ns":
        for step, name in _TIMES:
            if size >= step:
                return Display(1.0 / step, f"\u00a0{name}")
        return Display(1e3, "\u00a0ps")
    text = UNIT_TEXT.get(unit, unit)
    space = f"\u00a0{text}" if text else ""
    if size > 0.0 and not 1e-3 <= size < 1e5:
        power = math.floor(math.log10(size))
        return Display(10.0**-power, f"\u00a0×\u00a010{str(power).translate(_SUPERSCRIPT)}{space}")
    return Display(1.0, space)


def _digits(x: float, decimals: int, rounding: str = ROUND_HALF_EVEN) -> str:
    step = Decimal(1).scaleb(-decimals)
    rounded = Decimal(repr(float(x))).quantize(step, rounding=rounding)
    return f"{rounded + 0:f}".replace("-", "−")


def _decimals(scale: float, significant: int) -> int:
    """Decimals that leave so many significant digits of `scale`."""
    return significant - 1 - math.floor(math.log10(scale))


def number(x: float | None, significant: int = 3) -> str:
    """Return a number with so many significant digits; a dash for None, NaN and infinity."""
    if x is None or not math.isfinite(x):
        return ABSENT
    if x == 0.0:
        return "0"
    shown = display("1", abs(x))
    scaled = x * shown.factor
    return _digits(scaled, max(_decimals(abs(scaled), significant), 0)) + shown.suffix


def value_text(value: float, unit: str, *, error: float | None = None) -> str:
    """Return a value with its unit, rounded to two digits of its error.

    Without an error it has at most three digits, and no zeros that say nothing.
    """
    shown = display(unit, abs(value))
    text = _scaled_text(value, shown, error)
    if error is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text + shown.suffix


def _scaled_text(value: float, shown: Display, error: float | None) -> str:
    scale = abs(error * shown.factor) if error else abs(value * shown.factor)
    if scale == 0.0:
        return "0"
    decimals = _decimals(scale, 2 if error else 3)
    # Digits are never left away before the first one of the value itself.
    if value:
        decimals = max(decimals, _decimals(abs(value * shown.factor), 1))
    return _digits(value * shown.factor, decimals)


def bound_text(x: float, unit: str, *, lower: bool) -> str:
    """Return a bound with two digits, rounded to the safe side: lower down, upper up."""
    if x == 0.0:
        return f"0{display(unit, 0.0).suffix}"
    shown = display(unit, abs(x))
    scaled = x * shown.factor
    rounding = ROUND_FLOOR if lower else ROUND_CEILING
    return _digits(scaled, _decimals(abs(scaled), 2), rounding) + shown.suffix


def percent(level: float) -> str:
    """Return 0.68 as ``68 %``, with a space that does not break."""
    return f"{100.0 * level:g}\u00a0%"


def quantity_text(claim: str, quantity: Mapping[str, Any]) -> str:
    """Say a quantity in words and numbers, by its verdict.

    Parameters
    ----------
    claim : str
        Its name, such as ``tau_sae``.
    quantity : mapping
        JSON form of `hopecho.units.Quantity`.

    Returns
    -------
    str
        ``12.3 ps (68 %: 11.1 to 13.6)``, ``no decay seen, τ > 4.1 ps (95 %)``, ...
    """
    if quantity["verdict"] == "resolved":
        return _resolved_text(quantity)
    low, high = quantity["interval"]
    symbol = SYMBOLS.get(claim, claim)
    bound = ""
    if low is not None:
        bound = f"{symbol}\u00a0>\u00a0{bound_text(low, quantity['unit'], lower=True)}"
    elif high is not None:
        bound = f"{symbol}\u00a0<\u00a0{bound_text(high, quantity['unit'], lower=False)}"
    seen = quantity["verdict"] == "bound"
    said = "" if seen else NOT_SEEN.get(claim, "")
    if not determined(claim, quantity):
        return said or "not determined"
    said = "decay seen, not resolved" if seen and claim == "tau_sae" else said
    return f"{said + ', ' if said else ''}{bound} ({percent(quantity['level'])})"


def determined(claim: str, quantity: Mapping[str, Any]) -> bool:
    """Tell whether a quantity has a value or at least a bound that says something."""
    low, high = quantity["interval"]
    if quantity["value"] is not None:
        return True
    if claim == "plateau_b2" and low is None and high is not None and high >= 1.0:
        return False
    return low is not None or high is not None


def _resolved_text(quantity: Mapping[str, Any]) -> str:
    value, unit = quantity["value"], quantity["unit"]
    low, high = quantity["interval"]
    error = quantity["stderr"]
    if not error and None not in (low, high):
        error = 0.5 * (high - low)
    shown = display(unit, abs(value))
    text = _scaled_text(value, shown, error)
    if None in (low, high):
        return text + shown.suffix
    ends = f"{_scaled_text(low, shown, error)} to {_scaled_text(high, shown, error)}"
    return f"{text}{shown.suffix} ({percent(quantity['level'])}: {ends})"


def conductivity_text(claim: str, quantity: Mapping[str, Any]) -> str:
    """Say a conductivity in mS/cm (10 mS/cm = 1 S/m), and its value or bound again in S/m."""

    def times(x: float | None) -> float | None:
        return None if x is None else 10.0 * x

    shown = dict(quantity) | {
        "value": times(quantity["value"]),
        "stderr": times(quantity["stderr"]),
        "interval": [times(x) for x in quantity["interval"]],
        "unit": "mS/cm",
    }
    text = quantity_text(claim, shown)
    if quantity["value"] is not None:
        si = value_text(quantity["value"], "S/m", error=quantity["stderr"])
        return f"{text} = {si}"
    low, high = quantity["interval"]
    if low is None and high is None:
        return text
    bound = bound_text(high if low is None else low, "S/m", lower=low is not None)
    return f"{text}, that is {'>' if low is not None else '<'}\u00a0{bound}"


def greek(said: str) -> str:
    """Write the Greek letters and the micro sign of a sentence from a result file."""
    said = said.replace("2 pi nu tau", "2πντ")
    said = re.sub(r"(?<=\d )us\b", "µs", said)
    return re.sub(r"\btau\b", "τ", re.sub(r"\bnu\b", "ν", said))


def say(claim: str, quantity: Mapping[str, Any]) -> str:
    """Say any claim's quantity."""
    tell = conductivity_text if quantity["unit"] == "S/m" else quantity_text
    return tell(claim, quantity)
