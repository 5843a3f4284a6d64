"""Which LAMMPS pair style a run takes, as configured and as this machine allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopecho.md.fast_style import fast_style
from hopecho.md.potentials import uf3_commands

FAST = "uf3/fast"
PLUGINS = Path("store/plugins")
"""Where compiled pair styles are kept, in the folder that the campaign runs in."""


@dataclass(frozen=True)
class PairStyle:
    """The pair style that a run takes, and why that one."""

    name: str
    reason: str
    commands: list[str]
    """LAMMPS commands of the potential."""


def pair_style(potential: Path, settings: Mapping[str, Any]) -> PairStyle:
    """Return the potential in the pair style that the config asks for.

    Where ``uf3/fast`` cannot be compiled or used, the log says why and ``uf3`` is taken, with the
    same results.

    Parameters
    ----------
    potential : Path
        The ``.uf3`` file.
    settings : mapping
        ``elements``, ``command`` and ``pair_style``.
    """
    plugin, name, reason = None, "uf3", "md.lammps.pair_style: uf3"
    if settings["pair_style"] == FAST:
        fast = fast_style(settings["command"], PLUGINS)
        plugin, reason = fast.plugin, fast.reason
        name = FAST if fast.available else name
    return PairStyle(name, reason, uf3_commands(potential, settings["elements"], plugin=plugin))


def pair_commands(potential: Path, settings: Mapping[str, Any]) -> list[str]:
    """Return the LAMMPS commands of the potential in its `pair_style`."""
    return pair_style(potential, settings).commands
