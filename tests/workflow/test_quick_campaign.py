"""The quick campaign, run for real: what it leaves, and that nothing is left to do."""

import json
import re

import numpy as np
import pandas as pd


def test_nothing_is_to_be_done_afterwards(finished):
    done = finished.run("--cores", "1", "--nolock")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_report_is_self_contained_and_says_what_the_labels_are(finished):
    page = (finished.results / "report.html").read_text()
    assert "labels: model PES" in page
    assert not re.search(r'(?:src|href)\s*=\s*"(?:https?:)?//', page)
    assert not re.search(r"\bNaN\b|\binf\b", page)


def test_report_shows_every_gate_of_the_runs_and_what_they_cost(finished):
    page = (finished.results / "report.html").read_text()
    for gate in ("mean temperature", "drift of the conserved quantity", "shortest distance",
                 "bonds of the framework", "shift of the framework", "mean pressure"):  # fmt: skip
        assert f"<td>{gate}" in page
    assert "CPU time an atom and step" in page


def test_summary_repeats_every_claim_of_its_file(finished):
    summary = json.loads((finished.results / "summary.json").read_text())
    assert summary["labels"] == "model PES"
    wanted = {(p, c) for p in ("beta", "amorphous") for c in ("tau_sae", "d_tracer", "haven_ratio")}
    assert wanted <= {(c["phase"], c["claim"]) for c in summary["claims"]}
    for claim in summary["claims"]:
        source = json.loads((finished.folder / claim["path"]).read_text())
        said = source[claim["claim"]]
        assert (said[claim["element"]] if "element" in claim else said) == claim["quantity"]
        assert source["provenance"]["labels"] == "model PES"


def test_ledger_holds_every_expensive_stage(finished):
    ledger = pd.read_csv(finished.results / "ledger.csv", comment="#")
    stages = {"start_structure", "label_batch", "fit_potential", "segment", "predict_efg"}
    assert stages <= set(ledger["rule"])
    assert (ledger["wall_s"] > 0).all()
    segments = ledger[ledger["rule"] == "segment"]
    assert (segments["atom_steps"] == 64 * 2000).all()
    assert (segments["us_per_atom_step"] > 0.1).all()


def test_segments_follow_one_another_without_gap(finished):
    from hopecho.trajectory import load

    for run in sorted(finished.results.glob("li3ps4/phases/*/quench*/*K/replica*")):
        trajectory = load(sorted(run.glob("segment*.h5md")))
        assert len(trajectory.time_ps) == 160  # 8 ps every 0.05 ps
        assert trajectory.time_ps[-1] == 8.0


def test_every_run_has_a_burst_of_velocities(finished):
    from hopecho.io.h5md import read_segment

    runs = sorted(finished.results.glob("li3ps4/phases/*/quench*/*K/replica*"))
    assert len(runs) == 4
    for run in runs:
        burst = read_segment(run / "burst0.h5md")
        assert burst.velocities.shape == burst.positions.shape
        assert len(burst.time_ps) == 100  # 1 ps every 10 fs
        assert json.loads((run / "burst0.json").read_text())["gates"]["momentum"]["passed"]


def test_spectra_and_polyanions_of_every_phase(finished):
    for phase in ("beta", "amorphous"):
        folder = finished.results / f"li3ps4/phases/{phase}/300K"
        spectrum = pd.read_csv(folder / "vdos.csv", comment="#")
        areas = [
            np.trapezoid(own["vdos_per_cm1"], own["wavenumber_cm1"])
            for _, own in spectrum.groupby("element", sort=False)
        ]
        assert np.allclose(areas, 3 * np.array([24, 8, 32]), rtol=1e-3)  # 64 atoms, Li3PS4
        # Bursts of 1 ps are too short for a conductivity, and the claim says so.
        current = json.loads((folder / "current.json").read_text())
        assert current["sigma_gk"]["interval"] == [None, None]
        assert "longer bursts" in current["reason"]
        record = json.loads((folder / "rotation.json").read_text())
        assert (record["n_units"], record["n_changed"]) == (16, 0)
        assert 1.0 < record["tilt_angle_width"]["value"] < 4.0
        angles = pd.read_csv(folder / "rotation.csv", comment="#")
        assert set(angles["quantity"]) == {"tilt_angle", "angular_velocity", "rotation"}
        around = pd.read_csv(folder / "r_phi.csv", comment="#")  # bins of 0.1 A and 3 degrees
        assert np.isclose(around["density_per_a_degree"].sum() * 0.3, 1.0)
        assert pd.read_csv(folder / "conductivity_runs.csv", comment="#")["run"].nunique() == 2


