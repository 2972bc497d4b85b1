"""Names that miss each other by a little: one letter's case, an ending, zeros, a word in front.

Pure: the names that are wanted and those that are there go in, pairs and words come out. For
frames, masks and their folders alike.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

_ENDINGS = re.compile(r"(\.(jpe?g|png|webp|bmp|gif|tiff?|ppm))+$", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Near:
    """Which name stands for which, and how the two differ."""

    found_for: Mapping[str, str]  # wanted -> what lies there instead
    how: str

    def in_words(self, kind: str) -> str:
        """Return "3 files lie there with other zeros in front: 0.jpg for 00000.jpg, ..."."""
        wanted, found = next(iter(self.found_for.items()))
        number = len(self.found_for)
        lie = f"{number} {kind}s lie" if number > 1 else f"a {kind} lies"
        more = ", ..." if number > 1 else ""
        return f"{lie} there {self.how}: {ascii(found)[1:-1]} for {ascii(wanted)[1:-1]}{more}"


def pair_up(wanted: Iterable[str], found: Iterable[str]) -> Near | None:
    """Pair names that are wanted with others that are there, None when no two are alike.

    The strictest likeness that pairs as many as any is taken; what could stand for two is not.
    """
    missing, there = list(wanted), list(found)
    best: Near | None = None
    for how, key in _LIKENESSES:
        sought, offered = _by_key(missing, key), _by_key(there, key)
        pairs = {sought[k]: offered[k] for k in sought if k in offered}
        if pairs and (best is None or len(pairs) > len(best.found_for)):
            best = Near(pairs, how)
    return best


def _by_key(names: Collection[str], key: Callable[[str], str]) -> dict[str, str]:
    """Return key -> name for the keys that one name alone has."""
    named: dict[str, str] = {}
    twice = set()
    for name in names:
        if (own := key(name)) and named.setdefault(own, name) != name:
            twice.add(own)
    return {own: name for own, name in named.items() if own not in twice}


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _one_case(name: str) -> str:
    return _composed(name).casefold()


def _without_ending(name: str) -> str:
    return _ENDINGS.sub("", _one_case(name))


def _without_zeros(name: str) -> str:
    return _DIGITS.sub(lambda digits: digits[0].lstrip("0") or "0", _without_ending(name))


def _last_number(name: str) -> str:
    numbers: list[str] = _DIGITS.findall(_without_zeros(name))
    return numbers[-1] if numbers else ""


_LIKENESSES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("one level deeper", _last_part),
    ("in another Unicode form", _composed),
    ("in other upper and lower case", _one_case),
    ("with another ending", _without_ending),
    ("with other zeros in front", _without_zeros),
    ("with other text around the number", _last_number),
)
