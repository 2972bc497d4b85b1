"""Odd answers are noticed: nothing but empty masks, and texts without an end."""

import numpy as np
import pytest

from submission.masks.store import Prediction
from submission.masks.suspicion import Noticed, is_endless, warnings
from submission.masks.track import Track

EMPTY = Track.empty((4, 5), 2)
FULL = Track.encode(np.ones((2, 4, 5), bool))


@pytest.mark.parametrize(
    ("text", "endless"),
    [
        ("Sure, [SEG].<|im_end|>", False),
        ("It is [SEG]. [SEG]. [SEG].", False),
        ("[SEG]" * 10, False),
        ("Sure, " + " [SEG]" * 40 + "<|im_end|>", False),
        ("", False),
        ("Sure, it is" + " the" * 60, True),
        ("!" * 64, True),
        ("the dog the dog " * 20, True),
        ("ha ha ha", False),
    ],
)
def test_a_text_that_repeats_itself_to_its_end_is_endless(text, endless):
    assert is_endless(text) is endless


def noticed(*answers: tuple[Track, str]) -> Noticed:
    parts = [
        Noticed.of(Prediction("a dog", track, {"text": text}), f"dogs/{number}")
        for number, (track, text) in enumerate(answers)
    ]
    return sum(parts, Noticed())


def test_an_expert_that_sees_nothing_and_one_that_babbles_are_named():
    experts = {
        "blind": noticed((EMPTY, "It is [SEG]."), (EMPTY, "It is [SEG].")),
        "babbling": noticed((FULL, "It is [SEG]."), (EMPTY, "the" * 50)),
        "good": noticed((FULL, "It is [SEG]."), (EMPTY, "It is [SEG].")),
    }
    told = list(warnings(experts, noticed((FULL, ""), (EMPTY, ""))))
    assert len(told) == 2
    assert told[0].startswith("expert blind: not one of its 2 answers has a mask")
    assert told[1].startswith("expert babbling: 1 of 2 answers repeat one word")
    assert "dogs/1" in told[1]


def test_a_vote_that_empties_everything_is_named():
    experts = {"good": noticed((FULL, ""))}
    (told,) = warnings(experts, noticed((EMPTY, "")))
    assert told.startswith("the vote: not one of its 1 answers has a mask")


def test_what_was_noticed_survives_json():
    one = noticed((EMPTY, "a" * 50))
    assert Noticed.from_json(one.to_json()) == one
    assert Noticed.from_json({}) == Noticed()
