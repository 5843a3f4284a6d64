"""The ultra-fast potential (UFP) beside a Gaussian approximation potential (GAP), on one core.

``python benchmarks/gap.py`` (part of ``make bench``) fits both to the same frames of the model
surface and writes ``benchmarks/results/gap.json``: cost of an atom-step, errors on frames of other
MD of the surface, g(r) and MSD of short runs. The surface is a sum of two- and three-body terms and
an embedding, which suits the UFP: its errors here say little of DFT.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from ase import Atoms
from timing import RESULTS, write

from hopecho.labels.model_pes import NAME, ModelPes, lammps_commands
from hopecho.md.lammps_input import Thermostat
from hopecho.md.potentials import Species
from hopecho.md.sampling import run_sampling_md
from hopecho.structures.build import rattle, supercell
from hopecho.structures.crystals import load_crystal
from hopecho.ufp.basis import BasisSpec
from hopecho.ufp.dataset import labelled_frames
from hopecho.ufp.fit import fit_potential
from hopecho.validation.gap import GapSettings, fit_gap
from hopecho.validation.gap_comparison import RunSettings, compare

ELEMENTS = ("Li", "P", "S")


def surface_md(cell: Atoms, temperature_k: float, *, count: int, seed: int) -> list[Atoms]:
    """Frames 0.1 ps apart of MD of the model surface; the settling part is left out."""
    with tempfile.TemporaryDirectory() as name:
        found = run_sampling_md(
            cell,
            lammps_commands(ELEMENTS),
            species=Species.of(ELEMENTS),
            thermostat=Thermostat("csvr", temperature_k),
            length_ps=0.2 * count,
            stride_ps=0.1,
            dt_fs=2.0,
            seed=seed,
            scratch=Path(name) / "md",
        )
    if not found.passed:
        raise SystemExit(f"MD of the surface failed: {found.reason}")
    return list(found.frames[-count:])


def labelled(frames: list[Atoms]) -> list[Atoms]:
    """Add the surface's labels."""
    with ModelPes(elements=ELEMENTS) as surface:
        for number, atoms in enumerate(frames):
            energy, forces, stress = surface.evaluate(atoms)
            atoms.info = {"REF_energy": energy, "REF_stress": stress, "source": NAME}
            atoms.info |= {"phase": "beta", "hash": str(number)}
            atoms.arrays["REF_forces"] = forces
    return frames


def main() -> None:
    """Fit, compare, print and write."""
    rng = np.random.default_rng(1)
    cell = supercell(load_crystal("beta-Li3PS4"), (1, 1, 2))
    rattled = [rattle(cell, stdev_angstrom=0.03 + 0.03 * (i % 3), rng=rng) for i in range(9)]
    train = labelled_frames(labelled(rattled + surface_md(cell, 600.0, count=15, seed=11)))
    heldout = surface_md(cell, 300.0, count=6, seed=12)
    start = heldout[-1].copy()
    settings, runs = GapSettings(max_frames=len(train)), RunSettings()
    begun = time.perf_counter()
    ufp = fit_potential(train, BasisSpec(ELEMENTS)).potential
    ufp_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        xml = fit_gap(train, folder, settings, elements=ELEMENTS)
        gap_s = time.perf_counter() - begun
        result = compare(ufp, xml, labelled(heldout), start=start, settings=runs).record
    cost = result["cost"]
    write(
        "gap",
        work=f"an atom-step of {len(start)} atoms of beta-Li3PS4: LAMMPS's pair_style uf3, "
        "force calls of the others",
        unit="s",
        ours=cost["ufp_lammps_s"],
        peers={"GAP through quippy": cost["gap_quippy_s"], "UFP in Python": cost["ufp_python_s"]},
    )
    path = RESULTS / "gap.json"
    record = json.loads(path.read_text()) | {
        "settings": asdict(settings),
        "train_frames": len(train),
        "fit_s": {"ufp": float(f"{ufp_s:.3g}"), "gap": float(f"{gap_s:.3g}")},
        "errors": result["errors"]["beta"],
        "dynamics": result["dynamics"],
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["errors"]), json.dumps(record["dynamics"]))


if __name__ == "__main__":
    main()
