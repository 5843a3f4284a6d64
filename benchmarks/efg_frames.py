"""Labelled frames of the model surface for the benchmarks of the EFG model."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from hopecho.labels.model_efg import model_efg
from hopecho.labels.model_pes import ModelPes
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal

ELEMENTS = ("Li", "P", "S")
KINDS = ("crystal", "glass")
SIZES = {128: (1, 2, 2), 256: (2, 2, 2), 384: (2, 2, 3), 576: (3, 2, 3)}
MELT_K, RUN_K = 2500.0, 500.0
DT_PS = 0.002
STEPS = {"crystal": 1500, "glass": 3000}
"""Steps of the melt and of the cooling of a glass; of the equilibration of a crystal."""
STRIDE = 250


def run_frames(kind: str, n_atoms: int, *, seed: int, n_frames: int) -> list[Atoms]:
    """Frames of one run of the model surface at 500 K, 0.5 ps apart, with tensors.

    A crystal is beta-Li3PS4 brought to 500 K; a glass is the same cell molten at 2500 K for 6 ps
    and cooled to 500 K in 6 ps. Frames of one seed are one trajectory.
    """
    cell = supercell(load_crystal("beta-Li3PS4"), SIZES[n_atoms])
    frames = []
    with ModelPes(elements=ELEMENTS) as surface:
        surface.evaluate(cell)
        lammps = surface._lammps
        lammps.commands_list([f"timestep {DT_PS}", f"velocity all create {RUN_K} {seed} mom yes"])
        if kind == "glass":
            for start, end in ((MELT_K, MELT_K), (MELT_K, RUN_K)):
                lammps.command(f"fix move all nvt temp {start} {end} 0.1")
                lammps.command(f"run {STEPS[kind]} post no")
        lammps.command(f"fix move all nvt temp {RUN_K} {RUN_K} 0.1")
        lammps.command(f"run {STEPS['crystal']} post no")
        for _ in range(n_frames):
            lammps.command(f"run {STRIDE} post no")
            frame = cell.copy()
            flat = np.ctypeslib.as_array(lammps.gather_atoms("x", 1, 3))
            frame.positions = flat.reshape(-1, 3)
            frame.info |= {"trajectory": f"{kind}-{n_atoms}-{seed}", "phase": kind}
            frame.arrays["efg"] = model_efg(frame)
            frames.append(frame)
    return frames


def runs(n_atoms: int, *, seeds: range, n_frames: int) -> list[Atoms]:
    """Frames of both kinds, one run a seed."""
    return [
        frame
        for kind in KINDS
        for seed in seeds
        for frame in run_frames(kind, n_atoms, seed=seed, n_frames=n_frames)
    ]
