"""Arguments, logs and errors of the workflow's scripts."""

import logging

import pytest

from hopecho.errors import HopechoError
from hopecho.locks import held
from hopecho.script import arguments, run


@pytest.fixture(autouse=True)
def _root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # basicConfig closes the handlers that it replaces; pytest's own must survive.
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level


def test_options_settings_and_lists():
    argv = ["--settings", '{"a": [1, 2.5], "b": "x"}', "--csv-out", "c.csv", "--runs", "1", "2"]
    args = arguments(argv, "doc", "settings", "csv_out", lists=["runs"])
    assert args.settings == {"a": [1, 2.5], "b": "x"}
    assert (args.csv_out, args.runs) == ("c.csv", ["1", "2"])
    assert arguments(["--runs"], "doc", lists=["runs"]).runs == []


@pytest.mark.parametrize("argv", [[], ["--settings", "not json"], ["--unknown", "1"]])
def test_wrong_arguments_stop_with_usage(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        arguments(argv, "doc", "settings")
    assert stop.value.code == 2
    assert "--settings" in capsys.readouterr().err


def test_messages_reach_the_log_and_the_terminal(tmp_path, capsys):
    log = tmp_path / "deep" / "a.log"
    for text in ("first", "second"):
        arguments(["--log", str(log)], "doc")
        logging.info(text)
    assert log.read_text() == "second\n"  # of this run, not of the one before
    assert "first" in capsys.readouterr().err


def test_an_error_of_the_user_is_a_message_and_not_a_traceback(tmp_path, capsys):
    log = tmp_path / "a.log"

    def main():
        arguments(["--log", str(log)], "doc")
        raise HopechoError("it broke", got="this", fix="do that")

    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 1
    for text in (log.read_text(), capsys.readouterr().err):
        assert "error: it broke" in text
        assert "fix: do that" in text
        assert "Traceback" not in text


def test_a_defect_is_not_hidden():
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_one_job_is_done_by_one_process(tmp_path, monkeypatch, capsys):
    """A Snakemake that was killed leaves its jobs running; the next one starts them again."""
    log = tmp_path / "a.log"
    monkeypatch.setattr("hopecho.locks.WAIT_S", 0.0)
    with held(tmp_path / "a.log.lock", "busy"):
        with pytest.raises(SystemExit) as stop:
            run(lambda: arguments(["--log", str(log)], "doc"))
        assert stop.value.code == 1
        assert "Another process still does the job" in capsys.readouterr().err
        assert not log.exists()
    arguments(["--log", str(log)], "doc")
    assert log.read_text() == ""
