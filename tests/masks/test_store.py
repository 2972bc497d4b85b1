"""The store gives back what was written and refuses what belongs to something else."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from submission.errors import FaultyInput, InputError, StoreMismatch
from submission.files.sealed_json import read_sealed, write_sealed
from submission.masks.identity import maker_of
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track

IDENTITY = {"procedure": "sa2va", "frames": 20, "checkpoint": {"name": "Sa2VA-4B", "sha256": "ab"}}

DETAILS = {"text": "Sure, [SEG].", "key_frames": [0, 2], "num_seg": 1}


def answer(video, expression, seed=0):
    masks = np.random.default_rng(seed).random((len(video.frame_names), *video.size)) < 0.3
    return Prediction(expression.sentence, Track.encode(masks), DETAILS)


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path / "run" / "predictions")


@pytest.fixture
def full_store(store, split):
    for video in split.videos:
        for expression in video.expressions:
            prediction = answer(video, expression)
            store.write("a", video.name, expression.id, prediction, video.frame_bytes)
    return store


def test_an_answer_survives_a_round_trip(store, split):
    video = split.videos[0]
    expression = video.expressions[1]
    assert not store.has("a", video, expression)
    store.write("a", video.name, expression.id, answer(video, expression))
    assert store.has("a", video, expression)
    assert store.read("a", video, expression) == answer(video, expression)
    assert not store.has("b", video, expression)


def test_the_file_is_plain_coco(store, split):
    video = split.videos[1]
    store.write("a", video.name, "0", answer(video, video.expressions[0]))
    stored = json.loads((store.folder / "a" / "cups" / "0.json").read_text())
    assert list(stored) == ["sentence", "text", "key_frames", "num_seg", "size", "masks", "crc32"]
    assert stored["size"] == stored["masks"][0]["size"] == [24, 40]


def test_an_interrupted_write_leaves_no_answer(store, split, monkeypatch):
    video = split.videos[0]
    expression = video.expressions[0]

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        store.write("a", video.name, expression.id, answer(video, expression))
    assert not store.has("a", video, expression)


def test_leftovers_of_a_killed_process_are_no_answers(store, split):
    folder = store.folder / "a" / "dogs"
    folder.mkdir(parents=True)
    (folder / ".0.json.x1y2.partial").write_text('{"sentence"')
    store.claim("a", IDENTITY)
    assert len(store.unanswered("a", split)) == 4


def test_the_same_identity_is_welcome_again(full_store, store):
    store.claim("b", IDENTITY)
    store.claim("b", dict(reversed(IDENTITY.items())))


def test_another_identity_is_refused_with_every_difference(store, split):
    video = split.videos[0]
    other = {"procedure": "sa2va", "frames": 5, "checkpoint": {"name": "Sa2VA-4B"}, "seg": "union"}
    store.claim("a", other)  # of a call that ended before its first answer
    store.claim("a", IDENTITY)
    store.write("a", video.name, "0", answer(video, video.expressions[0]))
    with pytest.raises(StoreMismatch) as caught:
        store.claim("a", other)
    text = str(caught.value)
    assert "  frames: 20 then, 5 now\n" in text
    assert '  checkpoint.sha256: "ab" then, nothing now\n' in text
    assert '  seg: nothing then, "union" now\n' in text
    assert "procedure" not in text
    assert "--run" in text


def test_answers_without_identity_are_refused(full_store):
    with pytest.raises(StoreMismatch, match=r"no expert\.json"):
        full_store.claim("a", IDENTITY)


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_an_expert_name_must_be_a_folder_name(store, name):
    with pytest.raises(InputError, match="name"):
        store.claim(name, IDENTITY)


def test_an_answer_to_other_frames_is_refused_where_it_looked_at_them(full_store, split):
    video = split.videos[0]
    expression, other = video.expressions[0], replace(video, frame_bytes=video.frame_bytes + 1)
    store = PredictionStore(full_store.folder)
    assert store.has("a", video, expression)
    with pytest.raises(StoreMismatch, match=r"bytes of its frames \d+, the split has \d+"):
        store.has("a", other, expression)
    given = replace(answer(video, expression), of_frames=False)
    store.write("a", video.name, expression.id, given, video.frame_bytes)
    assert store.has("a", other, expression)


def test_missing_answers_are_listed(full_store, split):
    assert full_store.unanswered("a", split) == []
    full_store.path("a", "dogs", "10").unlink()
    unanswered = full_store.unanswered("a", split)
    assert [(video.name, expression.id) for video, expression in unanswered] == [("dogs", "10")]
    with pytest.raises(InputError, match=r"10\.json: no such prediction"):
        full_store.read("a", split.videos[0], split.videos[0].expressions[2])


def test_each_answer_is_read_once_to_be_compared_and_again_when_it_changed(
    full_store, split, monkeypatch
):
    read = []
    monkeypatch.setattr(
        "submission.masks.answer_fields.read_sealed",
        lambda path: read.append(path) or read_sealed(path),
    )
    assert full_store.unanswered("a", split) == []
    assert read == []  # it wrote them itself
    later = PredictionStore(full_store.folder)
    for _ in range(3):
        assert later.unanswered("a", split) == []
    assert len(read) == 4
    path = later.path("a", "dogs", "2")
    write_sealed(path, read_sealed(path) | {"sentence": "all the dogs"})
    with pytest.raises(StoreMismatch, match="all the dogs"):
        later.unanswered("a", split)
    assert read[4:] == [path]


def test_a_change_that_keeps_the_size_and_a_fault_seen_before_are_told(full_store, split):
    later = PredictionStore(full_store.folder)
    assert later.unanswered("a", split) == []
    path = later.path("a", "dogs", "2")
    write_sealed(path, read_sealed(path) | {"sentence": "both cats"})
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    for _ in range(2):
        with pytest.raises(StoreMismatch, match="both cats"):
            later.unanswered("a", split)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": (24, 41)}, r"size \[24, 40\], the split has \[24, 41\]"),
        ({"frame_names": ("00000",)}, "number of frames 3, the split has 1"),
    ],
)
def test_answers_for_another_video_are_refused(full_store, split, change, expected):
    video = replace(split.videos[0], **change)
    for question in (full_store.has, full_store.read):
        with pytest.raises(StoreMismatch, match=expected):
            question("a", video, video.expressions[0])
    with pytest.raises(StoreMismatch, match=expected):
        full_store.unanswered("a", replace(split, videos=(video, split.videos[1])))


def test_answers_to_another_sentence_are_refused(full_store, split):
    video = split.videos[0]
    with pytest.raises(StoreMismatch, match="sentence 'both dogs', the split has 'all dogs'"):
        full_store.has("a", video, replace(video.expressions[1], sentence="all dogs"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"sentence": 3}', '{"sentence":"x","text":"","key_frames":["a"]}'],
)
def test_a_damaged_answer_is_named(full_store, split, content):
    video = split.videos[0]
    path = full_store.path("a", "dogs", "0")
    path.write_text(content)
    for question in (full_store.has, full_store.read):
        with pytest.raises(InputError, match=r"dogs/0\.json: damaged .* predict with --mend"):
            question("a", video, video.expressions[0])
    with pytest.raises(FaultyInput, match="damaged predictions"):
        full_store.unanswered("a", split)


def test_only_answers_that_cannot_be_read_are_damaged(full_store, split):
    cut, other = (full_store.path("a", "dogs", name) for name in ("0", "2"))
    stored = read_sealed(cut)  # a whole seal around run lengths that are none
    stored["masks"][1]["counts"] = stored["masks"][1]["counts"][:-1]
    write_sealed(cut, stored)
    write_sealed(other, read_sealed(other) | {"sentence": "of another split"})
    assert PredictionStore(full_store.folder).damaged("a", split) == [cut]


def test_the_order_of_settings_makes_no_other_maker():
    assert maker_of(IDENTITY) == maker_of(dict(reversed(IDENTITY.items())))
    assert maker_of(IDENTITY) != maker_of(IDENTITY | {"frames": 19})


def test_damaged_run_lengths_are_named(full_store, split):
    path = full_store.path("a", "dogs", "0")
    stored = read_sealed(path)
    stored["masks"][1]["counts"] = stored["masks"][1]["counts"][:-1]
    write_sealed(path, stored)
    with pytest.raises(InputError, match=r"dogs/0\.json: damaged"):
        full_store.read("a", split.videos[0], split.videos[0].expressions[0])
