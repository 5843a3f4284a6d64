"""EFG tensor conventions, with soprano as an independent oracle."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read as ase_read
from scipy.spatial.transform import Rotation
from soprano.nmr import ElectricFieldGradient
from soprano.properties.nmr import EFGAsymmetry, EFGQuadrupolarConstant, EFGQuaternion

from hopecho import tensors
from hopecho.errors import HopechoError
from hopecho.io.magres import write_magres
from hopecho.units import cq_khz_per_au


@pytest.fixture
def efg():
    return tensors.matrix_from_isometric(np.random.default_rng(1).normal(0, 0.02, (200, 5)))


def test_isometric_components_keep_the_norm_and_invert(efg):
    t = tensors.isometric_from_matrix(efg.reshape(10, 20, 3, 3))
    assert t.shape == (10, 20, 5)
    norms = np.linalg.norm(efg, axis=(1, 2)).reshape(10, 20)
    np.testing.assert_allclose(np.linalg.norm(t, axis=-1), norms, rtol=1e-13)
    np.testing.assert_allclose(tensors.matrix_from_isometric(t).reshape(-1, 3, 3), efg, atol=1e-16)


def test_component_order_is_the_documented_one():
    v = np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, -5]])
    expected = [2 * 2**0.5, 5 * 2**0.5, (-10 - 1 - 4) / 6**0.5, 3 * 2**0.5, -3 / 2**0.5]
    np.testing.assert_allclose(tensors.isometric_from_matrix(v), expected, rtol=1e-14)


def test_principal_axes_diagonalise_in_the_nqr_order(efg):
    values, axes = tensors.principal_axes(efg)
    assert np.all(np.diff(np.abs(values), axis=-1) >= 0)
    np.testing.assert_allclose(np.linalg.det(axes), 1.0)
    rebuilt = np.einsum("nik,nk,njk->nij", axes, values, axes)
    np.testing.assert_allclose(rebuilt, efg, atol=1e-15)


def test_soprano_agrees_on_principal_values_eta_and_orientation(efg):
    ours = tensors.quaternions(efg)
    for v, q in zip(efg[:50], ours, strict=False):
        oracle = ElectricFieldGradient(v, species="7Li", quadrupole_moment=-40.1)
        np.testing.assert_allclose(tensors.principal_values(v), oracle.eigenvalues, atol=1e-15)
        assert tensors.eta(v) == pytest.approx(oracle.eta, abs=1e-12)
        assert tensors.cq(v) == pytest.approx(oracle.Cq / 1e3, rel=1e-4)
        assert tensors.quaternion_overlap(q, oracle.quaternion.q) == pytest.approx(1, abs=1e-12)


def test_soprano_agrees_on_a_magres_file(tmp_path):
    """Read, as any other program would, a file of general, axial (eta 0) and eta = 1 tensors."""
    rng = np.random.default_rng(6)
    turn = tensors.random_rotations(6, rng=rng)
    yy = np.array([-0.8, 0.7, -0.5, -1.0, 0.9, 0.0])
    zz = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 0.0])
    v = np.einsum("nij,nj,nkj->nik", turn, 0.05 * np.stack([-yy - zz, yy, zz], axis=1), turn)
    atoms = Atoms("Li2NaOSAl", positions=rng.uniform(0, 6, (6, 3)), cell=np.eye(3) * 7, pbc=True)
    write_magres(tmp_path / "a.magres", atoms, v, comment="test", version="1")
    read = ase_read(tmp_path / "a.magres")
    isotopes = {"Li": "7Li", "Na": "23Na", "O": "17O", "S": "33S", "Al": "27Al"}
    ours = [float(tensors.cq(w, isotope=isotopes[a.symbol])) for w, a in zip(v, atoms, strict=True)]
    masses = {symbol: int(name.removesuffix(symbol)) for symbol, name in isotopes.items()}
    theirs = EFGQuadrupolarConstant(isotopes=masses).get(read) / 1e3
    clear = [0, 1, 2, 4, 5]  # the sign of C_Q is arbitrary at eta = 1
    np.testing.assert_allclose(np.array(ours)[clear], theirs[clear], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(tensors.eta(v)[:5], EFGAsymmetry.get(read)[:5], atol=1e-9)
    quaternions = np.array([q.q for q in EFGQuaternion.get(read)])
    overlap = tensors.quaternion_overlap(tensors.quaternions(v), quaternions)
    np.testing.assert_allclose(overlap[[0, 1, 4]], 1, atol=1e-12)


def test_angles_of_the_principal_axis_are_sopranos_euler_angles(efg):
    theta, phi = tensors.principal_axis_angles(efg[:50])
    axis = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    for v, a, polar in zip(efg, axis, theta, strict=False):
        alpha, beta, _ = ElectricFieldGradient(v, species="7Li").euler_angles()
        theirs = [np.sin(beta) * np.cos(alpha), np.sin(beta) * np.sin(alpha), np.cos(beta)]
        assert abs(a @ theirs) == pytest.approx(1, abs=1e-12)
        assert 0 <= polar <= np.pi / 2
    fields = tensors.omega_q(efg[:50], axis)
    np.testing.assert_allclose(fields, tensors.cq(efg[:50]) / 2, atol=1e-10)


def test_sopranos_published_nuclei_of_ethanol():
    """17O and 2H of its test file ethanol_efg.dat: chi, eta, and Euler angles (zyz, active)."""
    nuclei = [
        ("17O", 11188393.116, 0.82329057, (146.57430779, 44.36396799, 94.77789967)),
        ("2H", 296487.218, 0.13372200, (283.02612009, 54.60580544, 119.15653422)),
    ]
    for isotope, chi_hz, asymmetry, angles in nuclei:
        vzz = chi_hz / 1e3 / cq_khz_per_au(isotope)
        principal = vzz * np.array([-(1 - asymmetry) / 2, -(1 + asymmetry) / 2, 1])
        axes = Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()
        v = axes @ np.diag(principal) @ axes.T
        assert tensors.cq(v, isotope=isotope) == pytest.approx(chi_hz / 1e3, rel=1e-9)
        assert tensors.eta(v) == pytest.approx(asymmetry, abs=1e-9)
        theta, phi = tensors.principal_axis_angles(v)
        assert np.degrees(theta) == pytest.approx(angles[1], abs=1e-6)
        assert np.degrees(phi) % 360 == pytest.approx(angles[0], abs=1e-6)
        oracle = ElectricFieldGradient(v, species=isotope)
        assert oracle.Cq == pytest.approx(chi_hz, rel=1e-6)


def test_quaternion_rotates_into_the_principal_frame(efg):
    values, _ = tensors.principal_axes(efg)
    rotation = Rotation.from_quat(tensors.quaternions(efg)[:, [1, 2, 3, 0]]).as_matrix()
    rebuilt = np.einsum("nki,nk,nkj->nij", rotation, values, rotation)
    np.testing.assert_allclose(rebuilt, efg, atol=1e-14)


def test_overlap_ignores_axis_signs_but_sees_rotations(efg):
    q = tensors.quaternions(efg)
    for angle in (0.1, 0.7, 1.2):
        turn = Rotation.from_rotvec([0, 0, angle]).as_quat()[[3, 0, 1, 2]]
        turned = _product(np.broadcast_to(turn, q.shape), q)
        half = abs(np.cos(angle / 2)), abs(np.sin(angle / 2))
        np.testing.assert_allclose(tensors.quaternion_overlap(q, turned), max(half), atol=1e-12)


def test_random_pairs_exceed_0_9_in_15_percent():
    rng = np.random.default_rng(3)
    t = rng.normal(size=(2, 100_000, 5))
    qa, qb = tensors.quaternions(tensors.matrix_from_isometric(t))
    fraction = np.mean(tensors.quaternion_overlap(qa, qb) >= 0.9)
    assert fraction == pytest.approx(0.1495, abs=0.004)


def test_omega_q_is_the_textbook_angular_form(efg):
    b0 = np.array([1.0, 2.0, -0.5])
    theta, phi = tensors.field_angles(efg, b0)
    textbook = (
        tensors.cq(efg)
        / 4
        * (3 * np.cos(theta) ** 2 - 1 + tensors.eta(efg) * np.sin(theta) ** 2 * np.cos(2 * phi))
    )
    ours = tensors.omega_q(efg, b0)
    np.testing.assert_allclose(ours, textbook, atol=1e-10)
    t = tensors.isometric_from_matrix(efg)
    np.testing.assert_allclose(tensors.omega_q_isometric(t, b0), ours, atol=1e-10)
    several = tensors.omega_q_isometric(t, [b0, [0, 0, 1]])
    np.testing.assert_allclose(several[:, 1], tensors.omega_q(efg, [0, 0, 1]), atol=1e-10)
    np.testing.assert_allclose(tensors.omega_q(efg, b0, prefactor=0.5), 2 * ours)


def test_sphere_mean_of_omega_q_vanishes_and_variance_is_exact(efg):
    # Gauss-Legendre in z times six points in phi: exact for degree 5.
    x, w = np.polynomial.legendre.leggauss(3)
    phi = 2 * np.pi * np.arange(6) / 6
    z, p = (a.ravel() for a in np.meshgrid(x, phi, indexing="ij"))
    s = np.sqrt(1 - z**2)
    weight = np.repeat(w, 6) / 12
    nu = tensors.omega_q_isometric(
        tensors.isometric_from_matrix(efg), np.stack([s * np.cos(p), s * np.sin(p), z], -1)
    )
    np.testing.assert_allclose(nu @ weight, 0, atol=1e-11)
    norm2 = np.sum(efg**2, axis=(1, 2)) * (0.5 * cq_khz_per_au()) ** 2
    np.testing.assert_allclose(nu**2 @ weight, 2 / 15 * norm2, rtol=1e-12)


def test_p_q_is_cq_times_the_eta_factor(efg):
    expected = tensors.cq_abs(efg) * np.sqrt(1 + tensors.eta(efg) ** 2 / 3)
    np.testing.assert_allclose(tensors.p_q(tensors.isometric_from_matrix(efg)), expected)


def test_axial_tensor_has_eta_zero_and_known_coupling():
    v = np.diag([0.5, 0.5, -1.0]) * 0.013171
    assert tensors.eta(v) == pytest.approx(0, abs=1e-12)
    assert tensors.cq(v) == pytest.approx(124.1, abs=0.05)
    assert tensors.eta(np.zeros((3, 3))) == 0


def test_frobenius_overlap_bounds(efg):
    t = tensors.isometric_from_matrix(efg)
    np.testing.assert_allclose(tensors.frobenius_overlap(t, 3 * t), 1)
    np.testing.assert_allclose(tensors.frobenius_overlap(t, -t), -1)
    assert tensors.frobenius_overlap(np.zeros(5), t[0]) == 0


def test_random_rotations_are_proper_and_uniform():
    r = tensors.random_rotations(20_000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(
        np.einsum("nij,nkj->nik", r, r)[:5], np.tile(np.eye(3), (5, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(r), 1)
    assert np.abs(r.mean(axis=0)).max() < 0.02


def test_wrong_shapes_and_zero_fields_are_refused():
    with pytest.raises(HopechoError, match=r"shape \(4,\)"):
        tensors.matrix_from_isometric(np.zeros(4))
    with pytest.raises(HopechoError, match="no length"):
        tensors.omega_q(np.eye(3), [0, 0, 0])


def _product(a, b):
    aw, av, bw, bv = a[:, :1], a[:, 1:], b[:, :1], b[:, 1:]
    scalar = aw * bw - np.sum(av * bv, axis=1, keepdims=True)
    return np.hstack([scalar, aw * bv + bw * av + np.cross(av, bv)])


def test_coupling_without_diagonalisation_is_the_coupling():
    """Random tensors, and the edges of the cubic: eta = 0, eta = 1, V = 0."""
    rng = np.random.default_rng(5)
    edges = np.array([[0, 0, 1.0, 0, 0], [0, 0, 0, 0, 1.0], [0, 0, -2.0, 0, 0], [0.0] * 5])
    t = np.concatenate([rng.normal(size=(5000, 5)), edges, edges + 1e-9])
    expected = tensors.cq_abs(tensors.matrix_from_isometric(t))
    np.testing.assert_allclose(tensors.cq_abs_isometric(t), expected, rtol=1e-12, atol=1e-9)
