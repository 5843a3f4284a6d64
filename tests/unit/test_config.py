"""What a user gets wrong in a config, and what the workflow asks of a right one."""

import copy
import json
import re

import pytest
import yaml

from hopecho.config import Campaign, load, validate
from hopecho.config_text import PROJECT_ROOT, load_yaml, merge
from hopecho.errors import HopechoError

BASE = PROJECT_ROOT / "config.yaml"


@pytest.fixture(scope="module")
def default():
    return load(BASE)


def failure(tmp_path, overlay) -> tuple[str, str]:
    """Message of the error that an overlay makes, and the overlay's path."""
    path = tmp_path / "mine.yaml"
    path.write_text(overlay if isinstance(overlay, str) else yaml.safe_dump(overlay))
    with pytest.raises(HopechoError) as caught:
        load(BASE, path)
    return str(caught.value), str(path)


WRONG = {
    "unknown key": ("efgs: 3", ["'efgs'", "got: efgs: 3", "did you mean 'efg'"]),
    "misspelt nested key": (
        "md: {strid_ps: 0.1}",
        ["'md.strid_ps'", "0.1", "did you mean 'md.stride_ps'"],
    ),
    "unknown key far from any": (
        "transport: {zzz: 1}",
        ["'transport.zzz'", "known keys here: max_lag_fraction"],
    ),
    "unknown phase": ("run: {li3ps4: [bta]}", ["'run.li3ps4'", "'bta'", "did you mean 'beta'"]),
    "unknown learning phase": (
        "learning: {phases: [beta, amorphus]}",
        ["'learning.phases'", "'amorphus'", "did you mean 'amorphous'"],
    ),
    "unknown material": ("run: {li3ps5: [beta]}", ["'run'", "'li3ps5'", "did you mean 'li3ps4'"]),
    "negative temperature": (
        "md: {temperatures_k: [300, -5]}",
        ["'md.temperatures_k.1'", "got: -5", "at least 1"],
    ),
    "fractional temperature": (
        "md: {temperatures_k: [300.5]}",
        ["'md.temperatures_k.0'", "got: 300.5", "type integer"],
    ),
    "wrong type": ("md: {dt_fs: two}", ["'md.dt_fs'", "got: 'two'", "type number"]),
    "truth for a number": ("md: {dt_fs: true}", ["'md.dt_fs'", "got: True", "type number"]),
    "nothing for a value": ("md: {dt_fs: }", ["'md.dt_fs'", "got: None", "type number"]),
    "block for a list": ("run: {li3ps4: beta}", ["'run.li3ps4'", "got: 'beta'", "type array"]),
    "unknown choice": ("md: {ensemble: npt}", ["'md.ensemble'", "got: 'npt'", "'nve', 'nvt'"]),
    "above a maximum": (
        "transport: {max_lag_fraction: 0.7}",
        ["'transport.max_lag_fraction'", "0.5"],
    ),
    "zero time step": ("md: {dt_fs: 0}", ["'md.dt_fs'", "got: 0", "above 0"]),
    "not a number": ("efg: {sigma_angstrom: .nan}", ["'efg.sigma_angstrom'", "nan", "finite"]),
    "infinite": ("md: {equilibrate_ps: .inf}", ["'md.equilibrate_ps'", "inf", "finite"]),
    "too few samples": ("correlation: {bootstrap: 3}", ["'correlation.bootstrap'", "got: 3", "50"]),
    "a window beyond the fit": (
        "correlation: {average_ps: 5.0}",
        ["'correlation.average_ps'", "lags of the fit", "got: 5", "t_min_ps = 3"],
    ),
    "no field": ("correlation: {b0: [0, 0, 0]}", ["'correlation.b0'", "[0, 0, 0]", "non-zero"]),
    "two numbers for a field": ("correlation: {b0: [0, 1]}", ["'correlation.b0'", "at least 3"]),
    "same phase twice": ("run: {li3ps4: [beta, beta]}", ["'run.li3ps4'", "once"]),
    "bad element": (
        "materials: {li3ps4: {elements: [lithium]}}",
        ["'materials.li3ps4.elements.0'", "got: 'lithium'", "match"],
    ),
    "mobile element that is not there": (
        "materials: {li3ps4: {mobile: Na}}",
        ["'materials.li3ps4.mobile'", "'Na'", "materials.li3ps4.elements"],
    ),
    "missing structure file": (
        "phases: {beta: {kind: file, structure: nowhere.extxyz}}",
        ["'phases.beta.structure'", "nowhere.extxyz", "correct phases.beta.structure"],
    ),
    "glass without a recipe": (
        "phases: {beta: {kind: glass}}",
        ["'phases.beta'", "without 'build'", "quenched"],
    ),
    "stride longer than the run": (
        "md: {stride_ps: 5.0, segment_ps: 25.0, length_ps: {amorphous: {300: 200}}}",
        [
            "'md.stride_ps'",
            "fewer than 100 frames in md.length_ps.amorphous.300",
            "a stride of 5 ps in a run of 200 ps",
            "md.stride_ps <= 2",
        ],
    ),
    "first lag beyond the lags": (
        "correlation: {t_min_ps: 5.0}\nmd: {length_ps: {amorphous: {400: 25}}}",
        ["'correlation.t_min_ps'", "no lags to fit", "md.length_ps.amorphous.400", "<= 1.875"],
    ),
    "stride that is no multiple of the step": (
        "md: {dt_fs: 1.5}",
        ["'md.stride_ps'", "0.1 ps", "whole multiple of md.dt_fs (0.0015 ps)"],
    ),
    "stride below the step": ("md: {stride_ps: 0.001}", ["'md.stride_ps'", "md.dt_fs"]),
    "chunk that is no multiple of the stride": (
        "md: {segment_ps: 25.1}",
        ["'md.segment_ps'", "5.02 ps", "md.stride_ps"],
    ),
    "more bursts than segments": (
        "md: {bursts: {count: 2}}",
        [
            "'md.bursts.count'",
            "2, and 1 segments in md.length_ps.amorphous.400",
            "md.bursts.count <= 1",
        ],
    ),
    "burst stride that is no multiple of the step": (
        "md: {bursts: {stride_fs: 5.0}}",
        ["'md.bursts.stride_fs'", "5 fs", "whole multiple of md.dt_fs (2 fs)"],
    ),
    "burst stride that misses vibrations": (
        "md: {bursts: {stride_fs: 20.0}}",
        ["'md.bursts.stride_fs'", "got: 20.0", "at most 10"],
    ),
    "burst of broken strides": (
        "md: {bursts: {length_ps: 5.005}}",
        ["'md.bursts.length_ps'", "5.005 ps", "md.bursts.stride_fs (0.01 ps)"],
    ),
    "burst without a spectrum": (
        "md: {bursts: {length_ps: 0.5}}",
        ["'md.bursts.length_ps'", "fewer than 100 frames", "at least 1"],
    ),
    "test of the time step too short": (
        "md: {step_test: {length_ps: 0.5}}",
        ["'md.step_test.length_ps'", "too short", "at least 1"],
    ),
    "temperature without a length": (
        "md: {temperatures_k: [300, 450]}",
        ["'md.length_ps.amorphous'", "450 K", "md.length_ps.amorphous.450"],
    ),
    "element that is none": (
        "materials: {li3ps4: {elements: [Li, P, S, Xx]}}",
        ["'materials.li3ps4.elements'", "got: Xx", "symbols of elements"],
    ),
    "key that stands twice": (
        "md: {dt_fs: 1.0}\nlabels: {per_job: 3}\nmd: {stride_ps: 0.1}\n",
        ["'md' stands twice", "again in line 3", "the first one would be lost"],
    ),
    "more replicas than can be listed": (
        "phases: {beta: {replicas: 900000}}",
        ["'md.segment_ps'", "too many segments of production", "of 200000"],
    ),
    "count without sense": (
        "phases: {beta: {replicas: 1000000000000}}",
        ["'phases.beta.replicas'", "got: 1000000000000", "at most 1000000"],
    ),
    "run without end": (
        "md: {length_ps: {beta: {300: 1.0e+20}}}",
        ["'md.segment_ps'", "too many segments of production"],
    ),
    "number that overflows": (
        "md: {equilibrate_ps: 1.0e+308}",
        ["'md.equilibrate_ps'", "got: 1e+308", "no size of anything"],
    ),
    "integer that overflows": (
        f"seed: 1{'0' * 400}",
        ["'seed'", "got: an integer of 1329 bits", "no size of anything"],
    ),
    "supercell beyond memory": (
        "phases: {beta: {supercell: [1000, 1000, 1000]}}",
        ["'phases.beta.supercell'", "got: 1000000000", "at most 100000"],
    ),
    "labels without end": (
        "heldout: {runs: 100000, frames_per_run: 1000}",
        ["'labels.per_job'", "too many batches of labels"],
    ),
    "grid without end": (
        "potential: {grid: {"
        + ", ".join(
            f"{name}: [{', '.join(str(k + 1) for k in range(60))}]"
            for name in ("ridge_2b", "ridge_3b", "curvature_2b", "curvature_3b")
        )
        + "}}",
        ["'potential.grid'", "too many combinations", "1.3e+07"],
    ),
    "sampling stride too long": (
        "learning: {md_ps: 1.0, stride_ps: 0.5}",
        ["'learning.stride_ps'", "0.5", "quarter of learning.md_ps"],
    ),
}


