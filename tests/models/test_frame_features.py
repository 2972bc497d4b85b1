"""Image features are the same for every reader, in any order, and memory has a bound."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from submission.models.sa2va.model import Sa2VA
from submission.models.sam2.image_features import Beside, FrameFeatures, Keeping
from submission.models.workload import Limits
from submission.video.frame_loader import FrameLoader


@pytest.fixture
def watch(sa2va, frames):
    """Make the features of the video with a number of images at once."""
    model = Sa2VA(sa2va.backbone, Limits(images_at_once=3))
    with ThreadPoolExecutor(2) as pool:
        yield lambda keeping=None: model.watch(
            FrameLoader(frames.__getitem__, frames.shape[:3], pool), keeping
        )


def read(features: FrameFeatures, times, *, again: bool = False) -> dict[int, list[np.ndarray]]:
    with torch.inference_mode():
        return {
            time: [level.numpy().copy() for level in (seen.stride4, seen.stride8, seen.stride16)]
            for time, seen in features.each(times, again=again)
        }


def equal(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_frame_has_the_same_features_whoever_asks_first(watch):
    in_order = read(watch(), range(8))
    features = watch()
    others = read(features, [6, 1, 3]) | read(features, [0, 2, 4, 5, 7])
    assert features.encoded == 8
    assert all(equal(in_order[time], others[time]) for time in range(8))
    assert not equal(in_order[0], in_order[4])  # else this would say nothing


def test_what_its_last_reader_had_is_let_go(watch):
    features = watch()
    read(features, range(8), again=True)
    assert features.held > 0
    read(features, range(8))
    assert (features.held, features.encoded) == (0, 8)


def test_shared_features_wait_for_others_until_they_are_closed(watch):
    features = watch(Keeping(shared=True))
    first = read(features, range(8))
    assert all(equal(first[time], seen) for time, seen in read(features, [7, 0]).items())
    assert features.encoded == 8
    features.close()
    assert features.held == 0


def test_a_second_reader_asks_for_no_picture_again(watch, monkeypatch):
    features = watch(Keeping(shared=True))
    read(features, range(8))
    asked = []
    monkeypatch.setattr(features.loader, "prefetch", asked.extend)
    read(features, [7, 0, 3])
    assert asked == []
    assert features.encoded == 8


@pytest.mark.parametrize("frames_kept", [0, 1, 3])
def test_the_room_bounds_memory_and_changes_nothing(watch, frames_kept):
    whole = watch(Keeping(shared=True))
    expected = read(whole, range(8))
    room = frames_kept * whole.held // 8
    features = watch(Keeping(room, shared=True))
    for times in ([6, 1, 3], [0, 2, 4, 5, 7], range(8)):
        seen = read(features, times, again=True)
        assert all(equal(expected[time], seen[time]) for time in times)
        assert features.held <= room
    assert features.encoded > 8
    alone = watch(Keeping(room))
    for times in ([6, 1, 3], [0, 2, 4, 5, 7]):
        read(alone, times)
    assert alone.held == 0  # nothing waits for a reader that never comes


def test_a_long_video_is_kept_in_host_memory(watch, monkeypatch):
    features = watch(Keeping(shared=True))
    with torch.inference_mode():
        _, one = next(features.each([0], again=True))
    video = 8 * sum(x.numel() * x.element_size() for x in (one.stride4, one.stride8, one.stride16))
    features.device = torch.device("cuda")
    for total, share, place in (
        (20 * video, 1.0, "cuda"), (20 * video - 20, 1.0, "cpu"),
        (40 * video, 0.5, "cuda"), (40 * video, 0.4, "cpu"),  # of a GPU that several workers use
    ):  # fmt: skip
        properties = type("Properties", (), {"total_memory": total})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _, s=share: s)
        assert features._place().type == place


class AtOnce:
    """Stands where a GPU has a second stream: what is begun is done at once."""

    is_there = True

    def __init__(self) -> None:
        self.joined: list[int] = []

    def run(self, work):
        return work()

    def join(self, made) -> None:
        self.joined.append(len(list(made)))


class Stream:
    """Keeps what it is told, in one list for all streams."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    def wait_stream(self, other: "Stream") -> None:
        self.told.append(f"{self.name} waits for {other.name}")


def test_work_beside_begins_after_what_was_before_and_is_joined_before_what_follows(monkeypatch):
    told: list[str] = []
    main, second = Stream("main", told), Stream("second", told)
    current = [main]

    @contextmanager
    def stream(chosen: Stream) -> Iterator[None]:
        current.append(chosen)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr("submission.models.sam2.image_features._second_stream", lambda _: second)
    beside = Beside(torch.device("cuda"))
    made = SimpleNamespace(record_stream=lambda one: told.append(f"kept for {one.name}"))
    for _ in range(2):
        beside.run(lambda: told.append(f"work on {current[-1].name}"))
    beside.join([made])
    beside.join([made])  # nothing has run since
    work = "work on second"
    assert told == ["second waits for main", work, work, "main waits for second", "kept for main"]
    beside.run(lambda: told.append(f"work on {current[-1].name}"))
    assert told[-2:] == ["second waits for main", work]


def test_a_batch_that_found_no_memory_is_waited_for_too(watch, monkeypatch):
    told: list[str] = []
    main, second = Stream("main", told), Stream("second", told)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr("submission.models.sam2.image_features._second_stream", lambda _: second)
    monkeypatch.setattr(FrameFeatures, "_stay", lambda self: True)
    features = watch()
    features._beside = Beside(torch.device("cuda"))

    def full(group):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(features, "_levels", full)
    with pytest.raises(torch.OutOfMemoryError):
        features.begin(range(8))
    features.close()
    assert told == ["second waits for main", "main waits for second"]


@pytest.fixture
def watch_ahead(watch, monkeypatch):
    """The features of a video whose first batches are encoded ahead."""
    features = watch()
    features._beside = AtOnce()
    monkeypatch.setattr(FrameFeatures, "_stay", lambda self: True)
    return features


def test_what_was_encoded_ahead_is_what_is_asked_for(watch, watch_ahead):
    features, times = watch_ahead, [6, 1, 3, 0, 2, 4, 5, 7]
    expected = read(watch(), range(8))
    with torch.inference_mode():
        features.begin(times)
    assert features.encoded == 8
    features.join()
    assert features._beside.joined == [3 * 3]  # three maps of three batches
    seen = read(features, times)
    assert all(equal(expected[time], seen[time]) for time in range(8))
    assert features.encoded == 8
    assert not features._begun


def test_so_many_batches_are_encoded_ahead_and_no_more(watch_ahead, monkeypatch):
    monkeypatch.setattr("submission.models.sam2.image_features.BATCHES_AHEAD", 1)
    with torch.inference_mode():
        watch_ahead.begin([7, 0])
    assert list(watch_ahead._begun) == [6]
    assert watch_ahead.encoded == 2
    watch_ahead.close()
    assert not watch_ahead._begun


def test_without_a_second_stream_images_are_made_ahead_and_nothing_else(watch):
    features = watch()
    features.begin(range(8))
    assert features.encoded == 0
    assert features.loader.held > 0


def test_a_call_that_fails_ends_what_it_began(sa2va, frames, monkeypatch):
    closed = []
    monkeypatch.setattr(FrameFeatures, "close", lambda self: closed.append(self))

    def fail(*arguments, **named):
        named["meanwhile"]()
        raise RuntimeError

    model = Sa2VA(sa2va.backbone)
    monkeypatch.setattr(model, "ask", fail)
    with pytest.raises(RuntimeError):
        model.segment(frames, ["the dog"])
    assert len(closed) == 1
