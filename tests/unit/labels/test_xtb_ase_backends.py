"""Labels of tblite and of any ASE calculator, with real calculators."""

import json
import sys
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import (
    CalculationFailed,
    Calculator,
    FileIOCalculator,
    SCFError,
)
from ase.calculators.emt import EMT
from ase.units import Bohr

from hopecho.errors import HopechoError
from hopecho.labels.calculator import _voigt
from hopecho.labels.interface import LabelFailure, make_backend
from hopecho.labels.model_efg import EfgParams, model_efg
from hopecho.labels.xtb import XtbBackend, point_charge_efg


def sulvanite() -> Atoms:
    """Eight atoms of Li3PS4, displaced."""
    a, x = 5.8, 0.204
    scaled = [(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)]
    scaled += [(x, x, x), (x, -x, -x), (-x, x, -x), (-x, -x, x)]
    atoms = Atoms("PLi3S4", scaled_positions=scaled, cell=[a] * 3, pbc=True)
    atoms.positions += np.random.default_rng(1).normal(0, 0.08, (8, 3))
    return atoms


def strained(atoms: Atoms, component: int, size: float) -> Atoms:
    i, j = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))[component]
    strain = np.zeros((3, 3))
    strain[i, j] += size / 2
    strain[j, i] += size / 2
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def check_derivatives(backend, atoms, folder, *, force=2e-4, stress=1e-5):
    """Forces and stress against central differences of the energy."""
    label = backend.compute(atoms, folder, efg=False)

    def energy(changed):
        return backend.compute(changed, folder, efg=False).energy

    for i, axis in ((1, 0), (4, 1)):
        pair = []
        for step in (0.005, -0.005):
            moved = atoms.copy()
            moved.positions[i, axis] += step
            pair.append(energy(moved))
        assert label.forces[i, axis] == pytest.approx(-(pair[0] - pair[1]) / 0.01, abs=force)
    for component in (0, 2, 4, 5):
        up, down = (energy(strained(atoms, component, s)) for s in (1e-3, -1e-3))
        numeric = (up - down) / 2e-3 / atoms.get_volume()
        assert label.stress[component] == pytest.approx(numeric, abs=stress)


# --- point charges


def direct_efg(atoms: Atoms, charges, width: float):
    """Naive sum over images with a soft end exp(-(r/width)^2); wrong by O(1/width^2)."""
    reach = np.arange(-8, 9)
    images = np.stack(np.meshgrid(reach, reach, reach), axis=-1).reshape(-1, 3) @ atoms.cell.array
    total = np.zeros((len(atoms), 3, 3))
    for i, j in np.ndindex(len(atoms), len(atoms)):
        r = atoms.positions[i] - atoms.positions[j] + images
        d = np.linalg.norm(r, axis=1)
        r, d = r[d > 1e-9], d[d > 1e-9]
        weight = charges[j] * np.exp(-((d / width) ** 2)) / d**3
        total[i] += 3 * np.einsum("p,pa,pb->ab", weight / d**2, r, r) - weight.sum() * np.eye(3)
    return total * Bohr**3


def test_point_charges_against_a_direct_sum():
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.2, seed=4)
    charges = np.where(atoms.numbers == 11, 0.8, -0.8)
    got = point_charge_efg(atoms, charges, factor=np.ones(8))
    near, far = direct_efg(atoms, charges, 9.0), direct_efg(atoms, charges, 13.0)
    expected = (169 * far - 81 * near) / (169 - 81)
    assert np.abs(got - expected).max() < 2e-3 * np.abs(got).max()


def test_point_charges_equal_the_model_field_gradient_without_dipoles():
    atoms, params = sulvanite(), EfgParams(polarisabilities={})
    symbols = atoms.get_chemical_symbols()
    charges = np.array([params.charges[s] for s in symbols])
    factor = np.array([params.sternheimer.get(s, 1.0) for s in symbols])
    got = point_charge_efg(atoms, charges, factor=factor)
    assert np.abs(got - model_efg(atoms, params=params)).max() < 1e-11
    assert np.abs(np.trace(got, axis1=1, axis2=2)).max() < 1e-15
    other = point_charge_efg(atoms, charges, factor=factor, cutoff_a=9.0)
    assert np.abs(got - other).max() < 1e-12


