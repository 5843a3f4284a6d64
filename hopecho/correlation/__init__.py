"""Autocorrelation functions, their decay with error bars and verdicts, the echo's regime."""
