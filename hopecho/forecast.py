"""What a campaign will cost in CPU time and disk, said before the first expensive job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hopecho.config import Campaign
from hopecho.errors import HopechoError

US_PER_ATOM_STEP = 12.4
"""LAMMPS pair_style uf3 at 5.5/4.0 A, one core (docs/md.md); grows with the triplets."""

BYTES_PER_ATOM_FRAME = 8.0
"""H5MD, float32 positions, gzip and shuffle (measured)."""

US_PER_LI_FRAME = 80.0
"""EFG inference on one core (measured; docs/efg.md)."""


@dataclass(frozen=True)
class Forecast:
    """CPU seconds and bytes of the production part of a campaign."""

    md_cpu_s: float
    efg_cpu_s: float
    disk_bytes: float
    simulated_ns: float


def atoms_in_phase(campaign: Campaign, phase: str) -> int:
    """Atoms of a phase, from its structure file or crystal.

    Raises
    ------
    HopechoError
        If there is no such crystal, or the file cannot be read; names the key.
    """
    from hopecho.structures.build import read_structure
    from hopecho.structures.crystals import load_crystal

    entry = campaign.config["phases"][phase]
    cells = entry["supercell"][0] * entry["supercell"][1] * entry["supercell"][2]
    try:
        if entry["kind"] == "file":
            return len(read_structure(entry["structure"])) * cells
        return len(load_crystal(entry["structure"])) * cells
    except HopechoError as error:
        raise HopechoError(
            f"phases.{phase}.structure: {error.what}", got=error.got, fix=error.fix
        ) from None


def forecast(campaign: Campaign) -> Forecast:
    """Estimate the cost of all production runs and of the tensors of their snapshots."""
    md_cpu_s = efg_cpu_s = disk = simulated_ps = 0.0
    atoms = {p: atoms_in_phase(campaign, p) for ps in campaign.config["run"].values() for p in ps}
    for material in campaign.config["run"]:
        for run in campaign.runs(material):
            n_atoms = atoms[run.phase]
            segments = campaign.segments(run.phase, run.temperature_k)
            length_ps = segments * campaign.get("md.segment_ps") + campaign.get("md.equilibrate_ps")
            frames = length_ps / campaign.get("md.stride_ps")
            steps = length_ps * 1e3 / campaign.get("md.dt_fs")
            md_cpu_s += steps * n_atoms * US_PER_ATOM_STEP * 1e-6
            if campaign.get("labels.efg"):
                efg_cpu_s += frames * n_atoms * 0.4 * US_PER_LI_FRAME * 1e-6
            disk += frames * n_atoms * BYTES_PER_ATOM_FRAME
            simulated_ps += length_ps
    return Forecast(md_cpu_s, efg_cpu_s, disk, simulated_ps * 1e-3)


def forecast_lines(campaign: Campaign) -> Iterator[str]:
    """Say the forecast in words, one line a fact."""
    cost = forecast(campaign)
    rounds, file = campaign.get("learning.max_rounds"), campaign.get("potential.file")
    before = f"one round tests {file}" if file else f"at most {rounds} rounds of learning"
    yield f"hopecho: labels: {campaign.get('labels.source')} ({campaign.get('labels.code')})"
    tensors = f"tensors {cost.efg_cpu_s / 60:.0f} CPU min, " if campaign.get("labels.efg") else ""
    yield (
        f"hopecho: production {cost.simulated_ns:.3g} ns of MD: {cost.md_cpu_s / 60:.0f} CPU min, "
        f"{tensors}{cost.disk_bytes / 1e6:.0f} MB on disk; "
        f"{before} before it"
    )
