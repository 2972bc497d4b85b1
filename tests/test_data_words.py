"""What --data and --split mean, and what a check says that was told neither."""

import pytest

from submission.cli import main


@pytest.mark.parametrize("named", [False, True])
def test_data_may_be_the_folder_of_one_split(answer, split, named, capsys):
    words = ["check", str(answer), "--data", str(split.folder), "--quiet"]
    assert main([*words, *(["--split", split.name] if named else [])]) == 0
    assert "no faults (2 videos" in capsys.readouterr().out


def test_a_check_without_data_says_what_it_was_held_against(answer, capsys):
    assert main(["check", str(answer), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "no mask of the sample split" in said
    assert "give --data DIR --split NAME" in said
    assert "the video is missing" not in said
