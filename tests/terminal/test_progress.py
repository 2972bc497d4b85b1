"""What a run says while it works, in each of its modes."""

import io
import json
import os
import re

import pytest

from submission.terminal.progress import Reporter, stopwatch


def report(mode, verbose=False, every=0.0, monkeypatch=None):
    monkeypatch.setattr("submission.terminal.progress.PLAIN_EVERY", every)
    with Reporter(mode, verbose=verbose) as reporter:
        reporter.plan(10)
        reporter.stage("predict 1/2 u5")
        reporter.advance(5, "video 1/2")
        reporter.detail("loading")
        reporter.warn("careful")
        reporter.fail("broken")


def test_plain_lines_for_a_log_file(monkeypatch, capsys):
    report("plain", monkeypatch=monkeypatch)
    out, said = capsys.readouterr()
    assert out == ""
    assert said.splitlines() == [
        "predict 1/2 u5", "  video 1/2, 50% of the run, 0:00 left", "warning: careful", "broken"
    ]  # fmt: skip


def test_quiet_keeps_what_must_not_be_missed(monkeypatch, capsys):
    report("quiet", monkeypatch=monkeypatch)
    assert capsys.readouterr().err.splitlines() == ["warning: careful", "broken"]


def test_json_lines_are_objects(monkeypatch, capsys):
    report("json", verbose=True, monkeypatch=monkeypatch)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["stage", "progress", "message", "warning", "error"]
    assert lines[1]["share"] == 0.5


def test_details_are_asked_for(monkeypatch, capsys):
    report("plain", verbose=True, monkeypatch=monkeypatch)
    assert "loading" in capsys.readouterr().err


def test_the_bar_leaves_nothing_behind_and_survives_an_error(capsys):
    def work() -> None:
        with Reporter("bar") as reporter:
            reporter.plan(2)
            reporter.stage("vote")
            reporter.advance(1, "video 1/2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("columns", [50, 80])
def test_times_never_give_way_to_names(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Reporter("bar") as reporter:
        reporter.plan(100)
        reporter.stage("predict 1/2 sa2va-8b-uniform20, sa2va-8b-uniform8, sa2va-i-26b")
        reporter.advance(25, "answers 24/120, video 3/20, 12.5 masks/s")
        reporter._bar.refresh()
        with reporter.inside("loading Sa2VA-26B", "52 GB"):
            reporter._bar.refresh()
            assert reporter.at == "loading Sa2VA-26B (52 GB)"
        assert reporter.at.startswith("predict 1/2")
        assert reporter.at.endswith("masks/s")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    lines = [line.strip() for line in re.split(r"[\r\n]+", shown) if "25%" in line]
    times = r" 25% 0:00:0\d eta (-:--:--|0:00:0\d) "
    assert any(re.search(f"^predict.*…? .*{times}answers", line) for line in lines), lines
    assert max(map(len, lines)) <= columns
    if columns == 80:
        assert any(
            line.startswith("loading Sa2VA-26B ") and line.endswith("52 GB") for line in lines
        )
        assert any("answers 24/120" in line for line in lines)


@pytest.mark.parametrize(("encoding", "dots"), [("ascii", False), ("utf-8", True)])
def test_a_terminal_that_knows_only_ascii_gets_only_that(monkeypatch, encoding, dots):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Reporter("bar") as reporter:
        reporter.plan(100)
        reporter.stage("predict 1/2 sa2va-8b-uniform20, sa2va-8b-uniform8")
        reporter.advance(25, "answers 24/120, video 3/20, 12.5 masks/s")
        reporter._bar.refresh()
    terminal.flush()
    shown = terminal.buffer.getvalue().decode(encoding)
    assert "predict 1/2" in shown
    assert "\\u" not in shown
    assert ("\N{HORIZONTAL ELLIPSIS}" in shown) is dots


def test_a_stage_that_failed_has_its_seconds_too():
    seconds: dict[str, float] = {}
    with pytest.raises(KeyError), stopwatch(seconds, "vote"):
        raise KeyError
    assert seconds["vote"] >= 0


def test_a_named_pipe_in_the_place_of_the_log_does_not_stop_the_work(tmp_path):
    os.mkfifo(tmp_path / "log.txt")
    reporter = Reporter("quiet")
    reporter.keep_log(tmp_path / "log.txt")
    reporter.say("on we go")
