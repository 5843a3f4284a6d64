"""Cost said beforehand, and where a campaign stands."""

import copy

import pytest

from hopecho.config import Campaign, load, validate
from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError
from hopecho.forecast import US_PER_ATOM_STEP, atoms_in_phase, forecast, forecast_lines
from hopecho.io.extxyz import write_frames
from hopecho.io.results import write_json
from hopecho.progress import status_lines
from hopecho.structures.build import supercell
from hopecho.structures.crystals import load_crystal


@pytest.fixture
def config(tmp_path):
    config = copy.deepcopy(load(PROJECT_ROOT / "config.yaml"))
    config["results"] = str(tmp_path / "out")
    config["md"]["lammps"]["pair_style"] = "uf3"
    return config


def test_atoms_are_those_of_the_structure_that_is_built(config, tmp_path):
    campaign = Campaign(config)
    built = supercell(load_crystal("beta-Li3PS4"), config["phases"]["beta"]["supercell"])
    assert atoms_in_phase(campaign, "beta") == len(built)
    path = tmp_path / "a.extxyz"
    write_frames(path, [load_crystal("gamma-Li3PS4")])
    config["phases"]["beta"] |= {"kind": "file", "structure": str(path), "supercell": [1, 1, 3]}
    campaign = Campaign(validate(config))
    assert atoms_in_phase(campaign, "beta") == 3 * len(load_crystal("gamma-Li3PS4"))


def test_an_unreadable_structure_file_is_named_with_its_key(config, tmp_path):
    path = tmp_path / "a.extxyz"
    path.write_text("this is no structure\n")
    config["phases"]["beta"] |= {"kind": "file", "structure": str(path)}
    with pytest.raises(HopechoError) as caught:
        list(forecast_lines(Campaign(validate(config))))
    for part in ("phases.beta.structure", str(path), "fix: the file must be"):
        assert part in str(caught.value)


def test_an_unknown_crystal_is_named_with_its_key(config):
    config["phases"]["beta"]["structure"] = "beta-Li3PS5"
    with pytest.raises(HopechoError, match=r"phases\.beta\.structure[\s\S]*'beta-Li3PS4'"):
        forecast(Campaign(validate(config)))


def test_cost_by_hand(config):
    config["run"] = {"li3ps4": ["beta"]}
    config["md"] |= {"temperatures_k": [300], "segment_ps": 25.0, "equilibrate_ps": 5.0}
    config["md"]["length_ps"]["beta"] = {"300": 60.0}
    cost = forecast(Campaign(validate(config)))
    length_ps = 3 * (3 * 25.0 + 5.0)  # replicas, whole segments
    assert cost.simulated_ns == pytest.approx(length_ps * 1e-3)
    assert cost.md_cpu_s == pytest.approx(length_ps / 2e-3 * 128 * US_PER_ATOM_STEP["uf3"] * 1e-6)
    assert cost.disk_bytes > 0
    assert cost.wall_s(1) == pytest.approx(cost.md_cpu_s + cost.efg_cpu_s)
    assert cost.wall_s(1000) == pytest.approx(cost.md_cpu_s / 3)  # segments of a run in turn
    config["potential"]["cutoff_3b_angstrom"] = 4.5
    wider = forecast(Campaign(validate(config)))
    assert wider.md_cpu_s == pytest.approx(cost.md_cpu_s * 1.125**6)


def test_finished_segments_are_done_and_tell_their_cost(config):
    config["run"] = {"li3ps4": ["beta"]}
    config["md"]["temperatures_k"] = [300]
    before = forecast(Campaign(config))
    (phase,) = before.phases
    assert (phase.done_ns, phase.measured) == (0.0, False)
    assert "0.000 of 0.900 ns; 128 atoms, 9.63 us an atom and step (assumed)" in phase.words()
    folder = f"{config['results']}/li3ps4/phases/beta/quench0/300K/replica1"
    write_json(f"{folder}/segment0.json", {})
    log = f"{config['results']}/logs/segment/li3ps4-beta-0-300K-1-0.json"
    write_json(log, {"cpu_s": 3.0, "atom_steps": 1_500_000})
    after = forecast(Campaign(config))
    (phase,) = after.phases
    assert phase.us_per_atom_step == pytest.approx(2.0)
    assert after.simulated_ns == pytest.approx(before.simulated_ns - 0.105)
    assert phase.cpu_s == pytest.approx(0.810e6 / 2 * 128 * 2.0e-6)
    write_json(f"{folder}/segment1.json", {"length_ps": 12.5})  # from other settings
    assert forecast(Campaign(config)).phases == after.phases
    assert "0.100 of 0.900 ns; 128 atoms, 2 us an atom and step (measured)" in phase.words()


