"""What a container printed, told by its end."""

from pathlib import Path

from submission.container.program import TAIL_BYTES, TAIL_LINES, Running


def lines_of(log: Path) -> list[str]:
    running = Running.__new__(Running)
    running.log = log
    return running.last_lines()


def test_of_a_long_log_the_end_is_read_and_no_more(tmp_path):
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        file.truncate(1 << 34)  # a hole, larger than any memory it should take
        file.seek(0, 2)
        file.write(b"".join(b"\nline %d" % number for number in range(2000)))
    lines = lines_of(log)
    assert lines == [f"line {number}" for number in range(2000 - TAIL_LINES, 2000)]


def test_a_short_log_is_read_whole_and_one_that_is_gone_is_empty(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("one\n\x1b[31mtwo\r\n")
    assert log.stat().st_size < TAIL_BYTES
    assert lines_of(log) == ["one", "two"]
    assert lines_of(tmp_path / "none") == []
