"""One interface to energies, forces, stresses and field gradients; a module for every code."""