def test_the_pair_style_that_will_run_is_said(config, monkeypatch):
    from hopecho import forecast as module
    from hopecho.md import fast_style

    config["md"]["lammps"] = {"command": "lmp", "pair_style": "uf3/fast"}
    for reason, style in (("there is no g++", "uf3"), ("", "uf3/fast")):
        module._style.cache_clear()
        monkeypatch.setattr(fast_style, "unavailable", lambda command, reason=reason: reason)
        cost = forecast(Campaign(validate(config)))
        assert cost.phases[0].us_per_atom_step == US_PER_ATOM_STEP[style]
        said = "\n".join(forecast_lines(Campaign(validate(config)), 4))
        assert ("pair style uf3, not uf3/fast: there is no g++" in said) == bool(reason)
        assert " h on 4 cores, " in said
    module._style.cache_clear()


def test_a_longer_run_and_a_smaller_step_cost_in_proportion(config):
    before = forecast(Campaign(config))
    config["md"]["dt_fs"] = 1.0
    after = forecast(Campaign(validate(config)))
    assert after.md_cpu_s == pytest.approx(2 * before.md_cpu_s)
    assert after.disk_bytes == before.disk_bytes


def status(config):
    return "\n".join(status_lines(Campaign(config)))


def round_file(config, number, accepted):
    unmet = [] if accepted else [{"name": "g", "text": "force too large"}]
    path = f"{config['results']}/li3ps4/al/{number}/status.json"
    write_json(path, {"accepted": accepted, "unmet": unmet})


def test_rounds(config):
    assert "no round of learning finished (at most 5)" in status(config)
    round_file(config, 9, accepted=False)
    round_file(config, 10, accepted=False)
    assert "round 10 of at most 4, not accepted: force too large" in status(config)
    round_file(config, 2, accepted=True)  # now enough, after targets were loosened
    assert "round 2 of at most 4, accepted" in status(config)


def test_nanoseconds_done_count_only_the_segments_of_this_campaign(config):
    folder = f"{config['results']}/li3ps4/phases/beta/quench0/300K/replica1"
    for segment in (0, 1, 7):  # segment 7 is left from a longer campaign
        write_json(f"{folder}/segment{segment}.json", {})
    text = status(config)
    assert "li3ps4 beta 300 K: 0.200 of 0.900 ns" in text
    left = next(line for line in text.splitlines() if "MD left" in line)
    config["md"]["length_ps"]["beta"]["300"] = 50.0
    assert "li3ps4 beta 300 K: 0.100 of 0.300 ns" in status(config)
    assert left != next(line for line in status(config).splitlines() if "MD left" in line)


def test_a_structure_quarantined_in_two_sets_counts_once(config, tmp_path):
    for where in ("al/0/audit", "heldout"):
        write_json(
            f"{config['results']}/li3ps4/{where}/labelled.json", {"quarantined": {"k": "force"}}
        )
    assert "labels quarantined: 1" in status(config)
    page = tmp_path / "out/report.html"
    page.write_text("")
    assert f"report: {page}" in status(config)


def test_without_field_gradients_no_tensor_is_forecast(config):
    with_tensors = Campaign(validate(config))
    config["labels"]["efg"] = False
    without = Campaign(validate(config))
    assert forecast(with_tensors).efg_cpu_s > 0
    assert forecast(without).efg_cpu_s == 0
    assert forecast(without).md_cpu_s == forecast(with_tensors).md_cpu_s
    assert "tensors" in "\n".join(forecast_lines(with_tensors))
    assert "tensors" not in "\n".join(forecast_lines(without))
