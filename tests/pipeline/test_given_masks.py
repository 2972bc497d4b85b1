"""Masks of any other model: compared before any model works, imported again when mended."""

import json
import os
import shutil
import zipfile

import pytest

from submission.cli import main
from submission.experts.mask_files import MaskFiles
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.output.png_files import encode_png, read_mask
from submission.weights import folder_digest


@pytest.fixture
def recipe(tmp_path, answer, split, monkeypatch):
    """A recipe of two folders of masks, `a` and `b`, and the words of a call on the tiny split."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "given.toml"
    experts = []
    for name in "ab":
        shutil.copytree(answer, tmp_path / name)
        experts.append(f'[[expert]]\nname = "{name}"\nmasks = "{name}"\n')
    path.write_text("".join(experts) + '[compute]\ndevice = "cpu"\n')
    out = tmp_path / "out"
    return [
        "--recipe",
        str(path),
        "--data",
        str(split.root),
        "--split",
        split.name,
        "--run",
        str(out),
    ]


def test_all_experts_are_told_at_once_before_anything_is_done(recipe, tmp_path, capsys):
    (tmp_path / "a/dogs/2/00001.png").unlink()
    (tmp_path / "a/dogs/2/00002.png").write_text("<html>")
    shutil.rmtree(tmp_path / "b")
    for words in (["--dry-run"], []):
        assert main(["submit", *recipe, *words]) == 2
        said = capsys.readouterr().err
        assert f"expert a: {tmp_path / 'a'}: dogs/2/00001.png: the frame is missing" in said
        assert "dogs/2/00002.png: " in said
        assert f"expert b: masks: {tmp_path / 'b'}: no such file or folder" in said
        assert 'missing = "skip"' in said
        assert not (tmp_path / "out/predictions").exists()


def test_mended_masks_are_imported_again_with_one_line(recipe, tmp_path, capsys):
    damaged = tmp_path / "a/cups/0/00001.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-20])
    assert main(["submit", *recipe]) == 2
    assert f"{tmp_path / 'a'}: cups/0/00001.png: " in capsys.readouterr().err
    damaged.write_bytes(whole)
    before = (tmp_path / "out/predictions/b/expert.json").stat().st_mtime_ns
    assert main(["submit", *recipe, "--dry-run"]) == 0
    assert "a: given masks, 0 of 4 sentences done" in capsys.readouterr().out
    assert main(["submit", *recipe]) == 0
    assert "expert a: its files have changed and are read again" in capsys.readouterr().err
    assert (tmp_path / "out/predictions/b/expert.json").stat().st_mtime_ns == before
    assert main(["submit", *recipe]) == 0
    assert "read again" not in capsys.readouterr().err


def test_answers_of_a_model_are_not_thrown_away_for_masks(recipe, split, tmp_path, capsys):
    store, video = PredictionStore(tmp_path / "out/predictions"), split.videos[0]
    store.claim("a", {"model_code": "x"})
    track = Track.empty(video.size, len(video.frame_names))
    store.write("a", video.name, "0", Prediction(video.expressions[0].sentence, track))
    assert main(["submit", *recipe]) == 2
    assert "these predictions were made differently" in capsys.readouterr().err
    assert store.identity("a") == {"model_code": "x"}


def test_a_zip_with_a_folder_around_it_is_read(recipe, tmp_path):
    assert main(["submit", *recipe, "--quiet"]) == 0
    expected = (tmp_path / "out/submission.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "around.zip", "w") as archive:
        for file in sorted((tmp_path / "a").rglob("*.png")):
            archive.write(file, f"mine/Annotations/{file.relative_to(tmp_path / 'a').as_posix()}")
    path = tmp_path / "given.toml"
    path.write_text(path.read_text().replace('masks = "a"', 'masks = "around.zip"'))
    assert main(["submit", *recipe, "--quiet"]) == 0
    assert (tmp_path / "out/submission.zip").read_bytes() == expected


def test_a_folder_is_known_by_its_content_and_read_once(answer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one = MaskFiles("a", answer).identity()
    copy = shutil.copytree(answer, tmp_path / "copy")
    for file in copy.rglob("*.png"):
        os.utime(file, (0, 0))
    assert MaskFiles("a", copy).identity() == one
    (memory,) = (tmp_path / "cache").rglob(folder_digest.MEMORY)
    assert json.loads(memory.read_text()).keys() == {str(answer), str(copy)}

    def read(path, is_ordinary):
        raise AssertionError(f"{path} is read again")

    with monkeypatch.context() as no_reading:
        no_reading.setattr(folder_digest, "_digest_file", read)
        assert MaskFiles("a", copy).identity() == one
    file = copy / "cups/0/00000.png"
    file.write_bytes(encode_png(~read_mask(file.read_bytes())))
    assert MaskFiles("a", copy).identity() != one


def test_a_pipe_in_a_folder_is_told_and_never_waited_for(recipe, tmp_path, capsys):
    pipe = tmp_path / "a/cups/0/00001.png"
    pipe.unlink()
    os.mkfifo(pipe)
    assert main(["submit", *recipe, "--dry-run"]) == 2
    assert "not an ordinary file but a named pipe" in capsys.readouterr().err
    (tmp_path / "a/others").mkdir()
    os.mkfifo(tmp_path / "a/others/x.png")  # of no concern to this split
    assert len(MaskFiles("a", tmp_path / "a").identity()["masks"]) == 64
