"""What the report says of data that were brought: whose they are, by file and hash."""

import json

import pytest

from hopecho.io.results import write_json
from hopecho.labels.store import LabelStore
from hopecho.report.campaign import CampaignView
from hopecho.report.claims import banner, claim_tables, headlines
from hopecho.report.gates import gates
from hopecho.report.page import build_page
from hopecho.report.summary import summarise

SHA = {"run.dump": "a1" * 32, "mine.h5": "b2" * 32, "other.npz": "c3" * 32}


def file(name):
    return {"path": name, "sha256": SHA[name]}


def bring(results, how):
    """Make beta a phase that was brought: its records; no gates, bursts or extrapolation."""
    beta = results / "li3ps4/phases/beta"
    for path in (*beta.glob("*K/extrapolation.json"), *beta.glob("*K/vibrations.json")):
        path.unlink()
    names = ("acf*", "sae.*", "relaxation.json", "spectral_density.csv", "sites.json",
             "site_histograms.csv", "ion_traces.csv", "angles.csv")  # fmt: skip
    for path in (p for name in names for p in beta.glob(f"*K/{name}") if not how):
        path.unlink()
    for t in (300, 500):
        run = {"temperature_k": t, "quench": 0, "replica": 0, "files": [file("run.dump")],
               "n_frames": 1200, "stride_ps": 0.5, "length_ps": 600.0, "volume_a3": 900.0,
               "atoms": {"Li": 12, "P": 4, "S": 16}}  # fmt: skip
        write_json(beta / f"{t}K/own.json", {"runs": [run]})
        if how == "table":
            table = {"files": [file("mine.h5")], "n_frames": 1200, "n_ions": 12}
            write_json(beta / f"quench0/{t}K/replica0/efg0.json", table)
    if how == "file":
        path = results / "li3ps4/efg/fit.json"
        known = {"file": "other.npz", "sha256": SHA["other.npz"]}
        write_json(path, json.loads(path.read_text()) | known)
    return {"li3ps4": {"beta": {"temperatures_k": [300, 500], "tensors": how}}}


def summary_of(results, how, *, phases=("beta", "amorphous")):
    own = bring(results, how)
    summary = summarise(
        results,
        run={"li3ps4": list(phases)},
        temperatures_k=[300, 500],
        source="model PES" if len(phases) > 1 else "own trajectories",
        store=LabelStore(results / "labels"),
        own=own,
    )
    write_json(results / "summary.json", summary, provenance={})
    return summary


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("table", "So are its tensors."),
        ("file", "Its tensors are predicted by other.npz, which was not fitted here."),
        ("fit", "predicted by the model that is fitted to labels of model PES."),
        ("", "It has no tensors, and so no echo: give phases.beta.efg"),
    ],
)
def test_a_mix_says_of_each_phase_whose_data_they_are(make_campaign, how, said):
    results = make_campaign()
    summary = summary_of(results, how)
    view = CampaignView(results, summary)
    words = banner(view) + headlines(view) + gates(view)
    assert ("Not fitted here: read from other.npz" in words) == (how == "file")
    assert "The trajectories of beta are your own, not simulated here." in words
    assert said in words
    assert "of what is simulated here come from a model surface" in words
    foot = "labels: model PES; own trajectories: beta"
    assert view.footer == foot + ("; own tensors: beta" if how == "table" else "")
    assert "(1 run of your own, 600" in words
    assert SHA["run.dump"][:16] in words
    assert (SHA["mine.h5"][:16] in words) == (how == "table")
    assert (SHA["other.npz"][:16] in words) == (how == "file")
    names = {c["claim"] for c in summary["claims"] if c["phase"] == "beta"}
    assert ("tau_sae" in names) == bool(how)
    assert "band_centre" not in names
    assert set(summary["extrapolation"]["li3ps4"]) == {"amorphous/300K", "amorphous/500K"}
    # Held-out errors of a model say nothing about tensors that it did not predict.
    moved = {e["phase"] for e in summary["tensor_errors"]}
    assert moved == ({"amorphous", "beta"} if how in ("file", "fit") else {"amorphous"})


def test_the_page_of_a_mix_draws_every_phase(blank_figures, make_campaign):
    results = make_campaign()
    summary_of(results, "")
    page = build_page(results, results / "summary.json")
    assert "Data of your own" in page
    assert "Rounds of the learning loop" in page
    assert "labels: model PES; own trajectories: beta" in page


@pytest.mark.parametrize("how", ["table", "file", ""])
def test_own_data_alone_name_no_labels(blank_figures, make_campaign, how):
    results = make_campaign()
    summary = summary_of(results, how, phases=("beta",))
    assert summary["learning"] == summary["heldout"] == summary["fit"] == {}
    view = CampaignView(results, summary)
    words = banner(view) + claim_tables(view) + gates(view)
    assert "labels:" not in words
    assert "model surface" not in words
    assert "Rounds of the learning loop" not in words
    assert view.footer.startswith("own trajectories: beta")
    assert ("There are no tensors, and so no echo" in words) == (how == "")
    assert ("This campaign has no labels that test it." in words) == (how == "file")
    if how == "file":
        page = build_page(results, results / "summary.json")
        assert "labels:" not in page
        assert "li3ps4-powder" in page
