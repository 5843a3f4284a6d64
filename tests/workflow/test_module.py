"""Another workflow imports a campaign as a module; campaigns in one checkout share no results."""

import subprocess

import yaml

from hopecho.config_text import load_yaml, merge
from hopecho.io.extxyz import read_frames
from hopecho.labels.store import LabelStore

QUICK = "campaigns/quick.yaml"
BETA_ONLY = """
run: {li3ps4: [beta]}
learning: {phases: [beta], initial_per_phase: 4}
"""
IMPORTER = """
configfile: "mine.yaml"


module ions:
    snakefile:
        {snakefile!r}
    config:
        config


use rule * from ions as ions_*


rule mine:
    default_target: True
    input:
        rules.ions_all.input,
    output:
        "mine.txt",
    shell:
        "wc -c {{input}} > {{output}}"
"""


def test_another_workflow_imports_a_campaign(project, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    quick = load_yaml(project.folder / "campaigns/quick.yaml")
    config = merge(load_yaml(project.folder / "config.yaml"), quick)
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    snakefile = str(project.folder / "Snakefile")
    (folder / "Snakefile").write_text(IMPORTER.format(snakefile=snakefile))
    done = subprocess.run(
        project.command("-n", configfile=None), cwd=folder, env=project.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    for rule in ("ions_start_structure", "ions_report_page", "mine"):
        assert f"\n{rule} " in done.stdout


def test_two_campaigns_side_by_side_share_labels_and_nothing_else(project):
    """Started together in one checkout: neither waits for the other or touches its results."""
    running = []
    for name in ("a", "b"):
        (project.folder / f"{name}.yaml").write_text(BETA_ONLY + f"results: results-{name}\n")
        target = f"results-{name}/li3ps4/al/0/candidates/labelled.extxyz"
        files = ["--configfile", QUICK, f"{name}.yaml"]
        running.append((target, files, subprocess.Popen(
            project.command("--cores", "1", target, *files, configfile=None),
            cwd=project.folder, env=project.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )))  # fmt: skip
    for _, _, process in running:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    labelled = [project.folder / target for target, _, _ in running]
    assert labelled[0].read_bytes() == labelled[1].read_bytes()
    store = LabelStore(project.folder / "store/labels")
    assert len(store.keys()) == len(read_frames(labelled[0])) == 4
    assert store.verify() == []
    # What is removed of one, the other keeps, and the labels stay.
    project.hopecho("clean", "--yes", overlays=("a.yaml",))
    assert not (project.folder / "results-a").exists()
    assert len(store.keys()) == 4
    target, files, _ = running[1]
    assert project.planned(target, *files, configfile=None) == {}
    target, files, _ = running[0]
    done = project.run("--cores", "1", target, *files, configfile=None)
    assert done.returncode == 0, done.stdout
    assert labelled[0].read_bytes() == labelled[1].read_bytes()
    assert len(store.keys()) == 4
