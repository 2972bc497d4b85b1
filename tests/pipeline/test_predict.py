"""Frames come ahead of the experts and answers are kept behind them, pass by pass."""

import threading

import numpy as np
import pytest
from waiting import LIMIT

from submission.compute import Compute
from submission.errors import FaultyInput, InputError
from submission.experts.expert import Expert
from submission.experts.model_cache import ModelCache
from submission.experts.scheduling import Pass, Schedule
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.pipeline.claim import claim_all
from submission.pipeline.predict import Predicted, predict
from submission.pipeline.prepare import Prepared
from submission.terminal.progress import Reporter
from submission.video.transforms import FrameRequest, Squash

SIDE = 8


class Source:
    """Frames of one colour; notes which were decoded."""

    def __init__(self):
        self.decoded: list[tuple[str, int]] = []
        self.all_of: dict[str, threading.Event] = {}

    def reader(self, video):
        finished = self.all_of.setdefault(video.name, threading.Event())

        def decode(index):
            self.decoded.append((video.name, index))
            if sum(name == video.name for name, _ in self.decoded) == len(video.frame_names):
                finished.set()
            return np.full((*video.size, 3), index, np.uint8)

        return decode


class Watcher(Expert):
    """Looks at every frame and answers with empty masks."""

    def __init__(self, name, before=lambda video: None):
        self.name = name
        self.before = before

    def identity(self):
        return {}

    def frames(self, video):
        return (FrameRequest(tuple(range(len(video.frame_names))), Squash(SIDE)),)

    def predict(self, video, session):
        self.before(video)
        squares = session.frames(*self.frames(video))
        assert [square.max() for square in squares] == list(range(len(video.frame_names)))
        return self._answers(video)

    def _answers(self, video):
        track = Track.empty(video.size, len(video.frame_names))
        for expression in video.expressions:
            yield expression, Prediction(expression.sentence, track)


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path / "predictions")


def prepared(passes, split) -> Prepared:
    """A run of passes, each of experts with their videos."""
    todo = {expert.name: videos for one in passes for expert, videos in one}
    experts = [tuple(expert for expert, _ in one) for one in passes]
    return Prepared(
        split, Compute(frames_gb=0.002), None, sum(experts, ()), todo, dict.fromkeys(todo, 0),
        Schedule(tuple(Pass(one, {}) for one in experts)), ModelCache(), (Compute(), ()),
    )  # fmt: skip


def run(passes, store, split, source=None) -> Predicted:
    with Reporter("quiet") as quiet:
        return predict(prepared(passes, split), source or Source(), store, quiet)


def test_a_frame_is_decoded_once_for_all_experts_of_a_pass(store, split):
    source = Source()
    a, b, c = map(Watcher, "abc")
    passes = [[(a, split.videos), (b, split.videos)], [(c, split.videos)]]
    result = run(passes, store, split, source)
    assert len(source.decoded) == 2 * split.num_frames == result.decoded
    assert result.written > 0
    assert all(store.unanswered(name, split) == [] for name in "abc")


def test_the_next_video_is_decoded_while_this_one_is_answered(store, split):
    source = Source()
    ahead = []

    def look_ahead(video):
        if video == split.videos[0]:
            ahead.append(source.all_of[split.videos[1].name].wait(LIMIT))

    run([[(Watcher("a", look_ahead), split.videos)]], store, split, source)
    assert ahead == [True]


def test_experts_with_other_work_left_meet_where_both_have_some(store, split):
    dogs, cups = split.videos
    source = Source()
    seen = []
    a = Watcher("a", lambda video: seen.append(("a", video.name)))
    b = Watcher("b", lambda video: seen.append(("b", video.name)))
    run([[(a, [cups]), (b, [dogs, cups])]], store, split, source)
    assert seen == [("a", cups.name), ("b", cups.name), ("b", dogs.name)]
    assert len(source.decoded) == split.num_frames


