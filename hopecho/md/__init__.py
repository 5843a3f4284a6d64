"""Molecular dynamics with LAMMPS: input scripts, restartable segments, in-run guards, harvest."""
