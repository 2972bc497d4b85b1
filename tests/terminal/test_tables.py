"""Tables in a terminal: as wide as it is, what matters least left out; in a pipe as they were."""

import pytest

from submission.cli import main
from submission.terminal.progress import Reporter
from submission.terminal.tables import draw, drawing, harmless, wrapped

ROWS = [
    ["percent", "J", "F", "J (targets)", "Final"],
    ["sa2va-8b-uniform20", "84.17", "93.75", "83.54", "93.00"],
    ["vote", "84.68", "94.20", "84.23", "92.71"],
]
LEAST = ("J (targets)", "F")


@pytest.mark.parametrize(
    ("width", "gone"), [(80, []), (45, ["J (targets)"]), (34, ["J (targets)", "F"])]
)
def test_columns_that_matter_least_are_left_out(width, gone):
    lines = draw(ROWS, least=LEAST, width=width)
    assert max(map(len, lines[:4])) <= width
    assert lines[0].split("  ")[0] == "percent"
    assert lines[-1] == (f"(for a wider terminal: {', '.join(gone)})" if gone else lines[3])
    for column, heading in enumerate(ROWS[0]):
        shown = ROWS[2][column] in lines[3].split()
        assert shown == (heading not in gone)


def test_a_name_is_folded_before_a_number_is_lost():
    lines = draw(ROWS, least=LEAST, width=24)
    assert any("92.71" in line for line in lines)
    assert max(map(len, lines[:-1])) <= 24


def test_a_pipe_gets_what_it_always_got(capsys):
    piped = drawing(lambda rows: ["plain"], LEAST)
    assert piped(ROWS) == ["plain"]


def test_a_terminal_gets_its_own(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    assert "wider" in drawing(lambda rows: ["plain"], LEAST)(ROWS)[-1]


def test_lines_break_between_words_and_go_on_under_their_second_column():
    path = "/a/path/that/is/longer/than/a/line.json"
    text = f"verdict  {path}: no faults (10 videos)\n  percent   J"
    assert wrapped(text, 30) == (
        f"verdict\n         {path}:\n         no faults (10 videos)\n  percent   J"
    )
    assert wrapped(text, 200) == text


def test_what_a_verb_prints_takes_the_width_of_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEVIS_WEIGHTS", str(tmp_path))
    words = ["weights", "list"]
    assert max(map(len, print_in(words, None, monkeypatch, capsys))) > 100
    narrow = print_in(words, 60, monkeypatch, capsys)
    assert [line for line in narrow if len(line) > 60 and len(line.split()) > 1] == []
    assert "to come" in "".join(narrow)


def print_in(words, columns, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        if columns:
            patched.setattr("sys.stdout.isatty", lambda: True, raising=False)
            patched.setenv("COLUMNS", str(columns))
        assert main([*words, "--quiet"]) == 0
    return capsys.readouterr().out.splitlines()


def test_what_moves_a_cursor_is_shown_as_an_escape():
    odd = "a\x1b[2Jb\x00c\rd\x9be\u202ef"
    assert harmless(odd) == r"a\x1b[2Jb\x00c\rd\x9be\u202ef"
    fine = "é \u4e2d\tx\n— \u200d"
    assert harmless(fine) == fine


def test_no_message_of_any_kind_moves_a_cursor(capsys):
    reporter = Reporter("plain")
    for tell in (reporter.say, reporter.warn, reporter.fail, reporter.result):
        tell("a\x1b[2Jb")
    said = capsys.readouterr()
    assert said.out + said.err == "a\\x1b[2Jb\n" * 2 + "warning: a\\x1b[2Jb\n" + "a\\x1b[2Jb\n"
