import math

import pytest

from hopecho.correlation.regime import (
    WORDS,
    quadrupolar_t1_s,
    regime_word,
    sae_regime,
    spectral_density_s,
)

LARMOR_7T = 116.6
LARMOR_11T7 = 194.4


def test_t1_of_the_reference_case():
    """100 kHz, eta 0, tau 46 ns: 1.6 s at 7.05 T and 4.3 s at 11.7 T."""
    assert quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=LARMOR_7T) == pytest.approx(
        1.6, abs=0.05
    )
    assert quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=LARMOR_11T7) == pytest.approx(
        4.3, abs=0.1
    )


def test_t1_limits():
    fast = quadrupolar_t1_s(1e-3, cq_khz=100.0, larmor_mhz=LARMOR_7T)
    extreme_narrowing = 1.0 / (2.0 / 5.0 * math.pi**2 * 1e10 * 1e-12)
    assert fast == pytest.approx(extreme_narrowing, rel=1e-4)
    assert math.isinf(quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=116.6, plateau_b2=1.0))
    half = quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=116.6, plateau_b2=0.5, eta=math.sqrt(3))
    assert half == pytest.approx(quadrupolar_t1_s(46.0, cq_khz=100.0, larmor_mhz=116.6), rel=1e-12)


def test_t1_is_shortest_where_tau_matches_the_larmor_frequency():
    times = [10 ** (k / 20.0) for k in range(-40, 60)]
    t1 = [quadrupolar_t1_s(t, cq_khz=100.0, larmor_mhz=LARMOR_7T) for t in times]
    best = times[t1.index(min(t1))]
    assert 0.5 < best < 1.5


def test_spectral_density_is_half_at_one_over_tau():
    assert spectral_density_s(1.0 / 3.0, 3.0) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("tau_ns", "nu_khz", "t1_s", "word", "words"),
    [
        (4e7, 25.0, 5.0, "sae", "spin-alignment echo sees this decay"),
        (46.0, 12.0, None, "narrowed", "not a time that the echo measures"),
        (1.5, 12.0, None, "t1", "seen in T1"),
        (6e9, 25.0, 5.0, "t1_first", "lower limit"),
        (8e3, 12.0, None, "coalescence", "coalescence"),
        (9e3, 1000.0, None, "slow", "slow against the line"),
    ],
)
def test_each_regime_is_named(tau_ns, nu_khz, t1_s, word, words):
    assert words in sae_regime(tau_ns, nu_khz, t1_s=t1_s)
    assert regime_word(tau_ns, nu_khz, t1_s=t1_s) == word
    assert word in WORDS
