"""The status of a round: the one small file that decides whether another round is made.

Its bytes depend on the content alone (no date, version or path; keys sorted; six significant
digits, so that the order of a parallel sum does not show), because everything after the loop is
recomputed when they change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from hopecho.errors import HopechoError
from hopecho.learning.acceptance import GateResult

SIGNIFICANT_DIGITS = 6

CONTINUE, ACCEPTED, STOPPED = "continue", "accepted", "stopped"


def build_status(
    convergence: Mapping[str, Any],
    gate: GateResult,
    *,
    accept_unconverged: bool,
    n_training: int,
    n_selected: int,
) -> dict[str, Any]:
    """Combine convergence and gate of a round into its status.

    ========== ======= ========= ==========================================================
    converged  gate    exhausted state
    ========== ======= ========= ==========================================================
    yes        passed  any       accepted
    no         passed  yes       accepted if `accept_unconverged`, else stopped
    any        failed  yes       stopped: an unstable potential is never let into production
    otherwise                    continue
    ========== ======= ========= ==========================================================

    Parameters
    ----------
    convergence : mapping
        From `hopecho.learning.convergence.decide`.
    gate : GateResult
        From `hopecho.learning.acceptance.gate`.
    accept_unconverged : bool
        Config key ``learning.accept_unconverged``.
    n_training, n_selected : int
        Frames this round's potential was fitted to, and frames chosen for the next.

    Returns
    -------
    dict
        round, state (continue | accepted | stopped), accepted, converged, message, unmet, errors,
        gate, counts.
    """
    converged, exhausted = convergence["converged"], convergence["exhausted"]
    unmet = list(convergence["unmet"])
    if not gate.accepted:
        unmet.append({"name": "gate", "text": gate.message})
    accepted = gate.accepted and (converged or (exhausted and accept_unconverged))
    state = ACCEPTED if accepted else STOPPED if exhausted else CONTINUE
    return {
        "round": convergence["round"],
        "state": state,
        "accepted": accepted,
        "converged": bool(converged),
        "message": f"{convergence['message']}; {gate.message}",
        "unmet": unmet,
        "errors": convergence["errors"],
        "settled_rounds": convergence["settled_rounds"],
        "gate": gate.to_dict(),
        "n_training": n_training,
        "n_selected": n_selected,
    }


def raise_if_stopped(status: Mapping[str, Any]) -> None:
    """Raise when the loop ended without a potential that may be used.

    Raises
    ------
    HopechoError
        Naming every unmet gate with its numbers, and the config key that lets the user go on.
    """
    if status["state"] != STOPPED:
        return
    fix = "raise learning.max_rounds"
    if status["gate"]["accepted"]:
        fix += ", or set learning.accept_unconverged: true (the report will say so)"
    raise HopechoError(
        f"active learning ended at round {status['round']} without an accepted potential",
        got="; ".join(f"{u['name']} ({u['text']})" for u in status["unmet"]),
        fix=fix,
    )


def status_text(status: Mapping[str, Any]) -> str:
    """Return the status as JSON text, equal bytes for equal content."""
    return json.dumps(plain(status), sort_keys=True, indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Return `value` in built-in types, floats rounded to six significant digits.

    Raises
    ------
    HopechoError
        For NaN, infinity and types that JSON does not have.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        if not math.isfinite(value):
            raise HopechoError(
                "a status holds a number that is not finite",
                got=str(value),
                fix="leave the structure or the run that gave it out, with its reason",
            )
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if value is None or isinstance(value, bool | int | str):
        return value
    raise HopechoError(
        "a status holds something that is not JSON",
        got=type(value).__name__,
        fix="give numbers, strings, lists and mappings",
    )
