r"""How long, and how often, to run for a wanted error of tau.

The relative error of tau falls as :math:`K / \sqrt{N T / \tau}` with N ions and T of run time in
all; K is taken from the error that was measured, so that concerted hops are in it. What quenches
differ by falls with the number of quenches only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hopecho.units import Quantity, time_text

TYPICAL_K = 1.7
"""K of the powder curve where no error was measured: the middle of 1.3 to 2.1."""

FEW_SAMPLES = 30.0
"""Below as many independent samples the error is that of quenches or replicas, not of ions."""


@dataclass(frozen=True)
class Advice:
    """What to run; times in ps, None where not known."""

    wanted_error: float
    """Relative standard error of tau."""
    expected_error: float | None
    """That of the runs at hand."""
    k: float
    """Prefactor of the law, measured or typical."""
    single_run_ps: float
    """Shortest run that lets tau be resolved."""
    total_ps: float
    """Run time of all replicas together."""
    n_runs: int
    """Runs of `single_run_ps` (or of the present length) that make up the total."""
    text: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "wanted_error": self.wanted_error,
            "expected_error": self.expected_error,
            "k": self.k,
            "single_run_ps": self.single_run_ps,
            "total_ps": self.total_ps,
            "n_runs": self.n_runs,
            "text": self.text,
        }


def advise(
    tau: Quantity,
    *,
    n_ions: int,
    run_ps: float,
    total_ps: float,
    wanted_error: float,
    max_lag_fraction: float,
) -> Advice | None:
    """Say how long to run until tau has the wanted error.

    A value needs runs of at least five tau, and a longest lag of at least twice the upper end of
    its interval (the rules of the verdict). From a lower bound the same follows as a least length.

    Parameters
    ----------
    tau : Quantity
        What is known of tau, ns.
    n_ions : int
        Ions of one run.
    run_ps, total_ps : float
        Length of one run, and of all together, ps.
    wanted_error : float
        Relative standard error that is wanted.
    max_lag_fraction : float
        Longest lag as a share of the run.

    Returns
    -------
    Advice or None
        None where nothing limits tau from below.
    """
    low = tau.interval[0]
    if tau.value is None and low is None:
        return None
    known = tau.value is not None and bool(tau.stderr)
    tau_ps = 1e3 * float(tau.value if tau.value is not None else low or 0.0)
    expected = float(tau.stderr / tau.value) if tau.value and tau.stderr else None
    k = expected * math.sqrt(n_ions * total_ps / tau_ps) if expected else TYPICAL_K
    single = tau_ps * max(5.0, 2.0 * math.exp(2.0 * wanted_error) / max_lag_fraction)
    needed = max(tau_ps * (k / wanted_error) ** 2 / n_ions, single)
    length = max(run_ps, single)
    n_runs = max(1, math.ceil(needed / length - 1e-9))
    return Advice(
        wanted_error=wanted_error,
        expected_error=expected,
        k=k,
        single_run_ps=single,
        total_ps=needed,
        n_runs=n_runs,
        text=_sentence(known, expected, wanted_error, needed, length, n_runs, tau.n_independent),
    )


def _sentence(
    known: bool,
    expected: float | None,
    wanted: float,
    needed: float,
    length: float,
    n_runs: int,
    n_independent: float,
) -> str:
    runs = f"{n_runs} run{'s' if n_runs > 1 else ''} of {time_text(1e-3 * length)}"
    if not known:
        return (
            f"only a lower bound of tau is known: an error of {100 * wanted:g} % needs at least "
            f"{runs}, and more if tau is longer than the bound"
        )
    assert expected is not None
    if expected <= wanted:
        return f"the error of tau is {100 * expected:.2g} % already: no more runs are needed"
    more = f"an error of {100 * wanted:g} % needs {time_text(1e-3 * needed)} in all: {runs}"
    if n_independent < FEW_SAMPLES:
        more += (
            "; the error is that of few quenches or replicas, so that more of them help and longer "
            "ones may not"
        )
    return more
