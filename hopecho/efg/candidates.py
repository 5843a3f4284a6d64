"""Settings of the EFG model from the configuration, and their cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from hopecho.efg.grid import BASIS, relative_cost
from hopecho.efg.model import EfgSettings, validate_settings
from hopecho.efg.radial import RadialBasis


def settings_of(values: Mapping[str, Any]) -> EfgSettings:
    """Return the settings of a fit from the names of the configuration's efg block.

    Parameters
    ----------
    values : mapping
        `BASIS`, ``mobile`` (element), ``folds``, ``model``, ``zeta`` and ``inducing``.
    """
    return EfgSettings(
        probe=values["mobile"],
        basis=RadialBasis(
            cutoff=values["cutoff_angstrom"],
            n_radial=values["n_radial"],
            l_max=values["l_max"],
            sigma=values["sigma_angstrom"],
        ),
        n_folds=values["folds"],
        kind=values["model"],
        zeta=values["zeta"],
        n_inducing=values["inducing"],
    )


def candidate(
    frames: Sequence[Atoms], values: Mapping[str, Any], basis: Mapping[str, Any]
) -> dict[str, Any]:
    """Cross-validate one expansion.

    Parameters
    ----------
    frames : sequence of Atoms
        With tensors.
    values : mapping
        As `settings_of`: what the grid does not vary, and the reference of the cost.
    basis : mapping
        One of `expansions`.

    Returns
    -------
    dict
        ``settings``, ``ridge`` (the best), ``loss`` (mean squared error of a component over its
        mean square; 1 is no model at all), ``loss_stderr`` (over the folds), ``n_columns`` and
        ``relative_cost``.
    """
    reference = {name: values[name] for name in BASIS}
    chosen = reference | dict(basis)
    settings = settings_of({**values, **chosen})
    found = validate_settings(frames, settings=settings)
    losses = np.average(found.squares, axis=0, weights=found.rows) / found.variance
    best = int(np.argmin(losses))
    own = found.squares[:, best] / found.variance
    return {
        "settings": chosen,
        "ridge": settings.ridge[best],
        "loss": float(losses[best]),
        "loss_stderr": float(own.std(ddof=1) / np.sqrt(len(own))),
        "n_columns": found.n_columns,
        "relative_cost": relative_cost(chosen, reference),
    }
