"""Another workflow imports a campaign as a module; campaigns in one checkout share no results."""

import subprocess

import yaml

from hopecho.config import load_yaml, merge

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


def test_campaigns_in_one_checkout_share_no_results(copy_of_finished):
    project = copy_of_finished
    before = {p: p.stat().st_mtime_ns for p in project.results.rglob("*") if p.is_file()}
    (project.folder / "other.yaml").write_text("results: results-other\n")
    target = "results-other/li3ps4/phases/beta/start0.extxyz"
    files = ["--configfile", "campaigns/quick.yaml", "other.yaml"]
    done = project.run("--cores", "1", target, *files, configfile=None)
    assert done.returncode == 0, done.stdout
    assert (project.folder / target).is_file()
    assert {p: p.stat().st_mtime_ns for p in project.results.rglob("*") if p.is_file()} == before
    assert project.planned() == {}
    project.hopecho("clean", "--yes")
    assert not project.results.exists()
    assert (project.folder / target).is_file()
    assert list((project.folder / "store/labels").rglob("*.json"))
