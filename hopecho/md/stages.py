"""The MD stages of a campaign, from the settings of a rule to structures, frames and segments.

`settings` are the named values that a rule passes: ``elements``, ``masses_u``, ``polyanion``,
``command`` and the keys that each function names.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.io.uf3 import read_uf3
from hopecho.labels import model_pes
from hopecho.md.anneal import MELT_DISPLACEMENT, equilibrate, run_quench
from hopecho.md.guards import GateLimits
from hopecho.md.lammps_input import MIN_DISTANCE, Limits, Thermostat
from hopecho.md.pair_style import pair_commands, pair_style
from hopecho.md.plan import SegmentPlan
from hopecho.md.potentials import Species
from hopecho.md.sampling import run_sampling_md
from hopecho.md.segments import SegmentOutputs, SegmentSummary, run_segment
from hopecho.md.wall_time import deadline
from hopecho.structures.bonds import bond_report
from hopecho.structures.build import read_structure, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.structures.disorder import disorder
from hopecho.structures.quench import GRAM_PER_AMU, QuenchPlan

LOG = logging.getLogger(__name__)

Settings = Mapping[str, Any]
CM3_PER_A3 = 1e-24


def limits_of(potential: Path, temperature_k: float, *, every: int = 50) -> Limits:
    """Guards of a run; LAMMPS's own ``uf3`` says nothing below the first knot of a pair."""
    knots = [float(pair.knots[0]) for pair in read_uf3(potential).two_body.values()]
    return Limits.for_temperature(
        temperature_k, min_distance=max(MIN_DISTANCE, *knots), every=every
    )


def species_of(settings: Settings) -> Species:
    """Elements in the order of the LAMMPS types, with their masses."""
    return Species.of(settings["elements"], masses=settings["masses_u"])


def bonds_of(settings: Settings) -> tuple[str, str, float]:
    """Centre, ligand and longest bond (A) of the polyanion."""
    p = settings["polyanion"]
    return p["centre"], p["ligand"], p["cutoff_angstrom"]


def make_start(settings: Settings, *, scratch: Path) -> Atoms:
    """Build a starting structure: a crystal's or a file's supercell, or a quench of it.

    Parameters
    ----------
    settings : mapping
        Also ``kind``, ``structure``, ``supercell``, ``seed`` and, for a glass, ``build``.
    scratch : Path
        Working folder of the quench.

    Raises
    ------
    HopechoError
        If the structure holds an element that the material does not list, or MD fails.
    """
    if settings["kind"] == "file":
        cell = read_structure(settings["structure"])
    else:
        cell = load_crystal(settings["structure"])
    crystal = supercell(cell, settings["supercell"])
    unknown = sorted(set(crystal.get_chemical_symbols()) - set(settings["elements"]))
    if unknown:
        raise HopechoError(
            f"the structure {settings['structure']} holds an element that the material lacks",
            got=", ".join(unknown),
            fix="add it to materials.<m>.elements or correct phases.<p>.structure",
        )
    if settings["kind"] != "glass":
        return crystal
    return _make_glass(crystal, settings, scratch=scratch)


def _make_glass(crystal: Atoms, settings: Settings, *, scratch: Path) -> Atoms:
    """Quench until a glass is disordered and its units are whole; each attempt has its own seed."""
    build = dict(settings["build"])
    build.pop("engine")
    limits = {k: build.pop(k) for k in ("attempts", "min_melt_msd_a2", "max_order")}
    faults = []
    for attempt in range(limits["attempts"]):
        glass = run_quench(
            crystal,
            QuenchPlan(**build),
            model_pes.lammps_commands(settings["elements"]),
            species=species_of(settings),
            scratch=scratch,
            seed=settings["seed"] + attempt,
            command=settings["command"],
        )
        fault = _glass_fault(structure_report(glass, settings), limits)
        if not fault:
            return glass
        LOG.info("quench with seed %d discarded: %s", settings["seed"] + attempt, fault)
        faults.append(fault)
    raise HopechoError(
        f"no acceptable glass in {limits['attempts']} melt-quenches",
        got="; ".join(faults),
        fix="raise phases.<p>.build.melt_ps, or lower melt_temperature_k if units break",
    )


