"""What the page needs to know of a campaign: its summary, its cases, and where their files are."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.arrays import read_arrays
from hopecho.io.results import read_csv, read_json


class Case(NamedTuple):
    """One phase at one temperature."""

    material: str
    phase: str
    temperature_k: int

    @property
    def folder(self) -> str:
        """Folder of its results, relative to the campaign's."""
        return f"{self.material}/phases/{self.phase}/{self.temperature_k}K"

    def __str__(self) -> str:
        return f"{self.phase}, {self.temperature_k} K"


@dataclass(frozen=True)
class CampaignView:
    """A finished campaign, read only."""

    results: Path
    summary: Mapping[str, Any]

    @property
    def materials(self) -> list[str]:
        """Materials, in the order of the claims."""
        return list(dict.fromkeys(c["material"] for c in self.summary["claims"]))

    @property
    def own(self) -> Mapping[str, Mapping[str, Any]]:
        """Phases of each material whose trajectories the user brought."""
        return dict(self.summary.get("own", {}))

    @property
    def labelled(self) -> bool:
        """Whether anything rests on labels."""
        return bool(self.summary["learning"]) or not self.own

    @property
    def footer(self) -> str:
        """What every figure says about its labels, and about data that were brought."""
        own = {p: known["tensors"] for phases in self.own.values() for p, known in phases.items()}
        tables = [p for p, how in own.items() if how == "table"]
        said = [f"labels: {self.summary['labels']}"] if self.labelled else []
        said += [f"own trajectories: {', '.join(own)}"] if own else []
        said += [f"own tensors: {', '.join(tables)}"] if tables else []
        return "; ".join(said)

    @property
    def tensors(self) -> bool:
        """Whether the campaign has field gradients, and with them an echo."""
        return bool(self.echo_cases)

    @cached_property
    def echo_cases(self) -> list[Case]:
        """Cases with field gradients."""
        return [c for c in self.cases if self.claim(c, "tau_sae") is not None]

    def echo_of(self, material: str) -> list[Case]:
        """Cases of one material with field gradients."""
        return [c for c in self.echo_cases if c.material == material]

    def learned(self, material: str) -> bool:
        """Whether a material has labels and a potential."""
        return material in self.summary["learning"]

    def tested(self, material: str) -> bool:
        """Whether a model of the tensors was compared with held-out labels."""
        phases = self.summary["heldout"].get(material, {}).values()
        return material in self.summary["efg"] and any("efg" in errors for errors in phases)

    @cached_property
    def cases(self) -> list[Case]:
        """Phases and temperatures, in the order of the claims."""
        claims = self.summary["claims"]
        keys = ((c["material"], c["phase"], c["temperature_k"]) for c in claims)
        return [Case(*key) for key in dict.fromkeys(keys)]

    def of_material(self, material: str) -> list[Case]:
        """Cases of one material."""
        return [c for c in self.cases if c.material == material]

    def phases(self, material: str) -> list[str]:
        """Phases of one material; their order fixes colours."""
        return list(dict.fromkeys(c.phase for c in self.of_material(material)))

    def heldout_phases(self, material: str) -> list[str]:
        """Phases with held-out errors, those of production first."""
        known = self.summary["heldout"][material]
        return list(dict.fromkeys([p for p in self.phases(material) if p in known] + list(known)))

    def temperatures(self, material: str) -> list[int]:
        """Temperatures of one material, K."""
        return list(dict.fromkeys(c.temperature_k for c in self.of_material(material)))

    def claim(self, case: Case, name: str, curve: str | None = None) -> Mapping[str, Any] | None:
        """Return the claim of a case, None if the campaign does not make it.

        Where there is one a curve or an element, `curve` names it.
        """
        for c in self.summary["claims"]:
            same = (c["material"], c["phase"], c["temperature_k"]) == case
            if same and c["claim"] == name and curve in (None, c.get("curve"), c.get("element")):
                return dict(c)
        return None

    def short(self, path: str) -> str:
        """Return a path relative to the campaign's folder, wherever that was."""
        for material in self.materials:
            _, found, rest = f"/{path}".partition(f"/{material}/")
            if found:
                return f"{material}/{rest}"
        return Path(path).name

    def table(self, relative: str) -> pd.DataFrame:
        """Read one CSV of the campaign."""
        path = self.results / relative
        if not path.is_file():
            raise HopechoError(
                "a file that the report draws is missing", got=str(path), fix="run its rule again"
            )
        return read_csv(path)

    def record(self, relative: str) -> dict[str, Any]:
        """Read one JSON object of the campaign."""
        return read_json(self.results / relative)

    def parity(self, material: str) -> dict[str, NDArray[Any]]:
        """Read true and predicted values on held-out frames: ``phase/quantity`` -> (n, 2)."""
        return read_arrays(self.results / material / "heldout/parity.npz")


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Read the settings back from a product's provenance; empty if they are not a list of pairs."""
    written = str(record.get("provenance", {}).get("settings", ""))
    try:
        return dict(ast.literal_eval(written))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return {}


def unmet(status: Mapping[str, Any]) -> Sequence[str]:
    """Return the criteria that a round missed, as sentences."""
    # A ratio has the unit "1" there, which reads like a number.
    return [
        str(entry["text"]).replace(" 1, target", ", target") for entry in status.get("unmet", ())
    ]
