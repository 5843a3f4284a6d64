"""Correlation functions of the tensors of one phase and temperature, with fits and verdicts."""

import pandas as pd

from hopecho.correlation.echo import curve_record, echo_curves
from hopecho.correlation.echo_models import EchoPlan, echo_columns, echo_record, model_echoes
from hopecho.correlation.spectrum import density_columns, relaxation_record
from hopecho.correlation.verdict import AcfSettings
from hopecho.io.efg_table import read_efg
from hopecho.io.results import provenance, write_csv, write_json
from hopecho.io.runs import group_runs
from hopecho.script import arguments, run

FILES = ("sae", "sae_json", "spectrum", "relaxation")


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", *FILES, lists=["efg", "csv", "json"])
    s = args.settings
    runs = group_runs(args.efg)
    tables = [read_efg(r.paths) for r in runs]
    stride_ps = float(tables[0].time_ps[1] - tables[0].time_ps[0])
    curves = echo_curves(
        [t.efg for t in tables],
        stride_ps=stride_ps,
        quench=[r.quench for r in runs],
        isotope=s["isotope"],
        b0=s["b0"],
        settings=AcfSettings(
            t_min_ps=s["t_min_ps"], stretch=s["stretch"], n_resamples=s["bootstrap"]
        ),
        max_lag_fraction=s["max_lag_fraction"],
        seed=s["seed"],
    )
    origin = provenance(
        args.efg, label_source=s["source"], seed=s["seed"], settings=str(sorted(s.items()))
    )
    known = {"max_lag": s["max_lag_fraction"], "wanted_error": s["wanted_error"]}
    known |= {"run_ps": [len(t.time_ps) * stride_ps for t in tables]}
    for curve, csv, json in zip(curves, args.csv, args.json, strict=True):
        write_csv(csv, pd.DataFrame(curve.columns()), provenance=origin)
        record = curve_record(curve, n_ions=tables[0].efg.shape[1], **known)
        write_json(json, record, provenance=origin)
    powder, efg = curves[0].raw, [t.efg for t in tables]
    plan = EchoPlan(tuple(s["echo_tp_us"]), tuple(s["echo_tm_us"]), s["echo_dead_time_us"])
    known = {"stride_ps": stride_ps, "isotope": s["isotope"], "powder": powder, "plan": plan}
    routes = model_echoes(efg, **known)
    write_csv(args.sae, pd.DataFrame(echo_columns(routes)), provenance=origin)
    longest = max(len(e) for e in efg) * stride_ps
    nu = curves[0].rms_omega_q_khz
    record = echo_record(routes, plan=plan, run_ps=longest, rms_omega_q_khz=nu)
    write_json(args.sae_json, record, provenance=origin)
    write_csv(args.spectrum, pd.DataFrame(density_columns(powder)), provenance=origin)
    record = relaxation_record(powder, isotope=s["isotope"], fields_t=s["fields_t"])
    write_json(args.relaxation, record, provenance=origin)


if __name__ == "__main__":
    run(main)
