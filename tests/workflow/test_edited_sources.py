"""Edited, touched and newly checked out files: only contents count, and only of cheap stages."""

import os
import shutil
import subprocess

import pytest

from tests.workflow.conftest import PARTS, Project

END = {"summary": 1, "report_page": 1}


def append(path, text="\n# edited\n"):
    path.write_text(path.read_text() + text)


def test_touched_and_edited_sources(copy_of_finished):
    project = copy_of_finished
    for name in (*PARTS, "results-quick"):
        for path in [project.folder / name, *(project.folder / name).rglob("*")]:
            if path.is_file():
                os.utime(path)
    # Expensive stages carry a result version instead.
    append(project.folder / "scripts/segment.py")
    append(project.folder / "hopecho/md/segments.py")
    append(project.folder / "hopecho/labels/castep.py")
    assert project.planned() == {}
    append(project.folder / "scripts/transport.py")
    edited_script = {"transport_analysis": 2, "temperature_series": 2, **END}
    assert project.planned() == edited_script
    append(project.folder / "hopecho/correlation/decay.py")
    assert project.planned() == edited_script | {"sites": 2, "correlation": 2}


def test_a_fresh_checkout_takes_a_campaign_over(copy_of_finished, tmp_path):
    """git gives every file the time of the checkout; the campaign's own files are moved there."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    before, clone = copy_of_finished.folder, tmp_path / "clone"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "--quiet"], cwd=before, check=True)
    subprocess.run([*git, "add", *PARTS], cwd=before, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "All"], cwd=before, check=True)
    subprocess.run([*git, "clone", "--quiet", str(before), str(clone)], check=True)
    for name in ("results-quick", "store", ".snakemake"):
        shutil.move(before / name, clone / name)
    report = clone / "results-quick/report.html"
    assert (clone / "Snakefile").stat().st_mtime > report.stat().st_mtime
    assert Project(clone).planned() == {}
