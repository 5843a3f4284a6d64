"""README's commands in a fresh clone with a fresh environment."""

import re
import shutil
import subprocess

import pytest


def test_make_run_ends_with_the_report(finished_clone):
    page = finished_clone / "results-quick/report.html"
    assert "labels: model PES" in page.read_text(encoding="utf-8")


def test_snakemake_in_the_new_environment_has_nothing_to_do(finished_clone, environment):
    done = subprocess.run(
        [".venv/bin/snakemake", "--cores", "1", "--configfile", "campaigns/quick.yaml"],
        cwd=finished_clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert "Nothing to be done" in done.stdout


@pytest.mark.parametrize("python", ["/nowhere/python3", "true"])
def test_an_unusable_python_is_one_clear_line(clone, tmp_path, environment, python):
    copy = tmp_path / "copy"
    shutil.copytree(clone, copy, ignore=shutil.ignore_patterns(".venv", "results*", ".git"))
    if python == "true":
        old = copy / "python3"
        old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
        old.chmod(0o755)
        python = str(old)
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert re.match(r"hopecho: .*(not found|not supported).*", lines[0])


def test_report_opens_in_a_browser_without_network_or_errors(finished_clone, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs chromium (Debian package chromium)")
    picture = tmp_path / "report.png"
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,3000",
            "--enable-logging=stderr", "--log-level=0", f"--screenshot={picture}",
            f"file://{finished_clone / 'results-quick/report.html'}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    from matplotlib.image import imread

    image = imread(picture)
    assert image.shape[:2] == (3000, 1100)
    drawn = (image[..., :3] < 0.9).any(axis=2)
    assert drawn.mean() > 0.02
