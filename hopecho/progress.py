"""Where a campaign stands: rounds, nanoseconds done, failures, and the cost that is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hopecho import own_plan
from hopecho.config import Campaign
from hopecho.forecast import forecast, own_lines, wall_words
from hopecho.io.results import read_json


def status_lines(campaign: Campaign, cores: int | None = None) -> Iterator[str]:
    """Say, one line a fact, how far the campaign in the config's results folder has come.

    Parameters
    ----------
    campaign : Campaign
        What is asked for.
    cores : int, optional
        Cores that it may use, for the wall time that is left.
    """
    results = Path(campaign.get("results"))
    cost = forecast(campaign)
    yield from own_lines(campaign)
    for material in own_plan.learned(campaign.config):
        yield from _learning(campaign, results / material)
        own = [phase for phase in cost.phases if phase.material == material]
        yield from (phase.words() for phase in own)
        yield f"{material}: MD left: {sum(phase.cpu_s for phase in own) / 60:.0f} CPU min"
    if own_plan.learned(campaign.config):
        wall = wall_words(campaign, cost, cores)
        yield f"production left: {wall}{cost.disk_bytes / 1e6:.0f} MB on disk"
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
