"""Choose whole videos of a split: by name, the first few, or one shard of several.

Pure: a Split goes in and a smaller one comes out, in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from submission.dataset.records import Split, Video
from submission.did_you_mean import did_you_mean
from submission.errors import Fault, FaultyInput, InputError

Shard = tuple[int, int]  # (i, n): the i-th of n parts, counted from 1


@dataclass(frozen=True)
class Selection:
    """The named videos of a split, of these the first `limit`, and of these one shard.

    Shards are disjoint, together complete, and balanced by frames x sentences. With more shards
    than videos some are empty.
    """

    videos: tuple[str, ...] | None = None
    limit: int | None = None
    shard: Shard | None = None

    @property
    def is_part(self) -> bool:
        """Whether a zip of this selection cannot be uploaded."""
        return self != Selection()

    def of(self, split: Split) -> Split:
        """Return the selected part of a split.

        Raises FaultyInput for names that the split does not have and InputError for a limit or
        shard that makes no sense.
        """
        chosen = split.videos
        if self.videos is not None:
            _refuse_unknown(split, self.videos)
            chosen = tuple(video for video in chosen if video.name in self.videos)
        if self.limit is not None:
            if self.limit < 1:
                raise InputError(f"--limit {self.limit}: it must be at least 1")
            chosen = chosen[: self.limit]
        if self.shard is not None:
            _refuse_impossible(self.shard)
            chosen = _deal(chosen, self.shard[1])[self.shard[0] - 1]
        return replace(split, videos=chosen)


def parse_shard(text: str) -> Shard:
    """Return (i, n) of "i/n", counted from 1; raise InputError for anything else."""
    number, _, total = text.partition("/")
    if not (number.isascii() and number.isdigit() and total.isascii() and total.isdigit()):
        raise InputError(f'--shard {text}: write i/n, for example "--shard 2/8"')
    shard = (int(number), int(total))
    _refuse_impossible(shard)
    return shard


def _refuse_unknown(split: Split, videos: Sequence[str]) -> None:
    known = {video.name for video in split.videos}
    unknown = [name for name in dict.fromkeys(videos) if name not in known]
    if unknown:
        raise FaultyInput(
            f"--videos: the split {split.name} does not have {len(unknown)} of these videos:",
            [
                Fault(name, f"no such video in {split.meta_file}{did_you_mean(name, known)}")
                for name in unknown
            ],
            f"The first videos of the split are {', '.join(sorted(known)[:5])}.",
        )


def _refuse_impossible(shard: Shard) -> None:
    number, total = shard
    if not 1 <= number <= total:
        raise InputError(f"--shard {number}/{total}: the first number must be from 1 to the second")


def _deal(videos: Sequence[Video], total: int) -> list[tuple[Video, ...]]:
    """Give each video, the largest first, to the shard that has the least work so far."""
    work = [0] * total
    parts: list[list[int]] = [[] for _ in range(total)]
    by_size = sorted(range(len(videos)), key=lambda index: (-videos[index].num_masks, index))
    for index in by_size:
        lightest = min(range(total), key=lambda part: (work[part], part))
        parts[lightest].append(index)
        work[lightest] += videos[index].num_masks
    return [tuple(videos[index] for index in sorted(part)) for part in parts]
