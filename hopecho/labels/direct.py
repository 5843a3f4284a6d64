"""Backend ``model_pes``: the model surface called directly, without files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopecho.errors import HopechoError
from hopecho.labels import model_efg, model_pes
from hopecho.labels.base import BaseBackend, Results
from hopecho.labels.interface import LabelFailure, Options
from hopecho.versions import surface_identity

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[Any]


class DirectBackend(BaseBackend):
    """Model surface and model field gradients in this process.

    Parameters
    ----------
    options : Options
        Without commands, settings and retries: there is nothing to run or to set.

    Raises
    ------
    HopechoError
        A command or settings were given.
    """

    code = "model_pes"

    def __init__(self, options: Options) -> None:
        if options.command or options.settings or options.efg_command:
            command = options.command or options.efg_command
            raise HopechoError(
                "labels.code: model_pes takes no command and no settings",
                got=f"command {command!r}, settings {dict(options.settings)!r}",
                fix="leave command and settings out, or set labels.code: castep",
            )
        numbers = f"{model_pes.RESULT_VERSION}.{model_efg.RESULT_VERSION}"
        version = f"{numbers}-{surface_identity()}"
        super().__init__(
            options,
            version=version,
            source=model_pes.NAME,
            identity={"result_version": version},
            keywords={},
        )
        self._surface = model_pes.ModelPes()

    def run_energy(
        self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any], *, efg: bool
    ) -> Results:
        """Energy, forces and stress of the surface; see `BaseBackend.run_energy`."""
        try:
            return Results(*self._surface.evaluate(atoms))
        except HopechoError as error:
            raise LabelFailure(["surface_error"], log=str(error)) from error

    def run_efg(self, atoms: Atoms, directory: Path, keywords: Mapping[str, Any]) -> Array:
        """Field gradients (n, 3, 3), a.u., of charges and induced dipoles."""
        try:
            return model_efg.model_efg(atoms)
        except HopechoError as error:
            raise LabelFailure(["surface_error"], log=str(error), part="efg") from error
