"""The gate of a potential: several short MD runs on the production cell must all stay sane.

A force error says little about stability (0.144 eV/A exploded in five of six runs of 4 ps, 0.109
eV/A in none), so a potential is let into production only by the MD that it will have to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LIMITS = ("temperature_sigma", "min_distance", "drift")
NEEDED = ("temperature_sigma", "min_distance")
"""Without these no run counts as sane."""


@dataclass(frozen=True)
class GateSettings:
    """Limits that a run must keep (config block ``learning``)."""

    max_temperature_sigma: float = 5.0
    """Largest deviation of the mean temperature from the target, in its standard errors."""
    min_distance: float = 1.2
    """Smallest pair distance allowed in the run, Angstrom; keep it above the potential's first
    knot."""
    max_drift: float = 1e-4
    """Largest linear drift of the conserved quantity, eV/atom/ps (4 K in 10 ps)."""


@dataclass(frozen=True)
class GateResult:
    """Verdict on one potential."""

    accepted: bool
    n_runs: int
    failures: tuple[str, ...]
    """One sentence a failed or missing run, sorted by phase, temperature, seed."""

    @property
    def message(self) -> str:
        """One sentence that names every failure."""
        if self.accepted:
            return f"potential accepted: all {self.n_runs} test runs stayed sane"
        return f"potential rejected, {len(self.failures)} failures: " + "; ".join(self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, built-in types only."""
        return {
            "accepted": self.accepted,
            "n_runs": self.n_runs,
            "failures": list(self.failures),
            "message": self.message,
        }


def gate(
    runs: Iterable[Mapping[str, Any]],
    *,
    settings: GateSettings,
    required: Sequence[tuple[str, int, int]] = (),
) -> GateResult:
    """Judge a potential from the results of its test runs.

    Parameters
    ----------
    runs : iterable of mapping
        phase, temperature (K), seed, passed (the run's own guards), reason, temperature_sigma,
        min_distance (A), bonds_intact, drift (eV/atom/ps). A measurement is None where it was not
        made; a run that passed may lack only bonds_intact (AgI has no framework bonds) and drift.
    settings : GateSettings
        Limits.
    required : sequence of (phase, temperature, seed)
        Runs that must be there; one that is missing counts as failed.

    Returns
    -------
    GateResult
        Accepted only if at least one run was made, none is missing and all are sane.
    """
    ordered = sorted(runs, key=_key)
    failures = [(_key(run), text) for run in ordered if (text := _fault(run, settings))]
    present = {_key(run) for run in ordered}
    failures += [(key, "did not run") for key in set(required) - present]
    if not ordered and not failures:
        return GateResult(accepted=False, n_runs=0, failures=("no test run was made",))
    sentences = tuple(
        f"{phase} at {temperature} K, seed {seed}: {text}"
        for (phase, temperature, seed), text in sorted(failures)
    )
    return GateResult(accepted=not sentences, n_runs=len(ordered), failures=sentences)


def _key(run: Mapping[str, Any]) -> tuple[str, int, int]:
    return (str(run["phase"]), int(run["temperature"]), int(run["seed"]))


def _fault(run: Mapping[str, Any], settings: GateSettings) -> str:
    """Return what is wrong with a run, empty if nothing; its own guards come first."""
    faults = []
    if not run["passed"]:
        faults.append(str(run.get("reason") or "stopped by its guards"))
    bonds = run.get("bonds_intact")
    if bonds is not None and not bonds:
        faults.append("bonds of the framework changed")
    measured = {name: run.get(name) for name in LIMITS}
    values = {name: float(x) for name, x in measured.items() if x is not None}
    if run["passed"]:
        faults += [f"{name} was not measured" for name in NEEDED if name not in values]
    faults += [f"{name} is not finite" for name, x in values.items() if not math.isfinite(x)]
    sigma = abs(values.get("temperature_sigma", 0.0))
    if math.isfinite(sigma) and sigma > settings.max_temperature_sigma:
        faults.append(
            f"temperature off by {sigma:.1f} sigma (limit {settings.max_temperature_sigma:g})"
        )
    nearest = values.get("min_distance", math.inf)
    if nearest < settings.min_distance:
        faults.append(f"a pair at {nearest:.2f} A (limit {settings.min_distance:g} A)")
    drift = abs(values.get("drift", 0.0))
    if math.isfinite(drift) and drift > settings.max_drift:
        faults.append(
            f"conserved quantity drifts by {drift:.1e} eV/atom/ps (limit {settings.max_drift:g})"
        )
    return ", ".join(faults)
