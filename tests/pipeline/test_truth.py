"""Faults of the ground truth are told before work starts, and never end a run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from submission.cli import main
from submission.dataset import official
from submission.dataset.official import differs_from_official
from submission.pipeline.truth import settle_truth
from submission.run.folder import RunFolder
from submission.terminal.progress import Reporter


@pytest.fixture
def words(answer: Path, split, tmp_path: Path) -> list[str]:
    """The words of a call that submits given masks for the tiny split."""
    recipe = tmp_path / "given.toml"
    recipe.write_text(
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n'
        f'[[expert]]\nname = "given"\nmasks = "{answer}"\n'
    )
    return ["submit", "--recipe", str(recipe), "--run", str(tmp_path / "out"), "--quiet"]


def damage(split) -> None:
    masks = json.loads(split.mask_file.read_text())
    masks["7"][0]["counts"] = "b'0]3'"
    split.mask_file.write_text(json.dumps(masks))


def test_a_run_with_a_damaged_truth_has_a_zip_a_verdict_and_a_page(words, split, tmp_path, capsys):
    damage(split)
    assert main(words) == 0
    said = capsys.readouterr()
    assert "warning: there will be no score. " in said.err
    assert "annotation 7: frame 00000: its run lengths are Python bytes" in said.err
    assert "score    none: " in said.out
    out = tmp_path / "out"
    assert (out / "submission.zip").is_file()
    assert json.loads((out / "check.json").read_text())["ok"]
    assert not (out / "score.json").exists()
    page = (out / "report/index.html").read_text()
    assert "No score: " in page
    assert "the ground truth has 1 fault" in page


def test_the_verdict_is_told_whole_whatever_the_folder_is_called(words, tmp_path, capsys):
    run = tmp_path / "Lauf 2: mit ü"
    words[words.index("--run") + 1] = str(run)
    assert main(words) == 0
    assert f"verdict  {run}/check.json: no faults (" in capsys.readouterr().out


def test_a_dry_run_opens_the_truth_and_leaves_nothing(words, split, tmp_path, capsys):
    damage(split)
    assert main([*words, "--dry-run"]) == 0
    assert "Python bytes written as text" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_truth_that_was_mended_is_scored(words, split, tmp_path, capsys):
    whole = split.mask_file.read_bytes()
    damage(split)
    assert main(words) == 0
    split.mask_file.write_bytes(whole)
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "out/score.json").is_file()
    assert "No score: " not in (tmp_path / "out/report/index.html").read_text()


def test_a_truth_is_held_to_the_size_of_the_frames_that_are_there_now(split, tmp_path):
    run, reporter = RunFolder(tmp_path / "out"), Reporter("quiet")
    height, width = split.videos[0].size
    larger = tuple(replace(video, size=(height + 2, width)) for video in split.videos)
    assert settle_truth(replace(split, videos=larger), run, reporter).truth_fault
    assert settle_truth(split, run, reporter) == split
    assert settle_truth(replace(split, truth_fault="as seen before"), run, reporter) == split


def test_another_file_than_the_published_one_is_a_warning(words, split, monkeypatch, capsys):
    key = (split.name, len(split.videos), split.num_sentences)
    monkeypatch.setattr(official, "_MASKS", {key: "0" * 64})
    assert main([*words, "--dry-run"]) == 0
    assert "not the file that MeViS v1 published for valid_u" in capsys.readouterr().err
    digest = hashlib.sha256(split.mask_file.read_bytes()).hexdigest()
    monkeypatch.setattr(official, "_MASKS", {key: digest})
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().err == ""


def test_only_the_splits_whose_masks_are_known_are_hashed(split):
    def refuse() -> str:
        raise AssertionError("hashed")

    assert differs_from_official(split, refuse) is None
    many = replace(split, videos=split.videos[:1] * 50)
    assert differs_from_official(many, refuse) is None  # fifty videos, but not its sentences


@pytest.mark.parametrize("name", ["score.json", "score.csv", "check.json"])
@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content.replace(b"1", b"7")]
)
def test_a_damaged_file_that_can_be_made_again_is(words, tmp_path, name, damage):
    assert main(words) == 0
    path = tmp_path / "out" / name
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert main(words) == 0
    assert path.read_bytes() == whole
