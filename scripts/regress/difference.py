"""Compare two records of the sample; pure. What is exact everywhere and what is not:

- Names, answer texts, key frames and the zip's listing are equal on every platform.
- Masks are equal, pixel for pixel, where the platform is the golden one's. Elsewhere another
  order of additions moves a float across the threshold here and there: up to PIXELS_ELSEWHERE of a
  frame may differ (1 was seen, with AVX2, SSE and two threads against AVX-512 and one).
- J and F follow the masks.
- A PNG has equal bytes where its mask is equal and zlib is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.regress.golden import Record
from submission.dataset.rle import decode
from submission.terminal.tables import aligned

PIXELS_ELSEWHERE = 4  # of one frame
SCORE_ELSEWHERE = 0.002  # of J or F of one sentence, 0..1
SCORE_HERE = 1e-12
ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One thing that changed."""

    what: str
    where: str
    golden: str
    now: str


@dataclass(frozen=True)
class MaskChange:
    """A frame whose mask changed."""

    sentence: str
    frame: int
    pixels: int


def compare(golden: Record, now: Record, *, exact: bool = False) -> list[Difference]:
    """Return every difference that matters; with `exact` nothing is allowed for the platform."""
    strict = exact or same_platform(golden, now)
    most = 0 if strict else PIXELS_ELSEWHERE
    changes = mask_changes(golden, now)
    same_masks = {sentence for sentence in golden.masks if sentence in now.masks} - {
        change.sentence for change in changes
    }
    return [
        *_changed("frames", golden.frames, now.frames),
        *_changed("size", golden.sizes, now.sizes),
        *_answer_differences(golden, now),
        *_absent_masks(golden, now),
        *(
            Difference("mask", _place(golden, change), "", f"other by {pixels(change.pixels)}")
            for change in changes
            if change.pixels > most
        ),
        *_score_differences(golden, now, same_masks, strict),
        *_file_differences(golden, now, same_masks),
    ]


def same_platform(golden: Record, now: Record) -> bool:
    """Whether everything that decides the last bits of a float is the same."""
    return _without_zlib(golden) == _without_zlib(now)


def mask_changes(golden: Record, now: Record) -> list[MaskChange]:
    """Return every frame whose mask is not the same, the largest change first."""
    changes = [
        MaskChange(sentence, frame, _count_changed(golden, now, sentence, frame))
        for sentence in golden.masks.keys() & now.masks.keys()
        if golden.sizes.get(video_of(sentence)) == now.sizes.get(video_of(sentence))
        for frame, (old, new) in enumerate(
            zip(golden.masks[sentence], now.masks[sentence], strict=False)
        )
        if old != new
    ]
    return sorted(changes, key=lambda change: (-change.pixels, change.sentence, change.frame))


def table(differences: list[Difference], most: int = 40) -> list[str]:
    """Return the differences as aligned lines."""
    rows = [("what", "where", "golden", "now")]
    rows += [(one.what, one.where, one.golden, one.now) for one in differences[:most]]
    lines = aligned(rows, left=range(4))
    if len(differences) > most:
        lines.append(f"  ... and {len(differences) - most} more")
    return lines


def _changed(what: str, golden: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    for key in {**golden, **now}:
        old, new = golden.get(key, ABSENT), now.get(key, ABSENT)
        if old != new:
            yield Difference(what, key, _short(old), _short(new))


def _answer_differences(golden: Record, now: Record) -> Iterator[Difference]:
    for sentence in {**golden.answers, **now.answers}:
        old, new = (record.answers.get(sentence) for record in (golden, now))
        if old is None or new is None:
            yield Difference("answer", sentence, _there(old), _there(new))
            continue
        for field in ("text", "key_frames", "num_seg"):
            if old[field] != new[field]:
                yield Difference(field, sentence, _short(old[field]), _short(new[field]))


def _absent_masks(golden: Record, now: Record) -> Iterator[Difference]:
    for sentence in {**golden.masks, **now.masks}:
        numbers = [len(record.masks.get(sentence, ())) for record in (golden, now)]
        if numbers[0] != numbers[1]:
            yield Difference("masks", sentence, f"{numbers[0]} frames", f"{numbers[1]} frames")


def _score_differences(
    golden: Record, now: Record, same_masks: set[str], strict: bool
) -> Iterator[Difference]:
    for sentence in {**golden.scores, **now.scores}:
        pairs = [record.scores.get(sentence) for record in (golden, now)]
        old, new = pairs
        if old is not None and new is not None:
            close = SCORE_HERE if strict or sentence in same_masks else SCORE_ELSEWHERE
            if np.allclose(old, new, rtol=0, atol=close):
                continue
        yield Difference("J, F", sentence, _numbers(old), _numbers(new))


def _file_differences(golden: Record, now: Record, same_masks: set[str]) -> Iterator[Difference]:
    if list(golden.files) != list(now.files):
        yield from _changed("file in zip", dict.fromkeys(golden.files, "there"),
                            dict.fromkeys(now.files, "there"))  # fmt: skip
        if golden.files.keys() == now.files.keys():
            yield Difference("zip", "submission.zip", "files in this order", "in another order")
    if golden.platform["zlib"] != now.platform["zlib"]:
        return  # the same pixels may be packed into other bytes
    for name in golden.files.keys() & now.files.keys():
        sentence = f"vote {name.rpartition('/')[0]}"
        is_mask = sentence in golden.masks
        if golden.files[name] != now.files[name] and (sentence in same_masks or not is_mask):
            yield Difference("bytes", name, golden.files[name], now.files[name])


def mask_of(record: Record, sentence: str, frame: int) -> NDArray[np.bool_]:
    """Return one mask of a record, bool (H, W)."""
    height, width = record.sizes[video_of(sentence)]
    return decode(record.masks[sentence][frame].encode(), (height, width))


def _count_changed(golden: Record, now: Record, sentence: str, frame: int) -> int:
    masks = (mask_of(record, sentence, frame) for record in (golden, now))
    return int(np.count_nonzero(np.logical_xor(*masks)))


def video_of(sentence: str) -> str:
    """Return the video of "RESULT VIDEO/ID"."""
    return sentence.partition(" ")[2].rpartition("/")[0]


def _place(record: Record, change: MaskChange) -> str:
    return f"{change.sentence} {record.frames[video_of(change.sentence)][change.frame]}"


def _without_zlib(record: Record) -> dict[str, str]:
    return {key: value for key, value in record.platform.items() if key != "zlib"}


def _numbers(values: list[float] | None) -> str:
    return ABSENT if values is None else ", ".join(f"{value:.8f}" for value in values)


def _there(value: object) -> str:
    return ABSENT if value is None else "there"


def pixels(number: int) -> str:
    """Return a number of pixels in words."""
    return "1 pixel" if number == 1 else f"{number} pixels"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
