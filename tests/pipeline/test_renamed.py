"""An expert with another name in the recipe keeps its answers; one with other settings does not."""

import errno
import os

import pytest

from submission.cli import main
from submission.files.sealed_json import read_sealed


def recipe_of(tmp_path, split, name, threshold=128):
    path = tmp_path / "bright.toml"
    path.write_text(
        f'[[expert]]\nname = "{name}"\nkind = "example"\nthreshold = {threshold}\n'
        '[compute]\ndevice = "cpu"\n'
    )
    words = ["--recipe", str(path), "--data", str(split.root), "--split", split.name]
    return [*words, "--run", str(tmp_path / "out")]


@pytest.fixture
def first(tmp_path, split):
    """The answers of expert "first", predicted; its folder."""
    assert main(["predict", *recipe_of(tmp_path, split, "first"), "--quiet"]) == 0
    return tmp_path / "out/predictions/first"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


@pytest.mark.parametrize("links", [True, False])
def test_answers_are_taken_over_under_another_name(
    first, tmp_path, split, links, monkeypatch, capsys
):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "")))
    words = recipe_of(tmp_path, split, "second")
    assert main(["predict", *words, "--dry-run"]) == 0
    assert "expert second: answers of first were made alike" in capsys.readouterr().err
    assert not (first.parent / "second").exists()
    assert main(["predict", *words]) == 0
    said = capsys.readouterr().err
    assert f"{split.num_sentences} answers taken over from first" in said
    assert "predict 1/" not in said
    assert contents(first.parent / "second") == contents(first)


def test_answers_of_other_settings_are_not(first, tmp_path, split, capsys):
    words = recipe_of(tmp_path, split, "second", threshold=99)
    assert main(["predict", *words, "--dry-run"]) == 0
    assert main(["predict", *words]) == 0
    said = capsys.readouterr().err
    assert "first" not in said
    assert "predict 1/1 second" in said


def test_what_is_damaged_or_of_another_sentence_is_made_anew(first, tmp_path, split, capsys):
    before = contents(first)
    (first / "dogs/2.json").write_bytes(b"{")
    assert main(["predict", *recipe_of(tmp_path, split, "second")]) == 0
    assert f"{split.num_sentences - 1} answers taken over" in capsys.readouterr().err
    assert contents(first.parent / "second") == before
    assert read_sealed(first.parent / "second/dogs/2.json")["sentence"]


def test_a_dry_run_says_what_would_be_refused(first, tmp_path, split, capsys):
    assert main(["predict", *recipe_of(tmp_path, split, "first"), "--dry-run"]) == 0
    assert "refused" not in capsys.readouterr().err
    before = contents(first)
    assert main(["predict", *recipe_of(tmp_path, split, "first", threshold=99), "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "the run would be refused" in said
    assert "threshold: 128 then, 99 now" in said
    one = [*recipe_of(tmp_path, split, "first", threshold=99), "--videos", "cups", "--dry-run"]
    (first / "cups/0.json").unlink()
    assert main(["predict", *one]) == 0  # other videos' answers alone stand against it
    assert "the run would be refused" in capsys.readouterr().err
    (first / "cups/0.json").write_bytes(before["cups/0.json"])
    (first / "dogs/2.json").write_bytes(b"{")
    assert main(["predict", *recipe_of(tmp_path, split, "first"), "--dry-run"]) == 0
    assert "damaged" in capsys.readouterr().err
    (first / "dogs/2.json").write_bytes(before["dogs/2.json"])
    assert contents(first) == before
