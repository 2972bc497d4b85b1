"""The zip has the same bytes every time and holds exactly what the split asks for."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from submission.dataset.records import Expression, Split, Video
from submission.errors import FaultyInput
from submission.output.check import check
from submission.output.team import AGREEMENT
from submission.output.zip_file import write_zip

TEAM = {
    AGREEMENT: True,
    "team_name": "Les Pixels",
    "members": [{"name": "Ada", "affiliation": "École"}],
    "email": "ada@example.org",
}


def touch_all(folder, seconds):
    for path in folder.rglob("*"):
        os.utime(path, (seconds, seconds))
        path.chmod(0o755 if path.is_dir() else 0o600)


def ordinary_zip(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return path.read_bytes()


def test_the_same_masks_give_the_same_bytes(answer, split, tmp_path):
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    touch_all(answer, 1_000_000_000)
    ordinary = ordinary_zip(answer, tmp_path / "3.zip")
    write_zip(answer, split, first, TEAM)
    for path in answer.rglob("*"):
        path.chmod(0o700)
    touch_all(answer, 1_700_000_000)
    write_zip(answer, split, second, TEAM)
    assert first.read_bytes() == second.read_bytes()
    assert ordinary_zip(answer, tmp_path / "3.zip") != ordinary  # the test can fail


def test_other_masks_give_other_bytes(answer, split, tmp_path):
    write_zip(answer, split, tmp_path / "1.zip")
    (answer / "dogs" / "0" / "00000.png").write_bytes(
        (answer / "dogs" / "0" / "00001.png").read_bytes()
    )
    write_zip(answer, split, tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() != (tmp_path / "2.zip").read_bytes()


def test_the_order_is_that_of_the_split_and_strangers_stay_out(answer, split, tmp_path):
    (answer / "notes.txt").write_text("not for the judge")
    (answer / "dogs" / "2" / ".00000.png.x.partial").write_text("left by a killed process")
    size = write_zip(answer, split, tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
    assert names[:4] == [f"dogs/0/0000{n}.png" for n in range(3)] + ["dogs/2/00000.png"]
    assert names[-1] == "cups/0/00001.png"
    assert len(names) == split.num_masks
    assert size == (tmp_path / "s.zip").stat().st_size


def test_the_team_is_at_the_root(answer, split, tmp_path):
    write_zip(answer, split, tmp_path / "s.zip", TEAM)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert json.loads(archive.read("team.json")) == TEAM
    assert check(tmp_path / "s.zip", split, require_team=True).ok


def test_a_wrong_team_is_refused(answer, split, tmp_path):
    with pytest.raises(FaultyInput, match=r"team\.json: \"email\""):
        write_zip(answer, split, tmp_path / "s.zip", {**TEAM, "email": ""})
    assert not (tmp_path / "s.zip").exists()


def test_missing_masks_are_listed_and_the_old_zip_stays(answer, split, tmp_path):
    write_zip(answer, split, tmp_path / "s.zip")
    before = (tmp_path / "s.zip").read_bytes()
    (answer / "dogs" / "2" / "00001.png").unlink()
    (answer / "cups" / "0" / "00000.png").unlink()
    with pytest.raises(FaultyInput) as caught:
        write_zip(answer, split, tmp_path / "s.zip")
    wheres = [fault.where for fault in caught.value.faults]
    assert wheres == ["dogs/2/00001.png", "cups/0/00000.png"]
    assert (tmp_path / "s.zip").read_bytes() == before


def test_progress_counts_every_file(answer, split, tmp_path):
    seen: list[int] = []
    write_zip(answer, split, tmp_path / "s.zip", on_file=seen.append)
    assert sum(seen) == split.num_masks


def test_more_files_than_an_old_zip_can_hold(tmp_path):
    frames = tuple(f"{n:05d}" for n in range(66_000))
    video = Video("v", frames, (1, 1), (Expression("v", "0", "a dog"),))
    split = Split(Path("data"), "valid", Path("meta_expressions.json"), (video,))
    folder = tmp_path / "Annotations" / "v" / "0"
    folder.mkdir(parents=True)
    for frame in frames:
        (folder / f"{frame}.png").write_bytes(b"x")
    write_zip(tmp_path / "Annotations", split, tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert len(archive.namelist()) == 66_000
    assert b"PK\x06\x06" in (tmp_path / "s.zip").read_bytes()[-200:]  # the ZIP64 record
