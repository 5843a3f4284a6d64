"""Bad input ends in one clear error before any job starts; finished results stay as they are."""

import subprocess

import pytest
import yaml


def overlay(project, text: str) -> str:
    (project.folder / "bad.yaml").write_text(text)
    return "bad.yaml"


CASES = {
    "missing element": (
        "materials: {li3ps4: {elements: [Li, S]}}",
        ["materials.li3ps4.oxidation", "'P'", "elements"],
    ),
    "unknown phase": ("run: {li3ps4: [betta]}", ["run.li3ps4", "betta", "did you mean 'beta'"]),
    "unknown material": ("run: {li3ps5: [beta]}", ["run", "li3ps5", "did you mean 'li3ps4'"]),
    "negative temperature": (
        "md: {temperatures_k: [-300]}",
        ["md.temperatures_k", "-300", "at least 1"],
    ),
    "unreadable structure": (
        "phases: {beta: {kind: file, structure: nowhere.cif}}",
        ["phases.beta.structure", "nowhere.cif"],
    ),
    "stride longer than the run": (
        "md: {stride_ps: 5.0, length_ps: {beta: {300: 2.0}}}",
        ["bad.yaml: 'md.stride_ps'", "5 ps in a run of", "set md.stride_ps <="],
    ),
    "misspelt key": (
        "md: {strid_ps: 0.1}",
        ["bad.yaml", "md.strid_ps", "did you mean 'md.stride_ps'"],
    ),
    "key that stands twice": (
        "md: {dt_fs: 1.0}\nmd: {stride_ps: 0.1}",
        ["bad.yaml", "'md' stands twice", "line 2"],
    ),
    "phase that is a command": (
        "phases: {'x; touch owned': {kind: crystal, structure: beta-Li3PS4, supercell: [1, 1, 1],"
        " quenches: 1, replicas: 1}}",
        ["bad.yaml", "'phases' is not valid", "letters, digits"],
    ),
    "replicas without end": (
        "phases: {beta: {replicas: 1000000}}",
        ["md.segment_ps", "too many segments of production"],
    ),
    "word for a number": ("md: {dt_fs: two}", ["md.dt_fs", "'two'", "number"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_clear_error(project, case):
    text, words = CASES[case]
    done = project.run("-n", configfile=overlay(project, text))
    assert done.returncode != 0
    missing = [word for word in words if word not in done.stdout]
    assert not missing, done.stdout
    assert "Traceback" not in done.stdout


HURT = "$(touch owned) `touch owned`; touch owned 'x {input} \\"


def test_values_of_the_configuration_reach_bash_as_single_words(project):
    command, source = f"castep {HURT}", f"model PES {HURT}"
    labels = {"store": HURT.replace("{input}", ""), "source": source, "command": command}
    text = yaml.safe_dump({"results": "results-hurt", "labels": labels})
    done = project.run("-n", "--printshellcmds", configfile=overlay(project, text))
    assert done.returncode == 0, done.stdout
    commands = [line.strip() for line in done.stdout.splitlines() if "label_batch.py" in line]
    assert commands
    shown = "printf '%s\\n' " + commands[0].removeprefix("python ")
    words = subprocess.run(
        ["bash", "-c", shown], cwd=project.folder, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert words[words.index("--store") + 1] == labels["store"]
    assert words[words.index("--command") + 1] == command
    assert not list(project.folder.rglob("owned"))


def test_bad_input_leaves_finished_results(finished, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in finished.results.rglob("*") if p.is_file()}
    bad = tmp_path / "bad.yaml"
    bad.write_text("results: results-quick\nmd: {temperatures_k: [-5]}\n")
    assert finished.run("--cores", "1", configfile=str(bad)).returncode != 0
    after = {p: p.stat().st_mtime_ns for p in finished.results.rglob("*") if p.is_file()}
    assert before == after