ELSEWHERE = {"temperature without a length", "stride that is no multiple of the step"}
ELSEWHERE |= {"more replicas than can be listed", "run without end", "labels without end"}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_file_key_value_and_remedy(tmp_path, name):
    overlay, parts = WRONG[name]
    message, path = failure(tmp_path, overlay)
    assert "fix: " in message
    for part in [*parts, path]:
        # The default holds the key that is named.
        if part == path and name in ELSEWHERE:
            part = "config.yaml"
        assert part in message


@pytest.mark.parametrize("name", ["hopecho", ".git/x", "rules"])
def test_no_campaign_writes_into_the_project(default, name):
    folder = str(PROJECT_ROOT / name)
    if re.fullmatch(r"[\w/.+-]+", folder) is None:
        pytest.skip("the checkout's path is no folder for results")
    with pytest.raises(HopechoError, match="'results' is a folder of hopecho itself"):
        validate(default | {"results": folder})


def test_missing_oxidation_number(tmp_path, default):
    broken = copy.deepcopy(default)
    del broken["materials"]["li3ps4"]["oxidation"]["P"]
    path = tmp_path / "whole.yaml"
    path.write_text(yaml.safe_dump(broken))
    with pytest.raises(HopechoError) as caught:
        load(path)
    for part in (str(path), "'materials.li3ps4.oxidation'", "lacks", "'Li': 1.0", "value for P"):
        assert part in str(caught.value)