# --- tblite


@pytest.fixture(scope="module")
def xtb() -> XtbBackend:
    pytest.importorskip("tblite")
    return make_backend("xtb")


def test_xtb_derivatives(xtb, tmp_path, capfd):
    check_derivatives(xtb, sulvanite(), tmp_path)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_xtb_labels(xtb, tmp_path):
    atoms = sulvanite()
    label = xtb.compute(atoms, tmp_path)
    assert xtb.source.startswith("GFN1-xTB (tblite ")
    assert label.efg.shape == (8, 3, 3)
    # Nothing is carried over from the structure before.
    other = atoms.copy()
    other.rattle(0.2, seed=3)
    xtb.compute(other, tmp_path)
    assert xtb.compute(atoms, tmp_path).energy == label.energy
    order = np.random.default_rng(0).permutation(8)
    permuted = xtb.compute(atoms[order], tmp_path)
    assert np.abs(permuted.forces - label.forces[order]).max() < 1e-6
    assert np.abs(permuted.efg - label.efg[order]).max() < 1e-7


def test_xtb_field_gradients_are_those_of_its_charges(xtb, tmp_path):
    from tblite.ase import TBLite

    atoms = sulvanite()
    calculator = TBLite(method="GFN1-xTB", verbosity=0)
    calculator.calculate(atoms)
    charges = calculator.results["charges"]
    symbols = atoms.get_chemical_symbols()
    factor = np.array([0.744 if s == "Li" else 1.0 for s in symbols])
    expected = point_charge_efg(atoms, charges, factor=factor)
    assert np.abs(xtb.compute(atoms, tmp_path).efg - expected).max() < 1e-12
    rigid = make_backend("xtb", settings={"sternheimer": {"Li": 1.0}})
    ratio = rigid.compute(atoms, tmp_path).efg[1] / expected[1]
    assert ratio == pytest.approx(np.full((3, 3), 1 / 0.744))
    assert rigid.settings != xtb.settings


def test_xtb_unconverged(xtb, tmp_path):
    short = make_backend("xtb", settings={"max_iterations": 2})
    with pytest.raises(LabelFailure, match="scf_unconverged") as caught:
        short.compute(sulvanite(), tmp_path)
    assert not caught.value.transient
    again = make_backend(
        "xtb", settings={"max_iterations": 2}, retries=[{"max_iterations": 250}]
    ).compute(sulvanite(), tmp_path)
    assert again.changes == {"max_iterations": 250}
    assert again.energy == pytest.approx(xtb.compute(sulvanite(), tmp_path).energy)
    with pytest.raises(HopechoError, match="accuracy"):
        make_backend("xtb", retries=[{"accuracy": 10}])


def test_xtb_unknown_element(xtb, tmp_path):
    atoms = sulvanite()
    atoms.numbers[0] = 100
    with pytest.raises(LabelFailure, match="code_error"):
        xtb.compute(atoms, tmp_path)


def test_xtb_settings(xtb):
    with pytest.raises(HopechoError, match="GFN1-xTB"):
        make_backend("xtb", settings={"method": "PM6"})
    with pytest.raises(HopechoError, match="charge"):
        make_backend("xtb", settings={"charge": 1})
    with pytest.raises(HopechoError, match="commands out"):
        make_backend("xtb", command="tblite")
    assert make_backend("xtb", settings={"method": "GFN2-xTB"}).settings != xtb.settings


def test_xtb_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(HopechoError, match=r"hopecho\[xtb\]"):
        make_backend("xtb")


# --- any ASE calculator


