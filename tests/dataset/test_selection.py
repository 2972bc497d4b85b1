"""Selections keep whole videos in the order of the split; shards are disjoint and complete."""

from pathlib import Path

import pytest

from submission.dataset.records import Expression, Split, Video
from submission.dataset.selection import Selection, parse_shard
from submission.errors import FaultyInput, InputError


def make_split(*shapes):
    """Return a split of videos v0, v1, ... with the given (frames, sentences)."""
    videos = []
    for index, (frames, sentences) in enumerate(shapes):
        name = f"v{index}"
        expressions = tuple(Expression(name, str(n), "a dog") for n in range(sentences))
        names = tuple(f"{n:05d}" for n in range(frames))
        videos.append(Video(name, names, (4, 4), expressions))
    return Split(Path("data"), "valid", Path("data/valid/meta_expressions.json"), tuple(videos))


SPLIT = make_split((79, 16), (10, 2), (40, 12), (200, 3), (79, 16), (5, 1), (60, 20))


def names(split):
    return [video.name for video in split.videos]


def test_videos_keep_the_order_of_the_split():
    assert names(Selection(("v4", "v0")).of(SPLIT)) == ["v0", "v4"]
    assert names(Selection(("v4", "v0"), limit=1).of(SPLIT)) == ["v0"]
    assert Selection().of(SPLIT) == SPLIT


def test_unknown_videos_are_listed():
    with pytest.raises(FaultyInput) as caught:
        Selection(("v1", "w", "x")).of(SPLIT)
    assert [fault.where for fault in caught.value.faults] == ["w", "x"]


@pytest.mark.parametrize("total", [1, 2, 3, 7, 9])
def test_shards_are_disjoint_and_complete(total):
    shards = [Selection(shard=(number, total)).of(SPLIT) for number in range(1, total + 1)]
    together = [name for shard in shards for name in names(shard)]
    assert sorted(together) == names(SPLIT)
    assert all(names(shard) == sorted(names(shard)) for shard in shards)


def test_shards_carry_similar_work():
    work = [Selection(shard=(number, 3)).of(SPLIT).num_masks for number in (1, 2, 3)]
    largest = max(video.num_masks for video in SPLIT.videos)
    assert max(work) - min(work) <= largest
    assert max(work) < 0.5 * SPLIT.num_masks


def test_a_shard_is_of_the_selection():
    chosen = [names(Selection(limit=2, shard=(number, 2)).of(SPLIT)) for number in (1, 2)]
    assert chosen == [["v0"], ["v1"]]


def test_senseless_selections_are_refused():
    assert parse_shard("2/8") == (2, 8)
    for text in ("0/3", "4/3", "2", "a/b", "1/0", "-1/2", "1/2/3", ""):
        with pytest.raises(InputError, match="--shard"):
            parse_shard(text)
    with pytest.raises(InputError, match="--limit"):
        Selection(limit=0).of(SPLIT)
    with pytest.raises(InputError, match="--shard"):
        Selection(shard=(3, 2)).of(SPLIT)
