"""What a campaign will cost in CPU time, wall time and disk, said before it starts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hopecho import own_plan
from hopecho.config import Campaign, Run
from hopecho.errors import HopechoError
from hopecho.io.results import read_json

US_PER_ATOM_STEP = {"uf3": 9.63, "uf3/fast": 1.05}
"""CPU time of an atom and step at cutoffs of 5.5 / 4.0 A, us (docs/performance.md)."""
CUTOFF_3B_ANGSTROM = 4.0
"""Three-body cutoff of those numbers; the cost follows the number of triplets, its sixth power."""

BYTES_PER_ATOM_FRAME = 8.0
"""H5MD, float32 positions, gzip and shuffle (measured)."""

US_PER_LI_FRAME = 80.0
"""EFG inference on one core (measured; docs/efg.md)."""


@dataclass(frozen=True)
class PhaseCost:
    """Production of one phase at one temperature: what is there, and what the rest will cost."""

    material: str
    phase: str
    temperature_k: int
    n_atoms: int
    total_ns: float
    """Of all runs, equilibration left out."""
    done_ns: float
    left_ns: float
    """Still to be simulated, equilibration included."""
    longest_ns: float
    """Of one run, whose segments follow one another."""
    us_per_atom_step: float
    measured: bool
    """On finished segments of the phase in this campaign; else assumed."""
    cpu_s: float
    """Of what is left."""
    longest_s: float
    """CPU time of what is left of the longest run."""

    def words(self) -> str:
        """Say it in one line."""
        how = "measured" if self.measured else "assumed"
        return (
            f"{self.material} {self.phase} {self.temperature_k} K: {self.done_ns:.3f} of "
            f"{self.total_ns:.3f} ns; {self.n_atoms} atoms, {self.us_per_atom_step:.3g} us an atom "
            f"and step ({how}), {self.cpu_s / 3600:.2g} CPU h left"
        )


@dataclass(frozen=True)
class Forecast:
    """CPU seconds and bytes of what is left of the production part of a campaign."""

    md_cpu_s: float
    efg_cpu_s: float
    disk_bytes: float
    simulated_ns: float
    phases: tuple[PhaseCost, ...]
    pair_style: str
    """The one that will run, and why not the one that is configured."""

    def wall_s(self, cores: int, ranks: int = 1) -> float:
        """Wall time on so many cores: all work shared, but no run faster than its own chain."""
        longest = max((phase.longest_s for phase in self.phases), default=0.0)
        return max((self.md_cpu_s + self.efg_cpu_s) / max(cores, 1), longest / max(ranks, 1))


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


@functools.lru_cache
def _style(wanted: str, command: str) -> tuple[str, str]:
    """Pair style that will run, and the reason if it is another than the one wanted."""
    from hopecho.md.fast_style import unavailable

    why = unavailable(command) if wanted == "uf3/fast" else ""
    return ("uf3", f"uf3, not {wanted}: {why}") if why else (wanted, wanted)


def measured_cost(campaign: Campaign, material: str, phase: str) -> float | None:
    """CPU time of an atom and step in this campaign's finished segments of a phase, us; or None."""
    folder = Path(campaign.get("results")) / "logs/segment"
    records = [
        read_json(path)
        for run in campaign.runs(material, phase)
        for path in folder.glob(
            f"{material}-{phase}-{run.quench}-{run.temperature_k}K-{run.replica}-*.json"
        )
    ]
    atom_steps = sum(record["atom_steps"] for record in records)
    return sum(record["cpu_s"] for record in records) * 1e6 / atom_steps if atom_steps else None


def _left(campaign: Campaign, run: Run) -> tuple[int, float]:
    """Finished segments of a run, and what is left to be simulated, ps."""
    folder = Path(campaign.get("results")).joinpath(
        *(run.material, "phases", run.phase, f"quench{run.quench}", f"{run.temperature_k}K"),
        f"replica{run.replica}",
    )
    wanted = campaign.segments(run.phase, run.temperature_k)
    length_ps: float = campaign.get("md.segment_ps")
    files = [path for s in range(wanted) if (path := folder / f"segment{s}.json").is_file()]
    # Segments of another length will be computed again.
    done = sum(read_json(path).get("length_ps", length_ps) == length_ps for path in files)
    left_ps = (wanted - done) * length_ps
    if not done and not (folder / "equilibrated.restart").is_file():
        left_ps += campaign.get("md.equilibrate_ps")
    return done, left_ps


