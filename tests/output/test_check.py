"""The check names each thing that would make the judge read something else than was meant."""

import json
import os
import shlex
import shutil
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from fnmatch import fnmatch

import numpy as np
import pytest
from PIL import Image

from submission.errors import InputError
from submission.output.check import check, mask_fault
from submission.output.png_files import _join, encode_png, read_packed_rows
from submission.output.team import AGREEMENT
from submission.output.zip_file import write_zip

FRAME = "dogs/2/00001.png"
MASK = np.eye(24, 40, dtype=bool)


def faults_of(path, split, **options):
    verdict = check(path, split, **options)
    assert verdict.ok == (not verdict.faults)
    return [str(fault) for fault in verdict.faults]


@pytest.fixture
def archive(answer, split):
    path = answer.parent / "submission.zip"
    write_zip(answer, split, path)
    return path


def rewrite(path, change):
    """Write the zip again with entries (name, bytes) as `change` returns them."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # a repeated name is what we want
        for name, content in change(entries):
            archive.writestr(name, content)


def test_a_full_answer_has_no_faults(answer, archive, split):
    for path in (answer, archive):
        verdict = check(path, split)
        assert verdict.ok
        assert verdict.counts["files"] == verdict.counts["expected_files"] == 11
        assert verdict.counts["empty_masks"] == 0
        assert "no faults" in verdict.summary()


def test_the_verdict_is_told_as_json_too(answer, split):
    (answer / FRAME).unlink()
    verdict = check(answer, split)
    assert json.loads(json.dumps(verdict.to_json())) == {
        "ok": False,
        "path": str(answer),
        "split": "valid_u",
        "counts": {
            "videos": 2,
            "sentences": 4,
            "expected_files": 11,
            "files": 10,
            "empty_masks": 0,
        },
        "faults": [{"where": FRAME, "what": "the frame is missing"}],
    }
    assert f"  {FRAME}: the frame is missing" in verdict.summary()


def test_empty_masks_are_counted_and_fine(answer, split):
    for mode in ("1bit", "8bit"):
        (answer / FRAME).write_bytes(encode_png(np.zeros((24, 40), bool), mode))
        verdict = check(answer, split)
        assert verdict.ok
        assert verdict.counts["empty_masks"] == 1


def test_progress_counts_every_file(archive, split):
    seen: list[int] = []
    check(archive, split, on_file=seen.append)
    assert sum(seen) == 11


def test_what_is_missing_is_told_once_for_the_largest_part(answer, split):
    shutil.rmtree(answer / "cups")
    shutil.rmtree(answer / "dogs" / "10")
    (answer / FRAME).unlink()
    assert faults_of(answer, split) == [
        f"{FRAME}: the frame is missing",
        "dogs/10: the expression is missing (3 files)",
        "cups: the video is missing (2 files)",
    ]


def test_what_is_too_much_is_told_once_for_the_largest_part(answer, split):
    shutil.copytree(answer / "dogs", answer / "cats")
    shutil.copytree(answer / "dogs" / "2", answer / "dogs" / "77")
    for name in ("dogs/2/00003.png", "dogs/note.txt", "README.md"):
        shutil.copy(answer / FRAME, answer / name)
    assert sorted(faults_of(answer, split)) == [
        "README.md: the file is not in the split",
        "cats: the video is not in the split (9 files)",
        "dogs/2/00003.png: the file is not in the split",
        "dogs/77: the expression is not in the split (3 files)",
        "dogs/note.txt: the file is not in the split",
    ]


def test_a_folder_around_the_videos_is_named_and_looked_through(answer, archive, split):
    (answer / FRAME).unlink()
    folder_faults = faults_of(answer.parent, split)
    assert folder_faults[0].startswith("Annotations/: a folder around all videos")
    assert f"use {answer}" in folder_faults[0]
    rewrite(archive, lambda entries: [(f"out/masks/{name}", c) for name, c in entries[1:]])
    assert faults_of(archive, split) == [
        "out/masks/: a folder around all videos; the judge looks for the videos at the first "
        "level; zip from inside: cd out/masks && zip -r submission.zip *",
        "dogs/0/00000.png: the frame is missing",
    ]


def test_a_name_that_is_there_twice(archive, split):
    rewrite(archive, lambda entries: [*entries, entries[4]])
    assert faults_of(archive, split) == ["dogs/2/00001.png: the name is there 2 times"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/dogs/2/00000.png", "an absolute name"),
        ("C:/dogs/2/00000.png", "an absolute name"),
        ("../dogs/2/00000.png", "a name with .."),
        ("dogs/../dogs/2/00000.png", "a name with .."),
        ("dogs\\2\\00000.png", 'a name with "\\"'),
        ("dogs/2/\n.png", "a control character"),
    ],
)
def test_a_name_that_would_leave_the_folder(archive, split, name, expected):
    rewrite(archive, lambda entries: [*entries, (name, b"")])
    (fault,) = faults_of(archive, split)
    assert expected in fault


def test_an_archive_full_of_backslashes_is_one_fault(archive, split):
    rewrite(archive, lambda entries: [(name.replace("/", "\\"), c) for name, c in entries])
    faults = faults_of(archive, split)
    assert "(11 such files)" in faults[0]
    assert len(faults) == 3  # and both videos are missing


@pytest.mark.parametrize(
    "name", ["__MACOSX/dogs/2/._00000.png", ".DS_Store", "dogs/.DS_Store", "dogs/2/Thumbs.db"]
)
def test_what_a_desktop_leaves_behind(archive, split, name):
    rewrite(archive, lambda entries: [*entries, (name, b"")])
    names = zipfile.ZipFile(archive).namelist()
    (fault,) = faults_of(archive, split)
    told, _, command = fault.partition(": zip -d ")
    assert told == f"{name}: left by a desktop, not part of a submission; delete it"
    path, *patterns = shlex.split(command)
    assert path == str(archive)
    assert [one for one in names if any(fnmatch(one, each) for each in patterns)] == [name]


def save(image, answer):
    image.save(answer / FRAME, "PNG")


def palette():
    image = Image.new("P", (40, 24), 1)
    image.putpalette([0, 0, 0, 128, 0, 0])
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (palette(), "palette colours"),
        (Image.new("RGB", (40, 24)), "with colours;"),
        (Image.new("RGBA", (40, 24)), "colours with alpha"),
        (Image.new("LA", (40, 24)), "grey with alpha"),
        (Image.fromarray(np.zeros((24, 40), np.uint16)), "16-bit grey"),
        (Image.new("L", (40, 24), 1), "grey values other than 0 and 255"),
        (Image.new("L", (40, 24), 254), "grey values other than 0 and 255"),
        (Image.new("L", (41, 24)), "41 x 24 pixels, but the video has 40 x 24"),
        (Image.new("1", (24, 40)), "24 x 40 pixels, but the video has 40 x 24"),
    ],
)
def test_a_png_that_the_judge_reads_otherwise(answer, split, image, expected):
    save(image, answer)
    (fault,) = faults_of(answer, split)
    assert fault.startswith(f"{FRAME}: ")
    assert expected in fault


def test_a_jpeg_with_the_name_of_a_png(answer, split):
    Image.new("L", (40, 24)).save(answer / FRAME, "JPEG")
    assert faults_of(answer, split) == [f"{FRAME}: a JPEG image, not a PNG"]


@pytest.mark.parametrize("end", [0, 20, 45, -4, -14])
def test_a_png_that_was_cut_off(answer, split, end):
    content = encode_png(MASK)
    (answer / FRAME).write_bytes(content[:end])
    (fault,) = faults_of(answer, split)
    assert fault.startswith(f"{FRAME}: ")


def test_a_png_with_a_flipped_bit_anywhere():
    content = encode_png(MASK)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 4
        assert mask_fault(bytes(damaged), (24, 40))[0], place
    assert mask_fault(content, (24, 40)) == (None, False)


@pytest.mark.parametrize("width", [1, 7, 8, 41])
@pytest.mark.parametrize("pixel", [None, (0, 0), (2, -1)])
@pytest.mark.parametrize("padding", [0x00, 0xFF])
def test_the_quick_look_at_a_plain_file_says_what_pillow_says(monkeypatch, width, pixel, padding):
    mask = np.zeros((3, width), bool)
    if pixel is not None:
        mask[pixel] = True
    rows = np.packbits(mask, axis=1)
    rows[:, -1] |= padding & (1 << -width % 8) - 1  # bits beyond the last pixel
    lines = np.pad(rows, ((0, 0), (1, 0)))
    header = encode_png(mask)[16:29]
    content = _join(header, zlib.compress(lines.tobytes()))
    assert read_packed_rows(content) is not None
    quick = [mask_fault(content, size) for size in ((3, width), (4, width))]
    monkeypatch.setattr("submission.output.check.read_packed_rows", lambda content: None)
    assert quick == [mask_fault(content, size) for size in ((3, width), (4, width))]
    assert quick[0] == (None, pixel is None)


def test_one_fault_of_a_whole_sentence_is_one_line(answer, split):
    for frame in (answer / "dogs" / "2").iterdir():
        frame.write_bytes(encode_png(MASK[:, :-1]))
    assert faults_of(answer, split) == [
        "dogs/2: all 3 frames: 39 x 24 pixels, but the video has 40 x 24"
    ]


def test_damage_inside_the_archive_is_found_by_its_checksum(archive, split):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as files:
        content[files.getinfo(FRAME).header_offset + 80] ^= 1
    archive.write_bytes(content)
    (fault,) = faults_of(archive, split)
    assert fault.startswith(f"{FRAME}: the archive is damaged here: ")


def test_a_member_larger_than_a_mask_can_be_is_not_unpacked(archive, split):
    bomb = bytes(100 << 20)
    with zipfile.ZipFile(archive) as files:
        entries = {name: files.read(name) for name in files.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        for name, content in entries.items():
            files.writestr(name, bomb if name == FRAME else content)
    del bomb
    assert archive.stat().st_size < 1 << 20
    tracemalloc.start()
    (fault,) = faults_of(archive, split)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fault == (f"{FRAME}: 104,857,600 bytes, but what belongs here takes at most 1,056,256")
    assert peak < 20 << 20


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_lies_about_its_size_is_not_unpacked(archive, split, method):
    with zipfile.ZipFile(archive, "a") as files:
        files.writestr("team.json", bytes(32 << 20), method)
    content = bytearray(archive.read_bytes())
    size = content.rfind(b"PK\x01\x02") + 24  # where the directory states it
    assert struct.unpack_from("<I", content, size) == (32 << 20,)
    struct.pack_into("<I", content, size, 100)
    archive.write_bytes(content)
    tracemalloc.start()
    (fault,) = faults_of(archive, split)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lie = "the archive is damaged here: Bad CRC-32"
    expected = lie if method == zipfile.ZIP_DEFLATED else "packed in an unusual way"
    assert fault.startswith(f"team.json: {expected}")
    assert peak < 20 << 20


def test_only_ordinary_files_are_read(answer, split):
    (answer / FRAME).unlink()
    os.mkfifo(answer / FRAME)  # nobody writes into it: opening it would last for ever
    (answer / "dogs/2/00002.png").unlink()
    (answer / "dogs/2/00002.png").symlink_to("/dev/zero")
    os.mkfifo(answer / "team.json")
    whats = [fault.split(": ", 1)[1] for fault in faults_of(answer, split)]
    pipe = "cannot be read: not an ordinary file but a named pipe"
    assert whats == [pipe, pipe, "cannot be read: not an ordinary file but a device"]
    os.mkfifo(answer / "pipe.zip")
    assert faults_of(answer / "pipe.zip", split) == [
        "pipe.zip: neither a folder nor an ordinary file"
    ]


def test_folders_that_are_links_are_looked_into_and_loops_are_not(answer, split, tmp_path):
    (answer / "dogs").rename(tmp_path / "elsewhere")
    (answer / "dogs").symlink_to(tmp_path / "elsewhere")
    assert faults_of(answer, split) == []
    (answer / "dogs/2/again").symlink_to("../..")
    (tmp_path / "elsewhere/back").symlink_to(answer)
    assert all("dogs" in fault for fault in faults_of(answer, split))


@pytest.mark.parametrize("side", [5_000, 10_000, 60_000])
def test_a_picture_is_measured_before_it_is_decoded(answer, split, side, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    (answer / FRAME).write_bytes(_join(header, zlib.compress(bytes(1000))))
    (fault,) = faults_of(answer, split)
    assert f"{side} x {side} pixels" in fault or "larger than any frame" in fault


def test_the_terminal_gets_the_first_faults_and_the_json_all(answer, split):
    for number in range(200):
        (answer / f"{number}.txt").write_text("")
    verdict = check(answer, split)
    assert "... and 150 more" in verdict.summary()
    assert len(verdict.to_json()["faults"]) == 200
    (answer / FRAME).write_bytes(b"")  # the last fault of all, and of a kind of its own
    told = check(answer, split).summary().splitlines()
    assert f"{FRAME}: the file is empty" in told[-1]
    assert "... and 175 more like this, up to " in told[-2]


def test_an_archive_that_was_cut_off_or_is_none(archive, split, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-100])
    (fault,) = faults_of(archive, split)
    assert fault.startswith("submission.zip: not a zip, or one that was cut off")
    (tmp_path / "text.zip").write_text("hello")
    assert "not a zip" in faults_of(tmp_path / "text.zip", split)[0]
    with pytest.raises(InputError, match="no such file"):
        check(tmp_path / "nothing.zip", split)


def test_an_archive_with_a_password(archive, split):
    content = bytearray(archive.read_bytes())
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<H", content, start + 8, 1)  # the flag that says "encrypted"
        start += 4
    archive.write_bytes(content)
    assert faults_of(archive, split) == [
        "submission.zip: 11 files need a password, which the judge does not have"
    ]


def team(**changes):
    value = {
        AGREEMENT: True,
        "team_name": "Pixels",
        "members": [{"name": "Ada", "affiliation": "X"}],
        "email": "ada@example.org",
    }
    return json.dumps({**value, **changes})


def test_a_missing_team_is_a_fault_only_where_one_is_asked_for(answer, split):
    assert check(answer, split).ok
    (fault,) = faults_of(answer, split, require_team=True)
    assert fault.startswith("team.json: it is missing")
    (answer / "team.json").write_text(team())
    assert check(answer, split, require_team=True).ok
    assert check(answer, split).ok


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (team(**{AGREEMENT: False}), "must be true"),
        (team(**{AGREEMENT: "true"}), "must be true"),
        (team(team_name=""), '"team_name"'),
        (team(email="ada"), '"email"'),
        (team(members=[]), '"members" must be a list'),
        (team(members=[{"name": "Ada"}]), 'member 1 must have "affiliation"'),
        (team(members=["Ada", "Bob"])[:-1], "broken JSON at line 1"),
        ("[]", "it must be an object"),
    ],
)
def test_a_wrong_team_is_a_fault(answer, split, content, expected):
    (answer / "team.json").write_text(content)
    faults = faults_of(answer, split)
    assert len(faults) == 1
    assert expected in faults[0]