def test_a_video_that_cannot_be_answered_stops_no_other(store, split):
    def refuse(video):
        if video.name == split.videos[0].name:
            raise InputError("frame 3 is damaged")

    passes = [[(Watcher("a", refuse), split.videos), (Watcher("b"), split.videos)]]
    result = run(passes, store, split)
    with pytest.raises(FaultyInput, match="frame 3 is damaged"):
        result.refuse_faults()
    assert [fault.where for fault in result.faults] == [f"expert a, video {split.videos[0].name}"]
    assert {video.name for video, _ in store.unanswered("a", split)} == {split.videos[0].name}
    assert store.unanswered("b", split) == []


def test_a_model_that_cannot_be_loaded_is_tried_once_and_stops_the_run(store, split):
    tried = []

    def load():
        tried.append("load")
        raise InputError("model.safetensors: a tensor is NaN")

    first, second = Watcher("first"), Watcher("second", lambda video: models.get("a", load))
    one = prepared([[(first, split.videos), (second, split.videos)]], split)
    models = one.models
    with Reporter("quiet") as quiet, pytest.raises(InputError, match="a tensor is NaN"):
        predict(one, Source(), store, quiet)
    assert tried == ["load"]
    with pytest.raises(InputError, match="a tensor is NaN"):  # as a worker would be told again
        models.get("a", load)
    assert tried == ["load"]
    assert all(store.has("first", split.videos[0], one) for one in split.videos[0].expressions)
    assert not store.has("first", split.videos[1], split.videos[1].expressions[0])


def test_a_write_that_fails_stops_everything_and_is_told_as_it_is(store, split, monkeypatch):
    written, write = [], store.write

    def fill_up(*words):
        if len(written) == 2:
            raise OSError(28, "No space left on device", "0.json")
        written.append(words)
        write(*words)

    monkeypatch.setattr(store, "write", fill_up)
    with pytest.raises(OSError, match="No space left on device"):
        run([[(Watcher(name), split.videos) for name in "abcdef"]], store, split)
    assert len(list(store.folder.glob("*/*/*.json"))) == 2


def test_waits_are_told_in_words_and_kept_with_the_seconds():
    waits = Predicted(frames=0.25, writing=1.5, written=3.0, decoded=79)
    assert "waited 0.2 s for frames (79 were decoded) and 1.5 s for writing" in waits.in_words()
    seconds = {"predict, waiting for frames": 1.0}
    waits.add_to(seconds)
    assert seconds == {"predict, waiting for frames": 1.25, "predict, waiting for writing": 1.5}


class Reader(Watcher):
    """Answers with what another expert has stored."""

    def __init__(self, name, source, store):
        super().__init__(name)
        self.source, self.store = source, store

    def after(self):
        return (self.source,)

    def identity(self):
        return {"source": self.store.identity(self.source)}

    def predict(self, video, session):
        stored = [self.store.read(self.source, video, one) for one in video.expressions]
        return iter(list(zip(video.expressions, stored, strict=True)))


def test_what_is_wrong_with_all_experts_is_told_at_once(store, split):
    for name in ("a", "c"):
        store.claim(name, {"settings": "others"})
        store.write(name, "dogs", "2", Prediction("", Track.empty(split.videos[0].size, 1)))
    experts = [Watcher("a"), Watcher("b"), Watcher("c")]
    run = prepared([[(one, split.videos) for one in experts]], split)
    with pytest.raises(InputError) as told:
        claim_all(run, store, Reporter("quiet"))
    text = str(told.value)
    assert f"{store.folder / 'a'}: these predictions" in text
    assert f"{store.folder / 'c'}: these predictions" in text
    assert str(store.folder / "b") not in text


def test_an_expert_reads_what_another_has_stored(store, split):
    a, b = Watcher("a"), Reader("b", "a", store)
    claim_all(prepared([[(b, split.videos)], [(a, split.videos)]], split), store, Reporter("quiet"))
    assert store.identity("b") == {"source": {}}
    result = run([[(a, split.videos)], [(b, split.videos)]], store, split)
    assert result.faults == []
    for video in split.videos:
        for expression in video.expressions:
            assert store.read("b", video, expression) == store.read("a", video, expression)