class Charges(Calculator):
    """Harmonic wells with field gradients and a free energy of their own."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "efg"]
    default_parameters: ClassVar[dict] = {"constant": 1.0, "fail": "", "tensor": 0.1}

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, list(properties), list(system_changes))
        failures = {
            "scf": SCFError("no convergence after 100 cycles"),
            "code": CalculationFailed("the geometry is impossible"),
            "signal": CalculationFailed("Calculator failed with command; error code: -9"),
            "status": CalculationFailed("Calculator failed with command; error code: 1"),
            "memory": MemoryError(),
            "disk": OSError(28, "No space left on device"),
        }
        fail = self.parameters["fail"]
        if fail in failures:
            raise failures[fail]
        k = self.parameters["constant"]
        energy = 0.5 * k * float((self.atoms.positions**2).sum())
        forces = -k * self.atoms.positions
        efg = np.tile(
            np.diag([1.0, 1.0, -2.0]) * self.parameters["tensor"], (len(self.atoms), 1, 1)
        )
        if fail == "nan":
            forces = forces * np.nan
        self.results = {"energy": energy + 5, "free_energy": energy, "forces": forces, "efg": efg}
        if fail == "partial":
            del self.results["forces"]


class EnergyOnly(Calculator):
    """A calculator without forces."""

    implemented_properties: ClassVar[list[str]] = ["energy"]


class Files(FileIOCalculator):
    """A calculator that runs a program in a folder."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def write_input(self, atoms, properties=None, system_changes=None):
        super().write_input(atoms, properties, system_changes)
        (self._path() / "n.json").write_text(json.dumps(len(atoms)))

    def read_results(self):
        n = json.loads((self._path() / "out.json").read_text())
        self.results = {"energy": 1.0, "forces": np.zeros((n, 3))}

    def _path(self):
        from pathlib import Path

        return Path(self.directory)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    # Under --import-mode=importlib the module is not importable by its name.
    module = type(sys)("own_calculators")
    for found in (Charges, EnergyOnly, Files, sulvanite):
        setattr(module, found.__name__, found)
    monkeypatch.setitem(sys.modules, "own_calculators", module)


def ase_backend(name: str, **parameters):
    return make_backend("ase", settings={"calculator": name, "parameters": parameters})


def test_emt_through_ase(tmp_path):
    backend = ase_backend("ase.calculators.emt.EMT")
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=1)
    label = backend.compute(atoms, tmp_path, efg=False)
    atoms.calc = EMT()
    assert label.energy == atoms.get_potential_energy(force_consistent=True)
    assert np.array_equal(label.forces, atoms.get_forces())
    assert np.array_equal(label.stress, atoms.get_stress())
    assert label.source.startswith("EMT (ase ")
    assert label.efg is None
    atoms.calc = None
    check_derivatives(backend, atoms, tmp_path)


def test_constraints_and_calculators_of_the_structure_do_not_matter(tmp_path):
    from ase.constraints import FixAtoms

    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    backend = ase_backend("ase.calculators.emt.EMT")
    free = backend.compute(atoms, tmp_path, efg=False)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.calc = Charges()
    assert np.array_equal(backend.compute(atoms, tmp_path, efg=False).forces, free.forces)


def test_free_energy_and_field_gradients(tmp_path):
    atoms = sulvanite()
    label = ase_backend("own_calculators.Charges", constant=2.0).compute(atoms, tmp_path)
    assert label.energy == pytest.approx((atoms.positions**2).sum())
    assert label.stress is None
    assert label.efg[3, 2, 2] == -0.2


def test_field_gradients_that_are_not_there(tmp_path):
    with pytest.raises(HopechoError, match=r"labels\.efg: false"):
        ase_backend("ase.calculators.emt.EMT").compute(bulk("Cu"), tmp_path)


