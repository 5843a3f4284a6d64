"""What a label costs: one rattled 16-atom cell of gamma-Li3PS4 by every code that is installed.

``python benchmarks/labels.py`` (part of ``make bench``) writes ``benchmarks/results/labels.json``:
code and version, settings, processor seconds, the RMS force, and |C_Q| of lithium where there are
tensors. The numbers of different codes differ: labels of two kinds are never fitted together.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from timing import RESULTS, machine

from hopecho.errors import HopechoError
from hopecho.labels.interface import Label, make_backend
from hopecho.labels.pseudopotentials import write_set
from hopecho.structures.build import rattle
from hopecho.structures.crystals import load_crystal
from hopecho.tensors import cq_abs

ELEMENTS = ("Li", "P", "S")


def cases(folder: Path) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield code, arguments of `make_backend`, and whether tensors are asked for."""
    yield "model_pes", {}, True
    yield "castep", {"command": "hopecho-castep"}, True
    stand_in = {"input_data": {"system": {"ecutwfc": 60}}, "gipaw": {}}
    yield (
        "espresso",
        {"command": "hopecho-pw", "efg_command": "hopecho-gipaw", "settings": stand_in},
        True,
    )
    yield "xtb", {}, True
    if shutil.which("pw.x"):
        write_set("gth", list(ELEMENTS), folder)
        yield "espresso", {"settings": espresso(folder, [[0.25, 0.25, 0.25, 1]])}, False
    if shutil.which("abinit"):
        write_set("paw", list(ELEMENTS), folder)
        for kpts in ([1, 1, 1], [2, 2, 2]):
            yield "abinit", {"settings": abinit(folder, kpts)}, True


def espresso(folder: Path, kpts: list[list[float]]) -> dict[str, Any]:
    """Settings of campaigns/espresso-demo.yaml."""
    return {
        "input_data": {"system": {"ecutwfc": 60}, "electrons": {"conv_thr": 1e-7}},
        "pseudopotentials": {e: f"{e}.gth" for e in ELEMENTS},
        "pseudo_dir": str(folder),
        "kpts": kpts,
        "stress": False,
    }


def abinit(folder: Path, kpts: list[int]) -> dict[str, Any]:
    """Settings of the integration test."""
    return {
        "parameters": {"ecut": 15, "pawecutdg": 30, "tolvrs": 1e-10},
        "pseudopotentials": {e: f"{e}.GGA_PBE-gpaw.xml" for e in ELEMENTS},
        "pseudo_dir": str(folder),
        "kpts": kpts,
    }


def entry(label: Label, settings: dict[str, Any], lithium: np.ndarray) -> dict[str, Any]:
    """One row of the table."""
    shown = {k: v for k, v in settings.items() if k not in ("pseudo_dir", "pseudopotentials")}
    row = {
        "code": label.code,
        "source": label.source,
        "settings": shown,
        "cpu_s": float(f"{label.cpu_s:.2g}"),
        "rms_force_ev_a": float(f"{np.sqrt((label.forces**2).mean()):.4g}"),
    }
    if label.efg is not None:
        values = cq_abs(label.efg[lithium], isotope="7Li")
        row["cq_abs_khz"] = [float(f"{v:.4g}") for v in values]
    return row


def main() -> None:
    """Measure, print and write."""
    atoms = rattle(load_crystal("gamma-Li3PS4"), stdev_angstrom=0.05, rng=np.random.default_rng(1))
    lithium = np.flatnonzero(atoms.numbers == 3)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for number, (code, arguments, efg) in enumerate(cases(Path(name))):
            try:
                backend = make_backend(code, dataset="bench", **arguments)
                label = backend.compute(atoms, Path(name) / str(number), efg=efg)
            except HopechoError as error:
                print(f"{code}: {error.what}")
                continue
            rows.append(entry(label, arguments.get("settings", {}), lithium))
            print(json.dumps(rows[-1]))
    record = {
        "work": "one label of 16 atoms, gamma-Li3PS4 rattled by 0.05 A",
        "command": "python benchmarks/labels.py",
        "machine": machine(),
        "labels": rows,
    }
    (RESULTS / "labels.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