def phase_cost(
    campaign: Campaign, material: str, phase: str, temperature_k: int, *, style: str
) -> PhaseCost:
    """Cost of one phase at one temperature, with the pair style that will run."""
    n_atoms = atoms_in_phase(campaign, phase)
    us = measured_cost(campaign, material, phase)
    reach = campaign.get("potential.cutoff_3b_angstrom") / CUTOFF_3B_ANGSTROM
    assumed = US_PER_ATOM_STEP[style] * reach**6
    s_per_ps = (us or assumed) * 1e-6 * n_atoms * 1e3 / campaign.get("md.dt_fs")
    runs = [_left(campaign, run) for run in campaign.runs(material, phase, temperature_k)]
    segment_ns = campaign.get("md.segment_ps") * 1e-3
    left_ps = sum(left for _, left in runs)
    longest_ps = max(left for _, left in runs)
    return PhaseCost(
        material=material,
        phase=phase,
        temperature_k=temperature_k,
        n_atoms=n_atoms,
        total_ns=len(runs) * campaign.segments(phase, temperature_k) * segment_ns,
        done_ns=sum(done for done, _ in runs) * segment_ns,
        left_ns=left_ps * 1e-3,
        longest_ns=longest_ps * 1e-3,
        us_per_atom_step=us or assumed,
        measured=us is not None,
        cpu_s=left_ps * s_per_ps,
        longest_s=longest_ps * s_per_ps,
    )


def forecast(campaign: Campaign) -> Forecast:
    """Estimate the cost of what is left of all runs that are simulated, and of their tensors.

    Finished segments in the results folder count as done, and tell what an atom and step costs.
    """
    cases = [c for c in campaign.cases() if not own_plan.is_own(campaign.config, c.phase)]
    if not cases:
        return Forecast(0.0, 0.0, 0.0, 0.0, (), "none")
    style, words = _style(campaign.get("md.lammps.pair_style"), campaign.get("md.lammps.command"))
    phases = tuple(
        phase_cost(campaign, c.material, c.phase, c.temperature_k, style=style) for c in cases
    )
    stride_ns = campaign.get("md.stride_ps") * 1e-3
    atom_frames = sum(p.left_ns / stride_ns * p.n_atoms for p in phases)
    tensors = atom_frames * 0.4 * US_PER_LI_FRAME * 1e-6 if _predicts(campaign) else 0.0
    return Forecast(
        md_cpu_s=sum(p.cpu_s for p in phases),
        efg_cpu_s=tensors,
        disk_bytes=atom_frames * BYTES_PER_ATOM_FRAME,
        simulated_ns=sum(p.left_ns for p in phases),
        phases=phases,
        pair_style=words,
    )


def forecast_lines(campaign: Campaign, cores: int | None = None) -> Iterator[str]:
    """Say the forecast in words, one line a fact.

    Parameters
    ----------
    campaign : Campaign
        What is asked for.
    cores : int, optional
        Cores that it may use, for the wall time.
    """
    yield from (f"hopecho: {line}" for line in own_lines(campaign))
    if not own_plan.learned(campaign.config):
        yield "hopecho: nothing to simulate: no labels, no potential, no MD"
        return
    cost = forecast(campaign)
    rounds, file = campaign.get("learning.max_rounds"), campaign.get("potential.file")
    before = f"one round tests {file}" if file else f"at most {rounds} rounds of learning"
    yield f"hopecho: labels: {campaign.get('labels.source')} ({campaign.get('labels.code')})"
    yield f"hopecho: pair style {cost.pair_style}"
    for phase in cost.phases:
        yield f"hopecho: {phase.words()}"
    tensors = f"tensors {cost.efg_cpu_s / 60:.0f} CPU min, " if _predicts(campaign) else ""
    yield (
        f"hopecho: production {cost.simulated_ns:.3g} ns of MD to do: {cost.md_cpu_s / 60:.0f} CPU "
        f"min, {tensors}{wall_words(campaign, cost, cores)}{cost.disk_bytes / 1e6:.0f} MB on disk; "
        f"{before} before it"
    )


def _predicts(campaign: Campaign) -> bool:
    """Whether tensors of simulated phases are predicted."""
    return bool(campaign.get("labels.efg") or campaign.get("efg.file"))


def own_lines(campaign: Campaign) -> Iterator[str]:
    """Say what is brought, one line a phase and temperature."""
    words = {
        "table": "tensors of your own",
        "file": f"tensors by {campaign.get('efg.file')}",
        "fit": "tensors by the fitted model",
        "": "no tensors: give phases.<phase>.efg or efg.file",
    }
    for c in campaign.cases():
        if own_plan.is_own(campaign.config, c.phase):
            n = len(list(campaign.runs(c.material, c.phase, c.temperature_k)))
            how = words[own_plan.tensors(campaign.config, c.material, c.phase)]
            yield (
                f"{c.material} {c.phase} {c.temperature_k} K: "
                f"{n} {'run' if n == 1 else 'runs'} of your own, {how}"
            )


def wall_words(campaign: Campaign, cost: Forecast, cores: int | None) -> str:
    """Say the wall time on a number of cores; empty if that is not known."""
    if not cores:
        return ""
    ranks = campaign.get("md.resources.cpus")
    return f"about {cost.wall_s(cores, ranks) / 3600:.2g} h on {cores} cores, "