FAILURES = {
    "scf": ("scf_unconverged", False),
    "code": ("code_error", False),
    "status": ("code_error", False),
    "signal": ("killed", True),
    "memory": ("killed", True),
    "nan": ("not_finite", False),
    "partial": ("unreadable_output", False),
}


@pytest.mark.parametrize("fail", FAILURES)
def test_failures(tmp_path, fail):
    reason, transient = FAILURES[fail]
    with pytest.raises(LabelFailure) as caught:
        ase_backend("own_calculators.Charges", fail=fail).compute(sulvanite(), tmp_path)
    assert caught.value.reasons == [reason]
    assert caught.value.transient is transient
    if fail == "code":
        assert "the geometry is impossible" in caught.value.log
        assert "Traceback" in caught.value.log


def test_a_full_disk_is_left_to_the_batch(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        ase_backend("own_calculators.Charges", fail="disk").compute(sulvanite(), tmp_path)


def test_file_calculators_run_in_the_folder(tmp_path):
    command = "cp n.json out.json"
    label = ase_backend("own_calculators.Files", command=command).compute(
        sulvanite(), tmp_path, efg=False
    )
    assert label.energy == 1.0
    assert (tmp_path / "attempt0/energy/out.json").read_text() == "8"
    with pytest.raises(LabelFailure, match="code_error"):
        ase_backend("own_calculators.Files", command="exit 3").compute(
            sulvanite(), tmp_path, efg=False
        )


def test_identity(tmp_path):
    base = ase_backend("own_calculators.Charges").settings
    assert ase_backend("own_calculators.Charges", constant=2.0).settings != base
    for name, text in (("a", "weights"), ("b", "weights"), ("c", "others")):
        (tmp_path / name).write_text(text)
    a, b, c = (
        ase_backend("own_calculators.Charges", model=str(tmp_path / n)).settings for n in "abc"
    )
    assert a == b != c


def test_ase_settings(tmp_path):
    for name in ("", "EMT", "ase.calculators.emt.Nothing", "no.such.module.Class"):
        with pytest.raises(HopechoError, match=r"labels\.ase\.calculator"):
            ase_backend(name)
    with pytest.raises(HopechoError, match="is no ASE calculator"):
        ase_backend("ase.Atoms")
    with pytest.raises(HopechoError, match="is no ASE calculator"):
        ase_backend("own_calculators.sulvanite").compute(sulvanite(), tmp_path)
    with pytest.raises(HopechoError, match="no forces"):
        ase_backend("own_calculators.EnergyOnly").compute(sulvanite(), tmp_path, efg=False)
    with pytest.raises(HopechoError, match=r"labels\.ase\.parameters"):
        ase_backend("own_calculators.sulvanite", nothing=1).compute(sulvanite(), tmp_path)
    with pytest.raises(HopechoError, match="command"):
        make_backend("ase", command="x", settings={"calculator": "ase.calculators.emt.EMT"})
    with pytest.raises(HopechoError, match="may change"):
        make_backend(
            "ase",
            settings={"calculator": "ase.calculators.emt.EMT"},
            retries=[{"parameters": {"asap_cutoff": True}}],
        )


def test_full_stress_becomes_voigt():
    full = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    assert _voigt(full).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert _voigt(np.arange(6.0)).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_every_calculator_works_in_the_folder_of_its_label(tmp_path):
    backend = make_backend("ase", settings={"calculator": "ase.calculators.vasp.Vasp"})
    calculator = backend._calculator({}, tmp_path / "a")
    assert str(calculator.directory) == str(tmp_path / "a")


def test_a_module_of_ones_own_counts_by_content(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for name, sigma in (("mine_a", 1.0), ("mine_b", 2.0)):
        text = "from ase.calculators.lj import LennardJones\n"
        text += f"def build():\n    return LennardJones(sigma={sigma})\n"
        (tmp_path / f"{name}.py").write_text(text)
        keys.append(make_backend("ase", settings={"calculator": f"{name}.build"}).version)
    assert keys[0].split()[1] != keys[1].split()[1]
