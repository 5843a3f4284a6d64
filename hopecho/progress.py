"""Where a campaign stands: rounds, nanoseconds done, failures, and the cost that is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hopecho.config import Campaign
from hopecho.forecast import US_PER_ATOM_STEP, atoms_in_phase
from hopecho.io.results import read_json


def status_lines(campaign: Campaign) -> Iterator[str]:
    """Say, one line a fact, how far the campaign in the config's results folder has come."""
    results = Path(campaign.get("results"))
    for material in campaign.config["run"]:
        yield from _learning(campaign, results / material)
        yield from _production(campaign, results / material, material)
    sets = [read_json(path)["quarantined"] for path in results.glob("*/*/**/labelled.json")]
    yield f"labels quarantined: {len({key for quarantined in sets for key in quarantined})}"
    page = results / "report.html"
    yield f"report: {page if page.is_file() else 'not yet'}"


def _learning(campaign: Campaign, folder: Path) -> Iterator[str]:
    done = sorted(folder.glob("al/*/status.json"), key=lambda p: int(p.parent.name))
    limit = 1 if campaign.get("potential.file") else campaign.get("learning.max_rounds")
    if not done:
        yield f"{folder.name}: no round of learning finished (at most {limit})"
        return
    # Rounds after an accepted one are left from other settings.
    last = next((path for path in done if read_json(path)["accepted"]), done[-1])
    status = read_json(last)
    unmet = "; ".join(gate["text"] for gate in status["unmet"])
    state = "accepted" if status["accepted"] else f"not accepted: {unmet}"
    yield f"{folder.name}: round {last.parent.name} of at most {limit - 1}, {state}"


def _production(campaign: Campaign, folder: Path, material: str) -> Iterator[str]:
    total_cpu_s = 0.0
    for phase in campaign.config["run"][material]:
        n_atoms = atoms_in_phase(campaign, phase)
        for temperature in campaign.get("md.temperatures_k"):
            wanted = done = 0
            for run in campaign.runs(material, phase, temperature):
                path = folder / f"phases/{phase}/quench{run.quench}/{temperature}K"
                segments = campaign.segments(phase, temperature)
                files = [path / f"replica{run.replica}/segment{s}.json" for s in range(segments)]
                wanted += segments
                done += sum(file.is_file() for file in files)
            length_ps = campaign.get("md.segment_ps")
            steps_left = (wanted - done) * length_ps * 1e3 / campaign.get("md.dt_fs")
            total_cpu_s += steps_left * n_atoms * US_PER_ATOM_STEP * 1e-6
            yield (
                f"{material} {phase} {temperature} K: {done * length_ps * 1e-3:.3f} of "
                f"{wanted * length_ps * 1e-3:.3f} ns"
            )
    yield f"{material}: MD left: {total_cpu_s / 60:.0f} CPU min"