def test_missing_block_is_named(tmp_path, default):
    broken = {k: v for k, v in default.items() if k != "efg"}
    with pytest.raises(HopechoError, match=r"key 'efg' is missing[\s\S]*embedded config.yaml"):
        validate(broken)


def test_the_file_that_counts_is_named_also_for_an_entry_of_a_list(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("md: {temperatures_k: [300, 0]}")
    second.write_text("seed: 7")
    with pytest.raises(HopechoError) as caught:
        load(BASE, first, second)
    assert str(first) in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(HopechoError, match=r"cannot read .*absent\.yaml"):
        load_yaml(tmp_path / "absent.yaml")
    path = tmp_path / "a.yaml"
    path.write_text("md: [1, 2")
    with pytest.raises(HopechoError, match=r"a\.yaml is not valid YAML"):
        load_yaml(path)
    path.write_text("- 1\n")
    with pytest.raises(HopechoError, match="does not hold a mapping"):
        load_yaml(path)


def test_overlays_merge_mappings_and_replace_lists():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": {"z": 3}, "c": 4}
    before = copy.deepcopy(base)
    merged = merge(base, {"a": {"y": [9], "new": 5}, "b": 7, "c": {"q": 1}})
    assert merged == {"a": {"x": 1, "y": [9], "new": 5}, "b": 7, "c": {"q": 1}}
    assert base == before


def test_a_later_overlay_wins(tmp_path, default):
    for name, dt in (("a", 1.0), ("b", 0.5)):
        (tmp_path / f"{name}.yaml").write_text(f"md: {{dt_fs: {dt}}}")
    config = load(BASE, tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert config["md"]["dt_fs"] == 0.5
    assert config["md"]["stride_ps"] == default["md"]["stride_ps"]


def test_spelling_of_a_number_does_not_matter(default):
    """Snakemake compares settings as text: 2 and 2.0, and keys 300 and "300", are the same."""
    other = copy.deepcopy(default)
    other["md"] |= {"dt_fs": 2, "segment_ps": 100, "temperatures_k": [300.0, 400]}
    lengths = default["md"]["length_ps"]["beta"].items()
    other["md"]["length_ps"]["beta"] = {int(k): int(v) for k, v in lengths}
    other["materials"]["li3ps4"]["oxidation"] = {"Li": 1.0, "P": 5.0, "S": -2.0}
    other["correlation"]["b0"] = [0.0, 0.0, 1.0]
    other = validate(other)
    keys = ("md", "materials.li3ps4", "correlation.b0")
    for key in keys:
        assert Campaign(other).settings(key) == Campaign(default).settings(key)


def test_keywords_of_a_code_keep_whole_numbers_whole(default):
    texts = []
    for cycles in (100, 100.0):
        other = copy.deepcopy(default)
        other["labels"]["castep"]["param"] = {"max_scf_cycles": cycles, "fix": True, "e": 0.5}
        texts.append(Campaign(validate(other)).settings("labels.castep"))
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["castep"]["param"] == {"max_scf_cycles": 100, "fix": True, "e": 0.5}
    assert "100.0" not in texts[0]


def test_settings_ignore_the_order_of_keys_and_see_swapped_values(default):
    campaign = Campaign(default)
    a = campaign.settings("md.dt_fs", "md.stride_ps", seed=3)
    assert a == campaign.settings("md.stride_ps", "md.dt_fs", seed=3)
    reordered = dict(reversed(default.items())) | {"md": dict(reversed(default["md"].items()))}
    assert Campaign(reordered).settings("md.dt_fs", "md.stride_ps", seed=3) == a
    swapped = copy.deepcopy(default)
    low, high = (
        default["potential"]["cutoff_3b_angstrom"],
        default["potential"]["cutoff_2b_angstrom"],
    )
    swapped["potential"] |= {"cutoff_2b_angstrom": low, "cutoff_3b_angstrom": high}
    keys = ("potential.cutoff_2b_angstrom", "potential.cutoff_3b_angstrom")
    assert Campaign(swapped).settings(*keys) != campaign.settings(*keys)


def test_seeds_are_stable_and_distinct(default):
    campaign = Campaign(default)
    # A changed derivation would silently recompute every campaign.
    assert campaign.seed("production", "li3ps4", "beta", 0, 300, 0) == 465929975
    parts = [(s, p, q, t) for s in ("start", "production") for p in ("beta", "amorphous")
             for q in range(20) for t in (300, 400)]  # fmt: skip
    seeds = {campaign.seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(1 <= s <= 900_000_000 for s in seeds)  # LAMMPS takes no larger ones
    assert campaign.seed("a", "bc") != campaign.seed("ab", "c")
    other = Campaign(default | {"seed": 2025})
    assert other.seed("start") != campaign.seed("start")


@pytest.mark.parametrize(("length", "segments"), [(60.0, 3), (50.0, 2), (50.1, 3), (1.0, 1)])
def test_lengths_round_up_to_whole_segments(default, length, segments):
    config = copy.deepcopy(default)
    config["md"]["segment_ps"] = 25.0
    config["md"]["length_ps"]["beta"]["300"] = length
    assert Campaign(config).segments("beta", 300) == segments


def test_a_tenth_summed_ten_times_is_no_extra_segment(default):
    config = copy.deepcopy(default)
    config["md"] |= {"segment_ps": 0.1}
    config["md"]["length_ps"]["beta"]["300"] = 0.1 * 3  # 0.30000000000000004
    assert Campaign(config).segments("beta", 300) == 3


def test_runs_are_every_quench_and_replica(default):
    changed = copy.deepcopy(default)
    changed["phases"]["amorphous"]["quenches"] = 3
    campaign = Campaign(changed)
    runs = list(campaign.runs("li3ps4"))
    # beta: 3 replicas; amorphous: 3 quenches; two temperatures each
    assert len(runs) == len(set(runs)) == 12
    glass = list(campaign.runs("li3ps4", "amorphous", 300))
    assert [(r.quench, r.replica, r.temperature_k) for r in glass] == [
        (0, 0, 300), (1, 0, 300), (2, 0, 300),
    ]  # fmt: skip
