"""Remove a campaign's results, or freeze a finished campaign into a folder to be published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hopecho import __version__, own_plan
from hopecho.config import Campaign
from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError
from hopecho.io.results import read_json, sha256, write_json

MANIFEST = "manifest.json"
CAMPAIGN_FILES = ("report.html", "summary.json", "ledger.csv")


def removable(campaign: Campaign) -> Path:
    """Return the campaign's results folder if it may be removed as a whole.

    Raises
    ------
    HopechoError
        There is none, it is a link, or it holds the label store, a checkout or the current folder.
    """
    results = Path(campaign.get("results"))
    if results.is_symlink() or not results.is_dir():
        raise HopechoError("there are no results to remove", got=f"no folder {results}")
    whole = results.resolve()
    kept = {
        "the label store": Path(campaign.get("labels.store")).resolve(),
        "the folder you are in": Path.cwd().resolve(),
        "hopecho itself": PROJECT_ROOT,
    }
    for name, path in kept.items():
        if path.is_relative_to(whole):
            fix = "remove by hand what is not needed"
            raise HopechoError(f"{results} holds {name}", got=str(path), fix=fix)
    return results


def clean(campaign: Campaign) -> str:
    """Remove the campaign's results, never the label store; say what was removed."""
    results = removable(campaign)
    count = sum(path.is_file() for path in results.rglob("*"))
    shutil.rmtree(results)
    return f"removed {results} ({count} files); labels stay in {campaign.get('labels.store')}"


def products(campaign: Campaign) -> dict[str, Path]:
    """Return what is published of a campaign: name in the frozen folder -> file."""
    results = Path(campaign.get("results"))
    found = {name: results / name for name in CAMPAIGN_FILES}
    config = campaign.config
    for material, phases in config["run"].items():
        names = []
        if material in own_plan.learned(config):
            names += ["potential/potential.uf3", "potential/potential.json", "heldout/errors.json"]
        if {own_plan.tensors(config, material, phase) for phase in phases} & {"fit", "file"}:
            names += ["efg/model.npz", "efg/fit.json"]
        found |= {f"{material}/{name}": results / material / name for name in names}
    return found | {"requirements.lock": PROJECT_ROOT / "requirements.lock"}


def freeze(campaign: Campaign, out: Path) -> Iterator[str]:
    """Copy config, lock, potential, model, summary and report to a new folder, with a manifest.

    Parameters
    ----------
    campaign : Campaign
        A finished campaign.
    out : Path
        A folder that does not exist.

    Raises
    ------
    HopechoError
        The campaign is not finished, or `out` exists.
    """
    files = products(campaign)
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        fix = "run snakemake to its end first"
        raise HopechoError("the campaign is not finished", got=f"no {', '.join(missing)}", fix=fix)
    if out.exists():
        raise HopechoError(f"{out} exists", fix="give a folder that does not exist")
    for name, path in files.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    text = yaml.safe_dump(dict(campaign.config), sort_keys=False)
    (out / "config.yaml").write_text(text, encoding="utf-8")
    hashes = {name: sha256(out / name) for name in sorted([*files, "config.yaml"])}
    said = {"hopecho": __version__, "labels": _origins(campaign.config), "sha256": hashes}
    write_json(out / MANIFEST, said)
    yield f"{len(hashes)} files and {MANIFEST} -> {out}"


def _origins(config: Mapping[str, Any]) -> str:
    """What the results rest on: the source of the labels, and data that were brought."""
    found = (
        own_plan.origin(config, material, phase, with_tensors=True)
        for material, phases in config["run"].items()
        for phase in phases
    )
    return "; ".join(dict.fromkeys(found))


def verify_frozen(out: Path) -> Iterator[str]:
    """Compare a frozen campaign with its manifest.

    Raises
    ------
    HopechoError
        A file is missing, changed or unknown; all of them are named.
    """
    if not (out / MANIFEST).is_file():
        raise HopechoError(f"{out} is no frozen campaign", got=f"no {MANIFEST}")
    expected: Mapping[str, Any] = read_json(out / MANIFEST)["sha256"]
    present = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {MANIFEST}
    problems = [f"missing {name}" for name in sorted(set(expected) - present)]
    problems += [f"unknown {name}" for name in sorted(present - set(expected))]
    problems += [
        f"changed {name}"
        for name in sorted(present & set(expected))
        if sha256(out / name) != expected[name]
    ]
    if problems:
        raise HopechoError(f"{out} is not what was frozen", got="; ".join(problems))
    yield f"{len(expected)} files as in {MANIFEST}"
