"""Executables that speak the files of real codes and answer with the model surface."""
