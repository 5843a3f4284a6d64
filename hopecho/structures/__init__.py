"""Crystals, supercells, rattles and strains, melt-quench plans, disorder and bond-graph checks."""
