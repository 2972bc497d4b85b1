"""A track gives back the masks that went in, frame by frame or all at once."""

import json

import numpy as np
import pytest

from submission.masks.track import Track

MASKS = np.random.default_rng(5).random((4, 13, 17)) < np.array([0, 0.1, 0.5, 1])[:, None, None]


def test_masks_survive_a_round_trip():
    track = Track.encode(MASKS)
    assert (track.size, len(track)) == ((13, 17), 4)
    assert np.array_equal(track.decode(), MASKS)
    assert track.decode().dtype == np.bool_
    assert np.array_equal(track.frame(2), MASKS[2])
    assert np.array_equal(np.stack(list(track)), MASKS)
    assert np.array_equal(np.asarray(track), MASKS)


def test_an_iterable_of_frames_encodes_as_the_array_does():
    assert Track.encode(mask for mask in MASKS) == Track.encode(MASKS)
    by_columns = np.asfortranarray(MASKS)
    assert Track.encode(by_columns) == Track.encode(MASKS)
    assert Track.encode(MASKS[::-1, ::-1, ::2]).size == (13, 9)


def test_packed_bits_encode_as_the_masks_do():
    assert Track.encode_packed(np.packbits(MASKS, axis=-1), MASKS.shape[-1]) == Track.encode(MASKS)


def test_json_survives_a_round_trip_through_text():
    track = Track.encode(MASKS)
    stored = json.loads(json.dumps(track.to_json()))
    assert stored[0]["size"] == [13, 17]
    assert Track.from_json(stored, (13, 17)) == track


def test_only_a_track_without_foreground_is_empty():
    assert Track.empty((13, 17), 3) == Track.encode(np.zeros((3, 13, 17), dtype=bool))
    assert Track.empty((13, 17), 3).is_empty
    one_pixel = np.zeros((3, 13, 17), dtype=bool)
    one_pixel[2, 12, 16] = True
    assert not Track.encode(one_pixel).is_empty
    unusual = Track((2, 2), (b"202",))  # two off, none on, two off
    assert unusual.is_empty


@pytest.mark.parametrize(
    "masks",
    [
        np.zeros((0, 3, 4), dtype=bool),
        np.zeros((2, 3, 4), dtype=np.uint8),
        np.zeros((3, 4), dtype=bool),
        [np.zeros((3, 4), dtype=bool), np.zeros((4, 3), dtype=bool)],
    ],
)
def test_what_is_not_a_sequence_of_masks_is_refused(masks):
    with pytest.raises(ValueError, match="frame"):
        Track.encode(masks)


@pytest.mark.parametrize(
    "items",
    [None, [], [None], [{"size": [13, 17]}], [{"size": [17, 13], "counts": "m6"}], [{}], "m6"],
)
def test_damaged_json_is_refused(items):
    with pytest.raises(ValueError, match="mask"):
        Track.from_json(items, (13, 17))
