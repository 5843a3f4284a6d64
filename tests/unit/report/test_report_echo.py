"""The echo with real pulses and T1 on the page: numbers, bounds, and what they rest on."""

import html
import re

from hopecho.io.results import read_json
from hopecho.report.campaign import CampaignView
from hopecho.report.claims import claim_tables
from hopecho.report.decay_details import decay_details
from hopecho.report.echo_drawings import echo_drawings
from hopecho.report.echo_tables import echo_tables
from hopecho.report.site_drawings import site_drawings, site_table


def text_of(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_every_route_stands_with_its_assumption_and_its_decay(campaign):
    said = text_of(echo_tables(CampaignView(campaign, read_json(campaign / "summary.json"))))
    assert "the longest run is 200 ps" in said
    assert "tensors as averaged over the run 0.12" in said
    assert "0.12 → 0.045, τ(tp) = 3.2 ms" in said
    assert "ions jump." in said
    assert "12 sites of the unit cell were visited, of 8 different tensors" in said
    assert "falls to 0.14; with the rates counted it ends at 0.25" in said


def test_t1_is_a_value_a_bound_or_nothing(campaign):
    said = text_of(echo_tables(CampaignView(campaign, read_json(campaign / "summary.json"))))
    assert "6.4 s (68 %: 5.6 to 7.1)" in said
    assert "< 4.6 s (95 %)" in said
    assert "not determined" in said
    assert "one exponential assumed" in said


def test_jumps_predict_a_time_that_stands_beside_the_fitted_one(campaign):
    view = CampaignView(campaign, read_json(campaign / "summary.json"))
    said = text_of(site_table(view))
    assert "70 ps (68 %: 60 to 80)" in said
    assert "LiS4 → LiS6 3.3 × 10⁹ /s" in said
    assert "LiS6 → LiS4" not in said
    assert "54 %" in said
    assert "amorphous" not in said


def test_the_figures_of_the_sites_name_their_files(campaign):
    view = CampaignView(campaign, read_json(campaign / "summary.json"))
    figures = list(site_drawings(view, "li3ps4"))
    names = ["li3ps4-sites", "li3ps4-traces", "li3ps4-angles", "li3ps4-groups"]
    assert [f.name for f in figures] == names
    assert all(f.svg.startswith("<svg") and f.files for f in figures)
    assert "chosen by what they did" in figures[-1].look_for


def test_activation_energy_and_the_effect_of_tensor_errors(campaign):
    summary = read_json(campaign / "summary.json")
    said = text_of(decay_details(CampaignView(campaign, summary)))
    energies = {e["phase"]: e["activation_energy"] for e in summary["activation_energy"]}
    # ln(12.3/1.9) over the difference of 1/kT between 300 and 500 K
    assert abs(energies["amorphous"]["value"] - 0.1207) < 1e-3
    assert energies["beta"]["value"] is None
    assert "1 of 2 decay times are resolved" in said
    effects = summary["tensor_errors"]
    assert [(e["phase"], e["temperature_k"]) for e in effects] == [
        ("beta", 500), ("amorphous", 300), ("amorphous", 500),
    ]  # fmt: skip
    assert all(abs(e["static_share"] - 1.9**2 / 800.0) < 1e-9 for e in effects)
    assert "1.9 / 2.8 kHz" in said
    assert "an error of 10 % of τ needs 2 runs of 400 ps" in said
    assert "its error" in said


def test_the_figures_of_the_echo_name_their_files_and_say_what_is_a_model(campaign):
    view = CampaignView(campaign, read_json(campaign / "summary.json"))
    figures = {f.name: f for f in echo_drawings(view, "li3ps4")}
    names = ("times", "ions", "strides", "density", "echo", "grains")
    assert list(figures) == [f"li3ps4-{name}" for name in names]
    assert all(f.svg.startswith("<svg") and f.files for f in figures.values())
    said = figures["li3ps4-grains"].look_for
    assert said.startswith("A model, not a simulation")
    assert "inside grains: no decay inside: MD resolves none (first panel)" in said
    assert "0.1 ms: less than" in said


def test_the_decay_without_a_fit_and_who_sees_it(campaign):
    view = CampaignView(campaign, read_json(campaign / "summary.json"))
    said = text_of(decay_details(view))
    assert "amorphous 300 12.3 ps 13.5 ps 0.15 0.21 0.14" in said
    assert "beta 300 – – – 0.21 0.14" in said
    said = text_of(claim_tables(view))
    assert "narrowed line, echo plateau 46 ns resolved" in said
    assert "τ of P_Q, mean removed" in said
