"""Runs of the surface itself: its own energies and the material's masses; tables and the page."""

import re

import numpy as np
import pytest
from ase import Atoms

from hopecho.io.h5md import Segment, read_segment
from hopecho.io.results import write_csv, write_json
from hopecho.labels.model_efg import model_efg
from hopecho.labels.model_pes import ModelPes
from hopecho.report.validation import validation_page
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal
from hopecho.tensors import isometric_from_matrix
from hopecho.trajectory import Trajectory
from hopecho.validation.runs import SIDES, RunOutputs, tensors_of, validation_run
from hopecho.validation.surface import validate_phase

SETTINGS = {
    "elements": ["Li", "P", "S"], "masses_u": {"Li": 7.016, "P": 30.974, "S": 32.06},
    "polyanion": {"centre": "P", "ligand": "S", "cutoff_angstrom": 2.9}, "mobile": "Li",
    "temperature_k": 300, "ensemble": "nve", "damping_ps": 1.0, "dt_fs": 2.0,
    "equilibrate_ps": 0.2, "length_ps": 1.0, "stride_ps": 0.05, "burst_ps": 1.0, "stride_fs": 10.0,
    "replica": 0, "seed": 11, "command": "lmp", "pair_style": "uf3",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    crystal = supercell(load_crystal("beta-Li3PS4"), [1, 1, 2])
    outputs = RunOutputs(folder / "segment0.h5md", folder / "burst0.h5md")
    record = validation_run(crystal, None, SETTINGS, scratch=folder / "scratch", outputs=outputs)
    return record, outputs


def test_a_run_of_the_surface_has_its_energies_and_the_material_s_masses(run):
    record, outputs = run
    assert record["potential"] == "model PES"
    assert record["burst"]["gates"]["momentum"]["passed"]
    segment = read_segment(outputs.trajectory)
    assert len(segment.time_ps) == 20
    frame = Atoms(segment.numbers, segment.positions[-1], cell=segment.cell, pbc=True)
    with ModelPes() as surface:
        energy, _, _ = surface.evaluate(frame)
    # Positions are stored in single precision.
    assert segment.observables["potential_energy"][-1] == pytest.approx(energy, abs=1e-3)
    # The burst would have been refused, had other masses than these made its temperature.
    assert read_segment(outputs.burst).velocities.shape == (100, len(frame), 3)


def test_exact_tensors_of_every_fifth_frame(run):
    segment = read_segment(run[1].trajectory)
    table = tensors_of(segment, every=5, mobile="Li", model=None)
    np.testing.assert_allclose(table.time_ps, [0.25, 0.5, 0.75, 1.0])
    frame = Atoms(segment.numbers, segment.positions[9], cell=segment.cell, pbc=True)
    exact = isometric_from_matrix(model_efg(frame))[segment.numbers == 3]
    np.testing.assert_allclose(table.efg[1], exact, rtol=1e-4, atol=1e-7)
    assert list(table.ion_id) == list(np.flatnonzero(segment.numbers == 3))


def synthetic(seed, *, step, band):
    """Walking Li about one PS4 that rattles: a trajectory and a burst."""
    rng = np.random.default_rng(seed)
    numbers = np.array([3] * 12 + [15] + [16] * 4)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)
    rest = np.concatenate([rng.uniform(0, 12, (12, 3)), [[6.0] * 3], 6.0 + corners])
    x = np.repeat(rest[None], 400, axis=0)
    x[:, :12] += np.cumsum(step * rng.normal(size=(400, 12, 3)), axis=0)
    x[:, 12:] += 0.05 * rng.normal(size=(400, 5, 3))
    t = np.arange(400)[:, None, None] * 0.005
    nu = band * (1 + 0.05 * rng.normal(size=(1, 17, 3))) / 33.356
    angle = 2 * np.pi * (nu * t + rng.random((1, 17, 3)))
    cell, time = np.eye(3) * 12.0, np.arange(400) * 0.05
    velocities = 2 * np.pi * nu * 0.05 * np.cos(angle)
    burst = Segment(t[:, 0, 0], rest + 0.05 * np.sin(angle), cell, numbers, velocities=velocities)
    return Trajectory(time, x, cell, numbers), burst


ANALYSIS = SETTINGS | {
    "oxidation": {"Li": 1.0, "P": 5.0, "S": -2.0}, "isotope": "7Li", "t_min_ps": 0.5,
    "max_lag_fraction": 0.3, "stretch": "exponential", "bootstrap": 50, "echo_tp_us": [10.0],
    "echo_dead_time_us": 5.0, "msd_lag_fraction": 0.25,
}  # fmt: skip


def phase(*, reference, tensors=None):
    sides = dict.fromkeys(SIDES)
    for k, side in enumerate(SIDES):
        motion = {"step": 0.3, "band": 200.0} | (reference if side == "reference" else {})
        sides[side] = [synthetic(10 * k + r, **motion) for r in range(4)]
    return validate_phase(
        {side: [t for t, _ in runs] for side, runs in sides.items()},
        {side: [b for _, b in runs] for side, runs in sides.items()},
        tensors or {},
        quench=[0, 0, 0, 0],
        echo_stride_ps=0.25,
        settings=ANALYSIS,
    )


def test_the_same_potential_on_both_sides_differs_by_chance_only():
    record = phase(reference={}).record
    # 18 observables: one would be called different by chance.
    assert len(record["different"]) <= 3
    assert record["echo"] is None


def test_a_planted_potential_with_other_motion_is_seen():
    record = phase(reference={"step": 0.45, "band": 240.0}).record
    assert {"d_tracer", "vdos Li", "band centre Li"} <= set(record["different"])
    entry = record["battery"]["d_tracer"]
    assert entry["ufp"] < entry["reference"]


def test_the_page_shows_every_set_and_what_the_labels_are(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        name: [0.01 * rng.normal(size=(100, 12, 5)) for _ in range(4)]
        for name in ("ufp_model", "ufp_exact", "reference_exact")
    }
    result = phase(reference={}, tensors=tensors)
    origin = {"labels": "model PES", "hopecho": "0", "seed": 1, "settings_sha256": "", "inputs": {}}
    path = tmp_path / "li3ps4/validation/beta.json"
    more = {"temperature_k": 400, "failed_gates": []}
    write_json(path, result.record | more, provenance=origin)
    write_csv(path.with_suffix(".csv"), result.curves, provenance=origin)
    page = validation_page(tmp_path, [path])
    assert "labels: model PES" in page
    for word in ("surface MD, exact EFG", "UFP-MD, EFG model", "Pair distributions", "by chance"):
        assert word in page
    assert page.count("<svg") == 5
    assert not re.search(r"\bNaN\b|\binf\b", page)
