import numpy as np
import pytest
from ase.io.lammpsdata import write_lammps_data

from hopecho.errors import HopechoError
from hopecho.labels import model_pes
from hopecho.structures import build, crystals
from hopecho.structures.quench import QuenchPlan, cube_edge, quench_commands


def test_cube_of_sixteen_formula_units() -> None:
    gamma = build.supercell(crystals.load_crystal("gamma-Li3PS4"), (2, 2, 2))
    edge = cube_edge(gamma, density_g_cm3=1.80)
    # 16 x 180.1 g/mol at 1.80 g/cc, by hand: 2 658 A^3.
    assert edge == pytest.approx(13.85, abs=0.01)
    assert cube_edge(gamma, density_g_cm3=0.9) == pytest.approx(edge * 2 ** (1 / 3))


def test_steps_follow_the_plan() -> None:
    plan = QuenchPlan(deform_ps=1, melt_ps=2, quench_ps=4, hold_ps=0.5, melt_dt_fs=1.0, dt_fs=2.0)
    lines = quench_commands(plan, seed=7, edge_angstrom=10.0)
    assert [line for line in lines if line.startswith("run")] == [
        "run 1000",
        "run 2000",
        "run 2000",
        "run 250",
    ]
    assert plan.total_ps == pytest.approx(7.5)
    fixes = [line.split()[1] for line in lines if line.startswith("fix")]
    gone = [line.split()[1] for line in lines if line.startswith("unfix")]
    assert sorted(fixes) == sorted(gone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"melt_ps": 0.0}, "quench.melt_ps must be positive"),
        ({"density_g_cm3": -1.0}, "quench.density_g_cm3"),
        ({"melt_temperature_k": 200.0}, "would heat"),
    ],
)
def test_impossible_plans_are_refused(change: dict, message: str) -> None:
    with pytest.raises(HopechoError, match=message):
        QuenchPlan(**change)


def test_short_plan_reaches_cube_and_temperature_and_repeats(tmp_path) -> None:
    gamma = build.supercell(crystals.load_crystal("gamma-Li3PS4"), (2, 2, 2))
    data = tmp_path / "start.data"
    write_lammps_data(
        str(data), gamma, specorder=list(model_pes.ELEMENTS), atom_style="charge", masses=True
    )
    plan = QuenchPlan(deform_ps=0.1, melt_ps=0.1, quench_ps=0.2, hold_ps=0.2)
    edge = cube_edge(gamma, density_g_cm3=1.80)

    def run(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        instance = model_pes.open_lammps()
        start = ["units metal", "atom_style charge", "atom_modify map array", f"read_data {data}"]
        instance.commands_list(start + model_pes.lammps_commands())
        instance.commands_list(quench_commands(plan, seed=seed, edge_angstrom=edge))
        low, high, xy, yz, xz, *_ = instance.extract_box()
        positions = np.array(instance.gather_atoms("x", 1, 3))
        temperature = instance.get_thermo("temp")
        instance.close()
        return np.array([*np.subtract(high, low), xy, yz, xz]), positions, temperature

    box, positions, temperature = run(3)
    assert np.allclose(box, [edge, edge, edge, 0, 0, 0], atol=1e-8)
    assert 150 < temperature < 600
    assert np.array_equal(positions, run(3)[1])
    assert not np.allclose(positions, run(4)[1], atol=0.1)
