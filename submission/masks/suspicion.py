"""What no check refuses and is still most likely wrong: an expert that sees nothing, or babbles.

Counted while votes are cast, video by video, and told of the split as a whole.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from submission.masks.store import Prediction

_SEG = re.compile(r"\s*\[SEG\]")  # may rightly come ten times in a row
# A piece of up to 24 characters, twelve times over, and the beginning of another one.
_ENDLESS = re.compile(r"(?s)(\S.{0,23}?)\1{11,}.{0,23}\Z")


@dataclass(frozen=True)
class Noticed:
    """Answers of one expert to sentences of a video or split: how many, and which are odd."""

    answers: int = 0
    empty: int = 0  # without foreground in any frame
    endless: tuple[str, ...] = ()  # as "VIDEO/ID": the text repeats itself to its end

    def __add__(self, other: "Noticed") -> "Noticed":
        return Noticed(
            self.answers + other.answers,
            self.empty + other.empty,
            (*self.endless, *other.endless),
        )

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Noticed":
        """Return what `to_json` wrote; nothing was noticed where there is nothing."""
        endless = tuple(value.get("endless", ()))
        return Noticed(value.get("answers", 0), value.get("empty", 0), endless)

    @staticmethod
    def of(answer: Prediction, where: str) -> "Noticed":
        """Look at one answer; `where` names its sentence."""
        text = answer.details.get("text", "")
        endless = isinstance(text, str) and is_endless(text)
        return Noticed(1, int(answer.track.is_empty), (where,) if endless else ())


def is_endless(text: str) -> bool:
    """Tell whether a text repeats one word or sign until it was cut off; [SEG] does not count."""
    return _ENDLESS.search(_SEG.sub("", text)) is not None


def warnings(noticed: Mapping[str, Noticed], vote: Noticed) -> Iterable[str]:
    """Say what is odd about the experts, by name, and about the vote as a whole."""
    for name, one in noticed.items():
        if one.answers and one.empty == one.answers:
            yield (
                f"expert {name}: not one of its {one.answers} answers has a mask in any frame. "
                "Look at its texts in the report, at its checkpoint and settings; masks from PNG "
                "files are empty where their palette makes every pixel black"
            )
        if one.endless:
            share = f"{len(one.endless)} of {one.answers} answers"
            yield (
                f"expert {name}: {share} repeat one word until they are cut off, the first for "
                f"{one.endless[0]}. Its weights or its precision are most likely wrong"
            )
    sees_something = any(one.empty < one.answers for one in noticed.values())
    if sees_something and vote.answers and vote.empty == vote.answers:
        yield (
            f"the vote: not one of its {vote.answers} answers has a mask in any frame, though "
            "experts have masks; look at [vote] in the recipe, and at the experts' agreement"
        )
