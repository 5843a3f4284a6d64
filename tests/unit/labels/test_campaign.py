"""Labels as a campaign sees them: the right code, nothing missing, not too many failures."""

import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.labels.batch import BatchResult
from hopecho.labels.campaign import (
    backend_from_settings,
    census,
    raise_if_missing,
    require_one_set,
)

SETTINGS = {
    "code": "castep", "command": "hopecho-castep", "version": "24.1",
    "castep": {"param": {"cut_off_energy": "500.0 eV"}, "cell": {}}, "dataset": "d",
    "efg_command": "", "retries": [], "max_wall_min": 0.0,
}  # fmt: skip


def test_the_code_of_the_config_is_asked_for_its_version():
    backend = backend_from_settings(SETTINGS)
    assert (backend.code, backend.version, backend.dataset) == ("castep", "24.1", "d")
    with pytest.raises(HopechoError) as caught:
        backend_from_settings(SETTINGS | {"version": "23.1"})
    for part in ("another version", "24.1", "labels.version: '23.1'", "set labels.version"):
        assert part in str(caught.value)


def test_the_surface_itself_needs_no_command_and_no_version():
    backend = backend_from_settings(
        SETTINGS | {"code": "model_pes", "command": "none", "version": ""}
    )
    assert (backend.code, backend.source) == ("model_pes", "model PES")


def test_settings_of_the_code_are_part_of_the_identity_but_not_its_command():
    def key(**changes):
        return backend_from_settings(SETTINGS | changes).settings

    assert key() != key(castep={"param": {"cut_off_energy": "600.0 eV"}, "cell": {}})


def test_a_missing_label_fails_the_job():
    states = (("a" * 64, "labelled"), ("b" * 64, "missing"), ("c" * 64, "quarantined:force"))
    problems = (("b" * 64, "killed"),)
    with pytest.raises(
        HopechoError,
        match=r"1 of 3 labels are missing[\s\S]*bbbbbbbbbbbb \(killed\)[\s\S]*run again",
    ):
        raise_if_missing(BatchResult(("a",), states, "model PES", "s", 1, problems))
    raise_if_missing(BatchResult(("a",), (states[0], states[2]), "model PES", "s", 1))


def index(states, source="model PES", keys=None, label_set="castep/0/d"):
    return {
        "source": source,
        "label_set": label_set,
        "checks": [],
        "keys": list(keys or states),
        "labels": [list(p) for p in states.items()],
    }


def test_census_keeps_the_order_of_the_frames_and_each_once():
    first = index({"a": "labelled", "b": "quarantined:scf"}, keys=["b", "a", "b"])
    result = census([first, index({"a": "labelled", "c": "labelled"}, keys=["c", "a"])],
                    max_failed_share=0.5, source="model PES")  # fmt: skip
    assert result.labelled == ("a", "c")
    assert result.quarantined == {"b": "scf"}
    assert result.to_dict() == {
        "source": "model PES", "label_set": "castep/0/d", "n_labelled": 2,
        "labelled": ["a", "c"], "quarantined": {"b": "scf"}, "checks": [],
    }  # fmt: skip


def test_the_share_of_failures_is_a_limit():
    states = {f"k{i}": "labelled" for i in range(8)} | {
        "x": "quarantined:scf_unconverged",
        "y": "quarantined:wall_time",
    }
    assert len(census([index(states)], max_failed_share=0.2, source="model PES").quarantined) == 2
    with pytest.raises(HopechoError) as caught:
        census([index(states)], max_failed_share=0.19, source="model PES")
    for part in (
        "2 of 10",
        "labels.max_failed_share",
        "1 scf_unconverged, 1 wall_time",
        "labels.retries",
        "labels.max_wall_min",
        "hopecho labels list",
        "hopecho labels retry",
    ):
        assert part in str(caught.value)


def test_sources_are_never_mixed():
    parts = [index({"a": "labelled"}), index({"b": "labelled"}, source="CASTEP 24.1")]
    with pytest.raises(HopechoError, match=r"CASTEP 24\.1 .*, model PES"):
        census(parts, max_failed_share=1.0, source="model PES")
    # An empty batch of the other code holds no label and is no mixture.
    parts[1] = index({}, source="CASTEP 24.1")
    assert census(parts, max_failed_share=0.0, source="model PES").source == "model PES"


def test_settings_and_datasets_are_never_mixed():
    parts = [index({"a": "labelled"}), index({"b": "labelled"}, label_set="castep/1/d")]
    with pytest.raises(HopechoError, match="would be mixed"):
        census(parts, max_failed_share=1.0, source="model PES")


@pytest.mark.parametrize("change", ["castep/1/d", "castep/0/other", "espresso/0/d"])
def test_one_fit_takes_one_set_of_labels(change):
    def labelled(name):
        return Atoms("Li", info={"source": "model PES", "label_set": name})

    require_one_set([labelled("castep/0/d")] * 3)
    with pytest.raises(HopechoError, match="fitted together") as caught:
        require_one_set([*[labelled("castep/0/d")] * 3, labelled(change)])
    assert f"3 of model PES (castep/0/d), 1 of model PES ({change})" in (caught.value.got, "")


def test_a_set_without_frames():
    assert census([], max_failed_share=0.0, source="model PES").to_dict()["n_labelled"] == 0


def test_a_header_never_calls_the_surface_something_else():
    surface, real = index({"a": "labelled"}), index({"a": "labelled"}, source="CASTEP 24.1")
    wrong = ((surface, "PBE DFT"), (real, "model PES"), (real, "QE 6.7"), (surface, "CASTEP 24.1"))
    for labels, source in wrong:
        with pytest.raises(HopechoError, match=r"labels\.source does not say"):
            census([labels], max_failed_share=0.0, source=source)
    assert census([real], max_failed_share=0.0, source="CASTEP 24.1, PBE").source == "CASTEP 24.1"
