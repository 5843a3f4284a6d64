"""From first-principles labels to the echo and the conductivity of a solid ion conductor."""

__version__ = "0.1.0"
