"""What the code base promises about itself: layers, forbidden calls, scripts, versions, config."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from hopecho.config import load
from hopecho.config_text import PROJECT_ROOT as ROOT
from hopecho.config_text import load_yaml

ORDER = [
    "errors",
    "locks",
    "units",
    "versions",
    "sources",
    "environment",
    "script",
    "tensors",
    "own_plan",
    "config_text",
    "config_problem",
    "config_checks",
    "config",
    "io",
    "structures",
    "labels",
    "standins",
    "ufp",
    "learning",
    "md",
    "trajectory",
    "own_data",
    "efg",
    "own_tensors",
    "correlation",
    "dynamics",
    "own_analysis",
    "validation",
    "figures",
    "report",
    "forecast",
    "progress",
    "publish",
    "__main__",
]
MODULES = sorted((ROOT / "hopecho").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not followed by sources.py"
            found.add(node.module)
            if node.module == "hopecho":
                found |= {f"hopecho.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_modules_above_it(path):
    own = path.relative_to(ROOT / "hopecho").with_suffix("").parts[0]
    names = imports(path)
    assert not {n for n in names if n.split(".")[0] == "snakemake"}
    if own == "__init__":
        assert not {n for n in names if n.startswith("hopecho")}
        return
    used = {n.split(".")[1] for n in names if n.startswith("hopecho.")} - {"__version__", own}
    allowed = ORDER[: ORDER.index(own)]
    assert used <= set(allowed), f"{own} must not import {sorted(used - set(allowed))}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_init_imports_nothing(path):
    """`sources.source_files` does not list the __init__ of a package: it must hold no code."""
    if path.name == "__init__.py":
        assert not imports(path)


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name_of)
def test_no_pickle_eval_or_exec(path):
    assert not {n.split(".")[0] for n in imports(path)} & {
        "pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve",
    }  # fmt: skip
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in {"eval", "exec", "__import__"}
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                assert not (keyword.arg == "allow_pickle" and value is True)
                assert not (keyword.arg == "shell" and value is True)


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_are_thin(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(tree)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert [n.name for n in functions] == ["main"]
    (argument,) = functions[0].args.args
    assert argument.arg == "argv"
    assert [d.value for d in functions[0].args.defaults] == [None]
    assert "run(main)" in text


def test_every_rule_has_its_script_and_every_script_a_rule():
    rules = "".join(p.read_text() for p in sorted((ROOT / "rules").glob("*.smk")))
    called = set(re.findall(r'\bpython\("(\w+)"\)', rules))
    followed = set(re.findall(r'code\("(\w+)"\)', rules))
    assert called == {p.stem for p in SCRIPTS}
    assert followed <= called


def locked_versions() -> dict[str, str]:
    """Package -> version of the lock for Python 3.11 on Linux."""
    from packaging.requirements import Requirement

    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line or line.startswith((" ", "#")):
            continue
        requirement = Requirement(line.rstrip("\\ "))
        here = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux",
                "platform_system": "Linux", "platform_machine": "x86_64"}  # fmt: skip
        if requirement.marker is None or requirement.marker.evaluate(here):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            found[requirement.name] = specifier.version
    return found


def conda_environment(path: Path) -> tuple[set[str], dict[str, str]]:
    """Conda's packages by name, and pip's with their versions."""
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    names = {entry.split()[0] for entry in dependencies if isinstance(entry, str)}
    assert "python =3.11" in dependencies
    return names, dict(entry.split("==") for entry in pip)


CONDA = sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONDA, ids=lambda p: p.stem)
def test_a_conda_environment_has_the_versions_of_the_lock(path):
    names, wanted = conda_environment(path)
    locked = locked_versions()
    assert wanted == {name: locked.get(name) for name in wanted}
    assert "cxx-compiler" in names


@pytest.mark.parametrize("path", CONDA, ids=lambda p: p.stem)
def test_a_conda_environment_names_what_the_project_needs(path):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=]", entry)[0] for entry in project["dependencies"]}
    assert not needed - set(conda_environment(path)[1])


def test_each_code_that_conda_has_is_in_an_environment_of_its_name():
    engines = {path.stem: conda_environment(path) for path in CONDA}
    assert "qe" in engines["espresso"][0]
    assert "abinit" in engines["abinit"][0]
    assert "tblite" in engines["xtb"][1]
    codes = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
    known = codes["properties"]["labels"]["properties"]["code"]["enum"]
    assert set(engines) - {"hopecho"} <= set(known)


def test_containers_install_the_lock():
    for name in ("Dockerfile", "hopecho.def"):
        text = (ROOT / "containers" / name).read_text()
        assert "--require-hashes -r /opt/requirements.lock" in text
        for program in ("g++", "quantum-espresso", "abinit"):
            assert program in text


def rules_of_the_project() -> set[str]:
    text = "".join(p.read_text() for p in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    return set(re.findall(r"^\s*(?:rule|checkpoint) (\w+):", text, re.M))


def test_the_slurm_profile_names_rules_that_exist():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    named = set(profile["set-resources"]) | set(profile["groups"])
    assert not named - rules_of_the_project()
    assert set(profile["group-components"]) <= set(profile["groups"].values())


def test_no_rule_of_the_rounds_is_in_a_group():
    """A path from a group through other jobs back into it could never run."""
    rounds = "".join((ROOT / f"rules/{n}.smk").read_text() for n in ("learning", "labels"))
    looping = set(re.findall(r"^(?:rule|checkpoint) (\w+):", rounds, re.M)) | {"fit_potential"}
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert not looping & set(profile["groups"])


def test_the_slurm_profile_reruns_as_the_default_one_does():
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())
        for name in ("default", "slurm")
    )
    keys = ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete", "scheduler-subsample")
    for key in keys:
        assert slurm[key] == default[key]


def test_every_retry_on_slurm_asks_for_more_and_stays_within_a_day():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    asked = [profile["default-resources"], *profile["set-resources"].values()]
    for resources in asked:
        for name in {"mem_mb", "runtime"} & set(resources):
            factor, amount = resources[name].split(" * ")
            assert factor == "attempt"
            assert name == "mem_mb" or int(amount) * (1 + profile["retries"]) <= 1440


def test_every_rule_that_says_what_it_needs_asks_for_more_in_a_retry():
    """Constants beside the lists of common.smk would stay the same in every attempt."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text()
        blocks = re.findall(r"^    resources:\n((?:        .*\n)+)", text, re.M)
        assert len(blocks) == len(re.findall(r"^ *resources:", text, re.M))
        assert {block.strip() for block in blocks} <= {"**MD_RESOURCES,", "**LABEL_RESOURCES,"}
    common = (ROOT / "rules/common.smk").read_text()
    assert len(re.findall(r'"mem_mb": lambda wildcards, attempt: attempt \* \w+_JOB', common)) == 2


