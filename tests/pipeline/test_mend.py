"""What a disk does to predictions is told, and --mend makes exactly that again."""

import json
import os
import re

import pytest

from submission.cli import main
from submission.errors import InputError
from submission.files.sealed_json import read_sealed, write_sealed


@pytest.fixture
def run(tmp_path, split):
    """A finished prediction of bright pixels: its folder, and the words of its call."""
    recipe = tmp_path / "bright.toml"
    recipe.write_text('[[expert]]\nname = "a"\nkind = "example"\n[compute]\ndevice = "cpu"\n')
    words = ["--recipe", str(recipe), "--data", str(split.root), "--split", split.name]
    words = ["predict", *words, "--run", str(tmp_path / "out")]
    assert main([*words, "--quiet"]) == 0
    return tmp_path / "out/predictions/a", words


def state(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.json")}


def flip(path):
    """Another letter in the sentence: still JSON, and of the same size."""
    path.write_text(path.read_text().replace("cat", "bat").replace("dogs", "dots"))


@pytest.mark.parametrize(
    "spoil",
    [
        flip,
        lambda path: path.write_bytes(b""),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to(path.parents[3])),
    ],
)
def test_damaged_predictions_and_nothing_else_are_made_again(run, spoil, capsys):
    folder, words = run
    before, damaged = state(folder), folder / "dogs/2.json"
    spoil(damaged)
    assert main([*words, "--quiet"]) == 2
    said = capsys.readouterr().err
    assert f"{damaged}: damaged prediction" in said
    assert "the same submit or predict with --mend" in said
    assert main([*words, "--mend", "--dry-run"]) == 0
    assert "1 file would be dropped" in capsys.readouterr().err
    assert os.path.lexists(damaged)
    assert main([*words, "--mend"]) == 0
    after = state(folder)
    assert {path for path in before if before[path] != after[path]} == {damaged}
    assert before[damaged][0] == after[damaged][0]


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"threshold": 129}'])
def test_a_damaged_record_is_written_again_from_what_the_answers_say(run, content, capsys):
    folder, words = run
    record, before = folder / "expert.json", state(folder)
    record.unlink()
    if content == b'{"threshold": 129}':
        record.write_text(before[record][0].decode().replace("128", "129"))
    elif content is not None:
        record.write_bytes(content)
    for more, status in (["--dry-run"], 0), ([], 2):
        assert main([*words, "--quiet", *more]) == status
        said = capsys.readouterr().err
        assert f"{record}: " in said
        assert "--mend" in said
    spoilt = state(folder)
    assert main([*words, "--mend", "--dry-run"]) == 0
    assert state(folder) == spoilt
    assert main([*words, "--mend", "--quiet"]) == 0
    after = state(folder)
    assert {path for path in before if before[path] != after[path]} == {record}
    assert before[record][0] == after[record][0]


def test_answers_of_other_settings_are_never_taken_for_damaged_ones(run, capsys):
    folder, words = run
    before = state(folder)
    other = [*words, "--set", "expert.a.threshold=3"]
    for more, status in ([], 2), (["--mend"], 2), (["--mend", "--dry-run"], 0):
        assert main([*other, *more, "--quiet"]) == status
        assert "threshold: 128 then, 3 now" in capsys.readouterr().err
    (folder / "expert.json").write_bytes(b"")
    for more, status in ([], 2), (["--dry-run"], 0):
        assert main([*other, "--mend", "--quiet", *more]) == status
        assert "made by another expert" in capsys.readouterr().err
    del before[folder / "expert.json"]
    assert before.items() <= state(folder).items()


def test_answers_that_name_no_maker_go_with_a_record_that_nobody_can_read(run, capsys):
    folder, words = run
    answer = folder / "cups/0.json"
    value = read_sealed(answer)
    del value["made_by"]
    answer.write_text(json.dumps(value))
    assert main([*words, "--quiet"]) == 0  # as an earlier version of the kit wrote it
    (folder / "expert.json").write_bytes(b"")
    assert main([*words, "--mend"]) == 0
    assert "1 predictions do not say what made them" in capsys.readouterr().err
    assert read_sealed(answer)["made_by"] == read_sealed(folder / "dogs/0.json")["made_by"]


def test_every_flipped_bit_of_a_sealed_file_is_seen(tmp_path):
    path, value = tmp_path / "a.json", {"a": "ü", "b": [1]}
    write_sealed(path, value)
    content = path.read_bytes()
    assert read_sealed(path) == value
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_sealed(path)
    path.write_text(json.dumps(value))
    assert read_sealed(path) == value  # an earlier version of the kit knew no seal
