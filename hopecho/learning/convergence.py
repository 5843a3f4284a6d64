r"""Has the active-learning loop converged? Decided from errors on audit and held-out frames.

A round counts as *settled* when every error changed from the round before by no more than a
tolerance or than its own statistical noise, and that noise is small enough for the statement to
mean something. The loop has converged after `patience` settled rounds in a row in which the last
also meets every configured target.

The noise is a bootstrap over structures: atoms of one frame share their error and are not
independent samples. The width of the accepted band is :math:`z \sigma` with z from the normal
distribution at the family-wise `confidence` (Sidak), since a round tests many errors at once and at
2 sigma each a dozen of them would rarely all pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from hopecho.errors import HopechoError
from hopecho.learning.samples import METRICS, ErrorSample, RoundErrors, errors_of, metric, rows_of

_TINY = 1e-12


@dataclass(frozen=True)
class ConvergenceSettings:
    """When to stop (config block ``learning``)."""

    max_rounds: int = 8
    patience: int = 2
    """Settled rounds in a row that are needed; 0 leaves only the targets."""
    tolerance: float = 0.1
    """Relative change of an error between rounds that counts as none."""
    max_noise: float = 0.4
    """Largest standard error of a relative change with which a round may count as settled."""
    confidence: float = 0.95
    """Chance that a round of unchanged errors passes all its comparisons."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Upper limit by metric: rmse_energy in eV/atom, force_relative as a fraction."""
    n_bootstrap: int = 400
    seed: int = 0
    """Seed of the bootstrap."""


class Change(NamedTuple):
    """Relative change of one error from one round to the next."""

    value: float
    noise: float
    """Standard error of `value`."""


def relative_change(
    before: ErrorSample,
    after: ErrorSample,
    name: str,
    *,
    phase: str,
    n_bootstrap: int,
    rng: np.random.Generator,
) -> Change:
    """Return the relative change of one error between two rounds, and its noise.

    Where both rounds judge the same structures (held-out set), the same resample is used for both:
    the structures' scatter cancels and a small change can be seen. Otherwise (audit) the two
    resamples are independent.
    """
    rows_a, rows_b = rows_of(before, phase), rows_of(after, phase)
    paired = [before.ids[i] for i in rows_a] == [after.ids[i] for i in rows_b]
    pick_a = rng.integers(len(rows_a), size=(n_bootstrap, len(rows_a)))
    pick_b = pick_a if paired else rng.integers(len(rows_b), size=(n_bootstrap, len(rows_b)))
    value_a = float(metric(before, name, rows_a))
    value_b = float(metric(after, name, rows_b))
    # Logarithms: a ratio of two noisy errors is skewed, its logarithm hardly.
    log_a = np.log(np.maximum(metric(before, name, rows_a[pick_a]), _TINY))
    log_b = np.log(np.maximum(metric(after, name, rows_b[pick_b]), _TINY))
    change = np.log(max(value_b, _TINY)) - np.log(max(value_a, _TINY))
    return Change(value=float(np.expm1(change)), noise=float((log_b - log_a).std(ddof=1)))


def _comparisons(
    before: RoundErrors, after: RoundErrors
) -> tuple[list[tuple[str, str, str]], list[dict[str, Any]]]:
    """Return the (set, phase, metric) to compare, and the phases that cannot be, as unmet."""
    possible, unmet = [], []
    for name in sorted(after.samples):
        now = after.samples[name].phases
        earlier = before.samples[name].phases if name in before.samples else ()
        for phase in sorted({*now, *earlier}):
            n = min(now.count(phase), earlier.count(phase))
            if n >= 2:
                possible += [(name, phase, m) for m in METRICS]
                continue
            text = f"{name}/{phase}: {n} structures in one of rounds {before.round} and "
            text += f"{after.round}, at least 2 needed: raise learning.audit_per_phase"
            unmet.append({"name": f"count/{name}/{phase}", "value": n, "limit": 2, "text": text})
    return possible, unmet


def unsettled(
    before: RoundErrors, after: RoundErrors, *, settings: ConvergenceSettings
) -> list[dict[str, Any]]:
    """Return what speaks against "nothing changed from `before` to `after`"; empty when settled."""
    comparisons, unmet = _comparisons(before, after)
    if not comparisons:
        return unmet
    each = settings.confidence ** (1.0 / len(comparisons))
    z = float(norm.ppf(0.5 + 0.5 * each))
    for key in comparisons:
        name, phase, kind = key
        # One stream a comparison: adding a phase must not move the verdict on another.
        entropy = [settings.seed, after.round, *"/".join(key).encode()]
        change = relative_change(
            before.samples[name],
            after.samples[name],
            kind,
            phase=phase,
            n_bootstrap=settings.n_bootstrap,
            rng=np.random.default_rng(entropy),
        )
        verdict = _judge(change, label="/".join(key), z=z, settings=settings)
        if verdict is not None:
            unmet.append(verdict)
    return unmet


