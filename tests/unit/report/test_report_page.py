"""The page as a whole: what it says, what it must not hold, equal bytes."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

from hopecho.errors import HopechoError
from hopecho.io.results import read_json, write_json
from hopecho.labels.store import LabelStore
from hopecho.report.campaign import CampaignView
from hopecho.report.claims import banner, claim_tables, headlines
from hopecho.report.gates import gates
from hopecho.report.model_drawings import targets
from hopecho.report.page import build_page
from hopecho.report.summary import summarise
from hopecho.ufp.grid import choose

VOID = {"meta", "br", "hr", "img", "wbr", "path", "use", "rect", "image"}


def visible(page):
    """Text of the page without figures, spaces made plain."""
    page = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", "", page.replace("</td>", " | ").replace("<wbr>", ""))
    return re.sub(r"\s+", " ", html.unescape(text).replace("\u00a0", " "))


def without_figures(results):
    """Text of the parts that need no figure."""
    view = CampaignView(results, read_json(results / "summary.json"))
    parts = (banner(view), headlines(view), claim_tables(view), gates(view))
    return visible("".join(parts))


@pytest.fixture(scope="session")
def said(page):
    return visible(page)


def test_model_surface_is_named_and_explained(said):
    assert "labels: model PES" in said
    assert "not from DFT" in said
    assert "not a comparison with experiment" in said
    assert "taken unconverged" not in said


def test_headlines_follow_the_verdicts(said):
    assert "amorphous, 300 K (3 runs, 150 ps in all): τ_SAE = 12.3 ps (68 %: 11.1 to 13.5)" in said
    assert "no decay of the tensor correlation seen; a decay of 6.1 % of its" in said
    assert "If it decays to zero at all, τ_SAE > 410 ps (95 %)." in said
    assert "tracer diffusion: no diffusion seen, D < 2.4 × 10⁻¹² m²/s (95 %)" in said


def test_claims_stand_beside_fits_paper_and_file(said):
    row = "amorphous | 300 | 12.3 ps (68 %: 11.1 to 13.5) | τ = 12.3 ps, b² = 0.35 | "
    row += "τ = 11.1 ps, b² = 0.35, γ = 0.80 | narrowed line, echo plateau | 46 ns | resolved | "
    assert row + "li3ps4/phases/amorphous/300K/acf_powder.json" in said
    row = "beta | 300 | no hop seen, rate < 3.1 × 10⁸ /s (95 %) | 12 | 2.57 × 10⁵ /s | not seen"
    assert row in said


def test_gates_are_counted(said):
    assert "All 24 segments passed every gate." in said
    assert "drift of the conserved quantity | −2.3 × 10⁻⁶ eV/atom/ps | at most 1 × 10⁻⁵" in said
    assert "mean temperature | 0.40 σ | at most 6 | 24 of 24" in said
    assert "shortest distance | 1.9 Å | at least 1.2 | 24 of 24" in said
    assert "bonds of the framework | 0 frames with changed bonds | at most 0 | 24 of 24" in said
    assert "shift of the framework | 0.060 Å | at most 1 | 24 of 24" in said
    assert "mean pressure of the fixed cell | −0.31 ± 0.012 GPa | none | 24 of 24" in said
    assert "NVE | uf3/fast | 2 | 0.05" in said
    assert "Pair style: compiled by g++ 12." in said
    assert "beta/start0 | Li48P16S64 | 1.82" in said
    assert "One label failed its own gates" in said
    assert "Converged in round 2." in said


def test_cost_of_molecular_dynamics_is_shown_for_each_phase(said):
    assert "beta, 300 K | 4.80 | 1.50 | 864" in said
    assert "segment | 3 | " in said


def test_errors_of_the_tensors_by_site_and_by_part(said):
    assert "beta | LiS6 | 144 | 122 | 2.71 | 0.094 | 6.10 | 0.061 | 91 % | 0.987" in said
    assert "within 3.35 Å of the ion" in said
    assert "heldout-beta-run1 | 6 | 48 | 3.41 | 1.90 | 2.83 | 31 % | −2.1 | −3.4" in said


def test_the_temperature_series_is_told_with_its_test(said):
    assert "0.231 eV" in said
    assert "300, 400, 500" in said
    assert "coldest point 1.4 errors below the line" in said
    assert "none | not determined | not determined | not possible" in said


def test_where_d_is_read_is_told_with_the_value_that_holds_the_cage(said):
    assert "Where D is read" in said
    assert "1.23 × 10⁻¹⁰ m²/s | 5.00 to 15.0 | 0.98 ± 0.040 | 1.1 × 10⁻¹⁰, 2.2 × 10⁻¹⁰" in said
    # No window where nothing diffuses.
    assert "no diffusion seen, D < 2.4 × 10⁻¹² m²/s (95 %) | 1.23 × 10⁻¹⁰ m²/s | – | 0.98" in said
    assert "0.046 Å" in said


def test_first_shells_are_in_a_table(said):
    assert "First shells and coordination numbers" in said
    assert "S around P" in said


def test_mobility_has_its_runs_maps_and_temperatures(page):
    for name in ("msd", "collective", "runs", "series", "van-hove", "van-hove-maps", "r-phi"):
        assert f'id="figure-li3ps4-{name}"' in page
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    (around,) = [f for f in figures if "figure-li3ps4-r-phi" in f]
    assert "most at 2.5 Å, 88°" in around or "most at 2.6 Å, 88°" in around


def test_every_figure_names_its_labels_and_files(page):
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) == 33
    for figure in figures:
        assert "Files:" in figure
        assert figure.count("<!-- labels: model PES -->") == 1


def test_nothing_comes_from_outside(page):
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "@import" not in page
    for target in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert target.startswith(("#", "data:image/png;base64,"))


def test_no_not_a_number_no_none_no_place(page, said, campaign):
    assert not re.search(r"\b(nan|NaN|inf|None)\b", said)
    assert str(campaign) not in page
    assert "/tmp" not in page


def test_equal_results_give_equal_bytes_wherever_they_are(page, make_campaign):
    results = make_campaign()
    assert build_page(results, results / "summary.json") == page


def test_tags_close(page):
    open_tags = []

    class Check(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in VOID:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            if tag not in VOID:
                assert open_tags.pop() == tag

    Check().feed(page)
    assert not open_tags


def test_identifiers_are_unique(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_other_sources_are_named_neutrally(make_campaign):
    results = make_campaign(source="CASTEP 24.1, PBE")
    said = without_figures(results)
    assert "labels: CASTEP 24.1, PBE" in said
    assert "model surface" not in said
    assert "DFT" not in said


def test_an_unconverged_potential_is_said_in_the_banner(make_campaign):
    results = make_campaign(converged=False)
    said = without_figures(results)
    assert "potential of li3ps4 was taken unconverged: round 2 missed 1 criterion" in said
    assert "audit/beta/force_relative = 0.1476, target 0.2" in said


def test_failed_segments_are_listed(make_campaign, edit_summary):
    results = make_campaign()

    def fail(summary):
        segment = summary["segments"]["li3ps4"][0]
        segment["passed"] = segment["gates"]["temperature"]["passed"] = False
        segment["gates"]["temperature"]["value"] = 8.25

    edit_summary(results, fail)
    said = without_figures(results)
    assert "replica0/segment0.json: mean temperature 8.25 σ" in said
    assert "23 of 24" in said


def test_the_time_step_is_judged(said):
    row = "beta | 500 | 1 | 2.1 × 10⁻⁷ ± 3.2 × 10⁻⁷ | 0.80 | 3.4 × 10⁻⁶ | 0.0012 | 497 | passed"
    assert row in said
    assert "failed the energy drifts by 3.1e-05 ± 2e-06 eV/atom/ps, allowed are 1e-05" in said
    assert "beta, 500 K: the rms grows as the step to the power 2.01 ± 0.04;" in said
    assert "the longest step that passes is 2 fs; the runs use 2 fs" in said
    assert "not 2: forces that jump" not in said
    assert "use a time step of" not in said


def test_a_step_longer_than_the_longest_that_passed_is_a_warning(make_campaign, edit_summary):
    results = make_campaign()

    def change(summary):
        first, second = summary["step_tests"]["li3ps4"]
        first |= {"largest_passing_fs": 1.0, "exponent": 0.8}
        second |= {"largest_passing_fs": None, "exponent": None}
        blown = dict.fromkeys(second["steps"][2]) | {"dt_fs": 3.0, "verdict": "failed"}
        second["steps"][2] = blown | {"reasons": ["The dynamics blew up"]}

    edit_summary(results, change)
    said = without_figures(results)
    one = "The runs of beta use a time step of 2 fs (md.dt_fs), but of those tested the longest"
    assert f"{one} that passed is 1 fs (listed under Gates)." in said
    assert (
        "The runs of amorphous use a time step of 2 fs (md.dt_fs), but of those tested none" in said
    )
    assert "to the power 0.80 ± 0.04, not 2: forces that jump, or too long a step" in said
    assert "amorphous, 500 K: no step passes" in said
    assert "3 | – | – | – | – | – | failed The dynamics blew up" in said


def test_bursts_are_counted_and_failures_named(said, make_campaign, edit_summary):
    assert "12 runs of 5 ps at constant energy, velocities every 10 fs; 12 passed" in said
    results = make_campaign()

    def fail(summary):
        burst = summary["bursts"]["li3ps4"][0]
        burst["passed"] = burst["gates"]["momentum"]["passed"] = False

    edit_summary(results, fail)
    bad = without_figures(results)
    assert "11 passed every gate" in bad
    assert "replica0/burst0.json: momentum 1.20 × 10⁻⁷ A/ps" in bad

    def none(summary):
        summary["bursts"]["li3ps4"] = summary["step_tests"]["li3ps4"] = []

    edit_summary(results, none)
    bad = without_figures(results)
    assert "None (md.bursts)." in bad
    assert "Not tested (md.step_test)." in bad


def test_labels_are_counted_and_failures_shown_with_their_log(
    campaign, edit_summary, make_campaign
):
    said = without_figures(campaign)
    # 3 labelled, 1 imported, 1 after a retry, 1 quarantined, 60 CPU s, 30 for each computed one.
    assert "efg | 3 | 1 | 1 | 1 | 60 | 30 |" in said.replace("60.0", "60").replace("30.0", "30")
    assert "1 imported labels were not compared" in said
    assert "scf_unconverged" in said
    assert "labels.retries" in said
    assert "has not reached the groundstate" in said
    results = make_campaign()

    def check(summary):
        entry = {
            "key": "k",
            "file": "f",
            "energy_ev_atom": 1e-4,
            "force_ev_a": 3e-3,
            "efg_au": None,
        }
        summary["label_sets"]["li3ps4"]["checks"] = [entry]

    edit_summary(results, check)
    assert "energy 0.1 meV/atom, force 3 meV/Å." in without_figures(results)


def test_the_uncertainty_is_judged(blank_figures, campaign, make_campaign, edit_summary):
    said = without_figures(campaign)
    assert "force | 71 ± 1 | 0.95 | −2.39 | −2.25 | passed |" in said.replace("-2.", "−2.")
    assert "force of Li" in said
    results = make_campaign()

    def none(summary):
        summary["uncertainty"]["li3ps4"] = {"reason": "too few audit frames"}

    edit_summary(results, none)
    assert "Not determined: too few audit frames." in without_figures(results)
    assert "Predicted uncertainty of the potential on held-out" not in build_page(
        results, results / "summary.json"
    )


def test_the_fit_is_explained(campaign, make_campaign, edit_summary):
    said = without_figures(campaign)
    assert "1234 coefficients, of which the 84 training structures determine 432" in said
    assert (
        "frame 7 (al0-beta abc) | outlier | energy off by 12 meV/atom (11.3 sigma) | kept" in said
    )
    results = make_campaign()
    settings = json.loads((results / "summary.json").read_text())["fit"]["li3ps4"]["settings"]
    rows = [
        {"settings": settings | {"cutoff_3b_angstrom": c}, "loss": loss, "loss_stderr": 0.002,
         "n_columns": 10, "relative_cost": cost}
        for c, loss, cost in ((3.5, 0.031, 0.6), (4.0, 0.030, 1.0), (4.5, 0.040, 1.8))
    ]  # fmt: skip

    def add(summary):
        summary["grid"]["li3ps4"] = {"rows": rows, "chosen": choose(rows)}

    edit_summary(results, add)
    said = without_figures(results)
    assert (
        "the cheapest of 2 within one standard error of the smallest loss (0.03 +- 0.002)" in said
    )
    assert "3.5 | 10 | 0.0310 ± 0.0020 | 0.60 | chosen |" in said
    assert said.index("4 | 10 | 0.0300") < said.index("3.5 | 10 |") < said.index("4.5 | 10 |")


def test_trust_in_tensors_is_shown(campaign, make_campaign, edit_summary):
    said = without_figures(campaign)
    # Coverage on held-out frames; the bare spread is 3.65 times too small; 4.8e-4 a.u. in kHz.
    assert "beta | 70 | 19 | 1.0 | 0.174 % |" in said
    assert "a = 1.85 kHz of ω_Q" in said
    assert "The bare spread is 3.65 times too small" in said
    # Six of 2 x 24 000 tensors of every run; the worst of all segments, by name.
    assert "0.013 % | 1.90 | 1.10: frame 17, atom 5 of quench0/replica0/efg1.h5" in said
    results = make_campaign()
    rows = [
        {"settings": {"cutoff_angstrom": c, "n_radial": 4, "l_max": 6, "sigma_angstrom": 0.4},
         "ridge": 1e-7, "loss": loss, "loss_stderr": 0.0004, "n_columns": 1203,
         "relative_cost": cost}
        for c, loss, cost in ((5.0, 0.0101, 0.8), (6.0, 0.0064, 1.0), (7.0, 0.0062, 1.3))
    ]  # fmt: skip

    def add(summary):
        summary["efg_grid"]["li3ps4"] = {"rows": rows, "chosen": choose(rows)}

    edit_summary(results, add)
    said = without_figures(results)
    assert "The density expansion was chosen by cross-validation" in said
    assert "the cheapest of 2 within one standard error of the smallest loss" in said
    assert "6 | 1203 | 0.00640 ± 4.0 × 10⁻⁴ | 1.0 | chosen |" in said


def test_sparse_gpr_is_named(make_campaign, edit_summary):
    results = make_campaign()

    def change(summary):
        summary["efg"]["li3ps4"] |= {"model": "sa_gpr", "zeta": 2, "n_inducing": 300}

    edit_summary(results, change)
    expected = "sparse SA-GPR with 300 inducing environments and zeta 2, ridge 1e-06"
    assert expected in without_figures(results)


def test_a_campaign_without_field_gradients_has_no_echo(blank_figures, make_campaign):
    results = make_campaign(efg=False)
    for path in [*results.glob("**/acf*"), *results.glob("**/efg/fit.json")]:
        path.unlink()
    errors = json.loads((results / "li3ps4/heldout/errors.json").read_text())
    for phase in errors["phases"].values():
        for part in (phase, *phase["trajectories"].values()):
            part.pop("efg")
            part.pop("efg_split", None)
    store = LabelStore(results / "labels")
    write_json(results / "li3ps4/heldout/errors.json", errors)
    summary = summarise(
        results,
        run={"li3ps4": ["beta", "amorphous"]},
        temperatures_k=[300, 500],
        source="QE 6.7",
        store=store,
        efg=False,
    )
    write_json(results / "summary.json", summary, provenance={})
    page = build_page(results, results / "summary.json")
    assert "Energies and forces of this campaign are labels of QE 6.7." in page
    assert "has no field gradients, and so no echo" in page
    assert "labels: QE 6.7" in page
    for word in ("τ_SAE", "ω_Q", "C_Q", "field-gradient model"):
        assert word not in page.replace("(labels.efg)", "")


def test_names_are_escaped(blank_figures, make_campaign, edit_summary):
    results = make_campaign()

    def inject(summary):
        evil = "<script>alert(1)</script> & more"
        entry = {"reason": evil, "part": evil, "failures": 1, "formula": evil, "log": evil}
        summary["label_sets"]["li3ps4"]["quarantine"] = {"a" * 64: entry}
        summary["labels"] = 'x"<b>'

    edit_summary(results, inject)
    page = build_page(results, results / "summary.json")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "labels: x&quot;&lt;b&gt;" in page


def test_a_bound_gives_its_reason(make_campaign, edit_summary):
    results = make_campaign()

    def bound(summary):
        for claim in summary["claims"]:
            if claim["claim"] == "tau_sae" and claim["phase"] == "amorphous":
                low = {"value": None, "stderr": None, "interval": [0.0061, None], "level": 0.95}
                claim["quantity"] |= low | {"verdict": "bound"}
                claim["reason"] = "a decay is seen (4 s.e.) but not resolved: tau exceeds 0.2"

    edit_summary(results, bound)
    said = without_figures(results)
    assert "its time is not resolved, because τ exceeds 0.2: τ_SAE > 6.1 ps (95 %)." in said


def test_missing_curve_is_an_error_that_names_it(make_campaign):
    results = make_campaign()
    (results / "li3ps4/phases/beta/300K/msd.csv").unlink()
    with pytest.raises(HopechoError, match=r"msd\.csv"):
        build_page(results, results / "summary.json")


def test_targets_come_from_the_summary_or_from_missed_criteria(campaign):
    summary = json.loads((campaign / "summary.json").read_text())
    assert targets(CampaignView(campaign, summary), "li3ps4") == {"force_relative": 0.2}
    summary["targets"] = {"rmse_energy": 0.01}
    both = targets(CampaignView(campaign, summary), "li3ps4")
    assert both == {"force_relative": 0.2, "rmse_energy": 0.01}


def test_bursts_bring_spectra_claims_and_a_reason_for_the_missing_value(page):
    for name in ("vdos-300", "vdos-500", "current", "rotation"):
        assert f'id="figure-li3ps4-{name}"' in page
    assert "band centre of the vibrations (Li)" in page
    assert "Green-Kubo, no value: beta, 300 K: the integral is not flat up to 1.24 ps" in page
    assert "no change seen, life" in page


def test_without_bursts_there_are_no_spectra(blank_figures, campaign, tmp_path):
    summary = json.loads((campaign / "summary.json").read_text())
    gone = ("band_centre", "sigma_gk", "angular_velocity_width", "rotation_width")
    summary["claims"] = [c for c in summary["claims"] if c["claim"] not in gone]
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary))
    page = build_page(campaign, path)
    assert "figure-li3ps4-vdos" not in page
    assert "Green-Kubo, no value" not in page
    assert 'id="figure-li3ps4-rotation"' in page
