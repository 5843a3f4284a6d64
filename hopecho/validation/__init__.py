"""Models against the truth that they were fitted to, on frames that nothing has seen."""