def _glass_fault(report: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Say what is wrong with a quenched structure; empty if nothing."""
    order, msd = report["order"]["order_parameter"], report["melt_msd_a2"]
    if not report["bonds"]["whole"]:
        return f"broken or merged units: coordination {report['bonds']['coordination']}"
    if msd < limits["min_melt_msd_a2"]:
        return f"the melt moved its centres by {msd:.1f} A2 only (build.min_melt_msd_a2)"
    if order > limits["max_order"]:
        return f"order parameter {order:.2f} (build.max_order)"
    return ""


def structure_report(atoms: Atoms, settings: Settings) -> dict[str, Any]:
    """Measure what a structure is: density, cell, bond graph, and the order of its centres."""
    centre, ligand, cutoff = bonds_of(settings)
    bonds = bond_report(atoms, centre=centre, ligand=ligand, cutoff=cutoff)
    order = disorder(atoms, element=centre)
    volume = atoms.get_volume()
    moved = atoms.arrays.get(MELT_DISPLACEMENT)
    centres = atoms.symbols == centre
    widths = volume / np.linalg.norm(np.cross(atoms.cell[[1, 2, 0]], atoms.cell[[2, 0, 1]]), axis=1)
    return {
        "n_atoms": len(atoms),
        "formula": atoms.get_chemical_formula("hill"),
        "density_g_cm3": atoms.get_masses().sum() * GRAM_PER_AMU / (volume * CM3_PER_A3),
        "cell_angstrom": atoms.cell.cellpar().tolist(),
        "shortest_width_angstrom": float(widths.min()),
        "bonds": asdict(bonds) | {"whole": bonds.whole},
        "order": asdict(order),
        "melt_msd_a2": None if moved is None else float((moved[centres] ** 2).sum(1).mean()),
        "provenance_flag": atoms.info.get("provenance", ""),
        "source": atoms.info.get("source", ""),
    }


def anneal_structure(
    start: Atoms, potential: Path, settings: Settings, *, scratch: Path
) -> tuple[Atoms, dict[str, Any]]:
    """Bring a starting structure to the accepted potential: thermostatted MD at fixed cell.

    Parameters
    ----------
    start : Atoms
        Starting structure.
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        Also ``temperature_k``, ``equilibrate_ps``, ``damping_ps``, ``dt_fs``, ``seed``.
    scratch : Path
        Working folder.

    Returns
    -------
    structure, report
        The last frame, wrapped, and what the run measured.

    Raises
    ------
    HopechoError
        If the potential did not survive.
    """
    length = max(settings["equilibrate_ps"], 1.0)
    result = run_sampling_md(
        start,
        pair_commands(potential, settings),
        species=species_of(settings),
        thermostat=Thermostat("nvt", settings["temperature_k"], settings["damping_ps"]),
        length_ps=length,
        stride_ps=length,
        dt_fs=settings["dt_fs"],
        seed=settings["seed"],
        scratch=scratch,
        command=settings["command"],
        limits=limits_of(potential, settings["temperature_k"], every=10),
        bonds=bonds_of(settings),
    )
    if not result.passed:
        raise HopechoError(
            "the accepted potential did not survive the equilibration of a structure",
            got=result.reason,
            fix="raise learning.md_ps or learning.seeds, so that such a potential is not accepted",
        )
    structure = result.frames[-1].copy()
    structure.wrap()
    structure.info = dict(start.info)
    return structure, structure_report(structure, settings) | {"run": result.record(phase="")}


def sample(
    start: Atoms, potential: Path, settings: Settings, *, scratch: Path
) -> tuple[list[Atoms], dict[str, Any]]:
    """Run short MD of a candidate potential; an explosion is a result, not an error.

    Parameters
    ----------
    start : Atoms
        Starting structure.
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        Also ``phase``, ``temperature_k``, ``md_ps``, ``stride_ps``, ``dt_fs``, ``seed`` and
        ``trajectory`` (the name that its frames carry).
    scratch : Path
        Working folder.

    Returns
    -------
    frames, record
        Frames with their origin in info, and the record that the gate judges.
    """
    stride = max(1, math.floor(settings["stride_ps"] * 1e3 / settings["dt_fs"] + 1e-6))
    result = run_sampling_md(
        start,
        pair_commands(potential, settings),
        species=species_of(settings),
        thermostat=Thermostat("nvt", settings["temperature_k"], 1.0),
        length_ps=settings["md_ps"],
        stride_ps=stride * settings["dt_fs"] * 1e-3,
        dt_fs=settings["dt_fs"],
        seed=settings["seed"],
        scratch=scratch,
        command=settings["command"],
        limits=limits_of(potential, settings["temperature_k"], every=10),
        bonds=bonds_of(settings),
    )
    frames = [frame.copy() for frame in result.frames]
    for frame in frames:
        frame.info = {
            "phase": settings["phase"],
            "temperature_k": settings["temperature_k"],
            "seed": settings["seed"],
            "trajectory": settings["trajectory"],
            "unstable": not result.passed,
        }
    record = result.record(phase=settings["phase"])
    return frames, record | {"trajectory": settings["trajectory"]}


def raise_unless_survived(record: Mapping[str, Any]) -> None:
    """Stop where an accepted potential explodes: its errors on other frames would look good.

    Raises
    ------
    HopechoError
        If the run of the record did not reach its end.
    """
    if not record["passed"]:
        raise HopechoError(
            f"the accepted potential did not survive the held-out run {record['trajectory']}",
            got=record["reason"],
            fix="raise learning.md_ps or learning.seeds, so that such a potential is not accepted",
        )


def equilibrate_run(
    structure: Atoms, potential: Path, settings: Settings, *, scratch: Path, restart: Path
) -> dict[str, Any]:
    """Equilibrate a production run; the restart file is its start."""
    return equilibrate(
        structure,
        pair_commands(potential, settings),
        species=species_of(settings),
        thermostat=production_thermostat(settings),
        length_ps=settings["equilibrate_ps"],
        dt_fs=settings["dt_fs"],
        seed=settings["seed"],
        scratch=scratch,
        restart=restart,
        command=settings["command"],
        limits=limits_of(potential, settings["temperature_k"]),
    )


def production_thermostat(settings: Settings) -> Thermostat:
    """Ensemble of the production runs."""
    return Thermostat(settings["ensemble"], settings["temperature_k"], settings["damping_ps"])


def production_segment(
    structure: Atoms,
    potential: Path,
    settings: Settings,
    *,
    start: Path,
    scratch: Path,
    outputs: SegmentOutputs,
) -> SegmentSummary:
    """Run one production segment, or the rest of it.

    Parameters
    ----------
    structure : Atoms
        The structure that the run started from.
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        Also ``segment``, ``replica``, ``temperature_k``, ``ensemble``, ``damping_ps``, ``dt_fs``,
        ``stride_ps``, ``segment_ps``, ``chunks_per_segment``,
        ``mobile``, ``seed``, ``max_wall_min``.
    start : Path
        Restart file of the segment before, or of the equilibration.
    scratch, outputs
        Working folder and files to write.

    Raises
    ------
    HopechoError
        When MD stops. A failed gate is written to the summary and named in the report.
    """
    end = deadline(settings["max_wall_min"])
    plan = SegmentPlan.from_times(
        index=settings["segment"],
        replica=settings["replica"],
        thermostat=production_thermostat(settings),
        dt_fs=settings["dt_fs"],
        stride_ps=settings["stride_ps"],
        segment_ps=settings["segment_ps"],
        chunks=settings["chunks_per_segment"],
        seed=settings["seed"],
        limits=limits_of(potential, settings["temperature_k"]),
    )
    style = pair_style(potential, settings)
    return run_segment(
        plan,
        structure,
        restart=start,
        pair_commands=style.commands,
        about={"pair_style": style.name, "pair_style_reason": style.reason},
        deadline=end,
        species=species_of(settings),
        scratch=scratch,
        outputs=outputs,
        command=settings["command"],
        gates=GateLimits(
            mobile=settings["mobile"],
            bonds=bonds_of(settings),
        ),
    )
