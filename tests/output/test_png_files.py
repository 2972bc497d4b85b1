"""PNG files hold exactly the mask, in the two ways that the judge reads alike."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from submission.dataset.images import BrokenImage
from submission.masks.track import Track
from submission.output.png_files import encode_png, read_mask, read_packed_rows, write_track

RNG = np.random.default_rng(7)
SHAPES = [(1, 1), (5, 8), (24, 41), (7, 129)]  # rows that fill their bytes and rows that do not


def png(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mode", "pillow_mode"), [("1bit", "1"), ("8bit", "L")])
def test_a_mask_survives_a_round_trip(shape, mode, pillow_mode):
    for mask in (RNG.random(shape) < 0.5, np.zeros(shape, bool), np.ones(shape, bool)):
        content = encode_png(mask, mode)
        image = Image.open(io.BytesIO(content))
        assert image.mode == pillow_mode
        assert np.array_equal(np.asarray(image.convert("L")), mask * np.uint8(255))
        assert np.array_equal(read_mask(content), mask)


@pytest.mark.parametrize("mode", ["1bit", "8bit"])
def test_the_layout_in_memory_does_not_change_the_bytes(mode):
    mask = RNG.random((24, 41)) < 0.5
    assert encode_png(mask, mode) == encode_png(np.asfortranarray(mask), mode)
    assert encode_png(mask, mode) != encode_png(~mask, mode)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="4bit"):
        encode_png(np.zeros((2, 2), bool), "4bit")


@pytest.mark.parametrize("mode", ["1bit", "8bit"])
def test_a_track_and_an_array_write_the_same_files(tmp_path, mode):
    masks = RNG.random((3, 9, 20)) < 0.5
    masks[0, :4], masks[0, :, :11] = False, False  # a window inside the frame; the others fill it
    masks[2, 1:] = False
    names = ["00000", "00001", "00002"]
    size = write_track(tmp_path / "a", names, masks, mode)
    write_track(tmp_path / "b", names, Track.encode(masks), mode)
    files = sorted((tmp_path / "a").iterdir())
    assert [path.name for path in files] == [f"{name}.png" for name in names]
    assert size == sum(path.stat().st_size for path in files)
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in files)
    assert np.array_equal(read_mask(files[1].read_bytes()), masks[1])


def test_masks_and_frames_must_be_equally_many(tmp_path):
    with pytest.raises(ValueError, match="2 masks for 1 frames"):
        write_track(tmp_path, ["00000"], np.zeros((2, 4, 4), bool))


def test_an_error_in_a_writing_thread_is_raised(tmp_path):
    (tmp_path / "0").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="0"):
        write_track(tmp_path / "0", ["00000"], np.zeros((1, 4, 4), bool))


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_track(tmp_path, ["00000"], np.zeros((1, 4, 4), bool))
    assert list(tmp_path.iterdir()) == []


def test_colours_count_by_their_luminance_as_the_judge_reads_them():
    palette = Image.new("P", (3, 1))
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 0, 1])
    palette.putdata([0, 1, 2])
    assert read_mask(png(palette)).tolist() == [[False, True, False]]
    assert read_mask(png(Image.new("RGB", (1, 1), (1, 1, 1)))).all()
    assert read_mask(png(Image.new("L", (1, 1), 1))).all()


def test_16_bit_grey_counts_by_its_high_byte():
    pixels = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert read_mask(png(Image.fromarray(pixels))).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("end", [0, 10, 40, -13])
def test_a_cut_png_is_refused(end):
    content = encode_png(RNG.random((24, 41)) < 0.5)
    with pytest.raises(BrokenImage):
        read_mask(content[:end])


def one_bit_png(lines, width, height, spoil=lambda stream: stream):
    """A 1-bit grey PNG of these bytes; each line begins with the number of its filter."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", spoil(zlib.compress(lines))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_a_one_bit_png_with_filters_of_another_writer_is_read_rightly():
    plain = one_bit_png(bytes([0, 0b10110000, 0, 0b01010000]), 4, 2)
    up = one_bit_png(bytes([0, 0b10110000, 2, (0b01010000 - 0b10110000) % 256]), 4, 2)
    expected = [[True, False, True, True], [False, True, False, True]]
    assert read_packed_rows(plain) is not None
    assert read_packed_rows(up) is None  # left to Pillow, which undoes the filter
    assert read_mask(plain).tolist() == read_mask(up).tolist() == expected


def test_a_stream_without_its_end_is_not_read_fast():
    lines = bytes([0, 0b10110000, 0, 0b01010000])
    assert read_packed_rows(one_bit_png(lines, 4, 2, lambda stream: stream[:-4])) is None
    assert read_packed_rows(one_bit_png(lines, 4, 2)) is not None


def test_a_picture_of_too_many_pixels_is_not_read_fast():
    side = 1 << 13
    lines = bytes((1 + side // 8) * (side + 1))
    assert read_packed_rows(one_bit_png(lines[: -(1 + side // 8)], side, side)) is not None
    assert read_packed_rows(one_bit_png(lines, side, side + 1)) is None
