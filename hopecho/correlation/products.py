"""All results of the echo from the tensors of one phase and temperature, as tables and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopecho.correlation.echo import curve_record, echo_curves, ion_columns
from hopecho.correlation.echo_models import EchoPlan, echo_columns, echo_record, model_echoes
from hopecho.correlation.spectrum import density_columns, relaxation_record
from hopecho.correlation.verdict import AcfSettings
from hopecho.io.efg_series import EfgSeries, open_runs
from hopecho.io.results import provenance, write_products
from hopecho.io.runs import quench_of


@dataclass(frozen=True)
class EchoProducts:
    """Content of the files, by name without suffix."""

    tables: dict[str, dict[str, Any]]
    """acf_powder, acf_omega_q, acf_cq, acf_pq, acf_ions, sae, spectral_density: columns of a
    CSV."""
    records: dict[str, dict[str, Any]]
    """acf_powder, acf_omega_q, acf_cq, acf_pq, sae, relaxation: JSON."""


def echo_products(
    runs: Sequence[EfgSeries],
    *,
    quench: Sequence[int],
    isotope: str,
    seed: int,
    settings: Mapping[str, Any],
) -> EchoProducts:
    """Analyse the tensors of all replicas of one phase and temperature.

    Parameters
    ----------
    runs : sequence of EfgSeries
        Tensors of each replica, of one stride.
    quench : sequence of int
        Quench of each replica.
    isotope : str
        Probe nucleus.
    seed : int
        Of the bootstrap.
    settings : mapping
        The keys of ``correlation`` in config.yaml.
    """
    s, efg, stride_ps = settings, [r.efg for r in runs], runs[0].stride_ps
    curves = echo_curves(
        efg,
        stride_ps=stride_ps,
        quench=quench,
        isotope=isotope,
        b0=s["b0"],
        settings=AcfSettings(
            t_min_ps=s["t_min_ps"], stretch=s["stretch"], n_resamples=s["bootstrap"]
        ),
        max_lag_fraction=s["max_lag_fraction"],
        seed=seed,
        average_ps=s["average_ps"],
    )
    run_ps = [x.shape[0] * stride_ps for x in efg]
    records = {
        c.name: curve_record(
            c,
            run_ps=run_ps,
            n_ions=efg[0].shape[1],
            wanted_error=s["wanted_error"],
            max_lag=s["max_lag_fraction"],
        )
        for c in curves
    }
    powder = curves[0].raw
    plan = EchoPlan(tuple(s["echo_tp_us"]), tuple(s["echo_tm_us"]), s["echo_dead_time_us"])
    routes = model_echoes(efg, stride_ps=stride_ps, isotope=isotope, powder=powder, plan=plan)
    nu = curves[0].rms_omega_q_khz
    records["sae"] = echo_record(routes, plan=plan, run_ps=max(run_ps), rms_omega_q_khz=nu)
    records["relaxation"] = relaxation_record(powder, isotope=isotope, fields_t=s["fields_t"])
    tables: dict[str, dict[str, Any]] = {c.name: dict(c.columns()) for c in curves}
    tables["acf_ions"] = dict(ion_columns(curves))
    tables["sae"] = echo_columns(routes)
    tables["spectral_density"] = dict(density_columns(powder))
    return EchoProducts(tables, records)


def analyse_tables(
    runs: Sequence[Sequence[str | Path]],
    output: Path,
    *,
    quench: Sequence[int] | None,
    isotope: str,
    seed: int,
    source: str,
    settings: Mapping[str, Any],
) -> list[Path]:
    """Analyse tables of field gradients of one's own, without any campaign.

    Parameters
    ----------
    runs : sequence of sequence of path
        Consecutive HDF5 tables of every run, as `hopecho.io.efg_table` describes them.
    output : Path
        Folder for the results.
    quench : sequence of int or None
        Which replicas share a starting structure; each is its own if left out.
    isotope, seed, settings
        As for `echo_products`.
    source : str
        What the tensors are, said in every file.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    HopechoError
        If the tables do not have one stride, or not one quench each.
    """
    groups = quench_of(runs, quench)
    with open_runs(runs, scratch=output) as series:
        products = echo_products(
            series, quench=groups, isotope=isotope, seed=seed, settings=settings
        )
    origin = provenance(
        [path for paths in runs for path in paths],
        label_source=source,
        seed=seed,
        settings=str(sorted(settings.items())),
    )
    return write_products(output, products.tables, products.records, provenance=origin)
