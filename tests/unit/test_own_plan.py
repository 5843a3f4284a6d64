"""What phases bring, what is left to simulate, and what the configuration refuses."""

import copy

import pytest

from hopecho import own_plan
from hopecho.config import Campaign, load, validate
from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError
from hopecho.forecast import forecast_lines
from hopecho.progress import status_lines
from hopecho.publish import products

DEFAULT = load(PROJECT_ROOT / "config.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.dump", "b.h5md", "a.h5", "b.h5", "model.npz"):
        (tmp_path / name).write_bytes(b"")


def run(file, *, temperature=400, quench=0, replica=0, **more):
    return {"temperature_k": temperature, "quench": quench, "replica": replica,
            "files": [file], **more}  # fmt: skip


def bring(*trajectories, run=("friend",), efg=(), file="", labels=None, **phase):
    config = copy.deepcopy(DEFAULT)
    friend = {"trajectories": list(trajectories), "efg": list(efg), **phase}
    config["phases"]["friend"] = friend
    config["run"] = {"li3ps4": list(run)}
    config["efg"]["file"] = file
    config["labels"] |= labels or {}
    return config


A, B = run("a.dump", stride_ps=1), run("b.h5md", temperature=300, quench=1, replica=2)


def test_a_phase_that_brings_its_runs_needs_nothing_else():
    campaign = Campaign(validate(bring(A, B)))
    assert [(c.phase, c.temperature_k) for c in campaign.cases()] == [
        ("friend", 300), ("friend", 400),
    ]  # fmt: skip
    runs = [(r.temperature_k, r.quench, r.replica) for r in campaign.runs("li3ps4")]
    assert runs == [(300, 1, 2), (400, 0, 0)]
    assert campaign.segments("friend", 400) == 1
    assert own_plan.learned(campaign.config) == []
    entry = campaign.own_run("trajectories", "friend", own_plan.RunName(400, 0, 0))
    assert entry["files"] == ["a.dump"]
    assert entry["stride_ps"] == 1.0
    with pytest.raises(HopechoError, match=r"no run of 400 K, quench 5, replica 0"):
        campaign.own_run("trajectories", "friend", own_plan.RunName(400, 5, 0))
    assert not [line for line in status_lines(campaign) if "MD" in line or "production" in line]
    said = "\n".join(forecast_lines(campaign))
    assert "friend 400 K: 1 run of your own, no tensors: give phases.<phase>.efg" in said
    assert "nothing to simulate" in said
    assert "requirements.lock" in products(campaign)
    assert not [name for name in products(campaign) if name.startswith("li3ps4")]


def test_what_learning_and_md_need_is_not_asked_of_own_data_alone():
    config = bring(A)
    config["md"]["stride_ps"] = 0.00017
    config["learning"]["phases"] = ["nowhere"]
    validate(config)
    mixed = bring(A, run=("friend", "beta"))
    mixed["md"]["stride_ps"] = 0.00017
    with pytest.raises(HopechoError, match=r"md\.stride_ps"):
        validate(mixed)


def test_a_mix_simulates_the_other_phases():
    campaign = Campaign(validate(bring(A, run=("friend", "beta"))))
    assert own_plan.simulated(campaign.config, "li3ps4") == ["beta"]
    assert own_plan.learned(campaign.config) == ["li3ps4"]
    assert own_plan.temperatures(campaign.config, "friend") == [400]
    assert own_plan.temperatures(campaign.config, "beta") == [300, 400]
    assert len(list(campaign.runs("li3ps4"))) == 1 + 3 * 2


def test_a_phase_without_structure_cannot_be_learned_from():
    config = bring(A, run=("friend", "beta"))
    config["learning"]["phases"] = ["friend"]
    with pytest.raises(HopechoError, match=r"'phases.friend' lacks kind, structure"):
        validate(config)


