"""Synthetic series with known correlation functions."""

import numpy as np
import pytest


def _jumps(n_frames, n_ions, *, tau, rng, plateau_b2=0.0, n_components=5):
    """Values redrawn at rate 1/tau (frames): C(k)/C(0) = b^2 + (1 - b^2) exp(-k/tau) exactly."""
    redraw = rng.random((n_frames, n_ions)) < -np.expm1(-1.0 / tau)
    redraw[0] = True
    drawn = np.maximum.accumulate(np.where(redraw, np.arange(n_frames)[:, None], 0), axis=0)
    fresh = rng.normal(size=(n_frames, n_ions, n_components))
    static = rng.normal(size=(1, n_ions, n_components))
    moving = fresh[drawn, np.arange(n_ions)]
    return np.sqrt(plateau_b2) * static + np.sqrt(1.0 - plateau_b2) * moving


@pytest.fixture
def jumps():
    return _jumps
