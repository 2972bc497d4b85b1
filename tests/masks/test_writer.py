"""Answers are written behind the model: in order, whole, and never lost without a word."""

import errno
import threading
import time

import numpy as np
import pytest
from waiting import LIMIT, wait_until

from submission.errors import InputError
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.masks.writer import PredictionWriter


def answers(video, until=None):
    """The answers of a video; with `until`, drawing the first one waits for that event."""
    if until is not None:
        assert until.wait(LIMIT)
    for expression in video.expressions:
        track = Track.encode(np.zeros((len(video.frame_names), *video.size), dtype=bool))
        yield expression, Prediction(expression.sentence, track)


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path)


def test_everything_is_written_when_the_block_ends(store, split):
    with PredictionWriter(store) as writer:
        for video in split.videos:
            writer.write("a", video, answers(video))
    assert store.unanswered("a", split) == []
    assert writer.busy > 0
    assert writer.faults == []


def test_answers_that_are_there_are_not_written_again(store, split):
    kept = []
    for _ in range(2):
        with PredictionWriter(store) as writer:
            for video in split.videos:
                writer.write("a", video, answers(video))
        files = sorted(store.folder.rglob("*.json"))
        kept.append([(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files])
    assert kept[0] == kept[1] != []


def test_the_model_goes_on_while_an_answer_is_written(store, split):
    go_on = threading.Event()
    with PredictionWriter(store) as writer:
        for video in split.videos:
            writer.write("a", video, answers(video, go_on))
        assert len(store.unanswered("a", split)) == split.num_sentences
        go_on.set()
    assert store.unanswered("a", split) == []


def test_it_waits_for_a_writer_that_is_far_behind(store, split):
    go_on, handed = threading.Event(), []

    def work():
        with PredictionWriter(store) as writer:
            for name in "abcd":
                writer.write(name, split.videos[0], answers(split.videos[0], go_on))
                handed.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(handed) >= 2, "nothing is handed over")
    time.sleep(0.3)  # for a third one, which would be held in memory
    assert handed == ["a", "b"]  # one being written, one waiting
    go_on.set()
    thread.join(LIMIT)
    assert handed == ["a", "b", "c", "d"]


def test_a_failing_write_stops_the_run_with_its_own_error(store, split, monkeypatch):
    written, write = [], store.write

    def full_disk(expert, *rest):
        if expert == "b":
            raise OSError(errno.ENOSPC, "No space left on device", "b.json")
        written.append(expert)
        write(expert, *rest)

    monkeypatch.setattr(store, "write", full_disk)

    def work():
        with PredictionWriter(store) as writer:
            for name in "abcdef":
                writer.write(name, split.videos[0], answers(split.videos[0]))

    with pytest.raises(OSError, match="No space left on device") as caught:
        work()
    assert caught.value.filename == "b.json"
    assert set(written) == {"a"}  # nothing is tried after it, and nothing before it is lost
    assert len(store.unanswered("a", split)) == split.num_sentences - len(written)


def test_what_was_answered_is_written_when_the_model_stops(store, split):
    go_on = threading.Event()

    def work():
        with PredictionWriter(store) as writer:
            for video in split.videos:
                writer.write("a", video, answers(video, go_on))
            threading.Timer(0.1, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert store.unanswered("a", split) == []


def test_an_answer_that_cannot_be_had_is_a_fault_and_the_next_is_written(store, split):
    def damaged(video):
        yield from ()
        raise InputError("mask 3 is damaged")

    dogs, cups = split.videos
    with PredictionWriter(store) as writer:
        writer.write("a", dogs, damaged(dogs))
        writer.write("a", cups, answers(cups))
    assert [str(fault) for fault in writer.faults] == [
        f"expert a, video {dogs.name}: mask 3 is damaged"
    ]
    assert store.unanswered("a", split) == [(dogs, expression) for expression in dogs.expressions]
