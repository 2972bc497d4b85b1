"""Image features are the same for every reader, in any order, and memory has a bound."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from submission.models.sa2va.model import Limits, Sa2VA
from submission.models.sam2.image_features import FrameFeatures, Keeping
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
    for total, place in ((20 * video, "cuda"), (20 * video - 1, "cpu")):
        properties = type("Properties", (), {"total_memory": total})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        assert features._place(one).type == place
