"""Equivariant models of the electric field gradient: features, fit, prediction, metrics."""
