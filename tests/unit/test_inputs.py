"""Nothing that comes from elsewhere is executed: forbidden calls, and values in shell commands."""

import ast
import re
from pathlib import Path

import pytest

from hopecho.config import load, validate
from hopecho.config_text import PROJECT_ROOT as ROOT
from hopecho.config_text import load_yaml
from hopecho.errors import HopechoError

FOLDERS = ("hopecho", "scripts", "benchmarks")
# benchmarks/.venv holds the environments of peers.
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ".venv" not in path.relative_to(ROOT).parts
)
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]

MODULES = {"pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve", "pty", "code", "torch"}
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint"}
CALLS = {
    "np.load",  # hopecho.io.arrays reads archives; benchmarks their own files
    "os.system",
    "os.popen",
    "pd.read_pickle",
    "pd.eval",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
}
# Where the user's own words are taken for a program: labels.ase.calculator and names of backends.
IMPORTING = {"hopecho/labels/calculator.py", "hopecho/labels/interface.py"}
# Who may open what: one place for each kind of container.
OPENING = {
    "h5py.File": {"hopecho/io/hdf5.py", "hopecho/io/h5md.py", "hopecho/io/efg_table.py"},
    "zipfile.ZipFile": {"hopecho/io/arrays.py"},
    "ase.io.read": set(),
    "ase.io.iread": set(),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dotted(node: ast.expr, aliases: dict[str, str]) -> str:
    """Name of what is called, with imported names written out."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(["?", *parts])
    return ".".join([aliases.get(node.id, node.id), *parts])


def forbidden(text: str, name: str) -> list[str]:
    """Calls and imports in a source that may run what a file or the config says."""
    tree, found = ast.parse(text), []
    aliases = {"numpy": "np", "pandas": "pd"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                first = item.name.split(".")[0]
                full = item.name if item.asname else first
                aliases[item.asname or first] = aliases.get(full, full)
                found += [item.name] if item.name.split(".")[0] in MODULES else []
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if node.module.split(".")[0] in MODULES else []
            base = aliases.get(node.module, node.module)
            aliases |= {item.asname or item.name: f"{base}.{item.name}" for item in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += _call(node, dotted(node.func, aliases), name)
    return found


def _call(node: ast.Call, called: str, name: str) -> list[str]:
    values = {k.arg: getattr(k.value, "value", "?") for k in node.keywords}
    own = name.startswith("benchmarks/") and called == "np.load" and "allow_pickle" in values
    bad = (called in CALLS and not own) or called in BUILTINS
    bad |= called.endswith(".import_module") and name not in IMPORTING
    bad |= called in OPENING and name not in OPENING[called]
    bad |= values.get("shell", False) is not False
    bad |= values.get("allow_pickle", False) is not False
    if called.startswith("subprocess.") and node.args:
        # One string is a command line on Windows and a program's name elsewhere: never meant.
        bad |= isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    return [f"line {node.lineno}: {called}"] if bad else []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_source_runs_what_it_reads(path):
    assert forbidden(path.read_text(encoding="utf-8"), name_of(path)) == []


PLANTED = [
    "import pickle",
    "from joblib import load",
    "import numpy\nnumpy.load('x')",
    "import numpy as np\nnp.load('x', allow_pickle=True)",
    "from numpy import load as get\nget('x')",
    "eval('1')",
    "import yaml\nyaml.load(x, yaml.Loader)",
    "import subprocess\nsubprocess.run(words, shell=True)",
    "import subprocess\nsubprocess.run(f'rm {name}')",
    "import subprocess as s\ns.run(words, shell=flag)",
    "from os import system\nsystem('x')",
    "from ase.io import read\nread('x.traj')",
    "import ase.io\nase.io.read('x')",
    "import h5py\nh5py.File('x')",
    "import importlib\nimportlib.import_module(name)",
]


@pytest.mark.parametrize("text", PLANTED)
def test_the_search_finds_what_is_planted(text):
    assert forbidden(text, "hopecho/planted.py")


# Words that are put into a shell command when the rules are read: constants and quoted values.
AT_READING = {"LAMMPS", "PAIR_STYLE", "MD_WALL_MIN", "LABEL_COMMAND", "EFG_COMMAND"}
AT_READING |= {"LABEL_ATTEMPTS", "GAP_COMMAND", "LABEL_STORE", "MAX_FAILED_SHARE"}
DIGITS = {"wildcards.batch", "wildcards.round", "wildcards.temperature", "wildcards.segment"}


def shell_blocks(text: str) -> list[str]:
    """Text of every shell directive."""
    end = r"^ *(?:rule|checkpoint|def|[#a-z]\w*\b.*:)|\Z"
    return re.findall(rf"^ *shell:\n((?: +.*\n|\n)+?)(?={end})", text, re.M)


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_every_value_in_a_shell_command_is_quoted(path):
    text = path.read_text(encoding="utf-8")
    blocks = shell_blocks(text)
    assert len(blocks) == len(re.findall(r"^ *shell:", text, re.M))
    for block in blocks:
        for inside in re.findall(r"(?<!\{)\{([^{}]+)\}", block):
            assert inside.endswith(":q") or inside in AT_READING | DIGITS, f"{{{inside}}} in {path}"
    assert not re.search(
        r"^ +run:$|shell\(|\bscript:|os\.system|eval\(|exec\(|yaml\.load", text, re.M
    )


def test_values_put_into_commands_when_rules_are_read_are_quoted():
    text = (ROOT / "rules/common.smk").read_text(encoding="utf-8")
    # One of two words, and numbers, by the schema.
    free = {"PAIR_STYLE", "MD_WALL_MIN", "MAX_FAILED_SHARE"}
    for name in sorted(AT_READING - free - {"GAP_COMMAND"}):
        assert re.search(rf"^{name} = quoted\(", text, re.M), name


HURTFUL = ["a; rm -rf x", "../up", "a/../../b", "a b", "$(id)", "`id`", "{input}", "a\nb", "-x", ""]
HURTFUL += [
    "β",
    "a\u2028b",
    "\u202ea",
    "x; touch owned",
    "&& touch owned",
    "\uff0e\uff0e/x",
    "a\tb",
]
HURTFUL += ["a'b", 'a"b', "~", "a\\b", "a|b", "a*", ".", "..", "/", "a/", "ok\n", "x" * 300 + "/"]


@pytest.mark.parametrize("word", HURTFUL)
def test_names_and_folders_that_leave_their_place_are_refused(word):
    config = load(ROOT / "config.yaml")
    for place in ("results", "materials", "phases", "dataset"):
        bad = dict(config)
        if place == "results":
            bad["results"] = word
        elif place == "dataset":
            bad["labels"] = config["labels"] | {"dataset": word}
        else:
            (first, entry), *_ = config[place].items()
            bad[place] = config[place] | {word: entry}
            if place == "materials":
                bad["run"] = {word: config["run"][first]}
        with pytest.raises(HopechoError):
            validate(bad)


@pytest.mark.parametrize("results", ["results", "/scratch/me/run.2", "out/li3ps4_a+b", ".cache/x"])
def test_ordinary_folders_are_accepted(results):
    assert validate(load(ROOT / "config.yaml") | {"results": results})["results"] == results


@pytest.mark.parametrize("path", ["-rf", "a{input}", "a\nb", "x\0"])
@pytest.mark.parametrize("key", [("potential", "file"), ("labels", "store")])
def test_paths_that_are_no_paths_are_refused(key, path):
    config = load(ROOT / "config.yaml")
    config[key[0]] = config[key[0]] | {key[1]: path}
    with pytest.raises(HopechoError, match="does not begin with -"):
        validate(config)


def test_a_configuration_that_unfolds_without_end_is_refused(tmp_path):
    nested = ["x", "x"]
    for _ in range(60):
        nested = [nested, nested]
    with pytest.raises(HopechoError, match="too many entries"):
        validate({"results": nested})
    path = tmp_path / "c.yaml"
    path.write_text("a: !!python/name:os.system\n")
    with pytest.raises(HopechoError, match=r"c\.yaml is not valid YAML"):
        load_yaml(path)
