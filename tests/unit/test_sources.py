"""The files that a script is made of."""

from pathlib import Path

from hopecho import sources
from hopecho.config_text import PROJECT_ROOT
from hopecho.sources import source_files


def project(tmp_path, monkeypatch, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "PACKAGE", tmp_path / "hopecho")

    def found(script="run.py"):
        return [str(Path(p).relative_to(tmp_path)) for p in source_files(tmp_path / script)]

    return found


def test_imports_are_followed_through_every_form(tmp_path, monkeypatch):
    files = {
        "run.py": "import numpy\nfrom hopecho.a import f\nimport hopecho.sub.d\n",
        "hopecho/__init__.py": "",
        "hopecho/a.py": "def f():\n    from hopecho.sub import b\n",
        "hopecho/sub/__init__.py": "",
        "hopecho/sub/b.py": "if True:\n    from hopecho.c import x as y\n",
        "hopecho/sub/d.py": "",
        "hopecho/c.py": "from hopecho.a import f\n",
        "hopecho/unused.py": "",
        "hopechoes.py": "",
    }
    found = project(tmp_path, monkeypatch, files)()
    assert found == sorted(
        ["hopecho/a.py", "hopecho/c.py", "hopecho/sub/__init__.py", "hopecho/sub/b.py",
         "hopecho/sub/d.py", "run.py"]
    )  # fmt: skip


def test_a_script_of_the_workflow_follows_its_analysis_but_not_the_labels():
    found = source_files(PROJECT_ROOT / "scripts/correlation.py")
    names = {str(Path(p).relative_to(PROJECT_ROOT)) for p in found}
    assert {"scripts/correlation.py", "hopecho/correlation/acf.py", "hopecho/units.py"} <= names
    assert not any(n.startswith(("hopecho/md", "hopecho/labels", "hopecho/ufp")) for n in names)
    assert found == sorted(found)
