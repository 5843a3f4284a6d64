"""The analysis half alone: transport and the echo of runs that somebody else has computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hopecho.config import Campaign
from hopecho.correlation.products import analyse_tables
from hopecho.dynamics.rotation import polyanions
from hopecho.dynamics.transport import transport, transport_records, transport_tables
from hopecho.efg.model import load_model
from hopecho.efg.predict import predict_segment
from hopecho.errors import HopechoError
from hopecho.io.h5md import write_segment
from hopecho.io.results import provenance, sha256, write_json, write_products
from hopecho.io.runs import quench_of
from hopecho.own_data import check_together, read_run, run_record
from hopecho.trajectory import Trajectory

Runs = Sequence[Sequence[str | Path]]
"""Consecutive files of every run."""


def own_transport(
    campaign: Campaign,
    *,
    runs: Runs,
    output: Path,
    temperature_k: float,
    quench: Sequence[int] | None = None,
    source: str = "own data",
    material: str | None = None,
    stride_ps: float | None = None,
) -> list[Path]:
    """Analyse the mobility in trajectories of one's own, with the campaign's settings.

    Parameters
    ----------
    campaign : Campaign
        Whose ``materials`` and ``transport`` hold.
    runs : sequence of sequence of path
        Files that `hopecho.own_data.read_run` reads.
    output : Path
        Folder for the results.
    temperature_k : float
        Temperature of the runs, K.
    quench : sequence of int, optional
        Starting structure of every run; each its own if left out.
    source : str
        Whose data they are, said in every file.
    material : str, optional
        Entry of ``materials``; that of ``run`` if left out.
    stride_ps : float, optional
        Time between frames, ps, where files hold none.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    HopechoError
        As `read_run`; for runs of different systems or strides; and as `transport`.
    """
    entry, groups = material_entry(campaign, material), quench_of(runs, quench)
    trajectories = read_all(runs, entry, stride_ps)
    settings = campaign.get("transport")
    result = transport(
        trajectories,
        quench=groups,
        mobile=entry["mobile"],
        oxidation=entry["oxidation"],
        temperature_k=temperature_k,
        hop_distance_angstrom=settings["hop_distance_angstrom"],
        hop_window_ps=settings["hop_window_ps"],
        max_lag_fraction=settings["max_lag_fraction"],
    )
    around = polyanions(
        trajectories,
        [()] * len(trajectories),
        quench=groups,
        masses_u=entry["masses_u"],
        polyanion=entry["polyanion"],
        mobile=entry["mobile"],
        min_residence_ps=settings["hop_window_ps"],
    )
    known = sorted((settings | {"temperature_k": temperature_k}).items())
    origin = provenance(_flat(runs), label_source=source, settings=str(known))
    tables = transport_tables(result)
    tables |= {"rotation": around.columns(), "r_phi": around.r_phi_columns()}
    records = transport_records(result, mobile=entry["mobile"]) | {"rotation": around.record()}
    return write_products(output, tables, records, provenance=origin)


def own_echo(
    campaign: Campaign,
    *,
    runs: Runs,
    output: Path,
    isotope: str = "7Li",
    model: str | None = None,
    quench: Sequence[int] | None = None,
    source: str = "own data",
    material: str | None = None,
    stride_ps: float | None = None,
) -> list[Path]:
    """Analyse tables of field gradients; or, with a model, trajectories whose tensors it predicts.

    Parameters
    ----------
    campaign : Campaign
        Whose ``materials`` and ``correlation`` hold.
    isotope : str
        Probe nucleus.
    model : str, optional
        ``model.npz`` of a campaign: the runs are trajectories then, and tables ``efg{k}.h5`` with
        ``efg{k}.json`` (how far to trust them) are written beside the results.
    runs, output, quench, source, material, stride_ps
        As for `own_transport`.

    Returns
    -------
    list of Path
        Files written.
    """
    written: list[Path] = []
    tables = runs
    quench_of(runs, quench)
    if model is not None:
        entry = material_entry(campaign, material)
        written = [
            path
            for k, files in enumerate(runs)
            for path in _predicted(model, files, entry, output, k, isotope, source, stride_ps)
        ]
        tables = [[path] for path in written if path.suffix == ".h5"]
    return written + analyse_tables(
        tables,
        output,
        quench=quench,
        isotope=isotope,
        seed=campaign.seed("echo"),
        source=source,
        settings=campaign.get("correlation"),
    )


def _predicted(
    model: str,
    files: Sequence[str | Path],
    entry: Mapping[str, Any],
    output: Path,
    number: int,
    isotope: str,
    source: str,
    stride_ps: float | None,
) -> list[Path]:
    """Tensors of a run; the trajectory in between is removed."""
    fitted, run = (
        load_model(model),
        read_run(files, elements=entry["elements"], stride_ps=stride_ps),
    )
    output.mkdir(parents=True, exist_ok=True)
    table, between = output / f"efg{number}.h5", output / f"run{number}.part.h5md"
    said = {"labels": source, "model_sha256": sha256(model)}
    try:
        write_segment(between, run)
        trust = predict_segment(fitted, between, table, isotope=isotope, provenance=said)
    finally:
        between.unlink(missing_ok=True)
    origin = provenance([model, *files], label_source=source)
    write_json(table.with_suffix(".json"), trust, provenance=origin)
    return [table, table.with_suffix(".json")]


def read_all(runs: Runs, entry: Mapping[str, Any], stride_ps: float | None) -> list[Trajectory]:
    """Trajectories of every run; all of one system and stride."""
    read = [read_run(files, elements=entry["elements"], stride_ps=stride_ps) for files in runs]
    check_together([run_record(run, files) for run, files in zip(read, runs, strict=True)])
    return [Trajectory(run.time_ps, run.positions, run.cell, run.numbers) for run in read]


def material_entry(campaign: Campaign, name: str | None) -> Mapping[str, Any]:
    """Entry of `materials` with a name, or of the only material that is run."""
    known, run = campaign.get("materials"), list(campaign.get("run"))
    if name is None and len(run) != 1:
        raise HopechoError("Several materials are run", got=", ".join(run), fix="give --material")
    wanted = name or run[0]
    if wanted not in known:
        raise HopechoError(
            f"There is no material {wanted}",
            got=", ".join(known),
            fix="add it to `materials` in an overlay, and give that with --configfile",
        )
    entry: Mapping[str, Any] = known[wanted]
    return entry


def _flat(runs: Runs) -> list[str | Path]:
    return [path for files in runs for path in files]
