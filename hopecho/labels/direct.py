"""Backend ``model_pes``: the model surface called directly, without files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.labels import model_efg, model_pes
from hopecho.labels.interface import (
    Label,
    LabelFailure,
    cpu_seconds,
    settings_hash,
    structure_hash,
)
from hopecho.labels.quality import Gates, efg_reasons, results_reasons
from hopecho.versions import surface_identity

if TYPE_CHECKING:
    from ase import Atoms


class DirectBackend:
    """Model surface and model field gradients in this process.

    Parameters
    ----------
    command : str, optional
        Must be None: there is nothing to run.
    settings : mapping
        Must be empty: the surface has no settings.
    dataset : str
        Name of the data set.
    gates : Gates
        Limits on results.

    Raises
    ------
    HopechoError
        A command or settings were given.
    """

    code = "model_pes"
    source = "model PES"

    def __init__(
        self, *, command: str | None, settings: Mapping[str, Any], dataset: str, gates: Gates
    ) -> None:
        if command or settings:
            raise HopechoError(
                "labels.code: model_pes takes no command and no settings",
                got=f"command {command!r}, settings {dict(settings)!r}",
                fix="leave command and settings out, or set labels.code: castep",
            )
        numbers = f"{model_pes.RESULT_VERSION}.{model_efg.RESULT_VERSION}"
        self.version = f"{numbers}-{surface_identity()}"
        self.settings = settings_hash({"result_version": self.version})
        self.dataset = dataset
        self._gates = gates
        self._surface = model_pes.ModelPes()

    def compute(
        self, atoms: Atoms, directory: Path, *, efg: bool = True, base: Label | None = None
    ) -> Label:
        """Label one structure; see `hopecho.labels.interface.Backend`."""
        start = cpu_seconds()
        label = base or self._energy(atoms)
        if not efg:
            return label
        try:
            tensors = model_efg.model_efg(atoms)
        except HopechoError as error:
            raise LabelFailure(
                ["surface_error"], log=str(error), part="efg", partial=label
            ) from error
        reasons = efg_reasons(tensors, n_atoms=len(atoms), gates=self._gates)
        if reasons:
            raise LabelFailure(reasons, log="model field gradient", part="efg", partial=label)
        spent = cpu_seconds() - start + (base.cpu_s if base else 0.0)
        return replace(label, efg=tensors, cpu_s=spent)

    def _energy(self, atoms: Atoms) -> Label:
        start = cpu_seconds()
        try:
            energy, forces, stress = self._surface.evaluate(atoms)
        except HopechoError as error:
            raise LabelFailure(["surface_error"], log=str(error)) from error
        reasons = results_reasons(energy, forces, stress, n_atoms=len(atoms), gates=self._gates)
        if reasons:
            raise LabelFailure(reasons, log=f"model surface: energy {energy} eV")
        return Label(
            structure=structure_hash(atoms),
            energy=float(energy),
            forces=forces,
            stress=stress,
            efg=None,
            code=self.code,
            version=self.version,
            settings=self.settings,
            dataset=self.dataset,
            source=self.source,
            cpu_s=cpu_seconds() - start,
        )