def _judge(
    change: Change, *, label: str, z: float, settings: ConvergenceSettings
) -> dict[str, Any] | None:
    value, noise = change
    if noise > settings.max_noise:
        text = f"{label}: the change {value:+.1%} has a noise of {noise:.1%}"
        text += f", above {settings.max_noise:.1%}: raise learning.audit_per_phase"
        limit = settings.max_noise
        return {"name": f"noise/{label}", "value": noise, "limit": limit, "text": text}
    limit = max(settings.tolerance, z * noise)
    if abs(np.log1p(value)) > limit:
        text = f"{label}: changed by {value:+.1%}, noise {noise:.1%}, limit {limit:.1%}"
        return {"name": f"change/{label}", "value": value, "limit": limit, "text": text}
    return None


def _missed_targets(errors: RoundErrors, targets: Mapping[str, float]) -> list[dict[str, Any]]:
    unmet = []
    for name, phase, kind, value in errors_of(errors):
        if kind in targets and value > targets[kind]:
            text = f"{name}/{phase}/{kind} = {value:.4g} {METRICS[kind]}, target {targets[kind]:g}"
            unmet.append(
                {"name": f"target/{name}/{phase}/{kind}", "value": value}
                | {"limit": targets[kind], "text": text}
            )
    return unmet


def decide(rounds: Sequence[RoundErrors], *, settings: ConvergenceSettings) -> dict[str, Any]:
    """Decide whether the loop has converged after the last of `rounds`.

    Parameters
    ----------
    rounds : sequence of RoundErrors
        All rounds so far, in order.
    settings : ConvergenceSettings
        Thresholds.

    Returns
    -------
    dict
        round, converged, exhausted (max_rounds reached), settled_rounds (in a row, up to now),
        errors ({set: {phase: {metric: value}}}), unmet (list of name, value, limit, text) and
        message.

    Raises
    ------
    HopechoError
        If there are no audit errors, a target is not a metric, or no criterion is set.
    """
    if not rounds or not rounds[-1].samples.get("audit"):
        raise HopechoError(
            "convergence needs the audit errors of at least one round",
            got=f"{len(rounds)} rounds",
            fix="set learning.audit_per_phase >= 2",
        )
    _check(settings)
    last = rounds[-1]
    settled, unmet = _settled_rounds(rounds, settings)
    unmet = unmet + _missed_targets(last, settings.targets)
    converged = not unmet
    exhausted = last.round + 1 >= settings.max_rounds
    return {
        "round": last.round,
        "converged": converged,
        "exhausted": exhausted,
        "settled_rounds": settled,
        "errors": _nested(errors_of(last)),
        "unmet": unmet,
        "message": _message(last.round, unmet),
    }


def _check(settings: ConvergenceSettings) -> None:
    unknown = sorted(set(settings.targets) - set(METRICS))
    if unknown:
        raise HopechoError(
            "unknown target",
            got=", ".join(unknown),
            fix=f"targets are for {', '.join(METRICS)}",
        )
    if settings.patience < 1 and not settings.targets:
        raise HopechoError(
            "nothing would decide on convergence",
            got=f"patience = {settings.patience} and no targets",
            fix="set learning.settled_rounds >= 1 or give learning.target_force_ratio",
        )


def _settled_rounds(
    rounds: Sequence[RoundErrors], settings: ConvergenceSettings
) -> tuple[int, list[dict[str, Any]]]:
    """Count settled rounds back from the last; say what broke the row if it is too short."""
    count = 0
    for before, after in zip(rounds[-2::-1], rounds[:0:-1], strict=True):
        if count == settings.patience:
            break
        against = unsettled(before, after, settings=settings)
        if against:
            return count, against
        count += 1
    if count >= settings.patience:
        return count, []
    text = f"{count} settled rounds in a row, {settings.patience} needed"
    return count, [{"name": "patience", "value": count, "limit": settings.patience, "text": text}]


def _nested(rows: Sequence[tuple[str, str, str, float]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, phase, kind, value in rows:
        tree.setdefault(name, {}).setdefault(phase, {})[kind] = value
    return tree


def _message(round_: int, unmet: Sequence[Mapping[str, Any]]) -> str:
    if not unmet:
        return f"round {round_}: converged"
    return f"round {round_}: not converged: " + "; ".join(str(u["text"]) for u in unmet)
