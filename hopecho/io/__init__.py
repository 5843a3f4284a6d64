"""File formats: one module a format; the stages own none."""
