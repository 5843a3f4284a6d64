"""A starting structure: a crystal's supercell, a file, or a melt-quench, and what it measures."""

from pathlib import Path

from hopecho.io.extxyz import write_frames
from hopecho.io.results import write_json
from hopecho.md.anneal import MELT_DISPLACEMENT
from hopecho.md.stages import make_start, structure_report
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "settings", "lammps", "scratch", "structure", "report")
    s = args.settings | {"command": args.lammps}
    atoms = make_start(s, scratch=Path(args.scratch))
    write_json(args.report, structure_report(atoms, s))
    atoms.arrays.pop(MELT_DISPLACEMENT, None)
    atoms.info = {"phase": s["phase"], "quench": s["quench"]}
    write_frames(args.structure, [atoms])


if __name__ == "__main__":
    run(main)