@pytest.mark.parametrize(
    ("options", "how", "said"),
    [
        ({}, "", "own trajectories"),
        ({"efg": [run("a.h5")]}, "table", "own trajectories and tensors"),
        ({"file": "model.npz"}, "file", "own trajectories; tensors by the model of efg.file"),
        ({"efg": [run("a.h5")], "file": "model.npz"}, "table", "own trajectories and tensors"),
        ({"run": ("friend", "beta")}, "fit",
         "own trajectories; tensors by a model of labels: model PES"),
        ({"run": ("friend", "beta"), "labels": {"efg": False}}, "", "own trajectories"),
    ],
)  # fmt: skip
def test_where_tensors_are_from_and_what_is_said(options, how, said):
    config = validate(bring(A, **options))
    assert own_plan.tensors(config, "li3ps4", "friend") == how
    assert own_plan.origin(config, "li3ps4", "friend", with_tensors=True) == said
    assert own_plan.origin(config, "li3ps4", "friend") == "own trajectories"
    known = own_plan.own_phases(config)["li3ps4"]["friend"]
    assert known == {"temperatures_k": [400], "tensors": how}


def test_simulated_phases_keep_the_source_of_their_labels():
    config = validate(bring(A, run=("friend", "beta")))
    assert own_plan.origin(config, "li3ps4", "beta", with_tensors=True) == "model PES"
    config = validate(bring(A, run=("friend", "beta"), file="model.npz"))
    said = own_plan.origin(config, "li3ps4", "beta", with_tensors=True)
    assert said == "model PES; tensors by the model of efg.file"


@pytest.mark.parametrize(
    ("options", "key", "said", "fix"),
    [
        ({"runs": [run("none.dump")]}, "phases.friend.trajectories", "none.dump", "give a path"),
        ({"runs": [A, A]}, "phases.friend.trajectories", "two runs of one", "number quenches"),
        ({"runs": [A, run("a.dump", replica=1)]}, "phases.friend.trajectories",
         "names a file twice", "one run"),
        ({"efg": [run("a.h5", replica=1)]}, "phases.friend.efg", "not of the same runs",
         "one entry for every run"),
        ({"runs": [], "efg": [run("a.h5")]}, "phases.friend", "missing", "embedded config.yaml"),
        ({"runs": [A, B], "efg": [run("a.h5")]}, "phases.friend.efg", "(300, 1, 2)", "every run"),
        ({"efg": [run("none.h5")]}, "phases.friend.efg", "none.h5", "give a path"),
        ({"kind": "crystal"}, "phases.friend.kind", "needs a structure", "cages"),
        ({"file": "none.npz"}, "efg.file", "none.npz", "'' to fit a model"),
        ({"runs": [run("a.dump", temperature=0)]}, "temperature_k", "0", "at least 1"),
        ({"runs": [run("a.dump", wrapped=True)]}, "trajectories.0.wrapped", "unknown key", "files"),
        ({"runs": [run("-a.dump")]}, "phases.friend.trajectories", "-a.dump", "does not begin"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_key_and_fix(options, key, said, fix):
    runs = options.pop("runs", [A])
    with pytest.raises(HopechoError) as caught:
        validate(bring(*runs, **options))
    message = str(caught.value)
    for part in (key, said, fix):
        assert part in message, (part, message)


def test_tables_of_a_phase_that_is_simulated_need_its_trajectories():
    config = copy.deepcopy(DEFAULT)
    config["phases"]["beta"]["efg"] = [run("a.h5", temperature=300)]
    with pytest.raises(HopechoError, match=r"phases\.beta\.efg[\s\S]*hopecho echo"):
        validate(config)


def test_a_grid_and_a_file_of_the_tensor_model_exclude_one_another():
    config = bring(A, file="model.npz")
    config["efg"]["grid"] = {"l_max": [3, 4]}
    with pytest.raises(HopechoError, match=r"efg\.grid' and efg\.file are both set"):
        validate(config)
