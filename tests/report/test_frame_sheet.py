"""The sheet of frames: each in its place, small enough, and grey where it is broken."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from submission.dataset.frame_files import FrameFolder
from submission.dataset.records import Video
from submission.report.frame_sheet import Sheet, draw_sheet

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 10), (250, 250, 250)]


@pytest.fixture
def video(tmp_path: Path) -> Video:
    """Five frames of one colour each."""
    names = tuple(f"{index:05}" for index in range(len(COLOURS)))
    (tmp_path / "clip").mkdir()
    for name, colour in zip(names, COLOURS, strict=True):
        Image.new("RGB", (160, 90), colour).save(tmp_path / "clip" / f"{name}.jpg")
    return Video("clip", names, (90, 160), ())


def middle_colours(sheet: Sheet, count: int) -> list[tuple[int, ...]]:
    picture = Image.open(io.BytesIO(sheet.content)).convert("RGB")
    width, height = sheet.tile
    places = [divmod(index, sheet.columns) for index in range(count)]
    return [
        picture.getpixel((column * width + width // 2, row * height + height // 2))
        for row, column in places
    ]


def test_each_frame_is_in_its_place(tmp_path, video):
    sheet = draw_sheet(FrameFolder(tmp_path), video, allowance=1e6)
    assert sheet.tile == (160, 90)  # never larger than the frame
    np.testing.assert_allclose(middle_colours(sheet, 5), COLOURS, atol=20)
    assert sheet.broken == ()


def test_tiles_become_smaller_with_the_allowance(tmp_path, video):
    sheet = draw_sheet(FrameFolder(tmp_path), video, allowance=1_000)
    assert sheet.tile[0] < 100
    assert len(sheet.content) <= 1_000
    np.testing.assert_allclose(middle_colours(sheet, 5), COLOURS, atol=40)


def test_broken_and_missing_frames_are_grey_and_listed(tmp_path, video):
    (tmp_path / "clip" / "00001.jpg").write_bytes(b"not a picture")
    (tmp_path / "clip" / "00003.jpg").unlink()
    sheet = draw_sheet(FrameFolder(tmp_path), video, allowance=1e6)
    shown = middle_colours(sheet, 5)
    np.testing.assert_allclose([shown[1], shown[3]], 128, atol=20)
    np.testing.assert_allclose(shown[4], COLOURS[4], atol=20)
    assert [text.split(": ")[0] for text in sheet.broken] == [
        "video clip, frame 00001",
        "video clip, frame 00003",
    ]