def test_the_time_step_was_tested(finished):
    summary = json.loads((finished.results / "summary.json").read_text())
    tests = summary["step_tests"]["li3ps4"]
    assert [t["phase"] for t in tests] == ["beta", "amorphous"]
    for test in tests:
        source = json.loads((finished.folder / test["path"]).read_text())
        assert source["steps"] == test["steps"]
        assert [s["dt_fs"] for s in test["steps"]] == [1.0, 2.0]
        assert abs(test["exponent"] - 2.0) < 0.6


def test_replicas_differ_and_glass_is_disordered(finished):
    phases = finished.results / "li3ps4/phases"
    ends = {p.read_bytes() for p in phases.glob("beta/quench0/300K/replica*/segment1.h5md")}
    assert len(ends) == 2
    glass = json.loads((phases / "amorphous/start0.json").read_text())
    crystal = json.loads((phases / "beta/start0.json").read_text())
    assert crystal["order"]["order_parameter"] > 0.9
    assert glass["order"]["order_parameter"] < crystal["order"]["order_parameter"]


def test_no_held_out_trajectory_was_trained_on(finished):
    from hopecho.io.extxyz import read_frames

    material = finished.results / "li3ps4"
    held_out = {f.info["trajectory"] for f in read_frames(material / "heldout/labelled.extxyz")}
    trained = {
        f.info["trajectory"]
        for path in [*material.glob("al/*/dataset.extxyz"), material / "efg/labelled.extxyz"]
        for f in read_frames(path)
    }
    assert held_out
    assert not held_out & trained
    # A glass is held out with a quench of its own.
    starts = sorted(p.name for p in material.glob("phases/amorphous/start*.extxyz"))
    assert starts == ["start0.extxyz", "start1.extxyz", "start999.extxyz"]


def test_audit_frames_are_not_trained_on_in_their_round(finished):
    from hopecho.io.extxyz import read_frames

    for audit in finished.results.glob("li3ps4/al/*/audit/labelled.extxyz"):
        dataset = read_frames(audit.parents[1] / "dataset.extxyz")
        trained = {f.info["hash"] for f in dataset}
        withheld = {f.info["hash"] for f in read_frames(audit.parents[1] / "withheld.extxyz")}
        assert not trained & {f.info["hash"] for f in read_frames(audit)}
        assert not trained & withheld


def test_status_command_reads_the_campaign(finished):
    said = finished.hopecho("status")
    assert "li3ps4 beta 300 K: 0.016 of 0.016 ns" in said
    assert "(measured), 0 CPU h left" in said
    assert "MD left: 0 CPU min" in said


def test_the_trained_model_turns_with_a_production_frame(finished):
    import numpy as np

    from hopecho.efg.model import load_model
    from hopecho.efg.predict import predict_frames
    from hopecho.io.h5md import read_segment
    from hopecho.tensors import matrix_from_isometric, random_rotations

    model = load_model(finished.results / "li3ps4/efg/model.npz")
    rotation = random_rotations(1, rng=np.random.default_rng(8))[0]
    for phase in ("beta", "amorphous"):
        run = finished.results / f"li3ps4/phases/{phase}/quench0/300K/replica0"
        frame = read_segment(run / "segment1.h5md", start=70, stop=71)
        x, cell = frame.positions.astype(float), frame.cell
        before = matrix_from_isometric(predict_frames(model, x, cell, frame.numbers))
        for matrix in (rotation, -rotation):
            turned = predict_frames(model, x @ matrix.T, cell @ matrix.T, frame.numbers)
            after = matrix_from_isometric(turned)
            expected = matrix @ before @ matrix.T
            np.testing.assert_allclose(after, expected, atol=1e-6 * np.abs(expected).max())


def test_unknown_environments_are_counted_segment_by_segment(finished):
    summary = json.loads((finished.results / "summary.json").read_text())
    rows = {(r["phase"], r["temperature_k"]): r for r in summary["efg_segments"]["li3ps4"]}
    assert set(rows) == {("beta", 300), ("amorphous", 300)}
    for (phase, _), row in rows.items():
        parts = [
            json.loads(path.read_text())
            for path in finished.results.glob(f"li3ps4/phases/{phase}/quench*/*K/*/efg*.json")
        ]
        assert len(parts) == 4
        assert row["n_flagged"] == sum(part["n_flagged"] for part in parts)
        assert 0 <= row["flagged_share"] <= 1
        assert row["sigma_khz"] > 0
    page = (finished.results / "report.html").read_text()
    assert "unknown environments" in page
