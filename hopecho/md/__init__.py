"""Molecular dynamics with LAMMPS: input scripts, restartable segments, in-run guards, harvest."""

RESULT_VERSION = 1
"""Raised when a fix changes trajectories; a change of the source alone recomputes none."""
