"""Real harmonics and their coupling, against scipy and closed forms."""

import numpy as np
import pytest
from scipy.special import sph_harm_y

from hopecho.efg.harmonics import coupled_pairs, coupling, harmonics
from hopecho.tensors import isometric_from_direction, random_rotations


def _directions(n=30):
    d = np.random.default_rng(0).normal(size=(n, 3))
    d[0] = [0, 0, 2.0]  # the pole
    return d / np.linalg.norm(d, axis=1, keepdims=True)


def test_harmonics_agree_with_scipy_up_to_l_8():
    d = _directions()
    ours = harmonics(d, l_max=8)
    theta, phi = np.arccos(d[:, 2]), np.arctan2(d[:, 1], d[:, 0])
    for l in range(9):
        for m in range(l + 1):
            y = sph_harm_y(l, m, theta, phi) * (-1) ** m * (2**0.5 if m else 1)
            np.testing.assert_allclose(ours[:, l * l + l + m], y.real, atol=1e-12)
            if m:
                np.testing.assert_allclose(ours[:, l * l + l - m], y.imag, atol=1e-12)


def test_l_2_harmonics_are_the_isometric_components_of_the_dyad():
    d = _directions()
    dyad = isometric_from_direction(d)
    np.testing.assert_allclose(
        harmonics(d, l_max=2)[:, 4:], np.sqrt(15 / (8 * np.pi)) * dyad, atol=1e-14
    )


def test_pairs_that_couple_to_rank_two_with_even_parity():
    assert coupled_pairs(3) == [(0, 2), (1, 1), (1, 3), (2, 2), (3, 3)]


@pytest.mark.parametrize(("l1", "l2"), coupled_pairs(6))
def test_coupling_is_orthonormal_and_covariant(l1, l2):
    g = coupling(l1, l2)
    np.testing.assert_allclose(np.einsum("abm,abn->mn", g, g), np.eye(5), atol=1e-13)
    d = _directions(2)
    rotation = random_rotations(1, rng=np.random.default_rng(1))[0]

    def coupled(points):
        y = harmonics(points, l_max=6)
        a, b = y[0, l1 * l1 : (l1 + 1) ** 2], y[1, l2 * l2 : (l2 + 1) ** 2]
        return np.einsum("a,b,abm->m", a, b, g)

    before, after = coupled(d), coupled(d @ rotation.T)
    t = _matrix(before)
    np.testing.assert_allclose(_matrix(after), rotation @ t @ rotation.T, atol=1e-12)


def _matrix(t):
    from hopecho.tensors import matrix_from_isometric

    return matrix_from_isometric(t)
