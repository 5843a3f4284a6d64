"""Has the round's potential converged, and did its MD stay sane? Steers the rounds."""

from pathlib import Path

from hopecho.io.results import read_json
from hopecho.learning.acceptance import GateSettings, gate
from hopecho.learning.convergence import ConvergenceSettings, decide
from hopecho.learning.samples import ErrorSample, RoundErrors
from hopecho.learning.status import build_status, status_text
from hopecho.script import arguments, run

UNLIMITED = 10**6  # the workflow itself counts the rounds, so that max_rounds is no parameter


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "status", lists=["errors", "runs"])
    s = args.settings
    errors = [read_json(path) for path in args.errors]
    rounds = [
        RoundErrors(r, {n: ErrorSample.from_dict(e[n]) for n in ("audit", "held_out")})
        for r, e in enumerate(errors)
    ]
    settings = ConvergenceSettings(
        max_rounds=UNLIMITED,
        patience=s.get("settled_rounds", 0),  # a potential made elsewhere has one round
        tolerance=s["max_relative_change"],
        max_noise=s["max_noise"],
        targets={
            "force_relative": s["target_force_ratio"],
            "rmse_energy": s["target_energy_ev_atom"],
        },
        seed=s["seed"],
    )
    limits = GateSettings(
        max_temperature_sigma=s["max_temperature_sigma"],
        min_distance=s["min_distance_angstrom"],
        max_drift=s["max_drift_ev_atom_ps"],
    )
    status = build_status(
        decide(rounds, settings=settings),
        gate([read_json(path) for path in args.runs], settings=limits),
        accept_unconverged=False,
        n_training=len(errors[-1]["training"]["ids"]) if "settled_rounds" in s else 0,
        n_selected=0,
    )
    Path(args.status).write_text(status_text(status))


if __name__ == "__main__":
    run(main)