def test_every_rule_that_reads_whole_trajectories_has_memory_of_its_own():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())["set-resources"]
    own = re.compile(r"resources:")
    for path in sorted((ROOT / "rules").glob("[!r]*.smk")):  # all but the report
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", path.read_text(), re.M):
            reads = re.search(r"\b(?:h5md|bursts|ufp|reference)=", body.split("output:")[0])
            assert not reads or own.search(body) or "mem_mb" in profile.get(name, {}), name


def test_the_lock_names_no_host():
    assert "http" not in (ROOT / "requirements.lock").read_text()


def keys_without_comment(text: str) -> list[str]:
    """Keys with neither a comment of their own nor one in the block that they open or stand in."""
    lines = text.splitlines()
    rows = [(n, line) for n, line in enumerate(lines) if re.match(r" *[\w]+:", line)]
    bare, stack = [], []
    for n, line in rows:
        indent = len(line) - len(line.lstrip())
        stack = [(i, c) for i, c in stack if i < indent]
        own = "#" in line or lines[n - 1].lstrip().startswith("#")
        inside = [c for i, c in stack if i >= 2]
        stack.append((indent, own))
        opens = line.rstrip().endswith(":")
        if not own and not opens and not any(inside):
            bare.append(line.strip())
    return bare


def test_every_key_of_the_default_campaign_is_commented():
    bare = keys_without_comment((ROOT / "config.yaml").read_text())
    # What the name and the enclosing block already say in full, unit included.
    assert bare == [], f"without a comment: {bare}"


def test_the_default_campaign_holds_exactly_the_keys_of_the_schema():
    schema = load_yaml(ROOT / "schemas/config.schema.yaml")
    config = load(ROOT / "config.yaml")

    def compare(node, part, where):
        if "properties" not in part:
            return
        if (
            where.startswith(("config.labels.", "config.potential.grid", "config.efg.grid"))
            and node == {}
        ):
            return  # a code or a grid that the default campaign does not use
        assert part["additionalProperties"] is False, where
        assert set(part.get("required", ())) <= set(part["properties"]), where
        assert set(node) == set(part["properties"]), where
        for key, inner in part["properties"].items():
            compare(node[key], inner, f"{where}.{key}")

    optional = {"materials": "li3ps4", "phases": "amorphous"}
    for key, entry in optional.items():
        compare(config[key][entry], schema["properties"][key]["additionalProperties"], key)
    compare(config, schema, "config")


@pytest.mark.parametrize("path", sorted((ROOT / "campaigns").glob("*.yaml")), ids=name_of)
def test_a_campaign_is_a_valid_overlay_with_results_of_its_own(path):
    config = load(ROOT / "config.yaml", path)
    assert config["results"] != load(ROOT / "config.yaml")["results"]
