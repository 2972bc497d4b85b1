"""What --data and --split mean, and what a check says that was told neither."""

import pytest

from submission.cli import main


@pytest.mark.parametrize("named", [False, True])
def test_data_may_be_the_folder_of_one_split(answer, split, named, capsys):
    words = ["check", str(answer), "--data", str(split.folder), "--quiet"]
    assert main([*words, *(["--split", split.name] if named else [])]) == 0
    assert "no faults (2 videos" in capsys.readouterr().out


def test_names_of_videos_may_have_spaces_between_them(answer, split, capsys):
    words = ["check", str(answer), "--data", str(split.folder), "--quiet", "--videos"]
    assert main([*words, "dogs, cups"]) == 0
    assert "no faults (2 videos" in capsys.readouterr().out
    assert main([*words, "do gs"]) == 2


def test_a_check_without_data_says_what_it_was_held_against(answer, capsys):
    assert main(["check", str(answer), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "no mask of the sample split" in said
    assert "give --data DIR --split NAME" in said
    assert "the video is missing" not in said


def test_a_check_without_data_of_what_is_no_zip_says_that(tmp_path, capsys):
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK no zip at all")
    assert main(["check", str(path), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "not a zip, or one that was cut off" in said
    assert "no mask of the sample split" not in said


@pytest.mark.parametrize(
    "option", ["--recipe", "--run", "--data", "--split", "--videos", "--shard"]
)
@pytest.mark.parametrize("form", [lambda option: [option, ""], lambda option: [f"{option}="]])
def test_a_variable_that_is_not_set_is_no_default(option, form, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["predict", *form(option), "--dry-run"])
    assert ended.value.code == 2
    assert f"{option} is empty; is a variable of the shell not set?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_path_and_an_empty_value_of_a_key_are_told_apart(split, capsys):
    with pytest.raises(SystemExit):
        main(["check", "", "--data", str(split.folder)])
    assert "an argument is empty" in capsys.readouterr().err
    assert main(["vote", "--set", "vote.rule="]) == 2
    assert "[vote] rule" in capsys.readouterr().err
